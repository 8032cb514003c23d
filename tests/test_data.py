import numpy as np

from maxmin_core.data import load_survey, load_toy
from maxmin_core.preferences import Comparisons


def test_counts_of_the_survey():
    comparisons, respondents = load_survey()
    assert len(comparisons) == 192 * 15
    assert sorted(set(comparisons["first"]) | set(comparisons["second"])) == [
        "CDU/CSU",
        "FDP",
        "Gruene",
        "Linke",
        "SPD",
        "none",
    ]
    assert list(respondents.index) == sorted(set(comparisons["respondent"])) == list(range(1, 193))
    assert respondents["gender"].value_counts().to_dict() == {"female": 96, "male": 96}
    # Stratified: 48 in each cell of gender and age.
    assert (respondents.groupby(["gender", respondents["age"] < 30]).size() == 48).all()


def test_everybody_judged_every_pair_once():
    comparisons = Comparisons.from_frame(load_survey()[0])
    low, high = np.minimum(comparisons.winner, comparisons.loser), np.maximum(comparisons.winner, comparisons.loser)
    assert len(set(zip(comparisons.annotator, low, high, strict=True))) == 192 * 15


def test_the_order_of_respondents_is_that_of_annotators():
    frame, respondents = load_survey()
    comparisons = Comparisons.from_frame(frame)
    np.testing.assert_array_equal(respondents.index.to_numpy()[comparisons.annotator], frame["respondent"])


class TestToy:
    def test_what_each_person_was_asked_and_chose(self):
        frame = load_toy()
        assert len(frame) == 36
        first = frame.assign(first_wins=frame["choice"] == "first").groupby(["respondent", "first", "second"])
        counts = first["first_wins"].agg(["sum", "size"])
        assert (counts["size"] == 6).all()
        assert counts["sum"].to_dict() == {
            ("Ana", "middle", "expert"): 4,
            ("Ana", "plain", "middle"): 5,
            ("Ben", "middle", "expert"): 4,
            ("Ben", "plain", "middle"): 5,
            ("Cleo", "middle", "expert"): 1,
            ("Cleo", "plain", "middle"): 2,
        }

    def test_it_reads_as_comparisons(self):
        toy = Comparisons.from_frame(load_toy())
        assert toy.items == ("expert", "middle", "plain")
        # Wins by hand: expert 2 + 2 + 5, middle (1 + 4) + (1 + 4) + (4 + 1), plain 5 + 5 + 2.
        np.testing.assert_array_equal(np.bincount(toy.winner), [9, 15, 12])
        np.testing.assert_array_equal(np.bincount(toy.annotator), [12, 12, 12])
