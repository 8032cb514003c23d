"""What the welfare functions are made of: checked shares and values, and the parts of a dual problem that are empty."""

import numpy as np

from .._validation import as_distribution, as_float

__all__ = ["as_shares", "as_values", "no_cost", "no_room"]


def as_shares(weights):
    return None if weights is None else as_distribution("weights", as_float("weights", weights, ("U",)), len(weights))


def as_values(v):
    v = as_float("v", v, ("U",))
    if not len(v):
        raise ValueError("v: expected the value of at least one group, got none")
    return v


def no_cost(w):
    """Return c(w) = 0 with its derivatives."""
    return 0.0, np.zeros(len(w)), np.zeros(len(w))


def no_room(w):
    """Return no inequality: C is the whole simplex."""
    return np.zeros(0), np.zeros((0, len(w))), np.zeros((0, len(w)))
