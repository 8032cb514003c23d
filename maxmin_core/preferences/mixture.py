"""Mixtures of Bradley-Terry rewards, learned from comparisons and annotator ids by expectation-maximisation."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from .._newton import newton_step
from .._validation import as_float, is_count
from .._warnings import warn
from ._counts import Counts
from ._em import climb, first_step, follow, posterior
from ._logistic import rank
from ._starts import search
from .rewards import annotator_log_likelihood

__all__ = ["MixtureFit", "fit_mixture"]


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """Hold a fitted mixture: annotator i is of group u with probability eta(u), and prefers by p_u.

    Attributes
    ----------
    weights : (K,) float, shares eta, in falling order
    parameters : (K, d) float, phi_u, in logits per unit of feature
    responsibilities : (n_annotators, K) float, posterior probability of each group; 0 or 1 under hard assignment
    log_likelihood : float, sum_i log sum_u eta(u) prod_j p_u(j), in nats
    history : (n_iter + 1,) float, the objective of the run that won, on all data; but for rounding it never falls
    converged : bool; n_iter : int, passes over all data
    """

    weights: np.ndarray
    parameters: np.ndarray
    responsibilities: np.ndarray
    log_likelihood: float
    history: np.ndarray
    converged: bool
    n_iter: int

    def posterior(self, comparisons):
        """Return the responsibilities of annotators, old or new, (n_annotators, K); the shares where one made none.

        ValueError on features of another dimension. Chapter 4.
        """
        return softmax(self._joint(comparisons), axis=1)

    def bic(self, comparisons):
        """Return -2 log L + p log n, n the number of annotators, p = K r + K - 1, r the rank of the compared pairs.

        What n counts is a choice: `select_n_groups` also reports the value with n comparisons. Chapter 4.
        """
        return self._criterion(comparisons, len(np.unique(comparisons.annotator)))

    def _criterion(self, comparisons, n):
        k = len(self.weights)
        n_parameters = k * rank(comparisons.difference) + k - 1
        return float(-2 * logsumexp(self._joint(comparisons), axis=1).sum() + n_parameters * np.log(n))

    def _joint(self, comparisons):
        with np.errstate(divide="ignore"):
            return annotator_log_likelihood(self.parameters, comparisons).T + np.log(self.weights)


def fit_mixture(
    comparisons,
    n_groups,
    *,
    assignment="soft",
    n_restarts=10,
    max_iter=500,
    tol=1e-8,
    l2=0.0,
    seed=0,
    start=None,
):
    """Fit shares eta and parameters phi_u of K groups of annotators by expectation-maximisation.

    E-step   soft: q_i(u) prop. to eta(u) prod_j sigma(<phi_u, Dpsi_ij>), in the log domain
             hard: q_i(u) = 1 for the u of largest prod_j sigma(<phi_u, Dpsi_ij>); the shares are not used
    M-step   eta = mean q; phi_u a safeguarded Newton step up sum_i q_i(u) log L_i(phi_u) - (l2 / 2) ||phi_u||^2

    One step is enough for the objective never to fall: soft the observed-data log-likelihood, hard
    sum_i max_u log L_i(phi_u), both minus the penalty. Half of the restarts begin at annotators far apart, as
    k-means++ does, half at random responsibilities; on large data they run on a subsample of annotators and the best
    goes on through all. From about six groups on ten restarts can miss the best maximum: use more. A soft group that
    loses its annotators keeps a share near zero; a hard one is begun anew at the annotator whom the others explain
    worst, unless the penalty outweighs what that gains.

    Parameters
    ----------
    comparisons : Comparisons; every annotator from 0 on makes at least one
    n_groups : int, K, from 1 to the number of annotators
    assignment : 'soft' or 'hard'
    n_restarts, max_iter : int, at least 1
    tol : float, the relative change of the objective at which to stop
    l2 : float, at least 0, the strength of the ridge penalty on the summed log-likelihood
    seed : int or numpy.random.Generator
    start : (n_annotators, K) float, responsibilities to begin with instead of restarts; rows sum to one

    Returns
    -------
    MixtureFit

    Raises
    ------
    ValueError
        On K out of range, an unknown assignment, an annotator without comparisons, or a bad number.

    Warns (RuntimeWarning) when it stops at max_iter, and when rewards diverge because some group's choices are
    separable: use l2 > 0. Source: Dempster et al. (1977), Lange (1995); hard: Algorithm 2 of the paper. Chapter 4.
    """
    l2, tol = _check(comparisons, n_groups, assignment, n_restarts, max_iter, l2, tol)
    rng = np.random.default_rng(seed)
    counts = Counts.of(comparisons, l2)
    if not counts.z.shape[1]:
        raise ValueError("comparisons: expected some compared items whose features differ, got none")
    if start is not None:
        start = as_float("start", start, (comparisons.n_annotators, n_groups))
        if (start < 0).any() or (np.abs(start.sum(axis=1) - 1) > 1e-9).any():
            row = int(np.argmax((start < 0).any(axis=1) | (np.abs(start.sum(axis=1) - 1) > 1e-9)))
            raise ValueError(f"start: expected rows that are distributions, got {start[row]!r:.80} in row {row}")
        begin = first_step(counts, start[:, None])
    elif n_groups == 1:
        begin = first_step(counts, np.ones((comparisons.n_annotators, 1, 1)))
    if start is not None or n_groups == 1:
        best = follow(counts, climb(counts, *begin, assignment, max_iter, tol), assignment, max_iter, tol)
    else:
        best = search(comparisons, counts, n_groups, assignment, n_restarts, max_iter, tol, rng)
    if not best.converged:
        warn(f"fit_mixture: stopped at max_iter={max_iter} before the objective settled to {tol:g}")
    return _finish(counts, best, assignment == "hard", tol)


def _finish(counts, best, hard, tol):
    """Return the best climb as a MixtureFit, groups by falling share; warn of what they are not."""
    shares, phi, value = best.shares, best.phi, best.history[-1]
    likelihood, down = counts.log_likelihood(phi)
    if hard:
        # The shares of the last assignment, not of the one before the last step.
        shares = posterior(likelihood, shares, True)[1].mean(axis=0)
    order = np.argsort(-shares, kind="stable")
    shares, phi, likelihood, down = shares[order], phi[order], likelihood[:, order], down[:, order]
    q = posterior(likelihood, shares, hard)[1]
    if not counts.penalty.any():
        _warn_of_divergence(counts, best.converged, shares, phi, down, q)
    if len(shares) > 1:
        fewer, n_fewer = _best_of_fewer(counts, value, likelihood, q, shares, phi, hard)
        if value <= fewer + tol * max(abs(value), 1.0):
            warn(
                f"fit_mixture: the objective (log-likelihood minus penalty) of {len(shares)} groups, {value:.3f}, is "
                f"not above that of {n_fewer}, {fewer:.3f}: some group has found nothing; expected more restarts, "
                "another seed or start, fewer groups, or a smaller l2"
            )
    return MixtureFit(
        weights=shares,
        parameters=phi @ counts.coordinates.T,
        responsibilities=q,
        log_likelihood=float(posterior(likelihood, shares, False)[0].sum()),
        history=best.history,
        converged=best.converged,
        n_iter=len(best.history) - 1,
    )


def _warn_of_divergence(counts, converged, shares, phi, down, q):
    """Warn where some reward still grows though the likelihood has become flat."""
    # On an exponential tail Newton's step is one logit long, however flat the likelihood has become.
    step = newton_step(*reversed(counts.derivatives(phi, down, q)))
    stride, reach = (np.abs(counts.z @ part[shares > 0].T).max() for part in (step, phi))
    if stride > 0.3 and (converged or reach > 30):
        warn(
            f"fit_mixture: a margin of {reach:.0f} logits and rising; the choices within some group are separable, or "
            "nearly, and its reward diverges; expected overlapping choices or l2 > 0"
        )


def _best_of_fewer(counts, value, likelihood, q, shares, phi, hard):
    """Return the objective and the number of groups of the best smaller mixture at hand.

    These are the best single reward, exact as that problem is convex, and the mixture without one of its groups, whose
    share goes to the group that explains its annotators best.
    """
    alone = climb(counts, np.ones((1, 1)), (shares @ phi)[None, None], "soft", 1, 1e-9)
    first, second = (float(values[0]) for values in alone.history)
    if second + 10 * (second - first) >= value:
        # Each step of Newton's method gains less than the one before; only here can they reach so far.
        alone = climb(counts, alone.shares, alone.phi, "soft", 100, 1e-9)
    found = [(float(alone.value[0]), 1)]
    ridge = np.einsum("ki,ij,kj->k", phi, counts.penalty, phi) / 2
    for k in range(len(shares)):
        others = np.flatnonzero(np.arange(len(shares)) != k)
        share = shares[others]
        share[np.argmax(q[:, k] @ likelihood[:, others])] += shares[k]
        without = posterior(likelihood[:, others], share, hard)[0].sum() - ridge[others].sum()
        found.append((float(without), len(share)))
    return max(found)


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
