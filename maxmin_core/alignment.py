"""Exact KL-regularised alignment on finite sets of prompts and responses. Axes: group u, prompt x, response y."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from .validation import as_distribution, as_float, as_log_reference, as_positive

__all__ = ["Solution", "best_values", "gibbs_policy", "group_values", "kl_divergence", "max_min"]


@dataclass(frozen=True)
class Solution:
    """Hold a policy for all groups with the weights that certify it: primal <= optimum <= dual.

    Attributes
    ----------
    policy : (X, Y) float
    weights : (U,) float, dual-optimal group weights, summing to one
    values : (U,) float, every group's value of the policy, in logits
    primal : float, what the policy attains; dual : float, what no policy exceeds
    """

    policy: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    primal: float
    dual: float

    @property
    def gap(self):
        """What is left between the policy and the optimum at most, dual - primal."""
        return self.dual - self.primal


def gibbs_policy(reward, log_reference, beta):
    """Return the optimal policy of one reward, pi(y|x) proportional to pi_ref(y|x) exp(r(x,y)/beta).

    It is the unique maximiser of E_pi[r] - beta KL(pi || pi_ref).

    Parameters
    ----------
    reward : (X, Y) float, in logits
    log_reference : (X, Y) float; rows sum to one in probability, -inf masks a response
    beta : float above 0, logits per nat

    Returns
    -------
    (X, Y) float; rows sum to one

    Raises
    ------
    ValueError
        On a wrong shape, a non-finite reward, a reference that is no distribution, or beta <= 0.

    Source: Theorem 1 of chapter 1.
    """
    reward = as_float("reward", reward, ("X", "Y"))
    log_reference = as_log_reference(log_reference, reward.shape)
    return softmax(log_reference + _in_nats(reward, beta), axis=-1)


def kl_divergence(policy, log_reference, prompt_weights=None):
    """Return E_x KL(pi(.|x) || pi_ref(.|x)) in nats; infinite where the policy leaves the reference's support.

    Parameters
    ----------
    policy : (X, Y) float; rows sum to one
    log_reference : (X, Y) float; rows sum to one in probability
    prompt_weights : (X,) float, a distribution; None means equal weights

    Raises
    ------
    ValueError
        On a wrong shape or on rows that are no distributions. Chapter 1.
    """
    policy = _as_policy(policy)
    log_reference = as_log_reference(log_reference, policy.shape)
    prompt_weights = as_distribution("prompt_weights", prompt_weights, len(policy))
    # 0 log 0 = 0: only the support of the policy enters.
    support = policy > 0
    log_ratio = np.log(policy, out=np.zeros_like(policy), where=support)
    log_ratio -= np.where(support, log_reference, 0.0)
    per_prompt = (policy * log_ratio).sum(axis=-1)
    # A prompt of weight zero never comes up: its divergence does not count, infinite or not.
    return float(prompt_weights[prompt_weights > 0] @ per_prompt[prompt_weights > 0])


def group_values(policy, rewards, log_reference, beta, prompt_weights=None):
    """Return every group's value of a policy, F_u(pi) = E_x E_pi[r_u] - beta E_x KL(pi || pi_ref).

    Parameters
    ----------
    policy : (X, Y) float; rows sum to one
    rewards : (U, X, Y) float, in logits
    log_reference : (X, Y) float; rows sum to one in probability
    beta : float above 0, logits per nat
    prompt_weights : (X,) float, a distribution; None means equal weights

    Returns
    -------
    (U,) float, in logits

    Raises
    ------
    ValueError
        On a wrong shape, non-finite rewards, rows that are no distributions, or beta <= 0. Chapter 1.
    """
    policy = _as_policy(policy)
    rewards = as_float("rewards", rewards, ("U", *policy.shape))
    beta = as_positive("beta", beta)
    penalty = beta * kl_divergence(policy, log_reference, prompt_weights)
    prompt_weights = as_distribution("prompt_weights", prompt_weights, len(policy))
    return np.einsum("x,xy,uxy->u", prompt_weights, policy, rewards) - penalty


def best_values(rewards, log_reference, beta, prompt_weights=None):
    """Return every group's best attainable value, A(r_u) = beta E_x log sum_y pi_ref(y|x) exp(r_u(x,y)/beta).

    Parameters
    ----------
    rewards : (U, X, Y) float, in logits
    log_reference : (X, Y) float; rows sum to one in probability
    beta : float above 0, logits per nat
    prompt_weights : (X,) float, a distribution; None means equal weights

    Returns
    -------
    (U,) float, in logits; attained by `gibbs_policy` of each reward

    Raises
    ------
    ValueError
        As `group_values`. Source: Theorem 1 of chapter 1.
    """
    rewards = as_float("rewards", rewards, ("U", "X", "Y"))
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    reference = np.exp(log_reference)
    middle = (reference * rewards).sum(axis=-1)
    tilt = _in_nats(rewards - middle[..., None], beta)
    # log E exp(tilt), by log1p where the tilt is small: with a large beta the plain form would cancel to nothing.
    small = np.log1p((reference * np.expm1(np.minimum(tilt, 1.0))).sum(axis=-1))
    log_mean = np.where(np.abs(tilt).max(axis=-1) < 0.5, small, logsumexp(log_reference + tilt, axis=-1))
    return (middle + beta * log_mean) @ prompt_weights


def max_min(rewards, log_reference, beta, *, prompt_weights=None, tol=1e-9, max_iter=200):
    """Return the policy whose worst-off group is best off, max_pi min_u F_u(pi) = min_w A(sum_u w_u r_u).

    The dual, convex in the weights w, is minimised over the simplex by a primal-dual interior-point method.

    Parameters
    ----------
    rewards : (U, X, Y) float, in logits
    log_reference : (X, Y) float; rows sum to one in probability, -inf masks a response
    beta : float above 0, logits per nat
    prompt_weights : (X,) float, a distribution; None means equal weights
    tol : float, the gap at which to stop, relative to the range of the rewards

    Returns
    -------
    Solution, in logits

    Raises
    ------
    ValueError
        As `group_values`. RuntimeWarning where the gap did not reach tol. Chapters 3 and 5.
    """
    rewards = as_float("rewards", rewards, ("U", "X", "Y"))
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    _in_nats(rewards, beta)
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    n_groups = len(rewards)
    scale = np.ptp(rewards) or 1.0

    def at(weights):
        policy = softmax(log_reference + np.tensordot(weights, rewards, 1) / beta, axis=-1)
        mean = np.einsum("xy,uxy->ux", policy, rewards)
        return policy, mean @ prompt_weights, mean

    def curvature(policy, mean):
        centred = (rewards - mean[..., None]).reshape(n_groups, -1)
        return (centred * (prompt_weights[:, None] * policy).ravel()) @ centred.T / beta

    weights = np.full(n_groups, 1.0 / n_groups)
    policy, expected, mean = at(weights)
    # KKT: expected = slack - level, weights * slack = 0. The slack is how much better off a group is than the worst.
    slack, level = expected - expected.min() + 0.1 * scale, -expected.min() + 0.1 * scale
    best = (np.inf, weights)
    for _ in range(max_iter):
        gap = weights @ expected - expected.min()
        best = min(best, (gap, weights), key=lambda found: found[0])
        if gap <= tol * scale:
            break
        target = min(0.1, (gap / scale)) * (weights @ slack) / n_groups
        residual = expected - slack + level
        system = np.zeros((n_groups + 1, n_groups + 1))
        system[:-1, :-1] = curvature(policy, mean) + np.diag(slack / weights)
        system[:-1, -1] = system[-1, :-1] = 1.0
        aim = np.append(-residual - slack + target / weights, 1.0 - weights.sum())
        step = np.linalg.solve(system, aim)
        slack_step = (target - slack * step[:-1]) / weights - slack
        worst = max((-step[:-1] / weights).max(), (-slack_step / slack).max(), 1e-300)
        size = min(1.0, 0.99 / worst)

        def merit(residual, weights, slack, target=target):
            return np.hypot(np.linalg.norm(residual), np.linalg.norm(weights * slack - target))

        before = merit(residual, weights, slack)
        for _ in range(30):
            new_weights, new_slack = weights + size * step[:-1], slack + size * slack_step
            policy, expected, mean = at(new_weights)
            after = merit(expected - new_slack + level + size * step[-1], new_weights, new_slack)
            if after <= (1 - 0.01 * size) * before:
                break
            size /= 2
        weights, slack, level = new_weights, new_slack, level + size * step[-1]
    gap, weights = best
    weights = weights / weights.sum()
    policy = softmax(log_reference + np.tensordot(weights, rewards, 1) / beta, axis=-1)
    if gap > tol * scale:
        warnings.warn(f"max_min: the gap stayed at {gap:.2g}, above {tol * scale:.2g}", RuntimeWarning, stacklevel=2)
    values = group_values(policy, rewards, log_reference, beta, prompt_weights)
    dual = best_values(np.tensordot(weights, rewards, 1)[None], log_reference, beta, prompt_weights)[0]
    return Solution(policy, weights, values, float(values.min()), float(dual))


def _in_nats(reward, beta):
    """Return reward / beta, refusing a quotient that overflows."""
    with np.errstate(over="ignore"):
        nats = reward / as_positive("beta", beta)
    if not np.isfinite(nats).all():
        raise ValueError(f"beta: expected a number that reward / beta does not overflow with, got {beta}")
    return nats


def _as_policy(policy):
    policy = as_float("policy", policy, ("X", "Y"))
    if (policy < 0).any() or (np.abs(policy.sum(axis=-1) - 1.0) > 1e-9).any():
        raise ValueError(
            f"policy: expected rows that are distributions, got minimum {policy.min()} "
            f"and row sums in [{policy.sum(axis=-1).min()}, {policy.sum(axis=-1).max()}]"
        )
    return policy
