"""What a judge asks of a student's answers, and what it says of them."""

import importlib.util
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnswerError", "Ask", "Check", "Verdict", "counted", "judge_task", "numbers", "read_judge", "several"]


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
    after : bool
        Whether the parts above that this one builds on hold. Where they do not, no points are given for it, and nothing
        is said of the property itself, which may well hold.

    Examples
    --------
    >>> print(Check(5, True, "the values are those of the returned policy"))
    holds: the values are those of the returned policy (5 points)
    >>> print(Check(1, True, "they are the largest", after=False))
    not given, as a part above does not hold: they are the largest (1 point)
    """

    points: float
    holds: bool
    says: str
    after: bool = True

    @property
    def given(self) -> bool:
        """Whether its points are given."""
        return bool(self.holds and self.after)

    @property
    def word(self) -> str:
        """What its author is told: that the property holds, that it does not, or that nobody can say so."""
        if not self.after:
            return "not given, as a part above does not hold"
        return "holds" if self.holds else "does not hold"

    def __str__(self) -> str:
        return f"{self.word}: {self.says} ({counted(self.points, 'point')})"


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
    return Verdict(sum(check.points for check in checks if check.given), of, tuple(checks), note)


def counted(number: float, thing: str) -> str:
    """Return a number of things in words.

    Parameters
    ----------
    number : float
        How many.
    thing : str
        One of them.

    Examples
    --------
    >>> counted(1, "point"), counted(2.5, "point")
    ('1 point', '2.5 points')
    """
    return f"{number:g} {thing}{'' if number == 1 else 's'}"


def numbers(name: str, answer: Any, shape: Sequence[int | None], *, below: float = np.inf) -> NDArray[np.float64]:
    """Return an answer as finite numbers of a shape, or say what it is instead.

    Parameters
    ----------
    name : str
        The student's function, for the message.
    answer : object
        What came back.
    shape : sequence of int or None
        What is expected; None stands for any length from 1 to 50.
    below : float
        No number may be as large as this, in size.

    Returns
    -------
    ndarray

    Raises
    ------
    AnswerError
        Where it is something else.

    Examples
    --------
    >>> numbers("fit", [[1, 2], [3, 4]], (2, None)).shape
    (2, 2)
    >>> numbers("fit", [1.0], (2,))
    Traceback (most recent call last):
    maxmin_core.course.judging.AnswerError: fit: expected numbers of shape (2), got numbers of shape (1)
    """
    try:
        array = np.asarray(answer)
    except ValueError:
        raise AnswerError(f"{name}: expected numbers, got rows of different lengths") from None
    if array.dtype.kind not in "biuf":
        raise AnswerError(f"{name}: expected real numbers, got {type(answer).__name__}")
    fits = array.ndim == len(shape) and all(
        got == want or (want is None and 1 <= got <= 50) for got, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise AnswerError(f"{name}: expected {_shape(shape)}, got {_shape(array.shape)}")
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise AnswerError(f"{name}: expected finite numbers, got NaN or infinity")
    if not (np.abs(array) < below).all():
        raise AnswerError(f"{name}: expected numbers of moderate size")
    return array


def several(name: str, answer: Any, *shapes: Sequence[int | None]) -> list[NDArray[np.float64]]:
    """Return an answer of several arrays, or say what it is instead.

    Parameters
    ----------
    name : str
        The student's function, for the message.
    answer : object
        What came back.
    *shapes : sequence of int or None
        What is expected, part by part, as in `numbers`.

    Returns
    -------
    list of ndarray

    Raises
    ------
    AnswerError
        Where it is something else.

    Examples
    --------
    >>> shares, value = several("fit", ([0.5, 0.5], 1.0), (2,), ())
    """
    if not isinstance(answer, list | tuple) or len(answer) != len(shapes):
        raise AnswerError(f"{name}: expected {len(shapes)} results, got {type(answer).__name__}")
    return [numbers(name, part, shape) for part, shape in zip(answer, shapes, strict=True)]


def _shape(shape):
    if not len(shape):
        return "one number"
    return f"numbers of shape ({', '.join('n' if length is None else str(length) for length in shape)})"
