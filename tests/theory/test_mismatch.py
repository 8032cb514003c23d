import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxmin_core.data import load_survey
from maxmin_core.preferences import (
    Comparisons,
    Population,
    bradley_terry,
    fit_bradley_terry,
    population_mle,
    simulate_comparisons,
)
from maxmin_core.theory import (
    MISMATCH,
    Instances,
    Reason,
    Statement,
    falsify,
    finite_sample_bound,
    mismatch_bound,
    mismatch_reason,
    mismatches,
    population_sampler,
    reward_mismatch,
)

seeds = st.integers(0, 2**32 - 1)


class TestMismatch:
    def test_the_search_finds_the_three_group_counterexample(self):
        # A tempting generalisation, (4/R) sum_k eta(k) Diversity(k, u), on one comparison and three groups.
        def bound(instances):
            p = bradley_terry(instances.logits)
            apart = np.abs(p - p[:, :1])
            diversities = np.einsum("bu,bn,bun->b", instances.weights, instances.pair_weights, apart)
            return 4 * diversities / np.linalg.norm(instances.difference, axis=-1).max(axis=-1)

        summed = Statement("sum of diversities", bound, mismatches, sampler=population_sampler(3, 1, 1), relative=False)
        found = falsify(summed, n_random=500, n_adversarial=30, seed=1, n_steps=60)
        assert found.slack < -0.5
        # The instance of theory.md: the differences cancel, the mismatch is zero, the sum is not.
        by_hand = Instances(
            np.array([[0.2, 0.4, 0.4]]), np.array([[[0.0], [3.0], [-3.0]]]), np.ones((1, 1, 1)), np.ones((1, 1))
        )
        np.testing.assert_allclose(summed.slack(by_hand), -4 * 0.8 * 0.4525741268, rtol=1e-9)

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
        instances = population_sampler(n_groups, n, d).draw(4, seed)
        for b, phi in enumerate(instances.single_reward):
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

    def test_on_the_survey_two_answers_have_bounds_in_inverse_proportion(self):
        # Everybody judged every pair: the bound of one answer is that of the others' share times a difference of wins.
        frame, respondents = load_survey()
        comparisons = Comparisons.from_frame(frame)
        wins = np.zeros((192, 6))
        np.add.at(wins, (comparisons.annotator, comparisons.winner), 1)
        for member in (respondents.gender == "female", respondents.age < 30, respondents.crisis == "yes"):
            member = member.to_numpy()
            apart = np.linalg.norm(wins[member].mean(axis=0) - wins[~member].mean(axis=0))
            for inside in (member, ~member):
                own = fit_bradley_terry(comparisons, sample_weight=inside[comparisons.annotator])
                # H = (6 I - 1 1^T) / 15: its largest eigenvalue is 6/15. A person has 15 comparisons.
                expected = 4 * np.mean(~inside) * apart / 15 / (6 / 15)
                np.testing.assert_allclose(finite_sample_bound(comparisons, own), expected, rtol=1e-6)

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
        np.testing.assert_allclose(instances.single_reward[0], population_mle(scaled, pairs * unit, None), rtol=1e-6)

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

    @pytest.mark.parametrize(
        ("population", "difference", "kind", "text"),
        [
            (([0.5, 0.5], [[1.0], [1.0]]), [[1.0]], "mle", "no diversity"),
            (([0.5, 0.5, 0.0], [[1.0], [1.0], [9.0]]), [[1.0]], "mle", "no diversity"),
            (([0.5, 0.5], [[1.0], [2.0]]), [[0.0]], "mle", "degenerate features"),
            (([1.0, 0.0], [[1.0], [2.0]]), [[1.0]], "mle", "everybody"),
            (([0.5, 0.5], [[900.0], [1000.0]]), [[1.0]], "mle", "double precision"),
            (([0.2, 0.4, 0.4], [[0.0], [3.0], [-3.0]]), [[1.0]], "mle", "cancel"),
            (([0.2, 0.4, 0.4], [[0.0], [3.0], [-3.0]]), [[1.0]], "realizable", "cancel"),
        ],
    )
    def test_a_bound_of_zero_has_a_reason(self, population, difference, kind, text):
        reason = mismatch_reason(Population(*population), 0, difference, None, kind=kind)
        assert reason.applies and text in reason.text and str(reason) == f"is zero: {reason.text}"
        assert mismatch_bound(Population(*population), 0, difference, None, kind=kind) < 1e-300

    @pytest.mark.parametrize(
        ("population", "pairs", "kind", "text"),
        [
            (([0.2, 0.4, 0.4], [[0.0], [3.0], [1.0]]), [[1.0]], "two_groups", "expected two groups, got 3"),
            (([0.2, 0.4, 0.4], [[0.0], [3.0], [1.0]]), [[1.0]], "two_groups_H", "expected two groups, got 3"),
            (([0.5, 0.5], [[1.0], [2.0]]), [[1.0], [2.0]], "realizable", "the pooled preference is off Bradley"),
            (([0.5, 0.5], [[1e4], [2e4]]), [[1.0], [2.0]], "realizable", "the single reward is beyond double"),
        ],
    )
    def test_a_bound_that_does_not_apply_has_a_reason_and_is_an_error(self, population, pairs, kind, text):
        reason = mismatch_reason(Population(*population), 0, pairs, None, kind=kind)
        assert not reason.applies and text in reason.text and str(reason) == f"does not apply: {reason.text}"
        with pytest.raises(ValueError, match=f"^kind: '{kind}' does not apply: {text}"):
            mismatch_bound(Population(*population), 0, pairs, None, kind=kind)

    @pytest.mark.parametrize("kind", ["mle", "mle_H", "two_groups", "two_groups_H"])
    def test_where_there_is_nothing_to_say_the_reason_is_empty(self, kind):
        # One-hot items, so that most entries of a difference are zero, and a feature that no pair tells apart.
        population = Population([0.5, 0.5], [[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        for pairs in ([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]):
            reason = mismatch_reason(population, 0, pairs, None, kind=kind)
            assert reason == Reason(applies=True, text="") and str(reason) == ""
            assert mismatch_bound(population, 0, pairs, None, kind=kind) > 0.01

    def test_a_group_that_is_nearly_everybody_is_not_everybody(self):
        # A share that rounds to one, and another group all the same: the bound is small, not zero.
        population = Population([1.0, 1e-18], [[0.0], [2.0]])
        for kind in ("mle", "mle_H", "realizable", "two_groups"):
            assert mismatch_reason(population, 0, [[1.0]], None, kind=kind) == Reason(applies=True, text="")
            bound = mismatch_bound(population, 0, [[1.0]], None, kind=kind)
            np.testing.assert_allclose(bound, 4e-18 * (1 / (1 + np.exp(-2.0)) - 0.5))

    @pytest.mark.parametrize("kind", list(MISMATCH))
    def test_bounds_of_many_are_those_of_each(self, kind):
        # As many pairs as features: every pool is realizable, and the pairs are of unlike lengths.
        instances = population_sampler(2 if "two" in kind else 4, 2, 2).draw(50, 0)
        together = MISMATCH[kind].bound(instances)
        calm = np.flatnonzero(np.abs(instances.logits).max(axis=(1, 2)) < 10)
        assert len(calm) > 20
        for b in calm:
            population = Population(instances.weights[b], instances.parameters[b])
            one = mismatch_bound(population, 0, instances.difference[b], instances.pair_weights[b], kind=kind)
            np.testing.assert_allclose(together[b], one, rtol=1e-9)

    @pytest.mark.parametrize("largest", [0, 1, 2])
    def test_the_mle_bounds_of_three_features_by_hand(self, largest):
        # Orthogonal pairs, equally often: H is diagonal, and g has one entry per pair. Group 1 is certain to e^-40.
        lengths = np.ones(3)
        lengths[largest] = 2.0
        population = Population([0.4, 0.6], [np.zeros(3), 40 / lengths])
        g = 0.6 * 0.5 * lengths / 3
        bounds = [mismatch_bound(population, 0, np.diag(lengths), None, kind=kind) for kind in ("mle", "mle_H")]
        np.testing.assert_allclose(bounds[0], 4 * np.linalg.norm(g) / (4 / 3))
        np.testing.assert_allclose(bounds[1], 4 * np.sqrt((g**2 / (lengths**2 / 3)).sum()))

    def test_the_realizable_bound_of_two_pairs_by_hand(self):
        # Pairs of lengths 1 and 2, with weights .25 and .75; preferences of group 0 are 1/2, of group 1 3/4 and 9/10.
        population = Population([0.4, 0.6], [[0.0, 0.0], [np.log(3), np.log(9) / 2]])
        bound = mismatch_bound(population, 0, [[1.0, 0.0], [0.0, 2.0]], [0.25, 0.75], kind="realizable")
        np.testing.assert_allclose(bound, 4 / 2 * 0.6 * (0.25 * 0.25 + 0.75 * 0.4))

    @pytest.mark.parametrize("direction", [[1.0, 10.0], [1.0, 0.0], [1e-6, 1.0], [3.0, -2.0, 7.0]])
    def test_of_all_single_rewards_that_with_the_least_norm(self, direction):
        # All pairs lie along one direction: phi* must, too. The other route takes one instance at a time.
        direction, rng = np.array(direction), np.random.default_rng(0)
        pairs, parameters = np.outer([1.0, -2.0, 0.5], direction), rng.normal(size=(5, 3, len(direction)))
        instances = Instances(np.full((5, 3), 1 / 3), parameters, np.tile(pairs, (5, 1, 1)), np.full((5, 3), 1 / 3))
        for phi, groups in zip(instances.single_reward, parameters, strict=True):
            one = population_mle(Population(np.full(3, 1 / 3), groups), pairs, None)
            np.testing.assert_allclose(phi, one, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(phi, phi @ direction / (direction @ direction) * direction, atol=1e-9)

    def test_no_pairs_tell_anything(self):
        nothing = Instances(np.full((1, 2), 0.5), np.ones((1, 2, 2)), np.zeros((1, 3, 2)), np.full((1, 3), 1 / 3))
        np.testing.assert_array_equal(nothing.single_reward, 0)
        np.testing.assert_array_equal(MISMATCH["mle"].bound(nothing), 0)

    def test_bounds_follow_the_unit_of_features(self):
        # Features in another unit: parameters and mismatches scale by its inverse, in the H-norm nothing does.
        population, pairs = Population([0.3, 0.7], [[1.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
        for unit in (1e-9, 1e9):
            scaled = Population([0.3, 0.7], population.parameters / unit)
            for kind in MISMATCH:
                plain = mismatch_bound(population, 0, pairs, None, kind=kind)
                bound = mismatch_bound(scaled, 0, pairs * unit, None, kind=kind)
                np.testing.assert_allclose(bound * (1 if kind.endswith("_H") else unit), plain, rtol=1e-9)

    @pytest.mark.parametrize(
        ("name", "shape", "expected"),
        [
            ("weights", (4,), r"\(B, U\)"),
            ("parameters", (4, 3, 2), r"\(4, 2, d\)"),
            ("parameters", (4, 2), r"\(4, 2, d\)"),
            ("difference", (4, 3, 1), r"\(4, n, 2\)"),
            ("pair_weights", (5, 3), r"\(4, 3\)"),
        ],
    )
    def test_instances_that_do_not_fit_together_are_named(self, name, shape, expected):
        parts = {
            "weights": np.full((4, 2), 0.5),
            "parameters": np.ones((4, 2, 2)),
            "difference": np.ones((4, 3, 2)),
            "pair_weights": np.full((4, 3), 1 / 3),
        }
        with pytest.raises(ValueError, match=f"^{name}: expected shape {expected}, got"):
            Instances(**(parts | {name: np.ones(shape)}))

    def test_a_norm_that_there_is_not(self):
        with pytest.raises(ValueError, match="^norm: expected"):
            mismatches(population_sampler(2, 1, 1).draw(1, 0), "h")

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ((0, [[1.0, 2.0]], None, "mle"), "difference"),
            ((2, [[1.0]], None, "mle"), "u"),
            ((-1, [[1.0]], None, "mle"), "u"),
            ((True, [[1.0]], None, "mle"), "u"),
            ((0.0, [[1.0]], None, "mle"), "u"),
            ((0, [[1.0]], [0.5], "mle"), "pair_weights"),
            ((0, [[1.0]], None, "best"), "kind"),
            ((0, [[1.0]], None, "lower"), "kind"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, name):
        u, difference, rho, kind = arguments
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            mismatch_bound(Population([0.5, 0.5], [[1.0], [2.0]]), u, difference, rho, kind=kind)
