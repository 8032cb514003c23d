"""Argument checks shared by the core: every error names the argument, what was expected and what came."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def as_float(
    name: str, value: ArrayLike | None, shape: Sequence[int | str | None], *, finite: bool = True
) -> NDArray[np.float64]:
    """Return a value as a float64 array of a shape.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    value : array_like
        Real numbers.
    shape : sequence of int, str or None
        A length an axis; a name or None stands for any length.
    finite : bool, optional
        Whether NaN and infinity are refused.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On a wrong number of axes, a wrong length, what is no number, or what is not finite.

    Examples
    --------
    >>> as_float("margin", [1, 2], ("n",))
    array([1., 2.])
    >>> as_float("margin", [[1, 2]], ("n",))
    Traceback (most recent call last):
    ValueError: margin: expected shape (n,), got (1, 2)
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


def as_index(name: str, value: ArrayLike, size: int | None = None, length: int | None = None) -> NDArray[np.int64]:
    """Return a value as an int64 array of indices.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    value : array_like, shape (length,)
        Integers from 0 on.
    size : int, optional
        How many things there are to point at; any number without it.
    length : int, optional
        How many indices there must be; any number without it.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On other than integers, a wrong shape, or an index outside of the things.
    """
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


def is_count(value: object) -> bool:
    """Tell whether a value is an integer of at least one.

    Parameters
    ----------
    value : object
        True and 2.0 are none.

    Returns
    -------
    bool
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def as_positive(name: str, value: ArrayLike) -> float:
    """Return a value as a number above zero.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    value : float
        Finite.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        On zero, a negative number, or what is no finite number.
    """
    number = as_float(name, value, ())
    if number <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {number}")
    return float(number)


def as_distribution(name: str, value: ArrayLike | None, length: int) -> NDArray[np.float64]:
    """Return a value as non-negative weights that sum to one.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    value : array_like, shape (length,), or None
        None means equal weights.
    length : int
        How many there must be, at least one.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On a wrong shape, a negative weight, or a sum that differs from one by more than 1e-9. Weights in single
        precision may be off by 1e-5; they are divided by their sum.
    """
    if length == 0:
        raise ValueError(f"{name}: expected weights of at least one thing, got nothing to weigh")
    if value is None:
        return np.full(length, 1.0 / length)
    weights = as_float(name, value, (length,))
    if (weights < 0).any() or abs(weights.sum() - 1.0) > _most_off(weights, weights.sum()):
        raise ValueError(
            f"{name}: expected non-negative weights that sum to 1, got minimum {weights.min()} and sum {weights.sum()}"
            + _HINT
        )
    return _divided(weights, weights.sum())


def as_policy(name: str, value: ArrayLike, shape: Sequence[int | str | None] = ("X", "Y")) -> NDArray[np.float64]:
    """Return probabilities whose rows sum to one.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    value : array_like, shape (X, Y)
        One row a prompt, one probability a response.
    shape : sequence of int, str or None, optional
        As in `as_float`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On a wrong shape, a negative probability, or a row whose sum differs from one by more than 1e-9. Rows in
        single precision may be off by 1e-5; they are divided by their sums.
    """
    policy = as_float(name, value, shape)
    total = policy.sum(axis=-1)
    if (policy < 0).any() or (np.abs(total - 1.0) > _most_off(policy, total)).any():
        raise ValueError(
            f"{name}: expected rows that are distributions, got minimum {policy.min()} "
            f"and row sums in [{total.min()}, {total.max()}]" + _HINT
        )
    return _divided(policy, total)


def as_log_reference(value: ArrayLike, shape: Sequence[int | str | None] = ("X", "Y")) -> NDArray[np.float64]:
    """Return log-probabilities whose rows sum to one in probability.

    Parameters
    ----------
    value : array_like, shape (X, Y)
        In nats; minus infinity masks a response.
    shape : sequence of int, str or None, optional
        As in `as_float`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On a wrong shape, NaN or plus infinity, or a row whose sum differs from one by more than 1e-9. Rows in single
        precision, such as any float32 ``log_softmax``, may be off by 1e-5; they are renormalised in double precision.
    """
    log_reference = as_float("log_reference", value, shape, finite=False)
    if np.isnan(log_reference).any() or (log_reference == np.inf).any():
        raise ValueError("log_reference: expected log-probabilities (finite or -inf), got NaN or +inf")
    total = np.exp(log_reference).sum(axis=-1)
    if (np.abs(total - 1.0) > _most_off(log_reference, total)).any():
        row = int(np.argmax(np.abs(total - 1.0)))
        raise ValueError(
            f"log_reference: expected rows that sum to 1 in probability, got {total[row]:.12g} in row {row}" + _HINT
        )
    off = np.abs(total - 1.0) > _EXACT
    return (
        np.where(off[..., None], log_reference - np.log(total)[..., None], log_reference)
        if off.any()
        else log_reference
    )


# What sums may be off by in double precision, and in single precision, where a row of many numbers is that far off.
_EXACT, _SINGLE = 1e-9, 1e-5
_HINT = "; 1e-9 is allowed, in single precision 1e-5: divide by the sums in double precision"


def _most_off(values, total):
    """Return how far sums may be from one: more where single precision holds every value."""
    if (np.abs(total - 1.0) <= _EXACT).all():
        return _EXACT
    with np.errstate(over="ignore"):
        return _SINGLE if (values == values.astype(np.float32)).all() else _EXACT


def _divided(values, total):
    """Return values with the rows divided whose sums are visibly off; the others as they came."""
    off = np.abs(total - 1.0) > _EXACT
    return np.where(off[..., None], values / np.where(off, total, 1.0)[..., None], values) if off.any() else values


def as_rewards(value: ArrayLike) -> NDArray[np.float64]:
    """Return rewards of at least one group.

    Parameters
    ----------
    value : array_like, shape (U, X, Y)
        In logits.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        On a wrong shape, what is not finite, or no group.
    """
    rewards = as_float("rewards", value, ("U", "X", "Y"))
    if not len(rewards):
        raise ValueError("rewards: expected at least one group, got none")
    return rewards


def in_nats(reward: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Return a reward in units of the divergence, ``reward / beta``.

    Parameters
    ----------
    reward : ndarray
        In logits.
    beta : float
        Strength of the KL penalty, in logits per nat, above zero.

    Returns
    -------
    ndarray
        In nats.

    Raises
    ------
    ValueError
        On ``beta`` at or below zero, or so small that the quotient overflows.
    """
    with np.errstate(over="ignore"):
        nats = reward / as_positive("beta", beta)
    if not np.isfinite(nats).all():
        raise ValueError(f"beta: expected a number that reward / beta does not overflow with, got {beta}")
    return nats
