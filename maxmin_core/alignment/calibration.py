"""Calibration: rewards of different groups on one scale, before any minimum is taken over them. Chapter 5."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from .._validation import as_distribution, as_float, as_log_reference

__all__ = ["calibrate"]


def calibrate(
    rewards: ArrayLike,
    log_reference: ArrayLike,
    *,
    method: Literal["standardize", "center", "winrate", "none"] = "standardize",
    prompt_weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return rewards on a common scale: Bradley-Terry fixes neither their zero nor what one group's logit is worth.

    ``center``
        ``r_u(x, y) - E_ref[r_u(x, .)]``: every group is at zero under the reference.
    ``standardize``
        The same, divided by the group's spread ``sqrt(E_x Var_ref(r_u))``; a group without spread stays at zero.
    ``winrate``
        ``E_{y' ~ ref} sigma(r_u(x, y) - r_u(x, y'))``: how often the group prefers y to a response of the reference.
    ``none``
        Unchanged.

    Parameters
    ----------
    rewards : array_like, shape (U, X, Y)
        In logits.
    log_reference : array_like, shape (X, Y)
        Log-probabilities of the reference policy; rows sum to one in probability, and -inf masks a response.
    method : {'standardize', 'center', 'winrate', 'none'}
        One of the above.
    prompt_weights : array_like, shape (X,), optional
        A distribution over prompts. None means equal weights.

    Returns
    -------
    ndarray, shape (U, X, Y)
        Logits, spreads, or probabilities.

    Raises
    ------
    ValueError
        On a wrong shape, rewards that are not finite, a reference that is no distribution, or an unknown method.

    Examples
    --------
    >>> import numpy as np
    >>> calibrate([[[5.0, 3.0]], [[0.0, 10.0]]], np.log([[0.5, 0.5]])).tolist()
    [[[1.0, -1.0]], [[-1.0, 1.0]]]
    """
    rewards = as_float("rewards", rewards, ("U", "X", "Y"))
    reference = np.exp(as_log_reference(log_reference, rewards.shape[1:]))
    prompt_weights = as_distribution("prompt_weights", prompt_weights, rewards.shape[1])
    if method == "none":
        return rewards
    if method == "winrate":
        # One group at a time keeps the memory at X Y^2.
        wins = [np.einsum("xz,xyz->xy", reference, expit(r[:, :, None] - r[:, None, :])) for r in rewards]
        return np.array(wins).reshape(rewards.shape)
    if method not in ("center", "standardize"):
        raise ValueError(f"method: expected 'standardize', 'center', 'winrate' or 'none', got {method!r}")
    centred = rewards - (reference * rewards).sum(axis=-1, keepdims=True)
    if method == "center":
        return centred
    spread = np.sqrt((reference * centred**2).sum(axis=-1) @ prompt_weights)
    # Beside the size of the rewards that can come up, rounding is no spread.
    counted = (reference > 0) & (prompt_weights > 0)[:, None]
    size = np.abs(np.where(counted, rewards, 0.0)).max(axis=(1, 2), initial=0.0)
    flat = spread <= 1e-12 * size
    return np.where(flat[:, None, None], 0.0, centred / np.where(flat, 1.0, spread)[:, None, None])
