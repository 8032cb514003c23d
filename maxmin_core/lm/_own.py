"""Comparisons of one's own: a table with the columns of `comparisons`, and what it may not leave open. Chapter 10."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..preferences.tables import read_table
from .comparisons import COLUMNS
from .prompts import is_chat, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_people", "joined", "own_rows"]

# Without group and weight a table will do.
_NEEDED = COLUMNS[:4]
# How tables of people call whom they are about.
_IDS = ("annotator", "annotator_id", "user_id")


def own_rows(source: Any, group: str | None) -> pd.DataFrame:
    """Return the table in the form of `preset_rows`; ValueError on missing or unknown columns, or an empty cell."""
    import pandas as pd

    frame = read_table(source)
    allowed = (*COLUMNS, *([group] if group else []))
    missing = [name for name in (*_NEEDED, *([group] if group else [])) if name not in frame.columns]
    unknown = [str(name) for name in frame.columns if name not in allowed]
    if missing or unknown:
        found = f"no {', '.join(missing)}" if missing else ", ".join(unknown)
        raise ValueError(
            f"source: expected the columns {', '.join(_NEEDED)}, and if need be group and weight, got {found}; rename "
            "or drop columns, or name the one that says a person's group by --group"
        )
    made = []
    for i, row in enumerate(frame.to_dict("records"), start=1):
        prompt = _prompt(row["prompt"], i)
        for name in ("chosen", "rejected"):
            if not isinstance(row[name], str) or not row[name].strip():
                raise ValueError(f"{name}: expected a text in every row, got {row[name]!r:.40} in row {i}")
        names = [json.dumps([prompt, row[name]], sort_keys=True) for name in ("chosen", "rejected")]
        made.append({"annotator": row["annotator"], "first": names[0], "second": names[1], "choice": "first"})
        made[-1] |= {"prompt": plain(prompt), "messages": prompt}
        made[-1] |= {"first_text": row["chosen"], "second_text": row["rejected"]}
        made[-1] |= {name: row[name] for name in {"weight", group or "group"} & set(frame.columns)}
    return pd.DataFrame(made)


def _prompt(value, i):
    """Return a prompt as words or messages; in a file of text, messages stand as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            pass
    if isinstance(value, str):
        if value.strip():
            return value
    elif hasattr(value, "__len__") and is_chat(value):
        return [{name: str(message[name]) for name in ("role", "content")} for message in value]
    raise ValueError(f"prompt: expected a text or messages in every row, got {value!r:.40} in row {i}")


def joined(rows: pd.DataFrame, people: Any, group: str | None) -> pd.DataFrame:
    """Return rows with what a table of people says of each annotator in one of its columns."""
    table = read_table(people)
    name = next((name for name in _IDS if name in table.columns), None)
    if name is None or group is None or group not in table.columns:
        raise ValueError(
            f"people: expected a table with annotator, annotator_id or user_id, and the column that --group names "
            f"({group}), got {', '.join(map(str, table.columns)):.300}"
        )
    who = table[name].astype(str)
    if who.duplicated().any():
        raise ValueError(f"people: expected a row for everybody, got several for {who[who.duplicated()].iloc[0]!r}")
    said = dict(zip(who, table[group], strict=True))
    return rows.assign(**{str(group): rows["annotator"].astype(str).map(said)})


def check_people(rows: list[dict[str, Any]], least: int) -> None:
    """Refuse annotators who compared too little, have no group or several where others have one, or are a group alone.

    Of a public table such people are left out; who made the table can do that, and should know.
    """
    count = Counter(row["annotator"] for row in rows)
    few = sorted(who for who, n in count.items() if n < least)
    if few:
        raise ValueError(
            f"annotator: expected at least {least} comparisons by everybody, got {count[few[0]]} by {few[0]}"
            f"{_others(few)}; leave them out of the table"
        )
    group_of = {row["annotator"]: row["group"] for row in rows}
    without = sorted(who for who, group in group_of.items() if group is None)
    if without and len(without) < len(group_of):
        raise ValueError(
            f"group: expected one group for everybody, or no column of groups, got none or several for {without[0]}"
            f"{_others(without)}"
        )
    alone = sorted(str(group) for group, n in Counter(group_of.values()).items() if n < 2)
    if alone and not without:
        raise ValueError(
            f"group: expected at least two people in every group, got one in {', '.join(alone)}; leave the group out, "
            "or join it with another"
        )


def _others(names):
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
