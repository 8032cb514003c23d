"""Expectation-maximisation for mixtures of Bradley-Terry rewards, from many starts at once; called by `mixture`."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from .._newton import backtrack, newton_step

__all__ = ["Run", "climb", "first_step", "responsibilities", "starts"]


@dataclass
class Run:
    """R climbs: value (R,), shares (R, K), phi (R, K, r), the values of every pass, passes (R,), converged (R,)."""

    value: np.ndarray
    shares: np.ndarray
    phi: np.ndarray
    history: list
    passes: np.ndarray
    converged: np.ndarray


def climb(counts, shares, phi, assignment, max_iter, tol):
    """Climb from R starts at once; those that have converged wait for the others without costing anything."""
    hard = assignment == "hard"
    value, likelihood, down = _evaluate(counts, shares, phi, hard)
    none = np.zeros(len(phi), dtype=int)
    run = Run(value.copy(), shares.copy(), phi.copy(), [value.copy()], none, none > 0)
    going, hessian, halved = np.arange(len(phi)), None, False
    reach = np.linalg.norm(counts.z, axis=1).max()
    for iteration in range(max_iter):
        q = responsibilities(likelihood, shares, hard)
        # Where a pass is dear the curvature is kept for a while: the step need not be Newton's, only upwards.
        fresh = hessian is None or halved or len(counts.z) < 50_000 or (iteration & (iteration - 1)) == 0
        gradient, found = counts.derivatives(phi, down, q, fresh)
        hessian = found if fresh else hessian
        step = newton_step(hessian, gradient)
        length, present = (reach * np.linalg.norm(v, axis=-1, keepdims=True) for v in (step, phi))
        step = step * np.minimum(1.0, (10.0 + present) / np.maximum(length, 1e-300))
        new_shares = q.mean(axis=0)
        if hard and (new_shares == 0).any():
            step = _begin_anew(counts, likelihood, phi, step, new_shares)

        def attempt(size, shares=new_shares, phi=phi, step=step, value=value):
            moved = phi + size[:, None, None] * step
            found, likelihood, down = _evaluate(counts, shares, moved, hard)
            return (moved, found, likelihood, down), found < value - 1e-13 * np.abs(value)

        size, (new_phi, new_value, likelihood, new_down), _ = backtrack(attempt, np.ones(len(phi)))
        halved = bool((size < 1).any())
        settled = (new_value - value) <= tol * np.maximum(np.abs(value), 1.0)
        if halved:
            settled &= size > 0.4
        shares, phi, down, value = new_shares, new_phi, new_down, new_value
        run.value[going], run.shares[going], run.phi[going] = value, shares, phi
        run.history.append(run.value.copy())
        run.passes[going] = iteration + 1
        run.converged[going[settled]] = True
        if settled.all():
            break
        if settled.any():
            keep = ~settled
            columns = np.repeat(keep, phi.shape[1])
            going, shares, phi, value, hessian = going[keep], shares[keep], phi[keep], value[keep], hessian[keep]
            likelihood, down = likelihood[:, keep], down[:, columns]
    return run


def _evaluate(counts, shares, phi, hard):
    """Return the objective (R,), every annotator's log-likelihood (A, R, K) and sigma(-margin) (P, R K)."""
    likelihood, down = counts.log_likelihood(phi)
    with np.errstate(divide="ignore"):
        of_annotator = likelihood.max(axis=-1) if hard else logsumexp(likelihood + np.log(shares), axis=-1)
    ridge = np.einsum("rki,ij,rkj->r", phi, counts.penalty, phi) / 2
    return of_annotator.sum(axis=0) - ridge, likelihood, down


def responsibilities(likelihood, shares, hard):
    """Return q, (A, R, K)."""
    if hard:
        return np.eye(likelihood.shape[-1])[likelihood.argmax(axis=-1)]
    with np.errstate(divide="ignore"):
        return softmax(likelihood + np.log(shares), axis=-1)


def first_step(counts, q):
    """Return shares (R, K) and phi (R, K, r): three Newton steps from zero with the responsibilities held."""
    phi = np.zeros((*q.shape[1:], counts.z.shape[1]))
    for _ in range(3):
        _, down = counts.log_likelihood(phi)
        gradient, hessian = counts.derivatives(phi, down, q)
        # As if every group had one more comparison on every direction: a group of few annotators must not run away.
        scale = np.einsum("pi,pj->ij", counts.z, counts.z) / len(counts.z)
        phi = phi + newton_step(hessian + scale, gradient + phi @ scale)
    return q.mean(axis=0), phi


def _begin_anew(counts, likelihood, phi, step, shares):
    """Point the step of every empty group to the reward of the annotator whom the present groups explain worst."""
    worst = (likelihood.max(axis=-1) / counts.total[:, None]).argmin(axis=0)
    for run, group in np.argwhere(shares == 0):
        alone = np.zeros((len(likelihood), 1, 1))
        alone[worst[run]] = 1.0
        step[run, group] = first_step(counts, alone)[1][0, 0] - phi[run, group]
    return step


def starts(counts, n_groups, n_restarts, rng):
    """Return responsibilities (A, R, K): the first half of the restarts by k-means++ seeds, the second at random."""
    n = counts.won.shape[0]
    moment = counts.z.T @ counts.z / len(counts.z)
    values, vectors = np.linalg.eigh(moment)
    spread = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    at = counts.scores @ spread / counts.total[:, None]
    q = rng.dirichlet(np.ones(n_groups), size=(n, n_restarts))
    for restart in range((n_restarts + 1) // 2):
        distance = np.full((n, n_groups), np.inf)
        for k in range(n_groups):
            nearest = distance.min(axis=1)
            chance = nearest if k and nearest.sum() > 0 else np.ones(n)
            centre = rng.choice(n, p=chance / chance.sum())
            distance[:, k] = ((at - at[centre]) ** 2).sum(axis=1)
        q[:, restart] = 0.1 / n_groups + 0.9 * np.eye(n_groups)[distance.argmin(axis=1)]
    return q
