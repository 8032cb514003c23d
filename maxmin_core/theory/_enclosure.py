"""The single reward, enclosed in balls that certainly contain it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ._balls import balls, dot, expit, flint, precisely
from ._mismatch import Instances

if TYPE_CHECKING:
    from flint import arb

__all__ = ["enclose_mle"]

Rational = int | float | Fraction


def enclose_mle(
    weights: Sequence[Rational],
    parameters: Sequence[Sequence[Rational]],
    difference: Sequence[Sequence[Rational]],
    pair_weights: Sequence[Rational],
) -> list[arb]:
    """Return balls that certainly contain the single reward phi*, by Krawczyk's test at 256 bits.

    A box X around a floating solution m is accepted when ``m - C f(m) + (1 - C J(X)) (X - m)`` lies inside X: then
    ``f(phi) = E_rho[(sigma(<phi, Dpsi>) - p_bar) Dpsi]`` has exactly one zero in it, and phi* is the only zero there
    is.

    Parameters
    ----------
    weights : sequence of rationals, length U
        Shares of the groups.
    parameters : sequence of U sequences of d rationals
        Bradley-Terry parameters of the groups, in logits per unit of feature; d is 1 or 2.
    difference : sequence of n sequences of d rationals
        Differences of features of the compared pairs, of full rank.
    pair_weights : sequence of rationals, length n
        The distribution rho over the pairs.

    Returns
    -------
    list of flint.arb, length d
        The enclosure.

    Raises
    ------
    ValueError
        Where the pairs are not of full rank, or no box is accepted.

    References
    ----------
    R. Krawczyk, Newton-Algorithmen zur Bestimmung von Nullstellen mit Fehlerschranken, Computing 4 (1969).

    Examples
    --------
    >>> (ball,) = enclose_mle((Fraction(1, 2), Fraction(1, 2)), ((0,), (2,)), ((1,),), (1,))
    >>> round(float(ball), 4)
    0.802
    """
    arb, arb_mat = flint().arb, flint().arb_mat
    with precisely():
        z = arb_mat([balls(row) for row in difference])
        rho = balls(pair_weights)
        groups = [expit(margin) for margin in margins(parameters, difference)]
        shares = balls(weights)
        pooled = [
            sum((w * p for w, p in zip(shares, group, strict=True)), arb(0)) for group in zip(*groups, strict=True)
        ]
        n, d = z.nrows(), z.ncols()

        def gradient(at):
            p = expit((z * at).entries())
            return z.transpose() * arb_mat(n, 1, [r * (a - b) for r, a, b in zip(rho, p, pooled, strict=True)])

        def jacobian(at):
            margin = (z * at).entries()
            # sigma(m) sigma(-m) keeps its digits where 1 - sigma(m) has none left.
            slope = [r * p * q for r, p, q in zip(rho, expit(margin), expit([-m for m in margin]), strict=True)]
            return z.transpose() * arb_mat([[slope[i] * z[i, j] for j in range(d)] for i in range(n)])

        def inverse_at(at):
            try:
                return arb_mat(d, d, [v.mid() for v in jacobian(at).inv().entries()])
            except ZeroDivisionError:
                raise ValueError("difference: expected pairs of full rank, got a singular second moment") from None

        as_floats = (np.array([[float(v) for v in row] for row in a]) for a in (parameters, difference))
        instance = (np.array([float(w) for w in weights]), *as_floats, np.array([float(w) for w in pair_weights]))
        start = Instances(*(part[None] for part in instance)).single_reward[0]
        if not np.isfinite(start).all():
            raise ValueError("parameters: expected a single reward that double precision resolves, got none")
        middle = arb_mat(d, 1, [arb(float(v)) for v in start])
        for _ in range(6):
            newton = middle - inverse_at(middle) * gradient(middle)
            middle = arb_mat(d, 1, [v.mid() for v in newton.entries()])
        inverse = inverse_at(middle)
        identity = arb_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
        for radius in (1e-60, 1e-50, 1e-40, 1e-30, 1e-20, 1e-12, 1e-6):
            box = arb_mat(d, 1, [arb(v, radius) for v in middle.entries()])
            image = middle - inverse * gradient(middle) + (identity - inverse * jacobian(box)) * (box - middle)
            if all(outer.contains_interior(inner) for outer, inner in zip(box.entries(), image.entries(), strict=True)):
                return image.entries()
    raise ValueError("parameters: expected a single reward that Krawczyk's test encloses, got none")


def margins(parameters, difference):
    """Return <phi, Dpsi> of every parameter on every pair, balls."""
    z = [balls(row) for row in difference]
    return [[dot(balls(phi), row) for row in z] for phi in parameters]
