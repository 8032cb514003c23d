"""The best policy for all groups: solved by its dual, with the certificate that comes with it."""

import warnings
from copy import copy
from dataclasses import dataclass

import numpy as np

from .._validation import as_distribution, as_log_reference, as_positive, as_rewards, in_nats
from ._dual import Dual
from .policies import gibbs_policy
from .welfare import CVaR, Egalitarian, Nash, Regret, Utilitarian, Welfare

__all__ = ["Solution", "max_min", "per_prompt_minimum", "per_response_minimum", "solve"]


@dataclass(frozen=True)
class Solution:
    """Hold a policy for all groups with the weights that certify it: primal <= optimum <= dual.

    Attributes
    ----------
    policy : (X, Y) float
    weights : (U,) float, dual-optimal group weights, summing to one
    values : (U,) float, every group's value of the policy, in logits
    primal : float, what the policy attains; dual : float, what no policy exceeds
    """

    policy: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    primal: float
    dual: float

    @property
    def gap(self):
        """What is left between the policy and the optimum at most, dual - primal."""
        return self.dual - self.primal


def solve(welfare, rewards, log_reference, beta, *, prompt_weights=None, tol=1e-9):
    """Return the policy of the largest welfare W(F(pi)), with the group weights that certify it.

    max_pi W(F(pi)) = min_w A(sum_u w_u r_u) + c(w) over the set of weights of the welfare; the policy is the optimal
    one of the weighted reward.

    Parameters
    ----------
    welfare : a welfare of `maxmin_core.welfare`; what it leaves open is filled in: Regret(best) by A(r_u), and
        Nash(disagreement) by the values of the reference policy
    rewards : (U, X, Y) float, in logits, at least one group
    log_reference : (X, Y) float; rows sum to one in probability, -inf masks a response
    beta : float above 0, logits per nat
    prompt_weights : (X,) float, a distribution; None means equal weights
    tol : float above 0, the gap at which to stop, relative to the range of the rewards within a prompt, or to
        range^2 / beta where beta is larger, but to no less than 1e-5 of the largest mean reward of a group under the
        reference (for Regret, of its mean less its best), or rounding would hold it; for Nash, absolute, as W is a
        logarithm

    Returns
    -------
    Solution; primal and dual are values of the welfare, `values` those of the groups

    Raises
    ------
    ValueError
        As `group_values`, on no groups, a bad tol, shares of another number of groups, or a Nash bargain without a
        policy that every group prefers to the disagreement.

    Warns (RuntimeWarning) where the gap did not come down to tol. Chapter 5.
    """
    if not isinstance(welfare, Welfare):
        raise ValueError(f"welfare: expected a welfare, such as Egalitarian(), got {welfare!r:.60}")
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    beta, tol = as_positive("beta", beta), as_positive("tol", tol)
    in_nats(np.array([rewards.min(), rewards.max()]) if rewards.size else rewards, beta)
    return _solved(welfare, Dual(rewards, log_reference, beta, prompt_weights), tol)


def max_min(rewards, log_reference, beta, *, prompt_weights=None, tol=1e-9):
    """Return the policy whose worst-off group is best off: `solve` with the egalitarian welfare. Chapters 3 and 5."""
    return solve(Egalitarian(), rewards, log_reference, beta, prompt_weights=prompt_weights, tol=tol)


def per_response_minimum(rewards, log_reference, beta):
    """Return the policy of the reward min_u r_u(x, y), (X, Y): the worst-off group is chosen response by response.

    It maximises E_pi[min_u r_u] - beta KL, another problem than max-min: no group need have the reward min_u r_u, and a
    response that some group dislikes is avoided even where mixing responses would serve all. Arguments and errors as
    `group_values`. Chapter 5.
    """
    rewards = as_rewards(rewards)
    return gibbs_policy(rewards.min(axis=0), log_reference, beta)


def per_prompt_minimum(rewards, log_reference, beta):
    """Return the policy that is max-min on every prompt by itself, (X, Y): it maximises E_x min_u F_u(pi | x).

    Arguments and errors as `group_values`. Chapter 5.
    """
    rewards = as_rewards(rewards)
    log_reference = as_log_reference(log_reference, rewards.shape[1:])
    as_distribution("rewards", None, rewards.shape[1])
    prompts = range(rewards.shape[1])
    return np.vstack([max_min(rewards[:, [x]], log_reference[[x]], beta).policy for x in prompts])


def _solved(welfare, dual, tol):
    eta = welfare.shares(len(dual.rewards))
    counted = eta > 0
    if isinstance(welfare, Regret):
        best = dual.best if welfare.best is None else welfare._best(len(eta))
        shifted = dual.among(np.ones(len(eta), dtype=bool), dual.offsets - best)
        weights, gap = shifted.minimise(Egalitarian(), tol)
        welfare, scale = Regret(best), shifted.scale
    elif isinstance(welfare, Nash):
        if welfare.disagreement is None:
            welfare = Nash(dual.offsets, eta)
        weights, gap, scale = *_bargain(welfare, dual, eta, counted, tol), 1.0
    elif isinstance(welfare, Utilitarian) or (isinstance(welfare, CVaR) and welfare.level == 1.0):
        weights, gap, scale = eta, 0.0, 1.0
    else:
        # A group without a share has no weight, and no inside for a barrier.
        some = dual.among(counted, dual.offsets[counted])
        reduced = copy(welfare)
        reduced.eta = None if welfare.eta is None else eta[counted]
        weights, scale = np.zeros(len(eta)), some.scale
        weights[counted], gap = some.minimise(reduced, tol)
    if gap > tol * scale:
        warnings.warn(f"the gap stayed at {gap:.2g}, above {tol * scale:.2g}", RuntimeWarning, stacklevel=4)
    value, expected, _ = dual.at(weights)
    # A(r_w) = sum_u w_u F_u(pi_w), so the penalty is what the weighted reward has beyond it.
    values = expected - (weights @ expected - value)
    primal = welfare.value(values)
    return Solution(dual.policy(weights), weights, values, primal, primal + max(gap, 0.0))


def _bargain(welfare, dual, eta, counted, tol):
    disagreement = welfare._disagreement(len(eta))
    some = dual.among(counted, dual.offsets[counted] - disagreement[counted])
    for precision in (1e-6, 1e-12):
        start, gap = some.minimise(Egalitarian(), precision)
        value, expected, _ = some.at(start)
        gain = (expected - (start @ expected - value)).min()
        if gain > 0:
            break
    else:
        raise ValueError(
            f"disagreement: expected values that some policy betters for every group, got a best least gain of at most "
            f"{gain + gap:.3g}"
        )
    weights = np.zeros(len(eta))
    weights[counted], gap = some.bargain(np.zeros(counted.sum()), eta[counted], tol, start)
    return weights, gap
