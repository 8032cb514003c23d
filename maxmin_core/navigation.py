"""A grid world in which groups of users need different places served, and its programme over occupancies."""

from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve

from ._validation import as_distribution, as_float, as_policy, as_positive

__all__ = ["Navigation", "Occupancy", "best_occupancy", "evaluate_policy", "leximin_occupancy"]

# Up, right, down, left, stay: rows grow downwards.
_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))


class Navigation(gymnasium.Env):
    """A vehicle on a grid serves the places of several groups of users; walls stop it, and sometimes it slips.

    Every step in a place of group u earns that group its reward. Observation: the number of the free cell; actions: up,
    right, down, left, stay. `step` returns the reward averaged with `group_weights`; info["rewards"] has all of them.

    Parameters
    ----------
    rows : list of str of one length: '#' wall, '.' free, 'S' start (one or more), 'A' to 'R' a place of group 0 to 17
    slip : float in [0, 1), the chance that a random action is taken instead
    discount : float in (0, 1)
    horizon : int, steps after which an episode is truncated
    group_weights : (U,) float, a distribution; None means equal weights

    Attributes
    ----------
    cells : (S, 2) int, row and column of every free cell; rewards : (U, S) float, one on a group's places
    start : (S,) float, distribution over starts; transition : (S * A, S) sparse, rows are distributions

    Raises
    ------
    ValueError
        On an empty map, rows of different lengths, an unknown mark, no start, no place, a place that no start reaches,
        or a number out of range. Chapter 6.
    """

    metadata: ClassVar = {"render_modes": []}

    def __init__(self, rows, *, slip=0.1, discount=0.95, horizon=200, group_weights=None):
        if isinstance(rows, str) or not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise ValueError(f"rows: expected at least one row, all of one length, got {rows!r:.80}")
        marks = np.array([list(row) for row in rows])
        unknown = [m for m in np.unique(marks) if m not in "#.S" and not ("A" <= m <= "R")]
        if unknown:
            raise ValueError(f"rows: expected the marks #, ., S and A to R, got {str(unknown[0])!r}")
        self.cells = np.argwhere(marks != "#")
        free = marks[tuple(self.cells.T)]
        n_groups = max((ord(m) - ord("A") + 1 for m in free if m not in ".S"), default=0)
        self.rewards = np.array([free == chr(ord("A") + u) for u in range(n_groups)], dtype=float)
        if n_groups == 0 or not self.rewards.any(axis=1).all():
            raise ValueError("rows: expected a place for every group, A, B, ... without a gap, got one without")
        if not (free == "S").any():
            raise ValueError("rows: expected a start, S, got none")
        self.start = (free == "S") / (free == "S").sum()
        self.slip = float(as_float("slip", slip, ()))
        self.discount = as_positive("discount", discount)
        if not 0 <= self.slip < 1:
            raise ValueError(f"slip: expected a number in [0, 1), got {self.slip}")
        if not self.discount < 1:
            raise ValueError(f"discount: expected a number in (0, 1), got {self.discount}")
        if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
            raise ValueError(f"horizon: expected an integer of at least 1, got {horizon!r}")
        self.horizon = int(horizon)
        self.group_weights = as_distribution("group_weights", group_weights, n_groups)
        self.transition = self._transition(marks)
        self._check_reach(free)
        self.observation_space = gymnasium.spaces.Discrete(len(self.cells))
        self.action_space = gymnasium.spaces.Discrete(len(_MOVES))

    @property
    def n_actions(self):
        """Number of actions."""
        return len(_MOVES)

    def reset(self, *, seed=None, options=None):
        """Begin an episode at a start drawn from `start`; return (cell, info)."""
        super().reset(seed=seed)
        self._cell, self._steps = int(self.np_random.choice(len(self.cells), p=self.start)), 0
        return self._cell, {"rewards": np.zeros(len(self.rewards))}

    def step(self, action):
        """Earn the rewards of the present cell, then move; return (cell, reward, terminated, truncated, info)."""
        if not self.action_space.contains(action):
            raise ValueError(f"action: expected an integer in 0..{self.n_actions - 1}, got {action!r}")
        earned = self.rewards[:, self._cell].copy()
        row = self.transition[self._cell * self.n_actions + int(action)]
        self._cell = int(self.np_random.choice(row.indices, p=row.data))
        self._steps += 1
        truncated = self._steps >= self.horizon
        return self._cell, float(self.group_weights @ earned), False, truncated, {"rewards": earned}

    def _transition(self, marks):
        number = np.full(marks.shape, -1)
        number[tuple(self.cells.T)] = np.arange(len(self.cells))
        padded = np.pad(number, 1, constant_values=-1)
        ahead = np.stack([padded[tuple((self.cells + 1 + move).T)] for move in np.array(_MOVES)], axis=1)
        # What is no free cell leaves the vehicle where it is.
        ahead = np.where(ahead < 0, np.arange(len(self.cells))[:, None], ahead)
        n_states, n_actions = ahead.shape
        rows = np.repeat(np.arange(n_states * n_actions), n_actions)
        chosen = np.tile(np.eye(n_actions), (n_states, 1))
        chances = (1 - self.slip) * chosen + self.slip / n_actions
        columns = np.repeat(ahead, n_actions, axis=0)
        kept = chances.ravel() > 0
        return sparse.csr_matrix(
            (chances.ravel()[kept], (rows[kept], columns.ravel()[kept])), shape=(n_states * n_actions, n_states)
        )

    def _check_reach(self, free):
        leads = sparse.kron(sparse.eye(len(self.cells)), np.ones((1, self.n_actions))) @ self.transition
        reached = np.zeros(len(self.cells), dtype=bool)
        for start in np.flatnonzero(self.start):
            reached[csgraph.breadth_first_order(leads.tocsr(), start, return_predecessors=False)] = True
        lost = np.flatnonzero(self.rewards.any(axis=0) & ~reached)
        if len(lost):
            row, column = self.cells[lost[0]]
            raise ValueError(
                f"rows: expected a path from a start to every place, got none to {free[lost[0]]} at ({row}, {column})"
            )


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Hold how often a policy is where, and what the groups get.

    Attributes
    ----------
    occupancy : (S, A) float, discounted share of time in a cell with an action; sums to one
    policy : (S, A) float, rows sum to one; where the vehicle never is, all actions alike
    values : (U,) float, share of time in a place of each group, <r_u, d>
    objective : float, what the programme attained
    """

    occupancy: np.ndarray
    policy: np.ndarray
    values: np.ndarray
    objective: float


def best_occupancy(world, group_weights=None, *, floors=None):
    """Return the occupancy of the largest weighted value, or without weights of the largest minimum over groups.

    With floors and no weights the minimum is over the groups without a floor, of which there must be one.

    A linear programme (HiGHS) over d >= 0, sum_a d(s, a) = (1 - discount) start(s) + discount sum P(s|s', a') d(s', a')
    maximise sum_u w_u <r_u, d>, or t with <r_u, d> >= t for every group without a floor.

    Parameters
    ----------
    world : Navigation
    group_weights : (U,) float, a distribution, or None for max-min
    floors : (U,) float or None, least values; NaN for groups without one

    Returns
    -------
    Occupancy

    Raises
    ------
    ValueError
        On weights that are no distribution, or floors that no policy reaches. Chapter 6.
    """
    n_states, n_actions, n_groups = len(world.cells), world.n_actions, len(world.rewards)
    floors = np.full(n_groups, np.nan) if floors is None else as_float("floors", floors, (n_groups,), finite=False)
    earns = sparse.csr_matrix(np.repeat(world.rewards, n_actions, axis=1))
    leaves = sparse.kron(sparse.eye(n_states), np.ones((1, n_actions)))
    flow = sparse.hstack([leaves - world.discount * world.transition.T, sparse.csr_matrix((n_states, 1))])
    bound = ~np.isnan(floors)
    if np.isinf(floors).any() or (group_weights is None and bound.all()):
        raise ValueError(
            f"floors: expected finite numbers or NaN, without weights NaN for some group, got {floors.tolist()}"
        )
    if group_weights is None:
        cost = np.append(np.zeros(n_states * n_actions), -1.0)
        lift = (~bound).astype(float)
    else:
        group_weights = as_distribution("group_weights", group_weights, n_groups)
        cost, lift = np.append(-(earns.T @ group_weights), 0.0), np.zeros(n_groups)
    least = sparse.hstack([-earns, sparse.csr_matrix(lift[:, None])])
    counted = bound | (lift > 0)
    found = linprog(
        cost,
        A_ub=least.tocsr()[counted] if counted.any() else None,
        b_ub=np.where(bound, -np.where(bound, floors, 0.0), 0.0)[counted] if counted.any() else None,
        A_eq=flow,
        b_eq=(1 - world.discount) * world.start,
        bounds=[(0, None)] * (n_states * n_actions) + [(None, None)],
        method="highs",
    )
    if found.status != 0:
        raise ValueError(f"floors: expected values that some policy reaches, got {floors.tolist()}: {found.message}")
    occupancy = np.maximum(found.x[:-1], 0).reshape(n_states, n_actions)
    visits = occupancy.sum(axis=1, keepdims=True)
    policy = np.where(visits > 1e-12, occupancy / np.maximum(visits, 1e-300), 1.0 / n_actions)
    return Occupancy(occupancy, policy, world.rewards @ visits[:, 0], float(-found.fun))


def evaluate_policy(world, policy):
    """Return the Occupancy of a policy (S, A), whose objective is the least value, by solving its linear system.

    ValueError on a wrong shape or rows that are no distributions. Chapter 6.
    """
    policy = as_float("policy", policy, (len(world.cells), world.n_actions))
    policy = as_policy("policy", policy, policy.shape)
    n_states, n_actions = policy.shape
    pairs = np.repeat(np.arange(n_states), n_actions), np.arange(policy.size)
    moves = sparse.csr_matrix((policy.ravel(), pairs), shape=(n_states, policy.size)) @ world.transition
    system = (sparse.eye(n_states) - world.discount * moves.T).tocsc()
    visits = spsolve(system, (1 - world.discount) * world.start)
    values = world.rewards @ visits
    return Occupancy(visits[:, None] * policy, policy, values, float(values.min()))


def leximin_occupancy(world, tolerance=1e-7):
    """Return the occupancy that raises the worst-off group, then the next, and so on; ties do not stop it.

    Max-min can leave a group with less than it could have at no cost to the worst-off. In every round the groups that
    cannot get more than the present minimum are given it as a floor, and the others go on. Chapter 6.
    """
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
