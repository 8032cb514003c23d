import warnings

import numpy as np
import pytest
from scipy.special import logsumexp

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_log_likelihood,
    fit_bradley_terry,
    fit_mixture,
    select_n_groups,
    simulate_comparisons,
)


def simulated(seed, n_groups=2, n_annotators=40, n_per_annotator=10, n_items=6, d=None, spread=2.0):
    rng = np.random.default_rng(seed)
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    parameters = spread * rng.normal(size=(n_groups, features.shape[1]))
    population = Population(rng.dirichlet(np.full(n_groups, 3.0)), parameters)
    return population, *simulate_comparisons(population, features, n_annotators, n_per_annotator, rng)


def mixture_of_one(fit, comparisons, i):
    return logsumexp(annotator_log_likelihood(fit.parameters, comparisons)[:, i] + np.log(fit.weights))


class TestSelect:
    @pytest.mark.filterwarnings("ignore:select_n_groups")  # a third group that is not there may run away
    def test_select_n_groups(self):
        _, comparisons, _ = simulated(11, 2, n_annotators=120, n_per_annotator=40)
        for criterion in ("heldout", "bic", "bic_comparisons"):
            table = select_n_groups(comparisons, [1, 2, 3], criterion=criterion, n_folds=3, n_restarts=4)
            assert table.chosen.sum() == 1 and list(table.index) == [1, 2, 3]
            assert table.chosen[2] or criterion == "heldout"
        assert (np.diff(table.log_likelihood) > 0).all()
        assert table.heldout[2] > table.heldout[1] + 1
        difference = table.bic_comparisons - table.bic
        np.testing.assert_allclose(difference, [(6 * k - 1) * np.log(40) for k in (1, 2, 3)])

    def test_heldout_is_over_annotators_by_hand(self):
        _, comparisons, _ = simulated(12, n_annotators=4, n_per_annotator=50)
        table = select_n_groups(comparisons, [1], n_folds=4)
        by_hand = []
        for i in range(4):
            phi = fit_bradley_terry(comparisons, sample_weight=comparisons.annotator != i)
            by_hand.append(annotator_log_likelihood(phi, comparisons)[i])
        np.testing.assert_allclose(table.heldout[1], np.mean(by_hand), rtol=1e-6)
        both = select_n_groups(comparisons, [1, 2], n_folds=4, l2=0.5)
        assert (both.behind == 0).sum() == 1 and both.behind.min() == 0
        apart = []
        for i in range(4):
            kept = np.flatnonzero(np.arange(4) != i)
            rows = np.isin(comparisons.annotator, kept)
            part = Comparisons(
                comparisons.features,
                comparisons.winner[rows],
                comparisons.loser[rows],
                np.searchsorted(kept, comparisons.annotator[rows]),
            )
            fits = [fit_mixture(part, k, l2=0.5) for k in (1, 2)]
            apart.append([mixture_of_one(fit, comparisons, i) for fit in fits])
        apart = np.diff(np.array(apart), axis=1)[:, 0]
        np.testing.assert_allclose(both.behind.max(), abs(apart.mean()), rtol=1e-3)
        np.testing.assert_allclose(both.behind_se.max(), apart.std(ddof=1) / 2, rtol=1e-3)

    @pytest.mark.parametrize(
        ("candidates", "change", "name"),
        [
            ([], {}, "candidates"),
            ([1], {"criterion": "aic"}, "criterion"),
            ([1], {"n_folds": 1}, "n_folds"),
            ([1], {"n_folds": 41}, "n_folds"),
            ([33], {"n_folds": 5}, "candidates"),
            ([1], {"seed": np.random.default_rng(0)}, "seed"),
            ([1], {"start": np.ones((40, 1))}, "start"),
        ],
    )
    def test_select_names_bad_arguments(self, candidates, change, name):
        _, comparisons, _ = simulated(0)
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            select_n_groups(comparisons, candidates, **change)


class TestWarnings:
    def test_it_is_said_once(self):
        # Everybody answers alike: a second reward costs more than it explains.
        comparisons = Comparisons(np.eye(3), [0, 1, 1] * 30, [1, 2, 0] * 30, np.repeat(np.arange(30), 3))
        with pytest.warns(RuntimeWarning) as caught:
            select_n_groups(comparisons, [1, 2], n_folds=2, l2=5.0)
        said = [str(warning.message) for warning in caught]
        assert all(line.startswith("select_n_groups: with 2 groups, ") for line in said)
        assert sum("is not above that of 1" in line for line in said) == 2
        assert sum("in 2 of 2 folds, the first: fit_mixture: " in line for line in said) == 1
        assert all(warning.filename == __file__ for warning in caught)

    def test_a_fold_with_several_complaints_counts_once(self):
        # Both folds stop early, and below one group.
        survey = Comparisons.from_frame(load_survey()[0])
        with pytest.warns(RuntimeWarning) as caught:
            select_n_groups(survey, [3], n_folds=2, n_restarts=1, l2=500.0, max_iter=1)
        said = [str(warning.message).removeprefix("select_n_groups: with 3 groups, ") for warning in caught]
        stopped = "fit_mixture: stopped at max_iter=1 before the objective settled to 1e-08"
        assert len(said) == 3 and said[0] == stopped and "is not above that of" in said[1]
        assert said[2] == f"in 2 of 2 folds, the first: {stopped}"

    def test_candidates_are_compared(self):
        # From one restart each, six groups sometimes end below five: from which seeds is up to a processor
        survey, ends = Comparisons.from_frame(load_survey()[0]), {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for seed in range(100):
                of_seed = [fit_mixture(survey, k, n_restarts=1, l2=0.5, seed=seed).history[-1] for k in (5, 6)]
                ends.setdefault(of_seed[1] < of_seed[0], (seed, *of_seed))
                if len(ends) == 2:
                    break
        for below, (seed, five, six) in ends.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                select_n_groups(survey, [5, 6], n_folds=2, n_restarts=1, l2=0.5, seed=seed)
            said = [str(w.message) for w in caught if "is below that with" in str(w.message)]
            assert len(said) == below
            assert not below or f"with 6 groups, the objective, {six:.3f}, is below that with 5, {five:.3f}" in said[0]
        assert set(ends) == {True, False}
