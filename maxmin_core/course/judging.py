"""What a judge asks of a student's answers, and what it says of them."""

import importlib.util
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["AnswerError", "Ask", "Check", "Verdict", "judge_task", "read_judge"]


class AnswerError(Exception):
    """Say why an answer cannot be judged further, in words that its author understands."""


class Ask(Protocol):
    """Ask a student's notebook: the judge's only way to an answer.

    What comes back is plain: None, bool, int, float, str, arrays of numbers or bools, and lists, tuples and dicts of
    these. Everything else, an error in the answer, or a limit that it breaks, is an ``AnswerError``.
    """

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call the student's function ``name``."""

    def value(self, name: str) -> Any:
        """Return the student's variable ``name``.

        Parameters
        ----------
        name : str
            Which.
        """

    def file(self, name: str) -> bytes:
        """Return a file that was handed in beside the notebook.

        Parameters
        ----------
        name : str
            Which.
        """


@dataclass(frozen=True)
class Check:
    """Hold one hidden check: what it is worth, whether it holds, and what its author is told.

    Parameters
    ----------
    points : float
        What it is worth.
    holds : bool
        Whether it does.
    says : str
        The property in words, such as ``"wins are in balance at the fitted reward"``; never the instance or the code.

    Examples
    --------
    >>> Check(5, True, "the values are those of the returned policy").points
    5
    """

    points: float
    holds: bool
    says: str


@dataclass(frozen=True)
class Verdict:
    """Hold what became of a task.

    Parameters
    ----------
    points : float
        The points earned.
    of : float
        The points that can be earned.
    checks : tuple of Check
        What was checked, in this order.
    note : str
        Why it ended early; empty where it did not.

    Examples
    --------
    >>> Verdict(0, 20, (), "fit: yours to write").note
    'fit: yours to write'
    """

    points: float
    of: float
    checks: tuple[Check, ...]
    note: str = ""


# Checks an answer by properties, on instances that ``rng`` draws.
Judge = Callable[[Ask, np.random.Generator], Iterator[Check]]


def read_judge(path: Path | str) -> Mapping[str, Judge]:
    """Return the judges of an assignment's automatic tasks, ``TASKS`` of ``aN_judge.py``.

    Parameters
    ----------
    path : Path or str
        The judge's file; it is the lecturer's, and is executed.

    Returns
    -------
    dict of str to Judge
        By the ``grade_id`` of the answer cell.

    Raises
    ------
    ValueError
        Where there is no such file, or it has no ``TASKS``.

    Examples
    --------
    >>> sorted(read_judge("notebooks/assignments/a1_judge.py"))  # doctest: +SKIP
    ['fit', 'permutation', 'win_rate']
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"judge: expected a file, got {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not getattr(module, "TASKS", None):
        raise ValueError(f"{path}: expected a dictionary TASKS, got none")
    return module.TASKS


def judge_task(name: str, judge: Judge, ask: Ask, *, of: float, seed: int) -> Verdict:
    """Judge one task on the instances of a course.

    Parameters
    ----------
    name : str
        The task.
    judge : Judge
        Its checks.
    ask : Ask
        The way to the answer.
    of : float
        The points of the task.
    seed : int
        Of the course: the same seed gives the same instances.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        Where the checks of an answer that passes them all are not worth ``of`` points: the assignment is wrong.

    Examples
    --------
    >>> class Answers:
    ...     def __call__(self, name, *arguments): return arguments[0] ** 2
    >>> def square(ask, rng):
    ...     x = rng.normal()
    ...     yield Check(10, bool(np.isclose(ask("square", x), x * x)), "the square of a number")
    >>> judge_task("square", square, Answers(), of=10, seed=1).points
    10
    """
    # The task's name counts, lest two tasks of an assignment meet the same draws.
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    checks, note = [], ""
    try:
        for check in judge(ask, rng):
            checks.append(check)
    except AnswerError as error:
        note = str(error)
    total = sum(check.points for check in checks)
    if total > of + 1e-9 or (not note and abs(total - of) > 1e-9):
        raise ValueError(f"{name}: expected checks worth {of:g} points, got {total:g}")
    return Verdict(sum(check.points for check in checks if check.holds), of, tuple(checks), note)
