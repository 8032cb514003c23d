"""Inequalities verified beyond floating point, one instance at a time: ball arithmetic, and phi* itself enclosed."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from . import mismatch

__all__ = ["STATEMENTS", "Exact", "enclose_mle", "grid", "verified_gap", "verified_slack"]

_OF_THE_MISMATCH = ("realizable", "two_groups", "two_groups_H", "mle", "mle_H")
STATEMENTS = (*_OF_THE_MISMATCH, "lower", "upper", "pairwise", "observable", "impossibility")

_BITS = 256


@dataclass(frozen=True)
class Exact:
    """Hold one instance in rational numbers: a population, one prompt, and every pair of its responses compared.

    Attributes
    ----------
    weights : (U,) rationals, shares, group 0 the one in question; parameters : (U, d)
    features : (Y, d), d 1 or 2; reference : (Y,), the reference policy; beta : rational
    pair_weights : (P,), rho on the pairs (0, 1), (0, 2), ..., (Y - 2, Y - 1)

    Rationals are int, float or fractions.Fraction, taken at their exact value. ValueError on another d, and on weights,
    reference or pair_weights that are not positive or do not sum to one exactly.
    """

    weights: tuple
    parameters: tuple
    features: tuple
    reference: tuple
    pair_weights: tuple
    beta: object = 1

    def __post_init__(self):
        if len(self.features[0]) not in (1, 2):
            raise ValueError(f"features: expected one or two columns, got {len(self.features[0])}")
        for name in ("weights", "reference", "pair_weights"):
            values = [Fraction(v) for v in getattr(self, name)]
            if min(values) <= 0 or sum(values) != 1:
                raise ValueError(f"{name}: expected positive numbers that sum to one exactly, got {values!r:.80}")

    @cached_property
    def difference(self):
        """Dpsi of every pair, (P, d) Fractions."""
        pairs = itertools.combinations(self.features, 2)
        return tuple(tuple(Fraction(a) - Fraction(b) for a, b in zip(*pair, strict=True)) for pair in pairs)

    @cached_property
    def single_reward(self):
        """phi*, (d,) balls that certainly contain it."""
        return enclose_mle(self.weights, self.parameters, self.difference, self.pair_weights)

    @property
    def applicable(self):
        """The statements whose assumptions the instance satisfies."""
        left_out = set() if len(self.weights) == 2 else {"two_groups", "two_groups_H"}
        if len(self.features) > 2:
            left_out.add("realizable")
        return tuple(statement for statement in STATEMENTS if statement not in left_out)


def enclose_mle(weights, parameters, difference, pair_weights):
    """Return balls that certainly contain the single reward phi*, by Krawczyk's test at 256 bits.

    A box X around a floating solution m is accepted when m - C f(m) + (1 - C J(X)) (X - m) lies inside X: then
    f(phi) = E_rho[(sigma(<phi, Dpsi>) - p_bar) Dpsi] has exactly one zero in it, and phi* is the only zero there is.

    Parameters
    ----------
    weights : (U,); parameters : (U, d); difference : (n, d), d = 1 or 2, of full rank; pair_weights : (n,): rationals

    Returns
    -------
    list of d flint.arb

    Raises
    ------
    ValueError
        Where no box is accepted. Source: Krawczyk (1969). Chapter 2.
    """
    from flint import arb, arb_mat, ctx

    with ctx.workprec(_BITS):
        z = arb_mat([_balls(row) for row in difference])
        rho = _balls(pair_weights)
        groups = [_expit(margin) for margin in _margins(parameters, difference)]
        shares = _balls(weights)
        pooled = [
            sum((w * p for w, p in zip(shares, group, strict=True)), arb(0)) for group in zip(*groups, strict=True)
        ]
        n, d = z.nrows(), z.ncols()

        def gradient(at):
            p = _expit((z * at).entries())
            return z.transpose() * arb_mat(n, 1, [r * (a - b) for r, a, b in zip(rho, p, pooled, strict=True)])

        def jacobian(at):
            p = _expit((z * at).entries())
            return z.transpose() * arb_mat([[rho[i] * p[i] * (1 - p[i]) * z[i, j] for j in range(d)] for i in range(n)])

        def inverse_at(at):
            try:
                return arb_mat(d, d, [v.mid() for v in jacobian(at).inv().entries()])
            except ZeroDivisionError:
                raise ValueError("difference: expected pairs of full rank, got a singular second moment") from None

        as_floats = (np.array([[float(v) for v in row] for row in a]) for a in (parameters, difference))
        instance = (np.array([float(w) for w in weights]), *as_floats, np.array([float(w) for w in pair_weights]))
        start = mismatch.pooled_mle(mismatch.Instances(*(part[None] for part in instance)))[0]
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


def verified_slack(instance, statement):
    """Return a ball around truth minus bound (bound minus truth for 'upper'): verified where the whole ball is above 0.

    instance : Exact; statement : one of STATEMENTS. ValueError on another, or on one that does not apply. Chapter 3.
    """
    if statement not in instance.applicable:
        raise ValueError(f"statement: expected one of {', '.join(instance.applicable)}, got {statement!r}")
    from flint import ctx

    with ctx.workprec(_BITS):
        return (_mismatch_slack if statement in _OF_THE_MISMATCH else _gap_slack)(instance, statement)


def verified_gap(instance):
    """Return a ball around what the policy of the single reward costs group 0; Exact -> flint.arb. Chapter 3."""
    from flint import ctx

    with ctx.workprec(_BITS):
        return _gap(instance, _policies(instance))


def grid(n_draws, seed):
    """Return small exact instances over a grid: 2 to 6 groups, shares from 1/1000, parameters over two decades.

    n_draws : int, draws of features, parameters and weights per point of the grid; seed : int. Chapter 3.
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


def _mismatch_slack(instance, statement):
    z, rho = [_balls(row) for row in instance.difference], _balls(instance.pair_weights)
    d, shares = len(z[0]), _balls(instance.weights)
    delta = [a - b for a, b in zip(instance.single_reward, _balls(instance.parameters[0]), strict=True)]
    logits = _margins(instance.parameters, instance.difference)
    p = [_expit(row) for row in logits]
    pooled_apart = [sum(w * (g[i] - p[0][i]) for w, g in zip(shares, p, strict=True)) for i in range(len(rho))]
    moment = [[_mean(rho, [row[i] * row[j] for row in z]) for j in range(d)] for i in range(d)]
    pull = [_mean(rho, [a * row[i] for a, row in zip(pooled_apart, z, strict=True)]) for i in range(d)]
    truth = _mean(rho, [_square(_dot(delta, row)) for row in z]).sqrt() if statement.endswith("H") else _norm(delta)
    longest = _most([_norm(row) for row in z])
    if statement == "mle":
        return truth - 4 * _norm(pull) / _largest_eigenvalue(moment)
    if statement == "mle_H":
        return truth - 4 * _inverse_form(moment, pull).sqrt()
    if statement == "realizable":
        return truth - 4 / longest * _mean(rho, [abs(a) for a in pooled_apart])
    apart = [abs(b - a) for a, b in zip(p[0], p[1], strict=True)]
    logits_apart = [abs(b - a) for a, b in zip(logits[0], logits[1], strict=True)]
    if statement == "two_groups":
        weighted = _mean(rho, [a * b for a, b in zip(apart, logits_apart, strict=True)]) / _mean(rho, logits_apart)
        return truth - 4 / longest * (1 - shares[0]) * weighted
    spread = _mean(rho, [_square(a) for a in logits_apart]).sqrt()
    return truth - 16 * (1 - shares[0]) * _mean(rho, apart) ** 2 / spread


def _gap_slack(instance, statement):
    (beta,) = _balls([instance.beta])
    phi, phi_u = instance.single_reward, _balls(instance.parameters[0])
    delta = [b - a for a, b in zip(phi, phi_u, strict=True)]
    s = [_dot(delta, _balls(psi)) for psi in instance.features]
    policies = _policies(instance)
    gap = _gap(instance, policies)
    variance, variance_u = (_mean(pi, [_square(v - _mean(pi, s)) for v in s]) / beta for pi in policies)
    spread = _most(s) - _least(s)
    a = spread / beta
    if statement == "lower":
        near, far = ((-a).exp() - 1 + a) / a**2, (1 - (1 + a) * (-a).exp()) / a**2
        return gap - _most([variance * near, variance_u * far])
    if statement == "upper":
        near, far = (a.exp() - 1 - a) / a**2, (1 + (a - 1) * a.exp()) / a**2
        return _least([variance * near, variance_u * far, spread**2 / (8 * beta)]) - gap
    z, rho = [_balls(row) for row in instance.difference], _balls(instance.pair_weights)
    ends = [[x * y for x, y in itertools.combinations(pi, 2)] for pi in policies]
    reach = [_least(both) for both in zip(*ends, strict=True)]
    coverage = _least([m / r for m, r in zip(reach, rho, strict=True)])
    p, p_u = (_expit([_dot(parameter, row) for row in z]) for parameter in (phi, phi_u))
    apart = [a - b for a, b in zip(p, p_u, strict=True)]
    if statement == "pairwise":
        return gap - 8 / beta * _mean(reach, [_square(v) for v in apart])
    if statement == "observable":
        return gap - 8 * coverage / beta * _mean(rho, [_square(v) for v in apart])
    moment = [[_mean(rho, [row[i] * row[j] for row in z]) for j in range(len(delta))] for i in range(len(delta))]
    groups, shares = (
        [_expit(row) for row in _margins(instance.parameters, instance.difference)],
        _balls(instance.weights),
    )
    pooled_apart = [sum(w * (g[i] - p_u[i]) for w, g in zip(shares, groups, strict=True)) for i in range(len(rho))]
    pull = [_mean(rho, [v * row[i] for v, row in zip(pooled_apart, z, strict=True)]) for i in range(len(delta))]
    return gap - 8 * coverage / beta * _inverse_form(moment, pull)


def _policies(instance):
    """Return the policy of the single reward and that of group 0, balls."""
    (beta,), reference = _balls([instance.beta]), _balls(instance.reference)
    policies = []
    for parameter in (instance.single_reward, _balls(instance.parameters[0])):
        rewards = [_dot(parameter, _balls(psi)) for psi in instance.features]
        mass = [q * (reward / beta).exp() for q, reward in zip(reference, rewards, strict=True)]
        policies.append([m / sum(mass) for m in mass])
    return policies


def _gap(instance, policies):
    return _balls([instance.beta])[0] * sum(a * (a / b).log() for a, b in zip(*policies, strict=True))


def _balls(values):
    from flint import arb, fmpq

    exact = [Fraction(v) for v in values]
    return [arb(fmpq(v.numerator, v.denominator)) for v in exact]


def _expit(margins):
    return [1 / (1 + (-m).exp()) for m in margins]


def _margins(parameters, difference):
    z = [_balls(row) for row in difference]
    return [[_dot(_balls(phi), row) for row in z] for phi in parameters]


def _dot(a, b):
    return sum((x * y for x, y in zip(a, b, strict=True)), 0 * a[0])


def _square(value):
    return value * value  # arb's power goes through the logarithm, which a ball around zero has not


def _mean(weights, values):
    return _dot(weights, values)


def _norm(values):
    return _dot(values, values).sqrt()


def _most(values):
    top = values[0]
    for value in values[1:]:
        # Where the comparison is certain the ball is kept as it is; arb's own maximum widens it.
        top = value if value > top else top if value < top else top.max(value)
    return top


def _least(values):
    return -_most([-v for v in values])


def _largest_eigenvalue(moment):
    if len(moment) == 1:
        return moment[0][0]
    (a, b), (_, c) = moment
    return (a + c + (_square(a - c) + 4 * _square(b)).nonnegative_part().sqrt()) / 2


def _inverse_form(moment, vector):
    """Return v^T H^{-1} v for H of size 1 or 2."""
    if len(moment) == 1:
        return vector[0] ** 2 / moment[0][0]
    (a, b), (_, c) = moment
    x, y = vector
    return (c * x * x - 2 * b * x * y + a * y * y) / (a * c - b * b)
