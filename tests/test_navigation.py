import subprocess
import sys
from dataclasses import FrozenInstanceError

import cvxpy as cp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.optimize import minimize, minimize_scalar

from maxmin_core.alignment import ChiSquare, Egalitarian, Nash, SoftMin
from maxmin_core.navigation import Navigation, best_occupancy, evaluate_policy, leximin_occupancy

ROOM = ["A....", ".###.", "..S..", ".###.", "....B"]
THREE_ROOMS = ["A..#..B", "..S....", "C..#..."]
# The map of chapter 6.
CHAPTER = ["A.#......", "..#.####.", "A.S.#....", "..#.#.##.", "A.#...#.B"]


def test_passes_the_environment_checker():
    check_env(Navigation(ROOM), skip_render_check=True)


def test_transitions_by_hand():
    # A corridor of three cells, start in the middle, slip .5: each action has .1, the chosen one .5 more.
    world = Navigation(["ASB"], slip=0.5)
    moves = world.transition.toarray().reshape(3, 5, 3)
    np.testing.assert_allclose(moves[1, 1], [0.1, 0.3, 0.6])
    np.testing.assert_allclose(moves[0, 3], [0.9, 0.1, 0.0])
    np.testing.assert_allclose(moves.sum(axis=2), 1.0)


def test_occupancy_of_a_corridor_by_hand():
    # No slip: from the middle one step to A, then stay: A gets the discounted rest of the time, discount.
    world = Navigation(["ASB"], slip=0.0, discount=0.9)
    best = best_occupancy(world, [1.0, 0.0])
    np.testing.assert_allclose(best.values, [0.9, 0.0], atol=1e-9)
    # Max-min splits the time, by going either way with equal chance.
    np.testing.assert_allclose(best_occupancy(world).values, 0.45, atol=1e-9)


@pytest.mark.parametrize("weights", [None, [0.5, 0.5], [0.8, 0.2]])
def test_the_programme_is_attained_by_its_policy(weights):
    world = Navigation(ROOM)
    best = best_occupancy(world, weights)
    again = evaluate_policy(world, best.policy)
    np.testing.assert_allclose(again.values, best.values, atol=1e-5)
    np.testing.assert_allclose(again.occupancy.sum(), 1.0)
    attained = again.values.min() if weights is None else np.dot(weights, again.values)
    np.testing.assert_allclose(attained, best.objective, atol=1e-5)


def test_occupancies_compare_and_hash_by_identity():
    one, other = (best_occupancy(Navigation(["ASB"])) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2
    with pytest.raises(FrozenInstanceError):
        one.values = other.values


def test_no_random_policy_does_better():
    world, rng = Navigation(ROOM), np.random.default_rng(0)
    best = best_occupancy(world).objective
    for _ in range(50):
        policy = rng.dirichlet(np.full(5, 0.3), size=len(world.cells))
        assert evaluate_policy(world, policy).values.min() <= best + 1e-9


def test_weights_by_value_iteration():
    # One weighted reward is an ordinary decision process: value iteration is an independent route.
    world, weights = Navigation(ROOM), np.array([0.7, 0.3])
    reward, value = weights @ world.rewards, np.zeros(len(world.cells))
    for _ in range(2000):
        value = reward + world.discount * (world.transition @ value).reshape(-1, 5).max(axis=1)
    by_iteration = (1 - world.discount) * world.start @ value
    np.testing.assert_allclose(by_iteration, best_occupancy(world, weights).objective, rtol=1e-7)


def served_by_value_iteration(world, weights):
    """Return what the groups get under the best policy for fixed weights, by value iteration and a linear system."""
    reward, value = weights @ world.rewards, np.zeros(len(world.cells))
    for _ in range(3000):
        ahead = reward[:, None] + world.discount * (world.transition @ value).reshape(-1, world.n_actions)
        value = ahead.max(axis=1)
    return evaluate_policy(world, np.eye(world.n_actions)[ahead.argmax(axis=1)]).values


def test_equal_weights_leave_the_far_group_alone():
    # Chapter 6: its weight has to rise to 0.635 before the best policy turns to it.
    world = Navigation(CHAPTER, slip=0.1, discount=0.95)
    for weight in (0.2, 0.5, 0.6):
        assert served_by_value_iteration(world, np.array([1 - weight, weight]))[1] < 1e-3
    (near, far), (near_after, far_after) = (
        served_by_value_iteration(world, np.array([1 - weight, weight])) for weight in (0.635, 0.6352)
    )
    assert far < 0.011 and near > 0.82 and far_after > 0.47 and near_after < 0.02
    # Where the two are worth the same, both are best, and max-min mixes them.
    turns = (near - near_after) / (near - near_after + far_after - far)
    optimum = best_occupancy(world).objective
    np.testing.assert_allclose([turns, 1 - turns] @ np.array([far, near]), optimum, atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "temperature"),
    [(CHAPTER, 0.05), (CHAPTER, 0.2), (ROOM, 0.05), (["S...A..", "......B"], 0.05), (["AS", ".B"], 0.3)],
)
def test_the_price_of_the_temperature(rows, temperature):
    """Chapter 6 finds the optimum of the soft minimum from one dual weight; a conic programme finds the policy."""
    world = Navigation(rows, slip=0.1, discount=0.9)

    def dual(w):
        cost = w * np.log(2 * w) + (1 - w) * np.log(2 - 2 * w)
        return best_occupancy(world, [1 - w, w]).objective + temperature * cost

    found = minimize_scalar(dual, bounds=(1e-6, 1 - 1e-6), options={"xatol": 1e-9})
    w, apart = found.x, temperature * np.log(found.x / (1 - found.x))
    second = best_occupancy(world, [1 - w, w]).objective - (1 - w) * apart
    optimum, values = by_cvxpy(world, SoftMin(temperature))
    np.testing.assert_allclose(found.fun, optimum, atol=1e-7)
    np.testing.assert_allclose([second + apart, second], values, atol=1e-5)


def test_trajectories_agree_with_occupancies():
    world = Navigation(ROOM, discount=0.9, horizon=60)
    policy = best_occupancy(world).policy
    rng, totals = np.random.default_rng(0), []
    for episode in range(400):
        cell, _ = world.reset(seed=episode)
        total, done, discount = np.zeros(2), False, 0.1
        while not done:
            cell, reward, _, done, info = world.step(rng.choice(5, p=policy[cell]))
            assert reward == pytest.approx(info["rewards"].mean())
            total, discount = total + discount * info["rewards"], 0.9 * discount
        totals.append(total)
    mean, error = np.mean(totals, axis=0), np.std(totals, axis=0) / 20
    assert (np.abs(mean - evaluate_policy(world, policy).values) < 4 * error + 0.9**60).all()


def test_leximin_helps_those_whom_max_min_forgets():
    # B is seven steps away, A on one of the shortest ways there: passing it at the first step is free.
    lexi = leximin_occupancy(Navigation(["SA.....", "......B"], slip=0.0, discount=0.5))
    np.testing.assert_allclose(lexi.values, [0.25, 0.5**7], atol=1e-4)
    # Twelve groups in a row: nobody falls behind the best minimum.
    row = Navigation(["S" * 12, "ABCDEFGHIJKL"], slip=0.0, discount=0.99)
    np.testing.assert_allclose(leximin_occupancy(row).values.min(), best_occupancy(row).objective, atol=1e-4)
    # A group that can only be reached late has less; leximin gives the rest to the others.
    late = Navigation(["S.......B", "A........"], discount=0.8)
    np.testing.assert_allclose(leximin_occupancy(late).values.min(), best_occupancy(late).objective, atol=1e-5)
    # B is five steps away, and two ways there lead by A or by C at the third step: half of each, not one of the two.
    fork = Navigation(["B...", "..C.", ".A.S"], slip=0.0, discount=0.5)
    np.testing.assert_allclose(leximin_occupancy(fork).values, [0.5**4, 0.5**5, 0.5**4], atol=1e-4)


def frank_wolfe(world, welfare, n_steps=40):
    """Return an occupancy, its welfare and what no occupancy exceeds, by a fully corrective Frank-Wolfe method.

    In every step the programme finds the best occupancy for the reward sum_u w_u r_u, w the gradient of the welfare,
    and the best mixture of all that were found is the next point. W(v) + <w, v' - v> bounds every other W(v').
    """
    corners = [best_occupancy(world, own).occupancy for own in np.eye(len(world.rewards))]
    shares = np.full(len(corners), 1.0 / len(corners))
    for _ in range(n_steps):
        occupancy = np.tensordot(shares, corners, 1)
        values = world.rewards @ occupancy.sum(axis=1)
        weights = welfare.weights(values)
        corners.append(best_occupancy(world, weights / weights.sum()).occupancy)
        served = np.array([world.rewards @ corner.sum(axis=1) for corner in corners])
        gap = weights @ (served[-1] - values)
        if gap < 1e-7:
            break
        found = minimize(
            lambda s, served=served: -welfare.value(s @ served),
            np.append(shares, 0.0),
            jac=lambda s, served=served: -served @ welfare.weights(s @ served),
            bounds=[(0, 1)] * len(corners),
            constraints={"type": "eq", "fun": lambda s: s.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        shares = np.maximum(found.x, 0) / np.maximum(found.x, 0).sum()
    return occupancy, welfare.value(values), welfare.value(values) + gap


def by_cvxpy(world, welfare):
    """Maximise the welfare over occupancies by a conic solver, with flow equations written down anew."""
    occupancy = cp.Variable((len(world.cells), world.n_actions), nonneg=True)
    moves = world.transition.toarray().reshape(len(world.cells), world.n_actions, -1)
    arrives = sum(moves[:, a].T @ occupancy[:, a] for a in range(world.n_actions))
    flow = cp.sum(occupancy, axis=1) == (1 - world.discount) * world.start + world.discount * arrives
    values, eta = world.rewards @ cp.sum(occupancy, axis=1), welfare.shares(len(world.rewards))
    if isinstance(welfare, Egalitarian):
        objective = cp.min(values)
    elif isinstance(welfare, SoftMin):
        objective = -welfare.temperature * cp.log_sum_exp(np.log(eta) - values / welfare.temperature)
    elif isinstance(welfare, Nash):
        objective = eta @ cp.log(values - welfare.disagreement)
    else:
        # The dual of the ball: max_t t - sqrt(1 + radius) ||(t - v)_+||_eta.
        t = cp.Variable()
        norm = cp.norm(cp.multiply(np.sqrt(eta), cp.pos(t - values)))
        objective = t - np.sqrt(1 + welfare.radius) * norm
    found = cp.Problem(cp.Maximize(objective), [flow])
    found.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return found.value, values.value


@pytest.mark.parametrize(
    "make",
    [
        lambda eta: SoftMin(0.02, eta),
        lambda eta: SoftMin(0.3, eta),
        lambda eta: Nash(np.full(len(eta), -0.02), eta),
        lambda eta: Nash(np.linspace(-0.1, 0.02, len(eta)), eta),
        # So small a ball that no groups tie at the optimum, where this welfare would have a kink.
        lambda eta: ChiSquare(0.03, eta),
    ],
    ids=["softmin, cold", "softmin, warm", "nash", "nash, unequal", "chisquare"],
)
@pytest.mark.parametrize(("rows", "eta"), [(ROOM, [0.6, 0.4]), (THREE_ROOMS, [0.5, 0.3, 0.2])], ids=["two", "three"])
def test_frank_wolfe_agrees_with_a_conic_programme(rows, eta, make):
    world, welfare = Navigation(rows, discount=0.9), make(eta)
    occupancy, attained, bound = frank_wolfe(world, welfare)
    optimum, values = by_cvxpy(world, welfare)
    # Two solvers bracket the optimum: what one attains, the other's optimum, and what the first says none exceeds.
    assert attained - 1e-6 <= optimum <= bound + 1e-6 and bound - attained <= 1e-6
    np.testing.assert_allclose(world.rewards @ occupancy.sum(axis=1), values, atol=1e-5)
    # The mixture of occupancies is the occupancy of a policy.
    visits = occupancy.sum(axis=1, keepdims=True)
    policy = np.where(visits > 0, occupancy / np.where(visits > 0, visits, 1.0), 1 / world.n_actions)
    np.testing.assert_allclose(welfare.value(evaluate_policy(world, policy).values), optimum, atol=1e-5)


def test_max_min_agrees_with_a_conic_programme():
    for rows in (ROOM, THREE_ROOMS):
        world = Navigation(rows, discount=0.9)
        optimum = by_cvxpy(world, Egalitarian())[0]
        np.testing.assert_allclose(best_occupancy(world).objective, optimum, atol=1e-6)
        # The soft minimum of temperature tau lies between the minimum and tau log U above it, and so do the optima.
        _, soft, _ = frank_wolfe(world, SoftMin(1e-3))
        assert optimum - 1e-6 <= soft <= optimum + 1e-3 * np.log(len(world.rewards)) + 1e-6


@pytest.mark.parametrize("horizon", [1, 3, np.int64(3)])
def test_an_episode_lasts_as_long_as_the_horizon(horizon):
    world = Navigation(ROOM, horizon=horizon)
    for episode in range(2):  # the count begins anew
        world.reset(seed=episode)
        assert [world.step(4)[3] for _ in range(horizon)] == [False] * (horizon - 1) + [True]


def test_the_extra_to_install_is_named():
    code = "import sys; sys.modules['gymnasium'] = None; import maxmin_core.navigation"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert (
        'ModuleNotFoundError: gymnasium: expected gymnasium, which the grid world needs: pip install "maxmin-core['
        in (done.stderr)
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([],), "rows"),
        (("AS",), "rows"),
        ((["A.", "S"],), "rows"),
        ((["A?S"],), "rows"),
        ((["A..B"],), "rows"),
        ((["S..B"],), "rows"),
        ((["S..."],), "rows"),
        ((["A#S"],), "rows"),
        ((["AS"], {"slip": 1.0}), "slip"),
        ((["AS"], {"slip": -0.1}), "slip"),
        ((["AS"], {"discount": 1.0}), "discount"),
        ((["AS"], {"discount": 0.0}), "discount"),
        *[((["AS"], {"horizon": value}), "horizon") for value in (0, -3, 2.5, 3.0, True, None, "3")],
        ((["AS"], {"group_weights": [0.5, 0.5]}), "group_weights"),
    ],
)
def test_bad_worlds_are_named(arguments, name):
    rows, options = arguments if len(arguments) == 2 else (*arguments, {})
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        Navigation(rows, **options)


def test_bad_programmes_are_named():
    world = Navigation(ROOM)
    with pytest.raises(ValueError, match="^group_weights: expected"):
        best_occupancy(world, [0.5, 0.6])
    for floors in ([np.inf, np.nan], [0.1, 0.1]):
        with pytest.raises(ValueError, match="^floors: expected finite numbers or NaN"):
            best_occupancy(world, floors=floors)
    for action in (7, -1):
        world.reset(seed=0)
        with pytest.raises(ValueError, match="^action: expected an integer in 0..4"):
            world.step(action)
    np.testing.assert_allclose(best_occupancy(world, floors=[0.1, np.nan]).values[0], 0.1, atol=1e-6)
    with pytest.raises(ValueError, match="^floors: expected values that some policy reaches"):
        best_occupancy(world, floors=[1.0, np.nan])
    for policy in (np.ones((len(world.cells), 5)), np.full((len(world.cells), 4), 0.25), np.full((3, 5), 0.2)):
        with pytest.raises(ValueError, match="^policy: expected"):
            evaluate_policy(world, policy)
    for tolerance in (0.0, -1e-7):
        with pytest.raises(ValueError, match="^tolerance: expected a number above 0"):
            leximin_occupancy(world, tolerance)


def test_a_cell_that_nobody_can_reach_does_no_harm_unless_a_place_is_there():
    world = Navigation(["AS#.", "B.##"])
    assert len(world.cells) == 5
    with pytest.raises(
        ValueError, match=r"^rows: expected a path from a start to every place, got none to B at \(0, 3\)"
    ):
        Navigation(["AS#B", "..##"])
