"""Chapter 5's solver in fifteen lines, by a conic solver that searches among policies, and by hand."""

import cvxpy as cp
import numpy as np
import pytest

from maxmin_core.alignment import group_values, max_min


@pytest.fixture(scope="module")
def solver(defined_in):
    return defined_in("05", "max_min_by_dual")[0]


def instance(seed):
    draw = np.random.default_rng(seed)
    n_groups, n_prompts, n_responses = 2 + seed % 3, 1 + seed % 2, 4
    rewards = draw.normal(size=(n_groups, n_prompts, n_responses))
    reference = draw.dirichlet(np.full(n_responses, 3.0), size=n_prompts)
    return rewards, np.log(reference), 10 ** draw.uniform(-1, 0)


def by_policies(rewards, log_reference, beta):
    """The optimum, from a programme over policies that knows no group weights."""
    policy, least = cp.Variable(log_reference.shape), cp.Variable()
    kl = cp.sum(cp.rel_entr(policy, np.exp(log_reference))) / len(log_reference)
    values = [cp.sum(cp.multiply(r, policy)) / len(log_reference) - beta * kl for r in rewards]
    constraints = [cp.sum(policy, axis=1) == 1, *(value >= least for value in values)]
    return cp.Problem(cp.Maximize(least), constraints).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("seed", range(9))
def test_it_finds_the_optimum_over_policies(solver, seed):
    case = instance(seed)
    weights, policy, attained, bound = solver(*case)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert -1e-12 <= bound - attained < 1e-10
    assert group_values(policy, *case).min() == pytest.approx(attained, abs=1e-12)
    assert bound == pytest.approx(by_policies(*case), abs=2e-7)


def test_the_compromise_by_hand(solver):
    rewards = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])
    _, policy, attained, _ = solver(rewards, np.full((1, 3), -np.log(3)), 0.1)
    by_hand = np.exp([5.0, 5.0, 3.5])
    np.testing.assert_allclose(policy[0], by_hand / by_hand.sum(), atol=1e-10)
    assert attained == pytest.approx(0.1 * np.log(by_hand.sum() / 3), abs=1e-10)


def test_the_bound_never_rises(solver):
    # A solver that is stopped early by a loose tolerance has a bound at least as high.
    case = instance(5)
    bounds = [solver(*case, tolerance=tolerance)[3] for tolerance in (1.0, 1e-1, 1e-2, 1e-4, 1e-8)]
    assert (np.diff(bounds) <= 1e-15).all() and bounds[0] > bounds[-1]


@pytest.mark.parametrize("seed", range(6))
def test_it_arrives_as_fast_as_the_page_proves(solver, monkeypatch, seed):
    rewards, log_reference, beta = instance(seed)
    optimum = max_min(rewards, log_reference, beta).dual
    pairs = [u - v for u in rewards for v in rewards]
    kappa = max((p.max(axis=1) - p.min(axis=1)) @ (p.max(axis=1) - p.min(axis=1)) / len(p) for p in pairs) / (4 * beta)
    bounds = []
    for steps in range(1, 30):
        # The last policy that is looked at is the one after so many steps.
        monkeypatch.setitem(solver.__globals__, "range", lambda _, steps=steps: range(steps + 1))
        bounds.append(solver(rewards, log_reference, beta)[3])
    assert (np.diff(bounds) <= 1e-12).all()
    promised = kappa * np.log(len(rewards)) / (4 * np.arange(1, 30))
    assert (np.array(bounds) - optimum <= promised + 1e-12).all()
