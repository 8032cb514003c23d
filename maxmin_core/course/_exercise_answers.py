"""What judges of exercises expect of an answer's form; anything else ends the judging, in words."""

from typing import Any

import numpy as np

from .judging import AnswerError


def numbers(found: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an answer as finite numbers of a shape, None for any length; else stop."""
    try:
        array = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        raise AnswerError("numbers are expected") from None
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        told = "one number" if shape == () else f"shape ({', '.join('n' if n is None else str(n) for n in shape)})"
        raise AnswerError(f"{told} is expected, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise AnswerError("finite numbers are expected")
    return array


def pair(found: Any, first: tuple[int | None, ...], second: tuple[int | None, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return an answer of two parts."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise AnswerError("two results are expected")
    return numbers(found[0], first), numbers(found[1], second)


def close(both: np.ndarray, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Return whether answers, the first row, are as near to the truth, the second, as that."""
    return bool(np.allclose(both[0], both[1], rtol=rtol, atol=atol))
