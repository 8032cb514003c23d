"""The impossibility results as functions: mismatch, gap, their bounds, the price of sharing, the falsifier."""

from dataclasses import replace

import numpy as np
from scipy.special import log_softmax

from .._validation import as_distribution, as_float, as_log_reference, as_policy, as_positive, in_nats
from ..alignment.policies import kl_divergence
from ..alignment.solution import Solution, solve
from ..alignment.bargaining import Regret
from ..preferences.rewards import bradley_terry
from . import gaps
from .falsification import Falsification, falsify
from .mismatch import KINDS, Instances, bounds, reasons

__all__ = [
    "Falsification",
    "Solution",
    "alignment_gap",
    "chernoff_information",
    "falsify",
    "finite_sample_bound",
    "gap_bounds",
    "impossibility_bound",
    "mismatch_bound",
    "mismatch_reason",
    "observable_bound",
    "pairwise_bound",
    "price_of_sharing",
    "reward_mismatch",
    "textbook_gap_bound",
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
    policy = as_policy("policy", policy, reward.shape)
    log_reference = as_log_reference(log_reference, reward.shape)
    own = log_softmax(log_reference + in_nats(reward, beta), axis=-1)
    return float(beta) * kl_divergence(policy, own, prompt_weights)


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
    one = _alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return tuple(float(gaps.bounds(one, side)[0]) for side in ("lower", "upper"))


def textbook_gap_bound(phi, phi_u, prompt_features, log_reference, beta, prompt_weights=None, n_steps=33):
    """Return lambda_min / (2 beta) ||phi_u - phi||^2, for contrast with `gap_bounds`.

    lambda_min is the least eigenvalue of E_x Cov(psi) under the policies between the two rewards, taken on a grid of
    n_steps points: only the limit of finer grids bounds the gap. It is zero in any gauge-rich features, one-hot ones
    first of all. Arguments and errors as `gap_bounds`; in logits. Chapter 3.
    """
    one = _alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(gaps.bounds(one, "textbook", n_steps)[0])


def pairwise_bound(phi, phi_u, prompt_features, log_reference, beta, prompt_weights=None):
    """Return (8 / beta) E_x sum over pairs of m (p_phi - p_u)^2, a lower bound on the gap in terms of preferences.

    m is the lesser of pi(y) pi(y') under the reward's policy and under the group's. At least `observable_bound`.
    Arguments and errors as `gap_bounds`; in logits. Chapter 3.
    """
    one = _alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(gaps.bounds(one, "pairwise")[0])


def observable_bound(phi, phi_u, prompt_features, pair_weights, log_reference, beta, prompt_weights=None):
    """Return (8 c / beta) E_rho (p_phi - p_u)^2, a lower bound on the gap in terms of preferences.

    c is the least of mu(x) pi_s(y) pi_s(y') / rho(x, y, y') over the compared pairs and over the two policies.

    Parameters
    ----------
    phi, phi_u : (d,) float; prompt_features : (X, Y, d) float
    pair_weights : (X, Y, Y) float, rho: how often y is compared with y' on prompt x; the order of a pair is immaterial
    log_reference : (X, Y) float; beta : float above 0; prompt_weights : (X,) float or None

    Returns
    -------
    float, in logits; 0 where a compared response cannot be given, or a compared prompt never comes up

    Raises
    ------
    ValueError
        As `gap_bounds`, and on pair_weights that are no distribution or compare a response with itself. Chapter 3.
    """
    one = _alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights, pair_weights)
    return float(gaps.bounds(one, "observable")[0])


def impossibility_bound(population, u, prompt_features, pair_weights, log_reference, beta, prompt_weights=None):
    """Return (8 c / beta) ||g_u||^2_{H^+}, what group u loses at least under the policy of the single reward phi*.

    g_u = E_rho[(p_bar - p_u) Dpsi]; with two groups it is (1 - eta(u)) E_rho[(p_k - p_u) Dpsi]. No data set removes it.

    Parameters
    ----------
    population : Population; u : int, the group
    others : as `observable_bound`

    Returns
    -------
    float, in logits; 0 where the differences between the groups cancel, or as `observable_bound`

    Raises
    ------
    ValueError
        As `observable_bound`, on a group out of range, or on a single reward beyond double precision. Chapter 3.
    """
    order = _order(population, u)
    origin = np.zeros(population.parameters.shape[1])
    one = _alignment(origin, origin, prompt_features, log_reference, beta, prompt_weights, pair_weights)
    instances, alignments = gaps.pooled(population.weights[order][None], population.parameters[order][None], one)
    bound = float(gaps.impossibility_bounds(instances, alignments)[0])
    if np.isnan(bound):
        raise ValueError("population: expected groups whose single reward double precision resolves")
    return bound


def price_of_sharing(rewards, log_reference, beta, prompt_weights=None):
    """Return the policy with the smallest worst gap, and the certificate that no single policy has a smaller one.

    min_pi max_u Gap_u(pi) = max_w [sum_u w_u A(r_u) - A(sum_u w_u r_u)]; for two groups beta x Chernoff information.

    Parameters
    ----------
    rewards : (U, X, Y) float, in logits
    log_reference : (X, Y) float; beta : float above 0; prompt_weights : (X,) float or None

    Returns
    -------
    Solution, whose values are -Gap_u: the price lies between -dual and -primal

    Raises
    ------
    ValueError
        As `alignment.group_values`. Chapter 3.
    """
    solution = solve(Regret(), rewards, log_reference, beta, prompt_weights=prompt_weights)
    gap_of = [alignment_gap(solution.policy, reward, log_reference, beta, prompt_weights) for reward in rewards]
    return replace(solution, values=-np.array(gap_of))


def chernoff_information(policy, other, prompt_weights=None):
    """Return max_w -E_x log sum_y policy^w other^(1-w), in nats; over prompts, one w for all.

    policy, other : (X, Y) float, rows sum to one; prompt_weights : (X,) float or None. ValueError on wrong shapes.
    Chapter 3.
    """
    from scipy.optimize import minimize_scalar  # slow to import

    policy = as_policy("policy", policy)
    other = as_policy("other", other, policy.shape)
    weights = as_distribution("prompt_weights", prompt_weights, len(policy))
    policy, other, weights = (part[weights > 0] for part in (policy, other, weights))
    both = (policy > 0) & (other > 0)
    if (~both.any(axis=-1)).any():
        return np.inf  # no response in common
    p, q = np.where(both, policy, 1.0), np.where(both, other, 1.0)
    t = (q - p) / p
    log_ratio = np.where(np.abs(t) < 0.5, np.log1p(np.maximum(t, -0.5)), np.log(q) - np.log(p))

    def overlap(w):
        # 1 - sum p^w q^(1-w) = sum w p + (1 - w) q - p^w q^(1-w), no term of which is negative.
        apart = policy * np.where(both, (1 - w) * t - np.expm1((1 - w) * log_ratio), 0.0)
        apart = (apart + np.where(both, 0.0, w * policy + (1 - w) * other)).sum(axis=-1)
        common = np.where(both, np.exp(w * np.log(p) + (1 - w) * np.log(q)), 0.0).sum(axis=-1)
        return weights @ np.where(apart < 0.5, np.log1p(-np.minimum(apart, 0.5)), np.log(common))

    # At its ends the overlap is that of the common support.
    found = minimize_scalar(overlap, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun
    return float(max(0.0, -found))


def _order(population, u):
    """Return the groups with u moved to the front; ValueError where there is no such group."""
    n_groups = len(population.weights)
    if not isinstance(u, int | np.integer) or not 0 <= u < n_groups:
        raise ValueError(f"u: expected a group in 0..{n_groups - 1}, got {u!r}")
    return [u, *(k for k in range(n_groups) if k != u)]


def _instance(population, u, difference, pair_weights, kind):
    """Return one instance with group u moved to the front."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    order = _order(population, u)
    difference = as_float("difference", difference, ("n", population.parameters.shape[1]))
    pair_weights = as_distribution("pair_weights", pair_weights, len(difference))
    return Instances(
        population.weights[order][None], population.parameters[order][None], difference[None], pair_weights[None]
    )


def _alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights, pair_weights="none"):
    """Return one checked instance; pair_weights 'none' where they do not enter."""
    phi = as_float("phi", phi, ("d",))
    phi_u = as_float("phi_u", phi_u, phi.shape)
    features = as_float("prompt_features", prompt_features, ("X", "Y", len(phi)))
    log_reference = as_log_reference(log_reference, features.shape[:2])
    beta = as_positive("beta", beta)
    weights = as_distribution("prompt_weights", prompt_weights, len(features))
    if not features.shape[2]:
        raise ValueError(f"prompt_features: expected at least one feature, got shape {features.shape}")
    for name, parameter in (("phi", phi), ("phi_u", phi_u)):
        with np.errstate(over="ignore", invalid="ignore"):
            reward = np.abs(features @ parameter / beta).max()
        if not reward < 1e150:
            raise ValueError(f"{name}: expected rewards over beta below 1e150, got {reward:.2g}")
    if isinstance(pair_weights, str):
        pair_weights = None
    else:
        n_prompts, n_responses = features.shape[:2]
        rho = as_float("pair_weights", pair_weights, (n_prompts, n_responses, n_responses))
        as_distribution("pair_weights", rho.ravel(), rho.size)
        if np.einsum("xyy->", rho) > 0:
            raise ValueError("pair_weights: expected no weight on a response compared with itself, got some")
        first, second = np.triu_indices(n_responses, 1)
        pair_weights = (rho[:, first, second] + rho[:, second, first])[None]
    one = phi[None], (phi_u - phi)[None], features[None], log_reference[None], np.array([beta]), weights[None]
    return gaps.Alignments(*one, pair_weights)
