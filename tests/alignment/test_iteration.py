import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax

from maxmin_core.alignment import (
    calibrate,
    gibbs_policy,
    group_values,
    iterate,
    max_min,
    per_prompt_minimum,
    per_response_minimum,
)

seeds = st.integers(0, 2**32 - 1)
UNIFORM = np.full((1, 3), -np.log(3))
COMPROMISE = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])


def problem(seed, n_groups=3, n_prompts=3, n_responses=4):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(n_groups, n_prompts, n_responses))
    return rewards, log_softmax(rng.normal(size=(n_prompts, n_responses)), axis=-1), 10 ** rng.uniform(-1, 0.5)


class TestIterate:
    @pytest.mark.parametrize("method", ["worst_group", "frank_wolfe", "exponentiated_gradient"])
    @given(seeds)
    def test_every_step_encloses_the_optimum(self, method, seed):
        rewards, reference, beta = problem(seed)
        optimum = max_min(rewards, reference, beta).primal
        visited = iterate(method, rewards, reference, beta, n_steps=20)
        assert len(visited) == 21
        for solution in visited:
            assert solution.primal <= optimum + 1e-8 and optimum <= solution.dual + 1e-9
            values = group_values(solution.policy, rewards, reference, beta)
            np.testing.assert_allclose(solution.values, values, atol=1e-11)
            by_weights = gibbs_policy(np.tensordot(solution.weights, rewards, 1), reference, beta)
            np.testing.assert_allclose(solution.policy, by_weights)

    def test_frank_wolfe_converges_and_constant_steps_chatter(self):
        # Two opposite groups: the optimal weights are inside the simplex, and neither is equal weights.
        rewards, reference, beta = np.array([[[1.0, 0.0, 0.35]], [[0.0, 0.8, 0.35]]]), UNIFORM, 0.1
        found = {
            method: [s.gap for s in iterate(method, rewards, reference, beta, n_steps=2000, rate=step)]
            for method, step in [("frank_wolfe", 0.1), ("worst_group", 0.1), ("exponentiated_gradient", 0.5)]
        }
        assert found["frank_wolfe"][-1] < 3e-3 and found["exponentiated_gradient"][-1] < 1e-6
        # The constant step swings around the optimum, however long it runs.
        assert min(found["worst_group"][-100:]) > 1e-4
        assert np.mean(found["worst_group"][-100:]) > 0.5 * np.mean(found["worst_group"][100:200])

    def test_the_mean_gaps_of_four_schemes_by_a_recursion_of_one_weight(self):
        # Chapter 5 compares the mean gap of the last 100 iterations; here with two groups and one number, w of group 1.
        first, second = np.array([1.0, 0.0, 0.35]), np.array([0.0, 0.8, 0.35])
        schemes = {
            ("worst_group", 0.1): lambda w, t, one, two: w + 0.1 * ((one < two) - w),
            ("worst_group", 0.01): lambda w, t, one, two: w + 0.01 * ((one < two) - w),
            ("frank_wolfe", 0.1): lambda w, t, one, two: w + 2 / (t + 2) * ((one < two) - w),
            ("exponentiated_gradient", 0.5): lambda w, t, one, two: expit(np.log(w / (1 - w)) - 0.5 * (one - two)),
        }
        means = {}
        for (method, rate), step in schemes.items():
            w, gaps = 0.5, []
            for t in range(1001):
                p = softmax((w * first + (1 - w) * second) / 0.1)
                one, two = p @ first, p @ second
                gaps.append(w * one + (1 - w) * two - min(one, two))
                w = step(w, t, one, two)
            path = iterate(method, np.stack([first, second])[:, None], UNIFORM, 0.1, n_steps=1000, rate=rate)
            means[method, rate] = np.mean(gaps[-100:])
            np.testing.assert_allclose(
                np.mean([s.gap for s in path[-100:]]), means[method, rate], rtol=1e-3, atol=1e-12
            )
        # What an independent reading of the chapter found.
        np.testing.assert_allclose(list(means.values())[:3], [0.090, 0.0082, 0.0017], rtol=0.03)

    def test_a_worst_group_step_is_a_policy_gradient_step(self):
        # In natural parameters theta = log pi / pi_ref: theta += a (r_u - beta theta), a = step / beta.
        rewards, reference, beta = problem(4)
        first, second = iterate("worst_group", rewards, reference, beta, n_steps=1, rate=0.3)
        theta = np.tensordot(first.weights, rewards, 1) / beta
        worst = rewards[first.values.argmin()]
        by_hand = softmax(reference + theta + 0.3 / beta * (worst - beta * theta), axis=-1)
        np.testing.assert_allclose(second.policy, by_hand)

    def test_the_first_weights_by_hand(self):
        rewards, prompts = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]]), [0.9, 0.1]
        half = np.log(np.full((2, 2), 0.5))
        paths = {
            name: iterate(name, rewards, half, 1.0, n_steps=3, rate=0.2, prompt_weights=prompts)
            for name in ("worst_group", "frank_wolfe", "exponentiated_gradient")
        }
        for name, path in paths.items():
            w = np.array([0.5, 0.5])
            for t, solution in enumerate(path):
                np.testing.assert_allclose(solution.weights, w, err_msg=name)
                policy = softmax(half + np.tensordot(w, rewards, 1), axis=-1)
                earned = np.array([(0.9 * policy[0] @ r[0] + 0.1 * policy[1] @ r[1]) for r in rewards])
                if name == "exponentiated_gradient":
                    w = w * np.exp(-0.2 * earned)
                    w = w / w.sum()
                else:
                    step = 0.2 if name == "worst_group" else 2 / (t + 2)
                    w = (1 - step) * w + step * np.eye(2)[earned.argmin()]

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"rewards": 1e300 * COMPROMISE, "beta": 1e-30}, "beta"),
            ({"method": "ppo"}, "method"),
            ({"n_steps": 0}, "n_steps"),
            ({"n_steps": True}, "n_steps"),
            ({"rate": 0.0}, "rate"),
            ({"rate": 2.0}, "rate"),
            ({"beta": -1.0}, "beta"),
            ({"rewards": np.zeros((0, 1, 3))}, "rewards"),
        ],
    )
    def test_bad_arguments_are_named(self, change, name):
        world = {"rewards": COMPROMISE, "log_reference": UNIFORM, "beta": 1.0}
        arguments = {"method": "worst_group", "n_steps": 3} | world
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            iterate(**(arguments | change))


class TestMinima:
    def test_three_responses_by_hand(self):
        # theory.md, section 4: expected rewards .485 under max-min, .359 under the per-response minimum, both groups.
        for policy, expected in [
            (max_min(COMPROMISE, UNIFORM, 0.1).policy, 0.485),
            (per_response_minimum(COMPROMISE, UNIFORM, 0.1), 0.359),
        ]:
            np.testing.assert_allclose((policy * COMPROMISE).sum(axis=(1, 2)), expected, atol=5e-4)

    @given(seeds)
    def test_each_minimum_is_at_most_the_one_before(self, seed):
        rewards, reference, beta = problem(seed)
        # The optimum of each problem, KL included: the smaller the objective everywhere, the smaller its optimum.
        per_group = max_min(rewards, reference, beta).primal
        by_prompt = [max_min(rewards[:, [x]], reference[[x]], beta).primal for x in range(len(reference))]
        lowest = rewards.min(axis=0)[None]
        per_response = group_values(per_response_minimum(rewards, reference, beta), lowest, reference, beta)[0]
        per_prompt = np.mean(by_prompt)
        assert per_response <= per_prompt + 1e-8 and per_prompt <= per_group + 1e-8

    @given(seeds)
    def test_each_policy_is_best_at_its_own_problem(self, seed):
        rewards, reference, beta = problem(seed)

        def scores(policy):
            by_prompt = [
                group_values(policy[[x]], rewards[:, [x]], reference[[x]], beta).min() for x in range(len(policy))
            ]
            worst = group_values(policy, rewards, reference, beta).min()
            lowest = group_values(policy, rewards.min(axis=0)[None], reference, beta)[0]
            return worst, np.mean(by_prompt), lowest

        policies = (
            max_min(rewards, reference, beta).policy,
            per_prompt_minimum(rewards, reference, beta),
            per_response_minimum(rewards, reference, beta),
        )
        table = np.array([scores(policy) for policy in policies])
        assert (np.diag(table) >= table.max(axis=0) - 1e-8).all()

    def test_bad_arguments_are_named(self):
        for minimum in (per_prompt_minimum, per_response_minimum):
            with pytest.raises(ValueError, match="^rewards: expected"):
                minimum(np.zeros((0, 1, 3)), UNIFORM, 1.0)
            with pytest.raises(ValueError, match="^beta: expected"):
                minimum(COMPROMISE, UNIFORM, 0.0)


class TestCalibrate:
    @given(seeds)
    def test_what_each_method_promises(self, seed):
        rewards, reference, _ = problem(seed)
        prompts = np.random.default_rng(seed).dirichlet(np.ones(3))
        q = np.exp(reference)
        centred = calibrate(rewards, reference, method="center")
        np.testing.assert_allclose((q * centred).sum(axis=-1), 0, atol=1e-12)
        unit = calibrate(rewards, reference, prompt_weights=prompts)
        np.testing.assert_allclose((q * unit**2).sum(axis=-1) @ prompts, 1.0)
        wins = calibrate(rewards, reference, method="winrate")
        # Against itself the reference wins half of the time.
        np.testing.assert_allclose((q * wins).sum(axis=-1), 0.5)
        np.testing.assert_array_equal(calibrate(rewards, reference, method="none"), rewards)
        # No preference changes when a group's reward is shifted by prompt; scale matters but to standardize.
        moved = rewards + np.random.default_rng(seed).normal(size=(3, 3, 1))
        for method in ("center", "standardize", "winrate"):
            np.testing.assert_allclose(
                calibrate(moved, reference, method=method), calibrate(rewards, reference, method=method), atol=1e-10
            )
        np.testing.assert_allclose(calibrate(5 * rewards, reference), calibrate(rewards, reference), atol=1e-10)

    def test_winrate_by_hand(self):
        wins = calibrate([[[2.0, 0.0]]], np.log([[0.25, 0.75]]), method="winrate")
        np.testing.assert_allclose(wins[0, 0], [0.125 + 0.75 * expit(2.0), 0.25 * expit(-2.0) + 0.375])

    def test_what_never_comes_up_does_not_set_the_scale(self):
        masked = np.append(UNIFORM, [[-np.inf]], axis=1)
        far = np.append(COMPROMISE, np.full((2, 1, 1), 1e12), axis=2)
        np.testing.assert_allclose(calibrate(far, masked)[..., :3], calibrate(COMPROMISE, UNIFORM))

    def test_an_indifferent_group_stays_at_zero(self):
        rewards = np.array([[[0.3, 0.3, 0.3]], [[1.0, 0.0, 0.0]]])
        assert (calibrate(rewards, UNIFORM)[0] == 0).all()

    def test_bad_arguments_are_named(self):
        with pytest.raises(ValueError, match="^method: expected 'standardize'"):
            calibrate(COMPROMISE, UNIFORM, method="rank")
        with pytest.raises(ValueError, match="^log_reference: expected"):
            calibrate(COMPROMISE, np.zeros((1, 3)))
        with pytest.raises(ValueError, match="^prompt_weights: expected"):
            calibrate(COMPROMISE, UNIFORM, prompt_weights=[0.5])
