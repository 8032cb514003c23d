"""What a climb of EM ended at, as the parts of a fit, and what has to be said of it; called by `mixture`."""

import numpy as np

from .._warnings import warn
from ._em import climb, posterior

__all__ = ["finish"]


def finish(counts, best, hard, tol, idle=0):
    """Return the parts of a MixtureFit, groups by falling share, the idle one apart; warn of what they are not."""
    shares, phi, value = best.shares, best.phi, best.history[-1]
    likelihood, down = counts.log_likelihood(phi)
    if hard:
        # The shares of the last assignment, not of the one before the last step.
        shares = posterior(likelihood, shares, True)[1].mean(axis=0)
    n_groups = len(shares) - idle
    order = np.append(np.argsort(-shares[:n_groups], kind="stable"), np.arange(n_groups, len(shares)))
    shares, phi, likelihood, down = shares[order], phi[order], likelihood[:, order], down[:, order]
    q = posterior(likelihood, shares, hard)[1]
    if counts.l2 == 0:
        _warn_of_divergence(counts, best.converged, shares, phi, down, q, n_groups)
    if n_groups > 1:
        fewer, n_fewer = _best_of_fewer(counts, value, likelihood, q, shares, phi, hard, n_groups)
        if value <= fewer + tol * max(abs(value), 1.0):
            warn(
                f"fit_mixture: the objective (log-likelihood minus penalty) of {n_groups} groups, {value:.3f}, is "
                f"not above that of {n_fewer}, {fewer:.3f}: some group has found nothing; expected more restarts, "
                "another seed or start, fewer groups, or a smaller l2"
            )
    parts = {
        "weights": shares[:n_groups],
        "parameters": counts.parameters(phi[:n_groups]),
        "responsibilities": q[:, :n_groups],
        "log_likelihood": float(posterior(likelihood, shares, False)[0].sum()),
        "history": best.history,
        "converged": best.converged,
        "n_iter": len(best.history) - 1,
    }
    if not idle:
        return parts
    careful = shares[:n_groups].sum()
    among = shares[:n_groups] / careful if careful > 0 else np.full(n_groups, 1 / n_groups)
    return parts | {"weights": among, "careless": q[:, n_groups], "careless_share": float(shares[n_groups])}


def _warn_of_divergence(counts, converged, shares, phi, down, q, n_groups):
    """Warn where some reward still grows though the likelihood has become flat."""
    # On an exponential tail Newton's step is one logit long, however flat the likelihood has become.
    step = counts.step(*reversed(counts.derivatives(phi, down, q)))
    present = np.flatnonzero(shares[:n_groups] > 0)
    stride, reach = (np.abs(counts.margins(part[present].T)).max(initial=0.0) for part in (step, phi))
    if stride > 0.3 and (converged or reach > 30):
        warn(
            f"fit_mixture: a margin of {reach:.0f} logits and rising; the choices within some group are separable, or "
            "nearly, and its reward diverges; expected overlapping choices or l2 > 0"
        )


def _best_of_fewer(counts, value, likelihood, q, shares, phi, hard, n_groups):
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
    ridge = counts.ridge(phi)
    for k in range(n_groups):
        others = np.flatnonzero(np.arange(len(shares)) != k)
        share = shares[others]
        share[np.argmax(q[:, k] @ likelihood[:, others])] += shares[k]
        without = posterior(likelihood[:, others], share, hard)[0].sum() - ridge[others].sum()
        found.append((float(without), n_groups - 1))
    return max(found)
