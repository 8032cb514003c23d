"""Differences that keep their digits where the plain formula cancels."""

import numpy as np
from scipy.special import expit

__all__ = ["exp_remainder", "probability_difference"]


def exp_remainder(t):
    """Return e^t - 1 - t, at least zero, with full relative precision, for an array of t below 700."""
    found = np.expm1(t) - t
    near = np.abs(t) < 1e-2
    t = t[near]
    found[near] = t * t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t / 720))))
    return found


def probability_difference(a, b):
    """Return sigma(a) - sigma(b) with full relative precision, also where both round to one."""
    high, low = np.maximum(a, b), np.minimum(a, b)
    return np.sign(a - b) * expit(high) * expit(-low) * -np.expm1(low - high)
