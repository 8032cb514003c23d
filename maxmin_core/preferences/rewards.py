"""Bradley-Terry rewards: fitted to comparisons, and how well they explain each annotator."""

import numpy as np
from scipy.special import expit, log_expit

from .._validation import as_float
from .._warnings import warn
from ._logistic import fit_logistic, rank

__all__ = ["annotator_agreement", "annotator_log_likelihood", "bradley_terry", "fit_bradley_terry"]


def bradley_terry(margin):
    """Return the probability that the first item is preferred, 1 / (1 + exp(-margin)), stable for any margin.

    margin : float array of any shape, reward of the first item minus reward of the second, in logits. Chapter 1.
    """
    return expit(margin)


def fit_bradley_terry(comparisons, *, sample_weight=None, l2=0.0):
    """Return the Bradley-Terry parameter of maximum likelihood and, where that is not unique, of minimum norm.

    Maximises sum_i w_i log sigma(<phi, Dpsi_i>) - (l2 / 2) ||phi||^2 by Newton's method.

    Parameters
    ----------
    comparisons : Comparisons
    sample_weight : (n,) float, non-negative; None means one each
    l2 : float, at least 0; the strength of the ridge penalty on the summed log-likelihood

    Returns
    -------
    (d,) float, in logits per unit of feature

    Raises
    ------
    ValueError
        On bad weights, a negative l2, or separable data without l2: the likelihood then has no finite maximum.

    Warns when the compared pairs do not tie all items together: contrasts across the parts are then set by the
    minimum norm, not by data. Source: Zermelo (1929), Bradley and Terry (1952), Ford (1957). Chapter 1.
    """
    l2 = float(as_float("l2", l2, ()))
    if l2 < 0:
        raise ValueError(f"l2: expected a number of at least 0, got {l2}")
    n = len(comparisons)
    weight = np.ones(n) if sample_weight is None else as_float("sample_weight", sample_weight, (n,))
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError(
            f"sample_weight: expected non-negative weights, one above 0, got range [{weight.min()}, {weight.max()}]"
        )
    difference, wins, losses = _by_pair(comparisons, weight)
    centred = comparisons.features - comparisons.features.mean(axis=0)
    if rank(difference) < rank(centred):
        warn(
            "comparisons: the compared pairs do not connect all items; rewards across unconnected parts are not "
            "comparable, the minimum-norm solution is returned",
            UserWarning,
        )
    return fit_logistic(difference, wins, losses, l2)


def annotator_log_likelihood(parameters, comparisons):
    """Return each annotator's log-likelihood, sum_j log sigma(<phi, Dpsi_ij>) over their comparisons j.

    Parameters
    ----------
    parameters : (d,) or (U, d) float
    comparisons : Comparisons

    Returns
    -------
    (n_annotators,) or (U, n_annotators) float, in nats

    Raises
    ------
    ValueError
        On parameters of the wrong shape or not finite. Chapter 4.
    """
    return _sum_by_annotator(parameters, comparisons, log_expit)


def annotator_agreement(parameters, comparisons):
    """Return the share of each annotator's comparisons whose winner has the higher reward; equal rewards count half.

    Parameters
    ----------
    parameters : (d,) or (U, d) float
    comparisons : Comparisons

    Returns
    -------
    (n_annotators,) or (U, n_annotators) float in [0, 1]; NaN for an annotator without comparisons

    Raises
    ------
    ValueError
        On parameters of the wrong shape or not finite. Chapter 1.
    """
    agreed = _sum_by_annotator(parameters, comparisons, lambda margin: np.heaviside(margin, 0.5))
    count = np.bincount(comparisons.annotator, minlength=comparisons.n_annotators)
    return np.divide(agreed, count, out=np.full_like(agreed, np.nan), where=count > 0)


def _sum_by_annotator(parameters, comparisons, score):
    """Sum score(margin) over each annotator's comparisons, for one parameter or for every row of several."""
    d = comparisons.features.shape[1]
    shape = (d,) if np.ndim(parameters) == 1 else ("U", d)
    parameters = as_float("parameters", parameters, shape)
    if parameters.ndim == 2:
        # One group at a time keeps the memory at n, not U n.
        return np.array([_sum_by_annotator(row, comparisons, score) for row in parameters])
    rewards = comparisons.features @ parameters
    margin = rewards[comparisons.winner] - rewards[comparisons.loser]
    return np.bincount(comparisons.annotator, weights=score(margin), minlength=comparisons.n_annotators)


def _by_pair(comparisons, weight):
    """Return (difference, wins, losses): one row an unordered pair where items are few, else one a comparison."""
    n_items = comparisons.n_items
    if n_items**2 > len(comparisons):
        kept = weight > 0
        difference = comparisons.difference if kept.all() else comparisons.difference[kept]
        return difference, weight[kept], None
    key = comparisons.winner * n_items + comparisons.loser
    table = np.bincount(key, weights=weight, minlength=n_items**2).reshape(n_items, n_items)
    first, second = np.nonzero(np.triu(table + table.T, 1))
    return comparisons.features[first] - comparisons.features[second], table[first, second], table[second, first]
