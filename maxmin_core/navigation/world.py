"""The grid world, an environment of gymnasium."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import csgraph

from .._validation import as_distribution, as_float, as_positive

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'gymnasium: expected gymnasium, which the grid world needs: pip install "maxmin-core[book]"', name="gymnasium"
    ) from error

__all__ = ["Navigation"]

# Up, right, down, left, stay: rows grow downwards.
_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))


class Navigation(gymnasium.Env[int, int]):
    """A vehicle on a grid serves the places of several groups of users; walls stop it, and sometimes it slips.

    Every step in a place of group u earns that group a reward of 1. An observation is the number of the free cell; the
    actions 0 to 4 are up, right, down, left, stay. `step` returns the reward averaged with `group_weights`, and
    ``info["rewards"]`` has all of them.

    Parameters
    ----------
    rows : sequence of str
        The map, rows of one length: '#' is a wall, '.' free, 'S' a start (one or more), 'A' to 'R' a place of group 0
        to 17.
    slip : float
        The chance, in [0, 1), that a random action is taken instead.
    discount : float
        The discount factor, in (0, 1).
    horizon : int
        The number of steps after which an episode is truncated, at least 1.
    group_weights : array_like, shape (U,), optional
        The distribution over groups by which `step` averages rewards; equal weights without it.

    Attributes
    ----------
    cells : ndarray of int, shape (S, 2)
        Row and column of every free cell.
    rewards : ndarray, shape (U, S)
        One on a group's places, zero elsewhere.
    start : ndarray, shape (S,)
        The distribution over starts.
    transition : scipy.sparse.csr_matrix, shape (S * A, S)
        Row s * A + a is the distribution over the next cell after action a in cell s.

    Raises
    ------
    ModuleNotFoundError
        When this module is imported without gymnasium.
    ValueError
        On an empty map, rows of different lengths, an unknown mark, no start, no place, a place that no start reaches,
        or a number out of range.

    Examples
    --------
    >>> world = Navigation(["A.S.B"], slip=0.0, discount=0.9)
    >>> world.cells.tolist()
    [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]
    >>> cell, info = world.reset(seed=0)
    >>> world.step(3)[0]
    1
    """

    def __init__(
        self,
        rows: Sequence[str],
        *,
        slip: float = 0.1,
        discount: float = 0.95,
        horizon: int = 200,
        group_weights: ArrayLike | None = None,
    ) -> None:
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
        self.observation_space: gymnasium.Space[Any] = gymnasium.spaces.Discrete(len(self.cells))
        self.action_space: gymnasium.Space[Any] = gymnasium.spaces.Discrete(len(_MOVES))

    @property
    def n_actions(self) -> int:
        """How many actions there are."""
        return len(_MOVES)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode at a start drawn from `start`.

        Parameters
        ----------
        seed : int, optional
            Seeds the generator of starts and slips; without it the generator goes on.
        options : dict, optional
            Not read; part of the interface of gymnasium.

        Returns
        -------
        cell : int
            The number of the cell.
        info : dict
            Under "rewards", what each group has earned, (U,): nothing yet.
        """
        super().reset(seed=seed)
        self._cell, self._steps = int(self.np_random.choice(len(self.cells), p=self.start)), 0
        return self._cell, {"rewards": np.zeros(len(self.rewards))}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Earn the rewards of the present cell, then move.

        Parameters
        ----------
        action : int
            0 to 4: up, right, down, left, stay.

        Returns
        -------
        cell : int
            The number of the next cell.
        reward : float
            The groups' rewards, averaged with `group_weights`.
        terminated : bool
            Always false.
        truncated : bool
            Whether the horizon is reached.
        info : dict
            Under "rewards", what each group has earned in this step, (U,).

        Raises
        ------
        ValueError
            On another action.
        """
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
