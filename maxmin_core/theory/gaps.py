"""What a group loses under the policy of another reward: the alignment gap and its bounds.

Functions of one instance check what they are given. The same for many instances at once, as searches need it, is
`alignment_gaps` of `Alignments`; the bounds are statements in `maxmin_core.theory.statements`.

Chapters 1 and 3.
"""

from numpy.typing import ArrayLike
from scipy.special import log_softmax

from .._validation import as_float, as_log_reference, as_policy, in_nats
from ..alignment import kl_divergence
from . import _gap_bounds
from ._gaps import Alignments, alignment_gaps, alignment_sampler, checked_alignment, pooled_alignments, pooled_sampler

__all__ = [
    "Alignments",
    "alignment_gap",
    "alignment_gaps",
    "alignment_sampler",
    "gap_bounds",
    "pooled_alignments",
    "pooled_sampler",
    "textbook_gap_bound",
]


def alignment_gap(
    policy: ArrayLike,
    reward: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> float:
    """Return what a policy costs the holder of a reward.

    ``F(pi_r) - F(pi) = beta E_x KL(pi || pi_r)``, where ``pi_r`` is the policy that is optimal for the reward.

    Parameters
    ----------
    policy : array_like, shape (X, Y)
        Any policy; rows sum to one.
    reward : array_like, shape (X, Y)
        The reward of every response, in logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy, rows sum to one in probability; -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        The distribution mu over prompts; equal weights without it.

    Returns
    -------
    float
        In logits, at least 0; infinite where the policy leaves the reference's support.

    Raises
    ------
    ValueError
        On shapes that do not fit, a policy or reference that is no distribution, or beta at or below 0.

    Examples
    --------
    >>> import numpy as np
    >>> half = np.array([[0.5, 0.5]])
    >>> round(alignment_gap(half, [[2.0, 0.0]], np.log(half), 1.0), 4)
    0.4338
    """
    own_reward = as_float("reward", reward, ("X", "Y"))
    judged = as_policy("policy", policy, own_reward.shape)
    log_own = log_softmax(as_log_reference(log_reference, own_reward.shape) + in_nats(own_reward, beta), axis=-1)
    return float(beta) * kl_divergence(judged, log_own, prompt_weights=prompt_weights)


def gap_bounds(
    phi: ArrayLike,
    phi_u: ArrayLike,
    prompt_features: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return bounds on the gap of a group under the optimal policy of a reward; they hold in any gauge.

    With ``s = <phi_u - phi, psi>``, ``a(x) = range_y s / beta``, and V and V_u the variances of s under the optimal
    policies of phi and phi_u::

        lower = E_x max{ (V/beta) (e^-a - 1 + a)/a^2, (V_u/beta) (1 - (1 + a) e^-a)/a^2 }
        upper = E_x min{ (V/beta) (e^a - 1 - a)/a^2, (V_u/beta) (1 + (a - 1) e^a)/a^2, range^2 / (8 beta) }

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
    lower : float
        In logits, at least 0.
    upper : float
        In logits.

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, beta at or below 0, or rewards beyond 1e150.

    Examples
    --------
    Two responses, one feature, uniform reference:

    >>> import numpy as np
    >>> features, half = [[[1.0], [0.0]]], np.log([[0.5, 0.5]])
    >>> lower, upper = gap_bounds([0.0], [2.0], features, half, 1.0)
    >>> round(lower, 4), round(upper, 4)
    (0.2838, 0.5)
    """
    one = checked_alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(_gap_bounds.lower_bounds(one)[0]), float(_gap_bounds.upper_bounds(one)[0])


def textbook_gap_bound(
    phi: ArrayLike,
    phi_u: ArrayLike,
    prompt_features: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
    n_steps: int = 33,
) -> float:
    """Return the strong-convexity bound on the gap, for contrast with `gap_bounds`.

    ``lambda_min / (2 beta) ||phi_u - phi||^2``, where lambda_min is the least eigenvalue of ``E_x Cov(psi)`` under the
    policies between the two rewards. It is taken on a grid: only the limit of finer grids bounds the gap. It is zero
    where some direction of the parameter changes no policy, as with one-hot features.

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
    n_steps : int
        How many points the grid has, at least 2.

    Returns
    -------
    float
        In logits.

    Raises
    ------
    ValueError
        On shapes that do not fit, a reference that is no distribution, beta at or below 0, rewards beyond 1e150, or
        fewer than two points.

    Examples
    --------
    Two responses, one feature, uniform reference:

    >>> import numpy as np
    >>> features, half = [[[1.0], [0.0]]], np.log([[0.5, 0.5]])
    >>> round(textbook_gap_bound([0.0], [2.0], features, half, 1.0), 4)
    0.21
    """
    one = checked_alignment(phi, phi_u, prompt_features, log_reference, beta, prompt_weights)
    return float(_gap_bounds.textbook_bounds(one, n_steps)[0])
