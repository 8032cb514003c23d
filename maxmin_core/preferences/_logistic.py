"""The one convex problem under every reward fit: logistic regression without intercept on differences of features."""

import numpy as np
from scipy.special import expit, log_expit

from .._newton import backtrack, newton_step
from .._warnings import warn

__all__ = ["OfEdges", "climb", "fit_logistic", "rank", "well_scaled"]


def rank(matrix):
    """Return the rank of an (n, d) matrix, whatever the scale of its columns."""
    _, coordinates = well_scaled(matrix)
    return coordinates.shape[1]


def fit_logistic(difference, wins, losses=None, l2=0.0, max_iter=200):
    """Return the minimiser, of minimum norm, of sum wins softplus(-m) + losses softplus(m) + (l2/2) ||phi||^2.

    m = difference phi. Newton's method with a line search, in coordinates that no rescaling of features moves.

    Parameters
    ----------
    difference : (n, d) float
    wins, losses : (n,) float, non-negative weight of choices for and against each row; losses None means zero
    l2 : float, at least 0

    Raises
    ------
    ValueError
        Where the data are separable and l2 is zero: there is no finite minimiser. Chapter 1.

    Warns (RuntimeWarning) when the steps do not settle.
    """
    counted = wins > 0 if losses is None else wins + losses > 0
    if not counted.all():
        # A row without weight must not span directions that the data leave open.
        difference, wins, losses = difference[counted], wins[counted], None if losses is None else losses[counted]
    z, coordinates = well_scaled(difference)
    rows = _Rows(z, wins, losses, l2 * coordinates.T @ coordinates)
    return coordinates @ climb(rows, wins, losses, _refuse if l2 == 0 else None, max_iter)


def climb(rows, wins, losses, refuse=None, max_iter=200):
    """Return the minimiser of `fit_logistic` in the coordinates of `rows`: Newton's method with a line search.

    rows : has margins(phi) (n,), newton(at, margin) -> gradient and Newton's step, and ridge(phi), the penalty
    refuse : called with (rows, margin) when margins have become large, to raise where there is no finite minimiser
    """
    at, margin = np.zeros(rows.n_parameters), np.zeros(len(wins))
    value = _objective(rows, at, margin, wins, losses)
    checked = False
    for _ in range(max_iter):
        gradient, step = rows.newton(at, margin)
        move = rows.margins(step)
        reach, stride = np.abs(margin).max(initial=0.0), np.abs(move).max(initial=0.0)
        # Newton squares the error: a step as short as this leaves about 1e-14.
        settled = stride <= 1e-7 * (1.0 + reach)
        # Past the optimum of an exponential tail there is hardly any curvature, and Newton's step is far too long.
        short = min(1.0, 10.0 * (1.0 + reach) / max(stride, 1e-300))
        step, move = short * step, short * move
        slope = gradient @ step

        def along(size, at=at, margin=margin, step=step, move=move):
            return _objective(rows, at + size * step, margin + size * move, wins, losses)

        def attempt(size, along=along, value=value, slope=slope):
            found = along(size)
            # The last term lets rounding pass: near the optimum the value cannot fall by more than its own noise.
            return found, found > value + 1e-4 * size * slope + 1e-14 * abs(value)

        size, found, _ = backtrack(attempt, 1.0, most=35)
        # Far out, where the likelihood is an exponential tail, Newton's step is one logit long: stretch it.
        while not settled and reach > 10 and 1 <= size < 64 and (further := along(2 * size)) < found:
            size, found = 2 * size, further
        at, margin, value = at + size * step, margin + size * move, found
        if settled:
            break
        if refuse is not None and not checked and reach > 30:
            checked = True
            refuse(rows, margin)
    else:
        warn(f"Newton's method did not converge in {max_iter} steps")
    return at


class _Rows:
    """Differences of features in well-scaled coordinates, (n, r), and the choices for and against each."""

    def __init__(self, z, wins, losses, penalty):
        self.z, self.wins, self.losses, self.penalty = z, wins, losses, penalty
        self.n_parameters = z.shape[1]

    def margins(self, phi):
        return self.z @ phi

    def ridge(self, phi):
        return 0.5 * phi @ self.penalty @ phi

    def newton(self, at, margin):
        gradient, hessian = _derivatives(self.z, margin, self.wins, self.losses)
        gradient += self.penalty @ at
        return gradient, newton_step(hessian + self.penalty, gradient)


class OfEdges:
    """Rewards of items without features: the same as `_Rows`, on a graph of compared pairs."""

    def __init__(self, edges, wins, losses, l2):
        self.edges, self.wins, self.losses, self.l2 = edges, wins, losses, l2
        self.n_parameters = edges.n

    def margins(self, phi):
        return self.edges.between(phi)

    def ridge(self, phi):
        return 0.5 * self.l2 * phi @ phi

    def newton(self, at, margin):
        up, down = expit(margin), expit(-margin)
        gradient = self.edges.gather(self.losses * up - self.wins * down) + self.l2 * at
        return gradient, -self.edges.solve((self.wins + self.losses) * up * down, gradient, self.l2)


def _refuse(rows, margin):
    if _separable(rows.z, margin, rows.wins, rows.losses):
        raise ValueError(
            "comparisons: separable, some direction of the reward contradicts no choice, so the likelihood has no "
            "finite maximum and rewards diverge; expected overlapping choices or l2 > 0"
        )


def well_scaled(matrix):
    """Return (z, coordinates), z = matrix @ coordinates of full column rank, coordinates (d, r) in the row space."""
    d = matrix.shape[1]
    scale = np.abs(matrix).max(axis=0, initial=0.0)
    present = scale > 0
    scale[~present] = 1.0
    within = scale.max(initial=1.0) < 1e50 and scale.min(initial=1.0) > 1e-50
    if within and present.all():
        gram = (matrix.T @ matrix) / np.outer(scale, scale)
        length = np.sqrt(np.diag(gram))
        values = np.linalg.eigvalsh(gram / np.outer(length, length))
        if values[0] > 1e-4 * values[-1]:
            # Well conditioned but for the columns' scales, which Newton's step takes care of: spare the copy.
            return matrix, np.eye(d)
    # The triangular factor keeps the digits that the Gram matrix squares away.
    unit = matrix / scale
    length = np.linalg.norm(unit, axis=0)
    length[length == 0] = 1.0
    unit = unit / length
    _, values, vectors = np.linalg.svd(np.linalg.qr(unit, mode="r"))
    values = np.concatenate([values, np.zeros(d - len(values))])
    kept = values > max(unit.shape) * np.finfo(float).eps * max(values[0], 1e-300)
    stretch = (scale * length)[:, None]
    coordinates = vectors[kept].T / values[kept] / stretch
    if not kept.all():
        # What is rounding beside one would be large after the columns' scales are put back.
        null = np.where(np.abs(vectors[~kept].T) < 1e-12, 0.0, vectors[~kept].T) / stretch
        null = np.linalg.qr(null / np.abs(null).max(axis=0))[0]
        coordinates = coordinates - null @ (null.T @ coordinates)
    return unit @ (vectors[kept].T / values[kept]), coordinates


def _objective(rows, at, margin, wins, losses):
    value = -(wins @ log_expit(margin)) + rows.ridge(at)
    return value if losses is None else value - losses @ log_expit(-margin)


def _derivatives(z, margin, wins, losses, block=4096):
    """Return gradient and Hessian, a block of rows at a time so that the weighted copy stays in cache."""
    gradient, hessian = np.zeros(z.shape[1]), np.zeros((z.shape[1], z.shape[1]))
    for start in range(0, len(z), block):
        part = slice(start, start + block)
        rows, down = z[part], expit(-margin[part])
        up = 1.0 - down if losses is None else expit(margin[part])
        slope, curvature = -wins[part] * down, wins[part] * up * down
        if losses is not None:
            slope += losses[part] * up
            curvature += losses[part] * up * down
        gradient += rows.T @ slope
        hessian += rows.T @ (rows * curvature[:, None])
    return gradient, hessian


def _separable(z, margin, wins, losses):
    """Tell whether some direction agrees with every choice and strictly with one: no finite maximum exists."""
    from scipy.optimize import linprog  # slow to import

    losses = np.zeros_like(wins) if losses is None else losses
    one_sided = (wins > 0) != (losses > 0)
    sign = np.where(wins > 0, 1.0, -1.0)
    if one_sided.all() and (sign * margin > 0).all():
        # The present reward itself explains every choice.
        return True
    # Unit columns and rows: a small column or row must not drown in the solver's tolerance.
    rows = z / np.linalg.norm(z, axis=0)
    rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-300)
    signed, both = sign[one_sided, None] * rows[one_sided], rows[~one_sided]
    found = linprog(
        -signed.mean(axis=0) if len(signed) else np.zeros(z.shape[1]),
        A_ub=-signed if len(signed) else None,
        b_ub=np.zeros(len(signed)) if len(signed) else None,
        A_eq=both if len(both) else None,
        b_eq=np.zeros(len(both)) if len(both) else None,
        bounds=(-1, 1),
        method="highs",
    )
    return bool(found.status == 0 and -found.fun * max(len(signed), 1) > 1e-6)
