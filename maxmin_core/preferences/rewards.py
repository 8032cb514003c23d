"""Bradley-Terry rewards: fitted to comparisons, and how well they explain each annotator.

Chapters 1 and 4.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit

from .._validation import as_float
from .._warnings import warn
from ._graph import Edges, refuse_separable
from ._logistic import OfEdges, climb, fit_logistic, rank
from .comparisons import Comparisons

# Up to so many items without features a dense matrix of pairs is as fast as the graph.
_FEW_ITEMS = 32

__all__ = ["annotator_agreement", "annotator_log_likelihood", "bradley_terry", "fit_bradley_terry"]


def bradley_terry(margin: ArrayLike) -> NDArray[np.float64]:
    """Return the probability that the first item is preferred, ``1 / (1 + exp(-margin))``, stable for any margin.

    Parameters
    ----------
    margin : array_like, any shape
        Reward of the first item minus reward of the second, in logits.

    Returns
    -------
    ndarray, shape of `margin`
        Probabilities.

    References
    ----------
    Bradley and Terry (1952). Rank analysis of incomplete block designs. Biometrika 39.

    Examples
    --------
    >>> from maxmin_core import bradley_terry
    >>> bradley_terry([0.0, 1.0, -1000.0]).round(3).tolist()
    [0.5, 0.731, 0.0]
    """
    return expit(margin)


def fit_bradley_terry(
    comparisons: Comparisons, *, sample_weight: ArrayLike | None = None, l2: float = 0.0
) -> NDArray[np.float64]:
    """Return the Bradley-Terry parameter of maximum likelihood and, where that is not unique, of minimum norm.

    It maximises, by Newton's method, ::

        sum_i w_i log sigma(<phi, psi(winner_i) - psi(loser_i)>) - (l2 / 2) ||phi||^2

    Items without features may be many: their rewards are found on the graph of compared pairs, without a matrix of
    comparisons by items, and so is whether all rewards are finite.

    Parameters
    ----------
    comparisons : Comparisons
        The choices to explain; each counts its own weight.
    sample_weight : array_like, shape (n,), optional
        A further weight of every comparison, non-negative, one above zero; w is the product.
    l2 : float
        The strength of the ridge penalty on the summed log-likelihood, at least 0.

    Returns
    -------
    ndarray, shape (d,)
        phi, in logits per unit of feature.

    Raises
    ------
    ValueError
        On bad weights, a negative l2, or separable data without l2: some direction of the reward then contradicts no
        choice, and the likelihood has no finite maximum. Names an item that was always chosen, or never, where items
        have no features.

    Warns
    -----
    UserWarning
        When the compared pairs do not connect all items: contrasts between unconnected parts are then set by the
        minimum norm, not by the data. Names an item of the smallest part, where items have no features.
    RuntimeWarning
        When Newton's method does not settle.

    References
    ----------
    Zermelo (1929). Die Berechnung der Turnier-Ergebnisse. Mathematische Zeitschrift 29.
    Ford (1957). Solution of a ranking problem from binary comparisons. American Mathematical Monthly 64.

    Examples
    --------
    Item 0 wins three of its four comparisons with item 1: the difference of their rewards is log 3.

    >>> import numpy as np
    >>> from maxmin_core import Comparisons, fit_bradley_terry
    >>> comparisons = Comparisons(np.eye(2), winner=[0, 0, 0, 1], loser=[1, 1, 1, 0], annotator=[0, 1, 2, 3])
    >>> phi = fit_bradley_terry(comparisons)
    >>> np.exp(phi[0] - phi[1]).round(6).tolist()
    3.0
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
    weight = weight * comparisons.weight
    if comparisons.one_hot:
        return _fit_items(comparisons, weight, l2)
    difference, wins, losses = _by_pair(comparisons, weight)
    features = np.asarray(comparisons.features)
    if rank(difference) < rank(features - features.mean(axis=0)):
        _warn_unconnected("")
    return fit_logistic(difference, wins, losses, l2)


def _fit_items(comparisons, weight, l2):
    """Fit one reward an item; which parts are connected, and whether all is finite, the graph of choices says."""
    first, second, wins, losses = _pairs(comparisons, weight)
    edges = Edges(comparisons.n_items, first, second)
    size = np.bincount(edges.component)
    if len(size) > 1:
        part = np.flatnonzero(edges.component == size.argmin())
        others = f" with {len(part) - 1} others" if len(part) > 1 else ""
        _warn_unconnected(f" ({len(size)} parts, the smallest is {comparisons.items[part[0]]!r}{others})")
    if l2 == 0:
        refuse_separable(comparisons, weight > 0)
    if comparisons.n_items <= _FEW_ITEMS:
        return fit_logistic(comparisons.features[first] - comparisons.features[second], wins, losses, l2)
    phi = climb(OfEdges(edges, wins, losses, l2), wins, losses)
    return edges.centred(phi)


def _warn_unconnected(which):
    warn(
        f"comparisons: the compared pairs do not connect all items{which}; rewards across unconnected parts are not "
        "comparable, the minimum-norm solution is returned",
        UserWarning,
    )


def annotator_log_likelihood(parameters: ArrayLike, comparisons: Comparisons) -> NDArray[np.float64]:
    """Return each annotator's log-likelihood, ``sum_j w_ij log sigma(<phi, Dpsi_ij>)`` over their comparisons j.

    Parameters
    ----------
    parameters : array_like, shape (d,) or (U, d)
        One reward or several, in logits per unit of feature.
    comparisons : Comparisons
        The choices, with d features.

    Returns
    -------
    ndarray, shape (n_annotators,) or (U, n_annotators)
        Log-likelihoods in nats; 0 for an annotator without comparisons.

    Raises
    ------
    ValueError
        On parameters of the wrong shape or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Comparisons
    >>> from maxmin_core.preferences import annotator_log_likelihood
    >>> comparisons = Comparisons(np.eye(2), winner=[0, 0, 1], loser=[1, 1, 0], annotator=[0, 0, 1])
    >>> annotator_log_likelihood([np.log(3), 0.0], comparisons).round(3).tolist()  # 2 log 0.75 and log 0.25
    [-0.575, -1.386]
    """
    return _sum_by_annotator(parameters, comparisons, log_expit)


def annotator_agreement(parameters: ArrayLike, comparisons: Comparisons) -> NDArray[np.float64]:
    """Return the share of each annotator's comparisons whose winner has the higher reward; equal rewards count half.

    Each comparison counts its weight.

    Parameters
    ----------
    parameters : array_like, shape (d,) or (U, d)
        One reward or several, in logits per unit of feature.
    comparisons : Comparisons
        The choices, with d features.

    Returns
    -------
    ndarray, shape (n_annotators,) or (U, n_annotators)
        Shares in [0, 1]; NaN for an annotator without comparisons.

    Raises
    ------
    ValueError
        On parameters of the wrong shape or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Comparisons
    >>> from maxmin_core.preferences import annotator_agreement
    >>> comparisons = Comparisons(np.eye(2), winner=[0, 0, 1], loser=[1, 1, 0], annotator=[0, 0, 0])
    >>> annotator_agreement([1.0, 0.0], comparisons).round(3).tolist()
    [0.667]
    """
    agreed = _sum_by_annotator(parameters, comparisons, lambda margin: np.heaviside(margin, 0.5))
    count = np.bincount(comparisons.annotator, weights=comparisons.weight, minlength=comparisons.n_annotators)
    return np.divide(agreed, count, out=np.full_like(agreed, np.nan), where=count > 0)


def _sum_by_annotator(parameters, comparisons, score):
    """Sum w score(margin) over each annotator's comparisons, for one parameter or for every row of several."""
    d = comparisons.features.shape[1]
    shape = (d,) if np.ndim(parameters) == 1 else ("U", d)
    parameters = as_float("parameters", parameters, shape)
    if parameters.ndim == 2:
        # One group at a time keeps the memory at n, not U n.
        return np.array([_sum_by_annotator(row, comparisons, score) for row in parameters])
    rewards = comparisons.features @ parameters
    margin = rewards[comparisons.winner] - rewards[comparisons.loser]
    return np.bincount(
        comparisons.annotator, weights=comparisons.weight * score(margin), minlength=comparisons.n_annotators
    )


def _by_pair(comparisons, weight):
    """Return (difference, wins, losses): one row an unordered pair where items are few, else one a comparison."""
    if comparisons.n_items**2 > len(comparisons):
        kept = weight > 0
        difference = comparisons.difference if kept.all() else comparisons.difference[kept]
        return difference, weight[kept], None
    first, second, wins, losses = _pairs(comparisons, weight)
    return comparisons.features[first] - comparisons.features[second], wins, losses


def _pairs(comparisons, weight):
    """Return every unordered pair that was compared, its items in order, and the weight of choices for each of them."""
    n_items = comparisons.n_items
    if n_items**2 <= 4 * len(comparisons):
        key = comparisons.winner * n_items + comparisons.loser
        table = np.bincount(key, weights=weight, minlength=n_items**2).reshape(n_items, n_items)
        first, second = np.nonzero(np.triu(table + table.T, 1))
        return first, second, table[first, second], table[second, first]
    low, high = np.minimum(comparisons.winner, comparisons.loser), np.maximum(comparisons.winner, comparisons.loser)
    counted = weight > 0
    pairs, row = np.unique((low * n_items + high)[counted], return_inverse=True)
    won = comparisons.winner[counted] == low[counted]
    wins, losses = (
        np.bincount(row, weights=np.where(part, weight[counted], 0.0), minlength=len(pairs)) for part in (won, ~won)
    )
    return pairs // n_items, pairs % n_items, wins, losses
