"""How many people are careless: the interval of their share, by the profile of the likelihood.

Who tosses a coin votes much as somebody with a weak taste does. How sure the share is therefore depends on what else
could explain these votes: for every share c that is tried, the rest of the model is fitted again, and c belongs to the
95% interval where twice the log-likelihood falls by at most 3.84 (Wilks), over people. Refits to resamples of people
would start, and largely stay, at one explanation.
"""

import numpy as np
from scipy.special import logsumexp

from ._tastes import fit_tastes

__all__ = ["careless_interval"]

_FALL = 3.84
_PASSES = 8
_TRIES = 5


def careless_interval(votes, model):
    """Return the share of careless people and its 95% interval, [share, low, high]."""

    def likelihood(share):
        held = fit_tastes(votes, model.space, len(model.shares), start=model, passes=0, sampled=_PASSES, careless=share)
        return float(logsumexp(held.joint(votes, seed=0), axis=1).sum())

    share = float(model.care[0])
    least = 0.1 / votes.n_people
    most = likelihood(share)
    step = np.sqrt(share * (1 - share) / votes.n_people) + 1 / votes.n_people
    ends = []
    for side in (-1, 1):
        end = share + 2 * side * step
        for _ in range(_TRIES):
            end = float(np.clip(end, least, 1 - least))
            fall = 2 * (most - likelihood(end))
            # The root of the fall is nearly straight.
            if abs(fall - _FALL) < 0.2 or (end == least and fall < _FALL):
                break
            end = share + (end - share) * np.clip(np.sqrt(_FALL / max(fall, 0.1)), 0.4, 2.5)
        ends.append(0.0 if end <= least else min(end, 1.0))
    return [share, *ends]
