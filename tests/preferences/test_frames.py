"""Tables as polars itself makes them (a fake stands for it in test_tables), and columns that serve for two things."""

import sys

import numpy as np
import pandas as pd
import pytest

from maxmin_core.preferences import Comparisons, read_comparisons, read_table

VOTES = {
    "respondent": ["ann", "bob", "cy", "cy"],
    "first": ["tea", "milk", "tea", "beer"],
    "second": ["milk", "tea", "beer", "milk"],
    "choice": ["first", "second", "first", "second"],
    "weight": [1.0, 2.0, 1.0, 0.5],
    "age": [30, 40, 50, 50],
}
COLUMNS = {"annotator": "respondent", "first": "first", "second": "second", "choice": "choice"}


def read(source, **more):
    return read_comparisons(source, **COLUMNS | more)


class TestPolars:
    @pytest.fixture
    def pl(self):
        return pytest.importorskip("polars")

    @pytest.mark.parametrize("kind", ["frame", "lazy", "categories", "enum", "dataset"])
    def test_it_is_read_as_pandas_are(self, pl, kind):
        from datasets import Dataset

        frame = pl.DataFrame(VOTES)
        source = {
            "frame": lambda: frame,
            "lazy": frame.lazy,
            "categories": lambda: frame.with_columns(pl.col("respondent", "first", "choice").cast(pl.Categorical)),
            "enum": lambda: frame.with_columns(pl.col("choice").cast(pl.Enum(["first", "second"]))),
            "dataset": lambda: Dataset.from_polars(frame).with_format("polars"),
        }[kind]()
        (found, told), (expected, known) = (
            read(one, weight="weight", group="age") for one in (source, pd.DataFrame(VOTES))
        )
        for name in ("winner", "loser", "annotator", "weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert (found.items, found.annotators, told.groups) == (expected.items, expected.annotators, known.groups)
        again = Comparisons.from_frame(source)
        np.testing.assert_array_equal(again.winner, Comparisons.from_frame(pd.DataFrame(VOTES)).winner)
        assert list(read_table(source).columns) == list(VOTES)

    def test_what_is_missing_and_rankings(self, pl):
        votes = VOTES | {"respondent": [1, None, 3, 3]}
        found, report = read(pl.DataFrame(votes))
        assert list(found.annotators) == [1, 3] and report.dropped == {"without an annotator": 1}
        ranked = pl.DataFrame({"who": ["ann", "bob"], "best": [["tea", "milk", "beer"], ["milk", "tea"]]})
        assert read_comparisons(ranked, annotator="who", choice="best")[1].votes == 4

    def test_without_pyarrow_it_says_so(self, pl, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(
            ValueError, match=r"^source: expected the packages .* polars\.DataFrame .*pip install pyarrow"
        ):
            read(pl.DataFrame(VOTES))

    def test_its_rows_are_features_and_its_frames_are_not(self, pl):
        rows = {"tea": pl.Series([1.0, 0.0]), "milk": [0.0, 1.0], "beer": np.array([2.0, 3.0])}
        comparisons, _ = read(pl.DataFrame(VOTES), features=rows)
        assert comparisons.features.tolist() == [[1, 0], [0, 1], [2, 3]] and comparisons.items == (
            "tea",
            "milk",
            "beer",
        )
        told = r"^features: expected a pandas frame .*, got polars\.DataFrame; give features\.to_pandas\(\)\.set_index"
        for reads in (read, Comparisons.from_frame):
            with pytest.raises(ValueError, match=told):
                reads(pl.DataFrame(VOTES), features=pl.DataFrame({"item": ["tea"], "n": [1.0]}))


class TestFeatures:
    def test_a_dataset_is_none(self):
        from datasets import Dataset

        with pytest.raises(ValueError, match=r"got datasets\.Dataset; give features\.to_pandas\(\)"):
            read(VOTES, features=Dataset.from_dict({"item": ["tea"]}))

    def test_an_array_says_of_no_item_whose_it_is(self):
        with pytest.raises(ValueError, match=r"^features: expected a pandas frame .*, got numpy\.ndarray$"):
            read(VOTES, features=np.eye(3))

    @pytest.mark.parametrize("n", [0, 2, 4])
    def test_a_function_returns_a_row_a_text(self, n):
        texts = {"item_text": ("first", "second"), "features": lambda _: np.ones((n, 2))}
        with pytest.raises(ValueError, match=rf"^features: expected one row for each of 3 texts, got shape \({n}, 2\)"):
            read(VOTES, **texts)


class TestTwice:
    @pytest.mark.parametrize("column", ["respondent", "first", "second", "choice"])
    def test_a_weight_is_nothing_else(self, column):
        name = next(name for name, given in COLUMNS.items() if given == column)
        with pytest.raises(ValueError, match=f"^{name}: expected a column of its own, got '{column}', which stands"):
            read(VOTES, weight=column)

    def test_the_texts_of_two_items_are_two_columns(self):
        with pytest.raises(ValueError, match="^item_text: expected a column for the first item .*, got 'first' twice"):
            read(VOTES, item_text=("first", "first"))
        # The names themselves may be the texts.
        assert read(VOTES, item_text=("first", "second"))[1].item_text["tea"] == "tea"

    def test_what_is_said_of_people_may_stand_for_something_else_too(self):
        assert read(VOTES, group=["respondent", "age", "age"])[1].groups["respondent"] == ("ann", "bob", "cy")

    @pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, np.zeros(2)])
    def test_several_values_in_one_place_are_named(self, value):
        with pytest.raises(
            ValueError, match=r"^group: expected one value a row in column 'age', got several .*make them"
        ):
            read(VOTES | {"age": [value] * 4}, group="age")


def test_columns_of_several_lengths_are_named():
    with pytest.raises(ValueError, match="^source: expected columns of one length in the dictionary"):
        read(VOTES | {"age": [1]})
