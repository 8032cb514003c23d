"""Mixtures of Bradley-Terry rewards, learned from comparisons and annotator ids by expectation-maximisation.

Chapter 4.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from .._validation import as_float, as_policy, is_count
from .._warnings import warn
from ._edges import counts_of, free_numbers
from ._em import climb, first_step, follow
from ._finish import finish
from ._starts import search
from .comparisons import Comparisons
from .rewards import annotator_log_likelihood

__all__ = ["MixtureFit", "fit_mixture"]


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """Hold a fitted mixture: annotator i is of group u with probability eta(u), and prefers by p_u.

    Groups have no names: they are listed by falling share; `match_groups` puts them in the order of known ones.

    Attributes
    ----------
    weights : ndarray, shape (K,)
        The shares eta, in falling order.
    parameters : ndarray, shape (K, d)
        The rewards phi_u, in logits per unit of feature.
    responsibilities : ndarray, shape (n_annotators, K)
        The posterior probability of every group for each annotator; 0 or 1 under hard assignment.
    log_likelihood : float
        ``sum_i log sum_u eta(u) prod_j p_u(j)``, in nats, whatever the assignment; without the penalty.
    history : ndarray, shape (n_iter + 1,)
        The objective of the run that won before the first pass and after each one, on all data: the log-likelihood
        (soft) or ``sum_i max_u log L_i(phi_u)`` (hard), minus the penalty. It never falls, up to rounding.
    converged : bool
        Whether the objective has settled.
    n_iter : int
        The number of passes over all data.
    careless : ndarray, shape (n_annotators,), or None
        The posterior probability that an annotator chooses at random; None where that was not asked. Rows of
        `responsibilities` then sum to one less this.
    careless_share : float
        The share c of those who choose at random. `weights` are the shares among the others, and sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Population, fit_mixture, simulate_comparisons
    >>> population = Population([0.7, 0.3], [[2.0, 0.0, -2.0], [-2.0, 0.0, 2.0]])
    >>> comparisons, group = simulate_comparisons(population, np.eye(3), 100, 20, seed=0)
    >>> fit = fit_mixture(comparisons, 2)
    >>> bool((fit.responsibilities.argmax(axis=1) == group).mean() > 0.98), fit.converged
    (True, True)
    """

    weights: NDArray[np.float64]
    parameters: NDArray[np.float64]
    responsibilities: NDArray[np.float64]
    log_likelihood: float
    history: NDArray[np.float64]
    converged: bool
    n_iter: int
    careless: NDArray[np.float64] | None = None
    careless_share: float = 0.0

    def posterior(self, comparisons: Comparisons) -> NDArray[np.float64]:
        """Return the probability of every group for each annotator, old or new, ``eta(u) L_i(phi_u) / sum``.

        Parameters
        ----------
        comparisons : Comparisons
            Choices with the features of the fit, by annotators of any number.

        Returns
        -------
        ndarray, shape (n_annotators, K)
            Rows sum to one, or to one less the probability that somebody chooses at random; the shares where an
            annotator made no comparison.

        Raises
        ------
        ValueError
            On features of another dimension.

        Examples
        --------
        Somebody who chose twice as the first group would most likely belongs to it.

        >>> import numpy as np
        >>> from maxmin_core.preferences import Comparisons, MixtureFit
        >>> shares, rewards, none = np.array([0.5, 0.5]), np.array([[2.0, 0.0], [-2.0, 0.0]]), np.empty(0)
        >>> fit = MixtureFit(shares, rewards, none, 0.0, none, True, 1)
        >>> fit.posterior(Comparisons(np.eye(2), winner=[0, 0], loser=[1, 1], annotator=[0, 0])).round(3).tolist()
        [[0.982, 0.018]]
        """
        return softmax(self._joint(comparisons), axis=1)[:, : len(self.weights)]

    def bic(self, comparisons: Comparisons) -> float:
        """Return the Bayesian information criterion, ``-2 log L + p log n``; smaller is better.

        n is the number of annotators, and p = K r + K - 1 with r the rank of the compared differences (one more where
        some may be careless). What n counts
        is a choice: `select_n_groups` also reports the value with n comparisons.

        Parameters
        ----------
        comparisons : Comparisons
            The data of the fit.

        Returns
        -------
        float
            In nats, twice.

        Raises
        ------
        ValueError
            On features of another dimension.

        References
        ----------
        Schwarz (1978). Estimating the dimension of a model. Annals of Statistics 6(2).

        Examples
        --------
        A coin that is as fair as it looks: one reward, one free number, two annotators.

        >>> import numpy as np
        >>> from maxmin_core.preferences import Comparisons, fit_mixture
        >>> comparisons = Comparisons(np.eye(2), winner=[0, 1], loser=[1, 0], annotator=[0, 1])
        >>> round(fit_mixture(comparisons, 1).bic(comparisons), 3)  # 4 log 2 + log 2
        3.466
        """
        return self._criterion(comparisons, len(np.unique(comparisons.annotator)))

    def _criterion(self, comparisons, n):
        k = len(self.weights)
        n_parameters = k * free_numbers(comparisons) + k - 1 + (self.careless is not None)
        return float(-2 * logsumexp(self._joint(comparisons), axis=1).sum() + n_parameters * np.log(n))

    def _joint(self, comparisons):
        with np.errstate(divide="ignore"):
            joint = annotator_log_likelihood(self.parameters, comparisons).T + np.log(self.weights)
            if self.careless is None:
                return joint
            count = np.bincount(comparisons.annotator, comparisons.weight, comparisons.n_annotators)
            at_random = np.log(self.careless_share) - np.log(2) * count
            return np.column_stack([joint + np.log1p(-self.careless_share), at_random])


def fit_mixture(
    comparisons: Comparisons,
    n_groups: int,
    *,
    assignment: Literal["soft", "hard"] = "soft",
    n_restarts: int = 10,
    max_iter: int = 500,
    tol: float = 1e-8,
    l2: float = 0.0,
    seed: int | np.random.Generator = 0,
    start: ArrayLike | None = None,
    careless: bool = False,
) -> MixtureFit:
    """Fit shares eta and parameters phi_u of K groups of annotators by expectation-maximisation.

    With ``L_i(phi) = prod_j sigma(<phi, Dpsi_ij>)``, the likelihood of annotator i's choices, every pass takes ::

        E-step   soft: q_i(u) proportional to eta(u) L_i(phi_u), in the log domain
                 hard: q_i(u) = 1 for the u of largest L_i(phi_u); the shares are not used
        M-step   eta = mean of q; phi_u a safeguarded Newton step up
                 sum_i q_i(u) log L_i(phi_u) - (l2 / 2) ||phi_u||^2

    With ``careless`` there is one component more, of reward zero, for people who choose at random: its share is
    estimated, and it is no group: `weights` and `parameters` are those of the others, so that nobody who merely clicks
    is ever the worst-off.

    One step is enough for the objective never to fall: the observed-data log-likelihood (soft) or
    ``sum_i max_u log L_i(phi_u)`` (hard), both minus the penalty.

    Restarts: half begin at annotators far apart, as k-means++ does, half at random responsibilities, and the best one
    counts. On large data (more than 1,000 annotators or 20,000 comparisons) they run on a subsample of about 20,000
    comparisons under a penalty scaled to its size, together with a mixture grown from one group by splitting; the best
    few are compared on all data, and the best of these goes on to its end. From about six groups on, ten restarts can
    miss the best maximum: use more.

    A soft group that loses its annotators keeps a share near zero; a hard one is begun anew at the annotator whom the
    others explain worst, unless the penalty outweighs what that gains. Either way the fit says so when it is no better
    than a smaller mixture. It knows two kinds of those: one group, whose best reward is exact, and the fit itself
    without one of its groups. For two groups this is certain; among more, a better fit with one group less can go
    unnoticed: `select_n_groups` compares whole fits.

    Parameters
    ----------
    comparisons : Comparisons
        The choices; every annotator from 0 on makes at least one.
    n_groups : int
        K, from 1 to the number of annotators.
    assignment : {"soft", "hard"}
        Whether an annotator belongs to all groups by posterior probability, or to the likeliest one alone.
    n_restarts : int
        How many starts are tried, at least 1.
    max_iter : int
        The largest number of passes over all data, at least 1.
    tol : float
        The relative change of the objective at which to stop, at least 0.
    l2 : float
        The strength of the ridge penalty on the summed log-likelihood, at least 0.
    seed : int or numpy.random.Generator
        Where the starts and the subsample come from.
    start : array_like, shape (n_annotators, K), optional
        Responsibilities to begin with, instead of restarts; rows sum to one. With `careless` one column more, the last.
    careless : bool
        Whether some may choose at random.

    Returns
    -------
    MixtureFit
        Groups by falling share.

    Raises
    ------
    ValueError
        On K out of range, an unknown assignment, an annotator without comparisons, compared items that are all alike,
        a start whose rows are no distributions, or a bad number.

    Warns
    -----
    RuntimeWarning
        When it stops at `max_iter`; when rewards diverge because some group's choices are separable (use ``l2 > 0``);
        and when the objective is not above that of a smaller mixture.

    References
    ----------
    Dempster, Laird and Rubin (1977). Maximum likelihood from incomplete data via the EM algorithm. JRSS B 39(1).
    Lange (1995). A gradient algorithm locally equivalent to the EM algorithm. JRSS B 57(2).
    Hard assignment is Algorithm 2 of Chakraborty et al. (2024), MaxMin-RLHF.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Population, fit_mixture, simulate_comparisons
    >>> population = Population([0.75, 0.25], [[2.0, 0.0, -2.0], [-2.0, 0.0, 2.0]])
    >>> comparisons, _ = simulate_comparisons(population, np.eye(3), 200, 20, seed=0)
    >>> fit = fit_mixture(comparisons, 2)
    >>> (fit.parameters.argmax(axis=1) == population.parameters.argmax(axis=1)).tolist(), fit.converged
    ([True, True], True)
    """
    l2, tol = _check(comparisons, n_groups, assignment, n_restarts, max_iter, l2, tol)
    rng = np.random.default_rng(seed)
    counts = counts_of(comparisons, l2)
    if not counts.n_parameters:
        raise ValueError("comparisons: expected some compared items whose features differ, got none")
    idle = int(careless)
    if start is None and n_groups + idle > 1:
        best = search(comparisons, counts, n_groups, assignment, n_restarts, max_iter, tol, rng, idle)
    else:
        ones = np.ones((comparisons.n_annotators, 1))
        q = ones if start is None else _as_responsibilities(start, counts, n_groups + idle)
        shares, phi = first_step(counts, q[:, None], idle)
        run = climb(counts, shares, phi, assignment, max_iter, tol, idle)
        best = follow(counts, run, assignment, max_iter, tol, idle)
    if not best.converged:
        warn(f"fit_mixture: stopped at max_iter={max_iter} before the objective settled to {tol:g}")
    return MixtureFit(**finish(counts, best, assignment == "hard", tol, idle))


def _check(comparisons, n_groups, assignment, n_restarts, max_iter, l2, tol):
    n = comparisons.n_annotators
    if not is_count(n_groups) or n_groups > n:
        raise ValueError(f"n_groups: expected an integer from 1 to the number of annotators, {n}, got {n_groups!r}")
    if assignment not in ("soft", "hard"):
        raise ValueError(f"assignment: expected 'soft' or 'hard', got {assignment!r}")
    for name, value in (("n_restarts", n_restarts), ("max_iter", max_iter)):
        if not is_count(value):
            raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    silent = np.flatnonzero(np.bincount(comparisons.annotator, minlength=n) == 0)
    if len(silent):
        raise ValueError(f"comparisons: expected at least one of every annotator, got none by annotator {silent[0]}")
    l2, tol = float(as_float("l2", l2, ())), float(as_float("tol", tol, ()))
    for name, value in (("l2", l2), ("tol", tol)):
        if value < 0:
            raise ValueError(f"{name}: expected a number of at least 0, got {value}")
    return l2, tol


def _as_responsibilities(start, counts, n_groups):
    q = as_float("start", start, (counts.won.shape[0], n_groups))
    bad = (q < 0).any(axis=1) | (np.abs(q.sum(axis=1) - 1) > 1e-9)
    if not bad.any():
        return q
    try:
        return as_policy("start", q)  # in single precision sums are that far off
    except ValueError as error:
        row = int(np.argmax(bad))
        raise ValueError(f"start: expected rows that are distributions, got {q[row]!r:.80} in row {row}") from error
