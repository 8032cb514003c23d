"""Real comparisons, by name: from the hub, from files, or a table of one's own, in the schema of `comparisons`.

How each public table is laid out, `preferences.presets` knows. Chapter 10.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..preferences.presets import PRESETS, preset_rows
from ..preferences.tables import TableReport, read_comparisons
from ._own import check_people, joined, own_rows
from .comparisons import as_row
from .corpus import from_hub

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SOURCES", "Source", "load_comparisons"]


@dataclass(frozen=True)
class Source:
    """Say where a public table lies on the hub; ids and commits are second-hand, no hub was asked for them here.

    Parameters
    ----------
    repository : str
        Its id.
    revision : str or None
        The commit that is read; None where none is known: then it has to be named.
    configuration : str or None
        Of the data set.
    file : str or None
        The one file that is read; None is the split ``train``.

    Examples
    --------
    >>> SOURCES["multipref"].repository
    'allenai/multipref'
    """

    repository: str
    revision: str | None = None
    configuration: str | None = None
    file: str | None = None


# The personas of the paper are not here: nobody may pass them on; they come from a folder of one's own.
SOURCES = {
    "community_alignment": Source(
        "facebook/community-alignment-dataset",
        "97343c7f6399fcbea430ed0f37c1768281a78d56",
        file="community_alignment.csv",
    ),
    "prism": Source("HannahRoseKirk/prism-alignment", "18ab5cfb37456f4ec8cbc00212ce54cf7b1239f6", "utterances"),
    "collective_alignment": Source("openai/collective-alignment-1", None, "comparisons"),
    "multipref": Source("allenai/multipref", "12910233a0238a997ebe425656e9dfed7b0ff031"),
}


def load_comparisons(
    name: str,
    source: Any = None,
    *,
    revision: str | None = None,
    personas: Sequence[str] | None = None,
    group: str | None = None,
    people: Any = None,
    least: int = 2,
) -> tuple[Dataset, TableReport]:
    """Return a public table of preferences, or one's own, one choice a row; of a conversation its first turn.

    Ties are left out and counted, as a reward model learns nothing from them. A table of one's own has the columns of
    ``comparisons.COLUMNS``: prompt (a text, or messages), chosen, rejected, annotator, and if need be group and weight.

    Parameters
    ----------
    name : str
        A name of ``SOURCES``, ``personas``, or ``own``.
    source : path, table or None
        A file, a frame, a ``datasets.Dataset``; for the personas a folder. None fetches the pinned commit from the hub.
    revision : str or None
        Another commit than the pinned one, all 40 digits.
    personas : sequence of str or None
        Which files of the folder, such as ``P1A`` and ``P1B``; None is all of them.
    group : str or None
        A column that says something of people: ``PRESETS[name].people`` of `preferences` lists a public table's, such
        as ``annotator_country``; PRISM and Collective Alignment have none. None is the persona, or ``group``, where
        there is one.
    people : path, table or None
        A table of the annotators, in which `group` is a column; its ids stand in annotator, annotator_id or user_id.
    least : int
        Comparisons that an annotator must have made to stay: whoever made one tells nothing of their group. In a table
        of one's own fewer are an error.

    Returns
    -------
    data : datasets.Dataset
        With the columns of ``comparisons.COLUMNS``.
    report : TableReport
        What came in and what was left out.

    Raises
    ------
    ValueError
        On an unknown name, a table with other columns, a persona without a file, a commit that is not pinned, or
        annotators who all made fewer comparisons than asked for; in a table of one's own also on empty cells, a person
        without a group beside others with one, and a group of one person.
    OSError
        When the hub is out of reach.

    Examples
    --------
    >>> row = {"text": "do", "completion_a": "done", "completion_b": "no", "model_a": "x", "model_b": "y"}
    >>> row["normal_worker_annotations"] = [{"evaluator": "w", "overall_pref": "A-is-clearly-better"}]
    >>> data, report = load_comparisons("multipref", [row], least=1)
    >>> data[0]["prompt"], data[0]["chosen"], data[0]["annotator"]
    ([{'role': 'user', 'content': 'do'}], 'done', 'w')
    """
    from datasets import Dataset

    if name not in (every := [*SOURCES, "personas", "own"]):
        raise ValueError(f"name: expected one of {', '.join(every)}, got {name!r}")
    if personas is not None and name != "personas":
        raise ValueError(f"personas: expected None for {name}, got {list(personas)}")
    if name == "personas":
        source = _files_of(source, personas)
        group = group or "persona"
    elif source is None and name != "own":
        source = _fetched(name, revision)
    if name == "own":
        rows = own_rows(source, None if people is not None else group)
        group = group or ("group" if "group" in rows.columns else None)
    else:
        rows = preset_rows(source, name, items="response", first_turns=True)
    if people is not None:
        rows = joined(rows, people, group)
    if group is not None and group not in rows.columns:
        known = ", ".join(column for column in rows.columns if column in PRESETS[name].people) or "none"
        raise ValueError(
            f"group: expected one of the columns that say something of people, {known}, got {group!r}; a table of the "
            "people can be joined by --people"
        )
    read, report = read_comparisons(
        rows,
        annotator="annotator",
        first="first",
        second="second",
        choice="choice",
        ties="drop",
        weight="weight" if "weight" in rows.columns else None,
        group=group,
        item_text=("first_text", "second_text"),
        # Nothing is fitted here.
        features=lambda texts: np.zeros((len(texts), 1)),
    )
    report.preset = name
    compared = _rows(rows, read, report)
    if name == "own":
        check_people(compared, least)
    count = Counter(row["annotator"] for row in compared)
    few = {who: n for who, n in count.items() if n < least}
    kept = [row for row in compared if row["annotator"] not in few]
    if not kept:
        most = max(count.values())
        raise ValueError(
            f"least: expected annotators with at least {least} comparisons, got none with more than {most}"
        )
    if few:
        report.dropped[f"by {len(few)} annotators with fewer than {least}"] = sum(few.values())
    report.votes, report.people = len(kept), len(count) - len(few)
    return Dataset.from_list(kept), report


def _fetched(name, revision):
    from datasets import load_dataset

    known = SOURCES[name]
    revision = known.revision if revision is None else revision
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError(f"revision: expected the commit of {known.repository}, 40 digits of 0 to f, got {revision}")
    with from_hub(known.repository):
        return load_dataset(
            known.repository, known.configuration, revision=revision, data_files=known.file, split="train"
        )


def _files_of(folder, personas):
    """Return the file of every persona; preset_rows reads them."""
    if not isinstance(folder, str | Path) or not Path(folder).is_dir():
        raise ValueError(f"source: expected the folder of the personas' files (P1A.json and so on), got {folder!r}")
    there = {path.stem: path for path in sorted(Path(folder).glob("P*.json"))}
    wanted = list(there) if personas is None else list(personas)
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        of, got = ", ".join(missing) or "personas", ", ".join(there) or "none"
        raise ValueError(f"personas: expected files of {of} in {folder}, got {got}")
    return {name: there[name] for name in wanted}


def _rows(rows, read, report):
    """Return the choices that were read as rows of the schema; the name of an answer says what it answers."""
    asked = {}
    chats = rows["messages"] if "messages" in rows.columns else rows["prompt"]
    for side in ("first", "second"):
        asked |= dict(zip(rows[side], chats, strict=True))
    text = report.item_text or {}
    of_people = next(iter(report.groups.values()), (None,) * read.n_annotators)
    made = []
    for winner, loser, who, weight in zip(read.winner, read.loser, read.annotator, read.weight, strict=True):
        better, worse = read.items[winner], read.items[loser]
        made.append(
            as_row(asked[better], text[better], text[worse], read.annotators[who], of_people[who], float(weight))
        )
    return made
