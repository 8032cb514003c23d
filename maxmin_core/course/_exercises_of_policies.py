"""The judges of the exercises of chapters 5 to 7 and 9.

Each asks for properties, and none uses the formula of the solution. How far an answer may be off is said in the
exercise's own words where it is more than rounding.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.optimize import brentq, linprog, minimize
from scipy.special import rel_entr, softmax

from ._exercise_answers import close, numbers, pair
from .judging import AnswerError, Ask, Check

Checks = Iterator[Check]


def weights(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 5: what policies attain."""
    rewards, beta = np.array([[1.0, 0.0, 0.35], [0.0, 1.0, 0.35]]), 0.1

    def values(policy):
        return rewards @ policy - beta * (rel_entr(policy, 1 / 3)).sum()

    above, attained = True, True
    for w in (0.5, *rng.uniform(0.05, 0.95, size=3)):
        bound, both = float(numbers(ask("bound", float(w)), ())), np.array([w, 1 - w])
        policies = [*rng.dirichlet(np.ones(3), size=200), *softmax(rng.normal(0, 8, size=(200, 3)), axis=1)]
        above &= bool(max(both @ values(policy) for policy in policies) <= bound + 1e-3)
        best = max(-minimize(lambda x, b=both: -b @ values(softmax(x)), start).fun for start in 3 * np.eye(3))
        attained &= bool(best >= bound - 1e-3)
    yield Check(1, above, "no policy's weighted value exceeds it")
    yield Check(1, attained, "some policy attains it, to 0.001")
    even, uneven = (float(numbers(ask("bound", w), ())) for w in (0.5, 0.6))
    yield Check(
        1, above and attained and even < uneven, "even weights give the smaller bound of the two that were tried"
    )


def corner(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 5: the loop itself, from even weights, with the uniform reference."""
    rewards, beta = pair(ask("calm_case"), (2, None), ())
    if rewards.shape[1] < 2 or beta <= 0:
        raise AnswerError("two responses or more and a positive beta are expected")
    differ = np.ptp(rewards[0] - rewards[1]) > 1e-3 and min(np.ptp(rewards, axis=1)) > 1e-3
    yield Check(1, bool(differ), "two groups that want different things")
    rest = True
    for step in (0.1, 0.01):
        w, moved = np.array([0.5, 0.5]), []
        for _ in range(5000):
            group = (rewards @ softmax(w @ rewards / beta)).argmin()
            w, before = (1 - step) * w + step * np.eye(2)[group], w
            moved.append(np.abs(w - before).max())
        rest &= max(moved[-100:]) < 1e-6
    yield Check(1, bool(differ and rest), "with constant steps of 0.1 and of 0.01 the weights come to rest")


def randomise(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 6: a policy chooses a dead end, or a chance of each; a linear programme finds the best chances."""
    found = {n: numbers(ask("cells_that_randomise", n), (2,)) for n in (2, 3, 5)}
    needed = True
    for n, answer in found.items():
        ends = 0.9 * np.eye(n)  # what ending in each of them gives every group
        limits = np.column_stack([-ends.T, np.ones(n)])
        done = linprog([0] * n + [-1], limits, np.zeros(n), [[1] * n + [0]], [1], [(0, None)] * n + [(None, None)])
        # All choices are made in one cell: either none randomises, or this one.
        attained = int(-done.fun > ends.min(axis=1).max() + 1e-9)
        needed &= bool(answer[0] == attained)
    yield Check(1, needed, "how many cells must randomise here")
    enough = all(answer[1] == n - 1 for n, answer in found.items())
    yield Check(1, enough, "how many suffice by the proposition")


def time(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 6: a policy that changes with time on a small world, followed step by step."""
    n_cells, n_actions, discount = 4, 3, 0.9
    moves = rng.dirichlet(np.ones(n_cells), size=(n_cells, n_actions))
    start = rng.dirichlet(np.ones(n_cells))
    policies = rng.dirichlet(np.full(n_actions, 0.5), size=(2, n_cells))

    def occupancy(policy_at):
        where, total = start, np.zeros((n_cells, n_actions))
        for step in range(400):
            here = where[:, None] * policy_at(step)
            total += (1 - discount) * discount**step * here
            where = np.einsum("sa,sat->t", here, moves)
        return total

    for rule, says in (
        (lambda step: policies[step % 2], "turns, one policy on even steps and another on odd ones"),
        (lambda step: policies[int(step >= 3)], "another policy from the third step on"),
    ):
        d = occupancy(rule)
        policy = numbers(ask("same_visits", d.copy()), (n_cells, n_actions))
        holds = policy.min() >= 0 and np.allclose(policy.sum(axis=1), 1)
        holds = holds and np.allclose(occupancy(lambda step, p=policy: p), d, atol=1e-8)
        yield Check(1, bool(holds), f"one stationary policy visits as this one does: {says}")


def guarantee(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 7: all populations of two groups, on a grid of the second group's share."""
    near = []
    grid = np.linspace(0, 1, 200_001)
    cases = [(np.array([1.0, -1.0]), 0.2, 2.0, 0.25)]
    for _ in range(3):
        values = np.sort(rng.normal(size=2))[::-1]
        cases.append((values, rng.uniform(0.1, 0.35), rng.uniform(1.2, 2.8), rng.uniform(0.05, 0.25)))
    for values, share, growth, radius in cases:
        average = (1 - grid) * values[0] + grid * values[1]
        distance = (grid - share) ** 2 / (1 - share) + (grid - share) ** 2 / share
        truth = average[grid <= growth * share].min(), average[distance <= radius].min()
        near.append((numbers(ask("two_guarantees", values.copy(), share, growth, radius), (2,)), truth))
    grown, ball = (np.array([[found[i], truth[i]] for found, truth in near]) for i in (0, 1))
    yield Check(1, close(grown.T, atol=1e-3), "what holds while the second group grows by no more than this")
    yield Check(1, close(ball.T, atol=1e-3), "what holds within this chi-square distance")


def halfway(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 7: the policy by a search, the value by its definition."""
    policy, value = pair(ask("half_way"), (3,), ())
    rewards, w = np.array([[3.0, -3.0, 0.0], [1.0, -3.0, 2.0], [1.0, 3.0, -4.0]]), np.array([0, 0.75, 0.25])

    def values(p):
        return rewards @ p - 0.5 * rel_entr(p, 1 / 3).sum()

    best = softmax(minimize(lambda x: -w @ values(softmax(x)), np.zeros(3), tol=1e-12).x)
    yield Check(1, bool(np.allclose(policy, best, atol=0.002)), "the policy, to 0.002")
    yield Check(1, bool(abs(value - values(best)[2]) < 0.01), "the value of the smallest group, to 0.01")


def other_set(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 7: in every direction the corners reach as far as the set does, by linear programmes."""
    inside, reach = True, True
    for low, high in ((0.1, 0.3), np.sort(rng.uniform(0.05, 0.6, size=2))):
        found = numbers(ask("corners", float(low), float(high)), (None, 3))
        third = found[:, 2]
        inside &= bool(found.min() >= -1e-9 and np.allclose(found.sum(axis=1), 1))
        inside &= bool(third.min() >= low - 1e-9 and third.max() <= high + 1e-9)
        for direction in rng.normal(size=(20, 3)):
            done = linprog(-direction, A_eq=[[1, 1, 1]], b_eq=[1], bounds=[(0, 1), (0, 1), (low, high)])
            reach &= bool((found @ direction).max() >= -done.fun - 1e-9)
    yield Check(1, inside, "every row is a population of the set")
    yield Check(1, inside and reach, "the rows reach as far as the set does, in every direction that was tried")


def count(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 9: all texts are written down; token 0 ends one."""

    def written(n_tokens, longest):
        texts = set()
        for tokens in product(range(n_tokens), repeat=longest):
            texts.add(tokens[: tokens.index(0) + 1] if 0 in tokens else tokens)
        return len(texts)

    short, longer = [(n, 1) for n in (1, 2, 5)], [(1, 4), (2, 5), (3, 4), (4, 3), (5, 4)]
    for cases, says in ((short, "of at most one token"), (longer, "for small vocabularies and lengths")):
        holds = all(float(numbers(ask("count_texts", *case), ())) == written(*case) for case in cases)
        yield Check(1, holds, f"the number of texts{',' if cases is longer else ''} {says}")


def swing(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 9: the eigenvalues of the two players' motion, at rates around the answer."""
    calm, swings, fastest = True, True, True
    for a, c in rng.uniform(0.3, 3, size=(4, 2)):
        g = float(numbers(ask("fastest_calm_rate", float(a), float(c)), ()))
        if g <= 0:
            raise AnswerError("a positive rate is expected")

        def roots(rate, a=a, c=c):
            return np.linalg.eigvals([[-a, a], [-rate * c, 0.0]])

        calm &= bool(np.abs(roots(0.99 * g).imag).max() == 0)
        swings &= bool(np.abs(roots(1.01 * g).imag).max() > 0)
        slower = [roots(part * g).real.max() for part in (0.3, 0.6, 0.9, 0.98)]
        fastest &= bool(max(np.diff([*slower, roots(0.999 * g).real.max()])) < 0)
    yield Check(1, calm, "just below this rate the weights do not swing")
    yield Check(1, calm and swings, "just above it they do")
    yield Check(1, calm and swings and fastest, "no rate below it settles faster")


def chernoff(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 9: the margin at which the bound on the chance is what is left of the confidence."""
    near = []
    for n, beta, confidence in ((64, 0.15, 0.95), (int(rng.integers(5, 200)), rng.uniform(0.05, 1), 0.99)):
        found = float(numbers(ask("safe_margin", n, float(beta), confidence), ()))
        right = brentq(lambda t, n=n, b=beta, c=confidence: np.exp(-n * t / b) - (1 - c), 0, 10 * beta, xtol=1e-15)
        near.append((found, right))
    yield Check(1, close(np.transpose(near), rtol=1e-2, atol=0), "the margin, to one part in a hundred")
