"""Exact KL-regularised alignment on finite sets of prompts and responses. Axes: group u, prompt x, response y."""

import numpy as np
from scipy.special import logsumexp, softmax

from .validation import as_distribution, as_float, as_log_reference, as_positive

__all__ = ["best_values", "gibbs_policy", "group_values", "kl_divergence"]


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
