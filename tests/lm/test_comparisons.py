"""Public tables in one schema, each on a few rows of its layout that were made up here; splits; simulated people."""

import importlib.util
import json
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

from maxmin_core.lm.annotators import ask
from maxmin_core.lm.comparisons import COLUMNS, as_choices, from_choices, split
from maxmin_core.lm.sources import SOURCES, load_comparisons

# The tables are those of the layouts' own tests.
_path = Path(__file__).parents[1] / "preferences" / "test_presets.py"
_spec = importlib.util.spec_from_file_location("tables_of_presets", _path)
tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tables)


@pytest.fixture
def folder(tmp_path):
    """Files as those of the personas lie: a list of dictionaries each, the persona's sentence at the end."""
    for name in ("P1A", "P1B", "P2A"):
        tables.persona(name).to_json(tmp_path / f"{name}.json", orient="records")
    return tmp_path


def loaded(name, table=None, **options):
    return load_comparisons(name, tables.TABLES[name] if table is None else table, **{"least": 1, **options})


def said(data):
    return [(r["annotator"], r["prompt"][-1]["content"], r["chosen"], r["rejected"]) for r in data.to_list()]


@pytest.mark.parametrize("name", [*SOURCES, "personas"])
def test_one_schema(name, folder):
    data, report = load_comparisons(name, folder if name == "personas" else tables.TABLES[name], least=1)
    assert tuple(data.column_names) == COLUMNS and len(data) == report.votes > 0
    for row in data.to_list():
        assert row["prompt"] and all(set(message) == {"role", "content"} for message in row["prompt"])
        assert row["prompt"][-1]["role"] == "user" and row["chosen"] != row["rejected"] and row["weight"] > 0
        assert isinstance(row["annotator"], str) and (row["group"] is None) == (name != "personas")


def test_prism_by_hand():
    # One choice among four is three pairs that count one together; an interaction without a choice is none.
    data, report = loaded("prism")
    expected = [("u1", "hi", "ai1", f"{m}i1") for m in "bcd"] + [("u2", "hi", "bi2", "ai2")]
    assert sorted(said(data)) == sorted(expected)
    assert sorted(data["weight"]) == pytest.approx([1 / 3] * 3 + [1.0])
    assert report.dropped == {"interactions without one chosen response and another": 1}


def test_later_turns_are_left_out():
    later = tables.PRISM.assign(interaction_id="later", turn=1)
    assert said(loaded("prism", pd.concat([tables.PRISM, later]))[0]) == said(loaded("prism")[0])
    assert loaded("prism", pd.concat([tables.PRISM, later]))[1].dropped["turns after the first"] == 1
    row = tables.COMMUNITY.iloc[0].to_dict() | {"second_turn_preferred_response": "response_a"}
    data, report = loaded("community_alignment", pd.DataFrame([row]))
    assert {prompt for _, prompt, _, _ in said(data)} == {"tell"} and report.dropped["turns after the first"] == 1


def test_community_alignment_by_hand():
    data, report = loaded("community_alignment", group="annotator_country")
    first = [row for row in data.to_list() if row["annotator"] == "p1"]
    assert [(r["chosen"], r["rejected"]) for r in first] == [("b one", f"{s} one") for s in "acd"]
    assert {row["group"] for row in first} == {"FR"} and report.people == 2


def test_collective_alignment_keeps_the_chat():
    table = tables.COLLECTIVE.to_dict("records")
    chat = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "should one"}]
    table[0] = table[0] | {"prompt": {"messages": chat}}
    data, _ = loaded("collective_alignment", table)
    assert all(row["prompt"] == chat for row in data.to_list())
    # B>A=C=D: three pairs of six, the ties among the rest left out; A>B>C>D: six.
    of = {who: [pair[2:] for pair in said(data) if pair[0] == who] for who in ("n1", "n2")}
    assert sorted(of["n1"]) == [("B says", f"{s} says") for s in "ACD"] and len(of["n2"]) == 6


def test_multipref_by_hand():
    data, report = loaded("multipref")
    assert sorted(said(data)) == [("w1", "do", "done", "no"), ("w3", "do", "no", "done")]
    assert sum(n for reason, n in report.dropped.items() if "tie" in reason) == 1


def test_personas_by_hand(folder):
    data, report = load_comparisons("personas", folder, personas=["P1A", "P1B"])
    # 100 rows a file, 75 rows a person; the sentence that names the persona is gone.
    assert len(data) == 200 and report.people == 4
    by_group = {name: [row for row in data.to_list() if row["group"] == name] for name in ("P1A", "P1B")}
    assert sorted({row["annotator"] for row in by_group["P1A"]}) == ["P1A/00", "P1A/01"]
    assert by_group["P1A"][3]["prompt"] == [{"role": "user", "content": "Explain number 3 to me."}]
    assert {row["chosen"].split()[0] for row in by_group["P1B"]} == {"P1B"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no-such", {}, "^name: expected one of community_alignment, .*personas, own, got 'no-such'"),
        ("prism", {"personas": ["P1A"]}, "^personas: expected None for prism"),
        ("prism", {"source": [{"x": 1}]}, "^source: expected the columns of prism, missing user_id, interaction_id"),
        ("prism", {"source": tables.PRISM, "group": "age"}, "^group: expected one of the columns .* none, got 'age'"),
        ("multipref", {"source": tables.MULTIPREF, "least": 3}, "^least: expected annotators with at least 3 compar"),
        ("collective_alignment", {}, "^revision: expected the commit of openai/collective-alignment-1, 40 digits"),
        ("prism", {"revision": "main"}, "^revision: expected the commit of HannahRoseKirk/prism-alignment, .* main"),
        ("personas", {}, "^source: expected the folder of the personas' files"),
        ("personas", {"personas": ["P1A", "P3D"]}, "^personas: expected files of P3D in .*, got P1A, P1B, P2A"),
    ],
)
def test_bad_input_is_named(folder, name, options, message):
    if "personas" in options and name == "personas":
        options = {"source": folder, **options}
    with pytest.raises(ValueError, match=message):
        load_comparisons(name, **options)


def test_a_persona_s_file_with_other_fields_is_named(folder):
    (folder / "P1A.json").write_text(json.dumps([{"prompt": "x", "chosen": "a", "rejected": "b"}]))
    with pytest.raises(ValueError, match="missing user_input, completion_a, completion_b"):
        load_comparisons("personas", folder, personas=["P1A"])


def test_who_compared_once_tells_nothing_of_their_group():
    data, report = load_comparisons("prism", tables.PRISM)
    assert set(data["annotator"]) == {"u1"} and report.people == 1
    assert report.dropped["by 1 annotators with fewer than 2"] == 1


def own(**changes):
    """Four people, two prompts each; half of them like it short."""
    chat = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "do"}]
    rows = [
        {"prompt": p, "chosen": c, "rejected": r, "annotator": w, "group": g}
        for w, g, c, r in [
            ("007", "x", "yes", "no"),
            ("b", "x", "yes", "no"),
            ("c", "y", "no", "yes"),
            ("d", "y", "no", "yes"),
        ]
        for p in ("so?", chat)
    ]
    return [row | changes for row in rows]


class TestOwn:
    @pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
    def test_every_kind_of_file(self, tmp_path, kind):
        path, rows = tmp_path / f"mine.{kind}", own(weight=2.0)
        if kind == "csv":
            rows = [
                row | {"prompt": row["prompt"] if isinstance(row["prompt"], str) else json.dumps(row["prompt"])}
                for row in rows
            ]
            pd.DataFrame(rows).to_csv(path, index=False)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            # A column of one type: a text is a chat of one message there.
            as_chat = [
                [{"role": "user", "content": row["prompt"]}] if isinstance(row["prompt"], str) else row["prompt"]
                for row in rows
            ]
            pd.DataFrame(rows).assign(prompt=as_chat).to_parquet(path)
        data, report = load_comparisons("own", path)
        assert tuple(data.column_names) == COLUMNS and len(data) == 8 and report.people == 4 and not report.dropped
        found = {
            (r["annotator"], json.dumps(r["prompt"]), r["chosen"], r["rejected"], r["group"]) for r in data.to_list()
        }
        expected = set()
        for row in own():
            asked = [{"role": "user", "content": "so?"}] if row["prompt"] == "so?" else row["prompt"]
            expected.add((row["annotator"], json.dumps(asked), row["chosen"], row["rejected"], row["group"]))
        assert found == expected and set(data["weight"]) == {2.0}

    def test_groups_by_another_column_a_table_of_people_or_none(self):
        rows = [{"taste" if name == "group" else name: value for name, value in row.items()} for row in own()]
        assert set(load_comparisons("own", rows, group="taste")[0]["group"]) == {"x", "y"}
        bare = [{name: value for name, value in row.items() if name != "group"} for row in own()]
        assert set(load_comparisons("own", bare)[0]["group"]) == {None}
        people = [{"user_id": who, "age": "old" if who in "bd" else "young"} for who in ("007", "b", "c", "d")]
        data, _ = load_comparisons("own", bare, group="age", people=people)
        assert {row["annotator"]: row["group"] for row in data.to_list()}["b"] == "old"
        # PRISM says nothing of people in this table; its survey does.
        data, _ = load_comparisons(
            "prism", tables.PRISM, group="age", people=[{"user_id": "u1", "age": "old"}], least=1
        )
        assert {row["annotator"]: row["group"] for row in data.to_list()} == {"u1": "old", "u2": None}

    @pytest.mark.parametrize(
        ("rows", "options", "message"),
        [
            (
                [{"prompt": "so?", "chosen": "a"}],
                {},
                "^source: expected the columns prompt, .* got no rejected, annotator",
            ),
            (own(weigth=2), {}, "^source: expected the columns prompt, .* got weigth; rename or drop columns"),
            (own(), {"group": "age"}, "^source: expected the columns .* got no age"),
            (own(chosen=""), {}, "^chosen: expected a text in every row, got '' in row 1"),
            (own(prompt=None), {}, "^prompt: expected a text or messages in every row, got None in row 1"),
            (own(prompt=[{"role": "user"}]), {}, "^prompts: expected words, or messages with role and content"),
            (own()[:-1], {}, "^annotator: expected at least 2 comparisons by everybody, got 1 by d; leave"),
            (own()[:-2], {}, "^group: expected at least two people in every group, got one in y"),
            (
                own()[:4] + [r | {"group": None} for r in own()[4:]],
                {},
                "^group: .* got none or several for c and 1 more",
            ),
            (own(), {"group": "age", "people": [{"name": "b", "age": 3}]}, "^people: expected a table with annotator"),
            (
                own(),
                {"group": "age", "people": [{"user_id": "b", "age": n} for n in (3, 4)]},
                "^people: .* several for 'b'",
            ),
        ],
    )
    def test_bad_input_is_named(self, rows, options, message):
        with pytest.raises(ValueError, match=message):
            load_comparisons("own", rows, **options)


class TestHub:
    def test_the_pinned_commit_is_read(self, monkeypatch):
        asked = {}

        def recorded(repository, configuration, **options):
            asked[repository] = (configuration, options)
            return datasets.Dataset.from_pandas(tables.PRISM)

        monkeypatch.setattr(datasets, "load_dataset", recorded)
        data, _ = load_comparisons("prism", least=1)
        pinned = {"revision": SOURCES["prism"].revision, "data_files": None, "split": "train"}
        assert asked == {"HannahRoseKirk/prism-alignment": ("utterances", pinned)}
        assert said(data) == said(loaded("prism")[0])
        load_comparisons("prism", revision="a" * 40, least=1)
        assert asked["HannahRoseKirk/prism-alignment"][1]["revision"] == "a" * 40

    def test_a_hub_out_of_reach_is_named(self, monkeypatch):
        def nowhere(*_, **__):
            raise ConnectionError("no network")

        monkeypatch.setattr(datasets, "load_dataset", nowhere)
        with pytest.raises(OSError, match="^allenai/multipref: expected to reach the hub"):
            load_comparisons("multipref")


class TestSplit:
    @pytest.mark.parametrize("by", ["annotator", "prompt"])
    def test_nothing_stands_on_both_sides(self, folder, by):
        data, _ = load_comparisons("personas", folder, personas=["P1A", "P1B"])
        train, heldout = split(data, by, share=0.25, seed=3)
        values = [{json.dumps(value) for value in side[by]} for side in (train, heldout)]
        assert not values[0] & values[1] and len(train) + len(heldout) == len(data)
        assert len(values[1]) == {"annotator": 1, "prompt": 25}[by]
        assert said(split(data, by, share=0.25, seed=3)[1]) == said(heldout)
        assert any(said(split(data, by, share=0.25, seed=s)[1]) != said(heldout) for s in range(5))

    def test_bad_splits_are_named(self, folder):
        data, _ = load_comparisons("personas", folder, personas=["P1A"])
        with pytest.raises(ValueError, match="^by: expected 'annotator' or 'prompt', got 'group'"):
            split(data, "group")
        with pytest.raises(ValueError, match="^share: expected a number between 0 and 1, got 1"):
            split(data, "prompt", share=1)
        one = data.filter(lambda row: row["annotator"] == "P1A/00")
        with pytest.raises(ValueError, match="^data: expected at least two different values of annotator"):
            split(one, "annotator")


class TestSimulated:
    def test_there_and_back(self):
        # What goes into the schema comes out of it: same texts, same choices, same people.
        rng = np.random.default_rng(0)
        values = rng.normal(size=(2, 40))
        group, choices = ask(values, [0.7, 0.3], 6, 10, seed=1)
        texts = [f"p{i // 2}" for i in range(40)], [f"text {i}" for i in range(40)]
        back = as_choices(from_choices(texts, choices, group, ["many", "few"]))
        for side, found in zip(choices[:2], back.choices[:2], strict=True):
            assert [back.completions[i] for i in found] == [texts[1][i] for i in side]
            assert [back.prompts[i][0]["content"] for i in found] == [texts[0][i] for i in side]
        np.testing.assert_array_equal(back.choices[2], choices[2])
        assert back.groups == [("many", "few")[u] for u in group] and (back.weight == 1).all()

    def test_texts_of_different_prompts_are_refused(self):
        with pytest.raises(
            ValueError, match="^texts: expected compared texts on one prompt, got others in texts 0 and 1"
        ):
            from_choices((["a", "b"], ["x", "y"]), (np.array([0]), np.array([1]), np.array([0])))
