"""Intervals: how sure a mean is, over seeds, prompts or people."""

import numpy as np
from scipy.special import stdtrit

__all__ = ["mean_interval"]


def mean_interval(draws, level=0.95):
    """Return the mean over the first axis and half the width of its two-sided interval, by Student's t.

    mean ± t sd / sqrt(n), t the quantile of n - 1 degrees of freedom. draws : (n, ...) float, one a seed, prompt or
    instance, independent; ValueError on fewer than two. Chapters 7 to 9.
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws) > 1:
        raise ValueError(f"draws: expected at least two, got {len(draws)}")
    spread = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    return draws.mean(axis=0), stdtrit(len(draws) - 1, (1 + level) / 2) * spread
