import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from maxmin_core.navigation import Navigation, best_occupancy, evaluate_policy, leximin_occupancy

ROOM = ["A....", ".###.", "..S..", ".###.", "....B"]


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
        ((["AS"], {"horizon": 0}), "horizon"),
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
    with pytest.raises(ValueError, match="^policy: expected"):
        evaluate_policy(world, np.ones((len(world.cells), 5)))
