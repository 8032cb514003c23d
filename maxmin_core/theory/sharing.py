"""The price of sharing: what somebody loses under any single policy.

Chapter 3.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_distribution, as_policy
from ..alignment import Regret, Solution, solve
from .gaps import alignment_gap

__all__ = ["chernoff_information", "price_of_sharing"]


def price_of_sharing(
    rewards: ArrayLike, log_reference: ArrayLike, beta: float, *, prompt_weights: ArrayLike | None = None
) -> Solution:
    """Return the policy with the smallest worst gap, and the certificate that no single policy has a smaller one.

    ``min_pi max_u Gap_u(pi) = max_w [sum_u w_u A(r_u) - A(sum_u w_u r_u)]``; for two groups it is beta times the
    Chernoff information of their policies.

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        The reward of every group for every response, in logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy, rows sum to one in probability; -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    Solution
        Its values are minus the gaps: the price lies between -dual and -primal.

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, or beta at or below 0.

    Examples
    --------
    Two opposite groups, two responses: the best single policy is the reference, which costs either as much.

    >>> half = np.log([[0.5, 0.5]])
    >>> price = price_of_sharing([[[2.0, 0.0]], [[0.0, 2.0]]], half, 1.0)
    >>> price.policy.round(3), round(float(-price.dual), 4)
    (array([[0.5, 0.5]]), 0.4338)
    """
    solution = solve(Regret(), rewards, log_reference, beta, prompt_weights=prompt_weights)
    gap_of = [
        alignment_gap(solution.policy, reward, log_reference, beta, prompt_weights=prompt_weights)
        for reward in np.asarray(rewards)
    ]
    return replace(solution, values=-np.array(gap_of))


def chernoff_information(policy: ArrayLike, other: ArrayLike, *, prompt_weights: ArrayLike | None = None) -> float:
    """Return the Chernoff information of two policies, over prompts with one exponent for all.

    ``max_w -E_x log sum_y policy^w other^(1-w)``, w in [0, 1].

    Parameters
    ----------
    policy : array_like, shape (X, Y)
        A policy; rows sum to one.
    other : array_like, shape (X, Y)
        Another.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    float
        In nats, at least 0; infinite where the two have no response in common.

    Raises
    ------
    ValueError
        On shapes that do not fit, or rows that are no distributions.

    References
    ----------
    H. Chernoff, A measure of asymptotic efficiency for tests of a hypothesis based on the sum of observations, Annals
    of Mathematical Statistics 23 (1952).

    Examples
    --------
    >>> round(chernoff_information([[0.75, 0.25]], [[0.25, 0.75]]), 4)
    0.1438
    """
    from scipy.optimize import minimize_scalar  # slow to import

    one = as_policy("policy", policy)
    two = as_policy("other", other, one.shape)
    weights = as_distribution("prompt_weights", prompt_weights, len(one))
    one, two, weights = (part[weights > 0] for part in (one, two, weights))
    both = (one > 0) & (two > 0)
    if (~both.any(axis=-1)).any():
        return np.inf  # no response in common
    p, q = np.where(both, one, 1.0), np.where(both, two, 1.0)
    t = (q - p) / p
    log_ratio = np.where(np.abs(t) < 0.5, np.log1p(np.maximum(t, -0.5)), np.log(q) - np.log(p))

    def overlap(w):
        # 1 - sum p^w q^(1-w) = sum w p + (1 - w) q - p^w q^(1-w), no term of which is negative.
        apart = one * np.where(both, (1 - w) * t - np.expm1((1 - w) * log_ratio), 0.0)
        apart = (apart + np.where(both, 0.0, w * one + (1 - w) * two)).sum(axis=-1)
        common = np.where(both, np.exp(w * np.log(p) + (1 - w) * np.log(q)), 0.0).sum(axis=-1)
        return weights @ np.where(apart < 0.5, np.log1p(-np.minimum(apart, 0.5)), np.log(common))

    # At its ends the overlap is that of the common support.
    found = minimize_scalar(overlap, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun
    return float(max(0.0, -found))
