"""Misreports with two responses: the published example in fractions and closed forms, and the rule that is safe.

What chapter 7 shows by the solver is derived here anew: rewards as fractions, policies as one probability, rules as
one number.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from maxmin_core.alignment import (
    ChiSquare,
    CVaR,
    Egalitarian,
    Nash,
    Regret,
    SoftMin,
    Utilitarian,
    best_values,
    calibrate,
    group_values,
    max_min,
    per_prompt_minimum,
    solve,
)

seeds = st.integers(0, 2**32 - 1)
COIN = np.log([[0.5, 0.5]])
# Group 1 and group 2 on a = (1/2, 1/2) and b = (3/4, 0).
TRUTH = np.array([[[0.5, 0.75]], [[0.5, 0.375]]])
TASTES = {"truth": (1, 0), "lie": (1, -1), "complaint": (Fraction(1, 2), Fraction(-1, 4))}


def reported(taste):
    """The rewards of a and b for group 1's report, and group 2's true ones, as fractions."""
    menu = [(Fraction(1, 2), Fraction(1, 2)), (Fraction(3, 4), Fraction(0))]
    return [
        [sum(t * f for t, f in zip(theta, psi, strict=True)) for psi in menu]
        for theta in (taste, (Fraction(1, 2),) * 2)
    ]


def as_rewards(rows):
    return np.array([[[float(x) for x in row]] for row in rows])


@pytest.mark.parametrize(
    ("report", "one_response", "mixture"),
    [("truth", 0, Fraction(0)), ("lie", 1, Fraction(4, 7)), ("complaint", 1, Fraction(1))],
)
def test_the_published_example_in_fractions(report, one_response, mixture):
    rewards = reported(TASTES[report])
    assert max((0, 1), key=lambda y: min(row[y] for row in rewards)) == one_response
    # A fine grid of fractions that holds 4/7, and no calculus.
    grid = [Fraction(k, 700) for k in range(701)]
    assert max(grid, key=lambda p: min((1 - p) * a + p * b for a, b in rewards)) == mixture
    gets = Fraction(1, 2) + mixture / 4
    assert gets == {"truth": Fraction(1, 2), "lie": Fraction(9, 14), "complaint": Fraction(3, 4)}[report]
    # The solver's limit of a weak KL term.
    policy = max_min(as_rewards(rewards), COIN, 1e-3).policy
    np.testing.assert_allclose(policy[0, 1], float(mixture), atol=1e-6)


def test_the_complaint_shows_in_no_comparison():
    (a, b), _ = reported(TASTES["complaint"])
    assert b - a == Fraction(1, 4) == Fraction(3, 4) - Fraction(1, 2)
    assert (Fraction(1, 2) - a, Fraction(3, 4) - b) == (Fraction(3, 8), Fraction(3, 8))


@pytest.mark.parametrize("beta", [0.03, 0.1, 0.7, 2.0, 2.6, 3.0, 10.0])
def test_the_published_example_with_a_kl_term(beta):
    closed = {"truth": expit(-0.125 / beta), "lie": min(4 / 7, expit(0.75 / beta)), "complaint": expit(0.25 / beta)}
    policies = {name: max_min(as_rewards(reported(taste)), COIN, beta).policy for name, taste in TASTES.items()}
    for name, policy in policies.items():
        np.testing.assert_allclose(policy[0, 1], closed[name], atol=1e-6)
    gets = {name: group_values(policy, TRUTH, COIN, beta)[0] for name, policy in policies.items()}
    np.testing.assert_allclose(gets["complaint"], best_values(TRUTH, COIN, beta)[0], atol=1e-9)
    # F = 1/2 + p/4 - beta KL, written down anew: where the lie begins to cost.
    value = [0.5 + p / 4 - beta * (np.log(2) + p * np.log(p) + (1 - p) * np.log1p(-p)) for p in closed.values()]
    np.testing.assert_allclose(list(gets.values()), value, atol=1e-7)
    assert (gets["lie"] > gets["truth"]) == (beta < 2.2)


def settled(margins, odds, beta, rule=None):
    """The policy on centred rewards with these differences, and the rewards; the reference where no bargain is."""
    reference = np.array([[log_expit(-odds), log_expit(odds)]])
    rewards = calibrate(np.stack([0 * margins, margins], axis=-1)[:, None], reference, method="center")
    try:
        return solve(rule or Egalitarian(), rewards, reference, beta).policy, rewards, reference
    except ValueError:
        assert isinstance(rule, Nash)
        return np.exp(reference), rewards, reference


def drawn(seed):
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, 6))
    return draw, 2 * draw.normal(size=n) + draw.normal(), 2 * draw.normal(), 10 ** draw.uniform(-1, 0.5)


@settings(max_examples=30)
@given(seeds)
def test_with_two_responses_centred_max_min_is_a_median(seed):
    draw, margins, odds, beta = drawn(seed)
    draw.shuffle(margins)
    policy, rewards, reference = settled(margins, odds, beta)
    # Moulin's form: the median of all groups' own optima and of one phantom less than groups, all at the reference.
    optima = [expit(odds + margin / beta) for margin in margins]
    median = np.median([*optima, *[expit(odds)] * (len(margins) - 1)])
    np.testing.assert_allclose(policy[0, 1], median, atol=2e-6)
    honest = group_values(policy, rewards, reference, beta)
    for u in range(len(margins)):
        for lie in (-margins[u], 1.3 * margins[u], 5 * draw.normal(), 0.3 * draw.normal()):
            told = margins.copy()
            told[u] = lie
            after = group_values(settled(told, odds, beta)[0], rewards, reference, beta)
            assert after[u] <= honest[u] + 1e-7


@settings(max_examples=15)
@given(seeds)
def test_the_minimum_per_prompt_is_safe_with_two_responses_each(seed):
    draw, _, _, beta = drawn(seed)
    rewards = draw.normal(size=(3, 3, 2)) + draw.normal(size=(1, 3, 2))
    reference = np.log(draw.dirichlet([2.0, 2.0], size=3))
    centred = calibrate(rewards, reference, method="center")
    honest = group_values(per_prompt_minimum(centred, reference, beta), centred, reference, beta)
    for u in range(3):
        told = centred.copy()
        told[u] = calibrate(3 * draw.normal(size=(1, 3, 2)), reference, method="center")[0]
        after = group_values(per_prompt_minimum(told, reference, beta), centred, reference, beta)
        assert after[u] <= honest[u] + 1e-7


@settings(max_examples=25)
@given(seeds)
def test_nash_is_safe_where_two_groups_want_different_responses(seed):
    draw, _, odds, beta = drawn(seed)
    margins = np.abs(draw.normal(size=2)) * [1, -1] + [0.05, -0.05]
    policy, rewards, reference = settled(margins, odds, beta, Nash(None))
    np.testing.assert_allclose(policy, np.exp(reference))
    honest = group_values(policy, rewards, reference, beta)
    for u in range(2):
        for lie in 3 * draw.normal(size=4):
            told = margins.copy()
            told[u] = lie
            after = group_values(settled(told, odds, beta, Nash(None))[0], rewards, reference, beta)
            assert after[u] <= honest[u] + 1e-8


def told_for_own_optimum(rule, u, least):
    """The exaggeration with which group u of the example gets its own optimum, by bisection."""
    margins = np.array([0.25, -0.125])
    own = expit(margins[u] / 0.1)

    def off(size):
        told = margins.copy()
        told[u] = np.sign(margins[u]) * size
        return settled(told, 0.0, 0.1, rule)[0][0, 1] - own

    return brentq(off, least, 40.0, xtol=1e-10)


def test_who_else_can_be_manipulated_in_the_example():
    # The average of the differences has to be a group's own: twice its own less the other's.
    np.testing.assert_allclose(told_for_own_optimum(Utilitarian(), 0, 0.25), 2 * 0.25 + 0.125, atol=1e-6)
    np.testing.assert_allclose(told_for_own_optimum(Utilitarian(), 1, 0.125), 2 * 0.125 + 0.25, atol=1e-6)
    # CVaR at 0.75 leaves a group at least a third of the weight, the ball of radius 1/4 a quarter: x/3 - 2/3 Delta_2.
    np.testing.assert_allclose(told_for_own_optimum(CVaR(0.75), 0, 0.25), 3 * (0.25 + 0.125 * 2 / 3), atol=1e-5)
    np.testing.assert_allclose(told_for_own_optimum(ChiSquare(0.25), 0, 0.25), 4 * (0.25 + 0.125 * 3 / 4), atol=1e-5)
    # Least regret: both groups' divergences from their own optima are the same.
    size = told_for_own_optimum(Regret(), 0, 0.25)
    p, own, other = expit(2.5), expit(size / 0.1), expit(-1.25)
    kl = [p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)) for q in (own, other)]
    np.testing.assert_allclose(kl[0], kl[1], atol=1e-5)


@pytest.mark.parametrize("rule", [Utilitarian(), SoftMin(0.1), CVaR(0.75), ChiSquare(0.25), Regret()])
@pytest.mark.parametrize("u", [0, 1])
def test_exaggerating_pays_under_all_other_rules(rule, u):
    margins = np.array([0.25, -0.125])
    policy, rewards, reference = settled(margins, 0.0, 0.1, rule)
    after = []
    for times in (2, 3, 5, 9):
        told = margins.copy()
        told[u] *= times
        after.append(group_values(settled(told, 0.0, 0.1, rule)[0], rewards, reference, 0.1)[u])
    assert max(after) > group_values(policy, rewards, reference, 0.1)[u] + 1e-3


@pytest.mark.parametrize("rule", [CVaR(0.5), CVaR(0.3), ChiSquare(1.0), ChiSquare(3.0)])
def test_where_a_rule_is_max_min_it_is_safe(rule):
    margins = np.array([0.25, -0.125])
    for told in ([0.25, -0.125], [30.0, -0.125], [0.25, -30.0]):
        np.testing.assert_allclose(settled(np.array(told), 0.0, 0.1, rule)[0], [[0.5, 0.5]], atol=1e-5)
    np.testing.assert_allclose(settled(margins, 0.0, 0.1)[0], [[0.5, 0.5]], atol=1e-6)
