"""The best policy for all groups: solved by its dual, with the certificate that comes with it. Chapters 3 and 5."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_distribution, as_log_reference, as_positive, as_rewards, in_nats
from .._warnings import warn
from ._barrier import minimise
from ._dual import Dual
from .policies import gibbs_policy
from .welfare import Egalitarian, Welfare

__all__ = ["Solution", "max_min", "per_prompt_minimum", "per_response_minimum", "solve"]

# Values are sums of a few hundred terms: what is below this share of the largest is their rounding.
_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Solution:
    """Hold a policy for all groups with the weights that certify it: ``primal <= optimum <= dual``.

    Two solutions are equal where they are the same object.

    Attributes
    ----------
    policy : ndarray, shape (X, Y)
        Probabilities; rows sum to one.
    weights : ndarray, shape (U,)
        Dual-optimal group weights, which sum to one; the policy is the optimal one of the reward that they weigh.
    values : ndarray, shape (U,)
        Every group's value of the policy, in logits.
    primal : float
        What the policy attains.
    dual : float
        What no policy exceeds.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import max_min
    >>> solution = max_min(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), np.log([[0.5, 0.5]]), 1.0)
    >>> solution.weights.round(3).tolist(), round(solution.primal, 3), solution.gap < 1e-9
    ([0.5, 0.5], 0.5, True)
    """

    policy: NDArray[np.float64]
    weights: NDArray[np.float64]
    values: NDArray[np.float64]
    primal: float
    dual: float

    @property
    def gap(self) -> float:
        """What is left between the policy and the optimum at most, ``dual - primal``."""
        return self.dual - self.primal


def solve(
    welfare: Welfare,
    rewards: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
    tol: float = 1e-9,
) -> Solution:
    """Return the policy of the largest welfare W(F(pi)), with the group weights that certify it.

    By duality, over the set C of weights of the welfare and with its conjugate c::

        max_pi W(F(pi)) = min over w in C of A(sum_u w_u r_u) + c(w)

    and the optimal policy is the optimal one of the weighted reward. The certificate is recomputed from the weights
    that are returned, and checked against the policy that the welfare's own supergradient leads to.

    Parameters
    ----------
    welfare : Welfare
        What it leaves open is filled in: the best values of `Regret` by A(r_u), and the disagreement of `Nash` by the
        values of the reference policy.
    rewards : array_like, shape (U, X, Y)
        In logits, of at least one group.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.
    tol : float
        The gap at which to stop, above 0, relative to the range of the rewards within a prompt, or to range^2 / beta
        where beta is larger, but to no less than 1e-5 of the largest mean reward of a group under the reference (for
        `Regret`, of its mean less its best), or rounding would hold it. For `Nash` it is absolute, as W is a logarithm.

    Returns
    -------
    Solution
        Its primal and dual are values of the welfare, its values those of the groups. The gap is never negative.

    Raises
    ------
    ValueError
        On rewards that are not finite or of no group, a reference that is no distribution, beta or tol not above 0,
        shares of another number of groups, a Nash bargain without a policy that every group prefers to the
        disagreement; on a welfare with a part missing, or with parts that contradict each other: weights that are
        negative or not finite, a dual value that a policy exceeds by more than rounding (1e-11 of the largest value,
        range and mean reward).

    Warns
    -----
    RuntimeWarning
        Where the gap did not come down to tol.

    Examples
    --------
    Two groups with opposite wishes and a compromise: the best policy for the worst-off mixes.

    >>> import numpy as np
    >>> from maxmin_core import Egalitarian, solve
    >>> rewards = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])
    >>> solution = solve(Egalitarian(), rewards, np.log([[1 / 3, 1 / 3, 1 / 3]]), 0.1)
    >>> solution.policy.round(3).tolist(), round(solution.primal, 3)
    ([[0.45, 0.45, 0.1]], 0.47)
    """
    if not isinstance(welfare, Welfare):
        raise ValueError(f"welfare: expected a welfare, such as Egalitarian(), got {welfare!r:.60}")
    welfare._checked()
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    beta, tol = as_positive("beta", beta), as_positive("tol", tol)
    in_nats(np.array([rewards.min(), rewards.max()]) if rewards.size else rewards, beta)
    dual = Dual(rewards, log_reference, beta, prompt_weights)
    welfare = welfare._completed(dual)
    weights, gap, scale = welfare._minimise(dual, minimise, tol)
    if gap > tol * scale:
        warn(f"the gap stayed at {gap:.2g}, above {tol * scale:.2g}")
    values = dual.values(weights)
    _certify(welfare, dual, weights, values)
    primal = float(welfare.value(values))
    return Solution(dual.policy(weights), weights, values, primal, primal + max(float(gap), 0.0))


def max_min(
    rewards: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    prompt_weights: ArrayLike | None = None,
    tol: float = 1e-9,
) -> Solution:
    """Return the policy whose worst-off group is best off: `solve` with the egalitarian welfare.

    ::

        max_pi min_u F_u(pi) = min over w in the simplex of A(sum_u w_u r_u)

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        In logits, of at least one group.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.
    tol : float
        The gap at which to stop, above 0, relative to the range of the rewards, as `solve` says.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        On rewards that are not finite or of no group, a reference that is no distribution, beta or tol not above 0.

    Warns
    -----
    RuntimeWarning
        Where the gap did not come down to tol.

    References
    ----------
    Chakraborty et al. (2024), MaxMin-RLHF, arXiv 2402.08925.

    Examples
    --------
    >>> import numpy as np
    >>> solution = max_min(np.array([[[1.0, 0.0]], [[0.0, 0.5]]]), np.log([[0.5, 0.5]]), 0.5)
    >>> solution.values.round(3).tolist()
    [0.305, 0.305]
    """
    return solve(Egalitarian(), rewards, log_reference, beta, prompt_weights=prompt_weights, tol=tol)


def per_response_minimum(rewards: ArrayLike, log_reference: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Return the policy of the reward ``min_u r_u(x, y)``: the worst-off group is chosen response by response.

    It maximises ``E_pi[min_u r_u] - beta KL``, another problem than max-min: no group need have the reward
    ``min_u r_u``, and a response that some group dislikes is avoided even where mixing responses would serve all.

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        In logits, of at least one group.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.

    Returns
    -------
    ndarray, shape (X, Y)
        Probabilities; rows sum to one.

    Raises
    ------
    ValueError
        On rewards that are not finite or of no group, a reference that is no distribution, or beta not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> rewards = np.array([[[1.0, 0.0, 0.35]], [[0.0, 1.0, 0.35]]])
    >>> per_response_minimum(rewards, np.log([[1 / 3, 1 / 3, 1 / 3]]), 0.1).round(3).tolist()
    [[0.028, 0.028, 0.943]]
    """
    rewards = as_rewards(rewards)
    return gibbs_policy(rewards.min(axis=0), log_reference, beta)


def per_prompt_minimum(rewards: ArrayLike, log_reference: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Return the policy that is max-min on every prompt by itself: it maximises ``E_x min_u F_u(pi | x)``.

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        In logits, of at least one group.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.

    Returns
    -------
    ndarray, shape (X, Y)
        Probabilities; rows sum to one.

    Raises
    ------
    ValueError
        On rewards that are not finite or of no group, a reference that is no distribution, or beta not above 0.

    Warns
    -----
    RuntimeWarning
        Where the gap of some prompt did not come down to its tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> rewards = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.2]]])
    >>> per_prompt_minimum(rewards, np.log([[0.5, 0.5], [0.5, 0.5]]), 0.1).round(3).tolist()
    [[0.5, 0.5], [0.167, 0.833]]
    """
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    as_distribution("rewards", None, rewards.shape[1])
    prompts = range(rewards.shape[1])
    return np.vstack([max_min(rewards[:, [x]], log_reference[[x]], beta).policy for x in prompts])


def _certify(welfare, dual, weights, values):
    """Refuse weights that do not bound the welfare; a welfare's own parts are checked against each other."""
    counted = welfare.shares(len(values)) > 0
    some, w, v = welfare._among(counted), weights[counted], values[counted]
    name = type(welfare).__name__
    towards = some.supergradient(v)
    # What rounding of the values can do to the welfare.
    size = max(np.abs(v).max(), np.abs(dual.offsets).max(), dual.size)
    rounding = _ROUNDING * (towards.sum() * size + abs(some.value(v)))
    towards = towards / towards.sum()
    told = some.ceiling(towards, towards @ v) - some.value(v)
    if not abs(told) <= 1e3 * rounding + 1e-12:
        raise ValueError(
            f"welfare: expected {name} to have value(v) = <w, v> + c(w) at w = weights(v), which sum to one, "
            f"got a difference of {told:.3g} at v = {v}: value, weights and conjugate do not belong together"
        )
    ceiling = some.ceiling(w, w @ v)
    # At the weights of the optimum a wrong certificate can look tight. The policy that the welfare itself asks for next
    # tells: it is better than what was claimed to be the best.
    full = np.zeros(len(values))
    full[counted] = towards
    for attained in (v, dual.values(full)[counted]):
        if not some.value(attained) <= ceiling + 10 * rounding:
            raise ValueError(
                f"welfare: expected a dual problem of {name} that no policy exceeds, got a dual value of {ceiling:.9g} "
                f"where {some.value(attained):.9g} is attained: conjugate and room do not belong to value"
            )
