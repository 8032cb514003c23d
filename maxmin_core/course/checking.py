"""What a student asks: do the public checks of my notebook hold? It runs on the student's own machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .isolation import Limits
from .judging import AnswerError, counted
from .merging import merge, read_submission
from .sandbox import Cell, Sandbox
from .sources import Assignment, Task, cell_source, is_written, marked

__all__ = ["Checked", "check_notebook", "look_over"]


@dataclass(frozen=True)
class Checked:
    """Hold what the public checks of a task say.

    Parameters
    ----------
    task : str
        Which.
    held : int
        How many hold.
    of : int
        How many there are.
    says : tuple of str
        What is wrong, one entry a check.

    Examples
    --------
    >>> print(Checked("fit", 1, 2, ("the reward has to sum to zero",)))
    fit: 1 of 2 public checks hold; hidden ones are your lecturer's
      the reward has to sum to zero
    """

    task: str
    held: int
    of: int
    says: tuple[str, ...]

    def __str__(self) -> str:
        first = f"{self.task}: {self.held} of {self.of} public checks hold; hidden ones are your lecturer's"
        return "\n  ".join([first, *self.says])


def check_notebook(path: Path | str, name: str, assignment: Assignment | None = None) -> Iterator[Checked]:
    """Yield what the public checks say, task by task, going on after a cell that fails.

    Parameters
    ----------
    path : Path or str
        The student's notebook.
    name : str
        The assignment, such as ``"a1"``.
    assignment : Assignment, optional
        Its source, where the book's repository is at hand: the checks are taken from there, as the lecturer does. Else
        they are the notebook's own.

    Raises
    ------
    ValueError
        Where the file cannot be read, or is another assignment's.
    """
    notebook = read_submission(path, name)
    if assignment is not None:
        merged, cells = merge(assignment, notebook), assignment.student()["cells"]
        code, found, notes = merged.cells, merged.answers, merged.notes
    else:
        cells, notes = notebook["cells"], {}
        found = {task: cell_source(cell) for cell in cells if (task := marked(cell)) and cell["cell_type"] == "code"}
        kept = [cell for cell in cells if cell["cell_type"] == "code" and not _checked(cell)]
        code = tuple(Cell(marked(cell) or "a cell of yours", cell_source(cell)) for cell in kept)
    checks = {task: cell_source(cell) for cell in cells if (task := _checked(cell))}
    path = Path(path).resolve()
    beside = {p.name: p for p in path.parent.iterdir() if p.is_file() and p.suffix in (".npz", ".npy", ".csv", ".json")}
    patient = Limits(call=120, cell=600, total=3600)
    with Sandbox(code, beside, patient, isolated=False, limited=False) as ask:
        for task, source in checks.items():
            yield _look(ask, task, source, task in found, tuple(notes.get(task, ())))


def look_over(path: Path | str, name: str, assignment: Assignment | None = None) -> list[str]:
    """Return what checks do not see: written answers that are empty, and answers whose first line is gone.

    Parameters
    ----------
    path : Path or str
        The student's notebook.
    name : str
        The assignment, such as ``"a1"``.
    assignment : Assignment, optional
        Its source, where the book's repository is at hand; else what the notebook says of itself counts.

    Returns
    -------
    list of str
        One line for each.
    """
    notebook = read_submission(path, name)
    cells = notebook["cells"]
    if assignment is not None:
        tasks, found = assignment.tasks, merge(assignment, notebook).answers
    else:
        tasks, found = _own_tasks(cells), {own: cell_source(cell) for cell in cells if (own := marked(cell))}
    lines = []
    for task in tasks:
        source = found.get(task.name)
        if not task.automatic:
            state = "its cell was not found" if source is None else "an empty answer"
            if source is not None and is_written(source):
                state = "answered; a person marks it"
            lines.append(f"{task.name}: {state} ({counted(task.points, 'point')})")
        if source is not None and not _begins(source, task.name):
            form = f"# ANSWER {task.name}" if task.automatic else f"<!-- ANSWER {task.name} -->"
            lines.append(f"{task.name}: the first line of its cell is gone; put it back: {form}")
    return lines


def _own_tasks(cells):
    """The tasks that a notebook names by itself."""
    about = {}
    for cell in cells:
        named = cell["metadata"].get("nbgrader")
        if isinstance(named, dict) and isinstance(named.get("grade_id"), str):
            about[named["grade_id"]] = named
    tasks = []
    for name, named in about.items():
        if named.get("solution"):
            points = about.get(f"{name}_check", named).get("points")
            right = isinstance(points, int | float)
            tasks.append(Task(name, points if right else 0, automatic=f"{name}_check" in about))
    return tasks


def _begins(source, task):
    return marked({"source": source}) == task


def _look(ask, task, source, found, notes):
    if not found:
        return Checked(task, 0, _count(source), ("its cell was not found",))
    try:
        told = ask.public(task, source)
    except AnswerError as error:
        return Checked(task, 0, _count(source), (*notes, str(error).removeprefix(f"{task}: ")))
    wrong = [text.removeprefix("AssertionError: ").rpartition(" (line ")[0] or text for _, text in told if text]
    if task in ask.errors:
        wrong = [f"its cell stops with {ask.errors[task]}"]
    elif wrong and all("NotImplementedError" in text or "NameError" in text for text in wrong):
        wrong = ["not written yet"] if any("NotImplementedError" in text for text in wrong) else wrong[:1]
    held = sum(check and not text for check, text in told)
    if not held and any("NotImplementedError" in text for text in wrong) and task not in ask.errors:
        # What the cell goes on to say is about an answer that there is not.
        wrong = ["not written yet"]
    return Checked(task, held, _count(source), (*notes, *dict.fromkeys(wrong)))


def _count(source):
    import ast

    return sum(any(isinstance(part, ast.Assert) for part in ast.walk(one)) for one in ast.parse(source).body)


def _checked(cell):
    """The task whose public checks a cell holds, or None."""
    about = cell["metadata"].get("nbgrader")
    name = about.get("grade_id") if isinstance(about, dict) and not about.get("solution") else None
    return name.removesuffix("_check") if isinstance(name, str) and name.endswith("_check") else None
