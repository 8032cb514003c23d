import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from maxmin_core.alignment import (
    ChiSquare,
    CVaR,
    Egalitarian,
    Nash,
    Regret,
    SoftMin,
    Utilitarian,
    best_values,
    gibbs_policy,
    group_values,
    max_min,
    solve,
)

seeds = st.integers(0, 2**32 - 1)


def family(eta, scale=1.0, rng=None):
    """Return every welfare, with shares eta and parameters drawn at the scale of the values."""
    rng = rng or np.random.default_rng(0)
    return {
        "utilitarian": Utilitarian(eta),
        "egalitarian": Egalitarian(),
        "softmin": SoftMin(scale * 10 ** rng.uniform(-2, 1), eta),
        "cvar": CVaR(rng.uniform(0.05, 1), eta),
        "chisquare": ChiSquare(10 ** rng.uniform(-2, 1), eta),
        "nash": Nash(np.full(len(eta), -5 * scale), eta),
        "regret": Regret(scale * rng.normal(size=len(eta))),
    }


NAMES = list(family(np.ones(1)))


class TestWelfare:
    @pytest.mark.parametrize("name", NAMES)
    @given(seeds, st.integers(1, 6))
    def test_weights_are_a_supergradient(self, name, seed, n):
        rng = np.random.default_rng(seed)
        welfare = family(rng.dirichlet(np.ones(n)), rng=rng)[name]
        v = rng.integers(-2, 3, size=n).astype(float) if seed % 2 else rng.normal(size=n)
        weights = welfare.weights(v)
        assert (weights >= 0).all()
        if name != "nash":
            np.testing.assert_allclose(weights.sum(), 1.0)
        for other in v + rng.normal(size=(20, n)) * 10 ** rng.uniform(-3, 0.5, size=(20, 1)):
            assert welfare.value(other) <= welfare.value(v) + weights @ (other - v) + 1e-9

    @pytest.mark.parametrize("name", ["softmin", "cvar", "chisquare"])
    @given(seeds, st.integers(1, 6))
    def test_value_is_the_minimum_over_its_weights(self, name, seed, n):
        # An independent optimiser over C: min <w, v> + c(w).
        rng = np.random.default_rng(seed)
        eta = rng.dirichlet(np.full(n, 3.0))
        welfare, v = family(eta, rng=rng)[name], rng.normal(size=n)
        w = cp.Variable(n, nonneg=True)
        constraints, extra = [cp.sum(w) == 1], 0.0
        if name == "softmin":
            extra = welfare.temperature * cp.sum(cp.kl_div(w, eta))
        elif name == "cvar":
            constraints.append(w <= eta / welfare.level)
        else:
            constraints.append(cp.sum(cp.multiply(1 / eta, cp.square(w - eta))) <= welfare.radius)
        problem = cp.Problem(cp.Minimize(w @ v + extra), constraints)
        problem.solve(solver="CLARABEL")
        np.testing.assert_allclose(welfare.value(v), problem.value, atol=2e-6)

    def test_by_hand(self):
        v, eta = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.25])
        assert Utilitarian(eta).value(v) == 2.0 and Utilitarian().value(v) == pytest.approx(7 / 3)
        assert Egalitarian().value(v) == 1.0
        assert CVaR(0.5, eta).value(v) == 1.0
        assert CVaR(0.75, eta).value(v) == pytest.approx((0.5 * 1 + 0.25 * 2) / 0.75)
        assert SoftMin(2.0, eta).value(v) == pytest.approx(-2 * np.log(eta @ np.exp(-v / 2)))
        # Inside the ball nothing is cut: mean less sqrt(radius x variance), variance 1.5.
        assert ChiSquare(0.1, eta).value(v) == pytest.approx(2 - np.sqrt(0.1 * 1.5))
        assert Nash([0.0, 0.0, 2.0], eta).value(v) == pytest.approx(0.5 * np.log(2))
        assert Nash([1.0, 0.0, 0.0], eta).value(v) == -np.inf
        assert Regret([1.0, 3.0, 4.0]).value(v) == -1.0

    def test_soft_min_keeps_its_digits(self):
        # A small share of the least: -log(share), and nothing of the other.
        for share in (1e-3, 1e-9, 1e-15):
            value = SoftMin(1.0, [share, 1 - share]).value([0.0, 100.0])
            np.testing.assert_allclose(value, -np.log(share), rtol=1e-14)
        # A high temperature: near eta, tau KL is tau (w - eta)^2 / (2 eta), summed, with the slope tau (w - eta) / eta.
        eta = np.array([0.3, 0.7])
        for apart in (1e-5, 1e-8, 1e-11):
            value, slope, _ = SoftMin(apart**-2, eta).conjugate(eta + np.array([apart, -apart]))
            np.testing.assert_allclose(value, (1 / 0.3 + 1 / 0.7) / 2, rtol=20 * apart + 1e-4)
            np.testing.assert_allclose(slope * apart, [1 / 0.3, -1 / 0.7], rtol=20 * apart + 1e-4)

    @given(seeds, st.integers(1, 6))
    def test_limits(self, seed, n):
        rng = np.random.default_rng(seed)
        eta, v = rng.dirichlet(np.full(n, 2.0)), rng.normal(size=n)
        least, mean = v.min(), eta @ v
        np.testing.assert_allclose(CVaR(eta.min(), eta).value(v), least, atol=1e-12)
        np.testing.assert_allclose(CVaR(1.0, eta).value(v), mean, atol=1e-12)
        np.testing.assert_allclose(ChiSquare(1 / eta.min() - 1 + 1e-9, eta).value(v), least, atol=1e-9)
        np.testing.assert_allclose(ChiSquare(1e-12, eta).value(v), mean, atol=1e-5)
        np.testing.assert_allclose(SoftMin(1e-4, eta).value(v), least, atol=1e-4 * (1 - np.log(eta.min())))
        np.testing.assert_allclose(SoftMin(1e6, eta).value(v), mean, atol=1e-5)

    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (lambda: SoftMin(0.0), "temperature"),
            (lambda: CVaR(0.0), "level"),
            (lambda: CVaR(1.5), "level"),
            (lambda: ChiSquare(-1.0), "radius"),
            (lambda: ChiSquare(1.0, [0.0, 1.0]), "weights"),
            (lambda: Utilitarian([0.5, 0.6]), "weights"),
            (lambda: Utilitarian([0.5, 0.5]).value([1.0]), "weights"),
            (lambda: Egalitarian().value([np.nan]), "v"),
            (lambda: Egalitarian().value([]), "v"),
            (lambda: Nash().value([1.0]), "disagreement"),
            (lambda: Nash([1.0]).weights([0.5]), "v"),
            (lambda: Nash([1.0]).value([2.0, 3.0]), "disagreement"),
            (lambda: Regret().value([1.0]), "best"),
        ],
    )
    def test_bad_arguments_are_named(self, make, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            make()


def problem(seed, n_groups=3, n_prompts=2, n_responses=4):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(n_groups, n_prompts, n_responses))
    reference = log_softmax(rng.normal(size=(n_prompts, n_responses)), axis=-1)
    eta, prompts = rng.dirichlet(np.full(n_groups, 3.0)), rng.dirichlet(np.full(n_prompts, 2.0))
    return rng, rewards, reference, 10 ** rng.uniform(-1, 0.5), eta, prompts


def by_cvxpy(welfare, rewards, reference, beta, prompts):
    """Maximise the welfare over policies directly: the primal, by a conic solver."""
    policy = cp.Variable(reference.shape, nonneg=True)
    penalty = beta * cp.sum(cp.multiply(prompts[:, None], cp.rel_entr(policy, np.exp(reference))))
    values = [cp.sum(cp.multiply(prompts[:, None] * r, policy)) - penalty for r in rewards]
    eta, constraints = welfare.shares(len(rewards)), [cp.sum(policy, axis=1) == 1]
    t = cp.Variable()
    if isinstance(welfare, Utilitarian):
        objective = sum(e * v for e, v in zip(eta, values, strict=True))
    elif isinstance(welfare, Egalitarian):
        objective = cp.minimum(*values)
    elif isinstance(welfare, Regret):
        objective = cp.minimum(*(v - b for v, b in zip(values, welfare.best, strict=True)))
    elif isinstance(welfare, SoftMin):
        scaled = [np.log(e) - v / welfare.temperature for e, v in zip(eta, values, strict=True)]
        objective = -welfare.temperature * cp.log_sum_exp(cp.hstack(scaled))
    elif isinstance(welfare, CVaR):
        # Rockafellar and Uryasev: max_t t - E (t - v)_+ / level.
        objective = t - sum(e * cp.pos(t - v) for e, v in zip(eta, values, strict=True)) / welfare.level
    elif isinstance(welfare, ChiSquare):
        # Its dual: max_t t - sqrt(1 + radius) ||(t - v)_+||_eta.
        norm = cp.norm(cp.hstack([np.sqrt(e) * cp.pos(t - v) for e, v in zip(eta, values, strict=True)]))
        objective = t - np.sqrt(1 + welfare.radius) * norm
    else:
        gains = zip(eta, values, welfare.disagreement, strict=True)
        objective = sum(e * cp.log(v - d) for e, v, d in gains)
    found = cp.Problem(cp.Maximize(objective), constraints)
    found.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    return found.value, policy.value


@pytest.mark.parametrize("name", ["egalitarian", "soft-min", "regret", "nash"])
@pytest.mark.parametrize("seed", range(5))
def test_the_dual_gradient_by_finite_differences(name, seed):
    # In directions that keep the sum of the weights; Nash's is the derivative times the weighted gain.
    rng = np.random.default_rng(seed)
    rewards, log_reference, beta = rng.normal(size=(3, 2, 4)), np.log(rng.dirichlet(np.ones(4), size=2)), 0.3
    shares = rng.dirichlet(np.ones(3))
    welfare = {
        "egalitarian": Egalitarian(),
        "soft-min": SoftMin(0.2, shares),
        "regret": Regret(rng.normal(size=3)),
        "nash": Nash(rng.normal(size=3) - 5, shares),
    }[name]
    weights = rng.dirichlet(5 * np.ones(3))

    def ceiling(w):
        attained = beta * np.log((np.exp(log_reference + np.einsum("u,uxy->xy", w, rewards) / beta)).sum(axis=1)).mean()
        return welfare.ceiling(w, attained)

    policy = gibbs_policy(np.einsum("u,uxy->xy", weights, rewards), log_reference, beta)
    expected = (policy * rewards).sum(axis=2).mean(axis=1)
    penalty = beta * (policy * (np.log(policy) - log_reference)).sum(axis=1).mean()
    gain = weights @ (expected - welfare.disagreement) - penalty if name == "nash" else 1.0
    found = welfare.dual_gradient(weights, expected, penalty)
    for direction in rng.normal(size=(4, 3)):
        direction -= direction.mean()
        step = 1e-6 * direction
        slope = (ceiling(weights + step) - ceiling(weights - step)) / 2e-6
        np.testing.assert_allclose(found @ direction, gain * slope, atol=1e-7)


class TestSolve:
    @pytest.mark.parametrize("name", NAMES)
    @settings(max_examples=25)
    @given(seeds)
    def test_agrees_with_a_conic_solver(self, name, seed):
        rng, rewards, reference, beta, eta, prompts = problem(seed)
        welfare = family(eta, rng=rng)[name]
        if name == "regret":
            welfare = Regret(best_values(rewards, reference, beta, prompt_weights=prompts))
        solution = solve(welfare, rewards, reference, beta, prompt_weights=prompts)
        value, policy = by_cvxpy(welfare, rewards, reference, beta, prompts)
        np.testing.assert_allclose(solution.primal, value, atol=1e-6)
        np.testing.assert_allclose(solution.dual, value, atol=1e-6)
        # The optimal policy is unique: policies are compared, not weights.
        np.testing.assert_allclose(solution.policy, policy, atol=2e-3)

    @pytest.mark.parametrize("name", NAMES)
    @given(seeds, st.integers(1, 8), st.floats(-3, 3))
    def test_the_gap_is_recomputed_from_policy_and_weights(self, name, seed, n_groups, exponent):
        rng = np.random.default_rng(seed)
        scale, eta = 10 ** rng.uniform(-2, 2), rng.dirichlet(np.full(n_groups, 2.0))
        ties = seed % 2
        rewards = scale * (rng.integers(-2, 3, size=(n_groups, 2, 4)) if ties else rng.normal(size=(n_groups, 2, 4)))
        beta, reference = scale * 10.0**exponent, log_softmax(rng.normal(size=(2, 4)), axis=-1)
        welfare = family(eta, scale, rng)[name]
        solution = solve(welfare, rewards, reference, beta)
        assert (solution.weights >= 0).all()
        np.testing.assert_allclose(solution.weights.sum(), 1.0)
        by_weights = gibbs_policy(np.tensordot(solution.weights, rewards, 1), reference, beta)
        np.testing.assert_allclose(solution.policy, by_weights)
        values = group_values(solution.policy, rewards, reference, beta)
        np.testing.assert_allclose(solution.values, values, atol=1e-11 * (scale + beta))
        attained, w = welfare.value(values), solution.weights
        optimum = best_values(np.tensordot(w, rewards, 1)[None], reference, beta)[0]
        if name == "nash":
            # The best multiple of the weights, sum mu (A - d) - eta log(mu / eta) - 1 over mu = s w.
            gain = optimum - w @ welfare.disagreement
            above, size = np.log(gain) - eta @ np.log(w / eta), 1.0
        elif name == "regret":
            above, size = optimum - w @ welfare.best, np.ptp(rewards, axis=-1).max()
        else:
            above, size = optimum + welfare.conjugate(w)[0], np.ptp(rewards, axis=-1).max()
            assert (welfare.room(w)[0] >= -1e-12).all()
        np.testing.assert_allclose(welfare.ceiling(w, optimum), above, rtol=1e-9, atol=1e-11 * (size + beta))
        assert -1e-11 * (size + beta) <= above - attained <= 1e-9 * size + 1e-11 * (size + beta)
        assert 0 <= solution.gap <= 1e-9 * size + 1e-11 * (size + beta)

    @given(seeds, st.integers(2, 5))
    def test_the_limits_of_the_family_by_policies(self, seed, n_groups):
        _, rewards, reference, beta, _, _ = problem(seed, n_groups)
        eta = np.random.default_rng(seed).dirichlet(np.full(n_groups, 4.0))
        worst = max_min(rewards, reference, beta).policy
        for welfare in (CVaR(0.99 * eta.min(), eta), ChiSquare(1 / eta.min(), eta), SoftMin(1e-7, eta)):
            np.testing.assert_allclose(solve(welfare, rewards, reference, beta).policy, worst, atol=2e-4)
        average = gibbs_policy(np.tensordot(eta, rewards, 1), reference, beta)
        for welfare in (Utilitarian(eta), CVaR(1.0, eta), ChiSquare(1e-14, eta), SoftMin(1e7, eta)):
            np.testing.assert_allclose(solve(welfare, rewards, reference, beta).policy, average, atol=1e-4)

    @given(seeds)
    def test_no_other_policy_does_better(self, seed):
        rng, rewards, reference, beta, eta, prompts = problem(seed)
        for name, welfare in family(eta, rng=rng).items():
            solution = solve(welfare, rewards, reference, beta, prompt_weights=prompts)
            for log_policy in reference + rng.normal(size=(10, *reference.shape)):
                values = group_values(softmax(log_policy, axis=-1), rewards, reference, beta, prompt_weights=prompts)
                assert welfare.value(values) <= solution.primal + 1e-8, name

    def test_what_is_left_open_is_filled_in(self):
        _, rewards, reference, beta, eta, _ = problem(1)
        best = best_values(rewards, reference, beta)
        one, other = solve(Regret(), rewards, reference, beta), solve(Regret(best), rewards, reference, beta)
        np.testing.assert_allclose(one.policy, other.policy, atol=1e-8)
        at_reference = group_values(np.exp(reference), rewards, reference, beta)
        one, other = (solve(Nash(d, eta), rewards, reference, beta) for d in (None, at_reference))
        np.testing.assert_allclose(one.policy, other.policy, atol=1e-8)

    def test_a_group_without_a_share_does_not_count(self):
        _, rewards, reference, beta, _, _ = problem(2)
        eta = np.array([0.0, 0.3, 0.7])
        for make in (lambda e: SoftMin(0.3, e), lambda e: CVaR(0.5, e), lambda e: Nash(None, e), Utilitarian):
            with_it = solve(make(eta), rewards, reference, beta)
            without = solve(make(eta[1:]), rewards[1:], reference, beta)
            np.testing.assert_allclose(with_it.policy, without.policy, atol=1e-8)
            assert with_it.weights[0] == 0

    @pytest.mark.parametrize("room", [1.0, 1e-2, 1e-3, 1e-5])
    def test_a_bargain_with_little_room(self, room):
        rewards, reference = np.array([[[1.0, 0.0, 0.35]], [[0.0, 0.8, 0.35]]]), np.full((1, 3), -np.log(3))
        best = max_min(rewards, reference, 0.1)
        solution = solve(Nash(best.values - room), rewards, reference, 0.1)
        assert (solution.values > best.values - room).all() and 0 <= solution.gap <= 1e-9
        if room < 1e-2:
            np.testing.assert_allclose(solution.policy, best.policy, atol=5 * np.sqrt(room))

    def test_ties_are_shared(self):
        np.testing.assert_allclose(Egalitarian().weights([1.0, 2.0, 1.0]), [0.5, 0.0, 0.5])

    @pytest.mark.parametrize("welfare", ["egalitarian", Egalitarian, None])
    def test_what_is_no_welfare_is_named(self, welfare):
        with pytest.raises(ValueError, match="^welfare: expected a welfare"):
            solve(welfare, np.zeros((2, 1, 2)), np.log([[0.5, 0.5]]), 1.0)

    def test_a_high_temperature_is_the_average(self):
        _, rewards, reference, beta, eta, _ = problem(3)
        average = solve(Utilitarian(eta), rewards, reference, beta).primal
        for temperature in (1e8, 1e12, 1e15):
            soft = solve(SoftMin(temperature, eta), rewards, reference, beta)
            np.testing.assert_allclose(soft.primal, average, atol=1e-7)

    def test_an_infeasible_bargain_is_named(self):
        rewards = np.array([[[1.0, -1.0]], [[-1.0, 1.0]]])
        with pytest.raises(ValueError, match="^disagreement: expected values that some policy betters for every group"):
            solve(Nash(), rewards, np.log([[0.5, 0.5]]), 1.0)

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"beta": 0.0}, "beta"),
            ({"rewards": np.zeros((2, 1, 3))}, "log_reference"),
            ({"rewards": np.full((2, 1, 2), np.nan)}, "rewards"),
            ({"log_reference": np.log([[0.5, 0.6]])}, "log_reference"),
            ({"prompt_weights": [0.4]}, "prompt_weights"),
            ({"tol": 0.0}, "tol"),
            ({"welfare": CVaR(0.5, [0.2, 0.3, 0.5])}, "weights"),
        ],
    )
    def test_bad_arguments_are_named(self, change, name):
        arguments = {
            "welfare": Egalitarian(),
            "rewards": np.zeros((2, 1, 2)),
            "log_reference": np.log([[0.5, 0.5]]),
            "beta": 1.0,
        }
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            solve(**(arguments | change))
