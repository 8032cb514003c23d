import itertools
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxmin_core.preferences import (
    Population,
    bradley_terry,
    diversity,
    match_groups,
    population_mle,
    simulate_comparisons,
)

seeds = st.integers(0, 2**32 - 1)


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

    def test_equal_to_itself_alone_and_not_to_be_changed(self):
        one, other = (Population([1.0], [[1.0]]) for _ in range(2))
        assert one == one and one != other and len({one, other}) == 2
        with pytest.raises(FrozenInstanceError):
            one.weights = np.array([1.0])

    def test_read_only(self):
        population = Population([1.0], [[1.0]])
        with pytest.raises(ValueError, match="read-only"):
            population.parameters[0, 0] = 2.0


class TestDiversity:
    @given(seeds, st.integers(1, 20))
    def test_total_variation_of_the_joint_distribution(self, seed, n):
        # The label is binary, so the joint distribution over (pair, label) has half its L1 distance equal to E|p - q|.
        rng = np.random.default_rng(seed)
        p, q, rho = rng.random(n), rng.random(n), rng.dirichlet(np.ones(n))
        joint = [np.concatenate([rho * x, rho * (1 - x)]) for x in (p, q)]
        np.testing.assert_allclose(diversity(p, q, rho), np.abs(joint[0] - joint[1]).sum() / 2, atol=1e-12)
        assert diversity(p, p) == 0
        assert diversity([0.0, 1.0], [1.0, 0.0]) == 1

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
