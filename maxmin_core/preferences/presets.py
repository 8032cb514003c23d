"""Public tables of preferences, by name: which of them can be read, and how their rows become single choices.

The columns are those that public code and listings name; nothing of the tables comes with this package. Chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _layouts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PRESETS", "Preset", "preset_rows"]


@dataclass(frozen=True)
class Preset:
    """Say how a public table is read, or why it cannot be.

    Parameters
    ----------
    about : str
        What it is, and its licence as far as it is known second-hand.
    columns : tuple of str
        The columns that have to be there.
    items : tuple of str
        What can be compared: 'model', 'response' or both; the first is taken where nothing is said.
    people : tuple of str
        The columns of `preset_rows` that say something of people.
    shown : bool
        Whether the order of the two items is that in which they were shown.
    refusal : str or None
        Why it cannot be read.
    texts : bool
        Whether the texts of the responses stand in the table.
    layout : callable or None
        What turns its rows into choices.

    Examples
    --------
    >>> PRESETS["llmfao"].items, PRESETS["dices"].refusal
    (('model', 'response'), 'it rates single responses and has no pairs')
    """

    about: str
    columns: tuple[str, ...] = ()
    items: tuple[str, ...] = ("model", "response")
    people: tuple[str, ...] = ()
    shown: bool = True
    refusal: str | None = None
    texts: bool = True
    layout: Callable[[pd.DataFrame, str], pd.DataFrame] | None = None

    def item_text(self, items: str | None = None) -> tuple[str, str] | None:
        """Return the columns of `preset_rows` with the items' texts; None where items have none.

        Parameters
        ----------
        items : {"model", "response"} or None
            What is compared; None is the first that it can.

        Returns
        -------
        pair of str, or None
        """
        return ("first_text", "second_text") if (items or self.items[0]) == "response" and self.texts else None


_DEMOGRAPHICS = tuple(
    f"annotator_{name}" for name in ("age", "gender", "education_level", "political", "ethnicity", "country")
)

PRESETS: dict[str, Preset] = {
    "llmfao": Preset(
        "Crowdsourced LLM Benchmark: crowd workers on answers of 59 models, crowd-comparisons.csv; CC BY 4.0",
        ("prompt", "worker", "winner", "left", "right"),
        texts=False,
        layout=_layouts.llmfao,
    ),
    "chatbot_arena": Preset(
        "Chatbot Arena conversations (33,000, with the id of the judge); licences differ by model",
        ("judge", "model_a", "model_b", "winner", "conversation_a", "conversation_b"),
        layout=_layouts.chatbot_arena,
    ),
    "prism": Preset(
        "PRISM, configuration utterances; prompts CC BY 4.0, responses CC BY-NC 4.0",
        ("user_id", "interaction_id", "user_prompt", "model_name", "model_response", "score", "if_chosen"),
        shown=False,
        layout=_layouts.prism,
    ),
    "community_alignment": Preset(
        "Community Alignment, up to four turns a conversation, four responses each; CC BY 4.0",
        ("annotator_id", "first_turn_prompt", "first_turn_response_a", "first_turn_preferred_response"),
        items=("response",),
        people=_DEMOGRAPHICS,
        shown=False,
        layout=_layouts.community_alignment,
    ),
    "collective_alignment": Preset(
        "Collective Alignment 1, configuration comparisons, rankings of four responses; CC BY 4.0 as far as known",
        ("prompt_id", "prompt", "responses", "metadata"),
        items=("response",),
        shown=False,
        layout=_layouts.collective_alignment,
    ),
    "multipref": Preset(
        "MultiPref, four annotators a comparison, two of them experts; ODC-By",
        ("text", "completion_a", "completion_b", "model_a", "model_b", "normal_worker_annotations"),
        people=("worker",),
        layout=_layouts.multipref,
    ),
    "personas": Preset(
        "Personalized Soups, rm_training/P1A.json and the like: no annotators, 75 rows of a file stand for one",
        ("user_input", "completion_a", "completion_b"),
        items=("response",),
        people=("persona",),
        shown=False,
        layout=_layouts.personas,
    ),
    "helpsteer2": Preset("HelpSteer2", refusal="it does not say who annotated what, so no groups can be found"),
    "helpsteer3": Preset("HelpSteer3", refusal="it does not say who annotated what, so no groups can be found"),
    "arena_140k": Preset("Arena, 140,000 votes", refusal="it names sessions but no people, so no groups can be found"),
    "dices": Preset("DICES-350 and DICES-990", refusal="it rates single responses and has no pairs"),
}


def preset_rows(source: Any, preset: str, *, items: str | None = None, first_turns: bool = False) -> pd.DataFrame:
    """Return a public table as one choice a row, with the texts: what `read_comparisons` counts and a model reads.

    Parameters
    ----------
    source : path, or table
        As for `read_comparisons`. For 'personas' also a folder of files, or a dictionary of tables by persona.
    preset : str
        The name of the table, one of `PRESETS`.
    items : {"model", "response"} or None
        What is compared; None is the first that the preset can.
    first_turns : bool
        Whether later turns of conversations are left out: what was said before them is not in their rows.

    Returns
    -------
    pandas.DataFrame
        Columns annotator, first, second, choice, prompt; first_text and second_text where the table has texts; weight
        where a choice among several counts one in all; messages where a prompt is a chat; and what the table says of
        people. Its ``attrs["dropped"]`` counts what was no choice.

    Raises
    ------
    ValueError
        On an unknown name, a missing column, a table without annotators or without pairs: says why.

    Examples
    --------
    >>> row = {"prompt": 8, "worker": 58, "winner": "left", "left": "Model A", "right": "Model B"}
    >>> preset_rows([row], "llmfao")[["annotator", "first", "second", "choice"]].to_dict("records")
    [{'annotator': 58, 'first': 'Model A', 'second': 'Model B', 'choice': 'first'}]
    """
    from ._frames import as_frame, one_column

    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    known = PRESETS[preset]
    if known.layout is None:
        raise ValueError(f"preset: {preset} cannot be read: {known.refusal}")
    items = items or known.items[0]
    if items not in known.items:
        raise ValueError(f"items: expected {' or '.join(map(repr, known.items))} for {preset}, got {items!r}")
    frame = _layouts.by_persona(source, as_frame) if preset == "personas" else as_frame(source, "source")
    missing = [name for name in known.columns if name not in frame.columns]
    if missing:
        raise ValueError(
            f"source: expected the columns of {preset}, missing {', '.join(missing)}; got "
            f"{', '.join(map(str, frame.columns)):.300}. Its columns are known second-hand: if they have other names "
            "now, rename them, or name yours by annotator, first, second and choice"
        )
    for name in known.columns:
        one_column(frame, name, "source")
    if not first_turns:
        return known.layout(frame.reset_index(drop=True), items)
    frame, later = _layouts.first_turns(frame)
    rows = known.layout(frame.reset_index(drop=True), items)
    if later:
        rows.attrs["dropped"] = rows.attrs["dropped"] | {"turns after the first": later}
    return rows
