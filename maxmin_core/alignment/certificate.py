"""What samples say of a certificate where texts cannot be counted: the dual value from below and above, the gap.

Chapter 9.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, logsumexp, stdtrit

from .._validation import as_float, as_positive, is_count
from .solution import max_min

__all__ = ["best_value_estimates", "dual_weights", "gap_limits", "part_closed_limits"]


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


def dual_weights(rewards: ArrayLike, log_ratio: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Choose the group weights whose dual value, estimated from texts of any policy, is least.

    They minimise the mean over prompts of the lower one of `best_value_estimates` for the reward that they weigh. If
    the texts that were drawn are the only responses, each as likely under the reference as ``exp(-log_ratio)`` says,
    that is max-min alignment, which `max_min` solves exactly. A limit that is to hold at these weights needs other
    prompts: on those that chose them the estimate is too low.

    Parameters
    ----------
    rewards : array_like, shape (U, X, n)
        Of n texts drawn independently for each of X prompts.
    log_ratio : array_like, shape (X, n)
        ``log pi - log pi_ref`` of each text under the policy that drew it, in nats.
    beta : float
        KL strength, above 0, in units of the rewards per nat.

    Returns
    -------
    ndarray, shape (U,)
        Not negative; they sum to one.

    Raises
    ------
    ValueError
        On wrong shapes, numbers that are not finite, or beta not above 0.

    Examples
    --------
    Two texts, and two groups who want one each:

    >>> dual_weights([[[1.0, 0.0]], [[0.0, 1.0]]], [[0.0, 0.0]], 0.5).round(3).tolist()
    [0.5, 0.5]
    """
    rewards = as_float("rewards", rewards, ("U", "X", "n"))
    log_ratio = as_float("log_ratio", log_ratio, rewards.shape[1:])
    return max_min(rewards, log_softmax(-log_ratio, axis=1), beta).weights


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


def part_closed_limits(
    values: ArrayLike,
    start: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int | np.random.Generator = 0,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return which part of the distance from the reference to the optimum is closed, and its interval by the bootstrap.

    The part is ``(min_u F_u - m) / (A - m)`` with ``m = min_v F_v(reference)``. It is estimated once with the high
    estimate of the dual value, which errs towards too small a part, and once with the least of the low ones, which errs
    towards too large a one. A minimum of several means errs downward, too; so the interval takes its quantiles, over
    resampled prompts, of each group by itself, at a level that shares the error among the U groups::

        lower = min_u max_v quantile((1 - level) / (2 U),     (F_u - F_v(reference)) / (A_high - F_v(reference)))
        upper = min_u       quantile(1 - (1 - level) / (2 U), (F_u - m) / (A_low - m))

    Parameters
    ----------
    values : array_like, shape (U, X)
        An unbiased estimate of every F_u of the policy at every prompt; prompts drawn independently.
    start : array_like, shape (U, X)
        The same for the reference, on the same prompts.
    low : array_like, shape (W, X)
        The lower one of `best_value_estimates` for W weighted rewards, the dual's own weights among them.
    high : array_like, shape (X,)
        The upper one for weights that other prompts chose.
    level : float
        The confidence of the interval, in (0, 1).
    n_resamples : int
        How many times to resample the prompts.
    seed : int or numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    parts : (float, float)
        The part with the high estimate, and with the low one.
    interval : (float, float)
        Its ends; infinite where too many resamples put the optimum below the reference.

    Raises
    ------
    ValueError
        On wrong shapes, fewer than two prompts, a level outside of (0, 1), a number of resamples below 1, or estimates
        that put the optimum below the reference.

    References
    ----------
    The theorem of chapter 9 on weights from other prompts; Efron (1979), Bootstrap methods: another look at the
    jackknife. Annals of Statistics 7(1).

    Examples
    --------
    The worst-off group rises from 0 to 1 on the way to 2, or to 4 by the high estimate:

    >>> parts, interval = part_closed_limits([[1.0, 1.0]], [[0.0, 0.0]], [[2.0, 2.0]], [4.0, 4.0])
    >>> parts, interval
    ((0.25, 0.5), (0.25, 0.5))
    """
    values = as_float("values", values, ("U", "X"))
    start = as_float("start", start, values.shape)
    n_groups, n = values.shape
    low, high = as_float("low", low, ("W", n)), as_float("high", high, (n,))
    if n < 2:
        raise ValueError(f"values: expected at least two prompts, got {n}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")
    if not is_count(n_resamples):
        raise ValueError(f"n_resamples: expected an integer of at least 1, got {n_resamples!r}")

    def means(share):
        """By the share of every prompt, (..., X): after (..., U, 1), before (..., 1, U), both duals (2, ..., 1, 1)."""
        dual = np.array([share @ high, (share @ low.T).min(axis=-1)])
        return (share @ values.T)[..., :, None], (share @ start.T)[..., None, :], dual[..., None, None]

    def part(after, before, dual, unknown):
        # Where the optimum is put below the reference, nothing is known of the part.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(dual > before, (after - before) / (dual - before), unknown)

    after, before, dual = means(np.full(n, 1 / n))
    found = part(after.min(), before.min(), dual[:, 0, 0], np.nan)
    if not np.isfinite(found).all():
        raise ValueError("low, high: expected an optimum above the reference's worst value, got one below")
    after, before, dual = means(np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_resamples) / n)
    error = (1 - level) / 2 / n_groups
    # The larger dual value makes a part smaller, unless it is negative: take both.
    few = part(after, before, dual, -np.inf).min(axis=0)
    many = part(after, before.min(axis=-1, keepdims=True), dual, np.inf).max(axis=0)[..., 0]
    lower = np.quantile(few, error, axis=0, method="lower").max(axis=1).min()
    upper = np.quantile(many, 1 - error, axis=0, method="higher").min()
    return (float(found[0]), float(found[1])), (float(lower), float(upper))
