"""Chapter 5's lists of options, by routes that know no dual."""

import itertools

import cvxpy as cp
import numpy as np
import pytest

from maxmin_core.alignment import Utilitarian, max_min, solve

ATTENTION = 1 / np.log2(np.arange(4) + 2)
ATTENTION /= ATTENTION.sum()
LISTS = np.array(list(itertools.permutations(range(4))))
ANY = np.full((1, len(LISTS)), -np.log(len(LISTS)))


def listed(rewards):
    """Rewards of all lists of four options, (groups, 1, 24)."""
    return (rewards[:, LISTS] @ ATTENTION)[:, None]


@pytest.mark.parametrize("seed", range(5))
def test_max_min_over_lists_by_a_conic_programme(seed):
    rewards = listed(np.random.default_rng(seed).normal(size=(3, 4)))
    found = max_min(rewards, ANY, 0.1)
    policy = cp.Variable(len(LISTS), nonneg=True)
    value = cp.min(rewards[:, 0] @ policy) - 0.1 * (np.log(len(LISTS)) - cp.sum(cp.entr(policy)))
    problem = cp.Problem(cp.Maximize(value), [cp.sum(policy) == 1])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    np.testing.assert_allclose(found.primal, problem.value, atol=1e-7)
    np.testing.assert_allclose(found.policy[0], policy.value, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_positions_say_all_that_lists_do(seed):
    """The best lottery over 24 lists is the best matrix of positions, and max-min comes within beta log 24 of it."""
    own = np.random.default_rng(seed).normal(size=(3, 4))
    where, lottery = cp.Variable((4, 4), nonneg=True), cp.Variable(len(LISTS), nonneg=True)
    sums = [cp.sum(where, axis=0) == 1, cp.sum(where, axis=1) == 1]
    by_positions = cp.Problem(cp.Maximize(cp.min(own @ where @ ATTENTION)), sums).solve(solver="CLARABEL")
    by_lists = cp.Problem(cp.Maximize(cp.min(listed(own)[:, 0] @ lottery)), [cp.sum(lottery) == 1]).solve(
        solver="CLARABEL"
    )
    np.testing.assert_allclose(by_positions, by_lists, atol=1e-7)
    for beta in (0.2, 0.02):
        policy = max_min(listed(own), ANY, beta).policy
        behind = by_lists - (policy * listed(own)).sum(axis=(1, 2)).min()
        assert -1e-7 <= behind <= beta * np.log(len(LISTS))


def test_without_caution_the_average_lists_by_the_average_reward():
    own, shares = np.random.default_rng(7).normal(size=(3, 4)), np.array([0.5, 0.3, 0.2])
    policy = solve(Utilitarian(shares), listed(own), ANY, 1e-4).policy[0]
    assert (LISTS[policy.argmax()] == np.argsort(-(shares @ own))).all() and policy.max() > 0.99
