"""Expectation-maximisation for mixtures of Bradley-Terry rewards, from many starts at once; called by `mixture`."""

from dataclasses import dataclass

import numpy as np

from .._newton import backtrack

__all__ = ["Climb", "Run", "climb", "first_step", "follow", "posterior"]


@dataclass
class Run:
    """R climbs: value (R,), shares (R, K), phi (R, K, r), the values of every pass, passes (R,), converged (R,)."""

    value: np.ndarray
    shares: np.ndarray
    phi: np.ndarray
    history: list
    passes: np.ndarray
    converged: np.ndarray


@dataclass
class Climb:
    """One climb to its end: shares (K,), phi (K, r), the values of every pass (passes + 1,), converged."""

    shares: np.ndarray
    phi: np.ndarray
    history: np.ndarray
    converged: bool


def follow(counts, run, assignment, max_iter, tol, idle=0):
    """Return the best of several climbs as a Climb, after it has gone on to its end or to max_iter passes in all."""
    best = int(np.argmax(run.value))
    passes, converged = int(run.passes[best]), bool(run.converged[best])
    history = [values[best] for values in run.history[: passes + 1]]
    if not converged and passes < max_iter:
        begin = run.shares[best][None], run.phi[best][None]
        run = climb(counts, *begin, assignment, max_iter - passes, tol, idle)
        history += [values[0] for values in run.history[1:]]
        best, converged = 0, bool(run.converged[0])
    return Climb(run.shares[best], run.phi[best], np.array(history), converged)


def climb(counts, shares, phi, assignment, max_iter, tol, idle=0):
    """Climb from R starts at once; those that have converged wait for the others without costing anything.

    The rewards of the last `idle` groups stay as they are; their shares move.
    """
    hard = assignment == "hard"
    value, likelihood, down, q = _evaluate(counts, shares, phi, hard)
    none = np.zeros(len(phi), dtype=int)
    run = Run(value.copy(), shares.copy(), phi.copy(), [value.copy()], none, none > 0)
    going, hessian, halved = np.arange(len(phi)), None, False
    dear = counts.dear
    for iteration in range(max_iter):
        # Where a pass is dear the curvature is kept for a while: the step need not be Newton's, only upwards.
        fresh = hessian is None or halved or not dear or (iteration & (iteration - 1)) == 0
        gradient, found = counts.derivatives(phi, down, q, fresh)
        hessian = found if fresh else hessian
        step = counts.step(hessian, gradient)
        _still(step, idle)
        length, present = (counts.reach * np.linalg.norm(v, axis=-1, keepdims=True) for v in (step, phi))
        step = step * np.minimum(1.0, (10.0 + present) / np.maximum(length, 1e-300))
        new_shares = q.mean(axis=0)
        if hard and (new_shares == 0).any():
            step = _begin_anew(counts, likelihood, phi, step, new_shares)
            _still(step, idle)

        def attempt(size, shares=new_shares, phi=phi, step=step, value=value):
            moved = phi + size[:, None, None] * step
            found, *rest = _evaluate(counts, shares, moved, hard)
            return (moved, found, rest), found < value - 1e-13 * np.abs(value)

        size, (new_phi, new_value, (likelihood, down, q)), _ = backtrack(attempt, np.ones(len(phi)))
        halved = bool((size < 1).any())
        settled = (new_value - value) <= tol * np.maximum(np.abs(value), 1.0)
        if halved:
            settled &= size > 0.4
        shares, phi, value = new_shares, new_phi, new_value
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
            likelihood, q, down = likelihood[:, keep], q[:, keep], down[:, columns]
    return run


def _still(phi, idle):
    """Set the rewards of the last `idle` groups to zero."""
    phi[..., phi.shape[-2] - idle :, :] = 0.0


def _evaluate(counts, shares, phi, hard):
    """Return the objective (R,), log-likelihoods by annotator (A, R, K), sigma(-margin) (P, R K), q (A, R, K)."""
    likelihood, down = counts.log_likelihood(phi)
    of_annotator, q = posterior(likelihood, shares, hard)
    return of_annotator.sum(axis=0) - counts.ridge(phi).sum(axis=1), likelihood, down, q


def posterior(likelihood, shares, hard):
    """Return every annotator's term of the objective, (A, R), and the responsibilities q, (A, R, K).

    The same digits as `logsumexp` and `softmax` of scipy, in a third of their time.
    """
    if hard:
        return likelihood.max(axis=-1), np.eye(likelihood.shape[-1])[likelihood.argmax(axis=-1)]
    with np.errstate(divide="ignore"):
        joint = likelihood + np.log(shares)
    peak = _along_groups(np.maximum, joint)
    joint -= peak[..., None]
    largest = joint == 0
    q = np.exp(joint, out=joint)
    n_largest = _along_groups(np.add, largest.astype(float))
    rest = _along_groups(np.add, np.where(largest, 0.0, q))
    q /= _along_groups(np.add, q)[..., None]
    return np.log1p(rest / n_largest) + np.log(n_largest) + peak, q


def _along_groups(operation, values):
    """Reduce the last axis, group by group where it is short: numpy is slow at that."""
    if values.shape[-1] >= 8:
        return operation.reduce(values, axis=-1)
    found = values[..., 0].copy()
    for k in range(1, values.shape[-1]):
        operation(found, values[..., k], out=found)
    return found


def first_step(counts, q, idle=0):
    """Return shares (R, K) and phi (R, K, r): three Newton steps from zero with the responsibilities held."""
    phi = np.zeros((*q.shape[1:], counts.n_parameters))
    for _ in range(3):
        _, down = counts.log_likelihood(phi)
        gradient, hessian = counts.derivatives(phi, down, q)
        # Damped: a group of few annotators must not run away.
        phi = phi + counts.damped_step(phi, hessian, gradient)
        _still(phi, idle)
    return q.mean(axis=0), phi


def _begin_anew(counts, likelihood, phi, step, shares):
    """Point the step of every empty group to the reward of the annotator whom the present groups explain worst."""
    worst = (likelihood.max(axis=-1) / counts.total[:, None]).argmin(axis=0)
    for run, group in np.argwhere(shares == 0):
        alone = np.zeros((len(likelihood), 1, 1))
        alone[worst[run]] = 1.0
        step[run, group] = first_step(counts, alone)[1][0, 0] - phi[run, group]
    return step
