"""What a choice can be in a table: scores, ties, rankings; and what the report says of it."""

import numpy as np
import pandas as pd
import pytest

from maxmin_core.preferences import fit_bradley_terry, read_comparisons

from .votes import read, table


class TestScores:
    @pytest.mark.parametrize("cast", [int, float, str])
    def test_signs_and_margins(self, cast):
        frame = table(*map(cast, (-3, 2, 0, 1)))
        with pytest.raises(
            ValueError, match="^positive: expected 'first' or 'second', .* scores from -3 to 2, got None"
        ):
            read(frame)
        comparisons, report = read(frame, positive="second")
        np.testing.assert_array_equal(comparisons.winner, [1, 0, 1, 0, 0])
        np.testing.assert_array_equal(comparisons.weight, [1, 1, 0.5, 1, 0.5])
        assert report.ties == 1
        comparisons, _ = read(frame, positive="second", margin=True)
        np.testing.assert_array_equal(comparisons.weight, [3, 2, 0.5, 1, 0.5])
        assert read(frame, positive="first")[0].winner[0] == 0

    def test_scores_without_a_negative_one(self):
        # Asked for, 1 and 2 are scores, not sides.
        np.testing.assert_array_equal(read(table(1, 2, 1), positive="first")[0].winner, [1, 1, 1])

    def test_words_that_say_how_clearly(self):
        frame = table("A-is-clearly-better", "B-is-slightly-better", "Tie")
        comparisons, _ = read(frame, margin=True)
        np.testing.assert_array_equal(comparisons.weight, [2, 1, 0.5, 0.5])
        assert (read(frame)[0].weight == [1, 1, 0.5, 0.5]).all()
        with pytest.raises(ValueError, match="^margin: expected False"):
            read(table("first", "second"), margin=True)


class TestTies:
    frame = table("first", "tie", "tie (bothbad)", "second")

    def test_halves_by_hand(self):
        comparisons, report = read(self.frame)
        assert len(comparisons) == 6 and comparisons.weight.sum() == 4
        assert (report.votes, report.ties, report.both_bad) == (4, 1, 1)
        assert report.table["outcome"].tolist() == ["first", "tie", "both_bad", "second"]
        assert report.changed == {"ties count as half a choice either way": 2}
        # One win and two halves to one win and two halves.
        np.testing.assert_allclose(fit_bradley_terry(comparisons), [0, 0], atol=1e-12)
        # Half of a tie goes to what was shown first.
        assert comparisons.weight @ comparisons.winner_first == 2

    def test_dropped(self):
        comparisons, report = read(self.frame, ties="drop")
        assert len(comparisons) == 2 and report.dropped == {"ties": 1, "ties that called both bad": 1}

    def test_refused(self):
        with pytest.raises(ValueError, match="^ties: expected none, got 2, the first is 'tie'"):
            read(self.frame, ties="error")
        with pytest.raises(ValueError, match="^ties: expected 'half'"):
            read(self.frame, ties="maybe")
        assert read(table("first", "second"), ties="error")[1].ties == 0


class TestRankings:
    def test_a_ranking_counts_one(self):
        frame = pd.DataFrame({"who": ["ann", "bob", "bob"], "best": ["B>A=C", ["C", "A"], "B"]})
        comparisons, report = read_comparisons(frame, annotator="who", choice="best")
        # ann: B over A, B over C, A and C alike, a third each; bob: C over A.
        assert comparisons.items == ("A", "B", "C") and comparisons.winner_first is None
        np.testing.assert_allclose(np.bincount(comparisons.annotator, comparisons.weight), [1, 1])
        np.testing.assert_array_equal(comparisons.winner, [1, 1, 0, 2, 2])
        np.testing.assert_array_equal(comparisons.loser, [0, 2, 2, 0, 0])
        np.testing.assert_allclose(comparisons.weight, [1 / 3, 1 / 3, 1 / 6, 1, 1 / 6])
        assert report.dropped == {"rankings of fewer than two items": 1} and report.ties == 1

    def test_weights_of_rankings(self):
        frame = pd.DataFrame({"who": ["ann"], "best": ["a>b>c"], "w": [6]})
        comparisons, _ = read_comparisons(frame, annotator="who", choice="best", weight="w")
        np.testing.assert_allclose(comparisons.weight, [2, 2, 2])

    def test_an_item_twice_is_refused(self):
        with pytest.raises(ValueError, match="^choice: expected rankings that name every item once, got 'a>b>a'"):
            read_comparisons([{"who": "ann", "best": "a>b>a"}], annotator="who", choice="best")


class TestReport:
    def test_everything_dropped_is_counted(self):
        frame = pd.DataFrame(
            [
                ("ann", "tea", "milk", "first", 1.0, "f"), (None, "tea", "milk", "first", 1.0, "f"),
                ("ann", "", "milk", "first", 1.0, "f"), ("ann", "tea", None, "first", 1.0, "f"),
                ("ann", "tea", "milk", None, 1.0, "f"), ("ann", "tea", "tea", "first", 1.0, "f"),
                ("ann", "tea", "milk", "second", 0.0, "f"), ("bob", "tea", "milk", "second", None, "m"),
                ("bob", "tea", "milk", "second", 2.5, "m"), ("bob", "tea", "milk", "second", 1.0, "f"),
            ],
            columns=["who", "a", "b", "vote", "w", "gender"],
        )  # fmt: skip
        comparisons, report = read(frame, weight="w", group=["gender"])
        assert report.dropped == {
            "without an annotator": 1, "without a first item": 1, "without a second item": 1, "without a choice": 1,
            "with an item beside itself": 1, "of weight 0": 1, "without a weight": 1,
        }  # fmt: skip
        assert report.rows == 10 and report.votes == len(comparisons) == 3
        assert report.rows == report.votes + sum(report.dropped.values())
        np.testing.assert_array_equal(comparisons.weight, [1, 2.5, 1])
        assert report.groups == {"gender": ("f", None)}
        assert report.changed == {"people who said several things of gender, and now none": 1}
        assert "10 rows: 3 votes by 2 people on 2 items." in str(report) and "Dropped: 1 without" in str(report)

    def test_a_negative_weight_is_refused(self):
        with pytest.raises(ValueError, match="^weight: expected numbers of at least 0, got -1"):
            read(table("first", "second", w=[1, -1]), weight="w")

    def test_nothing_left_says_why(self):
        with pytest.raises(ValueError, match="got none that can be used; dropped: {'without a choice': 2}"):
            read(table(None, None))
        with pytest.raises(ValueError, match="dropped: {'ties': 2}"):
            read(table("tie", "tie"), ties="drop")

    def test_features_and_texts(self):
        texts = {"tea": "a hot drink", "milk": "white"}
        by_name = pd.DataFrame({"length": [5.0, 11.0, 4.0]}, index=["milk", "tea", "rum"])
        comparisons, _ = read(table("first", "second", "first"), features=by_name)
        assert comparisons.items == ("milk", "tea", "rum") and comparisons.difference.ravel().tolist() == [6, -6, 6]
        comparisons, report = read(
            table("first", "second"), item_text=texts, features=lambda found: [[len(text)] for text in found]
        )
        assert report.item_text == texts and comparisons.features.ravel().tolist() == [5, 11]
        frame = table("first", "second", ta=["hot", "cold"], tb="white")
        _, report = read(frame, item_text=("ta", "tb"))
        assert report.item_text == {"tea": "hot", "milk": "white"} and list(report.changed.values()) == [1]
        with pytest.raises(ValueError, match="^item_text: expected the texts of the items"):
            read(table("first", "second"), features=len)
        with pytest.raises(ValueError, match="^item_text: expected a text for every item, got none for 'milk'"):
            read(table("first", "second"), item_text={"tea": "hot"})
        with pytest.raises(ValueError, match="^features: expected one row an item, got several for 'tea'"):
            read(table("first", "second"), features=by_name.set_axis(["tea", "tea", "milk"]))
