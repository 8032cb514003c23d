"""Argument checks shared by the core: every error names the argument, what was expected and what came."""

import numpy as np

__all__ = [
    "as_distribution",
    "as_float",
    "as_index",
    "as_log_reference",
    "as_policy",
    "as_positive",
    "as_rewards",
    "in_nats",
    "is_count",
]


def _expected(shape):
    names = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({names},)" if len(shape) == 1 else f"({names})"


def as_float(name, value, shape, *, finite=True):
    """Return `value` as a float64 array of `shape`; a string or None in `shape` stands for any length of that name.

    Raises ValueError on a wrong number of axes, a wrong length, a value that is no number, or (unless `finite` is
    false) NaN and infinity.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected shape {_expected(shape)}, got rows of different lengths") from error
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(f"{name}: expected real numbers of shape {_expected(shape)}, got {value!r:.80}")
    array = array.astype(np.float64)
    fixed = all(not isinstance(want, int) or want == have for want, have in zip(shape, array.shape, strict=False))
    if array.ndim != len(shape) or not fixed:
        raise ValueError(f"{name}: expected shape {_expected(shape)}, got {array.shape}")
    if finite and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: expected finite numbers, got {array[where]} at index {where}")
    return array


def as_index(name, value, size=None, length=None):
    """Return `value` as an int64 array of shape (length,) with entries in [0, size); ValueError otherwise."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, got dtype {array.dtype}")
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise ValueError(f"{name}: expected shape ({'any' if length is None else length},), got {array.shape}")
    array = array.astype(np.int64)
    bad = (array < 0) if size is None else (array < 0) | (array >= size)
    if bad.any():
        position = int(np.argmax(bad))
        limit = "at least 0" if size is None else f"in 0..{size - 1}"
        raise ValueError(f"{name}: expected indices {limit}, got {array[position]} at position {position}")
    return array


def is_count(value):
    """Tell whether `value` is an integer of at least one; True and 2.0 are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1


def as_positive(name, value):
    """Return `value` as a float above zero; ValueError otherwise."""
    number = as_float(name, value, ())
    if number <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {number}")
    return float(number)


def as_distribution(name, value, length):
    """Return `value` as non-negative weights of shape (length,) that sum to one; None means equal weights."""
    if length == 0:
        raise ValueError(f"{name}: expected weights of at least one thing, got nothing to weigh")
    if value is None:
        return np.full(length, 1.0 / length)
    weights = as_float(name, value, (length,))
    if (weights < 0).any() or abs(weights.sum() - 1.0) > 1e-9:
        raise ValueError(
            f"{name}: expected non-negative weights that sum to 1, got minimum {weights.min()} and sum {weights.sum()}"
        )
    return weights


def as_policy(name, value, shape=("X", "Y")):
    """Return probabilities of shape (X, Y) whose rows sum to one; ValueError otherwise."""
    policy = as_float(name, value, shape)
    total = policy.sum(axis=-1)
    if (policy < 0).any() or (np.abs(total - 1.0) > 1e-9).any():
        raise ValueError(
            f"{name}: expected rows that are distributions, got minimum {policy.min()} "
            f"and row sums in [{total.min()}, {total.max()}]"
        )
    return policy


def as_log_reference(value, shape=("X", "Y")):
    """Return log-probabilities of shape (X, Y) whose rows sum to one in probability; -inf masks a response."""
    log_reference = as_float("log_reference", value, shape, finite=False)
    if np.isnan(log_reference).any() or (log_reference == np.inf).any():
        raise ValueError("log_reference: expected log-probabilities (finite or -inf), got NaN or +inf")
    total = np.exp(log_reference).sum(axis=-1)
    if (np.abs(total - 1.0) > 1e-9).any():
        row = int(np.argmax(np.abs(total - 1.0)))
        raise ValueError(
            f"log_reference: expected rows that sum to 1 in probability, got {total[row]:.12g} in row {row}"
        )
    return log_reference


def as_rewards(value):
    """Return rewards of shape (U, X, Y) of at least one group; ValueError otherwise."""
    rewards = as_float("rewards", value, ("U", "X", "Y"))
    if not len(rewards):
        raise ValueError("rewards: expected at least one group, got none")
    return rewards


def in_nats(reward, beta):
    """Return reward / beta; ValueError on beta <= 0 or a quotient that overflows."""
    with np.errstate(over="ignore"):
        nats = reward / as_positive("beta", beta)
    if not np.isfinite(nats).all():
        raise ValueError(f"beta: expected a number that reward / beta does not overflow with, got {beta}")
    return nats
