"""Bounds on what a group loses under the policy of another reward: many instances at once."""

import numpy as np

from .._precise import probability_change
from . import _mismatch
from ._gaps import pair_weights_of, pairwise_differences


def lower_bounds(alignments):
    """Return E_x max{ (V/beta) (e^-a - 1 + a)/a^2, (V_u/beta) (1 - (1 + a) e^-a)/a^2 }, (B,): see `gap_bounds`."""
    variance, variance_u, a, _ = _spreads(alignments)
    return alignments.over_prompts(np.maximum(variance * _integral(-a), variance_u * _integral_mirrored(-a)))


def upper_bounds(alignments):
    """Return E_x min{ (V/beta) (e^a - 1 - a)/a^2, (V_u/beta) (1 + (a - 1) e^a)/a^2, range^2 / (8 beta) }, (B,)."""
    variance, variance_u, a, spread = _spreads(alignments)
    with np.errstate(invalid="ignore"):  # no variance times an overflow: NaN, which fmin passes over
        per_prompt = np.fmin(variance * _integral(a), variance_u * _integral_mirrored(a))
    return alignments.over_prompts(np.fmin(per_prompt, spread**2 / (8 * alignments.beta[:, None])))


def textbook_bounds(alignments, n_steps=33):
    """Return lambda_min / (2 beta) ||delta||^2, (B,): the least eigenvalue of E_x Cov(psi) between the two rewards.

    It is taken on a grid of n_steps points: on a grid it is no bound, only the limit of finer grids is.
    """
    if not isinstance(n_steps, int | np.integer) or isinstance(n_steps, bool) or n_steps < 2:
        raise ValueError(f"n_steps: expected an integer of at least 2, got {n_steps!r}")
    least = np.full(len(alignments.phi), np.inf)
    for step in np.linspace(0, 1, n_steps):
        least = np.minimum(least, np.linalg.eigvalsh(_covariance(alignments, step))[:, 0])
    return np.maximum(least, 0) * (alignments.delta**2).sum(axis=-1) / (2 * alignments.beta)


def pairwise_bounds(alignments):
    """Return (8 / beta) sum over x and pairs of mu m (p_phi - p_u)^2, (B,), m the lesser pi(y) pi(y') of the two."""
    return 8 / alignments.beta * (_reach(alignments) * _preferences_apart(alignments) ** 2).sum(axis=(1, 2))


def observable_bounds(alignments):
    """Return (8 c / beta) E_rho (p_phi - p_u)^2, (B,): see `observable_bound`."""
    squared = (pair_weights_of(alignments) * _preferences_apart(alignments) ** 2).sum(axis=(1, 2))
    return 8 * coverage(alignments) / alignments.beta * squared


def impossibility_bounds(instances, alignments):
    """Return (8 c / beta) ||g_0||^2_{H^+}, (B,), of what `pooled_alignments` returns: a floor under group 0's gap."""
    return coverage(alignments) / alignments.beta * _mismatch.mle_bounds_in_h(instances) ** 2 / 2


def _spreads(alignments):
    """Return V / beta, V_u / beta, a = range / beta and the range of s = <delta, psi>, each (B, X)."""
    beta, advantage = alignments.beta[:, None], alignments.advantage
    variance, variance_u = (_variance(np.exp(alignments.log_policy(step)), advantage) / beta for step in (0, 1))
    supported = np.isfinite(alignments.log_reference)
    spread = np.where(supported, advantage, -np.inf).max(axis=-1) - np.where(supported, advantage, np.inf).min(axis=-1)
    return variance, variance_u, spread / beta, spread


def _reach(alignments):
    """Return mu(x) times the least of pi_s(y) pi_s(y') along the path, (B, X, P), taken at the path's ends.

    log pi_s(y) is concave in s, so the product of two is least at s = 0 or s = 1.
    """
    first, second = np.triu_indices(alignments.features.shape[2], 1)
    ends = [alignments.log_policy(step) for step in (0, 1)]
    product = np.exp(np.minimum(*(end[..., first] + end[..., second] for end in ends)))
    return alignments.prompt_weights[..., None] * product


def coverage(alignments):
    """Return c, (B,): the least of `_reach` over rho among the compared pairs."""
    rho = pair_weights_of(alignments)
    ratio = _reach(alignments) / np.where(rho > 0, rho, 1.0)
    return np.where(rho > 0, ratio, np.inf).min(axis=(1, 2))


def _preferences_apart(alignments):
    """Return p_u - p_phi of all pairs, (B, X, P)."""
    difference = alignments.difference
    margin, change = (
        (difference @ parameter[:, None, :, None])[..., 0] for parameter in (alignments.phi, alignments.delta)
    )
    return probability_change(margin, change)


def _covariance(alignments, step):
    """Return E_x Cov_{pi_s}(psi), (B, d, d)."""
    policy = np.exp(alignments.log_policy(step))[..., None]
    centred = alignments.features - (policy * alignments.features).sum(axis=2, keepdims=True)
    per_prompt = centred.swapaxes(-1, -2) @ (policy * centred)
    return (alignments.prompt_weights[..., None, None] * per_prompt).sum(axis=1)


def _variance(policy, values):
    """Return the variance as half the mean squared difference of two draws: nothing cancels."""
    return (policy[..., None] * policy[..., None, :] * pairwise_differences(values) ** 2).sum(axis=(-1, -2)) / 2


def _integral(c):
    """Integral of (1 - t) e^(c t) over [0, 1], (e^c - 1 - c) / c^2; by its series where c is small."""
    series = 0.5 + c / 6 + c**2 / 24 + c**3 / 120 + c**4 / 720
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (np.expm1(c) - c) / np.where(c == 0, 1.0, c) ** 2)


def _integral_mirrored(c):
    """Integral of t e^(c t) over [0, 1], (1 + (c - 1) e^c) / c^2; by its series where c is small."""
    series = 0.5 + c / 3 + c**2 / 8 + c**3 / 30 + c**4 / 144
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (1 + (c - 1) * np.exp(c)) / np.where(c == 0, 1.0, c) ** 2)
