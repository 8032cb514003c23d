"""Comparisons of texts in one schema: who preferred which answer to what. Real ones are loaded by `sources`.

A row is ``prompt`` (messages), ``chosen``, ``rejected`` (the two answers), ``annotator``, ``group`` (or nothing) and
``weight``. Chapter 10.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotators import Choices
from .prompts import Prompt, is_chat

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["COLUMNS", "Compared", "as_choices", "as_row", "from_choices", "split"]

COLUMNS = ("prompt", "chosen", "rejected", "annotator", "group", "weight")


def as_row(
    prompt: Prompt, chosen: str, rejected: str, annotator: object, group: object = None, weight: float = 1.0
) -> dict[str, Any]:
    """Return a comparison as a row of the schema; words are what the user says.

    Parameters
    ----------
    prompt : Prompt
        What was answered.
    chosen : str
        The answer that was preferred.
    rejected : str
        The other one.
    annotator : object
        Who preferred it.
    group : object
        What is known of this person; None is nothing.
    weight : float
        How much the comparison counts.

    Returns
    -------
    dict

    Examples
    --------
    >>> as_row("do", "done", "no", "w1")["prompt"]
    [{'role': 'user', 'content': 'do'}]
    """
    messages = list(prompt) if is_chat(prompt) else [{"role": "user", "content": prompt}]
    return {
        "prompt": [{"role": message["role"], "content": message["content"]} for message in messages],
        "chosen": chosen,
        "rejected": rejected,
        "annotator": str(annotator),
        "group": None if group is None else str(group),
        "weight": weight,
    }


def from_choices(
    texts: tuple[Sequence[Prompt], Sequence[str]],
    choices: Choices,
    group: ArrayLike | None = None,
    groups: Sequence[str] | None = None,
) -> Dataset:
    """Return the choices of simulated annotators in the schema: one more source.

    Parameters
    ----------
    texts : tuple of two sequences, each of length n_texts
        Prompts and completions of the compared texts.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison, as `annotators.ask` returns them.
    group : array_like of int, shape (A,), or None
        The group of every annotator, which no learner sees.
    groups : sequence of str, length U, or None
        Their names; None is 0, 1, ...

    Returns
    -------
    datasets.Dataset
        With the columns of ``COLUMNS``.

    Raises
    ------
    ValueError
        Where two texts that were compared answer different prompts.

    Examples
    --------
    >>> choices = np.array([0]), np.array([1]), np.array([0])
    >>> from_choices((["it"] * 2, ["is", "was"]), choices, [0], ["warm"])[0]["group"]
    'warm'
    """
    from datasets import Dataset

    prompts, completions = texts
    of_people = None if group is None else np.asarray(group)
    made = []
    for winner, loser, who in zip(*choices, strict=True):
        if prompts[winner] != prompts[loser]:
            raise ValueError(f"texts: expected compared texts on one prompt, got others in texts {winner} and {loser}")
        u = None if of_people is None else int(of_people[who])
        name = None if u is None else groups[u] if groups is not None else u
        made.append(as_row(prompts[winner], completions[winner], completions[loser], f"{who:06}", name))
    return Dataset.from_list(made)


def split(
    data: Dataset, by: Literal["annotator", "prompt"], *, share: float = 0.2, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Divide comparisons so that no annotator, or no prompt, stands on both sides.

    By annotator, what is learned is tried on people whom nobody asked before; by prompt, on what nobody was asked.

    Parameters
    ----------
    data : datasets.Dataset
        With the columns of ``COLUMNS``.
    by : {"annotator", "prompt"}
        What is divided.
    share : float
        Of the annotators, or of the prompts, that are held out.
    seed : int
        Of who they are.

    Returns
    -------
    train : datasets.Dataset
    heldout : datasets.Dataset

    Raises
    ------
    ValueError
        On another column, a share that is none, or fewer than two to divide.

    Examples
    --------
    >>> choices = np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]), np.arange(4)
    >>> train, heldout = split(from_choices((["it"] * 2, ["is", "was"]), choices), "annotator", share=0.25)
    >>> len(train), len(heldout)
    (3, 1)
    """
    if by not in ("annotator", "prompt"):
        raise ValueError(f"by: expected 'annotator' or 'prompt', got {by!r}")
    if not 0 < share < 1:
        raise ValueError(f"share: expected a number between 0 and 1, got {share}")
    unit = [json.dumps(value, sort_keys=True) for value in data[by]]
    every = sorted(set(unit))
    if len(every) < 2:
        raise ValueError(f"data: expected at least two different values of {by} to divide, got {len(every)}")
    n = min(max(1, round(share * len(every))), len(every) - 1)
    chosen = {every[i] for i in np.random.default_rng(seed).permutation(len(every))[:n]}
    out = np.array([value in chosen for value in unit])
    return data.select(np.flatnonzero(~out)), data.select(np.flatnonzero(out))


class Compared(NamedTuple):
    """Hold comparisons as learners take them: texts once each, and who preferred which.

    Parameters
    ----------
    prompts : list of Prompt, length n_texts
        Of the texts, as chats.
    completions : list of str, length n_texts
        The answers.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison.
    annotators : list of str, length A
        Their names.
    groups : list of str or None, length A
        What the data say of them.
    weight : ndarray, shape (n,)
        How much a comparison counts.

    Examples
    --------
    >>> Compared._fields[:2]
    ('prompts', 'completions')
    """

    prompts: list[Prompt]
    completions: list[str]
    choices: Choices
    annotators: list[str]
    groups: list[str | None]
    weight: NDArray[np.float64]


def as_choices(data: Dataset) -> Compared:
    """Return comparisons in the form of `annotators.ask`: every text once, choices as indices.

    Parameters
    ----------
    data : datasets.Dataset
        With the columns of ``COLUMNS``.

    Returns
    -------
    Compared

    Examples
    --------
    >>> choices = np.array([0, 1]), np.array([1, 0]), np.array([0, 1])
    >>> as_choices(from_choices((["it"] * 2, ["is", "was"]), choices)).choices[0].tolist()
    [0, 1]
    """
    at: dict[tuple[str, str], int] = {}
    who: dict[str, int] = {}
    prompts: list[Prompt] = []
    sides: list[list[int]] = []
    people: list[int] = []
    groups: list[str | None] = []
    for row in data.to_list():
        asked = json.dumps(row["prompt"], sort_keys=True)
        for side in ("chosen", "rejected"):
            if at.setdefault((asked, row[side]), len(at)) == len(prompts):
                prompts.append(row["prompt"])
        if who.setdefault(row["annotator"], len(who)) == len(groups):
            groups.append(row["group"])
        sides.append([at[asked, row[side]] for side in ("chosen", "rejected")])
        people.append(who[row["annotator"]])
    winner, loser = np.array(sides, dtype=np.intp).T
    choices = winner, loser, np.array(people, dtype=np.intp)
    weight = np.array(data["weight"], dtype=float)
    return Compared(prompts, [text for _, text in at], choices, list(who), groups, weight)
