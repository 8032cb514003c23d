"""The crowd model of Chen et al. (2013): one ranking, and everybody reports it with a reliability of their own."""

import numpy as np
from scipy.special import expit

from ..preferences.comparisons import Comparisons
from ..preferences.rewards import fit_bradley_terry

__all__ = ["crowd_reliability"]

_PASSES = 15
# As if everybody had reported the ranking in 4 votes of 5 before.
_PRIOR = 4.0, 1.0


def crowd_reliability(votes):
    """Return everybody's probability of reporting the crowd's ranking the right way round, (A,), NaN without votes.

    ``P(a over b) = eta sigma(r_a - r_b) + (1 - eta) sigma(r_b - r_a)``, fitted by expectation-maximisation: the latent
    variable is whether a vote was reported the right way round. A half is a coin, 0 somebody who means the opposite.

    References
    ----------
    Chen, Bennett, Collins-Thompson and Horvitz (2013). Pairwise ranking aggregation in a crowdsourced setting. WSDM.
    """
    n = len(votes.person)
    eta = np.full(votes.n_people, _PRIOR[0] / sum(_PRIOR))
    both = Comparisons(
        votes.features,
        np.concatenate([votes.winner, votes.loser]),
        np.concatenate([votes.loser, votes.winner]),
        np.zeros(2 * n, dtype=int),
        weight=np.concatenate([votes.weight, votes.weight]),
    )
    right = np.full(n, eta[0]) if n else np.empty(0)
    for _ in range(_PASSES):
        reward = votes.features @ fit_bradley_terry(
            both, sample_weight=np.concatenate([right, 1 - right]).clip(1e-9), l2=1.0
        )
        p = expit(reward[votes.winner] - reward[votes.loser])
        of = eta[votes.person]
        right = of * p / (of * p + (1 - of) * (1 - p))
        good = np.bincount(votes.person, votes.weight * right, votes.n_people)
        eta = (good + _PRIOR[0]) / (votes.count + sum(_PRIOR))
    return np.where(votes.count > 0, eta, np.nan)
