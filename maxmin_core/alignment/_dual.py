"""The dual of max-min alignment, minimised over the simplex of group weights."""

from copy import copy

import numpy as np
from scipy.special import softmax

from .._precise import exp_remainder

__all__ = ["Dual"]


class Dual:
    """Evaluate and minimise A(sum_u w_u r_u) over group weights w, with digits to spare for any beta.

    Rewards are centred by the reference on every prompt, and what that takes away is kept as one number a group;
    responses outside the support and prompts of weight zero are left out. Chapter 5.

    Attributes
    ----------
    rewards : (U, X, Y) float, centred; offsets : (U,) float; reference : (X, Y) float, probabilities
    size : float, the range of the centred rewards within a prompt, in logits
    """

    def __init__(self, rewards, log_reference, beta, prompt_weights):
        """Centre the rewards; all arguments are checked by the caller."""
        self._given = rewards, log_reference
        came = prompt_weights > 0
        self.reference = np.exp(log_reference[came])
        self.prompt_weights, self.beta = prompt_weights[came], beta
        supported = self.reference > 0
        if not came.all():
            rewards = rewards[:, came]
        if not supported.all():
            rewards = np.where(supported, rewards, 0.0)
        middle = np.einsum("xy,uxy->ux", self.reference, rewards)
        self.rewards = rewards - middle[..., None]
        self.rewards[:, ~supported] = 0.0
        self.offsets = middle @ self.prompt_weights
        self.size = np.ptp(self.rewards, axis=-1).max(initial=0.0)

    def among(self, groups, offsets):
        """Return the same problem among some of the groups, a boolean (U,), with other offsets."""
        other = copy(self)
        other.rewards, other.offsets = self.rewards[groups], offsets
        other.size = np.ptp(other.rewards, axis=-1).max(initial=0.0)
        return other

    @property
    def best(self):
        """A(r_u) of every group, (U,)."""
        return np.array([self.at(own)[0] for own in np.eye(len(self.rewards))])

    @property
    def _flat(self):
        return self.rewards.reshape(len(self.rewards), -1)

    @property
    def scale(self):
        """What a tolerance is relative to: the size, or size^2 / beta where beta is larger, but not below rounding."""
        rounding = 1e-5 * max(np.abs(self.offsets).max(), min(self.size, self.size**2 / self.beta))
        return max(min(self.size, self.size**2 / self.beta), rounding) or 1.0

    def policy(self, weights):
        """Return the optimal policy of sum_u w_u r_u on every prompt, (X, Y)."""
        rewards, log_reference = self._given
        return softmax(log_reference + np.tensordot(weights, rewards, 1) / self.beta, axis=-1)

    def at(self, weights, beta=None):
        """Return (value, expected (U,), policy (X, Y)): A(r_w), E_pi[r_u] under pi_w, and pi_w."""
        beta = self.beta if beta is None else beta
        tilt = (weights @ self._flat).reshape(self.reference.shape) / beta
        peak = tilt.max(axis=-1, keepdims=True)
        if max(peak.max(), -tilt.min()) < 0.5:
            # The rewards are centred, so the first order of e^tilt drops out exactly, not by cancellation, and a mean
            # under the policy is a mean under what the policy has in excess of the reference.
            log_mean = np.log1p((self.reference * exp_remainder(tilt)).sum(axis=-1))
            excess = self.reference * np.expm1(tilt - log_mean[:, None])
            policy = self.reference + excess
            carried = excess
        else:
            policy = self.reference * np.exp(tilt - peak)
            total = policy.sum(axis=-1, keepdims=True)
            policy /= total
            log_mean = (peak + np.log(total))[:, 0]
            carried = policy
        expected = self._flat @ (self.prompt_weights[:, None] * carried).ravel() + self.offsets
        return beta * (log_mean @ self.prompt_weights) + weights @ self.offsets, expected, policy

    def curvature(self, policy, beta):
        """Return the Hessian of A(r_w), E_x Cov_pi(r) / beta, (U, U)."""
        n_groups, n_prompts, n_responses = self.rewards.shape
        hessian = np.zeros((n_groups, n_groups))
        # Blocks of prompts that stay in cache.
        block = max(1, 65_536 // (n_groups * n_responses))
        for start in range(0, n_prompts, block):
            part = slice(start, start + block)
            rewards, mass = self.rewards[:, part], policy[part]
            flat = rewards - np.einsum("uxy,xy->ux", rewards, mass)[..., None]
            flat = flat.reshape(n_groups, -1)
            hessian += (flat * (self.prompt_weights[part, None] * mass).ravel()) @ flat.T
        return hessian / beta

    def minimise(self, welfare, tol, max_iter=500):
        """Return (weights, gap): the weights of the smallest certified gap found, at most tol * scale where it settled.

        A primal-dual Newton method on A(r_w) + c(w) - mu sum log g(w), g all that must stay positive, with a multiplier
        for each that tends to mu / g. The barrier mu and a smoothed beta fall together: the kinks that a small beta
        leaves in A never are sharper than what one step resolves.
        """
        n, scale = len(self.rewards), self.scale
        weights = _inside(welfare, n)
        best = (np.inf, weights)
        smooth = max(self.beta, self.size)
        barrier = 0.1 * max(self.size**2 / smooth, scale, np.ptp(self.offsets))
        terms = max(scale, np.abs(self.offsets).max())  # the size of what the value is summed from
        value, expected, policy = self.at(weights, smooth)
        room, slopes, bends = welfare.room(weights)
        below, beside = barrier / weights, barrier / room
        for _ in range(max_iter):
            if smooth == self.beta:
                best = min(best, (self.gap(welfare, weights, expected), weights), key=lambda found: found[0])
                # The gap is a few times the barrier; where it stays above one that far down, rounding holds it.
                if best[0] <= tol * scale or barrier <= 1e-4 * tol * scale:
                    break
            extra, slope, bend = welfare.conjugate(weights)
            slope = expected + slope - barrier / weights - (barrier / room) @ slopes
            slope = slope - weights @ slope
            hessian = self.curvature(policy, smooth) + np.diag(bend + below / weights - beside @ bends)
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
            taken = min(1.0, 0.99 / max(-relative.min(), -(slopes @ step / room).min(initial=0.0), 1e-300))
            before = value + extra - barrier * (np.log(weights).sum() + np.log(room).sum())
            for _ in range(60):
                moved = weights + taken * step
                moved = moved / moved.sum()
                left, tilts, _ = welfare.room(moved)
                if (left <= 1e-3 * room).any():
                    taken /= 2
                    continue
                value, expected, policy = self.at(moved, smooth)
                extra, along, _ = welfare.conjugate(moved)
                # Where the fall drowns in the rounding of the terms, the slope along the step still tells.
                after = value + extra - barrier * (np.log(moved).sum() + np.log(left).sum())
                drowned = taken * fall <= 1e-13 * max(abs(before), terms)
                along = step @ (expected + along - barrier / moved - (barrier / left) @ tilts)
                if after <= before - 0.1 * taken * fall or (drowned and abs(along) <= 0.5 * fall):
                    break
                taken /= 2
            else:
                fall, (value, expected, policy) = 0.0, self.at(weights, smooth)
                moved = weights
            below = _towards(below, barrier / weights, relative)
            beside = _towards(beside, barrier / room, slopes @ step / room)
            weights = moved
            room, slopes, bends = welfare.room(weights)
            if fall <= 0.1 * barrier:
                # Where the last step was hardly needed the next can be long.
                barrier *= 0.1 if fall > 1e-3 * barrier or smooth > self.beta else 0.02
                if smooth > self.beta:
                    smooth = max(self.beta, 0.1 * smooth)
                    value, expected, policy = self.at(weights, smooth)
        return best[1], best[0]

    def bargain(self, disagreement, eta, tol, start, max_iter=500):
        """Return (weights, gap) of the Nash bargain, max_pi sum_u eta(u) log(F_u(pi) - d_u).

        Its dual in mu > 0 is sum_u mu_u (A(r_w) - d_u) - eta(u) log mu_u with w = mu / sum mu, convex, minimised by
        Newton's method with a beta that is smoothed at first. start : weights whose policy every group prefers to d.
        """
        eye = np.eye(len(self.rewards))

        def at(mu, smooth):
            weights = mu / mu.sum()
            value, expected, policy = self.at(weights, smooth)
            gain = expected - (weights @ expected - value) - disagreement
            return mu @ gain - eta @ np.log(mu), gain, policy, weights

        # Where the bargain leaves little room, a smoothed beta would leave none: then begin at beta itself.
        smooth = max(self.beta, self.size)
        while smooth > self.beta and at(start, smooth)[1].min() <= 0.1 * at(start, self.beta)[1].min():
            smooth = max(self.beta, 0.1 * smooth)
        mu = eta / at(start, smooth)[1]
        best = (np.inf, start)
        for _ in range(max_iter):
            value, gain, policy, weights = at(mu, smooth)
            if smooth == self.beta and (gain > 0).all():
                # mu gain / eta is one at the optimum, and x - 1 - log x is what it is short of it.
                best = min(best, (eta @ _short(mu * gain / eta), weights), key=lambda found: found[0])
                if best[0] <= tol:
                    break
            slope = (gain - eta / mu) * mu
            projected = (eye - weights) @ self.curvature(policy, smooth) @ (eye - weights).T / mu.sum()
            relative = np.linalg.lstsq(projected * mu[:, None] * mu + np.diag(eta), -slope, rcond=None)[0]
            fall = -slope @ relative
            taken = min(1.0, 0.99 / max(-relative.min(), 1e-300))
            for _ in range(60):
                moved = mu * (1 + taken * relative)
                found, ahead, _, _ = at(moved, smooth)
                drowned = taken * fall <= 1e-13 * max(abs(value), 1.0)
                along = (mu * relative) @ (ahead - eta / moved)
                if found <= value - 0.1 * taken * fall or (drowned and abs(along) <= 0.5 * fall):
                    break
                taken /= 2
            mu = moved
            if fall <= 0.01 and smooth > self.beta:
                smooth = max(self.beta, 0.1 * smooth)
        return best[1], best[0]

    def gap(self, welfare, weights, expected):
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


def _inside(welfare, n):
    """Return weights with room on all sides: eta, drawn towards equal weights as far as half the room allows."""
    eta = welfare.shares(n)
    equal = np.full(n, 1.0 / n)
    # Shares of zero have no inside; towards equal weights there is one.
    for part in 0.5 ** np.arange(1, 60):
        weights = (1 - part) * eta + part * equal
        if (welfare.room(weights)[0] > 0.1 * welfare.room(eta)[0]).all() and (weights > 0).all():
            return weights
    return equal
