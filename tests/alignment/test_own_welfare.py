"""Welfare functions as a reader would write them: solved with a certificate, or refused with what is missing."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, xlogy

from maxmin_core import CVaR, Egalitarian, SoftMin, Welfare, best_values, gibbs_policy, group_values, solve

seeds = st.integers(0, 2**32 - 1)
COMPROMISE = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]]), np.full((1, 3), -np.log(3)), 0.1


class WeightedAverage(Welfare):
    def value(self, v):
        return self.shares(len(v)) @ v

    def weights(self, v):
        return self.shares(len(v))

    def conjugate(self, w):
        return 0.0, 0 * w, 0 * w

    def room(self, w):
        return np.zeros(0), np.zeros((0, len(w))), np.zeros((0, len(w)))

    def point(self, n):
        return self.shares(n)


class Halfway(Welfare):
    """Half the average, half the worst-off group: every group keeps half its share."""

    def value(self, v):
        return (self.shares(len(v)) @ v + np.min(v)) / 2

    def weights(self, v):
        return (self.shares(len(v)) + Egalitarian().weights(v)) / 2

    def conjugate(self, w):
        return 0.0, 0 * w, 0 * w

    def room(self, w):
        return w - self.shares(len(w)) / 2, np.eye(len(w)), np.zeros((len(w), len(w)))


class AverageAndTail(Welfare):
    """A sum of two of the family: .3 average + .7 CVaR at level .4."""

    def value(self, v):
        return 0.3 * self.shares(len(v)) @ v + 0.7 * CVaR(0.4, self.eta).value(v)

    def weights(self, v):
        return 0.3 * self.shares(len(v)) + 0.7 * CVaR(0.4, self.eta).weights(v)

    def conjugate(self, w):
        return 0.0, 0 * w, 0 * w

    def room(self, w):
        eta, n = self.shares(len(w)), len(w)
        return np.append(w - 0.3 * eta, 2.05 * eta - w), np.vstack([np.eye(n), -np.eye(n)]), np.zeros((2 * n, n))


class AverageAndSoftMin(Welfare):
    """Another: half average, half soft-min at temperature .2, whose conjugate is .1 KL(2 w - eta || eta)."""

    def value(self, v):
        return (self.shares(len(v)) @ v + SoftMin(0.2, self.eta).value(v)) / 2

    def weights(self, v):
        return (self.shares(len(v)) + SoftMin(0.2, self.eta).weights(v)) / 2

    def conjugate(self, w):
        eta = self.shares(len(w))
        q = 2 * w - eta
        with np.errstate(divide="ignore", invalid="ignore"):
            return 0.1 * (xlogy(q, q / eta) - q + eta).sum(), 0.2 * np.log(q / eta), 0.4 / q

    def room(self, w):
        return w - self.shares(len(w)) / 2, np.eye(len(w)), np.zeros((len(w), len(w)))


class OwnSoftMin(Welfare):
    def value(self, v):
        return -0.3 * np.log(self.shares(len(v)) @ np.exp(-np.asarray(v) / 0.3))

    def weights(self, v):
        w = self.shares(len(v)) * np.exp(-np.asarray(v) / 0.3)
        return w / w.sum()

    def conjugate(self, w):
        eta = self.shares(len(w))
        return 0.3 * xlogy(w, w / eta).sum(), 0.3 * np.log(w / eta) + 0.3, 0.3 / w

    def room(self, w):
        return np.zeros(0), np.zeros((0, len(w))), np.zeros((0, len(w)))


class OwnCVaR(Welfare):
    def value(self, v):
        return self.weights(v) @ v

    def weights(self, v):
        return CVaR(0.4, self.eta).weights(v)

    def conjugate(self, w):
        return 0.0, 0 * w, 0 * w

    def room(self, w):
        return self.shares(len(w)) / 0.4 - w, -np.eye(len(w)), np.zeros((len(w), len(w)))


def concave(name, values, eta):
    """Return the welfare of these cvxpy expressions, written down from its definition."""
    average = sum(e * v for e, v in zip(eta, values, strict=True))
    t = cp.Variable()
    tail = t - sum(e * cp.pos(t - v) for e, v in zip(eta, values, strict=True)) / 0.4

    def soft(tau):
        return -tau * cp.log_sum_exp(cp.hstack([np.log(e) - v / tau for e, v in zip(eta, values, strict=True)]))

    return {
        "WeightedAverage": average,
        "Halfway": (average + cp.minimum(*values)) / 2,
        "AverageAndTail": 0.3 * average + 0.7 * tail,
        "AverageAndSoftMin": (average + soft(0.2)) / 2,
        "OwnSoftMin": soft(0.3),
        "OwnCVaR": tail,
    }[name]


OWN = [WeightedAverage, Halfway, AverageAndTail, AverageAndSoftMin, OwnSoftMin, OwnCVaR]


@pytest.mark.parametrize("kind", OWN)
@settings(max_examples=15)
@given(seeds)
def test_an_own_welfare_agrees_with_a_conic_solver(kind, seed):
    rng = np.random.default_rng(seed)
    n_groups = int(rng.integers(2, 5))
    rewards, reference = rng.normal(size=(n_groups, 2, 4)), log_softmax(rng.normal(size=(2, 4)), axis=-1)
    beta, eta = 10 ** rng.uniform(-1, 0.5), rng.dirichlet(np.full(n_groups, 3.0))
    solution = solve(kind(eta), rewards, reference, beta)
    policy = cp.Variable(reference.shape, nonneg=True)
    penalty = beta * cp.sum(cp.rel_entr(policy, np.exp(reference))) / 2
    values = [cp.sum(cp.multiply(r, policy)) / 2 - penalty for r in rewards]
    found = cp.Problem(cp.Maximize(concave(kind.__name__, values, eta)), [cp.sum(policy, axis=1) == 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    np.testing.assert_allclose(solution.primal, found.value, atol=2e-6)
    np.testing.assert_allclose(solution.dual, found.value, atol=2e-6)
    # The certificate, from what is returned alone.
    attained = kind(eta).value(group_values(solution.policy, rewards, reference, beta))
    weighted = best_values(np.tensordot(solution.weights, rewards, 1)[None], reference, beta)[0]
    np.testing.assert_allclose([attained, kind(eta).ceiling(solution.weights, weighted)], solution.primal, atol=1e-8)


class Average(Welfare):
    """As a newcomer begins: value and weights, nothing of the dual problem."""

    def value(self, v):
        return self.shares(len(v)) @ v

    def weights(self, v):
        return self.shares(len(v))


class AverageOfTheSimplex(Average):
    """A dual problem that belongs to another welfare, max-min."""

    conjugate, room = Egalitarian.conjugate, Egalitarian.room


def test_a_welfare_without_its_dual_problem_is_refused():
    with pytest.raises(ValueError, match=r"^welfare: .*got Average without conjugate, room of its own"):
        solve(Average([0.8, 0.2]), *COMPROMISE)

    class Doubled(SoftMin):
        def value(self, v):
            return 2 * super().value(v)

    with pytest.raises(ValueError, match=r"got Doubled without weights, conjugate, room of its own"):
        solve(Doubled(0.1), *COMPROMISE)
    with pytest.raises(ValueError, match=r"got Welfare without value, weights, conjugate, room of its own"):
        solve(Welfare(), *COMPROMISE)


def test_the_dual_problem_of_another_welfare_is_refused():
    # The weighted average attains .691; claimed was .470 <= optimum <= .470.
    rewards, reference, beta = COMPROMISE
    policy = gibbs_policy(np.tensordot([0.8, 0.2], rewards, 1), reference, beta)
    assert np.array([0.8, 0.2]) @ group_values(policy, rewards, reference, beta) > 0.691
    with pytest.raises(ValueError, match=r"AverageOfTheSimplex that no policy exceeds, got a dual value of 0.47"):
        solve(AverageOfTheSimplex([0.8, 0.2]), *COMPROMISE)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        rewards, reference = rng.normal(size=(3, 2, 4)), log_softmax(rng.normal(size=(2, 4)), axis=-1)
        with pytest.raises(ValueError, match="conjugate and room do not belong to value"):
            solve(AverageOfTheSimplex(rng.dirichlet(np.ones(3))), rewards, reference, 0.3)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([-0.1, 1.1], "non-negative"),
        ([np.nan, 1.0], "non-negative"),
        ([np.inf, 1.0], "non-negative"),
        ([0.0, 0.0], "non-negative"),
        ([1.0], "non-negative"),
        ([0.3, 0.7], "value, weights and conjugate do not belong together"),
    ],
)
def test_weights_that_are_none_are_refused(weights, told):
    class Wrong(WeightedAverage):
        def value(self, v):
            return super().value(v)

        def weights(self, v):
            return np.array(weights)

        conjugate, room, point = WeightedAverage.conjugate, WeightedAverage.room, WeightedAverage.point

    with pytest.raises(ValueError, match=f"^welfare: expected .*Wrong.*{told}"):
        solve(Wrong([0.8, 0.2]), *COMPROMISE)


def test_a_value_in_another_unit_than_its_dual_problem_is_refused():
    class Halved(SoftMin):
        def value(self, v):
            return SoftMin(0.1).value(v) / 2

        weights, conjugate, room = SoftMin.weights, SoftMin.conjugate, SoftMin.room

    with pytest.raises(ValueError, match="value, weights and conjugate do not belong together"):
        solve(Halved(0.1), *COMPROMISE)


def test_a_set_of_weights_without_an_inside_is_named():
    class Pinned(WeightedAverage):
        def room(self, w):
            return w - self.shares(len(w)), np.eye(len(w)), np.zeros((len(w), len(w)))

        def point(self, n):
            return None

    with pytest.raises(ValueError, match=r"^room: .* of Pinned .* stated by point\(n\)"):
        solve(Pinned([0.8, 0.2]), *COMPROMISE)


def test_an_inside_off_the_line_of_shares_is_found():
    class Mostly(Welfare):
        """The first group has at least three fifths of the weight."""

        def value(self, v):
            return 0.6 * v[0] + 0.4 * np.min(v)

        def weights(self, v):
            return np.array([0.6, *np.zeros(len(v) - 1)]) + 0.4 * Egalitarian().weights(v)

        def conjugate(self, w):
            return 0.0, 0 * w, 0 * w

        def room(self, w):
            return w[:1] - 0.6, np.eye(len(w))[:1], np.zeros((1, len(w)))

    solution = solve(Mostly(), *COMPROMISE)
    assert solution.weights[0] >= 0.6 and 0 <= solution.gap <= 1e-9
