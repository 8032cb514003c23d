"""The impossibility results as functions: mismatch, its bounds, the alignment gap and its bounds, the falsifier."""

import numpy as np
from scipy.special import log_softmax

from .alignment import gibbs_policy, kl_divergence
from .falsification import Falsification, falsify
from .mismatch import KINDS, Instances, bounds, reasons
from .preferences import bradley_terry
from .validation import as_distribution, as_float, as_log_reference, as_positive

__all__ = [
    "Falsification",
    "alignment_gap",
    "falsify",
    "finite_sample_bound",
    "gap_bounds",
    "mismatch_bound",
    "mismatch_reason",
    "reward_mismatch",
]


def reward_mismatch(phi, phi_u):
    """Return ||phi - phi_u||, how far one reward's parameter is from a group's.

    phi, phi_u : (d,) float, in logits per unit of feature. ValueError on different or wrong shapes. Chapter 2.
    """
    phi = as_float("phi", phi, ("d",))
    return float(np.linalg.norm(phi - as_float("phi_u", phi_u, phi.shape)))


def mismatch_bound(population, u, difference, pair_weights, *, kind="mle"):
    """Return a lower bound on the mismatch ||phi* - phi_u|| between the pooled reward and that of group u.

    With g_u = E_rho[(p_bar - p_u) Dpsi] and H = E_rho[Dpsi Dpsi^T]:

    mle           4 ||g_u|| / lambda_max(H); always holds
    mle_H         4 ||g_u||_{H^+}, a bound on ||phi* - phi_u||_H; always holds
    realizable    (4/R) E_rho|p_bar - p_u|, R = max ||Dpsi||; holds where p_bar is itself Bradley-Terry
    two_groups    (4/R) (1 - eta(u)) E[|p_k - p_u| |l_k - l_u|] / E|l_k - l_u|, l the logits; for two groups
    two_groups_H  16 (1 - eta(u)) Diversity^2 / ||phi_k - phi_u||_H, a bound on ||phi* - phi_u||_H; for two groups

    Parameters
    ----------
    population : Population
    u : int, the group
    difference : (n, d) float; pair_weights : (n,) float, the distribution rho; None means equal weights

    Returns
    -------
    float, at least 0; 0 where the bound is vacuous (`mismatch_reason` says why)

    Raises
    ------
    ValueError
        On an unknown kind, a group out of range, shapes that do not fit, or a kind that does not apply. Chapter 2.
    """
    instances = _instance(population, u, difference, pair_weights, kind)
    why = reasons(instances, kind)[0]
    if why.startswith("does not apply"):
        raise ValueError(f"kind: {kind!r} {why}")
    return float(bounds(instances, kind)[0])


def finite_sample_bound(comparisons, phi_u):
    """Return a lower bound on ||phi^ - phi_u|| for the reward phi^ fitted to this very data set, whatever its size.

    4 ||E^[(1 - p_u) Dpsi]|| / lambda_max(E^[Dpsi Dpsi^T]), the means over the comparisons, Dpsi winner minus loser.

    Parameters
    ----------
    comparisons : Comparisons, with a finite maximum of the likelihood
    phi_u : (d,) float, any group's parameter

    Returns
    -------
    float, in logits per unit of feature; 0 where all differences vanish

    Raises
    ------
    ValueError
        On a parameter of the wrong shape. Chapter 2.
    """
    difference = comparisons.difference
    phi_u = as_float("phi_u", phi_u, (difference.shape[1],))
    pull = np.linalg.norm(bradley_terry(-difference @ phi_u) @ difference) / len(difference)
    largest = np.linalg.eigvalsh(difference.T @ difference / len(difference))[-1]
    return float(4 * pull / largest) if largest > 0 else 0.0


def mismatch_reason(population, u, difference, pair_weights, *, kind="mle"):
    """Return why `mismatch_bound` does not apply to this instance or is zero; '' where it applies and is positive."""
    return reasons(_instance(population, u, difference, pair_weights, kind), kind)[0]


def alignment_gap(policy, reward, log_reference, beta, prompt_weights=None):
    """Return what a policy costs the holder of a reward, F(pi_r) - F(pi) = beta E_x KL(pi || pi_r).

    Parameters
    ----------
    policy : (X, Y) float, any policy; rows sum to one
    reward : (X, Y) float, in logits
    log_reference : (X, Y) float; beta : float above 0; prompt_weights : (X,) float or None

    Returns
    -------
    float, in logits, at least 0; infinite where the policy leaves the reference's support

    Raises
    ------
    ValueError
        As `alignment.group_values`. Source: Corollary 1 of chapter 1. Chapter 3.
    """
    reward = as_float("reward", reward, ("X", "Y"))
    log_reference = as_log_reference(log_reference, reward.shape)
    beta = as_positive("beta", beta)
    return max(0.0, beta * kl_divergence(policy, log_softmax(log_reference + reward / beta, axis=-1), prompt_weights))


def gap_bounds(phi, phi_u, prompt_features, log_reference, beta, prompt_weights=None):
    """Return (lower, upper) bounds on the gap of group u under the optimal policy of the reward phi, in any gauge.

    With s = <phi_u - phi, psi>, a(x) = range_y s / beta, V and V_u the variances of s under pi_phi and pi_u:

    lower = E_x max{ (V/beta) (e^-a - 1 + a)/a^2, (V_u/beta) (1 - (1 + a) e^-a)/a^2 }
    upper = E_x min{ (V/beta) (e^a - 1 - a)/a^2, (V_u/beta) (1 + (a - 1) e^a)/a^2, range^2 / (8 beta) }

    Parameters
    ----------
    phi, phi_u : (d,) float; prompt_features : (X, Y, d) float
    log_reference : (X, Y) float; beta : float above 0; prompt_weights : (X,) float or None

    Returns
    -------
    (float, float), in logits

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, or beta <= 0. Chapter 3.
    """
    phi = as_float("phi", phi, ("d",))
    phi_u = as_float("phi_u", phi_u, phi.shape)
    features = as_float("prompt_features", prompt_features, ("X", "Y", len(phi)))
    log_reference = as_log_reference(log_reference, features.shape[:2])
    beta = as_positive("beta", beta)
    weights = as_distribution("prompt_weights", prompt_weights, len(features))
    s = features @ (phi_u - phi)
    variances = []
    for parameter in (phi, phi_u):
        policy = gibbs_policy(features @ parameter, log_reference, beta)
        mean = (policy * s).sum(axis=-1, keepdims=True)
        variances.append((policy * (s - mean) ** 2).sum(axis=-1) / beta)
    supported = np.isfinite(log_reference)
    spread = np.where(supported, s, -np.inf).max(axis=-1) - np.where(supported, s, np.inf).min(axis=-1)
    a = spread / beta
    near, far = _integral(-a), _integral_mirrored(-a)
    lower = np.maximum(variances[0] * near, variances[1] * far)
    upper = np.minimum(variances[0] * _integral(a), variances[1] * _integral_mirrored(a))
    return float(weights @ lower), float(weights @ np.minimum(upper, spread**2 / (8 * beta)))


def _integral(c):
    """Integral of (1 - t) e^(c t) over [0, 1], (e^c - 1 - c) / c^2; by its series where c is small."""
    series = 0.5 + c / 6 + c**2 / 24 + c**3 / 120
    with np.errstate(over="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (np.expm1(c) - c) / np.where(c == 0, 1.0, c) ** 2)


def _integral_mirrored(c):
    """Integral of t e^(c t) over [0, 1], (1 + (c - 1) e^c) / c^2; by its series where c is small."""
    series = 0.5 + c / 3 + c**2 / 8 + c**3 / 30
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(c) < 1e-2, series, (1 + (c - 1) * np.exp(c)) / np.where(c == 0, 1.0, c) ** 2)


def _instance(population, u, difference, pair_weights, kind):
    """Return one instance with group u moved to the front."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    n_groups, d = population.parameters.shape
    if not isinstance(u, int | np.integer) or not 0 <= u < n_groups:
        raise ValueError(f"u: expected a group in 0..{n_groups - 1}, got {u!r}")
    difference = as_float("difference", difference, ("n", d))
    pair_weights = as_distribution("pair_weights", pair_weights, len(difference))
    order = [u, *(k for k in range(n_groups) if k != u)]
    return Instances(
        population.weights[order][None], population.parameters[order][None], difference[None], pair_weights[None]
    )
