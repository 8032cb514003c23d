"""A student's answers, found again in whatever became of the notebook, and put into the lecturer's own release.

An answer is known by its nbgrader id, else by its cell's id, else by its marker line. What the lecturer locked
(imports, data, public checks) is taken from the release, whatever the student did to it; cells that the student added
are kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .forbidden import forbidden_names
from .sandbox import Cell
from .sources import Assignment, cell_source, marked

__all__ = ["Merged", "SubmissionError", "merge", "read_submission"]

_LARGEST = 64 << 20


class SubmissionError(ValueError):
    """Say why what was handed in cannot be judged at all, in words that its author understands."""


@dataclass(frozen=True)
class Merged:
    """Hold a submission that was put into the release.

    Parameters
    ----------
    answers : dict of str to str
        The source of each answer that was found, by task.
    notes : dict of str to list of str
        What was odd about a task's cells; under ``""`` what was odd about the notebook.
    cells : tuple of Cell
        The code to run, in its order: the release's cells, the answers, and the student's own.

    Examples
    --------
    >>> Merged({"fit": "# ANSWER fit"}, {}, ()).answers["fit"]
    '# ANSWER fit'
    """

    answers: dict[str, str]
    notes: dict[str, list[str]]
    cells: tuple[Cell, ...]

    def notebook(self, assignment: Assignment) -> dict[str, Any]:
        """Return the release with these answers in it.

        Parameters
        ----------
        assignment : Assignment
            Whose release.
        """
        notebook = assignment.student()
        for cell in notebook["cells"]:
            name = _task(cell)
            if name in self.answers:
                cell["source"] = self.answers[name]
        return notebook


def read_submission(path: Path | str, name: str) -> dict[str, Any]:
    """Read a notebook that was handed in, of any age and in any state.

    Parameters
    ----------
    path : Path or str
        The file.
    name : str
        The assignment that it should be, such as ``"a1"``.

    Returns
    -------
    dict
        With a list of cells; each is a dict with a type, a source, and metadata.

    Raises
    ------
    SubmissionError
        Where it is no notebook, or another assignment's.
    """
    path = Path(path)
    if path.is_symlink() or not path.is_file():
        raise SubmissionError("no notebook was found")
    if path.stat().st_size > _LARGEST:
        raise SubmissionError(f"the notebook is larger than {_LARGEST >> 20} MiB: clear its outputs, hand it in again")
    if not (text := path.read_bytes()).strip():
        raise SubmissionError("the file is empty")
    try:
        notebook = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SubmissionError("the file is damaged or no notebook: save it in Jupyter, and hand it in again") from error
    if not isinstance(notebook, dict):
        raise SubmissionError("the file is no notebook")
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise SubmissionError("the file is no notebook of format 4: open it in a current Jupyter, and save it again")
    about = notebook.get("metadata")
    about = about if isinstance(about, dict) else {}
    other = about.get("maxmin", {}).get("assignment") if isinstance(about.get("maxmin"), dict) else None
    if other is not None and other != name:
        raise SubmissionError(f"this is assignment {str(other)[:20]}, and {name} is expected")
    return {"cells": [_whole(cell) for cell in cells if isinstance(cell, dict)], "metadata": about}


def merge(assignment: Assignment, submission: dict[str, Any]) -> Merged:
    """Put a student's answers into the release.

    Parameters
    ----------
    assignment : Assignment
        Whose release.
    submission : dict
        What `read_submission` returned.

    Returns
    -------
    Merged

    Raises
    ------
    SubmissionError
        Where no answer of this assignment is found.
    """
    release = assignment.student()["cells"]
    tasks = {name: cell for cell in release if (name := _task(cell))}
    known = _recognised(release, tasks, submission["cells"])
    answers: dict[str, str] = {}
    notes: dict[str, list[str]] = {}
    own: dict[int, list[str]] = {}
    place, joined = -1, None
    for cell, number in zip(submission["cells"], known, strict=True):
        source = cell_source(cell)
        if number is None:
            if cell["cell_type"] != "code" or not source.strip():
                continue
            if joined is not None and source[:1] in " \t":
                # The rest of an answer that was cut in two.
                answers[joined] = answers[joined].rstrip("\n") + "\n" + source
                notes.setdefault(joined, []).append("its cell was split: both parts were put together")
            else:
                own.setdefault(place, []).append(source)
            continue
        place, joined = max(place, number), None
        name = _task(release[number])
        if name is None:
            continue
        stub = cell_source(tasks[name]).strip()
        if name in answers and answers[name].strip() not in (source.strip(), stub):
            if source.strip() == stub:
                notes.setdefault(name, []).append("its cell stands twice: the one that you filled in counts")
                continue
            notes.setdefault(name, []).append("its cell stands twice, differently: the last one counts")
        answers[name] = source
        joined = name if tasks[name]["cell_type"] == "code" else None
    if not answers:
        raise SubmissionError(f"none of the cells of {assignment.name} was found: is it another notebook?")
    for name in tasks:
        if name not in answers:
            notes.setdefault(name, []).append("its cell was not found")
    return Merged(answers, notes, tuple(_code(assignment, release, answers, own, notes)))


def _recognised(release, tasks, cells):
    """Return for each cell the number of the release's cell that it was, or None: by nbgrader id, cell id, marker."""
    places = {id(cell): number for number, cell in enumerate(release)}
    by_grade = {_grade_id(cell): number for number, cell in enumerate(release) if _grade_id(cell)}
    by_id = {cell["id"]: number for number, cell in enumerate(release) if "id" in cell}
    found = []
    for cell in cells:
        number = by_grade.get(_grade_id(cell))
        if number is None:
            # Colab keeps a cell's id in its metadata.
            number = by_id.get(cell.get("id")) if isinstance(cell.get("id"), str) else None
            inner = cell["metadata"].get("id")
            if number is None and isinstance(inner, str):
                number = by_id.get(inner)
        if number is None and (name := marked(cell)) in tasks:
            number = places[id(tasks[name])]
        if number is not None and release[number]["cell_type"] != cell["cell_type"]:
            number = None
        found.append(number)
    return found


def _code(assignment, release, answers, own, notes):
    """Yield the code to run; what uses a forbidden name is left out, and told."""
    pattern = assignment.about.get("forbidden", [])
    for number in range(-1, len(release)):
        cell = release[number] if number >= 0 else None
        name = _task(cell) if cell else None
        if cell and cell["cell_type"] == "code" and (name in answers or not _grade_id(cell)):
            source = answers.get(name, cell_source(cell))
            if name and (used := forbidden_names(source, pattern)):
                notes.setdefault(name, []).append(f"it uses {', '.join(used)}, which this assignment does not allow")
            else:
                yield Cell(name or f"cell {number + 1} of the assignment", source)
        for count, source in enumerate(own.get(number, []), start=1):
            if used := forbidden_names(source, pattern):
                notes.setdefault("", []).append(f"a cell of your own was left out, as it uses {', '.join(used)}")
            else:
                yield Cell(f"your own cell {count} behind cell {number + 1}", source)


def _task(cell):
    """The task that a cell of the release answers, or None."""
    about = cell["metadata"].get("nbgrader", {})
    return about.get("grade_id") if about.get("solution") else None


def _grade_id(cell):
    about = cell["metadata"].get("nbgrader")
    found = about.get("grade_id") if isinstance(about, dict) else None
    return found if isinstance(found, str) else None


def _whole(cell):
    """Return a cell with what every cell has."""
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    kind = cell.get("cell_type")
    metadata = cell.get("metadata")
    return {
        **cell,
        "cell_type": kind if kind in ("code", "markdown") else "raw",
        "source": source if isinstance(source, str) else "",
        "metadata": metadata if isinstance(metadata, dict) else {},
    }
