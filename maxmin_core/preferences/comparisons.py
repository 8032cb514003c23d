"""Pairwise comparisons: who chose which item over which.

Chapters 1 and 4.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .._validation import as_float, as_index
from ._one_hot import is_one_hot, needs_features, one_hot

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
        psi of every item, finite numbers in units of your choice; None means one-hot, for items without features. The
        one-hot features of more than 1,000 items are a sparse array of scipy.
    winner : ndarray of int, shape (n,)
        The item that was chosen, an index of a row of `features`.
    loser : ndarray of int, shape (n,)
        The item that was not chosen, another one.
    annotator : ndarray of int, shape (n,)
        Who chose, numbered from 0.
    items : tuple, length n_items
        Different names of the items, in the order of `features`; left out, they are 0, 1, 2, ...
    weight : ndarray, shape (n,)
        How much a choice counts in every likelihood, above 0; left out, each counts one. A tie is two choices, one
        either way, that count a half each.
    annotators : sequence, length n_annotators
        Names of the annotators, which need not differ; left out, they are 0, 1, 2, ...
    winner_first : ndarray of bool, shape (n,), or None
        Whether the item that was chosen was shown first; None where nobody knows.

    Raises
    ------
    ValueError
        On wrong shapes or types, an index out of range, an item compared with itself, a feature that is not finite, a
        weight that is not above 0, names that are not as many as what they name, names of items that are not
        different, or no comparisons.

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

    features: NDArray[np.float64] | None
    winner: NDArray[np.int64]
    loser: NDArray[np.int64]
    annotator: NDArray[np.int64]
    items: tuple[Hashable, ...] | None = None
    weight: NDArray[np.float64] = None  # type: ignore[assignment]
    annotators: Sequence[Hashable] = None  # type: ignore[assignment]
    winner_first: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        n_items = None if self.features is None else self._set_features()
        winner = as_index("winner", self.winner, n_items)
        if len(winner) == 0:
            raise ValueError("winner: expected at least one comparison, got none")
        loser = as_index("loser", self.loser, n_items, len(winner))
        annotator = as_index("annotator", self.annotator, None, len(winner))
        if n_items is None:
            n_items = int(max(winner.max(), loser.max())) + 1 if self.items is None else len(self.items)
            object.__setattr__(self, "features", one_hot(n_items))
            # What is no item of the names is told as an index out of range.
            winner, loser = as_index("winner", winner, n_items), as_index("loser", loser, n_items)
        if (winner == loser).any():
            position = int(np.argmax(winner == loser))
            raise ValueError(
                f"loser: expected an item other than the winner, got item {winner[position]} "
                f"compared with itself at position {position}"
            )
        items = tuple(range(n_items)) if self.items is None else tuple(self.items)
        if len(items) != n_items or len(set(items)) != n_items:
            raise ValueError(f"items: expected {n_items} different names, got {len(items)}: {items!r:.80}")
        n_annotators = int(annotator.max()) + 1
        annotators = range(n_annotators) if self.annotators is None else tuple(self.annotators)
        if len(annotators) != n_annotators:
            raise ValueError(f"annotators: expected {n_annotators} names, got {len(annotators)}: {annotators!r:.80}")
        parts = {"winner": winner, "loser": loser, "annotator": annotator, "weight": self._checked_weight(len(winner))}
        if self.winner_first is not None:
            parts["winner_first"] = _as_mask("winner_first", self.winner_first, len(winner)).copy()
        for name, value in parts.items():
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "annotators", annotators)

    def _set_features(self):
        """Check the features that were given, and return how many items they are of."""
        given: Any = self.features
        if sparse.issparse(given):
            if not is_one_hot(given):
                raise ValueError(
                    f"features: expected an array, or None for one-hot items, got a sparse matrix of {given.shape}"
                )
            given = one_hot(given.shape[0])
        else:
            given = as_float("features", given, ("n_items", "d")).copy()
            if given.shape[1] == 0:
                raise ValueError(f"features: expected at least one feature, got shape {given.shape}")
            given.flags.writeable = False
        object.__setattr__(self, "features", given)
        return given.shape[0]

    def _checked_weight(self, n):
        if self.weight is None:
            return np.ones(n)
        weight = as_float("weight", self.weight, (n,))
        if not (weight > 0).all():
            row = int(np.argmax(weight <= 0))
            raise ValueError(
                f"weight: expected numbers above 0, got {weight[row]} at position {row}; leave such rows out"
            )
        return weight

    def __len__(self) -> int:
        return len(self.winner)

    @property
    def n_items(self) -> int:
        """The number of items."""
        return np.shape(self.features)[0]  # type: ignore[arg-type]

    @cached_property
    def n_annotators(self) -> int:
        """The number of annotators, the largest index plus one."""
        return int(self.annotator.max()) + 1

    @cached_property
    def one_hot(self) -> bool:
        """Whether items have no features but themselves: psi of item i is the i-th unit vector."""
        return is_one_hot(self.features)

    @cached_property
    def difference(self) -> NDArray[np.float64]:
        """The differences of features, ``psi(winner) - psi(loser)``, shape (n, d); sparse where features are."""
        features: Any = self.features
        difference = features[self.winner] - features[self.loser]
        if not sparse.issparse(difference):
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
            Annotator k of the result is ``annotators[k]``, under the same name; rows are sorted by annotator, each
            one's own in their old order. Items keep their features and names.

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
        return self._rows(rows, number, [self.annotators[i] for i in annotators])

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
        rows = np.flatnonzero(_as_mask("mask", mask, len(self)))
        return self._rows(rows, self.annotator[rows], self.annotators)

    def _rows(self, rows, annotator, names):
        """Return some rows, by annotators of some numbers and names; names behind the last number go."""
        names = names[: int(annotator.max(initial=-1)) + 1]
        shown = None if self.winner_first is None else self.winner_first[rows]
        parts = {"winner": self.winner[rows], "loser": self.loser[rows], "weight": self.weight[rows]}
        return replace(self, **parts, annotator=annotator, annotators=names, winner_first=shown)

    @classmethod
    def from_frame(cls, df: pd.DataFrame, features: pd.DataFrame | None = None) -> Comparisons:
        """Read comparisons from a table with one choice a row.

        Parameters
        ----------
        df : pandas.DataFrame, or another table
            Columns respondent, first, second (names of items, in the order in which they were shown) and choice
            ('first' or 'second'). Respondents are numbered in sorted order, and keep their names.
        features : pandas.DataFrame, shape (n_items, d), optional
            One row an item, indexed by its name. Without it items are one-hot, in sorted order.

        Returns
        -------
        Comparisons
            With the names of items and annotators.

        Raises
        ------
        ValueError
            On a missing column or one that stands there twice, a missing value, an unknown choice, names that cannot
            be sorted, an item without features, more one-hot items than choices, an item compared with itself, an
            empty table, or what is no table. (`read_comparisons` takes other columns, words, ties and files.)

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
        from ._frames import as_frame, in_order, one_column, positions  # pandas is slow to import

        df = as_frame(df, "df")
        columns = {}
        missing = [name for name in ("respondent", "first", "second", "choice") if name not in df.columns]
        if missing:
            raise ValueError(f"df: expected columns respondent, first, second, choice; missing {', '.join(missing)}")
        if len(df) == 0:
            raise ValueError("df: expected at least one comparison, got an empty table")
        for name in ("respondent", "first", "second", "choice"):
            columns[name] = one_column(df, name, "df")
            absent = columns[name].isna().to_numpy()
            if absent.any():
                raise ValueError(f"df: expected no missing values, got one in column {name}, row {absent.argmax()}")
        chose_first = (columns["choice"] == "first").to_numpy(dtype=bool)
        unknown = ~chose_first & ~(columns["choice"] == "second").to_numpy(dtype=bool)
        if unknown.any():
            row = int(unknown.argmax())
            raise ValueError(
                f"df: expected choice 'first' or 'second', got {columns['choice'].iloc[row]!r} in row {row}; "
                "read_comparisons takes other words, ties among them"
            )
        (first, second), items = in_order("df", "first, second", columns["first"], columns["second"])
        (annotator,), annotators = in_order("df", "respondent", columns["respondent"])
        array = None
        if features is not None:
            at, items, array = positions(items, features)
            first, second = at[first], at[second]
        else:
            needs_features(len(items), len(df), "df")
        return cls(
            features=array,
            winner=np.where(chose_first, first, second),
            loser=np.where(chose_first, second, first),
            annotator=annotator,
            items=tuple(items),
            annotators=annotators,
            winner_first=chose_first,
        )


def _as_mask(name, mask, n):
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (n,):
        raise ValueError(f"{name}: expected booleans of shape ({n},), got {mask.dtype} of {mask.shape}")
    return mask
