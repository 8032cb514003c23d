"""Policies and what they are worth, exactly, on finite sets of prompts and responses.

Axes are those of group u, prompt x and response y. Chapters 1 and 3.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from .._precise import exp_remainder
from .._validation import as_distribution, as_float, as_log_reference, as_policy, as_positive, in_nats

__all__ = ["best_values", "gibbs_policy", "group_values", "kl_divergence"]


def gibbs_policy(reward: ArrayLike, log_reference: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Return the optimal policy of one reward, proportional to ``pi_ref(y|x) exp(r(x, y) / beta)``.

    It is the only maximiser of ``E_pi[r] - beta KL(pi || pi_ref)``.

    Parameters
    ----------
    reward : array_like, shape (X, Y)
        In logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.

    Returns
    -------
    ndarray, shape (X, Y)
        Probabilities; rows sum to one.

    Raises
    ------
    ValueError
        On a wrong shape, a reward that is not finite, a reference that is no distribution, or beta not above 0.

    References
    ----------
    Theorem 1 of chapter 1; Ziebart (2010), Modeling purposeful adaptive behavior.

    Examples
    --------
    >>> import numpy as np
    >>> gibbs_policy([[1.0, 0.0]], np.log([[0.5, 0.5]]), 1.0).round(4).tolist()
    [[0.7311, 0.2689]]
    """
    reward = as_float("reward", reward, ("X", "Y"))
    log_reference = as_log_reference(log_reference, reward.shape)
    return softmax(log_reference + in_nats(reward, beta), axis=-1)


def kl_divergence(policy: ArrayLike, log_reference: ArrayLike, *, prompt_weights: ArrayLike | None = None) -> float:
    """Return ``E_x KL(pi(.|x) || pi_ref(.|x))`` in nats; infinite where the policy leaves the reference's support.

    Parameters
    ----------
    policy : array_like, shape (X, Y)
        Probabilities; rows sum to one.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.

    Returns
    -------
    float
        In nats, at least 0.

    Raises
    ------
    ValueError
        On a wrong shape, or on rows that are no distributions.

    Examples
    --------
    >>> import numpy as np
    >>> round(kl_divergence([[1.0, 0.0]], np.log([[0.5, 0.5]])), 4)
    0.6931
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


def group_values(
    policy: ArrayLike,
    rewards: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return every group's value of a policy, ``F_u(pi) = E_x E_pi[r_u] - beta E_x KL(pi || pi_ref)``.

    Parameters
    ----------
    policy : array_like, shape (X, Y)
        Probabilities; rows sum to one.
    rewards : array_like, shape (U, X, Y)
        In logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.

    Returns
    -------
    ndarray, shape (U,)
        In logits.

    Raises
    ------
    ValueError
        On a wrong shape, rewards that are not finite, rows that are no distributions, or beta not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> group_values([[0.9, 0.1]], [[[1.0, 0.0]], [[0.0, 1.0]]], np.log([[0.5, 0.5]]), 0.1).round(4).tolist()
    [0.8632, 0.0632]
    """
    policy = as_policy("policy", policy)
    rewards = as_float("rewards", rewards, ("U", *policy.shape))
    beta = as_positive("beta", beta)
    penalty = beta * kl_divergence(policy, log_reference, prompt_weights=prompt_weights)
    prompt_weights = as_distribution("prompt_weights", prompt_weights, len(policy))
    return np.einsum("x,xy,uxy->u", prompt_weights, policy, rewards) - penalty


def best_values(
    rewards: ArrayLike, log_reference: ArrayLike, beta: float, *, prompt_weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the best value that every group could have alone.

    ::

        A(r_u) = beta E_x log sum_y pi_ref(y|x) exp(r_u(x, y) / beta)

    It is attained by `gibbs_policy` of each reward.

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        In logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.

    Returns
    -------
    ndarray, shape (U,)
        In logits.

    Raises
    ------
    ValueError
        On a wrong shape, rewards that are not finite, a reference that is no distribution, or beta not above 0.

    References
    ----------
    Theorem 1 of chapter 1.

    Examples
    --------
    >>> import numpy as np
    >>> best_values([[[1.0, 0.0]], [[0.0, 1.0]]], np.log([[0.5, 0.5]]), 0.1).round(4).tolist()
    [0.9307, 0.9307]
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
