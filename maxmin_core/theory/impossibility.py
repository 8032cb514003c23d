"""The impossibility theorem: what a group loses at least, in terms of what can be observed, preferences.

The bounds are statements in `maxmin_core.theory.statements`, too, for many instances at once; all but
`second_hand_gap_bound`, which is not ours and fails.

Chapter 3.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..preferences import Population
from . import _gap_bounds
from ._gaps import checked_alignment, pooled_alignments, with_pairs
from ._mismatch import group_first

__all__ = ["impossibility_bound", "observable_bound", "pairwise_bound", "second_hand_gap_bound"]


def pairwise_bound(
    phi: ArrayLike,
    phi_u: ArrayLike,
    prompt_features: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> float:
    """Return a lower bound on the gap in terms of preferences, over all pairs of responses.

    ``(8 / beta) E_x sum over pairs of m (p_phi - p_u)^2``, where m is the lesser of ``pi(y) pi(y')`` under the reward's
    policy and under the group's. It is at least `observable_bound`.

    Parameters
    ----------
    phi : array_like, shape (d,)
        The parameter of the reward whose optimal policy is judged, in logits per unit of feature.
    phi_u : array_like, shape (d,)
        The parameter of the group that judges it, in the same unit.
    prompt_features : array_like, shape (X, Y, d)
        Features psi of every response to every prompt.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy, rows sum to one in probability; -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    float
        In logits, at least 0.

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, beta at or below 0, or rewards beyond 1e150.

    Examples
    --------
    Two responses, one feature, uniform reference:

    >>> features, half = [[[1.0], [0.0]]], np.log([[0.5, 0.5]])
    >>> round(pairwise_bound([0.0], [2.0], features, half, 1.0), 4)
    0.1218
    """
    one = checked_alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(_gap_bounds.pairwise_bounds(one)[0])


def observable_bound(
    phi: ArrayLike,
    phi_u: ArrayLike,
    prompt_features: ArrayLike,
    pair_weights: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> float:
    """Return a lower bound on the gap in terms of preferences, over the pairs that are compared.

    ``(8 c / beta) E_rho (p_phi - p_u)^2``, where c is the least of ``mu(x) pi(y) pi(y') / rho(x, y, y')`` over the
    compared pairs, under the reward's policy and under the group's.

    Parameters
    ----------
    phi : array_like, shape (d,)
        The parameter of the reward whose optimal policy is judged, in logits per unit of feature.
    phi_u : array_like, shape (d,)
        The parameter of the group that judges it, in the same unit.
    prompt_features : array_like, shape (X, Y, d)
        Features psi of every response to every prompt.
    pair_weights : array_like, shape (X, Y, Y)
        The distribution rho: how often y is compared with y' on prompt x; the order of a pair is immaterial.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy, rows sum to one in probability; -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    float
        In logits; 0 where a compared response cannot be given, or a compared prompt never comes up.

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, beta at or below 0, rewards beyond 1e150, or
        pair weights that are no distribution or compare a response with itself.

    Examples
    --------
    Two responses, one feature, uniform reference:

    >>> features, half = [[[1.0], [0.0]]], np.log([[0.5, 0.5]])
    >>> round(observable_bound([0.0], [2.0], features, [[[0.0, 1.0], [0.0, 0.0]]], half, 1.0), 4)
    0.1218
    """
    one = checked_alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(_gap_bounds.observable_bounds(with_pairs(one, pair_weights))[0])


def impossibility_bound(
    population: Population,
    u: int,
    prompt_features: ArrayLike,
    pair_weights: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> float:
    """Return what a group loses at least under the policy of the single reward, however much data there is.

    ``(8 c / beta) ||g_u||^2_{H^+}`` with ``g_u = E_rho[(p_bar - p_u) Dpsi]`` and c as in `observable_bound`; with two
    groups ``g_u = (1 - eta(u)) E_rho[(p_k - p_u) Dpsi]``.

    Parameters
    ----------
    population : Population
        Shares and rewards of the groups.
    u : int
        The group in question.
    prompt_features : array_like, shape (X, Y, d)
        Features psi of every response to every prompt.
    pair_weights : array_like, shape (X, Y, Y)
        The distribution rho: how often y is compared with y' on prompt x; the order of a pair is immaterial.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy, rows sum to one in probability; -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    float
        In logits; 0 where the differences between the groups cancel, a compared response cannot be given, or a
        compared prompt never comes up.

    Raises
    ------
    ValueError
        On shapes that do not fit, a group out of range, a reference or pair weights that are no distribution, beta at
        or below 0, or groups whose single reward is beyond double precision.

    Examples
    --------
    >>> population = Population([0.5, 0.5], [[0.0], [2.0]])
    >>> features, pairs, half = [[[1.0], [0.0]]], [[[0.0, 1.0], [0.0, 0.0]]], np.log([[0.5, 0.5]])
    >>> round(impossibility_bound(population, 0, features, pairs, half, 1.0), 4)
    0.062
    """
    weights, parameters = group_first(population, u)
    origin = np.zeros(parameters.shape[-1])
    world = checked_alignment(origin, origin, prompt_features, log_reference, beta, prompt_weights)
    world = with_pairs(world, pair_weights)
    bound = float(_gap_bounds.impossibility_bounds(*pooled_alignments(weights, parameters, world))[0])
    if np.isnan(bound):
        raise ValueError("population: expected groups whose single reward double precision resolves, got none")
    return bound


def second_hand_gap_bound(
    lead: Any,
    others: Any,
    *,
    beta: Any,
    feature_norm: Any,
    least_eigenvalue: Any,
    steepness: Any,
    power: Literal[1, 2] = 1,
) -> Any:
    """Return the lower bound on the gap that a digest of the paper gives, or the same with eps (1 - eta(u)) squared.

    ``lambda_psi (eps (1 - eta(u)))^power / (64 beta^2 L_pi D^2)``. With the first power, which is the digest's, it is
    no bound: the gap can be of second order in eps, and in 1 - eta(u). Whether the digest lost a square or the paper
    has none we cannot tell. With constants that do not depend on the groups it is none with the square either: the
    gap can vanish while eps does not. The numbers may be floats, arrays or balls; they are not checked.

    Parameters
    ----------
    lead : number
        eps, how much farther the group is from another one than everybody else is; see `leads`.
    others : number
        ``1 - eta(u)``, the share of all other groups.
    beta : number
        KL strength, above 0, in logits per nat.
    feature_norm : number
        D, a bound on the norm of the features.
    least_eigenvalue : number
        lambda_psi. The digest does not define it; chapter 3 says how we read it.
    steepness : number
        L_pi, a Lipschitz constant of the policy. The digest does not define it; chapter 3 says how we read it.
    power : {1, 2}
        Of ``eps (1 - eta(u))``.

    Returns
    -------
    number
        In logits, where lambda_psi and L_pi are read so that the units agree.

    Raises
    ------
    ValueError
        On another power.

    Examples
    --------
    >>> readings = {"beta": 1.0, "feature_norm": 1.0, "least_eigenvalue": 0.5, "steepness": 2.0}
    >>> second_hand_gap_bound(0.5, 0.5, **readings), second_hand_gap_bound(0.5, 0.5, **readings, power=2)
    (0.0009765625, 0.000244140625)
    """
    if power not in (1, 2):
        raise ValueError(f"power: expected 1 or 2, got {power!r}")
    pulled = lead * others
    # Balls are squared by multiplication: their power goes through the logarithm.
    pulled = pulled if power == 1 else pulled * pulled
    return least_eigenvalue * pulled / (64 * beta * beta * steepness * feature_norm * feature_norm)
