"""Rows of a table that can be used, and what is said of the others; called by `tables`."""

import numpy as np
import pandas as pd

from ._choices import BOTH_BAD, MISSING, TIE, expand_ranking, outcomes
from ._frames import one_column, plain_texts

__all__ = ["standing", "texts", "usable"]

# By their numbers: TIE, FIRST, SECOND, BOTH_BAD.
_OUTCOMES = ["tie", "first", "second", "both_bad"]


def standing(frame, wanted, weight, group, text, report):
    """Return the columns that were asked for under names of our own, rankings expanded."""
    for name in ("annotator", "choice"):
        if wanted[name] is None:
            raise ValueError(f"{name}: expected the name of a column, one of {_listed(frame)}, got None")
    ranked = wanted["first"] is None and wanted["second"] is None
    for name in () if ranked else ("first", "second"):
        if wanted[name] is None:
            raise ValueError(f"{name}: expected the name of a column, one of {_listed(frame)}, got None")
    used = [column for column in (*wanted.values(), weight) if column is not None]
    for name, column in wanted.items():
        if column is not None and used.count(column) > 1:
            raise ValueError(
                f"{name}: expected a column of its own, got {column!r}, which stands for something else, too"
            )
    if text and text[0] == text[1]:
        raise ValueError(
            f"item_text: expected a column for the first item and one for the second, got {text[0]!r} twice"
        )
    if not len(frame):
        raise ValueError("source: expected at least one row, got an empty table")
    found = {name: one_column(frame, column, name) for name, column in wanted.items() if column is not None}
    if weight is not None:
        found["weight"] = one_column(frame, weight, "weight")
    for column in [group] if isinstance(group, str) else group or ():
        found["group", column] = one_column(frame, column, "group")
    for name, column in zip(("first_text", "second_text"), text or (), strict=False):
        found[name] = one_column(frame, column, "item_text")
    for name in {"first", "second", "first_text", "second_text"} & set(found):
        found[name] = plain_texts(found[name])
    # A dictionary of columns would align their indices, and turn names that are tuples into levels.
    columns = pd.concat([part.reset_index(drop=True) for part in found.values()], axis=1, keys=None)
    columns.columns = pd.Index(list(found), tupleize_cols=False)
    return _expanded(columns, report) if ranked else columns


def _listed(frame):
    return f"{', '.join(map(repr, frame.columns)):.300}"


def _expanded(columns, report):
    """Return one row for every pair of a ranking; all pairs of one count one together."""
    rows, pairs, weight = [], [], []
    short = 0
    for row, ranking in enumerate(columns["choice"]):
        found = expand_ranking(ranking)
        if found is None:
            short += 1
            continue
        rows += [row] * len(found)
        pairs += found
        weight += [1 / len(found)] * len(found)
    if short:
        report.dropped["rankings of fewer than two items"] = short
    if not rows:
        raise ValueError(
            "source: expected at least one ranking of two items, got none; for pairs name first and second"
        )
    expanded = columns.iloc[rows].reset_index(drop=True)
    expanded["first"], expanded["second"] = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expanded["choice"] = ["tie" if pair[2] else "first" for pair in pairs]
    each = np.array(weight)
    expanded["weight"] = expanded["weight"].to_numpy(dtype=float) * each if "weight" in expanded.columns else each
    report.changed["pairs of rankings, which count one a ranking in all"] = len(rows)
    return expanded


def usable(columns, labels, positive, margin, ties, report):
    """Return the rows that say who chose what, with their outcome and weight; count the others."""
    keep = np.ones(len(columns), dtype=bool)

    def drop(bad, reason):
        nonlocal keep
        bad = np.asarray(bad, dtype=bool) & keep
        if bad.any():
            report.dropped[reason] = report.dropped.get(reason, 0) + int(bad.sum())
            keep = keep & ~bad

    for name, reason in (("annotator", "without an annotator"), ("first", "without a first item")):
        drop(_missing(columns[name]), reason)
    drop(_missing(columns["second"]), "without a second item")
    drop(_missing(columns["choice"]), "without a choice")
    columns, keep = _kept(columns, keep)
    _refuse_nothing(columns, report)
    for name in ("annotator", "first", "second"):
        columns[name] = _whole(columns[name])
    drop(_same(columns["first"], columns["second"]), "with an item beside itself")
    # Only where items differ does a name say who was chosen.
    columns, keep = _kept(columns, keep)
    _refuse_nothing(columns, report)
    kind, clear = outcomes(columns["choice"], columns["first"], columns["second"], labels, positive)
    drop(kind == MISSING, "with a choice that was to be dropped" if labels else "without a choice")
    neither = np.isin(kind, (TIE, BOTH_BAD)) & keep
    if neither.any() and ties == "error":
        row = int(np.argmax(neither))
        raise ValueError(f"ties: expected none, got {neither.sum()}, the first is {columns['choice'].iloc[row]!r}")
    if ties == "drop":
        drop(kind == TIE, "ties")
        drop(kind == BOTH_BAD, "ties that called both bad")
    weight = _weights(columns, clear if margin else None, neither, margin)
    drop(~np.isfinite(weight), "without a weight")
    drop(weight == 0, "of weight 0")
    columns["outcome"], columns["weight"] = pd.Categorical.from_codes(kind.clip(0), _OUTCOMES), weight
    (columns, _), kind = _kept(columns, keep), kind[keep]
    _refuse_nothing(columns, report)
    report.ties, report.both_bad = int((kind == TIE).sum()), int((kind == BOTH_BAD).sum())
    if report.ties + report.both_bad:
        many = report.ties + report.both_bad
        report.changed[
            "tie counts as half a choice either way" if many == 1 else "ties count as half a choice either way"
        ] = many
    return columns


def _kept(columns, keep):
    """Return the rows that are kept, and that all of them are."""
    columns = columns if keep.all() else columns[keep].reset_index(drop=True)
    return columns, np.ones(len(columns), dtype=bool)


def _missing(column):
    found = column.isna().to_numpy()
    if not pd.api.types.is_numeric_dtype(column.dtype):
        found = found | (column == "").to_numpy(dtype=bool, na_value=False)
    return found


def _whole(column):
    """Return numbers that missing values had made fractions as whole numbers again."""
    if pd.api.types.is_float_dtype(column.dtype) and (column % 1 == 0).all():
        return column.astype("int64")
    return column


def _same(first, second):
    if first.dtype == second.dtype and not isinstance(first.dtype, pd.CategoricalDtype):
        return (first == second).to_numpy(dtype=bool)
    codes, _ = pd.factorize(pd.concat([first, second], ignore_index=True))
    one, other = np.split(codes, 2)
    return one == other


def _weights(columns, clear, neither, margin):
    if margin and clear is None:
        raise ValueError("margin: expected False, as the column of choices does not say how clearly somebody chose")
    weight = np.ones(len(columns))
    if "weight" in columns.columns:
        weight = pd.to_numeric(columns["weight"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        if (weight < 0).any():
            row = int(np.argmax(weight < 0))
            raise ValueError(
                f"weight: expected numbers of at least 0, got {weight[row]:g} in row {row} of those in use"
            )
    # A tie has no margin, and counts one.
    return weight if clear is None else weight * np.where(neither, 1.0, clear)


def _refuse_nothing(columns, report):
    if not len(columns):
        raise ValueError(
            f"source: expected at least one comparison, got none that can be used; dropped: {report.dropped}"
        )


def texts(kept, item_text, names, one, other, report):
    """Return the texts of the items by name; None where there are none."""
    if item_text is None:
        return None
    if isinstance(item_text, tuple):
        at = np.concatenate([one, other])
        found = pd.DataFrame({"at": at, "text": pd.concat([kept["first_text"], kept["second_text"]]).to_numpy()})
        found = found.dropna().drop_duplicates()
        several = int((np.bincount(found["at"]) > 1).sum())
        if several:
            report.changed["items with several texts, of which the first counts"] = several
        found = found.drop_duplicates("at")
        item_text = dict(zip((names[i] for i in found["at"]), found["text"], strict=True))
    missing = [name for name in names if name not in item_text]
    if missing:
        raise ValueError(f"item_text: expected a text for every item, got none for {missing[0]!r}")
    return {name: item_text[name] for name in names}
