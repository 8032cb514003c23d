"""A component of reward zero, for people who choose at random: who they are, and that they are no group."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_log_likelihood,
    fit_mixture,
    match_groups,
    select_n_groups,
    simulate_comparisons,
)

ONE_HOT = np.eye(6)


def with_careless(seed=0, n_annotators=200, n_each=30, share=0.15, n_groups=2, features=ONE_HOT):
    """Comparisons by groups of opposed tastes and by people who choose at random; their group, -1 for the latter."""
    rng = np.random.default_rng(seed)
    taste = rng.permutation(np.linspace(-2, 2, features.shape[1]))
    parameters = np.stack([taste, -taste, taste[::-1]])[:n_groups]
    population = Population(
        np.array([0.6, 0.4, 0.3])[:n_groups] / np.array([0.6, 0.4, 0.3])[:n_groups].sum(), parameters
    )
    comparisons, group = simulate_comparisons(population, features, n_annotators, n_each, rng)
    careless = rng.random(n_annotators) < share
    random = careless[comparisons.annotator] & (rng.random(len(comparisons)) < 0.5)
    winner = np.where(random, comparisons.loser, comparisons.winner)
    loser = np.where(random, comparisons.winner, comparisons.loser)
    return Comparisons(features, winner, loser, comparisons.annotator), np.where(careless, -1, group), parameters


def log_likelihood(share, weights, parameters, comparisons):
    """The observed-data log-likelihood, written out."""
    each = annotator_log_likelihood(parameters, comparisons).T + np.log(np.asarray(weights) * (1 - share))
    at_random = np.log(share) + annotator_log_likelihood(np.zeros(comparisons.features.shape[1]), comparisons)
    return logsumexp(np.column_stack([each, at_random]), axis=1).sum()


class TestWhoTheyAre:
    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    def test_they_are_found_and_are_no_group(self, assignment):
        comparisons, group, parameters = with_careless()
        fit = fit_mixture(comparisons, 2, careless=True, assignment=assignment, l2=0.1)
        assert fit.parameters.shape == (2, 6) and fit.weights.shape == (2,) and fit.responsibilities.shape == (200, 2)
        np.testing.assert_allclose(fit.weights.sum(), 1)
        np.testing.assert_allclose(fit.responsibilities.sum(axis=1) + fit.careless, 1)
        # As often right as Bayes' rule that knows all, but for two people in a hundred.
        known = annotator_log_likelihood(np.vstack([parameters, np.zeros(6)]), comparisons).T
        known = (known + np.log([0.85 * 0.6, 0.85 * 0.4, 0.15])).argmax(axis=1) == 2
        right = [(said == (group == -1)).mean() for said in (fit.careless > 0.5, known)]
        assert right[0] >= right[1] - 0.02 and right[1] > 0.95
        # The share is that of those who were drawn, up to what thirty votes leave open.
        assert abs(fit.careless_share - (group == -1).mean()) < 0.04
        # Both rewards are strong: nobody's is that of the careless.
        learned = fit.parameters[match_groups(parameters, fit.parameters)]
        assert all(np.corrcoef(a, b)[0, 1] > 0.95 for a, b in zip(learned, parameters, strict=True))

    def test_without_them_a_group_is_made_of_them(self):
        comparisons, group, _ = with_careless(n_groups=1, share=0.3)
        plain = fit_mixture(comparisons, 2, l2=0.1)
        small = plain.responsibilities.argmax(axis=1) == 1
        # A second group is found whose members merely click; with the component there is one group.
        assert (small == (group == -1)).mean() > 0.9
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = select_n_groups(comparisons, [1, 2], careless=True, l2=0.1, n_folds=3)
        assert table.chosen[1] or table.behind[1] < 2 * table.behind_se[1]

    def test_where_nobody_is_careless_the_share_is_small(self):
        comparisons, _, _ = with_careless(share=0.0)
        assert fit_mixture(comparisons, 2, careless=True, l2=0.1).careless_share < 0.03

    @pytest.mark.parametrize("features", [np.eye(90), np.random.default_rng(5).normal(size=(300, 4))])
    def test_large_data_and_many_items(self, features):
        # More people than restarts on all data are affordable for: subsample and splitting know of the component, too.
        comparisons, group, _ = with_careless(n_annotators=1200, n_each=60, features=features)
        fit = fit_mixture(comparisons, 2, careless=True, l2=0.5)
        start = np.eye(3)[group]
        known = fit_mixture(comparisons, 2, careless=True, l2=0.5, start=start)
        assert fit.history[-1] > known.history[-1] - 0.1
        assert ((fit.careless > 0.5) == (group == -1)).mean() > 0.95


class TestSecondRoutes:
    def test_the_likelihood_by_a_general_optimiser(self):
        # One group and the careless on three items: two free numbers and a share.
        comparisons, _, _ = with_careless(seed=3, n_annotators=40, n_each=12, share=0.3, n_groups=1, features=np.eye(3))
        fit = fit_mixture(comparisons, 1, careless=True, tol=1e-14, max_iter=5000)

        def loss(x):
            return -log_likelihood(1 / (1 + np.exp(-x[0])), [1.0], np.array([[x[1], x[2], 0.0]]), comparisons)

        found = minimize(loss, [-1.0, 1.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
        np.testing.assert_allclose(fit.log_likelihood, -found.fun, rtol=1e-9)
        np.testing.assert_allclose(fit.careless_share, 1 / (1 + np.exp(-found.x[0])), atol=1e-4)
        np.testing.assert_allclose(fit.parameters[0] - fit.parameters[0, 2], [*found.x[1:], 0.0], atol=1e-3)

    def test_the_likelihood_is_a_sum_over_all_assignments(self):
        comparisons, _, _ = with_careless(seed=1, n_annotators=4, n_each=5, features=np.eye(3))
        fit = fit_mixture(comparisons, 2, careless=True, l2=0.1)
        rewards = np.vstack([fit.parameters, np.zeros(3)])
        shares = np.append(fit.weights * (1 - fit.careless_share), fit.careless_share)
        each = np.exp(annotator_log_likelihood(rewards, comparisons))
        total = sum(
            np.prod([shares[u] * each[u, i] for i, u in enumerate(groups)])
            for groups in itertools.product(range(3), repeat=4)
        )
        np.testing.assert_allclose(fit.log_likelihood, np.log(total), rtol=1e-10)

    def test_posterior_by_hand(self):
        comparisons, _, _ = with_careless()
        fit = fit_mixture(comparisons, 2, careless=True, l2=0.1)
        np.testing.assert_allclose(fit.posterior(comparisons), fit.responsibilities, atol=1e-6)
        new = Comparisons(ONE_HOT, [0, 0], [1, 1], [0, 0])
        p = 1 / (1 + np.exp(fit.parameters[:, 1] - fit.parameters[:, 0]))
        joint = np.append((1 - fit.careless_share) * fit.weights * p**2, fit.careless_share / 4)
        np.testing.assert_allclose(fit.posterior(new)[0], (joint / joint.sum())[:2], rtol=1e-10)

    def test_bic_counts_the_share(self):
        comparisons, _, _ = with_careless()
        fit = fit_mixture(comparisons, 2, careless=True, l2=0.1)
        expected = -2 * fit.log_likelihood + (2 * 5 + 1 + 1) * np.log(200)
        np.testing.assert_allclose(fit.bic(comparisons), expected)

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("assignment", ["soft", "hard"])
    @pytest.mark.filterwarnings("ignore:fit_mixture")
    def test_the_objective_never_falls(self, seed, assignment):
        comparisons, _, _ = with_careless(seed, n_annotators=15, n_each=5)
        fit = fit_mixture(comparisons, 2, careless=True, assignment=assignment, n_restarts=2, l2=0.1)
        assert (np.diff(fit.history) >= -1e-12 * np.abs(fit.history[1:])).all()

    def test_a_start_has_a_column_more(self):
        comparisons, group, _ = with_careless()
        fit = fit_mixture(comparisons, 2, careless=True, l2=0.1, start=np.eye(3, dtype=np.float32)[group])
        assert abs(fit.careless_share - 0.15) < 0.1
        with pytest.raises(ValueError, match=r"^start: expected shape \(200, 3\)"):
            fit_mixture(comparisons, 2, careless=True, start=np.eye(2)[np.maximum(group, 0)])

    def test_a_start_in_single_precision(self):
        comparisons, _, _ = with_careless()
        start = np.random.default_rng(0).dirichlet(np.ones(3), size=200).astype(np.float32)
        assert (np.abs(start.astype(float).sum(axis=1) - 1) > 1e-9).any()
        fit_mixture(comparisons, 3, start=start, l2=0.1)
