"""Anybody's table of choices as comparisons, with a report of what was dropped or changed on the way.

Chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ._one_hot import needs_features
from .comparisons import Comparisons

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableReport", "read_comparisons", "read_table"]


@dataclass
class TableReport:
    """Say what a table held, and what was dropped or changed before it became comparisons.

    Attributes
    ----------
    rows : int
        Rows that came in; rankings and answers of several turns are expanded first where a preset says so.
    votes : int
        Choices that are left, a tie counted once.
    people : int
        How many annotators are left.
    items : int
        How many items are left.
    ties : int
        Votes for neither that called the two equal.
    both_bad : int
        Votes for neither that called both bad; they are no ties.
    dropped : dict of str to int
        Rows left out, by reason.
    changed : dict of str to int
        What was read otherwise than it stood there, and how often.
    groups : dict of str to tuple
        What the table says of people, by column: one value for each of `Comparisons.annotators`, None where nothing, or
        several things, were said.
    item_text : dict or None
        Texts of the items, by name.
    preset : str or None
        The name of the public table.
    table : pandas.DataFrame
        The votes: annotator, first and second as numbers, outcome ('first', 'second', 'tie', 'both_bad') and weight.

    Examples
    --------
    >>> rows = [("ann", "tea", "milk", "left"), ("bob", "tea", "milk", "tie"), ("", "tea", "milk", "right")]
    >>> rows = [dict(zip(("who", "a", "b", "vote"), row)) for row in rows]
    >>> _, report = read_comparisons(rows, annotator="who", first="a", second="b", choice="vote")
    >>> print(report)
    3 rows: 2 votes by 2 people on 2 items, 1 of them a tie.
    Dropped: 1 without an annotator.
    Changed: 1 tie counts as half a choice either way.
    """

    rows: int
    votes: int = 0
    people: int = 0
    items: int = 0
    ties: int = 0
    both_bad: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    groups: dict[str, tuple[Hashable, ...]] = field(default_factory=dict)
    item_text: dict[Hashable, str] | None = None
    preset: str | None = None
    table: pd.DataFrame = field(default=None, repr=False)

    def __str__(self) -> str:
        said = f"{self.rows:,} rows: {self.votes:,} votes by {self.people:,} people on {self.items:,} items"
        neither = self.ties + self.both_bad
        said += f", {neither:,} of them {'a tie' if neither == 1 else 'ties'}." if neither else "."
        if self.both_bad:
            said += f" {self.both_bad:,} ties called both bad."
        for title, found in (("Dropped", self.dropped), ("Changed", self.changed)):
            if found:
                said += f"\n{title}: " + ", ".join(f"{number:,} {reason}" for reason, number in found.items()) + "."
        return said


def read_comparisons(
    source: Any,
    *,
    annotator: str | None = None,
    first: str | None = None,
    second: str | None = None,
    choice: str | None = None,
    ties: Literal["half", "drop", "error"] = "half",
    weight: str | None = None,
    group: str | Sequence[str] | None = None,
    features: pd.DataFrame | Mapping[Hashable, ArrayLike] | Callable[[list[str]], ArrayLike] | None = None,
    item_text: tuple[str, str] | Mapping[Hashable, str] | None = None,
    labels: Mapping[Hashable, str] | None = None,
    positive: Literal["first", "second"] | None = None,
    margin: bool = False,
    preset: str | None = None,
    items: Literal["model", "response"] | None = None,
) -> tuple[Comparisons, TableReport]:
    """Read comparisons from any table: one choice, score or ranking a row, with the name of the person who made it.

    What cannot be used is left out and counted; what cannot be understood is an error that says what to do.

    Parameters
    ----------
    source : path, or table
        A file, CSV, JSON lines or Parquet; or a frame of pandas, polars or pyarrow, a ``datasets.Dataset``, a list of
        dictionaries. Whatever stands in a CSV file is read as text: an id keeps its zeros.
    annotator : str
        The column that says who chose.
    first : str, optional
        The column with the item that was shown first.
    second : str, optional
        The column with the other one.
    choice : str
        The column with what was chosen: words (first/second, left/right, a/b, 1/2, tie, both bad, ...), names of items,
        or scores with a sign. Without `first` and `second` it holds rankings, 'B>A=C' or a list, best first: every pair
        is a comparison, and a ranking counts one in all.
    ties : {"half", "drop", "error"}
        A tie is half a choice either way, is left out, or is refused; so is "both bad".
    weight : str, optional
        The column that says how much a row counts, at least 0.
    group : str or sequence of str, optional
        Columns that say something of the person, for the report.
    features : pandas.DataFrame, mapping or callable, optional
        psi of every item, indexed by its name; or a function from the items' texts to an array. Without it items are
        one-hot.
    item_text : pair of str, or mapping, optional
        The columns with the texts of the first and the second item, or texts by name.
    labels : mapping, optional
        What the words of the column of choices mean, each 'first', 'second', 'tie', 'both_bad' or 'drop'.
    positive : {"first", "second"}, optional
        Which item a positive score prefers; needed where choices are scores.
    margin : bool
        Whether how clearly somebody chose counts as a weight: the size of a score.
    preset : str, optional
        The name of a public table, instead of columns: `PRESETS` lists them.
    items : {"model", "response"}, optional
        What a preset compares: models, or single responses. None is the first that it can.

    Returns
    -------
    comparisons : Comparisons
        Items and annotators in the order of their names; with weights, and with who was shown first.
    report : TableReport
        What came in, and what was dropped or changed.

    Raises
    ------
    ValueError
        On a missing column or one that stands there twice, words or names that cannot be understood, a negative weight,
        ties where they are refused, items without features, more one-hot items than votes, nothing left, a table that
        has no annotators or no pairs, or what is no table.

    Examples
    --------
    >>> rows = [{"who": "ann", "best": "tea>milk=beer"}, {"who": "bob", "best": "beer>tea>milk"}]
    >>> comparisons, report = read_comparisons(rows, annotator="who", choice="best")
    >>> comparisons.items, report.votes, round(float(comparisons.weight.sum()), 6)
    (('beer', 'milk', 'tea'), 6, 2.0)
    """
    from ._frames import as_frame, in_order, positions  # pandas is slow to import
    from ._rows import standing, texts, usable

    if ties not in ("half", "drop", "error"):
        raise ValueError(f"ties: expected 'half', 'drop' or 'error', got {ties!r}")
    wanted = {"annotator": annotator, "first": first, "second": second, "choice": choice}
    if preset is not None:
        given = [name for name, column in wanted.items() if column is not None]
        if given:
            raise ValueError(f"{given[0]}: expected None, as the preset {preset!r} knows its columns")
        from .presets import PRESETS, preset_rows

        frame = preset_rows(source, preset, items=items)
        shown, item_text = PRESETS[preset].shown, item_text or PRESETS[preset].item_text(items)
        wanted = {name: name for name in wanted}
        weight = weight or ("weight" if "weight" in frame.columns else None)
    else:
        if items is not None:
            raise ValueError("items: expected None without a preset; name the columns of the items by first and second")
        frame, shown = as_frame(source, "source"), first is not None
    report = TableReport(rows=len(frame), preset=preset, dropped=dict(frame.attrs.get("dropped", {})))
    columns = standing(frame, wanted, weight, group, item_text if isinstance(item_text, tuple) else None, report)
    kept = usable(columns, labels, positive, margin, ties, report)
    (one, other), names = in_order("source", f"{wanted['first']}, {wanted['second']}", kept["first"], kept["second"])
    (who,), people = in_order("source", str(wanted["annotator"]), kept["annotator"])
    report.votes, report.people, report.items = len(kept), len(people), len(names)
    report.item_text = texts(kept, item_text, names, one, other, report)
    array = None
    if features is None:
        needs_features(len(names), len(kept), "features")
    else:
        if callable(features):
            if report.item_text is None:
                raise ValueError(
                    "item_text: expected the texts of the items, which `features` is a function of, got None"
                )
            rows = np.asarray(features([report.item_text[name] for name in names]))
            if len(rows) != len(names):
                raise ValueError(f"features: expected one row for each of {len(names)} texts, got shape {rows.shape}")
            features = dict(zip(names, rows, strict=True))
        at, names, array = positions(names, features)
        one, other = at[one], at[other]
    return _compared(kept, one, other, who, names, people, array, shown, report)


def read_table(source: Any) -> pd.DataFrame:
    """Return any table as a pandas frame, as `read_comparisons` reads it: text in a CSV file stays text.

    Parameters
    ----------
    source : path, or table
        As for `read_comparisons`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        On what is no table, or a file that cannot be read.

    Examples
    --------
    >>> list(read_table([{"who": "ann", "vote": "left"}]).columns)
    ['who', 'vote']
    """
    from ._frames import as_frame  # pandas is slow to import

    return as_frame(source, "source")


def _compared(kept, one, other, who, names, people, array, shown, report):
    """Return the comparisons, a tie as two halves, and the report with its table of votes."""
    import pandas as pd

    outcome = kept["outcome"]
    second, tie = (outcome == "second").to_numpy(), outcome.isin(["tie", "both_bad"]).to_numpy()
    count = kept["weight"].to_numpy(dtype=float)
    for column in (name for name in kept.columns if isinstance(name, tuple)):
        values, changing = _of_people(kept[column], who, len(people))
        report.groups[column[1]] = values
        if changing:
            report.changed[f"people who said several things of {column[1]}, and now none"] = changing
    report.table = pd.DataFrame({"annotator": who, "first": one, "second": other, "outcome": outcome, "weight": count})
    won = ~second
    halved = np.where(tie, count / 2, count)
    comparisons = Comparisons(
        features=array,
        winner=np.concatenate([np.where(won, one, other), other[tie]]),
        loser=np.concatenate([np.where(won, other, one), one[tie]]),
        annotator=np.concatenate([who, who[tie]]),
        items=tuple(names),
        weight=np.concatenate([halved, halved[tie]]),
        annotators=people,
        winner_first=np.concatenate([won, np.zeros(tie.sum(), dtype=bool)]) if shown else None,
    )
    return comparisons, report


def _of_people(column, who, n):
    """Return what a column says of every person, None where nothing or several things, and how many said several."""
    import pandas as pd

    try:
        said = pd.DataFrame({"who": who, "said": column.to_numpy()}).dropna().drop_duplicates()
    except TypeError as error:
        raise ValueError(
            f"group: expected one value a row in column {column.name[1]!r}, got several ({error}); make them text"
        ) from error
    count = np.bincount(said["who"], minlength=n)
    known = said[count[said["who"]] == 1]
    values = [None] * n
    for person, value in zip(known["who"], known["said"], strict=True):
        values[person] = value
    return tuple(values), int((count > 1).sum())
