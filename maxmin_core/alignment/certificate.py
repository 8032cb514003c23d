"""What samples say of a certificate where texts cannot be counted: the dual value from below and above, the gap.

Chapter 9.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, stdtrit

from .._validation import as_float, as_positive

__all__ = ["best_value_estimates", "gap_limits"]


def best_value_estimates(
    reward: ArrayLike, log_ratio: ArrayLike, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate A(r) at each prompt from texts of any policy, once erring downward and once upward on average.

    With ``Z = exp(r / beta - log_ratio)``, ``E Z = exp(A / beta)``. Downward it is ``beta log mean Z``. Upward it is
    ``beta (b / a - 1 + log a)``, where a and b are the means of Z over two halves of the texts, averaged over both ways
    round, as ``log z <= z / a - 1 + log a``.

    Parameters
    ----------
    reward : array_like, shape (X, n)
        Of n texts drawn independently for each of X prompts.
    log_ratio : array_like, shape (X, n)
        ``log pi - log pi_ref`` of each text under the policy that drew it, in nats.
    beta : float
        KL strength, above 0, in units of the reward per nat.

    Returns
    -------
    low, high : ndarray, shape (X,)
        ``E low <= A <= E high``; high can be infinite where a few texts carry everything.

    Raises
    ------
    ValueError
        On wrong shapes, fewer than two texts, numbers that are not finite, or beta not above 0.

    References
    ----------
    The propositions of chapter 9.

    Examples
    --------
    >>> low, high = best_value_estimates([[1.0, 0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]], 1.0)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.6201], [0.6201])
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


def gap_limits(values: ArrayLike, low: ArrayLike, high: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return one-sided confidence limits of the gap ``A(r_w) - min_u F_u`` of a policy, each at the level.

    ``upper = max_u mean(high - F_u) + t se`` and ``lower = max_u mean(low - F_u) - t' se``, over prompts; t' shares the
    error among the groups, which t need not do, as the worst group is one. By Student's t: asymptotic in the number of
    prompts.

    Parameters
    ----------
    values : array_like, shape (U, X)
        An unbiased estimate of every F_u at every prompt; prompts drawn independently.
    low : array_like, shape (X,)
        The lower one of `best_value_estimates` for the weighted reward r_w.
    high : array_like, shape (X,)
        The upper one.
    level : float
        The confidence of each limit, in (0, 1).

    Returns
    -------
    lower, upper : float
        In units of the reward.

    Raises
    ------
    ValueError
        On wrong shapes, fewer than two prompts, or a level outside of (0, 1).

    Examples
    --------
    >>> lower, upper = gap_limits([[0.0, 0.1, 0.0], [0.2, 0.1, 0.3]], [0.2, 0.3, 0.2], [0.3, 0.4, 0.3])
    >>> round(lower, 3), round(upper, 3)
    (0.2, 0.391)
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
    return limits[0], limits[1]
