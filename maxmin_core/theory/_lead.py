"""What diversity alone guarantees, of many instances at once: leads, and the bounds that rest on them."""

import numpy as np
from numpy.typing import NDArray

from .._precise import probability_difference
from . import _gap_bounds
from ._mismatch import Instances, between, longest, ratio

__all__ = ["leads"]


def leads(instances: Instances) -> NDArray[np.float64]:
    """Return the lead of group 0 of every instance: how much farther it is from some group than everybody else is.

    ``eps = max_j [Diversity(0, j) - max_{k != 0} Diversity(k, j)]`` over the other groups j, and zero where that is
    negative; ``Diversity(k, j) = E_rho |p_k - p_j|``. With two groups it is their diversity.

    Parameters
    ----------
    instances : Instances
        B instances; groups of share zero do not count.

    Returns
    -------
    ndarray, shape (B,)
        Probabilities, in [0, 1].

    Examples
    --------
    Groups in a line: the first is ahead of the one in the middle, which is ahead of nobody:

    >>> thirds, pair = np.full((1, 3), 1 / 3), (np.ones((1, 1, 1)), np.ones((1, 1)))
    >>> line = Instances(thirds, np.array([[[-3.0], [0.0], [3.0]]]), *pair)
    >>> middle = Instances(thirds, np.array([[[0.0], [-3.0], [3.0]]]), *pair)
    >>> leads(line).round(4), leads(middle)
    (array([0.4526]), array([0.]))
    """
    logits = instances.logits
    apart = np.abs(probability_difference(logits[:, :, None], logits[:, None, :]))
    diversity = np.einsum("bn,bkjn->bkj", instances.pair_weights, apart)
    present = instances.weights[:, 1:] > 0
    others = np.where(present[:, :, None], diversity[:, 1:, 1:], 0.0).max(axis=1, initial=0.0)
    return np.where(present, diversity[:, 0, 1:] - others, 0.0).max(axis=1, initial=0.0)


def lead_bounds(instances):
    """Return (4/R) (1 - eta(0)) eps, (B,), eps the lead of group 0: a floor where p_bar is itself Bradley-Terry."""
    return ratio(4 * _of_the_others(instances) * leads(instances), longest(instances))


def two_group_diversity_bounds(instances):
    """Return (1/R) log(1 + 4 (1 - eta(0)) Diversity / (1 + 4 Diversity)), (B,): a floor for two groups, always."""
    disagreement, _, others = between(instances)
    diversity = (instances.pair_weights * disagreement).sum(axis=-1)
    return ratio(np.log1p(4 * others * diversity / (1 + 4 * diversity)), longest(instances))


def lead_gap_bounds(instances, alignments):
    """Return (8 c / beta) (1 - eta(0))^2 eps^2, (B,), of what `pooled_alignments` returns: where realizable."""
    pulled = _of_the_others(instances) * leads(instances)
    return 8 * _gap_bounds.coverage(alignments) / alignments.beta * pulled**2


def _of_the_others(instances):
    """Return 1 - eta(0), (B,), with the digits of the other shares."""
    return instances.weights[:, 1:].sum(axis=1)
