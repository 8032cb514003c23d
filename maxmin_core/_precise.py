"""Differences that keep their digits where the plain formula cancels."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["exp_remainder", "probability_change", "probability_difference"]


def exp_remainder(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``e^t - 1 - t`` with full relative precision.

    Parameters
    ----------
    t : ndarray, any shape
        Numbers below 700.

    Returns
    -------
    ndarray, of the same shape
        At least zero.

    Examples
    --------
    >>> [f"{x:.6g}" for x in exp_remainder(np.array([0.0, 1e-9, 1.0]))]
    ['0', '5e-19', '0.718282']
    """
    found = np.expm1(t) - t
    near = np.abs(t) < 1e-2
    t = t[near]
    found[near] = t * t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t / 720))))
    return found


def probability_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sigma(a) - sigma(b)`` with full relative precision, also where both round to one.

    Parameters
    ----------
    a : ndarray, any shape
        Margins, in logits.
    b : ndarray, of a shape that broadcasts with it
        Margins, in logits.

    Returns
    -------
    ndarray
        Differences of probabilities, in [-1, 1].

    Examples
    --------
    >>> f"{probability_difference(np.array(50.0), np.array(40.0)):.6g}"
    '4.24816e-18'
    """
    high, low = np.maximum(a, b), np.minimum(a, b)
    return np.sign(a - b) * expit(high) * expit(-low) * -np.expm1(low - high)


def probability_change(margin: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sigma(margin + change) - sigma(margin)`` with full relative precision, however small the change.

    Parameters
    ----------
    margin : ndarray, any shape
        Margins, in logits.
    change : ndarray, of a shape that broadcasts with it
        How much they change, in logits.

    Returns
    -------
    ndarray
        Differences of probabilities, in [-1, 1].

    Examples
    --------
    >>> f"{probability_change(np.array(2.0), np.array(1e-20)):.6g}"
    '1.04994e-21'
    """
    high, low = margin + np.maximum(change, 0.0), margin + np.minimum(change, 0.0)
    return np.sign(change) * expit(high) * expit(-low) * -np.expm1(-np.abs(change))
