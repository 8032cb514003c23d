"""Where EM begins, and which of many beginnings is followed to the end; called by `mixture`."""

import numpy as np

from ._edges import counts_of
from ._em import climb, first_step, follow, posterior

__all__ = ["search", "starts"]

# Up to this size every restart is followed to the end, on all data.
_SMALL_ANNOTATORS, _SMALL_COMPARISONS = 1000, 20_000
# Above it the restarts take so many passes on about so many comparisons, then the best few a few passes on all data.
_PASSES, _FINALISTS, _FEW, _GROWING = 30, 3, 10, 3


def search(comparisons, counts, n_groups, assignment, n_restarts, max_iter, tol, rng, idle=0):
    """Return the best climb of several restarts; beside the groups there may be an idle one, the last, of zero reward.

    On large data they climb on a subsample, under a penalty scaled to its size, together with the mixture that `_grow`
    finds there. A start that learns nothing can be ahead of one that is about to find the groups, and a subsample
    misleads: the best few are compared on all data.
    """
    n = comparisons.n_annotators
    if n <= _SMALL_ANNOTATORS and len(comparisons) <= _SMALL_COMPARISONS:
        begin = first_step(counts, starts(counts, n_groups, n_restarts, rng, idle), idle)
        run = climb(counts, *begin, assignment, max_iter, tol, idle)
        return follow(counts, run, assignment, max_iter, tol, idle)
    sample = counts
    size = max(int(n * min(1.0, _SMALL_COMPARISONS / len(comparisons))), min(n, 25 * n_groups))
    if size < n:
        part = comparisons.take(np.sort(rng.choice(n, size=size, replace=False)))
        sample = counts_of(part, counts.l2 * part.weight.sum() / comparisons.weight.sum())
    drawn = first_step(sample, starts(sample, n_groups, n_restarts, rng, idle), idle)
    grown = _grow(sample, n_groups, assignment, idle)
    begin = (np.concatenate(both) for both in zip(drawn, grown, strict=True))
    run = climb(sample, *begin, assignment, _PASSES, max(tol, 1e-6), idle)
    best = _finalists(run)
    phi = counts.carried(run.phi[best], sample)
    run = climb(counts, run.shares[best], phi, assignment, min(_FEW, max_iter), tol, idle)
    return follow(counts, run, assignment, max_iter, tol, idle)


def starts(counts, n_groups, n_restarts, rng, idle=0):
    """Return responsibilities (A, R, K): the first half of the restarts by k-means++ seeds, the second at random.

    The seed of an idle group is where nobody's choices have a direction: zero.
    """
    n, at = counts.won.shape[0], counts.positions
    n_all = n_groups + idle
    q = rng.dirichlet(np.ones(n_all), size=(n, n_restarts))
    for restart in range((n_restarts + 1) // 2):
        distance = np.full((n, n_all), np.inf)
        for k in range(n_groups):
            nearest = distance.min(axis=1)
            chance = nearest if k and nearest.sum() > 0 else np.ones(n)
            centre = rng.choice(n, p=chance / chance.sum())
            distance[:, k] = ((at - at[centre]) ** 2).sum(axis=1)
        if idle:
            distance[:, n_groups:] = (at**2).sum(axis=1)[:, None]
        q[:, restart] = 0.1 / n_all + 0.9 * np.eye(n_all)[distance.argmin(axis=1)]
    return q


def _finalists(run):
    """Return the indices of the best climbs, at most _FINALISTS: one of each maximum, and none that is out of reach."""
    order = np.argsort(-run.value, kind="stable")
    value = run.value[order]
    # What a reward has too much of its own subsample is about half a nat a parameter; the rest is for noise.
    within = value[0] - value <= run.phi[0].size + 30
    other = np.append(True, -np.diff(value) > 1e-5 * np.abs(value[0]))
    return order[within & other][:_FINALISTS]


def _grow(counts, n_groups, assignment, idle=0):
    """Return shares (1, K) and phi (1, K, r): from one group on, that group is split whose halves climb highest."""
    q = np.full((counts.won.shape[0], 1, 1 + idle), 0.1)
    q[:, :, 0] = 1.0 - 0.1 * idle
    begin = first_step(counts, q, idle)
    for k in range(1, n_groups + 1):
        run = climb(counts, *begin, assignment, _GROWING, 1e-6, idle)
        best = run.value.argmax()
        begin = run.shares[best][None], run.phi[best][None]
        if k < n_groups:
            begin = _split(counts, *begin, assignment, idle)
    return begin


def _split(counts, shares, phi, assignment, idle=0):
    """Return K starts of K + 1 groups from one of K groups, (1, K) and (1, K, r): each splits another group in two.

    The halves lie on either side of the reward, one logit in the mean, along the direction of `Counts.halves`.
    """
    likelihood, down = counts.log_likelihood(phi)
    q = posterior(likelihood, shares, assignment == "hard")[1]
    _, information = counts.derivatives(phi, down, q)
    n_groups = phi.shape[1] - idle
    new_shares, new_phi = np.repeat(shares, n_groups, axis=0), np.repeat(phi, n_groups, axis=0)
    halves = counts.halves(down, q[:, 0, :n_groups], information[0])
    new_shares[np.arange(n_groups), np.arange(n_groups)] /= 2
    each = np.arange(n_groups)
    # The other half stands behind the groups, before what is idle.
    new_shares = np.insert(new_shares, n_groups, new_shares[each, each], axis=1)
    new_phi = np.insert(new_phi, n_groups, new_phi[each, each] - halves, axis=1)
    new_phi[each, each] += halves
    return new_shares, new_phi
