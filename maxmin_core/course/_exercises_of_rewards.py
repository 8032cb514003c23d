"""The judges of the exercises of chapters 1 to 4.

Each asks for properties, and none uses the formula of the solution. How far an answer may be off is said in the
exercise's own words where it is more than rounding.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, log_softmax, logit, logsumexp, rel_entr, softmax
from scipy.stats import binom

from ._exercise_answers import close, numbers, pair
from .judging import AnswerError, Ask, Check

Checks = Iterator[Check]


def gauge(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 1."""
    found, shifts = [], rng.uniform(1, 200, size=4)
    for shift in shifts:
        reward, log_reference = rng.normal(size=5), log_softmax(rng.normal(size=5))
        found.append(numbers(ask("after_the_shift", reward, log_reference, rng.uniform(0.2, 3), shift), (3,)))
    changed = np.array(found)
    yield Check(1, bool(np.abs(changed[:, 0]).max() < 1e-9), "by how much a preference probability changes")
    yield Check(1, bool(np.abs(changed[:, 1]).max() < 1e-9), "by how much a probability of the policy changes")
    yield Check(1, bool(np.allclose(changed[:, 2], shifts, rtol=1e-9)), "by how much the best value changes")


def limits(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 1: the best value itself, at a very large and a very small strength."""
    found, large, small = [], [], []
    for support in (6, 4):
        reward, log_reference = rng.normal(size=6), np.full(6, -np.inf)
        log_reference[:support] = log_softmax(rng.normal(size=support))
        # The largest reward lies outside of the support once, where no policy reaches it.
        reward[-1] += 5
        found.append(numbers(ask("two_limits", reward.copy(), log_reference.copy()), (2,)))
        large.append(1e7 * logsumexp(log_reference + reward / 1e7))
        small.append(1e-5 * logsumexp(log_reference + reward / 1e-5))
    got = np.array(found)
    yield Check(1, bool(np.allclose(got[:, 0], large, atol=1e-3)), "the best value where the penalty is very strong")
    yield Check(1, bool(np.allclose(got[:, 1], small, atol=1e-3)), "the best value where the penalty is very weak")


def education(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 1."""
    one = [(1, level) for level in rng.uniform(0.01, 0.2, size=3)]
    many = [(int(n), level) for n, level in zip((3, 15, 40), rng.uniform(0.01, 0.2, size=3), strict=True)]
    for cases, says in ((one, "one test alone"), (many, "several independent tests at several levels")):
        found = [float(numbers(ask("some_test_rejects", n, level), ())) for n, level in cases]
        yield Check(1, bool(np.allclose(found, [binom.sf(0, n, level) for n, level in cases])), says)


def middle(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 2: the single reward by root finding."""
    shares, preferences = pair(ask("four_groups"), (4,), (4,))
    people = bool(shares.min() > 0 and np.isclose(shares.sum(), 1))
    inside = bool(preferences.min() > 0 and preferences.max() < 1)
    different = bool(np.diff(np.sort(preferences)).min() > 1e-3)
    yield Check(1, people and inside and different, "four groups with shares that sum to one, and four preferences")
    if not inside:
        raise AnswerError("preferences lie between 0 and 1")
    single = brentq(lambda phi: expit(phi) - shares @ preferences / shares.sum(), -40, 40, xtol=1e-13)
    yield Check(1, bool(abs(single - logit(preferences[0])) < 1e-6), "the mismatch of the first group is zero")


def equality(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 2: one pair whose difference of features is 1."""
    shares, parameters = pair(ask("tight_population"), (None,), (None,))
    if len(shares) != len(parameters) or len(shares) < 2 or shares.min() <= 0 or not np.isclose(shares.sum(), 1):
        raise AnswerError("two groups or more are expected, with positive shares that sum to one")
    pooled = shares @ expit(parameters)
    single = brentq(lambda phi: expit(phi) - pooled, -800, 800, xtol=1e-15)
    truth = abs(single - parameters[0])
    yield Check(1, bool(truth > 1e-6), "the first group has a mismatch")
    bound = 4 * abs(pooled - expit(parameters[0]))
    yield Check(1, bool(bound > 0.999 * truth > 0), "the bound is at least 0.999 of the mismatch")


def opposite(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 3: a search over policies, on definitions."""

    def value(q, theta, beta):
        return theta * (2 * q - 1) - beta * (rel_entr(q, 0.5) + rel_entr(1 - q, 0.5))

    def search(function):
        return minimize_scalar(function, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun

    near = []
    for theta, beta in rng.uniform(0.3, 1.5, size=(3, 2)):
        best = -search(lambda q, t=theta, b=beta: -value(q, t, b))
        price = search(lambda q, t=theta, b=beta, m=best: max(m - value(q, t, b), m - value(1 - q, t, b)))
        near.append((float(numbers(ask("price_of_opposites", theta, beta), ())), price))
    holds = close(np.transpose(near), atol=1e-6)
    yield Check(1, bool(holds), "no policy's larger gap is smaller, and one policy's is as small")
    theta = rng.uniform(1, 2)
    found = float(numbers(ask("price_of_opposites", theta, theta / 2000), ()))
    # Nobody is served better than by half of the time, and one's own policy leaves the reference by log 2 at most.
    holds = theta * (1 - 2 / 2000) < found < theta and np.isclose(theta - found, theta / 2000 * np.log(2), rtol=1e-6)
    yield Check(1, bool(holds), "the price where theta is 2000 times beta")


def upper(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 3: the gap as what the group's own policy is worth more."""
    epsilon, ratios, small = 1e-6, [], []
    for a in (1.0, rng.uniform(2, 4)):
        policy = numbers(ask("nearly_tight", epsilon), (2,))
        if policy.min() <= 0 or not np.isclose(policy.sum(), 1):
            raise AnswerError("two positive probabilities that sum to one are expected")
        small.append(policy.min())
        reward = np.array([a, 0.0])
        gap = np.log1p(policy @ np.expm1(reward)) - policy @ reward
        ratios.append(gap / (policy @ (reward - policy @ reward) ** 2 * (np.exp(a) - 1 - a) / a**2))
    yield Check(1, bool(np.allclose(small, epsilon, rtol=1e-3)), "one probability is epsilon")
    yield Check(1, bool(min(ratios) > 0.999), "at this policy the gap is at least 0.999 of its upper bound")


def compare(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 3: other distributions, near and far, must not do better."""
    valid, best = True, True
    for n in (3, 4):
        first, second = softmax(rng.normal(size=(2, n)), axis=1)
        pairs = list(combinations(range(n), 2))
        rho = numbers(ask("best_pairs", first.copy(), second.copy()), (len(pairs),))
        valid &= bool(rho.min() >= 0 and np.isclose(rho.sum(), 1))
        products = np.array([[policy[i] * policy[j] for i, j in pairs] for policy in (first, second)])
        m = products.min(axis=0)
        step = rng.uniform(size=(1000, 1)) ** 3
        others = np.vstack([(1 - step) * rho + step * rng.dirichlet(np.ones(len(pairs)), size=1000)])
        least = [(m[p > 0] / p[p > 0]).min() for p in (rho, *others)]
        best &= bool(max(least[1:]) <= least[0] * (1 + 1e-9))
    yield Check(1, valid, "a distribution over the pairs")
    yield Check(1, valid and best, "none of a thousand other distributions, near it and far, makes c larger")


def posterior(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 4: in rational numbers."""

    def exact(shares, chances, choices):
        weights = [Fraction(float(share)) for share in shares]
        for u, chance in enumerate(chances):
            for chose in choices:
                weights[u] *= Fraction(float(chance)) if chose else 1 - Fraction(float(chance))
        return float(weights[0] / sum(weights))

    hand = np.array([0.5, 0.5]), np.array([0.9, 0.2])
    found = float(numbers(ask("posterior_of_first", *hand, np.array([True, True, False])), ()))
    yield Check(1, bool(np.isclose(found, exact(*hand, [1, 1, 0]))), "the example of the exercise")
    near = []
    for _ in range(3):
        case = rng.dirichlet(np.ones(3)), rng.uniform(0.1, 0.9, size=3), rng.random(6) < 0.5
        near.append((float(numbers(ask("posterior_of_first", *case), ())), exact(*case)))
    yield Check(1, close(np.transpose(near)), "three groups of other shares and six choices")
    targets, right = [0.6, 0.9, 0.99, 0.9999], True
    for target in targets:
        n = float(numbers(ask("how_many_in_a_row", target), ()))
        fits = n == int(n) >= 1 and exact(*hand, [1] * int(n)) >= target > exact(*hand, [1] * (int(n) - 1))
        right &= bool(fits)
    yield Check(1, right, "how many first choices in a row are enough, and one fewer is not")


def opposite_groups(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 4: both groups are enumerated."""
    near = []
    for _ in range(4):
        t = rng.uniform(0.05, 0.45, size=3) * rng.choice([-1, 1], size=3)
        first = 0.5 + np.array([t, -t])
        both = [0.5 * (first[:, i] * first[:, j]).sum() for i, j in ((0, 1), (0, 2), (1, 2))]
        near.append((numbers(ask("leanings", *map(float, both)), (3,)), np.abs(t)))
    yield Check(1, all(np.allclose(found, true) for found, true in near), "how far each pair leans, for either group")
