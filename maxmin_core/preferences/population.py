"""Populations of groups: shares and rewards, what pooling them leads to, how diverse they are, simulated annotators.

Chapters 1, 2 and 4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_distribution, as_float, as_index, is_count
from ._logistic import fit_logistic
from .comparisons import Comparisons
from .rewards import bradley_terry

__all__ = ["Population", "diversity", "match_groups", "population_mle", "simulate_comparisons"]


@dataclass(frozen=True, eq=False)
class Population:
    """Hold groups of annotators: shares eta(u) and Bradley-Terry parameters phi_u.

    Arrays are copied and cannot be written to. Two objects are equal where they are the same object.

    Attributes
    ----------
    weights : ndarray, shape (U,)
        The shares eta, which sum to one; None means equal shares.
    parameters : ndarray, shape (U, d)
        The reward of group u on features psi is ``<phi_u, psi>``, in logits.

    Raises
    ------
    ValueError
        On shapes that do not fit, numbers that are not finite, or weights that are no distribution.

    Examples
    --------
    >>> from maxmin_core import Population
    >>> population = Population([0.75, 0.25], [[1.0, 0.0], [0.0, 2.0]])
    >>> population.preference([[1.0, 0.0], [0.0, 1.0]]).round(3).tolist()
    [[0.731, 0.5], [0.5, 0.881]]
    """

    weights: NDArray[np.float64]
    parameters: NDArray[np.float64]

    def __post_init__(self) -> None:
        parameters = as_float("parameters", self.parameters, ("U", "d")).copy()
        weights = as_distribution("weights", self.weights, len(parameters)).copy()
        for name, value in [("weights", weights), ("parameters", parameters)]:
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def preference(self, difference: ArrayLike) -> NDArray[np.float64]:
        """Return every group's preferences, ``p_u = sigma(<phi_u, Dpsi>)``.

        Parameters
        ----------
        difference : array_like, shape (n, d)
            Features of the first item of every pair minus features of the second.

        Returns
        -------
        ndarray, shape (U, n)
            The probability that a member of the group prefers the first.

        Raises
        ------
        ValueError
            On differences of another dimension, or not finite.

        Examples
        --------
        >>> Population([1.0], [[2.0]]).preference([[0.5], [-0.5]]).round(3).tolist()
        [[0.731, 0.269]]
        """
        difference = as_float("difference", difference, ("n", self.parameters.shape[1]))
        return bradley_terry(self.parameters @ difference.T)

    def pooled(self, difference: ArrayLike) -> NDArray[np.float64]:
        """Return what a pooled data set samples from, ``p_bar = sum_u eta(u) p_u``.

        Parameters
        ----------
        difference : array_like, shape (n, d)
            Features of the first item of every pair minus features of the second.

        Returns
        -------
        ndarray, shape (n,)
            The probability that somebody drawn from the population prefers the first.

        Raises
        ------
        ValueError
            On differences of another dimension, or not finite.

        Examples
        --------
        >>> Population([0.75, 0.25], [[1.0], [-1.0]]).pooled([[1.0]]).round(3).tolist()
        [0.616]
        """
        return self.weights @ self.preference(difference)


def population_mle(
    population: Population, difference: ArrayLike, pair_weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return phi*, the single reward that infinitely many pooled comparisons lead to; of minimum norm.

    phi* minimises ``E_rho KL(p_bar || sigma(<phi, Dpsi>))``, so that
    ``E_rho[(sigma(<phi*, Dpsi>) - p_bar) Dpsi] = 0``.

    Parameters
    ----------
    population : Population
        The groups whose comparisons are pooled.
    difference : array_like, shape (n, d)
        Feature differences of the compared pairs, first minus second.
    pair_weights : array_like, shape (n,), optional
        The distribution rho over pairs; without it all weigh the same.

    Returns
    -------
    ndarray, shape (d,)
        phi*, in logits per unit of feature.

    Raises
    ------
    ValueError
        On shapes that do not fit, weights that are no distribution, or margins so large (about 570 logits) that a
        preference underflows.

    Examples
    --------
    Three of four people prefer the first item by one logit, the fourth the second.

    >>> import numpy as np
    >>> from maxmin_core.preferences import Population, population_mle
    >>> population = Population([0.75, 0.25], [[1.0], [-1.0]])
    >>> float(population_mle(population, [[1.0]]).round(4)[0])
    0.4706
    """
    difference = as_float("difference", difference, ("n", population.parameters.shape[1]))
    pair_weights = as_distribution("pair_weights", pair_weights, len(difference))
    # 1 - p_bar is computed as p_bar of the reversed pairs: it keeps its digits where p_bar rounds to one.
    wins, losses = population.pooled(difference), population.pooled(-difference)
    if min(wins.min(initial=1.0), losses.min(initial=1.0)) < 1e-250:
        raise ValueError("population: expected margins below about 570 logits, got a preference that nearly underflows")
    return fit_logistic(difference, pair_weights * wins, pair_weights * losses)


def diversity(p: ArrayLike, q: ArrayLike, pair_weights: ArrayLike | None = None) -> float:
    """Return the total variation between two groups' preferences, ``E_rho |p - q|``, in [0, 1].

    Parameters
    ----------
    p : array_like, shape (n,)
        The probability that the first item of each pair is preferred in one group.
    q : array_like, shape (n,)
        The same in the other group.
    pair_weights : array_like, shape (n,), optional
        The distribution rho over pairs; without it all weigh the same.

    Returns
    -------
    float
        Zero where the groups prefer alike, one where they are opposed and certain.

    Raises
    ------
    ValueError
        On different lengths, a probability outside [0, 1], or weights that are no distribution.

    Examples
    --------
    >>> from maxmin_core import diversity
    >>> round(diversity([0.9, 0.5], [0.2, 0.6]), 3)
    0.4
    """
    p = as_float("p", p, ("n",))
    q = as_float("q", q, (len(p),))
    for name, value in [("p", p), ("q", q)]:
        if ((value < 0) | (value > 1)).any():
            raise ValueError(f"{name}: expected probabilities in [0, 1], got range [{value.min()}, {value.max()}]")
    return float(as_distribution("pair_weights", pair_weights, len(p)) @ np.abs(p - q))


def match_groups(known: ArrayLike, learned: ArrayLike) -> NDArray[np.int64]:
    """Return for every known group the learned group that stands for it: groups of a fit have no names.

    No learned group stands for two, and the sum of squared distances ``sum_u ||known_u - learned_m(u)||^2`` is as small
    as it can be (linear assignment). Rows may be rewards, or who belongs to a group (one number a person): with zeros
    and ones, the assignment that puts most people right.

    Parameters
    ----------
    known : array_like, shape (U, d)
        One row a group.
    learned : array_like, shape (K, d)
        One row a group in the same coordinates, K at least U.

    Returns
    -------
    ndarray of int, shape (U,)
        ``learned[match_groups(known, learned)]`` is in the order of the known groups.

    Raises
    ------
    ValueError
        On rows of different lengths, numbers that are not finite, or fewer learned groups than known ones.

    References
    ----------
    Kuhn (1955). The Hungarian method for the assignment problem. Naval Research Logistics Quarterly 2.

    Examples
    --------
    >>> match_groups([[1.0, -1.0], [0.0, 0.0]], [[0.1, -0.1], [0.9, -1.2]]).tolist()
    [1, 0]
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    known = as_float("known", known, ("U", "d"))
    learned = as_float("learned", learned, ("K", known.shape[1]))
    if len(learned) < len(known):
        raise ValueError(f"learned: expected at least {len(known)} groups, as many as are known, got {len(learned)}")
    apart = ((known[:, None] - learned) ** 2).sum(axis=2)
    return linear_sum_assignment(apart)[1]


def simulate_comparisons(
    population: Population,
    features: ArrayLike,
    n_annotators: int,
    n_per_annotator: int | ArrayLike,
    seed: int | np.random.Generator,
) -> tuple[Comparisons, NDArray[np.int64]]:
    """Draw comparisons by simulated annotators: a group each from eta, pairs of items at random, answers from p_u.

    Parameters
    ----------
    population : Population
        Shares and rewards of the groups.
    features : array_like, shape (n_items, d)
        Features of at least two items.
    n_annotators : int
        The number of annotators, at least 1.
    n_per_annotator : int or array_like of int, shape (n_annotators,)
        Comparisons by each of them, the same number or one for each.
    seed : int or numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    comparisons : Comparisons
        Their answers.
    group : ndarray of int, shape (n_annotators,)
        The group of every annotator, which no learner sees.

    Raises
    ------
    ValueError
        On fewer than two items, no annotators, no comparisons, or shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Population, simulate_comparisons
    >>> population = Population([0.5, 0.5], [[3.0, 0.0], [0.0, 3.0]])
    >>> comparisons, group = simulate_comparisons(population, np.eye(2), 4, 2, seed=0)
    >>> len(comparisons), group.shape
    (8, (4,))
    """
    features = as_float("features", features, ("n_items", population.parameters.shape[1]))
    if len(features) < 2:
        raise ValueError(f"features: expected at least two items, got {len(features)}")
    if not is_count(n_annotators):
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
