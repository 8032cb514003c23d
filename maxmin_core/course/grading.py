"""Judge what was handed in: one process a notebook, and a judge beside it that nothing of the notebook can reach."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .isolation import Limits
from .judging import Verdict, judge_task
from .merging import Merged, SubmissionError, merge, read_submission
from .sandbox import Sandbox
from .sources import Assignment, is_written
from .submissions import Submission

__all__ = ["Result", "grade_all", "grade_one"]


@dataclass(frozen=True)
class Result:
    """Hold what became of one student's submission.

    Parameters
    ----------
    student : str
        Who.
    verdicts : dict of str to Verdict
        By automatic task.
    merged : Merged or None
        The answers; None where nothing could be read.
    note : str
        About the notebook as a whole.
    trouble : dict of str to str
        What the lecturer has to look at, by task: the judge itself failed. Never shown to students.

    Examples
    --------
    >>> Result("ann", {}, None, "the file is empty").points
    0
    """

    student: str
    verdicts: dict[str, Verdict]
    merged: Merged | None
    note: str = ""
    trouble: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The points of the automatic tasks."""
        return sum(verdict.points for verdict in self.verdicts.values())

    def written(self, task: str) -> bool:
        """Return whether a written task was answered.

        Parameters
        ----------
        task : str
            Which.
        """
        return is_written(self.merged.answers.get(task, "") if self.merged else "")

    def waiting(self, assignment: Assignment) -> float:
        """Return the points of the written answers that a person has to mark.

        Parameters
        ----------
        assignment : Assignment
            What was asked.
        """
        return sum(task.points for task in assignment.tasks if not task.automatic and self.written(task.name))


def grade_one(
    assignment: Assignment,
    submission: Submission,
    *,
    seed: int,
    limits: Limits | None = None,
    isolated: bool = True,
    hidden: Sequence[Path] = (),
) -> Result:
    """Judge one submission.

    Parameters
    ----------
    assignment : Assignment
        Its source, with judge.
    submission : Submission
        What was handed in.
    seed : int
        Of the course.
    limits : Limits, optional
        What the notebook may take; the assignment's metadata may say ``"limits": {"total": 900}``.
    isolated : bool
        Whether the notebook must not see the machine.
    hidden : sequence of Path
        Folders to keep out of sight wherever they lie.

    Returns
    -------
    Result
        Whatever was handed in.
    """
    tasks = [task for task in assignment.tasks if task.automatic]
    try:
        if submission.notebook is None:
            raise SubmissionError("no notebook was found")
        merged = merge(assignment, read_submission(submission.notebook, assignment.name))
    except SubmissionError as error:
        note = "; ".join(filter(None, [submission.note, str(error)]))
        return Result(submission.student, {task.name: Verdict(0, task.points, (), "") for task in tasks}, None, note)
    judges, verdicts, trouble = assignment.judges(), {}, {}
    limits = limits or Limits(**assignment.about.get("limits", {}))
    with Sandbox(merged.cells, submission.files, limits, isolated, hidden) as ask:
        for task in tasks:
            notes = merged.notes.get(task.name, [])
            if task.name not in merged.answers or any("does not allow" in note for note in notes):
                verdicts[task.name] = Verdict(0, task.points, (), "; ".join(notes))
                continue
            try:
                with _at_most(limits.total + 60):
                    verdict = judge_task(task.name, judges[task.name], ask, of=task.points, seed=seed)
            except Exception as error:
                # A judge meets what its author did not think of. The others go on, and the lecturer is told.
                trouble[task.name] = f"{type(error).__name__}: {error}"
                verdict = Verdict(0, task.points, (), "the answer could not be judged; your lecturer is told")
            note = "; ".join(filter(None, [*notes, verdict.note]))
            verdicts[task.name] = Verdict(verdict.points, verdict.of, verdict.checks, note)
    note = "; ".join(filter(None, [submission.note, *merged.notes.get("", []), *ask.left_out]))
    return Result(submission.student, verdicts, merged, note, trouble)


def grade_all(
    assignment: Assignment,
    submissions: Sequence[Submission],
    *,
    seed: int,
    limits: Limits | None = None,
    isolated: bool = True,
    hidden: Sequence[Path] = (),
    cores: int = 2,
    done: Callable[[Result], object] = lambda result: None,
) -> list[Result]:
    """Judge many submissions, some at a time; one bad file never stops the others.

    Parameters
    ----------
    assignment : Assignment
        Its source, with judge.
    submissions : sequence of Submission
        What was handed in.
    seed : int
        Of the course.
    limits : Limits, optional
        What each notebook may take.
    isolated : bool
        Whether notebooks must not see the machine.
    hidden : sequence of Path
        Folders to keep out of sight wherever they lie.
    cores : int
        How many at a time.
    done : callable
        Called with every result as it comes.

    Returns
    -------
    list of Result
        In the order of the submissions, whatever the number of cores.
    """
    about: dict[str, Any] = {"seed": seed, "limits": limits, "isolated": isolated, "hidden": tuple(hidden)}
    found: dict[int, Result] = {}
    waiting = dict(enumerate(submissions))
    while waiting:
        try:
            # The processes are new ones: a judge must not see what this one holds.
            with ProcessPoolExecutor(min(cores, len(waiting)), get_context("spawn")) as pool:
                futures = {pool.submit(grade_one, assignment, one, **about): n for n, one in waiting.items()}
                for future in as_completed(futures):
                    number = futures[future]
                    found[number] = future.result()
                    del waiting[number]
                    done(found[number])
        except BrokenProcessPool:
            # A judge took its process with it. Nobody can say which: judge the next alone, and go on.
            number = min(waiting)
            found[number] = _alone(assignment, waiting.pop(number), about)
            done(found[number])
    return [found[number] for number in sorted(found)]


def _alone(assignment, submission, about):
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(grade_one, assignment, submission, **about).result()
    except BrokenProcessPool:
        lost = {task.name: Verdict(0, task.points, (), "") for task in assignment.tasks if task.automatic}
        note = "the judge itself was ended; your lecturer is told"
        return Result(submission.student, lost, None, note, {"": "the judge's process was ended"})


class _at_most:
    """Raise TimeoutError in this thread when a block takes longer, where the system can."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        def ring(*_):
            raise TimeoutError(f"the judge took longer than {self.seconds:g} s")

        self.before = signal.signal(signal.SIGALRM, ring) if hasattr(signal, "SIGALRM") else None
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *what):
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self.before)


def rows(assignment: Assignment, result: Result) -> Iterator[dict[str, object]]:
    """Yield a line of grades.csv for every task: student, task, points, of, note."""
    for task in assignment.tasks:
        verdict = result.verdicts.get(task.name)
        written = result.written(task.name)
        yield {
            "student": result.student,
            "task": task.name,
            "points": f"{verdict.points:g}" if verdict else "" if written else "0",
            "of": f"{task.points:g}",
            "note": "; ".join(
                filter(None, [result.note, verdict.note if verdict else "to be marked" if written else "no answer"])
            ),
        }
