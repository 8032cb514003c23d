"""The programme over occupancies: what the best policies of a grid world are, exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.linalg import spsolve

from .._validation import as_distribution, as_float, as_policy, as_positive
from .world import Navigation

__all__ = ["Occupancy", "best_occupancy", "evaluate_policy", "leximin_occupancy"]


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Hold how often a policy is where, and what the groups get.

    Attributes
    ----------
    occupancy : ndarray, shape (S, A)
        Discounted share of time in a cell with an action; sums to one.
    policy : ndarray, shape (S, A)
        Probabilities of actions, rows sum to one; where the vehicle never is, all actions alike.
    values : ndarray, shape (U,)
        Discounted share of time in a place of each group, ``<r_u, d>``.
    objective : float
        What the programme attained, in the same unit.

    Examples
    --------
    >>> best = best_occupancy(Navigation(["ASB"], slip=0.0, discount=0.9))
    >>> round(float(best.occupancy.sum()), 6), round(best.objective, 6)
    (1.0, 0.45)
    """

    occupancy: NDArray[np.float64]
    policy: NDArray[np.float64]
    values: NDArray[np.float64]
    objective: float


def best_occupancy(
    world: Navigation, group_weights: ArrayLike | None = None, *, floors: ArrayLike | None = None
) -> Occupancy:
    """Return the occupancy of the largest weighted value, or without weights of the largest minimum over groups.

    A linear programme (HiGHS) over ``d >= 0`` with
    ``sum_a d(s, a) = (1 - discount) start(s) + discount sum P(s|s', a') d(s', a')``: it maximises
    ``sum_u w_u <r_u, d>``, or t with ``<r_u, d> >= t`` for every group without a floor.

    Parameters
    ----------
    world : Navigation
        The grid world.
    group_weights : array_like, shape (U,), optional
        A distribution over groups; without it the minimum over groups is maximised.
    floors : array_like, shape (U,), optional
        Least values, NaN for groups without one. Without weights there must be such a group, and the minimum is over
        those.

    Returns
    -------
    Occupancy
        The optimum, and the policy that attains it.

    Raises
    ------
    ValueError
        On weights that are no distribution, or floors that no policy reaches.

    Examples
    --------
    Two places, one step to either side of the start; max-min divides the time:

    >>> world = Navigation(["ASB"], slip=0.0, discount=0.9)
    >>> best_occupancy(world, [1.0, 0.0]).values.round(3)
    array([0.9, 0. ])
    >>> best_occupancy(world).values.round(3)
    array([0.45, 0.45])
    """
    n_states, n_actions, n_groups = len(world.cells), world.n_actions, len(world.rewards)
    least = np.full(n_groups, np.nan) if floors is None else as_float("floors", floors, (n_groups,), finite=False)
    earns = sparse.csr_matrix(np.repeat(world.rewards, n_actions, axis=1))
    leaves = sparse.kron(sparse.eye(n_states), np.ones((1, n_actions)))
    flow = sparse.hstack([leaves - world.discount * world.transition.T, sparse.csr_matrix((n_states, 1))])
    bound = ~np.isnan(least)
    if np.isinf(least).any() or (group_weights is None and bound.all()):
        raise ValueError(
            f"floors: expected finite numbers or NaN, without weights NaN for some group, got {least.tolist()}"
        )
    if group_weights is None:
        cost = np.append(np.zeros(n_states * n_actions), -1.0)
        lift = (~bound).astype(float)
    else:
        weights = as_distribution("group_weights", group_weights, n_groups)
        cost, lift = np.append(-(earns.T @ weights), 0.0), np.zeros(n_groups)
    lacks = sparse.hstack([-earns, sparse.csr_matrix(lift[:, None])])
    counted = bound | (lift > 0)
    found = linprog(
        cost,
        A_ub=lacks.tocsr()[counted] if counted.any() else None,
        b_ub=np.where(bound, -np.where(bound, least, 0.0), 0.0)[counted] if counted.any() else None,
        A_eq=flow,
        b_eq=(1 - world.discount) * world.start,
        bounds=[(0, None)] * (n_states * n_actions) + [(None, None)],
        method="highs",
    )
    if found.status != 0:
        raise ValueError(f"floors: expected values that some policy reaches, got {least.tolist()}: {found.message}")
    occupancy = np.maximum(found.x[:-1], 0).reshape(n_states, n_actions)
    visits = occupancy.sum(axis=1, keepdims=True)
    policy = np.where(visits > 1e-12, occupancy / np.maximum(visits, 1e-300), 1.0 / n_actions)
    return Occupancy(occupancy, policy, world.rewards @ visits[:, 0], float(-found.fun))


def evaluate_policy(world: Navigation, policy: ArrayLike) -> Occupancy:
    """Return where a policy is how often, and what the groups get, by solving its linear system.

    Parameters
    ----------
    world : Navigation
        The grid world.
    policy : array_like, shape (S, A)
        Probabilities of actions in every cell; rows sum to one.

    Returns
    -------
    Occupancy
        Its objective is the least value.

    Raises
    ------
    ValueError
        On a wrong shape, or rows that are no distributions.

    Examples
    --------
    >>> world = Navigation(["ASB"], slip=0.0, discount=0.9)
    >>> left = np.tile([0.0, 0.0, 0.0, 1.0, 0.0], (3, 1))
    >>> evaluate_policy(world, left).values.round(3)
    array([0.9, 0. ])
    """
    chances = as_policy("policy", policy, (len(world.cells), world.n_actions))
    n_states, n_actions = chances.shape
    pairs = np.repeat(np.arange(n_states), n_actions), np.arange(chances.size)
    moves = sparse.csr_matrix((chances.ravel(), pairs), shape=(n_states, chances.size)) @ world.transition
    system = (sparse.eye(n_states) - world.discount * moves.T).tocsc()
    visits = spsolve(system, (1 - world.discount) * world.start)
    values = world.rewards @ visits
    return Occupancy(visits[:, None] * chances, chances, values, float(values.min()))


def leximin_occupancy(world: Navigation, tolerance: float = 1e-7) -> Occupancy:
    """Return the occupancy that raises the worst-off group, then the next, and so on; ties do not stop it.

    Max-min can leave a group with less than it could have at no cost to the worst-off. In every round the groups that
    cannot get more than the present minimum are given it as a floor, and the others go on.

    Parameters
    ----------
    world : Navigation
        The grid world.
    tolerance : float
        What a floor may lack, above 0, in units of value: the programme is solved in floating point.

    Returns
    -------
    Occupancy
        Its objective is the mean value over groups, at the floors of all.

    Raises
    ------
    ValueError
        On a tolerance at or below 0.

    Examples
    --------
    A lies on the way to B, the worst-off group: passing it costs B nothing, and only leximin does.

    >>> world = Navigation(["SA.....", "......B"], slip=0.0, discount=0.5)
    >>> leximin_occupancy(world).values.round(4)
    array([0.25  , 0.0078])
    """
    tolerance = as_positive("tolerance", tolerance)
    n_groups = len(world.rewards)
    floors = np.full(n_groups, np.nan)
    for _ in range(n_groups):
        found = best_occupancy(world, floors=floors)
        level, open_groups = found.objective, np.flatnonzero(np.isnan(floors))
        held = np.where(np.isnan(floors), level, floors) - tolerance
        # What each group could get while nobody falls below what is settled: with n groups, n tolerances are no gain.
        most = np.array([best_occupancy(world, np.eye(n_groups)[u], floors=held).values[u] for u in open_groups])
        settled = most <= max(level + 10 * n_groups * tolerance, most.min())
        floors[open_groups[settled]] = level - tolerance
        if not np.isnan(floors).any():
            break
    return best_occupancy(world, np.full(n_groups, 1.0 / n_groups), floors=floors)
