"""Newton steps for many problems at once, and the line search that keeps them from going too far."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["backtrack", "newton_step"]

Found = TypeVar("Found")


def newton_step(hessian, gradient):
    """Return -hessian^{-1} gradient, (..., d), one or many at once, solved after scaling to a unit diagonal."""
    scale = np.sqrt(np.diagonal(hessian, axis1=-2, axis2=-1))
    scale = np.where(scale == 0, 1.0, scale)
    scaled = hessian / (scale[..., :, None] * scale[..., None, :]) + 1e-15 * np.eye(scale.shape[-1])
    return -np.linalg.solve(scaled, (gradient / scale)[..., None])[..., 0] / scale


def backtrack(
    attempt: Callable[[NDArray[np.float64]], tuple[Found, Any]], size: ArrayLike, *, most: int = 40
) -> tuple[NDArray[np.float64], Found, NDArray[np.bool_]]:
    """Halve the sizes of steps until none is refused, or `most` attempts were made; R problems at once.

    Parameters
    ----------
    attempt : callable
        Takes sizes (R,) and returns (found, refused): whatever the caller wants back, and a boolean (R,), true where
        the step of that size is too long. It is called with all R sizes each time: what was accepted comes again.
    size : array_like, shape (R,) or ()
        The sizes to begin with.
    most : int
        The largest number of attempts.

    Returns
    -------
    size : ndarray, shape (R,)
        The sizes of the last attempt.
    found : object
        What the last attempt found, at those sizes.
    refused : ndarray of bool, shape (R,)
        True where even the last attempt was refused.

    Examples
    --------
    >>> size, value, refused = backtrack(lambda t: (t**2, t**2 > [10.0, 0.3]), [1.0, 1.0])
    >>> size.tolist(), value.tolist(), refused.tolist()
    ([1.0, 0.5], [1.0, 0.25], [False, False])
    """
    size = np.array(size, dtype=np.float64)
    found, refused = attempt(size)
    for _ in range(most - 1):
        if not np.any(refused):
            break
        size = np.where(refused, size / 2, size)
        found, refused = attempt(size)
    return size, found, np.asarray(refused)
