import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxmin_core._precise import probability_difference
from maxmin_core.preferences import Comparisons, Population, fit_bradley_terry, population_mle, simulate_comparisons
from maxmin_core.theory import mismatch
from maxmin_core.theory.mismatch import Instances, mismatches, pooled_mle, wide_sampler
from maxmin_core.theory.statements import (
    falsify,
    finite_sample_bound,
    mismatch_bound,
    mismatch_reason,
    reward_mismatch,
)

seeds = st.integers(0, 2**32 - 1)


def relative_slack(kind, strengthen=1.0):
    return lambda instances: 1 - strengthen * (1 - mismatch.relative_slack(instances, kind))


SEARCHES = [
    ("mle", 2, 3, 2),
    ("mle", 6, 4, 2),
    ("mle_H", 2, 3, 2),
    ("mle_H", 6, 4, 2),
    ("realizable", 2, 1, 1),
    ("realizable", 6, 1, 1),
    ("two_groups", 2, 3, 2),
    ("two_groups_H", 2, 3, 2),
]


class TestMismatch:
    @pytest.mark.parametrize(("kind", "n_groups", "n", "d"), SEARCHES)
    def test_bound_withstands_the_search_and_is_tight(self, kind, n_groups, n, d):
        decode, dimension = wide_sampler(n_groups, n, d)
        found = falsify(relative_slack(kind), decode, dimension, n_random=2000, n_adversarial=50, seed=0, n_steps=60)
        assert found.n_violations == 0
        assert found.slack < 0.01

    @pytest.mark.parametrize(("kind", "n_groups", "n", "d"), SEARCHES)
    def test_a_bound_ten_per_cent_stronger_is_refuted(self, kind, n_groups, n, d):
        decode, dimension = wide_sampler(n_groups, n, d)
        slack = relative_slack(kind, strengthen=1.1)
        found = falsify(slack, decode, dimension, n_random=2000, n_adversarial=50, seed=0, n_steps=60)
        assert found.slack < -0.05 and found.n_violations > 0
        np.testing.assert_allclose(slack(decode(found.coordinates[None])), found.slack)

    def test_the_search_finds_the_three_group_counterexample(self):
        # The form often quoted, (4/R) sum_k eta(k) Diversity(k, u), on one comparison and three groups.
        def quoted(instances):
            apart = probability_difference(instances.logits, instances.logits[:, :1])
            diversities = np.einsum("bu,bn,bun->b", instances.weights, instances.pair_weights, np.abs(apart))
            bound = 4 * diversities / np.linalg.norm(instances.difference, axis=-1).max(axis=-1)
            return mismatches(instances) - bound

        decode, dimension = wide_sampler(3, 1, 1)
        found = falsify(quoted, decode, dimension, n_random=500, n_adversarial=30, seed=1, n_steps=60)
        assert found.slack < -0.5
        # The instance of theory.md: the differences cancel, the mismatch is zero, the quoted bound is not.
        by_hand = Instances(
            np.array([[0.2, 0.4, 0.4]]), np.array([[[0.0], [3.0], [-3.0]]]), np.ones((1, 1, 1)), np.ones((1, 1))
        )
        np.testing.assert_allclose(quoted(by_hand), -4 * 0.8 * 0.4525741268, rtol=1e-9)

    def test_the_simple_two_group_form_needs_realizability(self):
        # The first pair carries the diversity, the second fixes the reward; .1213711148876682 by 40-digit root finding.
        pairs, rho = np.array([[0.001], [1.0]]), np.array([0.9, 0.1])
        population = Population([0.9, 0.1], [[3.0], [10003.0]])
        mismatch = reward_mismatch(population_mle(population, pairs, rho), [3.0])
        np.testing.assert_allclose(mismatch, 0.1213711148876682, rtol=1e-10)
        p, q = population.preference(pairs)
        assert mismatch < 4 * 0.1 * (rho @ np.abs(p - q)) - 0.06
        for kind in ("mle", "two_groups"):
            assert 0 < mismatch_bound(population, 0, pairs, rho, kind=kind) < mismatch

    @given(seeds, st.integers(2, 5), st.integers(1, 6), st.integers(1, 3))
    def test_many_at_once_as_one_by_one(self, seed, n_groups, n, d):
        decode, dimension = wide_sampler(n_groups, n, d)
        instances = decode(np.random.default_rng(seed).normal(size=(4, dimension)))
        for b, phi in enumerate(pooled_mle(instances)):
            # Margins far apart leave curvatures that double precision cannot hold in one matrix: NaN, or a warning.
            if np.abs(instances.logits[b]).max() > 20:
                continue
            population = Population(instances.weights[b], instances.parameters[b])
            one = population_mle(population, instances.difference[b], instances.pair_weights[b])
            np.testing.assert_allclose(instances.difference[b] @ (phi - one), 0, atol=1e-5)

    def test_one_comparison_by_hand(self):
        # phi* = logit(p_bar); eta = (.5, .5), phi = (0, 2): everything in closed form.
        population, difference = Population([0.5, 0.5], [[0.0], [2.0]]), np.ones((1, 1))
        p = 1 / (1 + np.exp(-2.0))
        bound = 4 * 0.5 * (p - 0.5)
        for kind in ("mle", "mle_H", "realizable", "two_groups"):
            np.testing.assert_allclose(mismatch_bound(population, 0, difference, None, kind=kind), bound)
        np.testing.assert_allclose(
            mismatch_bound(population, 0, difference, None, kind="two_groups_H"), 16 * 0.5 * (p - 0.5) ** 2 / 2
        )
        p_bar = 0.25 + p / 2
        assert reward_mismatch([np.log(p_bar / (1 - p_bar))], [0.0]) > bound

    @given(seeds, st.integers(1, 3))
    def test_finite_samples(self, seed, d):
        rng = np.random.default_rng(seed)
        population = Population([0.3, 0.7], rng.normal(size=(2, d)))
        comparisons, _ = simulate_comparisons(population, rng.normal(size=(6, d)), 30, 10, rng)
        phi = fit_bradley_terry(comparisons)
        for phi_u in population.parameters:
            bound = finite_sample_bound(comparisons, phi_u)
            assert bound <= reward_mismatch(phi, phi_u) * (1 + 1e-9)
        # The fitted reward is no distance from itself: the bound must vanish there, and nowhere near.
        assert finite_sample_bound(comparisons, phi) < 1e-9
        assert finite_sample_bound(comparisons, phi + 1) > 1e-3

    def test_finite_samples_by_hand(self):
        # Three wins to one: y - p has mean 3/4 - sigma(phi); with phi = 0 the bound is 4 (3/4 - 1/2) = 1 < log 3.
        comparisons = Comparisons([[1.0], [0.0]], [0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0])
        np.testing.assert_allclose(finite_sample_bound(comparisons, [0.0]), 1.0)
        with pytest.raises(ValueError, match="^phi_u: expected"):
            finite_sample_bound(comparisons, [0.0, 1.0])

    def test_units_of_features_do_not_matter(self):
        # The second feature is measured in ten-millionths: scores, bounds and solutions follow.
        population = Population([0.3, 0.7], [[1.0, 1.0], [2.0, 3.0]])
        pairs = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        unit = np.array([1.0, 1e-7])
        scaled = Population([0.3, 0.7], population.parameters / unit)
        for kind in ("mle_H", "two_groups_H"):
            plain = mismatch_bound(population, 0, pairs, None, kind=kind)
            np.testing.assert_allclose(mismatch_bound(scaled, 0, pairs * unit, None, kind=kind), plain, rtol=1e-6)
        instances = Instances(
            scaled.weights[None], scaled.parameters[None], (pairs * unit)[None], np.full((1, 3), 1 / 3)
        )
        np.testing.assert_allclose(pooled_mle(instances)[0], population_mle(scaled, pairs * unit, None), rtol=1e-6)

    def test_a_pair_of_weight_zero_does_not_count(self):
        population = Population([0.5, 0.5], [[0.0], [2.0]])
        for kind in ("mle", "mle_H", "realizable", "two_groups", "two_groups_H"):
            alone = mismatch_bound(population, 0, [[1.0]], None, kind=kind)
            np.testing.assert_allclose(mismatch_bound(population, 0, [[1.0], [5.0]], [1.0, 0.0], kind=kind), alone)

    def test_the_mismatch_of_every_group_is_its_own(self):
        population = Population([0.2, 0.5, 0.3], [[0.0], [1.0], [3.0]])
        of = [mismatch_bound(population, u, [[1.0]], None) for u in range(3)]
        moved = Population([0.3, 0.2, 0.5], [[3.0], [0.0], [1.0]])
        np.testing.assert_allclose(of[2], mismatch_bound(moved, 0, [[1.0]], None))
        assert len(set(np.round(of, 6))) == 3

    def test_reasons(self):
        ones, two = np.ones((1, 1)), Population([0.5, 0.5], [[1.0], [2.0]])
        alike, three = Population([0.5, 0.5], [[1.0], [1.0]]), Population([0.2, 0.4, 0.4], [[0.0], [3.0], [-3.0]])
        assert mismatch_reason(two, 0, ones, None) == ""
        assert "no diversity" in mismatch_reason(alike, 0, ones, None)
        assert "degenerate features" in mismatch_reason(two, 0, 0 * ones, None)
        assert "everybody" in mismatch_reason(Population([1.0, 0.0], [[1.0], [2.0]]), 0, ones, None)
        certain = Population([0.5, 0.5], [[900.0], [1000.0]])
        assert "double precision" in mismatch_reason(certain, 0, ones, None)
        absent = Population([0.5, 0.5, 0.0], [[1.0], [1.0], [9.0]])
        assert "no diversity" in mismatch_reason(absent, 0, ones, None)
        with pytest.raises(ValueError, match="^norm: expected"):
            mismatches(wide_sampler(2, 1, 1)[0](np.zeros((1, 8))), "h")
        assert "cancel" in mismatch_reason(three, 0, ones, None, kind="realizable")
        assert "expected two groups, got 3" in mismatch_reason(three, 0, ones, None, kind="two_groups")
        for population, difference in [(alike, ones), (two, 0 * ones), (three, ones)]:
            assert mismatch_bound(population, 0, difference, None) == 0
        pairs = np.array([[1.0], [2.0]])
        with pytest.raises(ValueError, match="kind: 'realizable' does not apply: the pooled preference is off Bradley"):
            mismatch_bound(two, 0, pairs, None, kind="realizable")

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ((0, [[1.0, 2.0]], None, "mle"), "difference"),
            ((2, [[1.0]], None, "mle"), "u"),
            ((-1, [[1.0]], None, "mle"), "u"),
            ((0, [[1.0]], [0.5], "mle"), "pair_weights"),
            ((0, [[1.0]], None, "best"), "kind"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, name):
        u, difference, rho, kind = arguments
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            mismatch_bound(Population([0.5, 0.5], [[1.0], [2.0]]), u, difference, rho, kind=kind)


class TestFalsify:
    def test_finds_a_minimum_that_random_points_miss(self):
        def slack(x):
            return np.linalg.norm(x - 3.0, axis=1) - 0.1

        found = falsify(slack, lambda x: x, 4, n_random=1000, n_adversarial=20, seed=0)
        assert found.random > 1 and found.slack < -0.099 and found.n_violations == 20
        np.testing.assert_allclose(found.coordinates, 3.0, atol=0.01)

    def test_where_the_statement_does_not_apply(self):
        found = falsify(
            lambda x: np.where(x[:, 0] > 0, x[:, 0], np.nan), lambda x: x, 1, n_random=1000, n_adversarial=5, seed=0
        )
        assert 400 < found.n_undefined < 600 and found.slack >= 0
        with pytest.raises(ValueError, match="slack: expected a number"):
            falsify(lambda x: np.full(len(x), np.nan), lambda x: x, 1, n_random=10, n_adversarial=1, seed=0)

    def test_random_violations_are_counted(self):
        # Below zero on a quarter of the line, and the descent of one start ends there, too.
        found = falsify(lambda x: x[:, 0] + 0.6745, lambda x: x, 1, n_random=4000, n_adversarial=1, seed=0, n_steps=1)
        assert 900 < found.n_violations < 1100

    @pytest.mark.parametrize("name", ["dimension", "n_random", "n_adversarial"])
    def test_bad_counts_are_named(self, name):
        counts = {"dimension": 1, "n_random": 1, "n_adversarial": 1} | {name: 0}
        with pytest.raises(ValueError, match=f"^{name}: expected at least 1, an integer, got 0"):
            falsify(lambda x: x[:, 0], lambda x: x, **counts, seed=0)
