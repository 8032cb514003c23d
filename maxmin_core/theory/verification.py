"""Inequalities verified beyond floating point, one instance at a time: ball arithmetic, and phi* itself enclosed.

Chapters 2 and 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ._balls import as_ball, ball_max, ball_min, balls, dot, expit, in_full_precision, norm, precisely, square
from ._enclosure import Rational, enclose_mle, margins
from .statements import Statement

if TYPE_CHECKING:
    from flint import arb

__all__ = ["Exact", "as_ball", "ball_max", "ball_min", "enclose_mle", "exact_grid", "verified_slack"]


@dataclass(frozen=True)
class Exact:
    """Hold one instance in rational numbers: a population, one prompt, and every pair of its responses compared.

    What follows from it is offered as balls of 256 bits: numbers with their error, with which Python calculates as
    with others, and which have ``exp``, ``log`` and ``sqrt``. Square a ball as ``x * x``: the operator ``**`` goes
    through the logarithm, which a ball around zero has not. Rationals are int, float or fractions.Fraction, taken at
    their exact value; `as_ball` makes balls of them.

    Parameters
    ----------
    weights : sequence of rationals, length U
        Shares of the groups, positive; group 0 is the one in question.
    parameters : sequence of U sequences of d rationals
        Bradley-Terry parameters of the groups, in logits per unit of feature.
    features : sequence of Y sequences of d rationals
        Features of the responses; d is 1 or 2.
    reference : sequence of rationals, length Y
        The reference policy, positive.
    pair_weights : sequence of rationals, length Y (Y - 1) / 2
        The distribution rho on the pairs (0, 1), (0, 2), ..., (Y - 2, Y - 1), positive.
    beta : rational
        KL strength, above 0, in logits per nat.

    Raises
    ------
    ValueError
        On another d, on lengths that do not fit, and on weights, reference or pair_weights that are not positive or do
        not sum to one exactly.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> coin = Exact((half, half), ((0,), (2,)), ((1,), (0,)), (half, half), (1,))
    >>> round(float(coin.mismatch), 4), round(float(coin.gap), 4)
    (0.802, 0.0744)
    """

    weights: Sequence[Rational]
    parameters: Sequence[Sequence[Rational]]
    features: Sequence[Sequence[Rational]]
    reference: Sequence[Rational]
    pair_weights: Sequence[Rational]
    beta: Rational = 1

    def __post_init__(self) -> None:
        columns = len(self.features[0])
        if columns not in (1, 2):
            raise ValueError(f"features: expected one or two columns, got {columns}")
        n_responses = len(self.features)
        for name, rows in [("parameters", len(self.weights)), ("features", n_responses)]:
            table = tuple(_rationals(name, row, columns) for row in getattr(self, name))
            if len(table) != rows:
                raise ValueError(f"{name}: expected {rows} rows, got {len(table)}")
            object.__setattr__(self, name, table)
        lengths = {"weights": len(self.weights), "reference": n_responses}
        for name, length in (lengths | {"pair_weights": n_responses * (n_responses - 1) // 2}).items():
            values = _rationals(name, getattr(self, name), length)
            if min(values) <= 0 or sum(values) != 1:
                raise ValueError(f"{name}: expected positive numbers that sum to one exactly, got {values!r:.80}")
            object.__setattr__(self, name, values)
        (beta,) = _rationals("beta", (self.beta,), 1)
        if beta <= 0:
            raise ValueError(f"beta: expected a number above 0, got {beta}")
        object.__setattr__(self, "beta", beta)

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.weights)

    @cached_property
    def difference(self) -> tuple[tuple[Fraction, ...], ...]:
        """Differences of features Dpsi of every pair, (P, d) rationals."""
        pairs = itertools.combinations(self.features, 2)
        return tuple(tuple(Fraction(a) - Fraction(b) for a, b in zip(*pair, strict=True)) for pair in pairs)

    @cached_property
    def single_reward(self) -> list[arb]:
        """The parameter phi* of the single reward that pooling leads to, d balls that certainly contain it."""
        return enclose_mle(self.weights, self.parameters, self.difference, self.pair_weights)

    @cached_property
    @in_full_precision
    def logits(self) -> list[list[arb]]:
        """Margins ``<phi_u, Dpsi>`` of every group on every pair, (U, P) balls."""
        return margins(self.parameters, self.difference)

    @cached_property
    @in_full_precision
    def preferences(self) -> list[list[arb]]:
        """How often each group prefers the first of each pair, (U, P) balls."""
        return [expit(row) for row in self.logits]

    @cached_property
    @in_full_precision
    def single_preference(self) -> list[arb]:
        """How often the holder of the single reward would prefer the first of each pair, P balls."""
        return expit([dot(self.single_reward, balls(row)) for row in self.difference])

    @cached_property
    @in_full_precision
    def displacement(self) -> list[arb]:
        """From the reward of group 0 to the single one, phi* - phi_0, d balls."""
        return [a - b for a, b in zip(self.single_reward, balls(self.parameters[0]), strict=True)]

    @property
    @in_full_precision
    def mismatch(self) -> arb:
        """How far the single reward is from that of group 0, ``||phi* - phi_0||``, in logits per unit of feature."""
        return norm(self.displacement)

    @property
    @in_full_precision
    def mismatch_in_h(self) -> arb:
        """The same in the H-norm, ``sqrt(E_rho <phi* - phi_0, Dpsi>^2)``, in logits."""
        along = [dot(self.displacement, balls(row)) for row in self.difference]
        return self.pair_mean([square(v) for v in along]).sqrt()

    @property
    def misfit(self) -> float:
        """How far the pooled preference is from the single reward's, the largest over pairs, as a float."""
        with precisely():
            shares = balls(self.weights)
            pooled = [dot(shares, of_pair) for of_pair in zip(*self.preferences, strict=True)]
            return float(ball_max([abs(a - b) for a, b in zip(pooled, self.single_preference, strict=True)]))

    @property
    def realizable(self) -> bool:
        """Whether the pool is certainly Bradley-Terry: a single pair, any preference on which is that of a reward."""
        return len(self.difference) == 1

    @cached_property
    def policy(self) -> list[arb]:
        """The policy that is optimal for the single reward, Y balls."""
        return self._optimal(self.single_reward)

    @cached_property
    def own_policy(self) -> list[arb]:
        """The policy that is optimal for group 0, Y balls."""
        return self._optimal(balls(self.parameters[0]))

    @cached_property
    @in_full_precision
    def advantage(self) -> list[arb]:
        """How much more group 0 values each response than the single reward does, Y balls, in logits."""
        return [-dot(self.displacement, balls(psi)) for psi in self.features]

    @cached_property
    @in_full_precision
    def gap(self) -> arb:
        """What the policy of the single reward costs group 0, ``beta KL(policy || own_policy)``, in logits."""
        logs = [(a / b).log() for a, b in zip(self.policy, self.own_policy, strict=True)]
        return as_ball(self.beta) * dot(self.policy, logs)

    @in_full_precision
    def pair_mean(self, values: Sequence[arb]) -> arb:
        """Return the mean over the compared pairs, ``E_rho``.

        Parameters
        ----------
        values : sequence of flint.arb, length P
            One value per pair.

        Returns
        -------
        flint.arb
            Their mean, each pair counted with its weight.
        """
        return dot(balls(self.pair_weights), values)

    @in_full_precision
    def _optimal(self, parameter):
        beta = as_ball(self.beta)
        rewards = [dot(parameter, balls(psi)) for psi in self.features]
        mass = [as_ball(q) * (reward / beta).exp() for q, reward in zip(self.reference, rewards, strict=True)]
        return [m / sum(mass) for m in mass]


def verified_slack(statement: Statement, instance: Exact) -> arb:
    """Return a ball around the slack of a statement on one exact instance: verified where the whole ball is above 0.

    ``truth - bound`` for a lower bound, ``bound - truth`` for an upper one, from the statement's exact form.

    Parameters
    ----------
    statement : Statement
        One with its exact form.
    instance : Exact
        An instance to which it applies.

    Returns
    -------
    flint.arb
        In the units of the truth. ``ball > 0`` is true only where the statement is certain, ``ball < 0`` only where its
        failure is.

    Raises
    ------
    ValueError
        On a statement without an exact form, or that does not apply to the instance.

    Examples
    --------
    >>> from maxmin_core.theory import STATEMENTS
    >>> half = Fraction(1, 2)
    >>> coin = Exact((half, half), ((0,), (2,)), ((1,), (0,)), (half, half), (1,))
    >>> verified_slack(STATEMENTS["lower"], coin) > 0
    True
    """
    if not isinstance(statement, Statement):
        raise ValueError(f"statement: expected a Statement, got {statement!r:.80}")
    sides = statement.part("exact", "ball arithmetic")
    if why := str(statement.reasons(instance)):
        raise ValueError(f"instance: {statement.name!r} does not apply: {why}")
    with precisely():
        bound, truth = sides(instance)
        return truth - bound if statement.side == "lower" else bound - truth


def exact_grid(n_draws: int, seed: int) -> list[Exact]:
    """Return small exact instances over a grid: 2 to 6 groups, shares from 1/1000, parameters over two decades.

    Parameters
    ----------
    n_draws : int
        Draws of features, parameters and weights per point of the grid; there are 72 points.
    seed : int
        The seed of the draws.

    Returns
    -------
    list of Exact
        72 instances per draw.

    Examples
    --------
    >>> len(exact_grid(1, 0))
    72
    """
    rng = np.random.default_rng(seed)

    def fractions(*shape, denominator=8):
        drawn = rng.integers(1, 3 * denominator, size=shape) * rng.choice([-1, 1], size=shape)
        return np.vectorize(lambda k: Fraction(int(k), denominator), otypes=[object])(drawn)

    def distribution(n):
        drawn = [Fraction(int(k)) for k in rng.integers(1, 9, size=n)]
        return [k / sum(drawn) for k in drawn]

    instances = []
    shares = (Fraction(1, 1000), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10))
    scales = (Fraction(1, 25), Fraction(2, 5), Fraction(4))
    for share, n_groups, scale, (n_responses, d) in itertools.product(shares, (2, 3, 6), scales, ((2, 1), (3, 2))):
        for _ in range(n_draws):
            features = fractions(n_responses, d) / 3
            flat = features[1:] - features[0]
            if (d == 2 and flat[0, 0] * flat[1, 1] == flat[0, 1] * flat[1, 0]) or not flat.any(axis=1).all():
                features = np.array([[Fraction(i), Fraction(i * i)][:d] for i in range(n_responses)], dtype=object)
            instances.append(
                Exact(
                    weights=(share, *((1 - share) * w for w in distribution(n_groups - 1))),
                    parameters=tuple(map(tuple, scale * fractions(n_groups, d, denominator=97))),
                    features=tuple(map(tuple, features)),
                    reference=tuple(distribution(n_responses)),
                    pair_weights=tuple(distribution(n_responses * (n_responses - 1) // 2)),
                    beta=Fraction(int(rng.choice([1, 4, 16])), 4),
                )
            )
    return instances


def _rationals(name, values, length):
    try:
        found = tuple(Fraction(v) for v in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: expected rational numbers, got {values!r:.80}") from error
    if len(found) != length:
        raise ValueError(f"{name}: expected {length} numbers, got {len(found)}")
    return found
