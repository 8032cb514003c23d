"""What the welfare functions are made of: checked shares and values, and the parts of a dual problem that are empty."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_distribution, as_float

__all__ = ["Floats", "as_shares", "as_values", "no_cost", "no_room"]

Floats = NDArray[np.float64]


def as_shares(weights: ArrayLike | None) -> Floats | None:
    """Return the shares of a welfare, checked, or None where none were given."""
    if weights is None:
        return None
    shares = as_float("weights", weights, ("U",))
    return as_distribution("weights", shares, len(shares))


def as_values(v: ArrayLike) -> Floats:
    """Return the groups' values, checked: at least one, all finite."""
    v = as_float("v", v, ("U",))
    if not len(v):
        raise ValueError("v: expected the value of at least one group, got none")
    return v


def no_cost(w: Floats) -> tuple[float, Floats, Floats]:
    """Return c(w) = 0 with its derivatives."""
    return 0.0, np.zeros(len(w)), np.zeros(len(w))


def no_room(w: Floats) -> tuple[Floats, Floats, Floats]:
    """Return no inequality: C is the whole simplex."""
    return np.zeros(0), np.zeros((0, len(w))), np.zeros((0, len(w)))
