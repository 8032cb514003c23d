"""Judge assignment 5: sums over time, planning over group weights, finite differences, duals, loops over people."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq, linprog, minimize

from maxmin_core.course.judging import Ask, Check, numbers


def near(found: np.ndarray | float, true: np.ndarray | float, tolerance: float) -> bool:
    """Return whether two arrays agree, as a part of the largest entry of the true one."""
    true = np.asarray(true)
    return bool(np.abs(found - true).max() <= tolerance * np.abs(true).max())


def random_chain(rng, n_cells, n_actions, n_groups):
    """Return transition, start and rewards of a decision process in which everything is possible."""
    transition = rng.dirichlet(np.full(n_cells, 0.5), size=(n_cells, n_actions))
    return transition, rng.dirichlet(np.ones(n_cells)), rng.uniform(size=(n_groups, n_cells))


def random_map(rng, n_groups, slip):
    """Return transition, start and rewards of a map of four by five cells; every place can be reached."""
    while True:
        free = rng.random((4, 5)) > 0.2
        cells = [tuple(map(int, cell)) for cell in np.argwhere(free)]
        number = {cell: k for k, cell in enumerate(cells)}
        ahead = np.zeros((len(cells), 5, len(cells)))
        for k, (i, j) in enumerate(cells):
            for a, (di, dj) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1), (0, 0)]):
                ahead[k, a, number.get((i + di, j + dj), k)] = 1
        places = rng.permutation(len(cells))[: n_groups + 1]
        linked = np.linalg.matrix_power((ahead.sum(axis=1) > 0).astype(float), len(cells)) > 0
        if len(cells) > 10 and linked[places[0], places].all():
            break
    transition = (1 - slip) * ahead + slip * ahead.mean(axis=1, keepdims=True)
    return transition, np.eye(len(cells))[places[0]], np.eye(len(cells))[places[1:]]


def by_powers(policy, transition, start, discount):
    """Return the occupancy, step by step along the journey."""
    moves = sum(policy[:, [a]] * transition[:, a] for a in range(policy.shape[1]))
    at, late, total = np.array(start, dtype=float), 1 - discount, np.zeros(len(start))
    while late > 1e-13:
        total += late * at
        at, late = at @ moves, late * discount
    return total[:, None] * policy


def planned(transition, start, reward, discount):
    """Return the best deterministic policy for one reward, by policy iteration."""
    action = np.zeros(len(start), dtype=int)
    while True:
        moves = transition[np.arange(len(start)), action]
        ahead = np.linalg.solve(np.eye(len(start)) - discount * moves, reward)
        better = transition @ ahead
        gain = better.max(axis=1) - better[np.arange(len(start)), action]
        if gain.max() < 1e-11:
            return np.eye(transition.shape[1])[action]
        action = np.where(gain > 1e-11, better.argmax(axis=1), action)


def largest_minimum(transition, start, rewards, discount):
    """Return the max-min value by its dual: the least best value of a weighted reward, by cutting planes."""
    n_groups, cuts, weights = len(rewards), [], np.full(len(rewards), 1 / len(rewards))
    for _ in range(200):
        policy = planned(transition, start, weights @ rewards, discount)
        cuts.append(rewards @ by_powers(policy, transition, start, discount).sum(axis=1))
        upper = weights @ cuts[-1]
        below = linprog(
            np.append(np.zeros(n_groups), 1.0),
            A_ub=np.column_stack([cuts, -np.ones(len(cuts))]),
            b_ub=np.zeros(len(cuts)),
            A_eq=[[1.0] * n_groups + [0.0]],
            b_eq=[1.0],
            bounds=[(0, None)] * n_groups + [(None, None)],
        )
        if upper - below.fun < 1e-9:
            break
        weights = below.x[:-1]
    return float(below.fun)


def judge_visit_shares(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Compare with the sum over time."""
    transition, start, _ = random_chain(rng, 6, 3, 1)
    policy, discount = rng.dirichlet(np.ones(3), size=6), rng.uniform(0.6, 0.9)
    found = numbers("visit_shares", ask("visit_shares", policy, transition, start, discount), (6, 3))
    true = by_powers(policy, transition, start, discount)
    yield Check(4, near(found.sum(axis=1), true.sum(axis=1), 1e-6), "how often the vehicle is in each cell")
    yield Check(3, near(found, true, 1e-6), "how often it takes each action there, when policies are random")
    transition, start, _ = random_map(rng, 2, 0.1)
    policy = rng.dirichlet(np.full(5, 0.3), size=len(start))
    found = numbers("visit_shares", ask("visit_shares", policy, transition, start, 0.97), policy.shape)
    yield Check(3, near(found, by_powers(policy, transition, start, 0.97), 1e-6), "the same on a map, far ahead")


def judge_fair_plan(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Evaluate the policy of the plan, and bound it from above by group weights."""
    for n_groups, worth in [(2, (4, 4)), (3, (2, 4))]:
        transition, start, rewards = random_map(rng, n_groups, 0.1)
        shape, discount = transition.shape[:2], float(rng.uniform(0.8, 0.9))
        plan = numbers("fair_plan", ask("fair_plan", transition, start, rewards, discount), shape)
        visits = np.maximum(plan, 0).sum(axis=1, keepdims=True)
        policy = np.where(visits > 1e-12, np.maximum(plan, 0) / np.maximum(visits, 1e-300), 1 / shape[1])
        true = by_powers(policy, transition, start, discount)
        best, worst = largest_minimum(transition, start, rewards, discount), (rewards @ true.sum(axis=1)).min()
        flows = near(plan, true, 1e-4) and worst > 0.3 * best
        yield Check(worth[0], flows, f"{n_groups} groups: the plan is an occupancy, and serves everybody")
        best_of_all = bool(worst >= best * (1 - 1e-5))
        says = f"{n_groups} groups: no policy has a better worst-off group"
        yield Check(worth[1], best_of_all, says, after=bool(flows))


def judge_utility_slope(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Compare with finite differences of the utility."""
    cases = [
        (6, random_chain(rng, 5, 3, 2), 0.8, 0.3, "the slope, two groups, a temperature of 0.3"),
        (5, random_map(rng, 3, 0.1), 0.9, 0.05, "the slope on a map, three groups, a low temperature"),
        (
            5,
            random_chain(rng, 4, 2, 4),
            0.6,
            0.001,
            "the slope where the worst-off group alone counts, without overflow",
        ),
    ]
    for worth, (transition, start, rewards), discount, tau, says in cases:
        shares = rng.dirichlet(np.full(len(rewards), 2.0)) * 0.8 + 0.2 / len(rewards)
        logits = rng.normal(size=transition.shape[:2])

        def utility(theta, given=(transition, start, discount), rewards=rewards, shares=shares, tau=tau):
            policy = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
            values = rewards @ by_powers(policy, *given).sum(axis=1)
            return values.min() - tau * np.log(shares @ np.exp(-(values - values.min()) / tau))

        answer = ask("utility_slope", logits, transition, start, rewards, discount, shares, tau)
        found, true = numbers("utility_slope", answer, logits.shape), np.zeros(logits.shape)
        some = rng.permutation(logits.size)[:12]
        for k in some:
            nudge = np.zeros(logits.size)
            nudge[k] = 1e-5
            nudge = nudge.reshape(logits.shape)
            true.flat[k] = (utility(logits + nudge) - utility(logits - nudge)) / 2e-5
        yield Check(worth, near(found.flat[some], true.flat[some], 1e-4), says)


def least_mean(values, shares, kind, size):
    """Return the least average over the set, from the dual problem."""
    if kind == "cvar":
        return max(t - shares @ np.maximum(t - values, 0) / size for t in values)

    def tilted(slope):
        """Return the shares that fall with this slope, cut at zero."""

        steep = slope * (values - values.min())

        def total(level):
            return shares @ np.maximum(level - steep, 0) - 1

        return shares * np.maximum(brentq(total, 0.0, steep.max() + 2, xtol=1e-13) - steep, 0)

    def room(slope):
        return ((tilted(slope) - shares) ** 2 / shares).sum() - size

    return float(tilted(brentq(room, 0.0, 1e6, xtol=1e-12)) @ values)


def judge_worst_shares(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Ask for shares that are in the set, and for the least average that its dual allows."""

    def right(values, shares, kind, size):
        w = numbers("worst_shares", ask("worst_shares", values, shares, kind, size), values.shape)
        inside = abs(w.sum() - 1) < 1e-6 and w.min() > -1e-9
        if kind == "cvar":
            inside &= (w <= shares / size + 1e-6).all()
        else:
            inside &= ((w - shares) ** 2 / shares).sum() <= size + 1e-6
        return bool(inside and w @ values <= least_mean(values, shares, kind, size) + 1e-6)

    def drawn():
        return rng.normal(size=5), rng.dirichlet(np.full(5, 3.0)) * 0.75 + 0.05

    cases = [(*drawn(), "cvar", level) for level in (0.7, 0.35, 0.12)]
    yield Check(5, all([right(*case) for case in cases]), "CVaR: in the set, and no population in it is worse off")
    small = [(*drawn(), "chi-square", 0.02) for _ in range(2)]
    yield Check(4, all([right(*case) for case in small]), "a small chi-square ball: the same")
    values, shares = drawn()
    lowest = values.argmin()
    most = 1 / shares[lowest] - 1
    large = [right(values, shares, "chi-square", part * most) for part in (0.4, 0.7, 0.95)]
    yield Check(5, all(large), "a large chi-square ball, where some groups keep no weight")


def choices(rng, n_people, n_options):
    """Return winner, loser and annotator: everybody judges every pair once, in an order of their own."""
    pairs = np.array([(i, j) for i in range(n_options) for j in range(i)])
    rows = [(*rng.permutation(pair), person) for person in range(n_people) for pair in rng.permutation(pairs)]
    order = rng.permutation(len(rows))
    return tuple(np.array(rows)[order].T)


def judge_deployed_win_rate(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Count, person by person and choice by choice."""
    worth = [4, 3, 3]
    says = [
        "a population as it is",
        "people with different numbers of held-out choices",
        "a population with other shares",
    ]
    for k in range(3):
        n_people, n_options = 14, int(rng.integers(4, 7))
        winner, loser, annotator = choices(rng, n_people, n_options)
        group = rng.permutation(np.arange(n_people) % 5 % 3)
        policy, n_pairs = rng.dirichlet(np.ones(n_options)), n_options * (n_options - 1) // 2
        used = np.zeros(len(winner), dtype=bool)
        for person in range(n_people):
            own = np.flatnonzero(annotator == person)
            used[own[: int(rng.integers(1, n_pairs)) if k else n_pairs // 2]] = True
        people = np.bincount(group, minlength=3)
        shares = rng.dirichlet(np.ones(3)) if k == 2 else people / n_people
        total = 0.0
        for person in range(n_people):
            held = [c for c in np.flatnonzero(annotator == person) if not used[c]]
            won = sum(policy[winner[c]] for c in held) * n_pairs / len(held)
            total += shares[group[person]] / people[group[person]] * (0.5 + won) / n_options
        answer = ask("deployed_win_rate", winner, loser, annotator, used, group, policy, shares)
        yield Check(worth[k], near(numbers("deployed_win_rate", answer, ()), total, 1e-8), says[k])


def judge_journey_reward(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Compare with another optimiser of the likelihood."""
    cases = [
        (4, 2, 6, 0.9, "two groups"),
        (3, 3, 25, 0.8, "three groups, long journeys"),
        (3, 2, 12, 0.5, "impatience"),
    ]
    for worth, n_groups, n_steps, discount, says in cases:
        rewards = rng.permutation(np.repeat(np.eye(n_groups + 1)[:, :n_groups], 4, axis=0)).T
        journeys = rng.integers(rewards.shape[1], size=(2, 300, n_steps))
        late = [(1 - discount) * discount**t for t in range(n_steps)]
        apart = sum(late[t] * (rewards[:, journeys[0, :, t]] - rewards[:, journeys[1, :, t]]) for t in range(n_steps))
        group = rng.choice(n_groups, p=[0.7, *[0.3 / (n_groups - 1)] * (n_groups - 1)], size=300)
        logits = 2.5 * apart[group, np.arange(300)] / apart.std()
        chose = rng.random(300) < 1 / (1 + np.exp(-logits))

        def loss(phi, signed):
            return np.logaddexp(0, -phi @ signed).sum()

        signed = np.where(chose, apart, -apart)
        true = minimize(loss, np.zeros(n_groups), signed, method="BFGS", options={"gtol": 1e-7}).x
        answer = ask("journey_reward", journeys[0], journeys[1], chose, rewards, discount)
        found = numbers("journey_reward", answer, (n_groups,))
        yield Check(worth, near(found, true, 1e-3), f"the likeliest single reward: {says}")


TASKS = {
    "visit_shares": judge_visit_shares,
    "fair_plan": judge_fair_plan,
    "utility_slope": judge_utility_slope,
    "worst_shares": judge_worst_shares,
    "deployed_win_rate": judge_deployed_win_rate,
    "journey_reward": judge_journey_reward,
}
