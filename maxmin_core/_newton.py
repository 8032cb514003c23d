"""Newton steps for many problems at once."""

import numpy as np

__all__ = ["newton_step"]


def newton_step(hessian, gradient):
    """Return -hessian^{-1} gradient, (..., d), one or many at once, solved after scaling to a unit diagonal."""
    scale = np.sqrt(np.diagonal(hessian, axis1=-2, axis2=-1))
    scale = np.where(scale == 0, 1.0, scale)
    scaled = hessian / (scale[..., :, None] * scale[..., None, :]) + 1e-15 * np.eye(scale.shape[-1])
    return -np.linalg.solve(scaled, (gradient / scale)[..., None])[..., 0] / scale
