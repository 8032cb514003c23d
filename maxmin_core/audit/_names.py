"""Names that may leave: pseudonyms of people, short names of items, columns of a table by their usual names."""

import hashlib
import hmac

import numpy as np
import pandas as pd

__all__ = ["guess_columns", "item_labels", "plain", "pseudonyms", "traits"]

_LONGEST = 40
_MOST_LEVELS = 12
_USUAL = {
    "annotator": (
        "annotator", "annotator_id", "respondent", "worker", "worker_id", "judge", "rater", "rater_id", "user",
        "user_id", "person", "participant", "voter", "evaluator",
    ),
    "first": ("first", "left", "model_a", "option_a", "item_a", "response_a", "a", "model_1", "item1"),
    "second": ("second", "right", "model_b", "option_b", "item_b", "response_b", "b", "model_2", "item2"),
    "choice": ("choice", "winner", "vote", "preferred", "preference", "chosen", "ranking", "label"),
}  # fmt: skip


def pseudonyms(names):
    """Return a name for everybody that says nothing of the old one, and is the same whenever the same people vote.

    It is a keyed hash; the key is the hash of all names together, so that nobody who does not know them all can try
    one out.
    """
    raw = [f"{type(name).__name__}:{name}".encode() for name in names]
    key = hashlib.sha256(b"\0".join(sorted(raw))).digest()
    found, taken = [], set()
    for name in raw:
        digest = hmac.new(key, name, hashlib.sha256).hexdigest()
        length = 6
        while digest[:length] in taken:
            length += 1
        taken.add(digest[:length])
        found.append(f"P-{digest[:length]}")
    return found


def item_labels(items):
    """Return what items are called on the page: their names where these are short, else numbers; all different."""
    found = []
    for number, name in enumerate(items, start=1):
        text = str(name).strip()
        found.append(text if 0 < len(text) <= _LONGEST and text.isprintable() else f"item {number}")
    twice = {text for text in found if found.count(text) > 1} if len(found) < 5000 else set()
    return [f"{text} ({number})" if text in twice else text for number, text in enumerate(found, start=1)]


def traits(groups, fewest):
    """Return the columns that say something of people as labels, "" where unknown, and why others are left out.

    Numbers of many values become thirds; levels of fewer than `fewest` people are unknown; text of many values goes.
    """
    kept, refused = {}, {}
    for column, values in groups.items():
        series = pd.Series(list(values), dtype=object)
        known = series.notna() & (series.astype(str) != "")
        numbers = pd.to_numeric(series[known], errors="coerce")
        if known.sum() and numbers.notna().all() and numbers.nunique() > _MOST_LEVELS:
            low, high = np.quantile(numbers, [1 / 3, 2 / 3])
            text = pd.Series("", index=series.index, dtype=object)
            names = [f"up to {low:g}", f"above {low:g}, up to {high:g}", f"above {high:g}"]
            text[numbers.index] = np.select([numbers <= low, numbers <= high], names[:2], names[2])
        elif series[known].nunique() > _MOST_LEVELS:
            refused[str(column)] = f"{series[known].nunique()} different values: text, or too many to compare"
            continue
        else:
            text = series.where(known, "").map(lambda value: str(value)[:_LONGEST])
        size = text.value_counts()
        text = text.where(~text.isin(size.index[size < fewest]), "")
        if text[text != ""].nunique() < 2:
            refused[str(column)] = f"fewer than two values of {fewest} people or more"
            continue
        kept[str(column)] = text.to_numpy(dtype=str)
    return kept, refused


def guess_columns(columns, given):
    """Return the four columns of a table: those given, others by their usual names; ValueError where one is missing."""
    plain = {str(column).strip().lower(): column for column in reversed(list(columns))}
    found = dict(given)
    for role, usual in _USUAL.items():
        if found.get(role) is None:
            taken = [column for column in found.values() if column is not None]
            free = [name for name in usual if name in plain and plain[name] not in taken]
            found[role] = plain[free[0]] if free else None
    if found["choice"] is not None and found["first"] is None and found["second"] is None:
        wanted = ("annotator",)  # rankings
    else:
        wanted = ("annotator", "first", "second", "choice")
    for role in wanted:
        if found[role] is None:
            shown = f"{', '.join(map(repr, columns)):.300}"
            raise ValueError(
                f"{role}: expected the name of a column, as none is called {', '.join(_USUAL[role][:6])} or the like; "
                f"the table has {shown}"
            )
    return found


def plain(value):
    """Return a value as JSON takes it: no numpy, no NaN, seven digits."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.7g}") if np.isfinite(value) else None
    return value if value is None else str(value)
