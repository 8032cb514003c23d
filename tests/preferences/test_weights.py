"""What a choice counts: in every likelihood, by two routes (rows repeated, and scikit-learn), and ties as halves."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_agreement,
    annotator_log_likelihood,
    fit_bradley_terry,
    fit_mixture,
    select_n_groups,
    simulate_comparisons,
)


def weighted(n_items=5, d=None, n_annotators=24, seed=0):
    """Comparisons with whole weights from one to three, and the same with rows repeated."""
    rng = np.random.default_rng(seed)
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    population = Population([0.6, 0.4], 1.5 * rng.normal(size=(2, features.shape[1])))
    plain, _ = simulate_comparisons(population, features, n_annotators, 12, rng)
    weight = rng.integers(1, 4, size=len(plain))
    rows = np.repeat(np.arange(len(plain)), weight)
    one = Comparisons(features, plain.winner, plain.loser, plain.annotator, weight=weight)
    return one, Comparisons(features, plain.winner[rows], plain.loser[rows], plain.annotator[rows])


CASES = [(5, None), (5, 3), (40, 3), (80, None)]  # a row is a pair or a comparison, with features or without


@pytest.mark.parametrize(("n_items", "d"), CASES)
class TestRepeatedRows:
    def test_likelihood_and_agreement(self, n_items, d):
        one, repeated = weighted(n_items, d)
        phi = np.random.default_rng(1).normal(size=(2, one.features.shape[1]))
        for score in (annotator_log_likelihood, annotator_agreement):
            np.testing.assert_allclose(score(phi, one), score(phi, repeated), rtol=1e-12)

    @pytest.mark.filterwarnings("ignore:comparisons. the compared pairs")
    def test_bradley_terry(self, n_items, d):
        one, repeated = weighted(n_items, d)
        np.testing.assert_allclose(fit_bradley_terry(one, l2=0.2), fit_bradley_terry(repeated, l2=0.2), atol=1e-10)
        extra = np.random.default_rng(2).integers(1, 3, size=len(one))
        twice = Comparisons(one.features, one.winner, one.loser, one.annotator, weight=one.weight * extra)
        found = fit_bradley_terry(one, sample_weight=extra, l2=0.2)
        np.testing.assert_allclose(found, fit_bradley_terry(twice, l2=0.2), atol=1e-10)

    @pytest.mark.filterwarnings("ignore:fit_mixture")
    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    def test_mixture(self, n_items, d, assignment):
        one, repeated = weighted(n_items, d)
        start = np.random.default_rng(3).dirichlet([1, 1], size=24)
        a, b = (
            fit_mixture(c, 2, l2=0.5, start=start, assignment=assignment, tol=1e-13, max_iter=3000)
            for c in (one, repeated)
        )
        np.testing.assert_allclose(a.log_likelihood, b.log_likelihood, rtol=1e-9)
        np.testing.assert_allclose(a.parameters, b.parameters, atol=1e-5)
        np.testing.assert_allclose(a.posterior(one), b.posterior(repeated), atol=1e-5)


def test_how_many_groups():
    one, repeated = weighted(5, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = [select_n_groups(c, [1, 2], l2=0.5, n_folds=3, n_restarts=4) for c in (one, repeated)]
    np.testing.assert_allclose(*(table.drop(columns="chosen").to_numpy(dtype=float) for table in tables), rtol=1e-5)


@pytest.mark.parametrize(("n_items", "d"), CASES)
@pytest.mark.filterwarnings("ignore:comparisons. the compared pairs")
def test_scikit_learn(n_items, d):
    one, _ = weighted(n_items, d)
    weight = np.random.default_rng(4).uniform(0.1, 2, size=len(one))
    ours = Comparisons(one.features, one.winner, one.loser, one.annotator, weight=weight)
    # Both ways round: scikit-learn wants two classes.
    x = np.concatenate([ours.difference, -ours.difference])
    y = np.repeat([1, 0], len(ours))
    model = LogisticRegression(C=1 / 0.7, fit_intercept=False, tol=1e-10, max_iter=10_000, solver="newton-cg")
    model.fit(x, y, sample_weight=np.concatenate([weight, weight]) / 2)
    np.testing.assert_allclose(fit_bradley_terry(ours, l2=0.7), model.coef_[0], atol=1e-6)


def test_ties_as_halves_by_hand():
    # Three wins, one loss, two ties: odds of 3 + 1 to 1 + 1.
    winner, weight = [0, 0, 0, 1, 0, 1, 0, 1], [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    comparisons = Comparisons(None, winner, 1 - np.array(winner), np.zeros(8, dtype=int), weight=weight)
    reward = fit_bradley_terry(comparisons)
    np.testing.assert_allclose(reward[0] - reward[1], np.log(2), atol=1e-12)
    # A tie is half of a comparison with either outcome in the likelihood, too.
    p = 1 / 3
    expected = 3 * np.log(1 - p) + np.log(p) + np.log(p * (1 - p))
    np.testing.assert_allclose(annotator_log_likelihood(reward, comparisons), [expected], rtol=1e-12)


class TestNames:
    survey = Comparisons.from_frame(load_survey()[0])

    def test_of_the_survey(self):
        assert list(self.survey.annotators) == list(range(1, 193)) and (self.survey.weight == 1).all()
        first = load_survey()[0]["choice"] == "first"
        np.testing.assert_array_equal(self.survey.winner_first, first)

    def test_survive_every_step(self):
        some = self.survey.take([5, 3, 5])
        assert some.annotators == (6, 4, 6) and some.items == self.survey.items
        np.testing.assert_array_equal(some.winner_first[:15], self.survey.winner_first[self.survey.annotator == 5])
        kept = some.where(some.annotator < 2)
        assert kept.annotators == (6, 4) and kept.winner_first.shape == kept.weight.shape == (30,)

    def test_weights_survive(self):
        comparisons = Comparisons(None, [0, 1, 0], [1, 0, 1], [0, 1, 1], weight=[1.0, 2.0, 3.0], annotators=("a", "b"))
        assert comparisons.take([1, 0]).weight.tolist() == [2.0, 3.0, 1.0]
        assert comparisons.where([False, True, True]).weight.tolist() == [2.0, 3.0]

    def test_left_out_they_are_numbers(self):
        comparisons = Comparisons(None, [0, 1], [1, 0], [0, 1])
        assert list(comparisons.annotators) == [0, 1] and comparisons.winner_first is None and comparisons.one_hot
        with pytest.raises(ValueError, match="read-only"):
            comparisons.weight[0] = 2

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"weight": [1.0]}, r"weight: expected shape \(2,\)"),
            ({"weight": [1.0, 0.0]}, r"weight: expected numbers above 0, got 0\.0 at position 1"),
            ({"weight": [1.0, -1.0]}, "weight: expected numbers above 0"),
            ({"weight": [1.0, np.nan]}, "weight: expected finite numbers"),
            ({"annotators": ["a"]}, "annotators: expected 2 names, got 1"),
            ({"winner_first": [1, 0]}, "winner_first: expected booleans"),
            ({"winner_first": [True]}, "winner_first: expected booleans of shape"),
            ({"items": "abc", "winner": [3, 1]}, r"winner: expected indices in 0\.\.2, got 3"),
        ],
    )
    def test_bad_ones_are_named(self, change, told):
        given = {"features": None, "winner": [0, 1], "loser": [1, 0], "annotator": [0, 1]} | change
        with pytest.raises(ValueError, match=f"^{told}"):
            Comparisons(**given)

    def test_sparse_features_of_ones_own_are_named(self):
        from scipy import sparse

        assert Comparisons(sparse.eye_array(3), [0], [1], [0]).one_hot
        with pytest.raises(ValueError, match="^features: expected an array, or None for one-hot items, got a sparse"):
            Comparisons(sparse.eye_array(3) * 2, [0], [1], [0])
