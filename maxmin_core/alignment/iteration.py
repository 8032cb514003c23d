"""Max-min by iteration: the loop of the paper and its relatives, each step with its certificate. Chapters 5 and 8."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_distribution, as_log_reference, as_positive, as_rewards, in_nats
from ._dual import Dual
from .solution import Solution

__all__ = ["iterate"]

METHODS = ("worst_group", "frank_wolfe", "exponentiated_gradient")


def iterate(
    method: Literal["worst_group", "frank_wolfe", "exponentiated_gradient"],
    rewards: ArrayLike,
    log_reference: ArrayLike,
    beta: float,
    *,
    n_steps: int,
    rate: float = 0.1,
    prompt_weights: ArrayLike | None = None,
) -> list[Solution]:
    """Return what a scheme for max-min visits, one Solution a step, beginning at equal weights.

    Every policy visited is the optimal one of a weighted reward, so a scheme is a path of group weights w:

    ``worst_group``
        ``w <- (1 - rate) w + rate e_u``, u the worst-off group: a step of size rate / beta in natural parameters up
        ``E[r_u] - beta KL``, the loop of the paper's Algorithm 1 with constant steps.
    ``frank_wolfe``
        The same with the rate ``2 / (t + 2)``: Frank-Wolfe on the dual A(r_w).
    ``exponentiated_gradient``
        ``w_u <- w_u exp(-rate E_pi[r_u])``, normalised.

    Parameters
    ----------
    method : {'worst_group', 'frank_wolfe', 'exponentiated_gradient'}
        One of the above.
    rewards : array_like, shape (U, X, Y)
        In logits, of at least one group.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    beta : float
        KL strength, above 0, in logits per nat.
    n_steps : int
        How many steps, at least 1.
    rate : float
        How far a step goes, above 0; for ``worst_group`` at most 1, for ``frank_wolfe`` not used.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.

    Returns
    -------
    list of Solution
        One more than n_steps: ``primal <= optimum <= dual`` at every step, with the weights of that step.

    Raises
    ------
    ValueError
        On rewards that are not finite or of no group, a reference that is no distribution, beta not above 0, an unknown
        method, or a bad rate or number of steps.

    References
    ----------
    Chakraborty et al. (2024), MaxMin-RLHF, Algorithm 1; Frank and Wolfe (1956); Kivinen and Warmuth (1997).

    Examples
    --------
    >>> import numpy as np
    >>> path = iterate("frank_wolfe", [[[1.0, 0.0]], [[0.0, 0.5]]], np.log([[0.5, 0.5]]), 0.5, n_steps=200)
    >>> path[-1].gap < 0.01 < path[1].gap
    True
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    rate = as_positive("rate", rate)
    if method == "worst_group" and rate > 1:
        raise ValueError(f"rate: expected a number in (0, 1], got {rate}")
    if isinstance(n_steps, bool) or not isinstance(n_steps, int | np.integer) or n_steps < 1:
        raise ValueError(f"n_steps: expected an integer of at least 1, got {n_steps!r}")
    beta = as_positive("beta", beta)
    in_nats(rewards, beta)
    dual = Dual(rewards, log_reference, beta, prompt_weights)
    weights, visited = np.full(len(rewards), 1.0 / len(rewards)), []
    for t in range(n_steps + 1):
        value, expected, _ = dual.at(weights)
        values = expected - (weights @ expected - value)
        visited.append(Solution(dual.policy(weights), weights, values, float(values.min()), float(value)))
        if method == "exponentiated_gradient":
            weights = weights * np.exp(-rate * (expected - expected.min()))
            weights = weights / weights.sum()
        else:
            taken = rate if method == "worst_group" else 2 / (t + 2)
            weights = (1 - taken) * weights + taken * (np.arange(len(weights)) == expected.argmin())
    return visited
