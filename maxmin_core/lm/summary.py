"""Sum up what runs measured: margins over rivals with their intervals, shares of a gain, numbers as text.

Imports no torch. Chapters 8 and 9.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from ..intervals import mean_interval

__all__ = ["Margin", "as_text", "effective_number", "least", "separated", "share_kept"]


class Margin(NamedTuple):
    """How far one method is ahead of another, on average over seeds.

    Parameters
    ----------
    mean : float
        Of the differences, seed by seed.
    half : float
        Half the width of their 95% interval.

    Examples
    --------
    >>> Margin(0.3, 0.1).excludes_zero
    True
    """

    mean: float
    half: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval does not contain zero."""
        return abs(self.mean) > self.half


def separated(margins: Mapping[str, Margin]) -> tuple[list[str], list[str], list[str]]:
    """Sort margins by what their intervals say.

    Parameters
    ----------
    margins : mapping of str to Margin
        Name of a rival to the margin over it.

    Returns
    -------
    ahead : list of str
        Rivals over which the interval lies above zero.
    open : list of str
        Rivals with an interval that contains zero.
    behind : list of str
        Rivals with an interval below zero.

    Examples
    --------
    >>> separated({"average": Margin(0.3, 0.1), "soup": Margin(0.1, 0.2), "oracle": Margin(-0.5, 0.1)})
    (['average'], ['soup'], ['oracle'])
    """
    ahead = [name for name, margin in margins.items() if margin.excludes_zero and margin.mean > 0]
    behind = [name for name, margin in margins.items() if margin.excludes_zero and margin.mean <= 0]
    return ahead, [name for name, margin in margins.items() if not margin.excludes_zero], behind


def least(margins: Mapping[str, Margin]) -> tuple[str, float, tuple[float, float]]:
    """Return the rival that comes closest, the margin over it, and an interval for the least of all margins.

    Parameters
    ----------
    margins : mapping of str to Margin
        Name of a rival to the margin over it.

    Returns
    -------
    name : str
        Of the rival with the smallest margin.
    mean : float
        That margin.
    interval : tuple of float
        From the lowest of all lower limits to the upper limit of that margin.

    Examples
    --------
    >>> least({"average": Margin(0.5, 0.4), "soup": Margin(0.25, 0.125)})
    ('soup', 0.25, (0.09999999999999998, 0.375))
    """
    name = min(margins, key=lambda rival: margins[rival].mean)
    lowest = min(margin.mean - margin.half for margin in margins.values())
    return name, margins[name].mean, (lowest, margins[name].mean + margins[name].half)


def share_kept(values: ArrayLike, full: ArrayLike, origin: float, *, least: float | None = None) -> NDArray[np.float64]:
    """Return which part of one method's gain over the reference another method keeps, seed by seed.

    ``(values - origin) / (full - origin)``.

    Parameters
    ----------
    values : array_like, shape (S,)
        What the method gives.
    full : array_like, shape (S,)
        What the other gives.
    origin : float
        What the reference gives.
    least : float or None
        A smaller gain of the other method counts as this; None leaves it.

    Returns
    -------
    ndarray, shape (S,)

    Examples
    --------
    >>> share_kept([1.0, 2.0], [2.0, 2.0], 1.0).tolist()
    [0.0, 1.0]
    """
    gain = np.asarray(full, dtype=float) - origin
    return (np.asarray(values, dtype=float) - origin) / (gain if least is None else np.maximum(gain, least))


def as_text(draws: ArrayLike, form: str) -> list[str]:
    """Return mean and half-width over seeds as text, one for each column of the draws.

    Parameters
    ----------
    draws : array_like, shape (S,) or (S, U)
        One row a seed.
    form : str
        How a number is written, such as ``+.2f``; a half-width has no sign.

    Returns
    -------
    list of str
        Without a half-width where all seeds agree, up to rounding.

    Raises
    ------
    ValueError
        On fewer than two seeds.

    Examples
    --------
    >>> [text.replace(chr(160), " ") for text in as_text([[1.0, 0.5], [2.0, 0.5]], "+.1f")]
    ['+1.5 ± 6.4', '+0.5']
    """
    # z: no minus before what is rounded to zero.
    signed, plain = form.replace("+", "+z") if "+" in form else f"z{form}", form.lstrip("+")
    return [
        f"{centre:{signed}}\u00a0±\u00a0{half:{plain}}" if half > 1e-12 else f"{centre:{signed}}"
        for centre, half in zip(*np.atleast_1d(*mean_interval(draws)), strict=True)
    ]


def effective_number(log_weights: ArrayLike) -> NDArray[np.float64]:
    """Return how many equal weights would say as much: ``(sum w)^2 / sum w^2``.

    Parameters
    ----------
    log_weights : array_like, shape (..., n)
        Logarithms of the weights, up to a constant.

    Returns
    -------
    ndarray, shape (...)
        Between 1 and n.

    Examples
    --------
    >>> effective_number([0.0, 0.0, -50.0]).round(3).item()
    2.0
    """
    log_weights = np.asarray(log_weights, dtype=float)
    return np.exp(2 * logsumexp(log_weights, axis=-1) - logsumexp(2 * log_weights, axis=-1))
