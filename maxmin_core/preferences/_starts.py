"""Where EM begins, and which of many beginnings is followed to the end; called by `mixture`."""

import numpy as np
from scipy.linalg import eigh

from ._counts import Counts
from ._em import climb, first_step, follow, posterior

__all__ = ["search", "starts"]

# Up to this size every restart is followed to the end, on all data.
_SMALL_ANNOTATORS, _SMALL_COMPARISONS = 1000, 20_000
# Above it the restarts take so many passes on about so many comparisons, then the best few a few passes on all data.
_PASSES, _FINALISTS, _FEW, _GROWING = 30, 3, 10, 3


def search(comparisons, counts, n_groups, assignment, n_restarts, max_iter, tol, rng):
    """Return the best climb of several restarts.

    On large data they climb on a subsample, under a penalty scaled to its size, together with the mixture that `_grow`
    finds there. A start that learns nothing can be ahead of one that is about to find the groups, and a subsample
    misleads: the best few are compared on all data.
    """
    n = comparisons.n_annotators
    if n <= _SMALL_ANNOTATORS and len(comparisons) <= _SMALL_COMPARISONS:
        begin = first_step(counts, starts(counts, n_groups, n_restarts, rng))
        return follow(counts, climb(counts, *begin, assignment, max_iter, tol), assignment, max_iter, tol)
    sample = counts
    size = max(int(n * min(1.0, _SMALL_COMPARISONS / len(comparisons))), min(n, 25 * n_groups))
    if size < n:
        part = comparisons.take(np.sort(rng.choice(n, size=size, replace=False)))
        sample = Counts.of(part, counts.l2 * len(part) / len(comparisons))
    drawn = first_step(sample, starts(sample, n_groups, n_restarts, rng))
    grown = _grow(sample, n_groups, assignment)
    begin = (np.concatenate(both) for both in zip(drawn, grown, strict=True))
    run = climb(sample, *begin, assignment, _PASSES, max(tol, 1e-6))
    best = _finalists(run)
    phi = run.phi[best] @ (np.linalg.pinv(counts.coordinates) @ sample.coordinates).T
    run = climb(counts, run.shares[best], phi, assignment, min(_FEW, max_iter), tol)
    return follow(counts, run, assignment, max_iter, tol)


def starts(counts, n_groups, n_restarts, rng):
    """Return responsibilities (A, R, K): the first half of the restarts by k-means++ seeds, the second at random."""
    n = counts.won.shape[0]
    moment = counts.z.T @ counts.z / len(counts.z)
    # Distances do not depend on the units of the features; with the diagonal brought near one first (by powers of two,
    # which are exact) their digits do not either.
    unit = np.sqrt(np.diag(moment))
    unit = np.exp2(np.round(np.log2(unit / unit.max())))
    values, vectors = np.linalg.eigh(moment / np.outer(unit, unit))
    spread = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1])) / unit[:, None]
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


def _finalists(run):
    """Return the indices of the best climbs, at most _FINALISTS: one of each maximum, and none that is out of reach."""
    order = np.argsort(-run.value, kind="stable")
    value = run.value[order]
    # What a reward has too much of its own subsample is about half a nat a parameter; the rest is for noise.
    within = value[0] - value <= run.phi[0].size + 30
    other = np.append(True, -np.diff(value) > 1e-5 * np.abs(value[0]))
    return order[within & other][:_FINALISTS]


def _grow(counts, n_groups, assignment):
    """Return shares (1, K) and phi (1, K, r): from one group on, that group is split whose halves climb highest."""
    begin = first_step(counts, np.ones((counts.won.shape[0], 1, 1)))
    for k in range(1, n_groups + 1):
        run = climb(counts, *begin, assignment, _GROWING, 1e-6)
        best = run.value.argmax()
        begin = run.shares[best][None], run.phi[best][None]
        if k < n_groups:
            begin = _split(counts, *begin, assignment)
    return begin


def _split(counts, shares, phi, assignment):
    """Return K starts of K + 1 groups from one of K groups, (1, K) and (1, K, r): each splits another group in two.

    The halves lie on either side of the reward, one logit in the mean, along the direction in which the scores of the
    group's annotators vary most beside what one reward for all of them would make: sum_i q_i s_i s_i^T against the
    information.
    """
    likelihood, down = counts.log_likelihood(phi)
    q = posterior(likelihood, shares, assignment == "hard")[1]
    _, information = counts.derivatives(phi, down, q)
    moment = counts.z.T @ counts.z / len(counts.z)
    n_groups = phi.shape[1]
    new_shares, new_phi = np.repeat(shares, n_groups, axis=0), np.repeat(phi, n_groups, axis=0)
    halves = np.empty((n_groups, 1, phi.shape[2]))
    for k in range(n_groups):
        scores = counts.scores_at(down[:, k])
        between = (q[:, 0, k, None] * scores).T @ scores
        along = eigh(between, information[0, k] + moment)[1][:, -1]
        halves[k, 0] = along / np.sqrt(along @ moment @ along)
        new_shares[k, k] /= 2
    each = np.arange(n_groups)
    new_shares = np.concatenate([new_shares, new_shares[each, each, None]], axis=1)
    new_phi = np.concatenate([new_phi, new_phi[each, each, None] - halves], axis=1)
    new_phi[each, each] += halves[:, 0]
    return new_shares, new_phi
