"""What chapter 1 says of the survey, by other routes than the chapter's."""

import itertools

import choix
import numpy as np
import pytest
from scipy import stats

from maxmin_core.data import load_survey
from maxmin_core.preferences import Comparisons, bradley_terry, fit_bradley_terry


@pytest.fixture(scope="module")
def comparisons():
    return Comparisons.from_frame(load_survey()[0])


@pytest.fixture(scope="module")
def won(comparisons):
    """won[i, y, z]: whether person i chose y over z."""
    table = np.zeros((comparisons.n_annotators, comparisons.n_items, comparisons.n_items))
    table[comparisons.annotator, comparisons.winner, comparisons.loser] = 1
    return table


def best_ranking(table):
    """Choices that the best ranking of one person gets right, by dynamic programming over sets of items at the top."""
    n = len(table)
    best = {frozenset(): 0}
    for size in range(1, n + 1):
        for top in map(frozenset, itertools.combinations(range(n), size)):
            best[top] = max(best[top - {last}] + sum(table[y][last] for y in top - {last}) for last in top)
    return best[frozenset(range(n))]


def test_the_misfit_of_one_reward_by_another_library(comparisons, won):
    # Both cells of every pair, expected counts from choix, the statistic from scipy; 15 shares less 5 contrasts.
    shares, counts = choix.opt_pairwise(6, list(zip(comparisons.winner, comparisons.loser, strict=True))), won.sum(0)
    expected = 192 / (1 + np.exp(shares[None, :] - shares[:, None]))
    cells = ~np.eye(6, dtype=bool)
    statistic = stats.power_divergence(counts[cells], expected[cells], ddof=30 - 1 - 10)
    np.testing.assert_allclose(statistic.statistic, 24.4007, atol=1e-3)
    np.testing.assert_allclose(statistic.pvalue, 0.0066, atol=1e-4)


def test_the_chi_square_has_ten_degrees_of_freedom(comparisons):
    # Its mean over simulated surveys with independent answers: 10, within four standard errors.
    reward, rng = fit_bradley_terry(comparisons), np.random.default_rng(0)
    first, second = np.triu_indices(6, 1)
    p = bradley_terry(reward[first] - reward[second])
    both = Comparisons(np.eye(6), np.r_[first, second], np.r_[second, first], np.zeros(30, dtype=int))
    found = []
    for _ in range(300):
        k = rng.binomial(192, p)
        phi = fit_bradley_terry(both, sample_weight=np.r_[k, 192 - k])
        q = bradley_terry(phi[first] - phi[second])
        found.append(((k - 192 * q) ** 2 / (192 * q * (1 - q))).sum())
    assert abs(np.mean(found) - 10) < 4 * np.sqrt(20 / 300)


def test_own_rankings_and_their_null_by_dynamic_programming(comparisons, won):
    own = np.mean([best_ranking(person) for person in won.astype(int).tolist()]) / 15
    np.testing.assert_allclose(own, 0.98681, atol=1e-5)
    # Where everybody has the one noisy reward, own rankings are right about 88.6% all the same.
    reward, rng = fit_bradley_terry(comparisons), np.random.default_rng(1)
    upper = np.triu(rng.random((400, 6, 6)) < bradley_terry(reward[:, None] - reward[None, :]), 1)
    noisy = upper + np.tril(1 - upper.swapaxes(1, 2), -1)
    null = np.array([best_ranking(person) for person in noisy.astype(int).tolist()]) / 15
    assert abs(null.mean() - 0.886) < 4 * null.std() / np.sqrt(len(null))
    assert own - null.mean() > 0.08
