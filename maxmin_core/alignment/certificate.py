"""What samples say of a certificate where texts cannot be counted: the dual value from below and above, the gap."""

import numpy as np
from scipy.special import logsumexp, stdtrit

from .._validation import as_float, as_positive

__all__ = ["best_value_estimates", "gap_limits"]


def best_value_estimates(reward, log_ratio, beta):
    """Estimate A(r) at each prompt from texts of any policy, once erring downward and once upward on average.

    With Z = exp(r / beta - log_ratio), E Z = exp(A / beta). Downward: beta log mean Z. Upward: beta (b / a - 1 +
    log a), a and b the means of Z over two halves of the texts, averaged over both ways round, as log z <= z / a - 1 +
    log a.

    Parameters
    ----------
    reward : (X, n) float, of n texts drawn independently for each of X prompts
    log_ratio : (X, n) float, log pi - log pi_ref of each text under the policy that drew it, in nats
    beta : float above 0, units of the reward per nat

    Returns
    -------
    (low, high), (X,) float each: E low <= A <= E high; high can be infinite where a few texts carry everything

    Raises
    ------
    ValueError
        On wrong shapes, fewer than two texts, numbers that are not finite, or beta <= 0.

    Source: Propositions of chapter 9.
    """
    reward = as_float("reward", reward, ("X", "n"))
    log_ratio = as_float("log_ratio", log_ratio, reward.shape)
    beta, n = as_positive("beta", beta), reward.shape[1]
    if n < 2:
        raise ValueError(f"reward: expected at least two texts for each prompt, got {n}")
    log_z = reward / beta - log_ratio
    low = logsumexp(log_z, axis=1) - np.log(n)
    half = n // 2
    a = logsumexp(log_z[:, :half], axis=1) - np.log(half)
    b = logsumexp(log_z[:, half:], axis=1) - np.log(n - half)
    with np.errstate(over="ignore"):
        high = (np.expm1(b - a) + np.expm1(a - b) + a + b) / 2
    return beta * low, beta * high


def gap_limits(values, low, high, level=0.95):
    """Return one-sided confidence limits of the gap A(r_w) - min_u F_u of a policy, each at `level`.

    upper = max_u mean(high - F_u) + t se, lower = max_u mean(low - F_u) - t' se, over prompts; t' shares the error
    among the groups, t need not, as the worst group is one. By Student's t: asymptotic in the number of prompts.

    Parameters
    ----------
    values : (U, X) float, an unbiased estimate of every F_u at every prompt; prompts drawn independently
    low, high : (X,) float, `best_value_estimates` of r_w
    level : float in (0, 1)

    Returns
    -------
    (lower, upper), floats in units of the reward

    Raises
    ------
    ValueError
        On wrong shapes, fewer than two prompts, or a level outside of (0, 1). Chapter 9.
    """
    values = as_float("values", values, ("U", "X"))
    n_groups, n = values.shape
    if n < 2:
        raise ValueError(f"values: expected at least two prompts, got {n}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")
    limits = []
    for dual, sign, error in ((low, -1, (1 - level) / n_groups), (high, 1, 1 - level)):
        short = as_float("low, high", dual, (n,)) - values
        width = stdtrit(n - 1, 1 - error) * short.std(axis=1, ddof=1) / np.sqrt(n)
        limits.append(float((short.mean(axis=1) + sign * width).max()))
    return tuple(limits)
