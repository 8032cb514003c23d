import decimal
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from maxmin_core.alignment import Egalitarian, best_values, gibbs_policy, group_values, kl_divergence, max_min
from maxmin_core.alignment._barrier import _short, minimise
from maxmin_core.alignment._dual import Dual
from maxmin_core.theory import alignment_gap, chernoff_information, price_of_sharing

seeds = st.integers(0, 2**32 - 1)


def random_rewards(seed, n_groups, n_prompts=2, n_responses=4):
    rng = np.random.default_rng(seed)
    rewards = 10 ** rng.uniform(-1, 1) * rng.normal(size=(n_groups, n_prompts, n_responses))
    reference = log_softmax(rng.normal(size=(n_prompts, n_responses)), axis=-1)
    return rewards, reference, 10 ** rng.uniform(-1, 1), rng.dirichlet(np.ones(n_prompts))


class TestMaxMin:
    @given(seeds, st.integers(1, 8), st.floats(-5, 5))
    def test_the_certificate_holds_over_ten_decades_of_beta(self, seed, n_groups, exponent):
        rng = np.random.default_rng(seed)
        # Integers make ties, the kinks of a small beta.
        rewards = rng.integers(-2, 3, size=(n_groups, 3, 5)) if seed % 2 else rng.normal(size=(n_groups, 3, 5))
        rewards = rewards.astype(float)
        beta = 10.0**exponent
        reference = log_softmax(rng.normal(size=(3, 5)), axis=-1)
        solution = max_min(rewards, reference, beta)
        values = group_values(solution.policy, rewards, reference, beta)
        dual = best_values(np.tensordot(solution.weights, rewards, 1)[None], reference, beta)[0]
        rounding = 1e-12 * (1 + beta)
        np.testing.assert_allclose(solution.values, values, atol=rounding)
        np.testing.assert_allclose(solution.dual, dual, atol=rounding)
        assert (solution.weights >= 0).all() and abs(solution.weights.sum() - 1) < 1e-12
        size = 2 * np.ptp(rewards, axis=-1).max()
        assert -1e-14 <= solution.gap <= 1e-9 * min(size, size**2 / beta) + 1e-13

    def test_a_general_optimiser_finds_the_same_optimum(self):
        rewards, reference, beta, _ = random_rewards(5, 3, n_prompts=1)

        def values(x):
            return group_values(softmax(x[:-1])[None], rewards, reference, beta) - x[-1]

        found = minimize(
            lambda x: -x[-1],
            np.append(reference[0], -5.0),
            constraints={"type": "ineq", "fun": values},
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        )
        np.testing.assert_allclose(found.x[-1], max_min(rewards, reference, beta).primal, rtol=1e-6)

    def test_by_hand(self):
        # theory.md, section 4: two opposite groups and a compromise; the optimum mixes both with equal weights.
        rewards = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])
        solution = max_min(rewards, np.full((1, 3), -np.log(3)), 0.1)
        np.testing.assert_allclose(solution.weights, 0.5, atol=1e-6)
        np.testing.assert_allclose((solution.policy * rewards).sum(axis=(1, 2)), 0.485, atol=5e-4)

    @pytest.mark.parametrize("change", ["masked response", "idle prompt", "offset"])
    def test_what_cannot_matter_does_not(self, change):
        rewards, half = np.array([[[1.0, 0.0, 0.35]], [[0.0, 0.3, 0.35]]]), np.full((1, 3), -np.log(3))
        plain = max_min(rewards, half, 0.1)
        weights = None
        if change == "masked response":
            rewards = np.concatenate([rewards, [[[1e9]], [[0.0]]]], axis=2)
            half = np.append(half, [[-np.inf]], axis=1)
        elif change == "idle prompt":
            rewards = np.concatenate([rewards, [[[1e9, 0, 0]], [[0, 0, 0]]]], axis=1)
            half, weights = np.repeat(half, 2, axis=0), [1.0, 0.0]
        else:
            rewards = rewards + 1e5
        changed = max_min(rewards, half, 0.1, prompt_weights=weights)
        np.testing.assert_allclose(changed.weights, plain.weights, atol=1e-4)
        assert abs(changed.primal - plain.primal - (1e5 if change == "offset" else 0)) < 1e-8

    def test_it_says_when_the_gap_stays(self, monkeypatch):
        dual = Dual(np.array([[[1.0, 0.0]], [[0.0, 0.7]]]), np.log([[0.3, 0.7]]), 0.1, np.ones(1))
        weights, gap = minimise(dual, Egalitarian(), 1e-12, max_iter=3)
        assert gap > 1e-9 and abs(weights.sum() - 1) < 1e-12
        monkeypatch.setattr("maxmin_core.alignment.solution.minimise", lambda dual, welfare, tol: (weights, gap))
        with pytest.warns(RuntimeWarning, match="the gap stayed at .*, above"):
            max_min(np.array([[[1.0, 0.0]], [[0.0, 0.7]]]), np.log([[0.3, 0.7]]), 0.1)

    @pytest.mark.parametrize(
        ("rewards", "beta", "tol", "name"),
        [
            (np.zeros((0, 1, 2)), 1.0, 1e-9, "rewards"),
            (np.zeros((1, 2)), 1.0, 1e-9, "rewards"),
            (np.zeros((2, 1, 2)), 0.0, 1e-9, "beta"),
            (np.full((2, 1, 2), 1e300), 1e-30, 1e-9, "beta"),
            (np.zeros((2, 1, 2)), 1.0, -1.0, "tol"),
            (np.zeros((2, 1, 2)), 1.0, np.nan, "tol"),
        ],
    )
    def test_bad_arguments_are_named(self, rewards, beta, tol, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            max_min(rewards, np.log([[0.5, 0.5]]), beta, tol=tol)


class TestPriceOfSharing:
    @given(seeds, st.integers(1, 5))
    def test_no_policy_pays_less(self, seed, n_groups):
        rewards, reference, beta, prompts = random_rewards(seed, n_groups)
        solution = price_of_sharing(rewards, reference, beta, prompt_weights=prompts)
        gap_of = [alignment_gap(solution.policy, r, reference, beta, prompt_weights=prompts) for r in rewards]
        scale = np.ptp(rewards)
        np.testing.assert_allclose(-solution.values, gap_of, rtol=1e-7, atol=1e-9 * scale)
        # The certificate, recomputed from the weights alone.
        mixed = np.tensordot(solution.weights, rewards, 1)
        price = solution.weights @ best_values(rewards, reference, beta, prompt_weights=prompts)
        price -= best_values(mixed[None], reference, beta, prompt_weights=prompts)[0]
        np.testing.assert_allclose(-solution.dual, price, atol=1e-9 * scale)
        assert -1e-14 * scale <= solution.gap <= 2e-9 * scale
        rng = np.random.default_rng(seed)
        for log_policy in reference + rng.normal(size=(20, *reference.shape)):
            policy = softmax(log_policy, axis=-1)
            worst = max(alignment_gap(policy, r, reference, beta, prompt_weights=prompts) for r in rewards)
            assert worst >= price - 1e-9 * scale

    @given(seeds, st.floats(-1, 8))
    def test_two_groups_pay_the_chernoff_information(self, seed, exponent):
        rewards, reference, _, prompts = random_rewards(seed, 2)
        beta = 10.0**exponent
        own = [gibbs_policy(r, reference, beta) for r in rewards]
        price = -price_of_sharing(rewards, reference, beta, prompt_weights=prompts).dual
        # Policies a distance t apart carry t only to rounding / t: that is what the tolerance grants.
        apart = max(np.abs(own[0] - own[1]).max(), 1e-15)
        found = beta * chernoff_information(*own, prompt_weights=prompts)
        np.testing.assert_allclose(price, found, rtol=1e-7 + 1e-13 / apart)

    def test_the_price_falls_as_one_over_a_large_beta(self):
        rewards, reference, _, _ = random_rewards(2, 4)
        prices = [-price_of_sharing(rewards, reference, beta).dual * beta for beta in (1e4, 1e6, 1e8, 1e10)]
        np.testing.assert_allclose(prices, prices[0], rtol=1e-4)

    def test_a_general_optimiser_finds_the_same_policy(self):
        rewards, reference, beta, _ = random_rewards(3, 3, n_prompts=1)

        def worst(logits):
            policy = softmax(logits[:-1])[None]
            return [logits[-1] - alignment_gap(policy, r, reference, beta) for r in rewards]

        found = minimize(
            lambda x: x[-1],
            np.append(reference[0], 5.0),
            constraints={"type": "ineq", "fun": worst},
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        )
        solution = price_of_sharing(rewards, reference, beta)
        np.testing.assert_allclose(found.x[-1], -solution.primal, rtol=1e-6)
        np.testing.assert_allclose(softmax(found.x[:-1]), solution.policy[0], atol=1e-4)

    def test_bad_arguments_are_named(self):
        uniform = np.log([[0.5, 0.5]])
        with pytest.raises(ValueError, match="^beta: expected"):
            price_of_sharing(np.zeros((2, 1, 2)), uniform, 0.0)
        for rewards in (np.zeros((1, 2)), np.zeros((0, 1, 2))):
            with pytest.raises(ValueError, match="^rewards: expected"):
                price_of_sharing(rewards, uniform, 1.0)
        with pytest.raises(ValueError, match="^log_reference: expected"):
            price_of_sharing(np.zeros((2, 1, 2)), np.zeros((1, 2)), 1.0)


class TestChernoff:
    def test_by_hand(self):
        # A coin and its mirror image: w = 1/2 by symmetry, C = -log 2 sqrt(p (1 - p)).
        np.testing.assert_allclose(chernoff_information([[0.9, 0.1]], [[0.1, 0.9]]), -np.log(2 * 0.3), rtol=1e-9)
        assert chernoff_information([[1.0, 0.0]], [[0.0, 1.0]]) == np.inf
        assert chernoff_information([[0.3, 0.7]], [[0.3, 0.7]]) == 0

    def test_an_idle_prompt_does_not_count(self):
        one, other = [[0.9, 0.1], [1.0, 0.0]], [[0.1, 0.9], [0.0, 1.0]]
        found = chernoff_information(one, other, prompt_weights=[1.0, 0.0])
        np.testing.assert_allclose(found, chernoff_information(one[:1], other[:1]))

    def test_close_policies_keep_their_digits(self):
        # To second order the information is chi^2 / 8: for a fair coin turned by e, e^2 / 2.
        for e in (1e-4, 1e-6, 1e-8):
            found = chernoff_information([[0.5, 0.5]], [[0.5 + e, 0.5 - e]])
            np.testing.assert_allclose(found, e**2 / 2, rtol=1e-3)

    @pytest.mark.parametrize(
        ("policy", "other", "name"), [([[3, 4]], [[0.5, 0.5]], "policy"), ([[0.5, 0.5]], [[1.0]], "other")]
    )
    def test_bad_arguments_are_named(self, policy, other, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            chernoff_information(policy, other)


def test_divergences_of_close_policies_keep_their_digits():
    for e in (1e-3, 1e-6, 1e-8):
        found = kl_divergence([[0.5 + e, 0.5 - e]], np.log([[0.5, 0.5]]))
        np.testing.assert_allclose(found, 2 * e**2, rtol=1e-5 + e)
    # On both sides of where the series takes over, against 28 digits.
    for e in (1e-4, 1.9e-4, 2.1e-4, 1e-3, 0.1):
        p, q = [0.2 + e, 0.8 - e], [0.2, 0.8]
        exact = sum(
            Decimal(a) * (Decimal(a) / Decimal(b)).ln() - Decimal(a) + Decimal(b) for a, b in zip(p, q, strict=True)
        )
        np.testing.assert_allclose(kl_divergence([p], np.log([q])), float(exact), rtol=1e-11)
    # A fair coin against itself turned by e / 2 logits: KL = e^2 / 8 to second order.
    gap = alignment_gap([[0.5, 0.5]], [[1e-7, 0.0]], np.log([[0.5, 0.5]]), 1.0)
    np.testing.assert_allclose(gap, 1e-14 / 8, rtol=1e-6)


def test_what_a_gain_falls_short_by_to_nine_digits():
    # x - 1 - log x in fifty digits, across the place where the series ends.
    with decimal.localcontext() as context:
        context.prec = 50
        for t in np.concatenate([np.geomspace(1e-7, 0.5, 60), -np.geomspace(1e-7, 0.5, 60)]):
            x = 1 + t
            exact = Decimal(x) - 1 - Decimal(x).ln()
            assert abs(_short(np.array(x)) - float(exact)) <= 2e-9 * float(exact)
