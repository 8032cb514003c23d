"""Assignments as they are written: a notebook with solutions, and beside it judge, wrong answers and rubric.

An answer's cell begins with a marker line, ``# ANSWER name`` in code and ``<!-- ANSWER name -->`` in text, and its
nbgrader metadata carry the same name as ``grade_id``. What lies between ``### BEGIN SOLUTION`` and ``### END SOLUTION``
is the lecturer's. A code answer's public checks follow in a cell ``name_check``, which carries the points.
"""

import ast
import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import read_json
from .judging import Judge, read_judge

__all__ = ["Assignment", "Task", "all_assignments", "find_assignment", "is_written"]

_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION[ \t]*$", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"^(?:# ANSWER (\w+)|<!-- ANSWER (\w+) -->)$")

# What stands in the place of a written answer.
TEXT_STUB = "*Your answer.*"


def code_stub(name: str) -> str:
    """Return what stands in the place of a task's code."""
    return f'raise NotImplementedError("{name}: yours to write")'


@dataclass(frozen=True)
class Task:
    """Hold one task of an assignment.

    Parameters
    ----------
    name : str
        The ``grade_id`` of the answer's cell.
    points : float
        What it is worth.
    automatic : bool
        Whether a judge decides; else a person does, by the rubric.

    Examples
    --------
    >>> Task("fit", 20, automatic=True).name
    'fit'
    """

    name: str
    points: float
    automatic: bool


@dataclass(frozen=True)
class Assignment:
    """Hold an assignment.

    Parameters
    ----------
    name : str
        Such as ``"a1"``.
    path : Path
        The source: the notebook with solutions.

    Examples
    --------
    >>> Assignment("a1", Path("notebooks/assignments/a1_one_reward.ipynb")).path.stem
    'a1_one_reward'
    """

    name: str
    path: Path

    @property
    def title(self) -> str:
        """The notebook's first heading."""
        return cell_source(self.notebook()["cells"][0]).splitlines()[0].removeprefix("#").strip()

    @property
    def about(self) -> dict[str, Any]:
        """What the notebook's metadata say under ``maxmin``: assignment, chapters, minutes, and names not allowed."""
        return self.notebook()["metadata"]["maxmin"]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks in their order."""
        cells = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in self.notebook()["cells"] if _graded(cell)}
        tasks = []
        for name, cell in cells.items():
            about = cell["metadata"]["nbgrader"]
            if about["solution"]:
                check = cells.get(f"{name}_check")
                points = (check["metadata"]["nbgrader"] if check else about)["points"]
                tasks.append(Task(name, points, automatic=check is not None))
        return tuple(tasks)

    def notebook(self) -> dict[str, Any]:
        """Return the source, with solutions."""
        return read_json(self.path)

    def student(self) -> dict[str, Any]:
        """Return the student's version: every solution is gone, and a stub stands in its place."""
        notebook = copy.deepcopy(self.notebook())
        for cell in notebook["cells"]:
            if not _graded(cell) or not cell["metadata"]["nbgrader"]["solution"]:
                continue
            name = cell["metadata"]["nbgrader"]["grade_id"]
            stub = code_stub(name) if cell["cell_type"] == "code" else TEXT_STUB
            cell["source"] = _SOLUTION.sub(rf"\g<1>{stub}", cell_source(cell))
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        return notebook

    def judges(self) -> dict[str, Judge]:
        """Return the judges by task."""
        return dict(read_judge(self._beside("judge.py")))

    def wrong(self) -> dict[str, dict[str, str]]:
        """Return plausible wrong answers: by task, by the mistake in words, the source of the answer's cell."""
        tree = ast.parse(self._beside("wrong.py").read_text(encoding="utf-8"))
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "WRONG":
                return ast.literal_eval(statement.value)
        raise ValueError(f"{self._beside('wrong.py')}: expected a dictionary WRONG, got none")

    def rubric(self) -> str:
        """Return how written answers are marked."""
        return self._beside("rubric.md").read_text(encoding="utf-8")

    def _beside(self, name):
        return self.path.with_name(f"{self.name}_{name}")


def all_assignments(root: Path | str) -> list[Assignment]:
    """Return the assignments of the book in their order.

    Parameters
    ----------
    root : Path or str
        The folder with ``notebooks/assignments``.

    Returns
    -------
    list of Assignment

    Examples
    --------
    >>> all_assignments("nowhere")
    []
    """
    paths = sorted((Path(root) / "notebooks" / "assignments").glob("a[0-9]*_*.ipynb"))
    return [Assignment(path.stem.split("_")[0], path) for path in paths]


def find_assignment(root: Path | str, name: str) -> Assignment:
    """Return the assignment of a name.

    Parameters
    ----------
    root : Path or str
        The folder with ``notebooks/assignments``.
    name : str
        Such as ``"a1"``.

    Returns
    -------
    Assignment

    Raises
    ------
    ValueError
        On an unknown name: lists the known ones.

    Examples
    --------
    >>> find_assignment("nowhere", "a1")
    Traceback (most recent call last):
    ValueError: assignment: expected one of (none), got 'a1'
    """
    known = {assignment.name: assignment for assignment in all_assignments(root)}
    if name not in known:
        raise ValueError(f"assignment: expected one of {', '.join(known) or '(none)'}, got {name!r}")
    return known[name]


def marked(cell: dict[str, Any]) -> str | None:
    """Return the name on a cell's marker line, the first; None where there is none."""
    found = _MARKER.match((cell_source(cell).splitlines() or [""])[0].strip())
    return (found[1] or found[2]) if found else None


def is_written(answer: str) -> bool:
    """Return whether a written answer says anything, its marker line left aside.

    Parameters
    ----------
    answer : str
        The source of its cell.

    Examples
    --------
    >>> is_written("<!-- ANSWER why -->\\n*Your answer.*"), is_written("Because.")
    (False, True)
    """
    lines = answer.splitlines()
    if lines and _MARKER.match(lines[0].strip()):
        lines = lines[1:]
    return bool("\n".join(lines).strip()) and TEXT_STUB not in answer


def _graded(cell):
    return "nbgrader" in cell.get("metadata", {})


def cell_source(cell: dict[str, Any]) -> str:
    """Return a cell's text, which is stored as one string or as lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
