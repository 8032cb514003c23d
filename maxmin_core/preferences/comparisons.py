"""Pairwise comparisons: who chose which item over which."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._validation import as_float, as_index

__all__ = ["Comparisons"]


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Hold n forced choices between items, each made by one annotator.

    Attributes
    ----------
    features : (n_items, d) float, psi of every item; finite
    winner, loser : (n,) int, indices of items; an item is never compared with itself
    annotator : (n,) int from 0, who chose
    items : names of the items, in the order of `features`; None means 0, 1, 2, ...

    The arrays are copied and read-only. ValueError on wrong shapes or types, an index out of range, an item compared
    with itself, a feature that is not finite, or no comparisons. Chapter 1.
    """

    features: np.ndarray
    winner: np.ndarray
    loser: np.ndarray
    annotator: np.ndarray
    items: tuple | None = None

    def __post_init__(self):
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

    def __len__(self):
        return len(self.winner)

    @property
    def n_items(self):
        """Number of items."""
        return len(self.features)

    @cached_property
    def n_annotators(self):
        """Number of annotators, the largest index plus one."""
        return int(self.annotator.max()) + 1

    @cached_property
    def difference(self):
        """Differences of features, psi(winner) - psi(loser), shape (n, d)."""
        difference = self.features[self.winner] - self.features[self.loser]
        difference.flags.writeable = False
        return difference

    def take(self, annotators):
        """Return the comparisons of some annotators, who are numbered anew in the order given.

        Parameters
        ----------
        annotators : array_like of int, shape (m,)
            Indices of annotators. One who stands there twice becomes two annotators, as in a bootstrap over people.

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

    def where(self, mask):
        """Return the comparisons in the rows where a mask is true; annotators keep their numbers, items their names.

        Parameters
        ----------
        mask : array_like of bool, shape (n,)
            One entry a comparison.

        Returns
        -------
        Comparisons

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
    def from_frame(cls, df, features=None):
        """Read comparisons from a table with columns respondent, first, second, choice ('first' or 'second').

        Parameters
        ----------
        df : pandas.DataFrame, one comparison a row; respondents are numbered in sorted order
        features : pandas.DataFrame of shape (n_items, d) indexed by item; None means one-hot, items in sorted order

        Raises
        ------
        ValueError
            On a missing column, a missing value, an unknown choice, an item without features, or what
            `Comparisons` refuses. Chapter 1.
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
