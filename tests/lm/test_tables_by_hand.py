"""Tables of comparisons and reviews on a few rows: what is read, left out, divided, and said of it, to the letter."""

import json

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from maxmin_core.lm import _own, corpus, sources
from maxmin_core.lm.comparisons import as_choices, as_row, from_choices, split
from maxmin_core.lm.sources import load_comparisons

ROW = {"prompt": "so?", "chosen": "yes", "rejected": "no", "annotator": 7}


class TestOwn:
    def test_rows_to_the_letter(self):
        chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "u", "more": 1}]
        made = _own.own_rows([ROW | {"weight": 2.0, "group": "g"}, ROW | {"prompt": json.dumps(chat)}], None)
        first, second = made.to_dict("records")
        assert first == {
            "annotator": 7,
            "first": '["so?", "yes"]',
            "second": '["so?", "no"]',
            "choice": "first",
            "prompt": "so?",
            "messages": "so?",
            "first_text": "yes",
            "second_text": "no",
            "weight": 2.0,
            "group": "g",
        }
        plain = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        assert second["messages"] == plain and second["prompt"] == "s\n\nu"
        assert second["second"] == json.dumps([plain, "no"], sort_keys=True)
        # A column of another name in the group's place; one that nobody asked for is not taken along.
        other = _own.own_rows([ROW | {"age": "old", "group": "g"}], "age").to_dict("records")[0]
        assert other["age"] == "old" and "group" not in other and "weight" not in other

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("[{no json", "[{no json"),
            ('  [{"role": "user", "content": "u"}]', [{"role": "user", "content": "u"}]),
            ([{"role": "user", "content": 3}], [{"role": "user", "content": "3"}]),
            (" a ", " a "),
        ],
    )
    def test_prompts(self, value, found):
        assert _own._prompt(value, 1) == found

    @pytest.mark.parametrize(
        ("call", "told"),
        [
            (
                lambda: _own.own_rows([{"prompt": "a", "annotator": 1, "extra": 2}], None),
                "source: expected the columns prompt, chosen, rejected, annotator, and if need be group and weight, "
                "got no chosen, rejected; rename or drop columns, or name the one that says a person's group by "
                "--group",
            ),
            (
                lambda: _own.own_rows([ROW | {"x": 1, "y": 2}], None),
                "source: expected the columns prompt, chosen, rejected, annotator, and if need be group and weight, "
                "got x, y; rename or drop columns, or name the one that says a person's group by --group",
            ),
            (
                lambda: _own.own_rows([ROW, ROW | {"rejected": "  "}], None),
                "rejected: expected a text in every row, got '  ' in row 2",
            ),
            (
                lambda: _own.own_rows([ROW, ROW | {"chosen": 3}], None),
                "chosen: expected a text in every row, got 3 in row 2",
            ),
            (lambda: _own._prompt(" ", 4), "prompt: expected a text or messages in every row, got ' ' in row 4"),
            (lambda: _own._prompt(2.5, 4), "prompt: expected a text or messages in every row, got 2.5 in row 4"),
        ],
    )
    def test_errors_to_the_letter(self, call, told):
        with pytest.raises(ValueError) as raised:
            call()
        assert str(raised.value) == told

    def test_people_of_a_table(self):
        rows = pd.DataFrame({"annotator": [1, 2, 1]})
        for name in ("annotator", "annotator_id", "user_id"):
            found = _own.joined(rows, [{name: "1", "age": "old"}, {name: "3", "age": "young"}], "age")
            assert found["age"].tolist()[::2] == ["old", "old"] and pd.isna(found["age"][1])
        for people, group, told in (
            ([{"who": 1, "age": 2}], "age", r"\(age\), got who, age$"),
            ([{"user_id": 1, "age": 2}], "sex", r"\(sex\), got user_id, age$"),
            ([{"user_id": 1, "age": 2}], None, r"\(None\), got user_id, age$"),
            ([{"user_id": n, "age": 2} for n in (1, 2, 2, 1)], "age", "for everybody, got several for '2'$"),
        ):
            with pytest.raises(ValueError, match=f"^people: .*{told}"):
                _own.joined(rows, people, group)

    def test_who_may_stay(self):
        def rows(**groups):
            return [{"annotator": who, "group": group} for who, group in groups.items() for _ in range(2)]

        _own.check_people(rows(a="x", b="x", c="y", d="y"), 2)
        _own.check_people(rows(a=None, b=None), 2)
        _own.check_people(rows(a=None), 2)
        for given, least_, told in (
            (
                rows(a="x", b="x"),
                3,
                "annotator: expected at least 3 comparisons by everybody, got 2 by a and 1 more; .*",
            ),
            (rows(a="x", b="x")[1:], 2, "annotator: .* got 1 by a; leave them out of the table"),
            (rows(a="x", b="x", c=None, d=None, e=None), 2, "group: .* got none or several for c and 2 more"),
            (rows(a="x", b="x", c=None), 2, "group: .* got none or several for c"),
            (rows(a="x", b="y", c="y", d="z"), 2, "group: expected at least two people .* got one in x, z; leave .*"),
        ):
            with pytest.raises(ValueError, match=f"^{told}$"):
                _own.check_people(given, least_)


class TestSources:
    TABLE = [ROW | {"annotator": who, "group": g} for who, g in zip("aabbccdd", "xxxxyyyy", strict=True)]

    def test_fewer_than_asked_for(self):
        kept, report = load_comparisons("own", self.TABLE)
        assert (len(kept), report.votes, report.people, report.preset, report.dropped) == (8, 8, 4, "own", {})
        with pytest.raises(ValueError, match="^annotator: expected at least 3 comparisons"):
            load_comparisons("own", self.TABLE, least=3)

    def test_a_public_table_leaves_them_out(self):
        row = {"text": "do", "completion_a": "done", "completion_b": "no", "model_a": "x", "model_b": "y"}
        votes = [("a", "A"), ("a", "B"), ("b", "B"), ("a", "B")]
        rows = [
            row | {"normal_worker_annotations": [{"evaluator": who, "overall_pref": f"{side}-is-clearly-better"}]}
            for who, side in votes
        ]
        data, report = load_comparisons("multipref", rows)
        assert list(data["annotator"]) == ["a"] * 3 and list(data["chosen"]) == ["done", "no", "no"]
        assert (report.votes, report.people) == (3, 1) and report.dropped == {"by 1 annotators with fewer than 2": 1}
        assert list(data["group"]) == [None] * 3 and list(data["weight"]) == [1.0] * 3
        with pytest.raises(
            ValueError, match="^least: expected annotators with at least 4 .*, got none with more than 3$"
        ):
            load_comparisons("multipref", rows, least=4)
        with pytest.raises(ValueError, match="^group: expected one of .*, got 'nothing'; a table"):
            load_comparisons("multipref", rows, group="nothing")

    def test_names_and_commits(self, tmp_path, monkeypatch):
        for call, told in (
            (lambda: load_comparisons("x"), "name: expected one of community_alignment, .*, personas, own, got 'x'"),
            (lambda: load_comparisons("own", [], personas=("a",)), r"personas: expected None for own, got \['a'\]"),
            (lambda: sources._fetched("prism", "a" * 39), "revision: .* of HannahRoseKirk/prism-alignment, .* got a+"),
            (lambda: sources._fetched("collective_alignment", None), "revision: .*, 40 digits of 0 to f, got None"),
            (lambda: sources._files_of(3, None), "source: expected the folder of the personas' files .*, got 3"),
            (
                lambda: sources._files_of(tmp_path, None),
                f"personas: expected files of personas in {tmp_path}, got none",
            ),
        ):
            with pytest.raises(ValueError, match=f"^{told}$"):
                call()
        for name in ("P2A", "P1A", "other"):
            (tmp_path / f"{name}.json").touch()
        assert list(sources._files_of(str(tmp_path), None)) == ["P1A", "P2A"]
        assert sources._files_of(tmp_path, ["P2A"]) == {"P2A": tmp_path / "P2A.json"}
        with pytest.raises(ValueError, match=f"^personas: expected files of P3A, P9 in {tmp_path}, got P1A, P2A$"):
            sources._files_of(tmp_path, ["P1A", "P3A", "P9"])


class TestComparisons:
    def test_a_row(self):
        assert as_row("p", "a", "b", 7) == {
            "prompt": [{"role": "user", "content": "p"}],
            "chosen": "a",
            "rejected": "b",
            "annotator": "7",
            "group": None,
            "weight": 1.0,
        }
        assert as_row("p", "a", "b", 7, 3, 2.5)["group"] == "3" and as_row("p", "a", "b", 7, 0, 2.5)["weight"] == 2.5

    def test_texts_stand_once(self):
        rows = [
            ("p", "a", "b", "w", "x"),
            ("q", "a", "b", "v", "y"),
            ("p", "b", "c", "w", "x"),
            ("p", "a", "c", "v", "y"),
        ]
        found = as_choices(Dataset.from_list([as_row(*row, weight=k + 0.5) for k, row in enumerate(rows)]))
        said = [prompt[0]["content"] for prompt in found.prompts]
        assert (said, found.completions) == (list("ppqqp"), list("ababc"))
        assert [side.tolist() for side in found.choices] == [[0, 2, 1, 0], [1, 3, 4, 4], [0, 1, 0, 1]]
        assert (found.annotators, found.groups) == (["w", "v"], ["x", "y"]) and found.weight.tolist() == [
            0.5,
            1.5,
            2.5,
            3.5,
        ]

    def test_simulated_people_stand_in_order(self):
        texts = (["p", "p"], ["a", "b"])
        choices = np.array([0, 1]), np.array([1, 0]), np.array([0, 12])
        group = np.arange(13) % 2
        found = from_choices(texts, choices, group)
        assert list(found["annotator"]) == ["000000", "000012"] and list(found["group"]) == ["0", "0"]
        assert list(from_choices(texts, choices, group + 1, ["x", "y", "z"])["group"]) == ["y", "y"]
        assert list(from_choices(texts, choices)["group"]) == [None, None]

    @pytest.mark.parametrize(("share", "n"), [(0.2, 1), (0.5, 2), (0.7, 4), (0.01, 1), (0.99, 4), (0.49, 2)])
    def test_shares_of_five(self, share, n):
        data = Dataset.from_list([as_row("p", "a", "b", who) for who in "edcba" for _ in range(2)])
        train, out = split(data, "annotator", share=share, seed=4)
        assert (len(train), len(out)) == (10 - 2 * n, 2 * n)
        chosen = {"abcde"[i] for i in np.random.default_rng(4).permutation(5)[:n]}
        assert set(out["annotator"]) == chosen and set(train["annotator"]) == set("abcde") - chosen

    def test_a_fifth_by_a_fixed_seed_where_nothing_is_said(self):
        data = Dataset.from_list([as_row("p", "a", "b", f"{k:02}") for k in range(20)])
        expected = {f"{i:02}" for i in np.random.default_rng(0).permutation(20)[:4]}
        assert set(split(data, "annotator")[1]["annotator"]) == expected
        for share in (0, 1, -0.1):
            with pytest.raises(ValueError, match=f"^share: expected a number between 0 and 1, got {share}$"):
                split(data, "annotator", share=share)
        with pytest.raises(
            ValueError, match="^data: expected at least two different values of prompt to divide, got 1$"
        ):
            split(data, "prompt")


class TestCorpus:
    def test_parts_by_their_place(self):
        places = (0.0, 0.2499, 0.25, 0.4499, 0.4501, 0.999, 1.0)
        assert [corpus._split(place) for place in places] == [
            "gold",
            "gold",
            "features",
            "features",
            "rest",
            "rest",
            "rest",
        ]

    def test_a_file_of_reviews(self, tmp_path, monkeypatch):
        path = tmp_path / "a.csv"
        texts = [f"review {k}" for k in range(30)]
        pd.DataFrame({"text": [*texts, texts[0]], "label": [k % 2 for k in range(31)], "more": 1}).to_csv(
            path, index=False
        )
        digest = corpus.hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(corpus, "SHA256", digest)
        found = corpus.load_reviews(path=path)
        assert found.column_names == ["text", "label", "split"] and sorted(found["text"]) == sorted(texts)
        places = [int(corpus.hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12 for text in found["text"]]
        assert list(found["split"]) == [corpus._split(place) for place in places]
        order = [place * 1e6 % 1 for place in places]
        assert order == sorted(order) and set(found["split"]) == set(corpus.SPLITS)
        assert list(corpus.load_reviews(n_reviews=7, path=str(path))["text"]) == list(found["text"])[:7]
        monkeypatch.setattr(corpus, "SHA256", "0" * 64)
        told = f"^path: expected a.csv with SHA-256 000000000000..., got {digest[:12]}...$"
        with pytest.raises(ValueError, match=told.replace("...", r"\.\.\.")):
            corpus.load_reviews(path=path)

    def test_sentences_of_a_length(self):
        text = "One two. One two three! One two three four five. It was 5 miles long. <b>So</b> it ended there"
        assert corpus.sentences({"text": [text]}, shortest=3, longest=4) == [
            "one two .",
            "one two three !",
            "it ended there",
        ]
        found = corpus.sentences({"text": [text]}, shortest=5, longest=6)
        assert found == ["one two three four five ."]
        assert corpus.words("<i>A</i>b, c'd 4-e?") == [".", "a", ".", "b", ",", "c'd", "e", "?"]

    def test_errors_with_a_number_are_the_system_s(self):
        with pytest.raises(OSError, match="^x: expected to reach the hub, .*, got first line; the profiles"):
            with corpus.from_hub("x"):
                raise OSError("first line\nsecond")
