"""The judges of the exercises of chapter 11.

Each asks for properties, and none uses the formula of the solution.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.stats import binom

from ._exercise_answers import close, numbers, pair
from .judging import Ask, Check

Checks = Iterator[Check]


def is_it_a_coin(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 11: by odds; and on average over what may happen nothing is learned."""
    found, right = [], []
    for _ in range(6):
        share, slip, of = rng.uniform(0.05, 0.6), rng.uniform(0.01, 0.3), int(rng.integers(1, 12))
        wrong = int(rng.integers(of + 1))
        found.append(float(numbers(ask("is_a_coin", share, slip, wrong, of), ())))
        odds = share / (1 - share) * (0.5 / slip) ** wrong * (0.5 / (1 - slip)) ** (of - wrong)
        right.append(odds / (1 + odds))
    yield Check(1, close(np.array([found, right])), "the probability for a person")
    share, slip, of = rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.2), 6
    after = np.array([float(numbers(ask("is_a_coin", share, slip, k, of), ())) for k in range(of + 1)])
    happens = share * binom.pmf(range(of + 1), of, 0.5) + (1 - share) * binom.pmf(range(of + 1), of, slip)
    kept = close(np.array([happens @ after, share]))
    yield Check(1, kept and bool(np.ptp(after) > 1e-3), "its mean over all that may happen is the share")


def agreement(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 11: by adding up over who tosses coins and what both choose."""

    def both(c, p):
        total = 0.0
        for tosses in product((True, False), repeat=2):
            chances = [0.5 if coin else p for coin in tosses]
            weight = np.prod([c if coin else 1 - c for coin in tosses])
            total += weight * sum(np.prod([q if better else 1 - q for q in chances]) for better in (True, False))
        return float(total)

    drawn = [(rng.uniform(0.1, 0.8), rng.uniform(0.6, 0.95)) for _ in range(5)]
    found = [float(numbers(ask("how_often_two_agree", c, p), ())) for c, p in drawn]
    yield Check(1, close(np.array([found, [both(c, p) for c, p in drawn]])), "how often two people agree")
    same = True
    for c, p in drawn:
        other_c, other_p = (float(part) for part in pair(ask("same_agreement", c, p), (), ()))
        inside = 0 <= other_c <= 1 and 0.5 <= other_p <= 1 and abs(other_c - c) > 1e-6
        same &= inside and abs(both(other_c, other_p) - both(c, p)) < 1e-6
    yield Check(1, bool(same), "another pair with the same agreement")
