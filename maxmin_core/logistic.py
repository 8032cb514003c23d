"""The one convex problem under every reward fit: logistic regression without intercept on differences of features."""

import warnings

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit, log_expit

__all__ = ["fit_logistic", "row_space"]


def row_space(matrix):
    """Return an orthonormal basis (d, r) of the row space of an (n, d) matrix, whatever the scale of its columns."""
    gram = matrix.T @ matrix
    scale = np.sqrt(np.diag(gram))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    null = vectors[:, values <= len(gram) * 1e-13 * max(values[-1], 1e-300)] / scale[:, None]
    # The complete QR factor of the null space ends with a basis of its orthogonal complement.
    return np.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]


def fit_logistic(difference, wins, losses=None, l2=0.0, max_iter=200):
    """Return the minimiser, of minimum norm, of sum wins softplus(-m) + losses softplus(m) + (l2/2) ||phi||^2.

    m = difference phi. Newton's method with step halving; the iterates stay in the row space of `difference`, which
    makes the solution the one of minimum norm. Convergence is measured in margins m: no rescaling of features moves it.

    Parameters
    ----------
    difference : (n, d) float
    wins, losses : (n,) float, non-negative weight of choices for and against each row; losses None means zero
    l2 : float, at least 0

    Raises
    ------
    ValueError
        Where the data are separable and l2 is zero: there is no finite minimiser. Chapter 1.
    """
    basis = row_space(difference)
    d, rank = basis.shape
    # With full rank the basis is a rotation: skip it and the copy of the data that it would cost.
    z = difference if rank == d else difference @ basis
    phi, margin = np.zeros(z.shape[1]), np.zeros(len(z))
    value = _objective(phi, margin, wins, losses, l2)
    checked = False
    for _ in range(max_iter):
        gradient, hessian = _derivatives(z, margin, wins, losses)
        gradient += l2 * phi
        hessian[np.diag_indices_from(hessian)] += l2 + 1e-15 * np.trace(hessian) / max(len(hessian), 1)
        step = -np.linalg.solve(hessian, gradient)
        move, slope, size = z @ step, gradient @ step, 1.0
        while True:
            new_value = _objective(phi + size * step, margin + size * move, wins, losses, l2)
            # The last term lets rounding pass: near the optimum the value cannot fall by more than its own noise.
            if new_value <= value + 1e-4 * size * slope + 1e-14 * abs(value) or size < 1e-10:
                break
            size /= 2
        phi, margin, value = phi + size * step, margin + size * move, new_value
        reach = np.abs(margin).max(initial=0.0)
        if np.abs(move).max(initial=0.0) <= 1e-7 * (1.0 + reach):
            # Newton squares the error: this step has left about 1e-14.
            break
        if l2 == 0 and not checked and reach > 30:
            checked = True
            if _separable(z, wins, losses):
                raise ValueError(
                    "comparisons: separable, some reward explains every choice without error, so the likelihood has "
                    "no finite maximum and rewards diverge; expected overlapping choices or l2 > 0"
                )
    else:
        warnings.warn(f"Newton's method did not converge in {max_iter} steps", RuntimeWarning, stacklevel=3)
    return phi if rank == d else basis @ phi


def _objective(phi, margin, wins, losses, l2):
    value = -(wins @ log_expit(margin)) + 0.5 * l2 * phi @ phi
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


def _separable(z, wins, losses):
    """Tell whether some direction agrees with every choice and strictly with one: no finite maximum exists."""
    losses = np.zeros_like(wins) if losses is None else losses
    one_sided = (wins > 0) != (losses > 0)
    signed = np.where((wins > 0)[one_sided, None], z[one_sided], -z[one_sided])
    both = z[(wins > 0) & (losses > 0)]
    scale = np.abs(z).max()
    found = linprog(
        -signed.sum(axis=0) / (scale * max(len(signed), 1)),
        A_ub=-signed / scale,
        b_ub=np.zeros(len(signed)),
        A_eq=both / scale if len(both) else None,
        b_eq=np.zeros(len(both)) if len(both) else None,
        bounds=(-1, 1),
        method="highs",
    )
    return bool(found.status == 0 and -found.fun > 1e-9)
