"""Bradley-Terry rewards from comparisons, populations of groups, and how diverse two groups are."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from .comparisons import Comparisons
from .logistic import fit_logistic, rank
from .validation import as_distribution, as_float, as_index

__all__ = [
    "Comparisons",
    "Population",
    "annotator_agreement",
    "annotator_log_likelihood",
    "bradley_terry",
    "diversity",
    "fit_bradley_terry",
    "population_mle",
    "simulate_comparisons",
]


@dataclass(frozen=True, eq=False)
class Population:
    """Hold groups of annotators: shares eta(u) and Bradley-Terry parameters phi_u.

    Attributes
    ----------
    weights : (U,) float, a distribution over groups
    parameters : (U, d) float, the reward of group u on features psi is <phi_u, psi>, in logits

    ValueError on shapes that do not fit or weights that are no distribution. Chapter 2.
    """

    weights: np.ndarray
    parameters: np.ndarray

    def __post_init__(self):
        parameters = as_float("parameters", self.parameters, ("U", "d")).copy()
        weights = as_distribution("weights", self.weights, len(parameters)).copy()
        for name, value in [("weights", weights), ("parameters", parameters)]:
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def preference(self, difference):
        """Return P(first preferred | group) = sigma(<phi_u, Dpsi>), shape (U, n), from differences (n, d)."""
        difference = as_float("difference", difference, ("n", self.parameters.shape[1]))
        return bradley_terry(self.parameters @ difference.T)

    def pooled(self, difference):
        """Return what a pooled data set samples from, p_bar = sum_u eta(u) p_u, shape (n,)."""
        return self.weights @ self.preference(difference)


def bradley_terry(margin):
    """Return the probability that the first item is preferred, 1 / (1 + exp(-margin)), stable for any margin.

    margin : float array of any shape, reward of the first item minus reward of the second, in logits. Chapter 1.
    """
    return expit(margin)


def diversity(p, q, pair_weights=None):
    """Return the total variation between two groups' preferences, E_rho |p - q|, in [0, 1].

    Parameters
    ----------
    p, q : (n,) float in [0, 1], probability that the first item of each pair is preferred
    pair_weights : (n,) float, the distribution rho over pairs; None means equal weights

    Raises
    ------
    ValueError
        On different lengths, a probability outside [0, 1], or weights that are no distribution. Chapters 1 and 2.
    """
    p = as_float("p", p, ("n",))
    q = as_float("q", q, (len(p),))
    for name, value in [("p", p), ("q", q)]:
        if ((value < 0) | (value > 1)).any():
            raise ValueError(f"{name}: expected probabilities in [0, 1], got range [{value.min()}, {value.max()}]")
    return float(as_distribution("pair_weights", pair_weights, len(p)) @ np.abs(p - q))


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
        warnings.warn(
            "comparisons: the compared pairs do not connect all items; rewards across unconnected parts are not "
            "comparable, the minimum-norm solution is returned",
            stacklevel=2,
        )
    return fit_logistic(difference, wins, losses, l2)


def population_mle(population, difference, pair_weights):
    """Return phi*, the single reward that infinitely many pooled comparisons lead to; of minimum norm.

    phi* minimises E_rho KL(p_bar || sigma(<phi, Dpsi>)), so that E_rho[(sigma(<phi*, Dpsi>) - p_bar) Dpsi] = 0.

    Parameters
    ----------
    population : Population
    difference : (n, d) float, feature differences of the compared pairs
    pair_weights : (n,) float, the distribution rho over them; None means equal weights

    Returns
    -------
    (d,) float, in logits per unit of feature

    Raises
    ------
    ValueError
        On shapes that do not fit or weights that are no distribution. Chapter 2.
    """
    difference = as_float("difference", difference, ("n", population.parameters.shape[1]))
    pair_weights = as_distribution("pair_weights", pair_weights, len(difference))
    # 1 - p_bar is computed as p_bar of the reversed pairs: it keeps its digits where p_bar rounds to one.
    wins, losses = population.pooled(difference), population.pooled(-difference)
    if min(wins.min(initial=1.0), losses.min(initial=1.0)) < 1e-250:
        raise ValueError("population: expected margins below about 570 logits, got a preference that nearly underflows")
    return fit_logistic(difference, pair_weights * wins, pair_weights * losses)


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


def simulate_comparisons(population, features, n_annotators, n_per_annotator, seed):
    """Draw comparisons by simulated annotators: a group each from eta, pairs of items at random, answers from p_u.

    Parameters
    ----------
    population : Population
    features : (n_items, d) float
    n_annotators : int, at least 1
    n_per_annotator : int, or (n_annotators,) int, comparisons per annotator
    seed : int or numpy.random.Generator

    Returns
    -------
    (Comparisons, (n_annotators,) int: the group of each annotator)

    Raises
    ------
    ValueError
        On fewer than two items, no annotators, no comparisons, or shapes that do not fit. Chapter 4.
    """
    features = as_float("features", features, ("n_items", population.parameters.shape[1]))
    if len(features) < 2:
        raise ValueError(f"features: expected at least two items, got {len(features)}")
    if not isinstance(n_annotators, int | np.integer) or n_annotators < 1:
        raise ValueError(f"n_annotators: expected an integer of at least 1, got {n_annotators!r}")
    counts = np.asarray(n_per_annotator)
    counts = as_index(
        "n_per_annotator", np.full(n_annotators, counts) if counts.ndim == 0 else counts, None, n_annotators
    )
    rng = np.random.default_rng(seed)
    group = rng.choice(len(population.weights), size=n_annotators, p=population.weights)
    annotator = np.repeat(np.arange(n_annotators), counts)
    first = rng.integers(len(features), size=len(annotator))
    second = (first + rng.integers(1, len(features), size=len(annotator))) % len(features)
    rewards = features @ population.parameters.T
    of = group[annotator]
    first_wins = rng.random(len(annotator)) < bradley_terry(rewards[first, of] - rewards[second, of])
    return (
        Comparisons(features, np.where(first_wins, first, second), np.where(first_wins, second, first), annotator),
        group,
    )


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
