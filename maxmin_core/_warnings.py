"""Warnings that point at the line of the caller's own code, however deep in the core they arise."""

import sys
import warnings

__all__ = ["warn"]


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the first line outside of `maxmin_core` that led here.

    Parameters
    ----------
    message : str
        What to say.
    category : type of Warning
        What kind it is.
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "maxmin_core":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
