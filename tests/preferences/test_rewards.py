import itertools

import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    annotator_agreement,
    annotator_log_likelihood,
    bradley_terry,
    diversity,
    fit_bradley_terry,
    match_groups,
    population_mle,
    simulate_comparisons,
)

seeds = st.integers(0, 2**32 - 1)


def overlapping(rng, n_items, n_extra, d=None):
    """Comparisons in which every item has beaten every other one: the MLE exists."""
    winner, loser = np.nonzero(~np.eye(n_items, dtype=bool))
    extra = rng.integers(n_items, size=n_extra)
    winner = np.concatenate([winner, extra])
    loser = np.concatenate([loser, (extra + rng.integers(1, n_items, size=n_extra)) % n_items])
    features = np.eye(n_items) if d is None else rng.normal(size=(n_items, d))
    return Comparisons(features, winner, loser, rng.integers(4, size=len(winner)))


def log_likelihood(phi, comparisons, weight=None, l2=0.0):
    """The objective, written out comparison by comparison: the independent route."""
    total = -0.5 * l2 * sum(x * x for x in phi)
    for i in range(len(comparisons)):
        difference = comparisons.features[comparisons.winner[i]] - comparisons.features[comparisons.loser[i]]
        total -= (1.0 if weight is None else weight[i]) * np.log1p(np.exp(-difference @ phi))
    return total


def gradient(function, at, step=1e-5):
    return np.array([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))])


class TestFit:
    def test_by_hand_three_wins_to_one(self):
        comparisons = Comparisons(np.eye(2), [0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 1, 1])
        np.testing.assert_allclose(fit_bradley_terry(comparisons), [np.log(3) / 2, -np.log(3) / 2], atol=1e-12)

    @given(seeds, st.integers(2, 7), st.integers(0, 60))
    def test_equals_choix(self, seed, n_items, n_extra):
        comparisons = overlapping(np.random.default_rng(seed), n_items, n_extra)
        other = choix.opt_pairwise(n_items, list(zip(comparisons.winner, comparisons.loser, strict=True)), tol=1e-12)
        np.testing.assert_allclose(fit_bradley_terry(comparisons), other, atol=1e-5)

    @given(seeds, st.integers(3, 6), st.integers(1, 5), st.floats(0, 2))
    def test_gradient_vanishes_by_finite_differences(self, seed, n_items, d, l2):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, n_items, 20, d)
        weight = rng.exponential(size=len(comparisons))
        phi = fit_bradley_terry(comparisons, sample_weight=weight, l2=l2)
        slope = gradient(lambda p: log_likelihood(p, comparisons, weight, l2), phi)
        np.testing.assert_allclose(slope, 0, atol=2e-6)

    @given(seeds, st.integers(2, 6))
    def test_one_hot_rewards_sum_to_zero(self, seed, n_items):
        assert abs(fit_bradley_terry(overlapping(np.random.default_rng(seed), n_items, 10)).sum()) < 1e-12

    @given(seeds, st.sampled_from([1e-3, 1e3]))
    def test_rescaled_features_rescale_the_parameter(self, seed, scale):
        comparisons = overlapping(np.random.default_rng(seed), 6, 30, 3)
        stretch = np.array([1.0, scale, 1.0])
        stretched = Comparisons(
            comparisons.features * stretch, comparisons.winner, comparisons.loser, comparisons.annotator
        )
        np.testing.assert_allclose(fit_bradley_terry(stretched) * stretch, fit_bradley_terry(comparisons), atol=1e-9)

    @given(seeds)
    def test_flipped_choices_negate_the_reward(self, seed):
        comparisons = overlapping(np.random.default_rng(seed), 5, 30)
        flipped = Comparisons(comparisons.features, comparisons.loser, comparisons.winner, comparisons.annotator)
        np.testing.assert_allclose(fit_bradley_terry(flipped), -fit_bradley_terry(comparisons), atol=1e-10)

    @given(seeds)
    def test_a_weight_counts_like_repetitions(self, seed):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, 4, 8)
        weight = rng.integers(1, 4, size=len(comparisons))
        index = np.repeat(np.arange(len(comparisons)), weight)
        repeated = Comparisons(
            comparisons.features, comparisons.winner[index], comparisons.loser[index], comparisons.annotator[index]
        )
        np.testing.assert_allclose(
            fit_bradley_terry(comparisons, sample_weight=weight), fit_bradley_terry(repeated), atol=1e-10
        )

    def test_many_items_take_the_same_road(self):
        # More items than fit in a table of pairs: the likelihood is summed comparison by comparison.
        features = np.random.default_rng(0).normal(size=(40, 3))
        wide, _ = simulate_comparisons(Population([1.0], [[1.0, -0.5, 0.2]]), features, 20, 10, 0)
        assert wide.n_items**2 > len(wide)
        result = minimize(lambda p: -annotator_log_likelihood(p, wide).sum(), np.zeros(3), tol=1e-12)
        np.testing.assert_allclose(fit_bradley_terry(wide), result.x, atol=1e-5)

    def test_redundant_features_give_the_minimum_norm(self):
        rng = np.random.default_rng(1)
        comparisons = overlapping(rng, 5, 30, 2)
        doubled = Comparisons(
            np.hstack([comparisons.features, comparisons.features]),
            comparisons.winner,
            comparisons.loser,
            comparisons.annotator,
        )
        phi = fit_bradley_terry(comparisons)
        np.testing.assert_allclose(fit_bradley_terry(doubled), np.concatenate([phi, phi]) / 2, atol=1e-10)

    def test_separable_choices_are_refused_and_l2_helps(self):
        comparisons = Comparisons(np.eye(3), [0, 0, 1], [1, 2, 2], [0, 0, 0])
        with pytest.raises(ValueError, match="separable.*l2"):
            fit_bradley_terry(comparisons)
        reward = fit_bradley_terry(comparisons, l2=1.0)
        assert reward[0] > reward[1] > reward[2]

    def test_partly_separable_choices_are_refused(self):
        # Items 0 and 1 overlap; item 2 has lost every comparison.
        comparisons = Comparisons(np.eye(3), [0, 1, 0, 1], [1, 0, 2, 2], [0, 0, 0, 0])
        with pytest.raises(ValueError, match="separable"):
            fit_bradley_terry(comparisons)

    def test_nearly_separable_choices_are_fitted(self):
        # 10^12 wins to one loss: margin log(10^12), far out but finite.
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        reward = fit_bradley_terry(comparisons, sample_weight=[1e12, 1.0])
        np.testing.assert_allclose(reward[0] - reward[1], np.log(1e12), rtol=1e-9)

    def test_ridge_by_a_scalar_search(self):
        comparisons = Comparisons([[0.0], [1.0]], [1, 1], [0, 0], [0, 0])
        found = minimize_scalar(
            lambda p: 2 * np.log1p(np.exp(-p)) + 0.35 * p * p, bounds=(0, 5), method="bounded", options={"xatol": 1e-12}
        )
        np.testing.assert_allclose(fit_bradley_terry(comparisons, l2=0.7), [found.x], atol=1e-6)

    def test_unconnected_items_warn_and_each_part_sums_to_zero(self):
        comparisons = Comparisons(np.eye(4), [0, 1, 2, 2, 3], [1, 0, 3, 3, 2], [0] * 5)
        with pytest.warns(UserWarning, match="not connect"):
            reward = fit_bradley_terry(comparisons)
        np.testing.assert_allclose([reward[:2].sum(), reward[2:].sum()], 0, atol=1e-12)
        np.testing.assert_allclose(reward[2] - reward[3], np.log(2), atol=1e-10)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [("l2", -1.0), ("l2", np.nan), ("sample_weight", [1.0]), ("sample_weight", [1, -1]), ("sample_weight", [0, 0])],
    )
    def test_bad_arguments_are_named(self, argument, value):
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        with pytest.raises(ValueError, match=f"^{argument}: expected"):
            fit_bradley_terry(comparisons, **{argument: value})

    def test_survey_reaches_the_reference_value(self):
        comparisons = Comparisons.from_frame(load_survey()[0])
        total = annotator_log_likelihood(fit_bradley_terry(comparisons), comparisons).sum()
        assert abs(total - -1716.807) < 5e-4


class TestPopulation:
    def test_one_group_is_its_own_mle(self):
        rng = np.random.default_rng(0)
        phi, difference = rng.normal(size=3), rng.normal(size=(20, 3))
        np.testing.assert_allclose(population_mle(Population([1.0], [phi]), difference, None), phi, atol=1e-9)

    @given(seeds, st.integers(1, 4), st.floats(0.1, 20))
    def test_stationary(self, seed, n_groups, separation):
        rng = np.random.default_rng(seed)
        population = Population(rng.dirichlet(np.ones(n_groups)), separation * rng.normal(size=(n_groups, 2)))
        difference, rho = rng.normal(size=(9, 2)), rng.dirichlet(np.ones(9))
        phi = population_mle(population, difference, rho)
        residual = (rho * (bradley_terry(difference @ phi) - population.pooled(difference))) @ difference
        np.testing.assert_allclose(residual, 0, atol=1e-9)

    def test_three_groups_cancel(self):
        # theory.md, section 2: the mismatch of group 0 is zero though both diversities are .4526.
        population = Population([0.2, 0.4, 0.4], [[0.0], [3.0], [-3.0]])
        difference = np.ones((1, 1))
        np.testing.assert_allclose(population_mle(population, difference, None), 0, atol=1e-12)
        p = population.preference(difference)
        assert round(diversity(p[0], p[1]), 4) == round(diversity(p[0], p[2]), 4) == 0.4526

    def test_far_apart_groups_keep_their_digits(self):
        # sigma(45) rounds to one: without the reversed pairs, the pooled data would look separable.
        population = Population([1.0], [[45.0]])
        np.testing.assert_allclose(population_mle(population, np.ones((1, 1)), None), 45.0, rtol=1e-9)

    def test_preferences_that_underflow_are_refused(self):
        np.testing.assert_allclose(
            population_mle(Population([1.0], [[570.0]]), np.ones((1, 1)), None), 570.0, rtol=1e-9
        )
        for far in (600.0, -600.0, 5000.0):
            with pytest.raises(ValueError, match="^population: expected margins below about 570 logits"):
                population_mle(Population([1.0], [[far]]), np.ones((1, 1)), None)

    @pytest.mark.parametrize(
        ("weights", "parameters", "name"),
        [
            ([0.5, 0.6], np.eye(2), "weights"),
            ([-0.5, 1.5], np.eye(2), "weights"),
            ([1.0], np.eye(2), "weights"),
            ([1.0], [1.0, 2.0], "parameters"),
            ([1.0], [[np.inf]], "parameters"),
        ],
    )
    def test_bad_arguments_are_named(self, weights, parameters, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            Population(weights, parameters)

    def test_read_only(self):
        population = Population([1.0], [[1.0]])
        with pytest.raises(ValueError, match="read-only"):
            population.parameters[0, 0] = 2.0


class TestAnnotators:
    @given(seeds)
    def test_likelihood_and_agreement_by_loops(self, seed):
        rng = np.random.default_rng(seed)
        comparisons = overlapping(rng, 4, 20, 2)
        parameters = rng.normal(size=(3, 2))
        likelihood, agreed, count = np.zeros((3, 4)), np.zeros((3, 4)), np.zeros(4)
        for w, z, a in zip(comparisons.winner, comparisons.loser, comparisons.annotator, strict=True):
            count[a] += 1
            for u in range(3):
                margin = parameters[u] @ (comparisons.features[w] - comparisons.features[z])
                likelihood[u, a] += np.log(1 / (1 + np.exp(-margin)))
                agreed[u, a] += margin > 0
        np.testing.assert_allclose(
            annotator_log_likelihood(parameters, comparisons), likelihood[:, : comparisons.n_annotators]
        )
        np.testing.assert_allclose(
            annotator_log_likelihood(parameters[1], comparisons), likelihood[1, : comparisons.n_annotators]
        )
        present = count > 0
        np.testing.assert_allclose(
            annotator_agreement(parameters, comparisons)[:, present], (agreed / np.maximum(count, 1))[:, present]
        )

    def test_equal_rewards_count_half(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [0])
        assert annotator_agreement([1.0, 1.0], comparisons) == [0.5]

    def test_an_annotator_without_comparisons(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [1])
        assert np.isnan(annotator_agreement([1.0, 0.0], comparisons)[0])
        assert annotator_log_likelihood([1.0, 0.0], comparisons)[0] == 0

    def test_huge_margins_stay_finite(self):
        comparisons = Comparisons(np.eye(2), [0, 1], [1, 0], [0, 0])
        np.testing.assert_allclose(annotator_log_likelihood([1e3, 0.0], comparisons), -1e3)

    def test_bad_parameters_are_named(self):
        comparisons = Comparisons(np.eye(2), [0], [1], [0])
        for bad in ([1.0], np.ones((2, 3)), [np.nan, 0.0]):
            with pytest.raises(ValueError, match="^parameters: expected"):
                annotator_log_likelihood(bad, comparisons)


class TestDiversity:
    @given(seeds, st.integers(1, 20))
    def test_total_variation_of_the_joint_distribution(self, seed, n):
        # The label is binary, so the joint distribution over (pair, label) has half its L1 distance equal to E|p - q|.
        rng = np.random.default_rng(seed)
        p, q, rho = rng.random(n), rng.random(n), rng.dirichlet(np.ones(n))
        joint = [np.concatenate([rho * x, rho * (1 - x)]) for x in (p, q)]
        np.testing.assert_allclose(diversity(p, q, rho), np.abs(joint[0] - joint[1]).sum() / 2, atol=1e-12)
        assert diversity(p, p) == 0

    @pytest.mark.parametrize(
        ("p", "q", "name"),
        [([0.1], [0.2, 0.3], "q"), ([1.5], [0.2], "p"), ([[0.1]], [0.1], "p"), ([], [], "pair_weights")],
    )
    def test_bad_arguments_are_named(self, p, q, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            diversity(p, q)


class TestSimulate:
    def test_answers_follow_the_groups(self):
        population = Population([0.8, 0.2], [[1.0], [-2.0]])
        comparisons, group = simulate_comparisons(population, [[0.0], [1.0]], 4000, 10, 0)
        assert abs((group == 1).mean() - 0.2) < 5 * np.sqrt(0.16 / 4000)
        for u in (0, 1):
            chose = comparisons.winner[group[comparisons.annotator] == u] == 1
            p = 1 / (1 + np.exp(-population.parameters[u, 0]))
            assert abs(chose.mean() - p) < 5 * np.sqrt(p * (1 - p) / len(chose))

    def test_pairs_are_uniform(self):
        comparisons, _ = simulate_comparisons(Population([1.0], np.zeros((1, 4))), np.eye(4), 100, 600, 1)
        table = np.zeros((4, 4))
        np.add.at(table, (comparisons.winner, comparisons.loser), 1)
        expected = 60000 / 12
        assert (np.abs(table[~np.eye(4, dtype=bool)] - expected) < 5 * np.sqrt(expected)).all()

    @pytest.mark.parametrize("count", [1, [1]])
    def test_one_annotator_with_one_comparison(self, count):
        comparisons, group = simulate_comparisons(Population([0.0, 1.0], [[1.0], [900.0]]), [[0.0], [1.0]], 1, count, 0)
        assert (len(comparisons), comparisons.n_annotators, group.tolist()) == (1, 1, [1])
        assert comparisons.winner[0] == 1  # at 900 logits nobody errs

    def test_seed_and_counts(self):
        population, counts = Population([1.0], [[1.0]]), [1, 0, 3]
        one, two = (simulate_comparisons(population, [[0.0], [1.0]], 3, counts, 7)[0] for _ in range(2))
        np.testing.assert_array_equal(one.winner, two.winner)
        np.testing.assert_array_equal(one.annotator, [0, 2, 2, 2])

    @pytest.mark.parametrize(
        ("features", "annotators", "count", "name"),
        [
            ([[1.0]], 2, 1, "features"),
            ([[1.0], [2.0]], 0, 1, "n_annotators"),
            ([[1.0], [2.0]], True, 1, "n_annotators"),
            ([[1.0], [2.0]], 2.0, 1, "n_annotators"),
            ([[1.0], [2.0, 3.0]], 2, 1, "features"),
            ([[1.0], [2.0]], 2, [1], "n_per_annotator"),
            ([[1.0], [2.0]], 2, 1.5, "n_per_annotator"),
            ([[1.0], [2.0]], 2, 0, "winner"),
        ],
    )
    def test_bad_arguments_are_named(self, features, annotators, count, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            simulate_comparisons(Population([1.0], [[1.0]]), features, annotators, count, 0)


class TestMatchGroups:
    @given(seeds, st.integers(1, 4), st.integers(0, 2))
    def test_the_smallest_sum_of_squared_distances_by_enumeration(self, seed, n_known, more):
        rng = np.random.default_rng(seed)
        known, learned = rng.normal(size=(n_known, 3)), rng.normal(size=(n_known + more, 3))
        match = match_groups(known, learned)
        assert len(set(match.tolist())) == n_known
        each = [
            ((known - learned[list(order)]) ** 2).sum()
            for order in itertools.permutations(range(n_known + more), n_known)
        ]
        np.testing.assert_allclose(((known - learned[match]) ** 2).sum(), min(each))

    def test_a_shuffled_fit_is_put_in_order(self):
        known = np.random.default_rng(0).normal(size=(5, 4))
        order = np.array([3, 0, 4, 1, 2])
        np.testing.assert_array_equal(known[order][match_groups(known, known[order])], known)

    @given(seeds)
    def test_by_membership_it_puts_most_people_right(self, seed):
        rng = np.random.default_rng(seed)
        group, assigned = rng.integers(3, size=(2, 40))
        match = match_groups(np.eye(3)[group].T, np.eye(3)[assigned].T)
        right = [(np.array(order)[group] == assigned).sum() for order in itertools.permutations(range(3))]
        assert (match[group] == assigned).sum() == max(right)

    @pytest.mark.parametrize(
        ("known", "learned", "name"),
        [
            (np.eye(3), np.eye(3)[:2], "learned"),
            (np.eye(3), np.ones((3, 2)), "learned"),
            ([1.0], [1.0], "known"),
            ([[np.nan]], [[1.0]], "known"),
        ],
    )
    def test_bad_arguments_are_named(self, known, learned, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            match_groups(known, learned)
