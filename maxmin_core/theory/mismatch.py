"""How far the one reward is from a group's: the mismatch and its lower bounds.

Functions of one instance check what they are given. The same for many instances at once, as searches need it, is
`mismatches` of `Instances`; the bounds are statements in `maxmin_core.theory.statements`.

Chapter 2.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_distribution, as_float
from ..preferences import Comparisons, Population, bradley_terry
from ._lead import leads
from ._mismatch import Instances, group_first, mismatches, population_sampler
from .statements import MISMATCH

__all__ = [
    "Instances",
    "Reason",
    "finite_sample_bound",
    "leads",
    "mismatch_bound",
    "mismatch_reason",
    "mismatches",
    "population_sampler",
    "reward_mismatch",
]

Kind = Literal["mle", "mle_H", "realizable", "lead", "two_groups", "two_groups_H", "two_groups_diversity"]


@dataclass(frozen=True)
class Reason:
    """Hold why a bound says nothing about an instance: it does not apply, or it applies and is zero.

    Attributes
    ----------
    applies : bool
        Whether the assumptions of the bound hold.
    text : str
        Why not, or why the bound is zero; '' where it applies and is positive.

    Examples
    --------
    >>> str(Reason(applies=True, text="the group is everybody"))
    'is zero: the group is everybody'
    """

    applies: bool
    text: str

    def __str__(self) -> str:
        if not self.text:
            return ""
        return f"{'is zero' if self.applies else 'does not apply'}: {self.text}"


def reward_mismatch(phi: ArrayLike, phi_u: ArrayLike) -> float:
    """Return how far one reward's parameter is from a group's, ``||phi - phi_u||``.

    Parameters
    ----------
    phi : array_like, shape (d,)
        The parameter of one reward, in logits per unit of feature.
    phi_u : array_like, shape (d,)
        The parameter of the group, in the same unit.

    Returns
    -------
    float
        In the same unit.

    Raises
    ------
    ValueError
        On different or wrong shapes.

    Examples
    --------
    >>> reward_mismatch([0.0, 0.0], [3.0, 4.0])
    5.0
    """
    one = as_float("phi", phi, ("d",))
    return float(np.linalg.norm(one - as_float("phi_u", phi_u, one.shape)))


def mismatch_bound(
    population: Population, u: int, difference: ArrayLike, pair_weights: ArrayLike | None, *, kind: Kind = "mle"
) -> float:
    """Return a lower bound on the mismatch between the pooled reward and that of a group.

    With ``g_u = E_rho[(p_bar - p_u) Dpsi]``, ``H = E_rho[Dpsi Dpsi^T]``, ``R = max ||Dpsi||``, l the logits, eps the
    lead of the group (`leads`) and D the diversity of two groups::

        mle           4 ||g_u|| / lambda_max(H); always holds
        mle_H         4 ||g_u||_{H^+}, a bound on ||phi* - phi_u||_H; always holds
        realizable    (4/R) E_rho|p_bar - p_u|; holds where p_bar is itself Bradley-Terry
        lead          (4/R) (1 - eta(u)) eps; holds where p_bar is itself Bradley-Terry
        two_groups    (4/R) (1 - eta(u)) E[|p_k - p_u| |l_k - l_u|] / E|l_k - l_u|; for two groups
        two_groups_H  16 (1 - eta(u)) D^2 / ||phi_k - phi_u||_H, a bound on ||phi* - phi_u||_H; for two groups
        two_groups_diversity  (1/R) log(1 + 4 (1 - eta(u)) D / (1 + 4 D)); for two groups

    Parameters
    ----------
    population : Population
        Shares and rewards of the groups.
    u : int
        The group in question.
    difference : array_like, shape (n, d)
        Differences of features Dpsi of the compared pairs.
    pair_weights : array_like, shape (n,), or None
        The distribution rho over the pairs; None means equal weights.
    kind : {"mle", "mle_H", "realizable", "lead", "two_groups", "two_groups_H", "two_groups_diversity"}
        Which bound.

    Returns
    -------
    float
        In logits per unit of feature, for the kinds that end in H in logits; at least 0, and 0 where the bound says
        nothing (`mismatch_reason` tells why).

    Raises
    ------
    ValueError
        On an unknown kind, a group out of range, shapes that do not fit, or a kind that does not apply.

    Examples
    --------
    >>> population = Population([0.5, 0.5], [[0.0], [2.0]])
    >>> round(mismatch_bound(population, 0, [[1.0]], None), 4)
    0.7616
    """
    statement, instances = _one(population, u, difference, pair_weights, kind)
    if why := _inapplicable(statement, instances):
        raise ValueError(f"kind: {kind!r} does not apply: {why}")
    return float(np.ravel(statement.bound(instances))[0])


def mismatch_reason(
    population: Population, u: int, difference: ArrayLike, pair_weights: ArrayLike | None, *, kind: Kind = "mle"
) -> Reason:
    """Return why `mismatch_bound` does not apply to an instance, or why it is zero.

    Parameters
    ----------
    population : Population
        Shares and rewards of the groups.
    u : int
        The group in question.
    difference : array_like, shape (n, d)
        Differences of features Dpsi of the compared pairs.
    pair_weights : array_like, shape (n,), or None
        The distribution rho over the pairs; None means equal weights.
    kind : {"mle", "mle_H", "realizable", "lead", "two_groups", "two_groups_H", "two_groups_diversity"}
        Which bound.

    Returns
    -------
    Reason
        Its text is empty where the bound applies and is positive.

    Raises
    ------
    ValueError
        On an unknown kind, a group out of range, or shapes that do not fit.

    Examples
    --------
    >>> alike = Population([0.5, 0.5], [[1.0], [1.0]])
    >>> mismatch_reason(alike, 0, [[1.0]], None)
    Reason(applies=True, text='the groups prefer alike (no diversity)')
    """
    statement, instances = _one(population, u, difference, pair_weights, kind)
    if why := _inapplicable(statement, instances):
        return Reason(applies=False, text=why)
    logits, present = instances.logits[0], instances.weights[0] > 0
    text = ""
    if not instances.difference.any():
        text = "the compared differences are all zero (degenerate features)"
    elif not present[1:].any():
        text = "the group is everybody"
    elif np.ptp(logits[present], axis=0).max() == 0:
        text = "the groups prefer alike (no diversity)"
    elif not instances.apart.any():
        text = "the preferences are so certain that double precision sees no difference"
    elif np.ravel(statement.bound(instances))[0] == 0:
        nobody = "from every group another one is at least as far (no lead)"
        text = nobody if kind == "lead" else "the differences between the groups cancel"
    return Reason(applies=True, text=text)


def finite_sample_bound(comparisons: Comparisons, phi_u: ArrayLike) -> float:
    """Return a lower bound on the mismatch of the reward fitted to this very data set, whatever its size.

    ``4 ||E^[(1 - p_u) Dpsi]|| / lambda_max(E^[Dpsi Dpsi^T])``, the means over the comparisons, Dpsi winner minus loser.

    Parameters
    ----------
    comparisons : Comparisons
        The data, with a finite maximum of the likelihood.
    phi_u : array_like, shape (d,)
        Any group's parameter, in logits per unit of feature.

    Returns
    -------
    float
        In logits per unit of feature; 0 where all differences vanish.

    Raises
    ------
    ValueError
        On a parameter of the wrong shape.

    Examples
    --------
    Three wins to one, and a group that is indifferent; the fitted reward is log 3 = 1.0986:

    >>> data = Comparisons([[1.0], [0.0]], [0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0])
    >>> round(finite_sample_bound(data, [0.0]), 4)
    1.0
    """
    difference = comparisons.difference
    own = as_float("phi_u", phi_u, (difference.shape[1],))
    pull = np.linalg.norm(bradley_terry(-difference @ own) @ difference) / len(difference)
    largest = np.linalg.eigvalsh(difference.T @ difference / len(difference))[-1]
    return float(4 * pull / largest) if largest > 0 else 0.0


def _one(population, u, difference, pair_weights, kind):
    """Return the statement, and one checked instance with group u moved to the front."""
    if kind not in MISMATCH:
        raise ValueError(f"kind: expected one of {', '.join(MISMATCH)}, got {kind!r}")
    weights, parameters = group_first(population, u)
    difference = as_float("difference", difference, ("n", parameters.shape[-1]))
    pair_weights = as_distribution("pair_weights", pair_weights, len(difference))
    return MISMATCH[kind], Instances(weights, parameters, difference[None], pair_weights[None])


def _inapplicable(statement, instances):
    return str(np.ravel(statement.reasons(instances))[0])
