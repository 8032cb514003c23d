"""Pairwise comparisons: who chose which item over which.

Chapters 1 and 4.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_float, as_index

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparisons"]


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Hold n forced choices between items, each made by one annotator.

    Arrays are copied and cannot be written to. Two objects are equal where they are the same object.

    Attributes
    ----------
    features : ndarray, shape (n_items, d)
        psi of every item, finite numbers in units of your choice; one-hot where items have no features.
    winner : ndarray of int, shape (n,)
        The item that was chosen, an index of a row of `features`.
    loser : ndarray of int, shape (n,)
        The item that was not chosen, another one.
    annotator : ndarray of int, shape (n,)
        Who chose, numbered from 0.
    items : tuple, length n_items
        Different names of the items, in the order of `features`; left out, they are 0, 1, 2, ...

    Raises
    ------
    ValueError
        On wrong shapes or types, an index out of range, an item compared with itself, a feature that is not finite,
        names that are not as many as items or not different, or no comparisons.

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Comparisons
    >>> comparisons = Comparisons(np.eye(3), winner=[0, 2, 0], loser=[1, 1, 2], annotator=[0, 0, 1])
    >>> len(comparisons), comparisons.n_items, comparisons.n_annotators
    (3, 3, 2)
    >>> comparisons.difference[0].tolist()
    [1.0, -1.0, 0.0]
    """

    features: NDArray[np.float64]
    winner: NDArray[np.int64]
    loser: NDArray[np.int64]
    annotator: NDArray[np.int64]
    items: tuple[Hashable, ...] | None = None

    def __post_init__(self) -> None:
        features = as_float("features", self.features, ("n_items", "d")).copy()
        n_items = len(features)
        if features.shape[1] == 0:
            raise ValueError(f"features: expected at least one feature, got shape {features.shape}")
        winner = as_index("winner", self.winner, n_items)
        if len(winner) == 0:
            raise ValueError("winner: expected at least one comparison, got none")
        loser = as_index("loser", self.loser, n_items, len(winner))
        annotator = as_index("annotator", self.annotator, None, len(winner))
        if (winner == loser).any():
            position = int(np.argmax(winner == loser))
            raise ValueError(
                f"loser: expected an item other than the winner, got item {winner[position]} "
                f"compared with itself at position {position}"
            )
        items = tuple(range(n_items)) if self.items is None else tuple(self.items)
        if len(items) != n_items or len(set(items)) != n_items:
            raise ValueError(f"items: expected {n_items} different names, got {len(items)}: {items!r:.80}")
        for name, value in [("features", features), ("winner", winner), ("loser", loser), ("annotator", annotator)]:
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "items", items)

    def __len__(self) -> int:
        return len(self.winner)

    @property
    def n_items(self) -> int:
        """The number of items."""
        return len(self.features)

    @cached_property
    def n_annotators(self) -> int:
        """The number of annotators, the largest index plus one."""
        return int(self.annotator.max()) + 1

    @cached_property
    def difference(self) -> NDArray[np.float64]:
        """The differences of features, ``psi(winner) - psi(loser)``, shape (n, d)."""
        difference = self.features[self.winner] - self.features[self.loser]
        difference.flags.writeable = False
        return difference

    def take(self, annotators: ArrayLike) -> Comparisons:
        """Return the comparisons of some annotators, who are numbered anew in the order given.

        Parameters
        ----------
        annotators : array_like of int, shape (m,)
            Indices of annotators, from 0. Who stands there twice becomes two annotators, as in a bootstrap over people.

        Returns
        -------
        Comparisons
            Annotator k of the result is ``annotators[k]``; rows are sorted by annotator, each one's own in their old
            order. Items keep their features and names.

        Raises
        ------
        ValueError
            On an index out of range, something that is no integer, or when none of them made a comparison.

        Examples
        --------
        >>> comparisons = Comparisons([[0.0], [1.0]], winner=[0, 1, 1], loser=[1, 0, 0], annotator=[0, 1, 2])
        >>> some = comparisons.take([2, 0, 0])
        >>> some.annotator.tolist(), some.winner.tolist()
        ([0, 1, 2], [1, 0, 0])
        """
        annotators = as_index("annotators", annotators, self.n_annotators)
        count = np.bincount(self.annotator, minlength=self.n_annotators)
        begin, many = (np.cumsum(count) - count)[annotators], count[annotators]
        number = np.repeat(np.arange(len(annotators)), many)
        within = np.arange(len(number)) - (np.cumsum(many) - many)[number]
        rows = np.argsort(self.annotator, kind="stable")[begin[number] + within]
        return replace(self, winner=self.winner[rows], loser=self.loser[rows], annotator=number)

    def where(self, mask: ArrayLike) -> Comparisons:
        """Return the comparisons in the rows where a mask is true; annotators keep their numbers, items their names.

        Parameters
        ----------
        mask : array_like of bool, shape (n,)
            One entry a comparison.

        Returns
        -------
        Comparisons
            The rows of the mask, in their order.

        Raises
        ------
        ValueError
            On a mask that is not boolean or of another length, or when it is true nowhere.

        Examples
        --------
        >>> comparisons = Comparisons([[0.0], [1.0]], winner=[0, 1, 1], loser=[1, 0, 0], annotator=[0, 1, 2])
        >>> comparisons.where(comparisons.winner == 1).annotator.tolist()
        [1, 2]
        """
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (len(self),):
            raise ValueError(f"mask: expected booleans of shape ({len(self)},), got {mask.dtype} of {mask.shape}")
        return replace(self, winner=self.winner[mask], loser=self.loser[mask], annotator=self.annotator[mask])

    @classmethod
    def from_frame(cls, df: pd.DataFrame, features: pd.DataFrame | None = None) -> Comparisons:
        """Read comparisons from a table with one choice a row.

        Parameters
        ----------
        df : pandas.DataFrame
            Columns respondent, first, second (names of items) and choice ('first' or 'second'). Respondents are
            numbered in sorted order.
        features : pandas.DataFrame, shape (n_items, d), optional
            One row an item, indexed by its name. Without it items are one-hot, in sorted order.

        Returns
        -------
        Comparisons
            With the items' names.

        Raises
        ------
        ValueError
            On a missing column, a missing value, an unknown choice, names that cannot be sorted, an item without
            features, an item compared with itself, or an empty table.

        Examples
        --------
        >>> import pandas as pd
        >>> from maxmin_core import Comparisons
        >>> rows = [("ann", "tea", "milk", "first"), ("bob", "milk", "tea", "second")]
        >>> df = pd.DataFrame(rows, columns=["respondent", "first", "second", "choice"])
        >>> comparisons = Comparisons.from_frame(df)
        >>> comparisons.items, comparisons.winner.tolist(), comparisons.annotator.tolist()
        (('milk', 'tea'), [1, 1], [0, 1])
        """
        missing = [name for name in ("respondent", "first", "second", "choice") if name not in df.columns]
        if missing:
            raise ValueError(f"df: expected columns respondent, first, second, choice; missing {', '.join(missing)}")
        if len(df) == 0:
            raise ValueError("df: expected at least one comparison, got an empty table")
        for name in ("respondent", "first", "second", "choice"):
            if df[name].isna().any():
                raise ValueError(
                    f"df: expected no missing values, got one in column {name}, row {df[name].isna().argmax()}"
                )
        unknown = ~df["choice"].isin(["first", "second"])
        if unknown.any():
            row = int(unknown.argmax())
            raise ValueError(f"df: expected choice 'first' or 'second', got {df['choice'].iloc[row]!r} in row {row}")
        named = _in_order("first, second", [*df["first"], *df["second"]])
        items = named if features is None else list(features.index)
        absent = sorted(set(named) - set(items))
        if absent:
            raise ValueError(f"features: expected a row for every item, got none for {absent[0]!r}")
        position = {item: i for i, item in enumerate(items)}
        first, second = (df[name].map(position).to_numpy(dtype=np.int64) for name in ("first", "second"))
        chose_first = (df["choice"] == "first").to_numpy()
        number = {respondent: i for i, respondent in enumerate(_in_order("respondent", df["respondent"]))}
        return cls(
            features=np.eye(len(items)) if features is None else features.to_numpy(),
            winner=np.where(chose_first, first, second),
            loser=np.where(chose_first, second, first),
            annotator=df["respondent"].map(number).to_numpy(dtype=np.int64),
            items=tuple(items),
        )


def _in_order(columns, names):
    """Return the different names in sorted order; ValueError where they cannot be ordered."""
    try:
        return sorted(set(names))
    except TypeError as error:
        raise ValueError(f"df: expected names of one type in column {columns}, got a mixture ({error})") from error
