"""Ball arithmetic: numbers with their error, at 256 bits, so that what is certain can be told from what is not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flint import arb

__all__ = ["as_ball", "ball_max", "ball_min"]

_BITS = 256


def flint() -> Any:
    """Return the module of ball arithmetic; ModuleNotFoundError says what to install."""
    try:
        import flint
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'flint: expected python-flint, which ball arithmetic needs: pip install "maxmin-core[book]"', name="flint"
        ) from error
    return flint


def precisely() -> AbstractContextManager[Any]:
    """Return the context in which balls are computed."""
    return flint().ctx.workprec(_BITS)


def in_full_precision(function):
    """Run a function in that context, whatever the precision around it."""

    @wraps(function)
    def run(*arguments):
        with precisely():
            return function(*arguments)

    return run


@in_full_precision
def as_ball(value: int | float | Fraction) -> arb:
    """Return the ball of a rational number, taken at its exact value.

    Parameters
    ----------
    value : int, float or fractions.Fraction
        The number; 0.1 is the nearest binary fraction, not a tenth.

    Returns
    -------
    flint.arb
        A ball of 256 bits that contains it.

    Examples
    --------
    >>> third = as_ball(Fraction(1, 3))
    >>> third.contains(0.3333), float(third.rad()) < 1e-76
    (False, True)
    """
    exact = Fraction(value)
    return flint().arb(flint().fmpq(exact.numerator, exact.denominator))


@in_full_precision
def ball_max(values: Sequence[arb]) -> arb:
    """Return a ball that contains the largest of the numbers that the balls stand for.

    Parameters
    ----------
    values : sequence of flint.arb
        At least one ball. Python's own ``max`` is not safe here: balls that overlap have no order.

    Returns
    -------
    flint.arb
        Their maximum; one of them, unchanged, where the comparisons are certain.

    Examples
    --------
    >>> float(ball_max([as_ball(1), as_ball(3), as_ball(2)]))
    3.0
    """
    top = values[0]
    for value in values[1:]:
        # Where the comparison is certain the ball is kept as it is; arb's own maximum widens it.
        top = value if value > top else top if value < top else top.max(value)
    return top


@in_full_precision
def ball_min(values: Sequence[arb]) -> arb:
    """Return a ball that contains the smallest of the numbers that the balls stand for.

    Parameters
    ----------
    values : sequence of flint.arb
        At least one ball. Python's own ``min`` is not safe here: balls that overlap have no order.

    Returns
    -------
    flint.arb
        Their minimum; one of them, unchanged, where the comparisons are certain.

    Examples
    --------
    >>> float(ball_min([as_ball(1), as_ball(3), as_ball(2)]))
    1.0
    """
    return -ball_max([-v for v in values])


def balls(values):
    """Return the balls of several rationals."""
    return [as_ball(v) for v in values]


def expit(margins):
    """Return sigma of every margin."""
    return [1 / (1 + (-m).exp()) for m in margins]


def dot(a, b):
    """Return the inner product, exactly where both are exact; with weights first it is a mean."""
    return sum((x * y for x, y in zip(a, b, strict=True)), 0 * a[0])


def square(value):
    """Return the square; arb's power goes through the logarithm, which a ball around zero has not."""
    return value * value


def norm(values):
    """Return the Euclidean norm."""
    return dot(values, values).sqrt()


def largest_eigenvalue(moment):
    """Return the largest eigenvalue of a symmetric matrix of size 1 or 2."""
    if len(moment) == 1:
        return moment[0][0]
    (a, b), (_, c) = moment
    return (a + c + (square(a - c) + 4 * square(b)).nonnegative_part().sqrt()) / 2


def inverse_form(moment, vector):
    """Return v^T H^{-1} v for H of size 1 or 2."""
    if len(moment) == 1:
        return square(vector[0]) / moment[0][0]
    (a, b), (_, c) = moment
    x, y = vector
    return (c * x * x - 2 * b * x * y + a * y * y) / (a * c - b * b)
