"""Newton's method with a barrier: the smallest dual value over the weights of a welfare."""

import numpy as np

from .._newton import backtrack

__all__ = ["bargain", "minimise"]


def minimise(dual, welfare, tol, max_iter=500):
    """Return (weights, gap): the weights of the smallest certified gap found, at most tol * scale where it settled.

    A primal-dual Newton method on A(r_w) + c(w) - mu sum log g(w), g all that must stay positive, with a multiplier
    for each that tends to mu / g. The barrier mu and a smoothed beta fall together: the kinks that a small beta
    leaves in A never are sharper than what one step resolves.
    """
    n, scale = len(dual.rewards), dual.scale
    weights = _inside(welfare, n, max(dual.size, 1e-300))
    best = (np.inf, weights)
    smooth = max(dual.beta, dual.size)
    barrier = 0.1 * max(dual.size**2 / smooth, scale, np.ptp(dual.offsets))
    terms = max(scale, np.abs(dual.offsets).max())  # the size of what the value is summed from
    value, expected, policy = dual.at(weights, smooth)
    room, slopes, bends = welfare.room(weights)
    below, beside = barrier / weights, barrier / room
    for _ in range(max_iter):
        if smooth == dual.beta:
            best = min(best, (_gap(welfare, weights, expected), weights), key=lambda found: found[0])
            # The gap is a few times the barrier; where it stays above one that far down, rounding holds it.
            if best[0] <= tol * scale or barrier <= 1e-4 * tol * scale:
                break
        extra, slope, bend = welfare.conjugate(weights)
        slope = expected + slope - barrier / weights - (barrier / room) @ slopes
        slope = slope - weights @ slope
        hessian = dual.curvature(policy, smooth) + np.diag(bend + below / weights - beside @ bends)
        hessian += (slopes.T * (beside / room)) @ slopes
        # What the others take or give, the group with the most leeway gives or takes: the sum stays, to the last
        # digit. The others' system has a unit diagonal, up to what that group adds. Least squares: groups that are
        # alike make it singular.
        unit = 1.0 / np.sqrt(np.diag(hessian))
        free = np.argmax(unit)
        moves = np.delete(np.eye(n), free, axis=1)
        moves[free] = -1.0
        moves = moves * np.delete(unit, free)
        step = moves @ np.linalg.lstsq(moves.T @ hessian @ moves, -moves.T @ slope, rcond=None)[0]
        relative = step / weights
        fall = -slope @ step
        before = value + extra - barrier * (np.log(weights).sum() + np.log(room).sum())

        def attempt(size, weights=weights, room=room, step=step, fall=fall, before=before, mu=barrier, beta=smooth):
            taken = size[0]
            moved = weights + taken * step
            moved = moved / moved.sum()
            left, tilts, _ = welfare.room(moved)
            if (left <= 1e-3 * room).any():
                return None, [True]
            value, expected, policy = dual.at(moved, beta)
            extra, along, _ = welfare.conjugate(moved)
            # Where the fall drowns in the rounding of the terms, the slope along the step still tells.
            after = value + extra - mu * (np.log(moved).sum() + np.log(left).sum())
            drowned = taken * fall <= 1e-13 * max(abs(before), terms)
            along = step @ (expected + along - mu / moved - (mu / left) @ tilts)
            kept = after <= before - 0.1 * taken * fall or (drowned and abs(along) <= 0.5 * fall)
            return (moved, value, expected, policy), [not kept]

        longest = min(1.0, 0.99 / max(-relative.min(), -(slopes @ step / room).min(initial=0.0), 1e-300))
        _, found, (refused,) = backtrack(attempt, [longest], most=60)
        if refused:
            fall, found = 0.0, (weights, *dual.at(weights, smooth))
        below = _towards(below, barrier / weights, relative)
        beside = _towards(beside, barrier / room, slopes @ step / room)
        weights, value, expected, policy = found
        room, slopes, bends = welfare.room(weights)
        if fall <= 0.1 * barrier:
            # Where the last step was hardly needed the next can be long.
            barrier *= 0.1 if fall > 1e-3 * barrier or smooth > dual.beta else 0.02
            if smooth > dual.beta:
                smooth = max(dual.beta, 0.1 * smooth)
                value, expected, policy = dual.at(weights, smooth)
    return best[1], best[0]


def bargain(dual, eta, tol, start, max_iter=500):
    """Return (weights, gap) of the Nash bargain, max_pi sum_u eta(u) log F_u(pi), F measured from the disagreement.

    Its dual in mu > 0 is sum_u mu_u A(r_w) - eta(u) log mu_u with w = mu / sum mu, convex, minimised by Newton's method
    with a beta that is smoothed at first. start : weights whose policy every group prefers to the disagreement.
    """
    eye = np.eye(len(dual.rewards))

    def at(mu, smooth):
        weights = mu / mu.sum()
        value, expected, policy = dual.at(weights, smooth)
        gain = expected - (weights @ expected - value)
        return mu @ gain - eta @ np.log(mu), gain, policy, weights

    # Where the bargain leaves little room, a smoothed beta would leave none: then begin at beta itself.
    smooth = max(dual.beta, dual.size)
    while smooth > dual.beta and at(start, smooth)[1].min() <= 0.1 * at(start, dual.beta)[1].min():
        smooth = max(dual.beta, 0.1 * smooth)
    mu = eta / at(start, smooth)[1]
    best = (np.inf, start)
    for _ in range(max_iter):
        value, gain, policy, weights = at(mu, smooth)
        if smooth == dual.beta and (gain > 0).all():
            # mu gain / eta is one at the optimum, and x - 1 - log x is what it is short of it.
            best = min(best, (eta @ _short(mu * gain / eta), weights), key=lambda found: found[0])
            if best[0] <= tol:
                break
        slope = (gain - eta / mu) * mu
        projected = (eye - weights) @ dual.curvature(policy, smooth) @ (eye - weights).T / mu.sum()
        relative = np.linalg.lstsq(projected * mu[:, None] * mu + np.diag(eta), -slope, rcond=None)[0]
        fall = -slope @ relative

        def attempt(size, mu=mu, relative=relative, fall=fall, value=value, smooth=smooth):
            taken = size[0]
            moved = mu * (1 + taken * relative)
            found, ahead, _, _ = at(moved, smooth)
            drowned = taken * fall <= 1e-13 * max(abs(value), 1.0)
            along = (mu * relative) @ (ahead - eta / moved)
            kept = found <= value - 0.1 * taken * fall or (drowned and abs(along) <= 0.5 * fall)
            return moved, [not kept]

        _, mu, _ = backtrack(attempt, [min(1.0, 0.99 / max(-relative.min(), 1e-300))], most=60)
        if fall <= 0.01 and smooth > dual.beta:
            smooth = max(dual.beta, 0.1 * smooth)
    return best[1], best[0]


def _gap(welfare, weights, expected):
    """Return A(r_w) + c(w) - W(F(pi_w)), at least zero, from differences of group values alone."""
    ahead = expected - expected.min()
    return weights @ ahead + welfare.conjugate(weights)[0] - welfare.value(ahead)


def _short(x):
    """Return x - 1 - log x, at least zero, with full relative precision near one."""
    t = x - 1
    return np.where(np.abs(t) < 1e-3, t**2 * (1 / 2 - t / 3 + t**2 / 4), t - np.log(x))


def _towards(multipliers, target, relative):
    """Return multipliers after a Newton step towards target = barrier / g, g changing by a share, kept positive."""
    change = target - multipliers * (1 + relative)
    taken = min(1.0, 0.99 / max((-change / multipliers).max(initial=0.0), 1e-300))
    return multipliers + taken * change


def _inside(welfare, n, size):
    """Return weights with room on all sides; ValueError where the welfare leaves none.

    The first tried is eta, drawn towards equal weights as far as half the room allows; then the middle of the weights
    that the welfare gives when one group after the other is far behind, which are extreme points of C.
    """
    eta = welfare.shares(n)
    equal = np.full(n, 1.0 / n)
    # Shares of zero have no inside; towards equal weights there is one.
    for part in 0.5 ** np.arange(1, 60):
        weights = (1 - part) * eta + part * equal
        room = welfare.room(weights)[0]
        if (room > 0.1 * welfare.room(eta)[0]).all() and (room > 0).all() and (weights > 0).all():
            return weights
    middle = np.mean([welfare.weights(-1e3 * size * behind) for behind in np.eye(n)], axis=0)
    for weights in (equal, middle):
        if (welfare.room(weights)[0] > 0).all() and (weights > 0).all():
            return weights
    raise ValueError(
        f"room: expected weights that satisfy every inequality of {type(welfare).__name__} with room to spare, "
        f"got none at {middle}; a set of weights that is a single point is stated by point(n)"
    )
