"""The toy: three people and three answers to one prompt, invented so that every step can be checked by hand.

Chapters 0 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_toy"]

# How many of six answers each person gave to the first of either pair.
_FIRST = {
    "Ana": {("plain", "middle"): 5, ("middle", "expert"): 4},
    "Ben": {("plain", "middle"): 5, ("middle", "expert"): 4},
    "Cleo": {("plain", "middle"): 2, ("middle", "expert"): 1},
}
_ASKED = 6


def load_toy() -> pd.DataFrame:
    """Return the toy's comparisons: invented, 3 people, 2 pairs of 3 answers, each pair asked 6 times of each person.

    Every share is exactly Bradley-Terry. With strengths ``s = exp(r)``, so that y is chosen over z with probability
    ``s(y) / (s(y) + s(z))``, and the answers in the order expert, middle, plain ::

        Ana, Ben  1, 2, 10        Cleo  10, 2, 1        all three, pooled  1, 1, 2

    Returns
    -------
    pandas.DataFrame
        One choice a row, 36 rows: respondent, first, second, choice ('first' or 'second'), as `load_survey` has them.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Comparisons, fit_bradley_terry
    >>> from maxmin_core.data import load_toy
    >>> toy = Comparisons.from_frame(load_toy())
    >>> toy.items, len(toy)
    (('expert', 'middle', 'plain'), 36)
    >>> strength = np.exp(fit_bradley_terry(toy))
    >>> (strength / strength[0]).round(6).tolist()
    [1.0, 1.0, 2.0]
    """
    # pandas takes longer to import than the rest of the core: load it where it is used.
    import pandas as pd

    rows = [
        (person, *pair, "first" if k < first else "second")
        for person, pairs in _FIRST.items()
        for pair, first in pairs.items()
        for k in range(_ASKED)
    ]
    return pd.DataFrame(rows, columns=["respondent", "first", "second", "choice"])
