"""Public tables by name, each on a few rows of its layout that were made up here."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maxmin_core.preferences import PRESETS, fit_bradley_terry, preset_rows, read_comparisons
from maxmin_core.preferences._frames import as_frame
from maxmin_core.preferences._layouts import _common_end, by_persona


def talk(prompt, answer):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


LLMFAO = pd.DataFrame(
    {
        "id": [0, 0, 1], "prompt": [8, 8, 5], "model_x": [1, 1, 1], "model_y": [2, 2, 2], "worker": [58, 7, 58],
        "winner": ["tie", "right", "left"], "left": ["One", "One", "Two"], "right": ["Two", "Two", "One"],
    }
)  # fmt: skip
ARENA = pd.DataFrame(
    {
        "question_id": ["q", "r", "s"], "model_a": ["x", "y", "x"], "model_b": ["y", "x", "z"],
        "winner": ["model_a", "tie (bothbad)", "model_b"], "judge": ["arena_user_1", "arena_user_1", "arena_user_2"],
        "conversation_a": [talk("why", "so"), talk("how", "thus"), talk("why", "so")],
        "conversation_b": [talk("why", "because"), talk("how", "like so"), talk("why", "what")],
    }
)  # fmt: skip
PRISM = pd.DataFrame(
    [
        {
            "interaction_id": i,
            "user_id": user,
            "user_prompt": "hi",
            "model_name": m,
            "model_response": m + i,
            "score": s,
            "if_chosen": chosen,
            "turn": 0,
            "conversation_id": "c",
            "utterance_id": m + i,
            "within_turn_id": 0,
        }
        for i, user, rows in (
            ("i1", "u1", [("a", 90, True), ("b", 50, False), ("c", 10, False), ("d", 5, False)]),
            ("i2", "u2", [("b", 70, True), ("a", 60, False)]),
            ("i3", "u2", [("b", 70, False), ("a", 60, False)]),
        )
        for m, s, chosen in rows
    ]
)
COMMUNITY = pd.DataFrame(
    [
        {
            "conversation_id": "c1",
            "annotator_id": "p1",
            "assigned_lang": "en",
            "annotator_age": "18-30",
            "annotator_country": "FR",
            "first_turn_prompt": "tell",
            **{f"first_turn_response_{s}": f"{s} one" for s in "abcd"},
            "first_turn_preferred_response": "response_b",
            "first_turn_feedback": "nice",
            "second_turn_prompt": "more",
            **{f"second_turn_response_{s}": f"{s} two" for s in "abcd"},
            "second_turn_preferred_response": None,
        },
        {
            "conversation_id": "c2",
            "annotator_id": "p2",
            "assigned_lang": "en",
            "annotator_age": "31-40",
            "annotator_country": "IN",
            "first_turn_prompt": "tell",
            **{f"first_turn_response_{s}": f"{s} one" for s in "abcd"},
            "first_turn_preferred_response": "A",
        },
    ]
)
COLLECTIVE = pd.DataFrame(
    [
        {
            "prompt_id": "p",
            "prompt": {"messages": [{"role": "user", "content": "should one"}]},
            "responses": [
                {"response_index": s, "messages": [{"role": "assistant", "content": f"{s} says"}]} for s in "ABCD"
            ],
            "metadata": {
                "assessments": [
                    {
                        "annotator_id": "n1",
                        "ranking_blocks": {"personal": [{"ranking": "B>A=C=D"}], "world": [{"ranking": "A>B"}]},
                    },
                    {"annotator_id": "n2", "ranking_blocks": {"personal": [{"ranking": "A>B>C>D"}], "world": []}},
                    {"annotator_id": "n3", "ranking_blocks": {"personal": [{"ranking": "A"}]}},
                ]
            },
        }
    ]
)
MULTIPREF = pd.DataFrame(
    [
        {
            "comparison_id": "c",
            "prompt_id": "p",
            "text": "do",
            "completion_a": "done",
            "completion_b": "no",
            "model_a": "x",
            "model_b": "y",
            "source": "s",
            "normal_worker_annotations": [
                {"evaluator": "w1", "overall_pref": "A-is-clearly-better"},
                {"evaluator": "w2", "overall_pref": "Tie"},
            ],
            "expert_worker_annotations": [{"evaluator": "w3", "overall_pref": "B-is-slightly-better"}],
        }
    ]
)
SENTENCE = " Answer so that a child can understand."


def persona(name, n=100):
    return pd.DataFrame(
        {
            "user_input": [f"Explain number {i} to me." + SENTENCE * (name == "P1A") for i in range(n)],
            "completion_a": [f"{name} likes {i}" for i in range(n)],
            "completion_b": [f"not {i}" for i in range(n)],
        }
    )


TABLES = {
    "llmfao": LLMFAO,
    "chatbot_arena": ARENA,
    "prism": PRISM,
    "community_alignment": COMMUNITY,
    "collective_alignment": COLLECTIVE,
    "multipref": MULTIPREF,
    "personas": {"P1A": persona("P1A"), "P1B": persona("P1B")},
}


def test_every_preset_has_a_table_here_or_a_reason():
    assert {name for name, preset in PRESETS.items() if preset.layout} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_what_every_layout_says(name):
    for items in PRESETS[name].items:
        rows = preset_rows(TABLES[name], name, items=items)
        assert {"annotator", "first", "second", "choice", "prompt"} <= set(rows.columns)
        assert set(PRESETS[name].people) & set(rows.columns) or not PRESETS[name].people
        if PRESETS[name].texts:
            assert rows[["first_text", "second_text"]].notna().all(axis=None)
        comparisons, report = read_comparisons(TABLES[name], preset=name, items=items)
        assert report.preset == name and (report.item_text is None) == (items == "model" or not PRESETS[name].texts)
        assert (comparisons.winner_first is not None) == PRESETS[name].shown


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_column_is_named(name):
    table = TABLES[name]
    for column in PRESETS[name].columns:
        source = {key: part.drop(columns=column) for key, part in table.items()} if name == "personas" else table
        source = source if name == "personas" else source.drop(columns=column)
        with pytest.raises(ValueError, match=f"^source: expected the columns of {name}, missing {column}; got"):
            read_comparisons(source, preset=name)


def test_llmfao_by_hand():
    comparisons, report = read_comparisons(LLMFAO, preset="llmfao")
    assert comparisons.items == ("One", "Two") and comparisons.annotators == (7, 58) and report.ties == 1
    np.testing.assert_array_equal(comparisons.winner, [0, 1, 1, 1])
    np.testing.assert_array_equal(comparisons.weight, [0.5, 1, 1, 0.5])
    answers = read_comparisons(LLMFAO, preset="llmfao", items="response")[0]
    assert answers.items == ("5: One", "5: Two", "8: One", "8: Two")


def test_arena_by_hand():
    comparisons, report = read_comparisons(ARENA, preset="chatbot_arena")
    assert comparisons.items == ("x", "y", "z") and (report.ties, report.both_bad) == (0, 1)
    np.testing.assert_array_equal(comparisons.winner, [0, 1, 2, 0])
    rows = preset_rows(ARENA, "chatbot_arena", items="response")
    # The same answer to the same question is one item.
    assert rows["first"][0] == rows["first"][2] and rows["first_text"].tolist() == ["so", "thus", "so"]
    assert rows["prompt"].tolist() == ["why", "how", "why"]


def test_prism_by_hand():
    comparisons, report = read_comparisons(PRISM, preset="prism")
    np.testing.assert_array_equal(comparisons.winner, [0, 0, 0, 1])
    np.testing.assert_array_equal(comparisons.loser, [1, 2, 3, 0])
    # A choice among four counts one, as one between two does.
    np.testing.assert_allclose(comparisons.weight, [1 / 3, 1 / 3, 1 / 3, 1])
    assert report.dropped == {"interactions without one chosen response and another": 1}


def test_community_alignment_by_hand():
    comparisons, report = read_comparisons(COMMUNITY, preset="community_alignment", group=["annotator_country"])
    assert report.votes == 6 and report.groups == {"annotator_country": ("FR", "IN")}
    assert report.dropped == {"turns without a preferred response and another": 1}
    text = [report.item_text[comparisons.items[i]] for i in comparisons.winner]
    assert text == ["b one"] * 3 + ["a one"] * 3 and len(comparisons.items) == 4


def test_collective_alignment_by_hand():
    comparisons, report = read_comparisons(COLLECTIVE, preset="collective_alignment")
    assert comparisons.items == ("p/A", "p/B", "p/C", "p/D")
    np.testing.assert_allclose(np.bincount(comparisons.annotator, comparisons.weight), [1, 1])
    first = comparisons.annotator == 0
    beaten = np.bincount(comparisons.winner[first], comparisons.weight[first])
    np.testing.assert_allclose(beaten, [1 / 6, 1 / 2, 1 / 6, 1 / 6])
    assert report.dropped == {"rankings of fewer than two responses": 1}
    assert report.item_text["p/C"] == "C says"


def test_multipref_by_hand():
    comparisons, report = read_comparisons(MULTIPREF, preset="multipref", group="worker", margin=True)
    assert comparisons.annotators == ("w1", "w2", "w3") and report.groups["worker"] == ("normal", "normal", "expert")
    np.testing.assert_array_equal(comparisons.weight, [2, 0.5, 1, 0.5])
    np.testing.assert_array_equal(comparisons.winner, [0, 0, 1, 1])


def test_personas_by_hand(tmp_path):
    comparisons, report = read_comparisons(
        TABLES["personas"], preset="personas", group="persona", features=lambda texts: [[len(text)] for text in texts]
    )
    # A hundred rows of a file are one user of 75 and one of the rest.
    assert comparisons.annotators == ("P1A/00", "P1A/01", "P1B/00", "P1B/01")
    assert np.bincount(comparisons.annotator).tolist() == [75, 25, 75, 25]
    assert report.groups["persona"] == ("P1A", "P1A", "P1B", "P1B")
    assert fit_bradley_terry(comparisons, l2=1.0)[0] > 0
    rows = preset_rows(TABLES["personas"], "personas")
    assert set(rows["prompt"]) == {f"Explain number {i} to me." for i in range(100)}
    for name, part in TABLES["personas"].items():
        (tmp_path / f"{name}.json").write_text(part.to_json(orient="records"))
    pd.testing.assert_frame_equal(preset_rows(tmp_path, "personas"), rows)
    alone = preset_rows(tmp_path / "P1A.json", "personas")
    assert set(alone["persona"]) == {"P1A"} and len(alone) == 100
    with pytest.raises(ValueError, match="^source: expected a folder with files such as P1A.json, got none"):
        (tmp_path / "empty").mkdir()
        preset_rows(tmp_path / "empty", "personas")


def test_many_one_off_responses_need_features():
    with pytest.raises(
        ValueError, match="^features: expected features of the items, as there are 2000 items and only 1000"
    ):
        read_comparisons({"P1A": persona("P1A", 1000)}, preset="personas")


def test_json_in_the_cells_of_a_file(tmp_path):
    for name in ("chatbot_arena", "collective_alignment", "multipref"):
        frame = TABLES[name].map(lambda cell: json.dumps(cell) if isinstance(cell, list | dict) else cell)
        frame.to_csv(tmp_path / "a.csv", index=False)
        ours, known = (read_comparisons(source, preset=name)[0] for source in (tmp_path / "a.csv", TABLES[name]))
        np.testing.assert_array_equal(ours.winner, known.winner)
        assert ours.items == known.items
        # Parquet keeps the lists, as arrays.
        TABLES[name].to_parquet(tmp_path / "a.parquet")
        np.testing.assert_array_equal(read_comparisons(tmp_path / "a.parquet", preset=name)[0].winner, known.winner)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("helpsteer3", "helpsteer3 cannot be read: it does not say who annotated what"),
        ("arena_140k", "arena_140k cannot be read: it names sessions but no people"),
        ("dices", "dices cannot be read: it rates single responses and has no pairs"),
        ("prizm", "expected one of llmfao, chatbot_arena, prism"),
    ],
)
def test_what_cannot_be_read_says_why(name, told):
    with pytest.raises(ValueError, match=f"^preset: {told}"):
        read_comparisons(LLMFAO, preset=name)


def test_bad_options_of_presets():
    with pytest.raises(ValueError, match="^annotator: expected None, as the preset 'llmfao' knows its columns"):
        read_comparisons(LLMFAO, preset="llmfao", annotator="worker")
    with pytest.raises(ValueError, match="^items: expected 'response' for personas, got 'model'"):
        read_comparisons(TABLES["personas"], preset="personas", items="model")
    with pytest.raises(ValueError, match="^items: expected None without a preset"):
        read_comparisons(LLMFAO, annotator="worker", items="model")
    with pytest.raises(ValueError, match="^source: expected at least one choice between two responses, got none"):
        read_comparisons(PRISM[PRISM["interaction_id"] == "i3"], preset="prism")


REAL = Path(os.environ.get("MAXMIN_DATA", "")) / "llmfao" / "crowd-comparisons.csv"


@pytest.mark.skipif(not os.environ.get("MAXMIN_DATA") or not REAL.is_file(), reason="needs the data (MAXMIN_DATA)")
def test_the_real_table():
    comparisons, report = read_comparisons(REAL, preset="llmfao")
    # Numbers of the table's own documentation.
    assert (report.votes, report.people, report.items, report.ties) == (8931, 124, 59, 3471) and not report.dropped
    assert comparisons.weight.sum() == 8931 and len(comparisons) == 8931 + 3471
    clear = report.table["outcome"].value_counts()
    assert (clear["first"], clear["second"]) == (2911, 2549)


def test_one_frame_of_personas_is_read_as_it_is():
    # Neither a folder nor a dictionary of tables: the column says whose row it is, or all are one persona's.
    frame = pd.DataFrame({"user_input": ["Why?"]})
    assert by_persona(frame, as_frame)["persona"].tolist() == ["persona"]
    assert by_persona(frame.assign(persona="P2B"), as_frame)["persona"].tolist() == ["P2B"]


def test_texts_that_are_all_alike_have_no_sentence_in_common():
    # What everybody was asked is no wish: else the whole prompt would be taken off.
    assert _common_end(["Tell me. Be kind."] * 2) == ""
    assert _common_end(["Why? Be kind.", "How come? Be kind."]) == " Be kind."
