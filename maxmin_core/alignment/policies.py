"""Exact KL-regularised alignment on finite sets of prompts and responses. Axes: group u, prompt x, response y."""

import numpy as np
from scipy.special import logsumexp, softmax

from .._precise import exp_remainder
from .._validation import as_distribution, as_float, as_log_reference, as_policy, as_positive, in_nats

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
    return softmax(log_reference + in_nats(reward, beta), axis=-1)


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
    policy = as_policy("policy", policy)
    log_reference = as_log_reference(log_reference, policy.shape)
    prompt_weights = as_distribution("prompt_weights", prompt_weights, len(policy))
    reference = np.exp(log_reference)
    # sum q h((p - q) / q) with h(t) = (1 + t) log(1 + t) - t: no term is negative, and two policies that nearly agree
    # keep their digits. Where p and q are far apart, p log(p / q) - p + q as it stands.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = np.where(reference > 0, (policy - reference) / reference, 0.0)
        series = t**2 * (1 / 2 - t / 6 + t**2 / 12 - t**3 / 20 + t**4 / 30)
        near = reference * np.where(np.abs(t) < 1e-3, series, (1 + t) * np.log1p(t) - t)
        far = policy * (np.log(policy) - log_reference) - policy + reference
    per_prompt = np.where(policy == 0, reference, np.where(np.abs(t) < 0.5, near, far))
    per_prompt = np.where((policy > 0) & (reference == 0), far, per_prompt).sum(axis=-1)
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
    policy = as_policy("policy", policy)
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
    tilt = in_nats(rewards - middle[..., None], beta)
    # log E exp(tilt) = log(1 + E[exp(tilt) - 1 - tilt]) where the tilt is small: with a large beta the plain form would
    # cancel to nothing.
    small = np.log1p((reference * exp_remainder(np.minimum(tilt, 1.0))).sum(axis=-1))
    log_mean = np.where(np.abs(tilt).max(axis=-1) < 0.5, small, logsumexp(log_reference + tilt, axis=-1))
    return (middle + beta * log_mean) @ prompt_weights
