"""The search for counterexamples: random instances and adversarial descent, many at once, on any slack."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Falsification", "falsify"]


@dataclass(frozen=True, eq=False)
class Falsification:
    """Hold what a search for the smallest slack has found.

    Attributes
    ----------
    slack : float, the smallest slack of all instances; below zero the statement is refuted
    coordinates : (dimension,) float, where it was found: `decode(coordinates[None])` is the instance
    random : float, the smallest slack of the random instances alone
    n_random, n_adversarial : int, instances drawn, and starts that were driven downhill
    n_violations : int, random instances and final points of the descent with slack below -tolerance
    n_undefined : int, random instances whose slack is NaN: the statement does not apply to them
    """

    slack: float
    coordinates: np.ndarray
    random: float
    n_random: int
    n_adversarial: int
    n_violations: int
    n_undefined: int


def falsify(slack, decode, dimension, *, n_random, n_adversarial, seed, n_steps=200, tolerance=1e-9, block=20_000):
    """Search for the smallest slack of a statement over random and adversarially chosen instances.

    The random instances are decoded from standard normal coordinates. The best of them, and fresh ones, start the
    descent: each start takes the better of a random step (gradient-free) and a step down the central-difference
    gradient, all starts at once, and adapts its step sizes to what succeeded.

    Parameters
    ----------
    slack : callable, instance -> (B,) float, at least zero where the statement holds; NaN where it does not apply
    decode : callable, (B, dimension) float -> instance
    dimension : int, at least 1
    n_random, n_adversarial : int, at least 1
    seed : int
    n_steps : int, steps of the descent
    tolerance : float, how far below zero counts as a violation (rounding)
    block : int, instances in memory at a time

    Returns
    -------
    Falsification

    Raises
    ------
    ValueError
        On counts below 1, or when the statement applies to none of the random instances. Chapter 2.
    """
    counts = {"dimension": dimension, "n_random": n_random, "n_adversarial": n_adversarial, "n_steps": n_steps}
    for name, value in (counts | {"block": block}).items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name}: expected at least 1, an integer, got {value!r}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected a number of at least 0, got {tolerance!r}")
    rng = np.random.default_rng(seed)

    def evaluate(points):
        parts = [np.asarray(slack(decode(points[i : i + block]))) for i in range(0, len(points), block)]
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
        raise ValueError(f"slack: expected a number for some random instance, got NaN for all {n_random}")
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
            with np.errstate(invalid="ignore"):
                gradient = np.nan_to_num((around[:, 0] - around[:, 1]) / (2 * width), posinf=0.0, neginf=0.0)
            length = np.linalg.norm(gradient, axis=1, keepdims=True)
            proposals.append(points - step[1][:, None] * gradient / np.where(length > 0, length, 1.0))
        for kind, proposal in enumerate(proposals):
            proposed = evaluate(proposal)
            better = proposed < values
            points = np.where(better[:, None], proposal, points)
            values = np.where(better, proposed, values)
            # One success in five keeps a random step where it is; a gradient step halves or doubles.
            grow, shrink = ((1.5, 0.9), (2.0, 0.5))[kind]
            step[kind] = np.clip(step[kind] * np.where(better, grow, shrink), 1e-9, 10.0)
    return points, values
