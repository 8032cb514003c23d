from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxmin_core.data import load_survey
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

    def test_who_is_compared_with_themselves_is_named(self):
        with pytest.raises(ValueError, match="got item 2 compared with itself at position 1$"):
            Comparisons(np.eye(3), [0, 2, 1], [1, 2, 0], [0, 0, 0])

    def test_equal_to_itself_alone_and_not_to_be_changed(self):
        one, other = (Comparisons(np.eye(2), [0], [1], [0]) for _ in range(2))
        assert one == one and one != other and len({one, other}) == 2
        with pytest.raises(FrozenInstanceError):
            one.winner = np.array([1])

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


class TestTake:
    comparisons = Comparisons(
        [[0.0], [1.0], [3.0]], [0, 1, 2, 0, 1], [1, 2, 0, 2, 0], [2, 0, 2, 3, 0], items=("a", "b", "c")
    )

    def test_by_hand(self):
        taken = self.comparisons.take([2, 0])
        np.testing.assert_array_equal(taken.annotator, [0, 0, 1, 1])
        np.testing.assert_array_equal(taken.winner, [0, 2, 1, 1])
        np.testing.assert_array_equal(taken.loser, [1, 0, 2, 0])
        assert taken.items == ("a", "b", "c")
        np.testing.assert_array_equal(taken.features, self.comparisons.features)

    def test_twice_is_two_people(self):
        taken = self.comparisons.take([3, 2, 3])
        np.testing.assert_array_equal(taken.annotator, [0, 1, 1, 2])
        np.testing.assert_array_equal(taken.winner, [0, 0, 2, 0])

    def test_who_made_no_comparison_keeps_a_number(self):
        np.testing.assert_array_equal(self.comparisons.take([1, 3]).annotator, [1])

    @given(st.integers(0, 2**32 - 1))
    def test_by_a_loop(self, seed):
        rng = np.random.default_rng(seed)
        first = rng.integers(4, size=30)
        comparisons = Comparisons(np.eye(4), first, (first + 1) % 4, rng.integers(6, size=30))
        people = rng.integers(comparisons.n_annotators, size=8)
        rows = [(k, row) for k, i in enumerate(people) for row in np.flatnonzero(comparisons.annotator == i)]
        if rows:
            taken = comparisons.take(people)
            np.testing.assert_array_equal(taken.annotator, [k for k, _ in rows])
            np.testing.assert_array_equal(taken.winner, comparisons.winner[[row for _, row in rows]])

    def test_everybody_in_order_is_the_same_data(self):
        survey = Comparisons.from_frame(load_survey()[0])
        same = survey.take(np.arange(192))
        for name in ("winner", "loser", "annotator", "features"):
            np.testing.assert_array_equal(getattr(same, name), getattr(survey, name))
        assert same.items == survey.items

    @pytest.mark.parametrize("annotators", [[4], [-1], [0.0], [True, False], [[0]]])
    def test_bad_annotators_are_named(self, annotators):
        with pytest.raises(ValueError, match="^annotators: expected"):
            self.comparisons.take(annotators)

    @pytest.mark.parametrize("annotators", [[1], np.array([], dtype=int)])
    def test_nobody_who_chose_is_refused(self, annotators):
        with pytest.raises(ValueError, match="^winner: expected at least one comparison"):
            self.comparisons.take(annotators)

    def test_where(self):
        kept = self.comparisons.where(self.comparisons.winner != 1)
        np.testing.assert_array_equal(kept.annotator, [2, 2, 3])
        np.testing.assert_array_equal(kept.loser, [1, 0, 2])
        assert kept.items == ("a", "b", "c")

    @pytest.mark.parametrize("mask", [[True], [0, 1, 1, 0, 1], [[True] * 5]])
    def test_bad_masks_are_named(self, mask):
        with pytest.raises(ValueError, match="^mask: expected"):
            self.comparisons.where(mask)

    def test_nothing_left_is_refused(self):
        with pytest.raises(ValueError, match="^winner: expected at least one comparison"):
            self.comparisons.where(np.zeros(5, dtype=bool))


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

    @pytest.mark.parametrize(("column", "values"), [("respondent", [7, "x"]), ("first", ["b", 1])])
    def test_names_of_several_types_are_named(self, column, values):
        frame = self.frame.assign(**{column: values})
        with pytest.raises(ValueError, match=f"^df: expected names of one type in column .*{column}.*mixture"):
            Comparisons.from_frame(frame)

    def test_an_item_without_features(self):
        with pytest.raises(ValueError, match="features: expected a row for every item, got none for 'c'"):
            Comparisons.from_frame(self.frame, pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"]))
