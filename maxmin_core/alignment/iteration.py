"""Max-min by iteration: the loop of the paper and its relatives, each step with its certificate."""

import numpy as np

from .._validation import as_distribution, as_log_reference, as_positive, as_rewards, in_nats
from ._dual import Dual
from .solution import Solution

__all__ = ["iterate"]

METHODS = ("worst_group", "frank_wolfe", "exponentiated_gradient")


def iterate(method, rewards, log_reference, beta, *, n_steps, step=0.1, prompt_weights=None):
    """Return what a scheme for max-min visits, one Solution a step, beginning at equal weights.

    Every policy visited is the optimal one of a weighted reward, so a scheme is a path of group weights w:

    worst_group              w <- (1 - step) w + step e_u, u the worst-off group: a step of size step / beta in natural
                             parameters up E[r_u] - beta KL, the loop of Algorithm 1 with constant steps
    frank_wolfe              the same with step 2 / (t + 2): Frank-Wolfe on the dual A(r_w)
    exponentiated_gradient   w_u <- w_u exp(-step E_pi[r_u]), normalised

    Parameters
    ----------
    method : one of the above
    rewards : (U, X, Y) float, in logits
    log_reference : (X, Y) float; rows sum to one in probability
    beta : float above 0, logits per nat
    n_steps : int, at least 1
    step : float above 0, not used by frank_wolfe; for worst_group at most 1
    prompt_weights : (X,) float, a distribution; None means equal weights

    Returns
    -------
    list of n_steps + 1 Solution: primal <= optimum <= dual at every step, with the weights of that step

    Raises
    ------
    ValueError
        As `alignment.solve`, on an unknown method, or a bad step or number of steps. Chapter 5.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    step = as_positive("step", step)
    if method == "worst_group" and step > 1:
        raise ValueError(f"step: expected a number in (0, 1], got {step}")
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
            weights = weights * np.exp(-step * (expected - expected.min()))
            weights = weights / weights.sum()
        else:
            taken = step if method == "worst_group" else 2 / (t + 2)
            weights = (1 - taken) * weights + taken * (np.arange(len(weights)) == expected.argmin())
    return visited
