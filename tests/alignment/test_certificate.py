import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from maxmin_core.alignment import best_value_estimates, best_values, gap_limits, gibbs_policy

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
