"""The search for counterexamples: random instances and adversarial descent, many at once, on any statement.

Chapters 2 and 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .statements import Statement

__all__ = ["Falsification", "falsify"]

_WIDEST = 10.0


@dataclass(frozen=True, eq=False)
class Falsification:
    """Hold what a search for the smallest slack has found.

    Attributes
    ----------
    slack : float
        The smallest slack of all instances; below zero the statement is refuted.
    coordinates : ndarray, shape (dimension,)
        Where it was found: ``statement.sampler.decode(coordinates[None])`` is the instance.
    random : float
        The smallest slack of the random instances alone.
    n_random : int
        How many instances were drawn.
    n_adversarial : int
        How many starts were driven downhill.
    n_violations : int
        Random instances and final points of the descent with slack below -tolerance.
    n_undefined : int
        Random instances to which the statement does not apply, or on which nothing can be said: slack is NaN.

    Examples
    --------
    >>> from maxmin_core.theory import STATEMENTS
    >>> found = falsify(STATEMENTS["lower"], n_random=100, n_adversarial=5, seed=0, n_steps=20)
    >>> found.n_violations, found.slack <= found.random
    (0, True)
    """

    slack: float
    coordinates: NDArray[np.float64]
    random: float
    n_random: int
    n_adversarial: int
    n_violations: int
    n_undefined: int


def falsify(
    statement: Statement,
    *,
    n_random: int,
    n_adversarial: int,
    seed: int,
    n_steps: int = 200,
    tolerance: float = 1e-9,
    block: int = 20_000,
) -> Falsification:
    """Search for the smallest slack of a statement over random and adversarially chosen instances.

    The random instances are decoded from standard normal coordinates. The best of them, and fresh ones, start the
    descent: each start takes the better of a random step (gradient-free) and a step down the central-difference
    gradient, all starts at once, and adapts its step sizes to what succeeded. On a plateau it looks further and further
    around, until it sees a way down.

    Parameters
    ----------
    statement : Statement
        The statement to attack; it needs a sampler.
    n_random : int
        How many random instances to draw, at least 1.
    n_adversarial : int
        How many starts to drive downhill, at least 1.
    seed : int
        The seed of the draws and of the random steps.
    n_steps : int
        How many steps of the descent, at least 1.
    tolerance : float
        How far below zero slack counts as a violation (rounding), at least 0.
    block : int
        How many instances are in memory at a time, at least 1.

    Returns
    -------
    Falsification
        The worst instance and how many violations there were.

    Raises
    ------
    ValueError
        On a statement without a sampler, counts below 1, a statement that applies to none of the random instances, or
        one whose bound and truth are not of one number per instance.

    Examples
    --------
    That a coin's variance is at most 0.2 is false, and the search finds the fair coin:

    >>> wrong = Statement(
    ...     "wrong", bound=lambda p: 0.2, truth=lambda p: p * (1 - p), side="upper", relative=False,
    ...     sampler=(lambda x: 1 / (1 + np.exp(-x[:, 0])), 1),
    ... )
    >>> found = falsify(wrong, n_random=20, n_adversarial=5, seed=0)
    >>> round(found.slack, 6), abs(found.coordinates[0]) < 1e-3
    (-0.05, np.True_)
    """
    if not isinstance(statement, Statement):
        raise ValueError(f"statement: expected a Statement, got {statement!r:.80}")
    decode, dimension = statement.part("sampler", "a search")
    counts = {"n_random": n_random, "n_adversarial": n_adversarial, "n_steps": n_steps, "block": block}
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: expected at least 1, an integer, got {value!r}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected a number of at least 0, got {tolerance!r}")
    rng = np.random.default_rng(seed)

    def evaluate(points):
        parts = []
        for start in range(0, len(points), block):
            part = points[start : start + block]
            slack = statement.slack(decode(part))
            if slack.shape != (len(part),):
                raise ValueError(
                    f"statement: expected {statement.name!r} to have one slack for each of {len(part)} instances, "
                    f"got shape {slack.shape}"
                )
            parts.append(slack)
        return np.concatenate(parts)

    best_points, best_values = np.empty((0, dimension)), np.empty(0)
    violations = undefined = 0
    for start in range(0, n_random, block):
        points = rng.normal(size=(min(block, n_random - start), dimension))
        values = evaluate(points)
        undefined += int(np.isnan(values).sum())
        violations += int((values < -tolerance).sum())
        points, values = np.vstack([best_points, points]), np.concatenate([best_values, values])
        kept = np.argsort(np.where(np.isnan(values), np.inf, values))[: max(1, n_adversarial // 2)]
        best_points, best_values = points[kept], values[kept]
    if np.isnan(best_values[0]):
        raise ValueError(
            f"statement: expected {statement.name!r} to apply to some random instance, got none in {n_random}"
        )
    random = float(best_values[0])

    fresh = rng.normal(size=(n_adversarial - min(len(best_points), n_adversarial), dimension))
    points = np.vstack([best_points[:n_adversarial], fresh])
    values = _infinite_where_undefined(evaluate(points))
    points, values = _descend(points, values, lambda at: _infinite_where_undefined(evaluate(at)), rng, n_steps)
    violations += int((values < -tolerance).sum())
    worst = int(np.argmin(values))
    return Falsification(float(values[worst]), points[worst], random, n_random, n_adversarial, violations, undefined)


def _infinite_where_undefined(values):
    return np.where(np.isnan(values), np.inf, values)


def _descend(points, values, evaluate, rng, n_steps):
    """Move every start downhill; a start never moves up."""
    n, dimension = points.shape
    step = np.full((2, n), 0.3)
    for k in range(n_steps):
        proposals = [points + step[0][:, None] * rng.normal(size=points.shape)]
        if k % 4 == 0:
            # The gradient costs 2 x dimension evaluations: every fourth step.
            width = 1e-5
            shifts = width * np.concatenate([np.eye(dimension), -np.eye(dimension)])
            around = evaluate((points[:, None] + shifts).reshape(-1, dimension)).reshape(n, 2, dimension)
            on_plateau = (around == values[:, None, None]).all(axis=(1, 2))
            with np.errstate(invalid="ignore"):
                gradient = np.nan_to_num((around[:, 0] - around[:, 1]) / (2 * width), posinf=0.0, neginf=0.0)
            length = np.linalg.norm(gradient, axis=1, keepdims=True)
            proposals.append(points - step[1][:, None] * gradient / np.where(length > 0, length, 1.0))
        for kind, proposal in enumerate(proposals):
            proposed = evaluate(proposal)
            better = proposed < values
            level = on_plateau & (proposed == values)
            points = np.where(better[:, None], proposal, points)
            values = np.where(better, proposed, values)
            # One success in five keeps a random step where it is; a gradient step halves or doubles. On a plateau
            # there is no gradient, and random steps search wider and wider, then again from near by.
            grow, shrink, wander = ((1.5, 0.9, 1.5), (2.0, 0.5, 1.0))[kind]
            step[kind] *= np.where(better, grow, np.where(level, wander, shrink))
            step[kind] = np.clip(np.where(level & (step[kind] > _WIDEST), 0.3, step[kind]), 1e-9, _WIDEST)
    return points, values
