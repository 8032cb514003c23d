"""What chapter 2 says that disagreement is made of: in fractions, by counting, by all labellings of few people."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from maxmin_core.data import load_survey
from maxmin_core.preferences import Comparisons


@pytest.fixture(scope="module")
def functions(defined_in):
    return defined_in("02", "disagreement", "share_between")


@pytest.fixture(scope="module")
def survey():
    """Answers to the 15 pairs, (192, 15), and the respondents' table."""
    frame, respondents = load_survey()
    comparisons = Comparisons.from_frame(frame)
    table = np.zeros((comparisons.n_annotators, 6, 6))
    table[comparisons.annotator, comparisons.winner, comparisons.loser] = 1
    return table[:, *np.triu_indices(6, 1)], respondents


def population(rng, n_groups, n_pairs):
    """Shares, preferences and weights of pairs, in fractions."""
    eta, rho = (rng.integers(1, 9, size=n).tolist() for n in (n_groups, n_pairs))
    p = [[Fraction(int(k), 12) for k in rng.integers(0, 13, size=n_pairs)] for _ in range(n_groups)]
    return [Fraction(k, sum(eta)) for k in eta], p, [Fraction(k, sum(rho)) for k in rho]


def parts(eta, p, rho):
    """Within, between and mean diversity, as the proposition defines them."""
    groups, pairs = range(len(eta)), range(len(rho))
    two = [(u, k, n, eta[u] * eta[k] * rho[n]) for u in groups for k in groups for n in pairs]
    within = sum(2 * eta[u] * rho[n] * p[u][n] * (1 - p[u][n]) for u in groups for n in pairs)
    between = sum(w * (p[u][n] - p[k][n]) ** 2 for u, k, n, w in two)
    return within, between, sum(w * abs(p[u][n] - p[k][n]) for u, k, n, w in two)


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_in_fractions(seed):
    rng = np.random.default_rng(seed)
    eta, p, rho = population(rng, int(rng.integers(1, 6)), int(rng.integers(1, 4)))
    # Two people and their two answers, one by one: what differs is counted.
    differ = Fraction(0)
    for (u, a), (k, b) in itertools.product(itertools.product(range(len(eta)), (0, 1)), repeat=2):
        for n, weight in enumerate(rho):
            chances = [q[n] if answer else 1 - q[n] for q, answer in ((p[u], a), (p[k], b))]
            differ += eta[u] * eta[k] * weight * chances[0] * chances[1] * (a != b)
    within, between, diverse = parts(eta, p, rho)
    assert within + between == differ
    assert diverse**2 <= between <= diverse
    # A group divided into two halves around its mean.
    move = [min(q, 1 - q) * Fraction(int(k), 5) for q, k in zip(p[0], rng.integers(-5, 6, size=len(rho)), strict=True)]
    halves = [[q + sign * m for q, m in zip(p[0], move, strict=True)] for sign in (1, -1)]
    _, finer, more_diverse = parts([eta[0] / 2] * 2 + eta[1:], halves + p[1:], rho)
    assert finer >= between and more_diverse >= diverse


@pytest.mark.parametrize("sizes", [(2, 4), (1, 2, 3), (2, 2, 2), (1, 1, 1, 1, 1, 1)])
def test_what_lots_would_give_by_all_labellings(functions, sizes):
    answers = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0.0]])
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = [functions[1](answers, np.array(each)) for each in set(itertools.permutations(labels.tolist()))]
    np.testing.assert_allclose(np.mean(found), (len(sizes) - 1) / (len(answers) - 1), atol=1e-12)


def test_the_survey_by_counting_people(functions, survey):
    answers, respondents = survey
    member = (respondents.gender == "female").to_numpy().astype(int)
    within, between, diverse, opposed = functions[0](answers, member)
    # Every two respondents, and whether they differ; of those of one group, the mean is what lies within.
    differ = answers[:, None] != answers
    np.testing.assert_allclose(within + between, differ.mean(axis=(0, 1)), atol=1e-12)
    inside = [differ[np.ix_(member == u, member == u)].mean(axis=(0, 1)) for u in (0, 1)]
    np.testing.assert_allclose(within, (member == 0).mean() * inside[0] + member.mean() * inside[1], atol=1e-12)
    women, men = answers[member == 1].mean(axis=0), answers[member == 0].mean(axis=0)
    chance = 2 * member.mean() * (1 - member.mean())
    np.testing.assert_allclose(diverse, chance * np.abs(women - men).mean(), atol=1e-12)
    sides = np.sign(women - 0.5) * np.sign(men - 0.5) < 0
    np.testing.assert_allclose(opposed, chance * (np.abs(women - men) * sides).mean(), atol=1e-12)


def test_everybody_alone_differs_between_groups(functions, survey):
    within, *_, diverse, opposed = functions[0](survey[0], np.arange(192))
    np.testing.assert_allclose(within, 0, atol=1e-12)
    np.testing.assert_allclose(diverse, opposed, atol=1e-12)
