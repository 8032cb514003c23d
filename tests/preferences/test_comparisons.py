import numpy as np
import pandas as pd
import pytest

from maxmin_core.preferences import Comparisons


class TestComparisons:
    @pytest.mark.parametrize(
        ("features", "winner", "loser", "annotator", "name"),
        [
            (np.ones(2), [0], [1], [0], "features"),
            ([[np.nan], [1.0]], [0], [1], [0], "features"),
            ([[np.inf], [1.0]], [0], [1], [0], "features"),
            ([["a"], ["b"]], [0], [1], [0], "features"),
            (np.eye(2), [], [], [], "winner"),
            (np.eye(2), [0.0], [1], [0], "winner"),
            (np.eye(2), [2], [1], [0], "winner"),
            (np.eye(2), [[0]], [1], [0], "winner"),
            (np.eye(2), [0], [-1], [0], "loser"),
            (np.eye(2), [0], [1, 1], [0], "loser"),
            (np.eye(2), [1], [1], [0], "loser"),
            (np.eye(2), [0], [1], [-1], "annotator"),
            (np.eye(2), [0], [1], [0, 1], "annotator"),
            (np.eye(2), [0], [1], [0.5], "annotator"),
        ],
    )
    def test_bad_arguments_are_named(self, features, winner, loser, annotator, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            Comparisons(features, np.array(winner, dtype=None if winner else int), loser, annotator)

    def test_bad_item_names(self):
        with pytest.raises(ValueError, match="^items: expected 2 different names"):
            Comparisons(np.eye(2), [0], [1], [0], items=("a", "a"))

    def test_copies_and_freezes(self):
        features = np.eye(2)
        comparisons = Comparisons(features, [0], [1], [0])
        features[0, 0] = 9.0
        assert comparisons.features[0, 0] == 1.0
        for array in (comparisons.features, comparisons.winner, comparisons.difference):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    def test_difference(self):
        comparisons = Comparisons([[1.0, 2.0], [5.0, 7.0]], [0, 1], [1, 0], [0, 3])
        np.testing.assert_array_equal(comparisons.difference, [[-4.0, -5.0], [4.0, 5.0]])
        assert (len(comparisons), comparisons.n_items, comparisons.n_annotators) == (2, 2, 4)


class TestFromFrame:
    frame = pd.DataFrame(
        {"respondent": [7, 3], "first": ["b", "a"], "second": ["a", "c"], "choice": ["first", "second"]}
    )

    def test_by_hand(self):
        comparisons = Comparisons.from_frame(self.frame)
        assert comparisons.items == ("a", "b", "c")
        np.testing.assert_array_equal(comparisons.winner, [1, 2])
        np.testing.assert_array_equal(comparisons.loser, [0, 0])
        np.testing.assert_array_equal(comparisons.annotator, [1, 0])
        np.testing.assert_array_equal(comparisons.features, np.eye(3))

    def test_features_of_ones_own(self):
        features = pd.DataFrame({"left": [0.5, 1.0, 2.0]}, index=["c", "a", "b"])
        comparisons = Comparisons.from_frame(self.frame, features)
        np.testing.assert_array_equal(comparisons.difference, [[1.0], [-0.5]])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.drop(columns="choice"), "df: expected columns.*missing choice"),
            (
                lambda f: f.assign(choice=["first", "both"]),
                "df: expected choice 'first' or 'second', got 'both' in row 1",
            ),
            (lambda f: f.assign(first=["b", None]), "df: expected no missing values, got one in column first, row 1"),
            (lambda f: f.assign(first=["a", "a"]), "loser: expected an item other than the winner"),
            (lambda f: f[:0], "df: expected at least one comparison"),
        ],
    )
    def test_bad_tables_are_named(self, change, message):
        with pytest.raises(ValueError, match=message):
            Comparisons.from_frame(change(self.frame))

    def test_an_item_without_features(self):
        with pytest.raises(ValueError, match="features: expected a row for every item, got none for 'c'"):
            Comparisons.from_frame(self.frame, pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"]))
