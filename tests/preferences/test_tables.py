"""Anybody's table as comparisons: files and frames, words and scores, and what is refused."""

import gc
import json
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from maxmin_core.data import load_survey
from maxmin_core.preferences import Comparisons, _frames, fit_bradley_terry, read_comparisons

from .votes import FIRST_SECOND, read, table


class TestSources:
    frame = table("first", "second", "first")

    def sources(self, folder):
        self.frame.to_csv(folder / "votes.csv", index=False)
        self.frame.to_csv(folder / "votes.tsv", index=False, sep="\t")
        self.frame.to_csv(folder / "semicolons.csv", index=False, sep=";", encoding="utf-8-sig")
        self.frame.to_json(folder / "votes.jsonl", orient="records", lines=True)
        self.frame.to_json(folder / "votes.json", orient="records")
        self.frame.to_parquet(folder / "votes.parquet")
        return [*sorted(folder.glob("*")), *map(str, folder.glob("*.csv"))]

    def same(self, source):
        comparisons, report = read(source)
        for name in ("winner", "loser", "annotator", "weight", "winner_first"):
            np.testing.assert_array_equal(getattr(comparisons, name), getattr(FIRST_SECOND, name))
        assert comparisons.items == ("milk", "tea") and comparisons.annotators == ("ann", "bob")
        assert (report.rows, report.votes, report.people, report.items) == (3, 3, 2, 2)

    def test_files(self, tmp_path):
        sources = self.sources(tmp_path)
        assert len(sources) == 8
        for source in sources:
            self.same(source)

    def test_without_pyarrow_files_read_the_same(self, tmp_path, monkeypatch):
        text = 'who,a,b,vote\nann,"tea, hot\n""now""",milk,first\nbob,NA,"",second\n,tea,none,first\n'
        (tmp_path / "a.csv").write_text(text)
        fast = _frames.as_frame(tmp_path / "a.csv", "source")
        monkeypatch.setattr(_frames, "_read_fast", lambda *_: None)
        slow = _frames.as_frame(tmp_path / "a.csv", "source")
        assert fast.fillna("?").to_dict("list") == slow.fillna("?").to_dict("list") == {
            "who": ["ann", "bob", "?"], "a": ['tea, hot\n"now"', "NA", "tea"], "b": ["milk", "?", "none"],
            "vote": ["first", "second", "first"],
        }  # fmt: skip

    def test_text_that_is_not_utf_8_is_named(self, tmp_path):
        (tmp_path / "a.csv").write_bytes("who,a,b,vote\nann,th\xe9,lait,first\n".encode("latin-1"))
        with pytest.raises(ValueError, match="^source: expected text in UTF-8 in .*a.csv"):
            read(tmp_path / "a.csv")

    def test_frames(self):
        from datasets import Dataset

        class Polars:
            """What polars offers of itself."""

            def to_pandas(this):
                return self.frame

        class Lazy:
            def collect(self):
                return Polars()

        for source in (
            self.frame, pa.Table.from_pandas(self.frame), Dataset.from_pandas(self.frame), Polars(), Lazy(),
            self.frame.to_dict("records"), self.frame.to_dict("list"), self.frame.astype("category"),
            self.frame.astype(object), self.frame.set_index(pd.Index([5, 5, 5])),
        ):  # fmt: skip
            self.same(source)
        # A selection of a dataset keeps to its rows.
        some = Dataset.from_pandas(self.frame).select([0, 2])
        assert read(some)[1].votes == 2

    def test_from_frame_takes_them_too(self):
        from datasets import Dataset

        frame = load_survey()[0]
        expected = Comparisons.from_frame(frame)
        for source in (Dataset.from_pandas(frame), pa.Table.from_pandas(frame)):
            found = Comparisons.from_frame(source)
            np.testing.assert_array_equal(found.winner, expected.winner)
            assert found.items == expected.items and found.annotators == expected.annotators

    def test_a_frame_without_what_turns_it_into_pandas(self):
        class Bare:
            def to_pandas(self):
                raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

        with pytest.raises(ValueError, match="^source: expected the packages that turn a .*Bare .* none of pyarrow"):
            read(Bare())

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            (3, "source: expected a pandas, polars or pyarrow table.* got int"),
            ("nowhere.csv", "source: expected a file, got nowhere.csv"),
            ([1, 2], "source: expected a pandas"),
            (table("first", "first")[:0], "source: expected at least one row"),
        ],
    )
    def test_what_is_no_table(self, source, told):
        with pytest.raises(ValueError, match=f"^{told}"):
            read(source)

    def test_splits_are_named(self):
        from datasets import Dataset, DatasetDict

        both = DatasetDict({"train": Dataset.from_pandas(self.frame), "test": Dataset.from_pandas(self.frame)})
        with pytest.raises(ValueError, match=r"got the splits train, test; give one, such as source\['train'\]"):
            read(both)

    @pytest.mark.parametrize(
        ("name", "text", "told"),
        [
            ("a.csv", "", "a header .* an empty file"),
            ("a.csv", "who,a,b,vote\nann,tea\nann,tea,milk,first,more\n", "a table with as many values in every row"),
            ("a.csv", "who,a,b,vote\nann,tea,milk,first,more\n", "a table with as many values in every row"),
            ("a.jsonl", "{oops\n", "JSON, one object a line"),
            ("a.jsonl", "3\n", "objects, one a row"),
            ("a.xlsx", "", r"a file of CSV \(.csv"),
        ],
    )
    def test_files_that_cannot_be_read(self, tmp_path, name, text, told):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"^source: expected {told}"):
            read(tmp_path / name)


class TestColumns:
    def test_a_column_given_twice(self, tmp_path):
        frame = table("first", "second")
        twice = pd.concat([frame, frame[["a"]]], axis=1)
        for source in (
            twice,
            pa.Table.from_arrays([pa.array(twice.iloc[:, i]) for i in range(5)], list(twice.columns)),
        ):
            with pytest.raises(ValueError, match="expected one column 'a', got 2 of that name; rename or drop one"):
                read(source)
        survey = load_survey()[0]
        with pytest.raises(ValueError, match="^df: expected one column 'first', got 2 of that name"):
            Comparisons.from_frame(pd.concat([survey, survey[["first"]]], axis=1))
        twice.to_csv(tmp_path / "twice.csv", index=False)
        with pytest.raises(ValueError, match="^source: expected every column once in .*twice.csv, got 'a' twice"):
            read(tmp_path / "twice.csv")

    @pytest.mark.parametrize("name", ["first", "second", "choice"])
    def test_one_column_for_two_things(self, name):
        with pytest.raises(
            ValueError, match="expected a column of its own, got 'who', which stands for something else"
        ):
            read(table("first", "second"), **{name: "who"})

    def test_a_column_that_is_missing_is_named_with_what_there_is(self):
        with pytest.raises(ValueError, match="^choice: expected a column 'winner', got 'who', 'a', 'b', 'vote'"):
            read(table("first", "second"), choice="winner")
        for name in ("annotator", "choice", "first"):
            with pytest.raises(ValueError, match=f"^{name}: expected the name of a column, one of 'who', 'a'"):
                read(table("first", "second"), **{name: None})

    def test_ids_keep_their_names(self, tmp_path):
        frame = pd.DataFrame({"who": ["007", "7", "07"], "a": ["1", "2", "1"], "b": ["2", "10", "10"], "vote": "left"})
        assert read(frame)[0].annotators == ("007", "07", "7")
        frame.to_csv(tmp_path / "ids.csv", index=False)
        comparisons, _ = read(tmp_path / "ids.csv")
        assert comparisons.annotators == ("007", "07", "7") and comparisons.items == ("1", "10", "2")
        # Numbers stay numbers, also where something missing has made fractions of them.
        numbers = pd.DataFrame({"who": [7, None, 30], "a": [1, 1, 2], "b": [2, 2, 10], "vote": "left"})
        comparisons, report = read(numbers)
        assert comparisons.annotators == (7, 30) and comparisons.items == (1, 2, 10)
        assert [type(name) for name in comparisons.annotators] == [int, int] and report.dropped == {
            "without an annotator": 1
        }

    def test_numbers_beside_text_are_refused(self):
        with pytest.raises(ValueError, match="^source: expected names of one type in column a, b, .* make them text"):
            read(table("first", "first", a=[1, 2]))

    def test_none_is_a_name_in_a_file(self, tmp_path):
        # The survey's sixth option; pandas would read it as missing.
        load_survey()[0].to_csv(tmp_path / "survey.csv", index=False)
        columns = {"annotator": "respondent", "first": "first", "second": "second", "choice": "choice"}
        comparisons, report = read_comparisons(tmp_path / "survey.csv", **columns)
        assert "none" in comparisons.items and report.votes == 2880 and not report.dropped
        survey = Comparisons.from_frame(load_survey()[0])
        np.testing.assert_allclose(fit_bradley_terry(comparisons), fit_bradley_terry(survey), atol=1e-12)

    def test_chat_messages_are_texts(self):
        answers = [[{"role": "assistant", "content": text}] for text in ("yes", "no")]
        frame = pd.DataFrame({"who": ["ann", "bob"], "a": [answers[0]] * 2, "b": [answers[1]] * 2, "vote": "a"})
        assert read(frame)[0].items == ("no", "yes")
        parts = [{"role": "user", "content": [{"type": "text", "text": "why"}, {"type": "text", "text": "not"}]}]
        assert read(frame.assign(a=[parts] * 2))[0].items == ("no", "why\n\nnot")


class TestWords:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("first", "second"), ("left", "right"), ("a", "b"), ("A", "B"), ("1", "2"), (1, 2), (1.0, 2.0),
            ("model_a", "model_b"), ("Response 1", "Response 2"), ("tea", "milk"), (" Left ", "right"),
        ],
    )  # fmt: skip
    def test_sides(self, first, second):
        comparisons, _ = read(table(first, second, first))
        np.testing.assert_array_equal(comparisons.winner, FIRST_SECOND.winner)

    def test_names_of_items_either_way_round(self):
        frame = table("tea", "tea", "milk", a=["tea", "milk", "milk"], b=["milk", "tea", "tea"])
        comparisons, _ = read(frame)
        np.testing.assert_array_equal(comparisons.winner, [1, 1, 0])
        np.testing.assert_array_equal(comparisons.winner_first, [True, False, True])
        with pytest.raises(
            ValueError, match="expected the name of one of the two items, got 'milk' in row 2, where .* 'b'"
        ):
            read(frame.assign(a=["tea", "milk", "b"], b=["milk", "tea", "a"]))

    def test_items_that_are_called_like_sides(self):
        frame = table("a", "b", "b", a=["a", "a", "a"], b=["b", "b", "b"])
        np.testing.assert_array_equal(read(frame)[0].winner, [0, 1, 1])
        turned = frame.assign(a=["b", "a", "a"], b=["a", "b", "b"])
        with pytest.raises(ValueError, match="expected words with one meaning, got 'a' in row 0, which is the name"):
            read(turned)
        labels = {"a": "first", "b": "second"}
        np.testing.assert_array_equal(read(turned, labels=labels)[0].winner, [1, 1, 1])

    def test_words_of_ones_own(self):
        labels = {"ja": "first", "nein": "second", "egal": "tie", "?": "drop"}
        comparisons, report = read(table("ja", "nein", "egal", "?"), labels=labels)
        assert len(comparisons) == 4 and report.ties == 1
        assert report.dropped == {"with a choice that was to be dropped": 1}
        with pytest.raises(ValueError, match="^labels: expected a meaning for every word .* none for 'oh'"):
            read(table("ja", "oh"), labels=labels)
        with pytest.raises(ValueError, match="^labels: expected 'first'.* got '1st'"):
            read(table("ja", "oh"), labels={"ja": "1st"})

    def test_an_unknown_word_is_named(self):
        with pytest.raises(
            ValueError, match=r"^choice: expected words .* got 'perhaps' in row 1; .*labels=\{'perhaps'"
        ):
            read(table("first", "perhaps"))

    @pytest.mark.parametrize("votes", [(0, 1), ("0", "1"), (True, False), (1, 0, 0)])
    def test_what_may_be_read_both_ways_is_refused(self, votes):
        with pytest.raises(ValueError, match="^choice: expected first/second .* labels={"):
            read(table(*votes))
        labels = {vote: "first" if int(vote) else "second" for vote in set(votes)}
        assert read(table(*votes), labels=labels)[0].winner[0] == (1 if int(votes[0]) else 0)

    def test_zero_beside_one_and_two_is_a_tie(self):
        assert read(table(1, 2, 0))[1].ties == 1 and read(table("1", "2", "0"))[1].ties == 1


class TestOneOff:
    """Responses that were judged once each have no rewards of their own to be learned."""

    def frame(self, n=20_000):
        each = np.arange(n)
        return pd.DataFrame({"respondent": each % 500, "first": 2 * each, "second": 2 * each + 1, "choice": "first"})

    @pytest.mark.parametrize(
        "reading",
        [
            Comparisons.from_frame,
            lambda frame: read_comparisons(
                frame, **{"annotator": "respondent"}, **{n: n for n in ("first", "second", "choice")}
            ),
        ],
    )
    def test_features_are_asked_for_before_memory_is_taken(self, reading):
        frame = self.frame()
        gc.collect()
        tracemalloc.start()
        with pytest.raises(ValueError, match="expected features of the items, as there are 40000 items and only 20000"):
            reading(frame)
        assert tracemalloc.get_traced_memory()[1] < 5e7
        tracemalloc.stop()

    def test_with_features_they_are_read(self):
        frame = self.frame(5000)
        features = pd.DataFrame({"x": np.random.default_rng(0).normal(size=10_000)})
        assert len(Comparisons.from_frame(frame, features)) == 5000


def test_json_lines_with_texts_in_other_scripts(tmp_path):
    rows = [{"who": "ann", "a": "茶", "b": "молоко", "vote": "茶"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert read(tmp_path / "a.jsonl")[0].items == ("молоко", "茶")
