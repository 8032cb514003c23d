import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, logsumexp, softmax

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_log_likelihood,
    fit_bradley_terry,
    fit_mixture,
    simulate_comparisons,
)
from maxmin_core.preferences._edges import counts_of
from maxmin_core.preferences._em import climb, first_step, follow, posterior
from maxmin_core.preferences._starts import starts

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def survey():
    return Comparisons.from_frame(load_survey()[0])


def simulated(seed, n_groups=2, n_annotators=40, n_per_annotator=10, n_items=6, d=None, spread=2.0):
    rng = np.random.default_rng(seed)
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    parameters = spread * rng.normal(size=(n_groups, features.shape[1]))
    population = Population(rng.dirichlet(np.full(n_groups, 3.0)), parameters)
    return population, *simulate_comparisons(population, features, n_annotators, n_per_annotator, rng)


def mixture_log_likelihood(weights, parameters, comparisons):
    with np.errstate(divide="ignore"):
        return logsumexp(annotator_log_likelihood(parameters, comparisons).T + np.log(weights), axis=1).sum()


class TestSurvey:
    @pytest.mark.parametrize(("n_groups", "least"), [(1, -1716.817), (2, -1410.955), (3, -1350.14), (4, -1308.013)])
    def test_reaches_the_reference_likelihoods(self, survey, n_groups, least):
        fit = fit_mixture(survey, n_groups)
        assert fit.log_likelihood >= least and fit.converged
        np.testing.assert_allclose(
            fit.log_likelihood, mixture_log_likelihood(fit.weights, fit.parameters, survey), rtol=1e-12
        )
        assert (np.diff(fit.weights) <= 0).all()

    def test_one_group_is_bradley_terry(self, survey):
        fit = fit_mixture(survey, 1)
        np.testing.assert_allclose(fit.parameters[0], fit_bradley_terry(survey), atol=1e-6)
        assert (fit.responsibilities == 1).all() and fit.weights == [1.0]

    def test_stationary_for_a_general_gradient(self, survey):
        fit = fit_mixture(survey, 2, tol=1e-13)
        at = np.append(np.log(fit.weights), fit.parameters)

        def value(x):
            weights = np.exp(x[:2] - logsumexp(x[:2]))
            return mixture_log_likelihood(weights, x[2:].reshape(2, -1), survey)

        step = 1e-5
        slopes = [(value(at + step * e) - value(at - step * e)) / (2 * step) for e in np.eye(len(at))]
        assert np.abs(slopes).max() < 2e-2


class TestTiny:
    """Three annotators, two groups: everything can be enumerated."""

    def test_the_likelihood_is_a_sum_over_all_assignments(self):
        _, comparisons, _ = simulated(1, n_annotators=3, n_per_annotator=4, n_items=3, spread=0.5)
        fit = fit_mixture(comparisons, 2, l2=0.1)
        by_annotator = annotator_log_likelihood(fit.parameters, comparisons)
        total = 0.0
        for groups in itertools.product(range(2), repeat=3):
            total += np.exp(sum(np.log(fit.weights[u]) + by_annotator[u, i] for i, u in enumerate(groups)))
        np.testing.assert_allclose(fit.log_likelihood, np.log(total), rtol=1e-12)

    @pytest.mark.filterwarnings("ignore:comparisons. the compared pairs do not connect")
    @pytest.mark.parametrize("seed", range(5))
    def test_the_best_hard_fit_is_the_enumerated_maximum(self, seed):
        _, comparisons, _ = simulated(seed, n_annotators=6, n_per_annotator=6, n_items=3, spread=1.0)
        l2, best = 0.5, -np.inf
        for groups in itertools.product(range(2), repeat=6):
            value = 0.0
            for u in set(groups):
                inside = (np.array(groups) == u)[comparisons.annotator]
                phi = fit_bradley_terry(comparisons, sample_weight=inside, l2=l2)
                margin = comparisons.difference[inside] @ phi
                value += log_expit(margin).sum() - l2 / 2 * phi @ phi
            best = max(best, value)
        fit = fit_mixture(comparisons, 2, assignment="hard", l2=l2, n_restarts=40, tol=1e-12)
        np.testing.assert_allclose(fit.history[-1], best, rtol=1e-7)


class TestClimb:
    # Diverging rewards and an early stop are what such small problems are about here, not their warnings.
    @pytest.mark.filterwarnings("ignore:fit_mixture")
    @settings(max_examples=1000, deadline=None)
    @given(seeds, st.integers(1, 4), st.sampled_from(["soft", "hard"]), st.sampled_from([0.0, 0.1]))
    def test_the_objective_never_falls(self, seed, n_groups, assignment, l2):
        _, comparisons, _ = simulated(seed, n_groups, n_annotators=12, n_per_annotator=5, n_items=4)
        fit = fit_mixture(comparisons, n_groups, assignment=assignment, n_restarts=2, max_iter=60, l2=l2, seed=seed)
        # History is recorded as computed, not made to rise.
        assert (np.diff(fit.history) >= -1e-12 * np.abs(fit.history[1:])).all()
        assert np.isfinite(fit.parameters).all() and np.isfinite(fit.history).all()
        assert len(fit.history) == fit.n_iter + 1
        by_annotator = annotator_log_likelihood(fit.parameters, comparisons)
        with np.errstate(divide="ignore"):
            joint = by_annotator + np.log(fit.weights)[:, None]
        reached = by_annotator.max(axis=0).sum() if assignment == "hard" else logsumexp(joint, axis=0).sum()
        # What the history says is what the fit attains, by another routine.
        np.testing.assert_allclose(fit.history[-1], reached - l2 / 2 * (fit.parameters**2).sum(), rtol=1e-9, atol=1e-9)

    def test_the_history_of_the_best_start_is_its_own(self):
        # The best climb is over while another still climbs: what follows in the record is not the best one's.
        _, comparisons, _ = simulated(5)
        counts = counts_of(comparisons, 0.1)
        begin = first_step(counts, starts(counts, 2, 8, np.random.default_rng(0)))
        together = climb(counts, *begin, "soft", 500, 1e-10)
        best = int(np.argmax(together.value))
        assert together.passes[best] < together.passes.max()
        alone = climb(counts, *(part[best][None] for part in begin), "soft", 500, 1e-10)
        found = follow(counts, together, "soft", 500, 1e-10).history
        assert len(found) == together.passes[best] + 1 == len(alone.history)
        np.testing.assert_allclose(found, np.ravel(alone.history), rtol=1e-12)

    def test_at_least_as_likely_as_the_truth(self):
        population, comparisons, group = simulated(5, 3, n_annotators=600, n_per_annotator=40)
        fit = fit_mixture(comparisons, 3)
        assert fit.log_likelihood >= mixture_log_likelihood(population.weights, population.parameters, comparisons)
        # Nearly everybody is put with those of the same group, whatever the groups are called.
        table = np.zeros((3, 3))
        np.add.at(table, (group, fit.responsibilities.argmax(axis=1)), 1)
        assert max(table[range(3), list(order)].sum() for order in itertools.permutations(range(3))) > 0.97 * 600

    def test_large_data_go_through_a_subsample(self):
        population, comparisons, _ = simulated(6, 3, n_annotators=3000, n_per_annotator=20, n_items=300, d=4)
        fit = fit_mixture(comparisons, 3)
        assert fit.log_likelihood >= mixture_log_likelihood(population.weights, population.parameters, comparisons)
        assert fit.responsibilities.shape == (3000, 3) and fit.converged
        # The restarts have done the work: the climb over all data begins near its end.
        assert fit.history[-1] - fit.history[0] < 0.01 * np.abs(fit.history[-1]) and fit.n_iter < 15

    def test_unequal_counts_and_missing_pairs(self):
        rng = np.random.default_rng(0)
        population = Population([0.5, 0.5], [[2.0, 0.0, -2.0], [-2.0, 0.0, 2.0]])
        comparisons, group = simulate_comparisons(population, np.eye(3), 100, rng.integers(1, 60, size=100), rng)
        fit = fit_mixture(comparisons, 2)
        best = fit.responsibilities.argmax(axis=1)
        assert max((best == group).mean(), (best != group).mean()) > 0.9

    def test_a_symmetric_start_is_stationary(self):
        _, comparisons, _ = simulated(7)
        with pytest.warns(RuntimeWarning, match="2 groups, .* is not above that of 1"):
            stuck = fit_mixture(comparisons, 2, start=np.full((40, 2), 0.5))
        np.testing.assert_allclose(stuck.parameters[0], stuck.parameters[1])
        np.testing.assert_allclose(stuck.log_likelihood, fit_mixture(comparisons, 1).log_likelihood, rtol=1e-9)
        assert fit_mixture(comparisons, 2).log_likelihood > stuck.log_likelihood + 10

    def test_an_empty_hard_group_is_begun_anew(self):
        _, comparisons, _ = simulated(8, n_annotators=60, n_per_annotator=30)
        start = np.tile([1.0, 0.0], (60, 1))
        fit = fit_mixture(comparisons, 2, assignment="hard", start=start)
        assert (fit.weights > 0.05).all()
        # Begun at the annotator explained worst, the climb ends where free starts end.
        free = fit_mixture(comparisons, 2, assignment="hard")
        np.testing.assert_allclose(fit.history[-1], free.history[-1], rtol=1e-6)

    def test_long_sequences_do_not_underflow(self):
        # 10^4 comparisons an annotator: the likelihood itself is far below the smallest float.
        _, comparisons, group = simulated(9, n_annotators=10, n_per_annotator=10_000)
        fit = fit_mixture(comparisons, 2, n_restarts=4)
        assert np.isfinite(fit.log_likelihood) and fit.log_likelihood < -1000
        best = fit.responsibilities.argmax(axis=1)
        assert (best == group).all() or (best != group).all()


class TestMatchedStarts:
    def start(self, seed):
        _, comparisons, _ = simulated(seed, d=3, n_items=8)
        return comparisons, np.random.default_rng(seed).dirichlet([1.0, 1.0], size=40)

    def test_flipped_labels_negate_the_rewards(self):
        comparisons, start = self.start(1)
        flipped = Comparisons(comparisons.features, comparisons.loser, comparisons.winner, comparisons.annotator)
        one, other = (fit_mixture(c, 2, start=start) for c in (comparisons, flipped))
        np.testing.assert_allclose(other.parameters, -one.parameters, rtol=1e-6)
        np.testing.assert_allclose(other.responsibilities, one.responsibilities, atol=1e-8)

    def test_permuted_annotators_permute_the_responsibilities(self):
        comparisons, start = self.start(2)
        order = np.random.default_rng(0).permutation(40)
        number = np.argsort(order)
        moved = Comparisons(comparisons.features, comparisons.winner, comparisons.loser, number[comparisons.annotator])
        one, other = fit_mixture(comparisons, 2, start=start), fit_mixture(moved, 2, start=start[order])
        np.testing.assert_allclose(other.responsibilities, one.responsibilities[order], atol=1e-8)

    def test_an_annotator_whose_labels_are_flipped_changes_its_group(self):
        population = Population([0.5, 0.5], [[2.0, 0.0, -2.0], [-2.0, 0.0, 2.0]])
        comparisons, _ = simulate_comparisons(population, np.eye(3), 60, 30, 1)
        mine = comparisons.annotator == 0
        flipped = Comparisons(
            comparisons.features,
            np.where(mine, comparisons.loser, comparisons.winner),
            np.where(mine, comparisons.winner, comparisons.loser),
            comparisons.annotator,
        )
        fit = fit_mixture(comparisons, 2)
        before, after = fit.posterior(comparisons), fit.posterior(flipped)
        assert before[0].argmax() != after[0].argmax()
        np.testing.assert_allclose(before[1:], after[1:])

    @pytest.mark.parametrize("scale", [1e-3, 1e3])
    def test_scaled_features_scale_the_rewards_back(self, scale):
        comparisons, start = self.start(3)
        scaled = Comparisons(scale * comparisons.features, comparisons.winner, comparisons.loser, comparisons.annotator)
        one, other = fit_mixture(comparisons, 2, start=start), fit_mixture(scaled, 2, start=start)
        np.testing.assert_allclose(scale * other.parameters, one.parameters, rtol=1e-5)

    def test_the_seed_decides(self):
        comparisons, _ = self.start(4)
        one, same = fit_mixture(comparisons, 2, seed=3), fit_mixture(comparisons, 2, seed=3)
        np.testing.assert_array_equal(one.parameters, same.parameters)


class TestFit:
    def test_posterior_by_hand(self):
        # One comparison by a new annotator: Bayes' rule on two probabilities.
        _, comparisons, _ = simulated(1, n_per_annotator=40, spread=1.0)
        fit = fit_mixture(comparisons, 2)
        new = Comparisons(comparisons.features, [0], [1], [1])
        p = expit(fit.parameters[:, 0] - fit.parameters[:, 1])
        posterior = fit.posterior(new)
        np.testing.assert_allclose(posterior[0], fit.weights)
        np.testing.assert_allclose(posterior[1], fit.weights * p / (fit.weights @ p))

    def test_bic_by_hand(self, survey):
        # K = 2: two rewards on six one-hot items, five free numbers each, and one share.
        fit = fit_mixture(survey, 2)
        np.testing.assert_allclose(fit.bic(survey), -2 * fit.log_likelihood + 11 * np.log(192))


class TestBadInput:
    @pytest.mark.parametrize(
        ("n_groups", "change", "name"),
        [
            (0, {}, "n_groups"),
            (41, {}, "n_groups"),
            (2.0, {}, "n_groups"),
            (2, {"assignment": "firm"}, "assignment"),
            (True, {}, "n_groups"),
            (2, {"n_restarts": 0}, "n_restarts"),
            (2, {"n_restarts": True}, "n_restarts"),
            (2, {"max_iter": 0}, "max_iter"),
            (2, {"l2": -1}, "l2"),
            (2, {"l2": np.nan}, "l2"),
            (2, {"tol": -1e-3}, "tol"),
            (2, {"start": np.ones((40, 2))}, "start"),
            (2, {"start": np.ones((3, 2)) / 2}, "start"),
        ],
    )
    def test_bad_arguments_are_named(self, n_groups, change, name):
        _, comparisons, _ = simulated(0)
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            fit_mixture(comparisons, n_groups, **change)

    @pytest.mark.parametrize("row", [[0.5, 0.6], [1.5, -0.5], [0.0, 0.0], [0.5, 0.5 + 1e-6]])
    @pytest.mark.parametrize("place", [0, 17, 39])
    def test_one_bad_row_of_a_start_is_named(self, row, place):
        _, comparisons, _ = simulated(0)
        start = np.full((40, 2), 0.5)
        start[place] = row
        with pytest.raises(ValueError, match=rf"^start: expected rows that are distributions, got .* in row {place}$"):
            fit_mixture(comparisons, 2, start=start)

    def test_a_silent_annotator_is_named(self):
        comparisons = Comparisons(np.eye(2), [0, 0, 1], [1, 1, 0], [0, 2, 2])
        with pytest.raises(ValueError, match="^comparisons: expected at least one .* got none by annotator 1"):
            fit_mixture(comparisons, 2)

    @pytest.mark.parametrize(("n_groups", "assignment"), [(2, "soft"), (2, "hard")])
    def test_separable_choices_are_said_to_diverge(self, n_groups, assignment):
        # Everybody ranks 0 > 1 > 2 or 2 > 1 > 0 without a slip.
        winner, loser = [0, 0, 1] * 10 + [2, 2, 1] * 10, [1, 2, 2] * 10 + [1, 0, 0] * 10
        comparisons = Comparisons(np.eye(3), winner, loser, np.repeat(np.arange(20), 3))
        with pytest.warns(RuntimeWarning, match="separable, or nearly, and its reward diverges; expected .* l2 > 0"):
            fit = fit_mixture(comparisons, n_groups, assignment=assignment)
        assert np.isfinite(fit.parameters).all()
        fit_mixture(comparisons, 2, l2=0.1)  # no warning

    def test_one_perfect_ranking_is_said_to_diverge(self):
        comparisons = Comparisons(np.eye(3), [0, 0, 1], [1, 2, 2], [0, 1, 2])
        with pytest.warns(RuntimeWarning, match="separable, or nearly, and its reward diverges"):
            assert fit_mixture(comparisons, 1).n_iter < 60

    def test_alike_items_are_named(self):
        comparisons = Comparisons(np.ones((3, 2)), [0, 1], [1, 2], [0, 1])
        with pytest.raises(ValueError, match="^comparisons: expected some compared items whose features differ"):
            fit_mixture(comparisons, 2)

    def test_large_margins_are_no_divergence(self):
        # Rewards of fifty logits, well determined: slips on close pairs fix them.
        features = np.linspace(0, 50, 500)[:, None]
        comparisons, _ = simulate_comparisons(Population([0.5, 0.5], [[1.0], [-1.0]]), features, 200, 100, 0)
        fit = fit_mixture(comparisons, 2)  # no warning
        assert np.abs(fit.parameters).max() * 50 > 40

    def test_max_iter_is_said(self):
        _, comparisons, _ = simulated(1)
        with pytest.warns(RuntimeWarning, match="stopped at max_iter=2"):
            assert not fit_mixture(comparisons, 3, max_iter=2).converged


@pytest.mark.parametrize("n_groups", [1, 3, 9])
def test_responsibilities_of_few_groups_and_of_many(n_groups):
    rng = np.random.default_rng(n_groups)
    likelihood, shares = rng.normal(0, 5, (12, 10, n_groups)), rng.dirichlet(np.ones(n_groups), 10)
    total, q = posterior(likelihood, shares, False)
    joint = likelihood + np.log(shares)
    np.testing.assert_allclose(total, logsumexp(joint, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(q, softmax(joint, axis=-1), rtol=1e-12)
