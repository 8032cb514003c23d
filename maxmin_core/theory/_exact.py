"""The book's statements in exact form: bound and truth of one exact instance, as balls."""

import itertools

from ._balls import (
    as_ball,
    ball_max,
    ball_min,
    dot,
    in_full_precision,
    inverse_form,
    largest_eigenvalue,
    norm,
    square,
)


@in_full_precision
def mle(instance):
    """Return 4 ||g|| / lambda_max(H) and the mismatch."""
    return 4 * norm(_pull(instance)) / largest_eigenvalue(_moment(instance)), instance.mismatch


@in_full_precision
def mle_in_h(instance):
    """Return 4 ||g||_{H^+} and the mismatch in the H-norm."""
    return 4 * inverse_form(_moment(instance), _pull(instance)).sqrt(), instance.mismatch_in_h


@in_full_precision
def realizable(instance):
    """Return (4/R) E_rho|p_bar - p_0| and the mismatch."""
    apart = instance.pair_mean([abs(a) for a in _pooled_apart(instance)])
    return 4 / _longest(instance) * apart, instance.mismatch


@in_full_precision
def two_groups(instance):
    """Return (4/R) (1 - eta(0)) E[|p_1 - p_0| |l_1 - l_0|] / E|l_1 - l_0| and the mismatch."""
    apart, logits_apart = _between(instance)
    both = [a * b for a, b in zip(apart, logits_apart, strict=True)]
    weighted = instance.pair_mean(both) / instance.pair_mean(logits_apart)
    return 4 / _longest(instance) * as_ball(1 - instance.weights[0]) * weighted, instance.mismatch


@in_full_precision
def two_groups_in_h(instance):
    """Return 16 (1 - eta(0)) Diversity^2 / ||phi_1 - phi_0||_H and the mismatch in the H-norm."""
    apart, logits_apart = _between(instance)
    spread = instance.pair_mean([square(a) for a in logits_apart]).sqrt()
    diversity = instance.pair_mean(apart)
    return 16 * as_ball(1 - instance.weights[0]) * square(diversity) / spread, instance.mismatch_in_h


@in_full_precision
def lead(instance):
    """Return (4/R) (1 - eta(0)) eps, eps the lead of group 0, and the mismatch."""
    return 4 / _longest(instance) * _pulled(instance), instance.mismatch


@in_full_precision
def two_group_diversity(instance):
    """Return (1/R) log(1 + 4 (1 - eta(0)) Diversity / (1 + 4 Diversity)) and the mismatch."""
    diversity = instance.pair_mean(_between(instance)[0])
    growth = 1 + 4 * as_ball(1 - instance.weights[0]) * diversity / (1 + 4 * diversity)
    return growth.log() / _longest(instance), instance.mismatch


@in_full_precision
def lower(instance):
    """Return the larger of the two lower bounds from range and variances, and the gap."""
    variance, variance_u, a, _ = _spreads(instance)
    near, far = ((-a).exp() - 1 + a) / square(a), (1 - (1 + a) * (-a).exp()) / square(a)
    return ball_max([variance * near, variance_u * far]), instance.gap


@in_full_precision
def upper(instance):
    """Return the smallest of the three upper bounds from range and variances, and the gap."""
    variance, variance_u, a, spread = _spreads(instance)
    near, far = (a.exp() - 1 - a) / square(a), (1 + (a - 1) * a.exp()) / square(a)
    hoeffding = square(spread) / (8 * as_ball(instance.beta))
    return ball_min([variance * near, variance_u * far, hoeffding]), instance.gap


@in_full_precision
def pairwise(instance):
    """Return (8 / beta) sum of m (p_phi - p_u)^2 and the gap."""
    squared = [square(v) for v in _single_apart(instance)]
    return 8 / as_ball(instance.beta) * dot(_reach(instance), squared), instance.gap


@in_full_precision
def observable(instance):
    """Return (8 c / beta) E_rho (p_phi - p_u)^2 and the gap."""
    squared = instance.pair_mean([square(v) for v in _single_apart(instance)])
    return 8 * _coverage(instance) / as_ball(instance.beta) * squared, instance.gap


@in_full_precision
def impossibility(instance):
    """Return (8 c / beta) ||g||^2_{H^+} and the gap."""
    form = inverse_form(_moment(instance), _pull(instance))
    return 8 * _coverage(instance) / as_ball(instance.beta) * form, instance.gap


@in_full_precision
def lead_gap(instance):
    """Return (8 c / beta) (1 - eta(0))^2 eps^2 and the gap."""
    return 8 * _coverage(instance) / as_ball(instance.beta) * square(_pulled(instance)), instance.gap


def _moment(instance):
    z = instance.difference
    d = range(len(z[0]))
    return [[instance.pair_mean([as_ball(row[i] * row[j]) for row in z]) for j in d] for i in d]


def _pooled_apart(instance):
    """Return p_bar - p_0 of every pair."""
    p = instance.preferences
    shares = [as_ball(w) for w in instance.weights]
    return [dot(shares, [group[i] - p[0][i] for group in p]) for i in range(len(p[0]))]


def _pull(instance):
    """Return g = E_rho[(p_bar - p_0) Dpsi]."""
    apart = _pooled_apart(instance)
    columns = zip(*instance.difference, strict=True)
    return [instance.pair_mean([a * as_ball(v) for a, v in zip(apart, column, strict=True)]) for column in columns]


def _between(instance):
    """Return |p_1 - p_0| and |l_1 - l_0| of every pair."""
    parts = instance.preferences, instance.logits
    return tuple([abs(b - a) for a, b in zip(part[0], part[1], strict=True)] for part in parts)


def _pulled(instance):
    """Return (1 - eta(0)) eps: how far the others pull the pool from a group with a lead."""
    p = instance.preferences
    others = range(1, len(p))
    apart = [
        [instance.pair_mean([abs(a - b) for a, b in zip(p[k], p[j], strict=True)]) for k in range(len(p))]
        for j in others
    ]
    lead = ball_max([as_ball(0), *(row[0] - ball_max(row[1:]) for row in apart)])
    return as_ball(1 - instance.weights[0]) * lead


def _longest(instance):
    return ball_max([norm([as_ball(v) for v in row]) for row in instance.difference])


def _spreads(instance):
    """Return V / beta, V_u / beta, range / beta and the range of s = <delta, psi>."""
    beta, s = as_ball(instance.beta), instance.advantage
    variance, variance_u = (
        dot(policy, [square(v - dot(policy, s)) for v in s]) / beta for policy in (instance.policy, instance.own_policy)
    )
    spread = ball_max(s) - ball_min(s)
    return variance, variance_u, spread / beta, spread


def _single_apart(instance):
    """Return p_phi - p_u of every pair."""
    return [a - b for a, b in zip(instance.single_preference, instance.preferences[0], strict=True)]


def _reach(instance):
    """Return the lesser of pi(y) pi(y') under the two policies, for every pair."""
    ends = [[x * y for x, y in itertools.combinations(pi, 2)] for pi in (instance.policy, instance.own_policy)]
    return [ball_min(both) for both in zip(*ends, strict=True)]


def _coverage(instance):
    reach = _reach(instance)
    return ball_min([m / as_ball(r) for m, r in zip(reach, instance.pair_weights, strict=True)])
