import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from maxmin_core.alignment import (
    best_value_estimates,
    best_values,
    dual_weights,
    gap_limits,
    gibbs_policy,
    part_closed_limits,
)

numbers = st.floats(-2, 2, allow_nan=False)


class TestBestValueEstimates:
    def test_two_texts_by_hand(self):
        # beta 1, Z = 1 and 3.
        low, high = best_value_estimates([[0.0, np.log(3.0)]], [[0.0, 0.0]], 1.0)
        np.testing.assert_allclose(low, np.log(2.0))
        np.testing.assert_allclose(high, ((3 - 1 + 0) + (1 / 3 - 1 + np.log(3.0))) / 2)

    @given(
        st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=3, max_size=3), st.sampled_from([2, 3])
    )
    def test_expectations_lie_on_both_sides_of_the_exact_value(self, reward, logits, n):
        """All draws of n texts from a policy over three, enumerated with their probabilities."""
        log_reference = np.log([0.5, 0.3, 0.2])
        policy = np.exp(logits) / np.exp(logits).sum()
        draws = np.array(list(itertools.product(range(3), repeat=n)))
        chance = policy[draws].prod(axis=1)
        ratio = np.log(policy) - log_reference
        low, high = best_value_estimates(np.array(reward)[draws], ratio[draws], 0.7)
        exact = best_values(np.array(reward)[None, None], log_reference[None], 0.7)[0]
        assert chance @ low <= exact + 1e-9 and exact <= chance @ high + 1e-9

    def test_texts_of_the_optimal_policy_leave_no_error(self):
        rng = np.random.default_rng(0)
        reward, log_reference = rng.normal(size=(2, 5)), np.log(rng.dirichlet(np.ones(5), size=2))
        optimal = gibbs_policy(reward, log_reference, 0.2)
        drawn = np.array([rng.choice(5, size=8, p=row) for row in optimal])
        take = np.arange(2)[:, None], drawn
        low, high = best_value_estimates(reward[take], (np.log(optimal) - log_reference)[take], 0.2)
        exact = best_values(reward[None], log_reference, 0.2)[0]
        np.testing.assert_allclose([low.mean(), high.mean()], exact, rtol=1e-12)

    def test_large_rewards_stay_finite_below_and_infinite_above(self):
        low, high = best_value_estimates([[1e4, 0.0]], [[0.0, 0.0]], 1.0)
        np.testing.assert_allclose(low, 1e4 - np.log(2.0))
        assert high[0] == np.inf

    @pytest.mark.parametrize(
        ("reward", "ratio", "message"),
        [
            ([[1.0]], [[0.0]], "^reward: expected at least two texts for each prompt, got 1"),
            ([[1.0, 2.0]], [[0.0]], "^log_ratio: expected shape"),
            ([[1.0, np.nan]], [[0.0, 0.0]], "^reward: expected finite"),
        ],
    )
    def test_bad_arguments_are_named(self, reward, ratio, message):
        with pytest.raises(ValueError, match=message):
            best_value_estimates(reward, ratio, 1.0)


class TestGapLimits:
    def test_one_group_is_student_s_interval(self):
        rng = np.random.default_rng(1)
        value, low, high = rng.normal(size=(3, 12))
        lower, upper = gap_limits([value], low, high)
        assert lower == pytest.approx(ttest_1samp(low - value, 0, alternative="greater").confidence_interval(0.95).low)
        assert upper == pytest.approx(ttest_1samp(high - value, 0, alternative="less").confidence_interval(0.95).high)

    def test_coverage_where_groups_tie(self):
        # Two groups of the same value: the hardest case for the lower limit. True gap .5.
        rng = np.random.default_rng(2)
        missed = np.zeros(2)
        for _ in range(2000):
            prompt = rng.normal(size=30)
            values = prompt + 0.3 * rng.normal(size=(2, 30))
            dual = 0.5 + prompt + 0.3 * rng.normal(size=30)
            lower, upper = gap_limits(values, dual, dual)
            missed += lower > 0.5, upper < 0.5
        assert (missed / 2000 <= 0.06).all() and (missed / 2000 >= 0.005).all()

    def test_coverage_where_one_group_is_worst(self):
        # The hardest case for the upper limit: nothing is lost to the maximum. True gap .5, estimates .1 to both sides.
        rng = np.random.default_rng(3)
        missed, exact = np.zeros(2), np.zeros(2)
        for _ in range(2000):
            prompt = rng.normal(size=30)
            values = prompt + np.array([[0.0], [2.0]]) + 0.3 * rng.normal(size=(2, 30))
            dual = 0.5 + prompt + 0.3 * rng.normal(size=30)
            for found, shift in ((exact, 0.0), (missed, 0.1)):
                lower, upper = gap_limits(values, dual - shift, dual + shift)
                found += lower > 0.5, upper < 0.5
        assert 0.035 <= exact[1] / 2000 <= 0.065 and 0.015 <= exact[0] / 2000 <= 0.04
        assert (missed < exact).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"values": [[1.0]], "low": [1.0], "high": [1.0]}, "^values: expected at least two prompts, got 1"),
            ({"level": 1.0}, "^level: expected a number between 0 and 1, got 1.0"),
            ({"high": [1.0, np.inf, 1.0]}, "^low, high: expected finite"),
        ],
    )
    def test_bad_arguments_are_named(self, change, message):
        with pytest.raises(ValueError, match=message):
            gap_limits(**({"values": [[0.0, 1.0, 2.0]], "low": [1.0, 2.0, 3.0], "high": [1.0, 2.0, 3.0]} | change))


class World:
    """Thirty prompts, eight responses: a policy that closed 45% of the way; everything by plain formulas, no solver."""

    beta, part = 0.3, 0.45

    def __init__(self, n_groups, seed):
        rng = np.random.default_rng(seed)
        self.rewards = rng.normal(size=(n_groups, 30, 8))
        self.reference = rng.dirichlet(np.full(8, 2.0), size=30)
        # Softmax coordinates, and any minimiser: the dual is convex and smooth.
        found = minimize(lambda z: self.dual(np.exp(z) / np.exp(z).sum()), np.zeros(n_groups), tol=1e-12)
        self.weights, self.best = np.exp(found.x) / np.exp(found.x).sum(), found.fun
        self.start = self.worst(self.reference)
        way = brentq(lambda s: self.worst(self.tilted(s)) - self.start - self.part * (self.best - self.start), 0, 1)
        self.policy = self.tilted(way)
        self.gap = self.best - self.worst(self.policy)

    def dual(self, weights):
        return self.beta * np.log((self.reference * np.exp(self.mixed(weights) / self.beta)).sum(axis=1)).mean()

    def mixed(self, weights):
        return sum(w * reward for w, reward in zip(weights, self.rewards, strict=True))

    def tilted(self, strength):
        raw = self.reference * np.exp(strength * self.mixed(self.weights) / self.beta)
        return raw / raw.sum(axis=1, keepdims=True)

    def worst(self, policy):
        cost = self.beta * (policy * np.log(policy / self.reference)).sum(axis=1).mean()
        return min((policy * reward).sum(axis=1).mean() for reward in self.rewards) - cost

    def draw(self, policy, prompts, n, rng):
        texts = np.array([rng.choice(8, size=n, p=policy[x]) for x in prompts])
        take = np.asarray(prompts)[:, None], texts
        return self.rewards[:, *take], np.log(policy / self.reference)[take]


def estimates(world, weights, rewards, ratio):
    return best_value_estimates(np.tensordot(weights, rewards, 1), ratio, world.beta)


class TestDualWeights:
    def test_every_text_once_is_max_min(self):
        """All responses, each with the ratio that makes it as likely under the reference as it is: no chance."""
        world = World(3, seed=1)
        ratio = np.log(1 / 8) - np.log(world.reference)
        found = dual_weights(world.rewards, ratio, world.beta)
        np.testing.assert_allclose(found, world.weights, atol=2e-5)

    def test_no_other_weights_have_a_lower_estimate(self):
        world, rng = World(2, seed=2), np.random.default_rng(0)
        drawn = world.draw(world.policy, rng.integers(30, size=20), 6, rng)
        found = dual_weights(*drawn, world.beta)
        least = estimates(world, found, *drawn)[0].mean()
        grid = [estimates(world, (k / 500, 1 - k / 500), *drawn)[0].mean() for k in range(501)]
        assert 0.05 < found[0] < 0.95 and found.sum() == pytest.approx(1)
        assert least <= min(grid) + 1e-12 and min(grid) - least < 1e-4

    @pytest.mark.parametrize("seed", range(5))
    def test_a_grid_of_weights_costs_an_eighth_of_the_second_difference_at_most(self, seed):
        """What chapter 9 takes off the least lower limit: the grid's best weights are that close to the dual's own."""
        world = World(2, seed)
        curve = np.array([world.dual((k / 50, 1 - k / 50)) for k in range(51)])
        off_grid = curve.min() - world.best
        assert -1e-12 <= off_grid <= np.diff(curve, n=2).max() / 8

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([[1.0]], [[0.0]], 1.0), "^rewards: expected shape"),
            (([[[1.0]]], [[0.0, 0.0]], 1.0), "^log_ratio: expected shape"),
            (([[[1.0]]], [[0.0]], 0.0), "^beta: expected"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            dual_weights(*arguments)


class TestWhereTheLimitsAreUsed:
    """Coverage of the limits of the optimum and of the part closed, for a policy that is far from it."""

    @pytest.mark.parametrize("n_groups", [2, 4])
    def test_limits_and_interval_hold(self, n_groups):
        world, rng = World(n_groups, seed=1), np.random.default_rng(3)
        assert world.gap > 0.1
        held, plain, width = [], [], []
        for _ in range(300):
            other = world.draw(world.policy, rng.integers(30, size=32), 8, rng)
            chosen = dual_weights(*other, world.beta)
            prompts = rng.integers(30, size=64)
            rewards, ratio = world.draw(world.policy, prompts, 32, rng)
            values = rewards.mean(axis=2) - world.beta * ratio.mean(axis=1)
            start = world.draw(world.reference, prompts, 32, rng)[0].mean(axis=2)
            low, high = estimates(world, chosen, rewards, ratio)
            # The least lower limit over all weights is at most the one at the dual's own: this is the hardest case.
            own, _ = estimates(world, world.weights, rewards, ratio)
            lower, upper = gap_limits(values, own, own)[0], gap_limits(values, low, high)[1]
            parts, (few, many) = part_closed_limits(values, start, own[None], high, n_resamples=400, seed=rng)
            held.append((lower <= world.gap, world.gap <= upper, few <= world.part <= many))
            share = rng.multinomial(64, np.full(64, 1 / 64), 400) / 64
            before, after = (share @ start.T).min(axis=1), (share @ values.T).min(axis=1)
            ends = np.quantile((after - before) / (share @ own - before), 0.975)
            plain.append(ends >= world.part)
            width.append((lower > 0, upper < world.best - world.start + 0.1, parts[0] <= parts[1]))
        held = np.mean(held, axis=0)
        assert (held >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)).all(), held
        # ... and the limits say something: above zero, below the whole way, most of the time.
        assert (np.mean(width, axis=0) >= 0.75).all(), np.mean(width, axis=0)
        # What sharing the error among the groups is for: where four tie, a plain bootstrap of the minimum misses.
        assert n_groups == 2 or np.mean(plain) < 0.93 < held[2]

    def test_on_the_prompts_that_chose_them_weights_look_too_good(self):
        world, rng = World(4, seed=1), np.random.default_rng(4)
        same, fresh = [], []
        for _ in range(200):
            one, two = (world.draw(world.policy, rng.integers(30, size=12), 8, rng) for _ in range(2))
            chosen = dual_weights(*one, world.beta)
            same.append(estimates(world, chosen, *one)[0].mean())
            fresh.append(estimates(world, chosen, *two)[0].mean())
        (low, high), error = (np.mean(same), np.mean(fresh)), np.std(same) / np.sqrt(200)
        assert low < world.best - 3 * error and high > low + 3 * error


class TestPartClosedLimits:
    def test_one_group_and_a_known_optimum_is_student_s_interval(self):
        rng = np.random.default_rng(5)
        values, n = 1 + rng.normal(size=(1, 400)), 400
        flat = np.full((1, n), 4.0)
        parts, (few, many) = part_closed_limits(values, 0 * values, flat, flat[0], n_resamples=20_000, seed=6)
        half = student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) / 4
        assert parts == pytest.approx((values.mean() / 4, values.mean() / 4))
        assert (few, many) == pytest.approx((parts[0] - half, parts[0] + half), abs=0.05 * half)

    def test_the_error_is_shared_among_the_groups(self):
        """A second group far above changes nothing but the level: 90% of two is 95% of one."""
        values = 1 + np.random.default_rng(7).normal(size=(1, 50))
        flat = np.full((1, 50), 40.0)
        _, one = part_closed_limits(values, 0 * values, flat, flat[0], level=0.95)
        both = np.concatenate([values, values + 20])
        _, two = part_closed_limits(both, 0 * both, flat, flat[0], level=0.9)
        assert one == pytest.approx(two, rel=1e-12)

    def test_two_groups_by_hand(self):
        """Nothing varies. Worst value 1, reference's worst 0; the high dual value 4 gives 1/4, the least low one 2."""
        values, start = [[1.0] * 3, [3.0] * 3], [[0.5] * 3, [0.0] * 3]
        parts, ends = part_closed_limits(values, start, [[3.0] * 3, [2.0] * 3], [4.0] * 3)
        assert parts == (0.25, 0.5) and ends == (0.25, 0.5)

    def test_a_policy_below_the_reference_has_a_negative_part(self):
        parts, (few, many) = part_closed_limits([[-1.0] * 3], [[0.0] * 3], [[2.0] * 3], [4.0] * 3)
        # The high dual value makes a negative part larger: the interval reaches over both.
        assert parts == (-0.25, -0.5) and (few, many) == (-0.5, -0.25)

    def test_where_the_optimum_may_lie_below_the_reference_nothing_is_known(self):
        dual = [-1.0, 3.0]
        _, ends = part_closed_limits([[0.0, 1.0]], [[0.0, 0.0]], [dual], dual)
        assert ends == (-np.inf, np.inf)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"values": [[1.0]], "start": [[0.0]], "low": [[1.0]], "high": [1.0]}, "^values: expected at least two"),
            ({"start": [[0.0, 1.0]]}, "^start: expected shape"),
            ({"low": [1.0, 2.0, 3.0]}, "^low: expected shape"),
            ({"level": 0.0}, "^level: expected a number between 0 and 1, got 0.0"),
            ({"n_resamples": 0}, "^n_resamples: expected an integer of at least 1, got 0"),
            ({"high": [-1.0, -1.0, -1.0]}, "^low, high: expected an optimum above the reference's worst value"),
        ],
    )
    def test_bad_arguments_are_named(self, change, message):
        arguments = {"values": [[0.0, 1.0, 2.0]], "start": [[0.0, 0.0, 0.0]], "low": [[3.0] * 3], "high": [3.0] * 3}
        with pytest.raises(ValueError, match=message):
            part_closed_limits(**(arguments | change))
