import numpy as np

from maxmin_core.data import load_survey
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
