"""What chapter 6 learns from compared journeys, and its utilities, by other routes than the chapter's."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.special import expit, logit

from maxmin_core.navigation import Navigation, best_occupancy, evaluate_policy
from maxmin_core.preferences import Population, population_mle

SHARES = np.array([0.8, 0.2])
ROWS = ["A.#......", "..#.####.", "A.S.#....", "..#.#.##.", "A.#...#.B"]


@pytest.fixture(scope="module")
def world():
    return Navigation(ROWS, slip=0.1, discount=0.95)


@pytest.fixture(scope="module")
def functions(defined_in, world):
    return defined_in("06", "draw_journeys", "drive", "fair", "most_fair", world=world, shares=SHARES, rows=ROWS)


def test_journeys_wander_as_the_chain_does(functions, world):
    steps = functions[0](20_000, np.random.default_rng(0), n_steps=12)
    assert (steps.sum(axis=1) == 12).all()
    chain = world.transition.toarray().reshape(len(world.cells), 5, -1).mean(axis=1)
    here, expected = np.full(len(world.cells), 1 / len(world.cells)), 0
    for _ in range(12):
        expected, here = expected + here, here @ chain
    error = steps.std(axis=0) / np.sqrt(len(steps))
    assert (np.abs(steps.mean(axis=0) - expected) < 4.5 * error).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_learned_reward_is_planned_for_by_value_iteration(functions, world, seed):
    reward = np.random.default_rng(seed).normal(size=len(world.cells))
    value = np.zeros(len(world.cells))
    for _ in range(1500):
        ahead = reward[:, None] + world.discount * (world.transition @ value).reshape(-1, world.n_actions)
        value = ahead.max(axis=1)
    other = evaluate_policy(world, np.eye(world.n_actions)[ahead.argmax(axis=1)])
    np.testing.assert_allclose(functions[1](reward[None]).values, other.values, atol=1e-6)


def test_planning_with_the_true_rewards_is_max_min(functions, world):
    found = functions[1](0.3 * world.rewards)
    np.testing.assert_allclose(found.values, best_occupancy(world).objective, atol=1e-6)


@pytest.mark.parametrize("n", [0.1, 1, 5, 30])
def test_the_weight_of_a_place_by_hand(n):
    # Pairs that differ in one place at a time, by n steps: the pool's odds are the reward.
    pool = population_mle(Population(SHARES, 0.3 * np.eye(2)), n * np.eye(2))
    by_hand = [logit(0.5 + share * (expit(0.3 * n) - 0.5)) / n for share in SHARES]
    np.testing.assert_allclose(pool, by_hand, rtol=1e-7)
    weight = by_hand[1] / sum(by_hand)
    assert logit(0.6) / (logit(0.6) + logit(0.9)) - 1e-3 < weight < 0.2


@pytest.mark.parametrize("alpha", [0.25, 1, 2, 20])
def test_the_gradient_by_finite_differences(functions, alpha):
    v, h = np.array([0.6, 0.15]), 1e-6
    value, gradient = functions[2](v, alpha)
    by_differences = [
        (functions[2](v + h * e, alpha)[0] - functions[2](v - h * e, alpha)[0]) / (2 * h) for e in np.eye(2)
    ]
    np.testing.assert_allclose(gradient, by_differences, rtol=1e-6, atol=1e-9)
    # It has the unit of the values: twice the values are worth twice as much; equal values their own.
    np.testing.assert_allclose(functions[2](2 * v, alpha)[0], 2 * value)
    np.testing.assert_allclose(functions[2](np.array([0.3, 0.3]), alpha)[0], 0.3)


@pytest.mark.parametrize("alpha", [0.5, 1, 2])
def test_fair_policies_by_a_conic_programme(functions, world, alpha):
    values, weights, gap = functions[3](alpha)
    occupancy = cp.Variable((len(world.cells), world.n_actions), nonneg=True)
    moves = world.transition.toarray().reshape(len(world.cells), world.n_actions, -1)
    arrives = sum(moves[:, a].T @ occupancy[:, a] for a in range(world.n_actions))
    flow = cp.sum(occupancy, axis=1) == (1 - world.discount) * world.start + world.discount * arrives
    v = world.rewards @ cp.sum(occupancy, axis=1)
    utility = SHARES @ cp.log(v) if alpha == 1 else SHARES @ cp.power(v, 1 - alpha) / (1 - alpha)
    cp.Problem(cp.Maximize(utility), [flow]).solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    np.testing.assert_allclose(values, v.value, atol=2e-5)
    assert abs(gap) < 1e-6
    np.testing.assert_allclose(weights.sum(), 1)


def test_planning_is_value_iteration(defined_in, world):
    n_states, n_actions = len(world.cells), world.n_actions
    leads = world.transition.toarray().reshape(n_states, n_actions, n_states)
    (best_visits,) = defined_in("06", "best_visits", world=world, n_states=n_states, n_actions=n_actions, leads=leads)
    for seed in range(4):
        reward = np.random.default_rng(seed).normal(size=n_states)
        value = np.zeros(n_states)
        for _ in range(1500):
            value = reward + world.discount * (world.transition @ value).reshape(-1, n_actions).max(axis=1)
        visits = best_visits(reward)
        assert visits.min() >= -1e-12 and visits.sum() == pytest.approx(1)
        assert visits @ reward == pytest.approx((1 - world.discount) * world.start @ value, abs=1e-9)
