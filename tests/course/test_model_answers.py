"""Numbers and examples of the model answers, and what their proofs say, tried on instances that are drawn."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import expit, logsumexp

from maxmin_core.alignment import group_values, max_min

EVEN = np.log([[0.5, 0.5]])


def values(rewards, beta=0.3):
    """The max-min policy of two responses, and its values."""
    found = max_min(np.array(rewards, dtype=float)[:, None], EVEN, beta)
    return found.policy[0], found.values


def test_weights_of_the_same_batch_shorten_the_gradient():
    rewards, chance = np.eye(2), np.array([0.6, 0.4])
    slope = np.array([chance[1], -chance[0]])
    total = 0.0
    for texts in product((0, 1), repeat=3):
        texts = np.array(texts)
        score = rewards[rewards[:, texts].mean(axis=1).argmin()][texts]
        advantage = score - (score.sum() - score) / 2
        total += chance[texts].prod() * (advantage * slope[texts]).mean()
    assert total == pytest.approx(-0.048)
    assert -chance.prod() == pytest.approx(-0.24)


def test_three_dead_ends_need_two_extra_actions():
    navigation = pytest.importorskip("maxmin_core.navigation")
    world = navigation.Navigation(["#B#", "ASC"], slip=0.0, discount=0.9)
    best = navigation.best_occupancy(world)
    extra = ((best.occupancy > 1e-9).sum(axis=1) - 1)[best.occupancy.sum(axis=1) > 1e-9]
    assert best.objective == pytest.approx(0.3) and extra.sum() == 2


def test_centring_keeps_everybody_above_the_reference_and_without_it_not():
    policy, found = values([[2, 1], [0, 1]])
    assert policy[0] < 0.5 and found[0] < 1.5
    rng = np.random.default_rng(7)
    rewards = rng.normal(size=(3, 1, 2))
    rewards -= rewards.mean(axis=-1, keepdims=True)
    assert max_min(rewards, EVEN, 0.3).values.min() >= -1e-9


def test_an_indifferent_group_levels_down():
    policy, found = values([[1, 0], [0, 0]])
    assert policy == pytest.approx([0.5, 0.5], abs=1e-6) and found[0] == pytest.approx(0.5, abs=1e-6)
    alone = 0.3 * np.log((np.exp(1 / 0.3) + 1) / 2)
    assert group_values([[1 / (1 + np.exp(-1 / 0.3)), 1 / (1 + np.exp(1 / 0.3))]], [[[1.0, 0.0]]], EVEN, 0.3) == (
        pytest.approx([alone])
    )


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.0])
def test_enthusiasm_costs_the_favourite(delta):
    assert values([[1 + delta, 0], [0, 1]])[0][0] == pytest.approx(1 / (2 + delta), abs=1e-6)


def test_the_copy_that_errs_low_decides():
    own = [0.5, -0.5]
    alone = values([own])[0][0]
    assert values([own, [1, -1]])[0][0] == pytest.approx(alone, abs=1e-6)
    # The solver is as exact as its value; near the reference a policy is known to the root of that.
    assert values([own, [0, 0]])[0][0] == pytest.approx(0.5, abs=1e-4) and alone > 0.8


def test_the_first_bound_among_careless_people():
    """Assignment 2: as many pairs as features, so that some reward reproduces any pool."""
    rng, loose = np.random.default_rng(0), []
    for _ in range(300):
        n_groups, d = rng.integers(1, 4), rng.integers(1, 4)
        z, phi = rng.normal(size=(d, d)), rng.normal(size=(n_groups, d)) * 2
        eta, rho, coins = rng.dirichlet(np.ones(n_groups)), rng.dirichlet(np.ones(d)), rng.uniform(0, 0.95)
        p = expit(phi @ z.T)
        careless = (1 - coins) * eta @ p + coins / 2
        single = np.linalg.solve(z, np.log(careless / (1 - careless)))
        longest = np.linalg.norm(z, axis=1).max()
        for u in range(n_groups):
            floor = 4 / longest * rho @ np.abs((1 - coins) * (eta @ p - p[u]) + coins * (0.5 - p[u]))
            loose.append(np.linalg.norm(single - phi[u]) - floor)
    assert min(loose) > -1e-9 and np.median(loose) > 0


@pytest.mark.parametrize(("coins", "floors"), [(0.0, (0.1, 0.1)), (0.5, (0.0, 0.2))])
def test_coins_can_lower_the_floor(coins, floors):
    p = np.array([0.6, 0.8])
    found = np.abs((1 - coins) * (p.mean() - p) + coins * (0.5 - p))
    assert found == pytest.approx(floors)


def _survey_as_surveys_are(rng):
    """Wins and losses of one pair set, what people count, and whose group is known."""
    z, truth = rng.normal(size=(5, 2)), 2 * rng.normal(size=(2, 2))
    group = rng.integers(2, size=25)
    wins = rng.binomial(2, expit(truth[group] @ z.T))
    known = np.where(rng.random(25) < 0.2, group, -1)
    return z, wins, 2 - wins, rng.uniform(0.2, 3, size=25), known


def _weighted_em(data, eta, phi, census, n_steps):
    """The steps of the model answer to assignment 3, with the value before each of them."""
    from scipy.optimize import minimize

    z, wins, losses, count, known = data
    values = []
    for _ in range(n_steps):
        each = -wins @ np.logaddexp(0, -z @ phi.T) - losses @ np.logaddexp(0, z @ phi.T)
        free = known < 0
        true_shares = eta if census is None else census
        joint = np.log(true_shares) + each
        values.append(count[free] @ logsumexp(joint[free], axis=1) + count[~free] @ joint[~free, known[~free]])
        told = joint if census is None else each
        q = np.exp(told - logsumexp(told, axis=1, keepdims=True))
        q[~free] = np.eye(len(eta))[known[~free]]
        q = q * count[:, None]
        eta = q.sum(axis=0) / count.sum()

        def loss(x, q):
            margin = z @ x
            up, down = q @ wins, q @ losses
            return up @ np.logaddexp(0, -margin) + down @ np.logaddexp(0, margin) + 1e-9 * x @ x

        phi = np.array([minimize(loss, old, args=(part,)).x for old, part in zip(phi, q.T, strict=True)])
    return np.array(values), phi


def test_em_never_falls_with_weights_and_known_people():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        values, _ = _weighted_em(_survey_as_surveys_are(rng), np.array([0.5, 0.5]), rng.normal(size=(2, 2)), None, 8)
        assert np.diff(values).min() > -1e-5 and values[-1] > values[0] + 0.1


def test_with_the_shares_left_out_the_likelihood_falls():
    fell = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        data, census = _survey_as_surveys_are(rng), np.array([0.9, 0.1])
        values, _ = _weighted_em(data, np.array([0.5, 0.5]), rng.normal(size=(2, 2)), census, 8)
        fell.append(np.diff(values).min() < -1e-3)
    assert any(fell)


def _value_of(policy, reward, log_reference, strength):
    return policy @ reward - strength * policy @ (np.log(policy) - log_reference)


def test_weak_duality_where_groups_mind_differently():
    """Assignment 4: against policies that are drawn, and the best of them by weights on a grid."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        rewards, log_reference = rng.normal(size=(2, 4)), np.log(rng.dirichlet(np.ones(4)))
        strengths, bounds, worst = rng.uniform(0.1, 2, size=2), [], []
        for w in np.linspace(0, 1, 401):
            mixed, strength = np.array([w, 1 - w]) @ rewards, np.array([w, 1 - w]) @ strengths
            level = logsumexp(log_reference + mixed / strength)
            policy = np.exp(log_reference + mixed / strength - level)
            bounds.append(strength * level)
            worst.append(min(_value_of(policy, r, log_reference, b) for r, b in zip(rewards, strengths, strict=True)))
        drawn = rng.dirichlet(np.ones(4), size=200)
        values = [[_value_of(p, r, log_reference, b) for r, b in zip(rewards, strengths, strict=True)] for p in drawn]
        assert max(np.min(values, axis=1).max(), max(worst)) <= min(bounds) + 1e-9
        assert max(worst) > min(bounds) - 0.02


def test_the_least_expected_reward_is_not_the_least_value():
    price = np.log(2)
    assert 1 - price == pytest.approx(0.31, abs=0.005) and 0.5 - 0.1 * price == pytest.approx(0.43, abs=0.005)


def _flow(transition, start, discount):
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    return leaves - discount * arrives, (1 - discount) * start


def test_budgets_need_so_much_chance_at_most_and_may_need_it():
    """Assignment 5: basic solutions by the simplex method, on worlds that are drawn."""
    rng, most = np.random.default_rng(2), []
    for _ in range(60):
        n_groups, n_budgets = rng.integers(1, 4), rng.integers(0, 3)
        transition, start = rng.dirichlet(np.full(6, 0.3), size=(6, 4)), np.eye(6)[0]
        rewards = rng.uniform(size=(n_groups, 6)) * (rng.random((n_groups, 6)) < 0.5)
        costs = rng.uniform(size=(n_budgets, 24))
        some = rng.dirichlet(np.ones(4), size=6)
        flow, flows_in = _flow(transition, start, 0.9)
        moves = np.einsum("sa,sat->st", some, transition)
        allowed = (np.linalg.solve(np.eye(6) - 0.9 * moves.T, flows_in)[:, None] * some).ravel()
        found = linprog(
            np.append(np.zeros(24), -1.0),
            A_ub=np.block(
                [[-np.repeat(rewards, 4, axis=1), np.ones((n_groups, 1))], [costs, np.zeros((n_budgets, 1))]]
            ),
            b_ub=np.append(np.zeros(n_groups), costs @ allowed),
            A_eq=np.column_stack([flow, np.zeros(6)]),
            b_eq=flows_in,
            method="highs-ds",
        )
        positive = found.x[:-1].reshape(6, 4) > 1e-9
        extra = positive.sum() - positive.any(axis=1).sum()
        assert extra <= n_groups - 1 + n_budgets
        most.append(n_groups - 1 + n_budgets - extra)
    assert 0 in most


def test_one_budget_alone_needs_chance():
    discount = 0.8
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1

    def share(p):
        moves = np.einsum("sa,sat->st", [[1 - p, p], [1, 0]], transition)
        return np.linalg.solve(np.eye(2) - discount * moves.T, [1 - discount, 0])[1]

    assert share(0) == 0 and share(1) == pytest.approx(discount)
    assert share((1 - discount) / (2 - discount)) == pytest.approx(discount / 2)
