"""The dual of max-min alignment: the best value of a weighted reward, its slope and its curvature."""

from copy import copy

import numpy as np
from scipy.special import softmax

from .._precise import exp_remainder

__all__ = ["Dual"]


class Dual:
    """Evaluate A(sum_u w_u r_u) over group weights w, with digits to spare for any beta.

    Rewards are centred by the reference on every prompt, and what that takes away is kept as one number a group;
    responses outside the support and prompts of weight zero are left out. The support is where the reference has a
    finite logarithm: a probability of e^-1000 is none to exp(), but a reward can lift it.

    Attributes
    ----------
    rewards : (U, X, Y) float, centred; offsets : (U,) float
    log_reference : (X, Y) float; reference : (X, Y) float, its probabilities, zero where they underflow
    size : float, the range of the centred rewards within a prompt, in logits
    """

    def __init__(self, rewards, log_reference, beta, prompt_weights):
        """Centre the rewards; all arguments are checked by the caller."""
        self._given = rewards, log_reference
        came = prompt_weights > 0
        self.log_reference = log_reference[came]
        self.reference = np.exp(self.log_reference)
        self.prompt_weights, self.beta = prompt_weights[came], beta
        supported = np.isfinite(self.log_reference)
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
        given, log_reference = self._given
        other._given = given[groups], log_reference
        other.rewards, other.offsets = self.rewards[groups], offsets
        other.size = np.ptp(other.rewards, axis=-1).max()
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
        if beta == self.beta and np.abs(tilt).max() < 0.5:
            # The rewards are centred, so the first order of e^tilt drops out exactly, not by cancellation, and a mean
            # under the policy is a mean under what the policy has in excess of the reference.
            log_mean = np.log1p((self.reference * exp_remainder(tilt)).sum(axis=-1))
            excess = self.reference * np.expm1(tilt - log_mean[:, None])
            policy = self.reference + excess
            carried = excess
        else:
            tilt += self.log_reference * (self.beta / beta)
            peak = tilt.max(axis=-1, keepdims=True)
            policy = np.exp(tilt - peak)
            total = policy.sum(axis=-1, keepdims=True)
            policy /= total
            log_mean = (peak + np.log(total))[:, 0]
            carried = policy
        expected = self._flat @ (self.prompt_weights[:, None] * carried).ravel() + self.offsets
        return beta * (log_mean @ self.prompt_weights) + weights @ self.offsets, expected, policy

    def values(self, weights):
        """Return every group's value F_u of the optimal policy of sum_u w_u r_u, (U,)."""
        value, expected, _ = self.at(weights)
        # A(r_w) = sum_u w_u F_u(pi_w), so the penalty is what the weighted reward has beyond it.
        return expected - (weights @ expected - value)

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
