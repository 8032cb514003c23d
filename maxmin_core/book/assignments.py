"""The pages of the assignments: what students get, and which task asks for which goal of which chapter.

A page is made from the students' version alone. The solutions lie in ``notebooks/assignments``. No page lies at that
place, for the launch buttons of a notebook's page open the file of its name in the repository: pages are Markdown, and
offer the notebook itself.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..course.isolation import Limits
from ..course.sources import Assignment, all_assignments, cell_source
from . import require_book
from .chapters import all_chapters

__all__ = ["Goal", "assignment_pages", "assignment_tables", "load_goals"]

_HEADING = re.compile(r"^#{2,3} +(Tasks? .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Goal:
    """Hold a learning goal.

    Parameters
    ----------
    chapter : str
        Its number, such as ``"01"``.
    text : str
        What somebody can do who has reached it: one sentence that begins with a verb.
    tasks : tuple of str
        What asks for it, such as ``"a1.fit"``.

    Examples
    --------
    >>> Goal("01", "Fit a reward.", ("a1.fit",)).chapter
    '01'
    """

    chapter: str
    text: str
    tasks: tuple[str, ...]


def load_goals(path: Path | str) -> list[Goal]:
    """Return the learning goals of all chapters.

    Parameters
    ----------
    path : Path or str
        The file ``goals.yml``: by chapter a list of entries with ``goal`` and ``tasks``.

    Returns
    -------
    list of Goal
        In the order of the file.

    Raises
    ------
    ValueError
        On an entry that has other fields.

    Examples
    --------
    >>> load_goals("book/goals.yml")[0].chapter  # doctest: +SKIP
    '01'
    """
    require_book("yaml")
    import yaml

    goals = []
    for chapter, entries in yaml.safe_load(Path(path).read_text(encoding="utf-8")).items():
        for entry in entries:
            if set(entry) != {"goal", "tasks"}:
                raise ValueError(f"goals: chapter {chapter}: expected goal and tasks, got {', '.join(entry)}")
            goals.append(Goal(str(chapter), entry["goal"], tuple(entry["tasks"])))
    return goals


def assignment_pages(root: Path | str) -> dict[Path, bytes]:
    """Return the pages of all assignments, and the notebooks that they offer: the students' versions.

    Parameters
    ----------
    root : Path or str
        The project's folder.

    Returns
    -------
    dict of Path to bytes
        By the place in the book's source: ``assignments/a1.md`` and ``assignments/a1_one_reward.ipynb``.

    Examples
    --------
    >>> assignment_pages("nowhere")
    {}
    """
    pages = {}
    for assignment in all_assignments(root):
        notebook, file = assignment.student(), assignment.path.name
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        pages[Path("assignments") / f"{assignment.name}.md"] = _page(assignment, notebook, file).encode()
        pages[Path("assignments") / file] = text.encode()
    return pages


def assignment_tables(root: Path | str) -> dict[str, str]:
    """Return what the pages about assignments include: a table of them, the goals of each chapter, a notebook's limits.

    Parameters
    ----------
    root : Path or str
        The project's folder.

    Returns
    -------
    dict of str to str
        ``assignments``, ``goals`` and ``limits``, Markdown; none where there are no assignments.

    Raises
    ------
    ValueError
        On a goal of a chapter, or by a task, that there is not.
    """
    root = Path(root)
    assignments = all_assignments(root)
    if not assignments:
        return {}
    lines = ["| Assignment | Chapters | Minutes, planned | Points by hidden checks | by a person |"]
    lines.append("|---|---|---|---|---|")
    for one in assignments:
        by_judge, by_person = _points(one)
        about = one.about
        lines.append(
            f"| {{doc}}`{_title(one)} </assignments/{one.name}>` | {about['chapters']} | {about['minutes']} | "
            f"{by_judge:g} | {by_person:g} |"
        )
    tables = {"assignments": lines, "goals": _goals(root, assignments), "limits": _limits(assignments)}
    return {name: "\n".join(table) + "\n" for name, table in tables.items()}


def _title(assignment):
    # Some sources have their number in the title.
    title = re.sub(r"^Assignment \d+\. ", "", assignment.title)
    return f"Assignment {assignment.name.removeprefix('a')}. {title}"


def _points(assignment):
    automatic = sum(task.points for task in assignment.tasks if task.automatic)
    return automatic, sum(task.points for task in assignment.tasks) - automatic


def _page(assignment, notebook, file):
    """A page of Markdown: the cells one after the other, and the notebook to take away."""
    by_judge, by_person = _points(assignment)
    about = assignment.about
    badges = {
        "chapters": about["chapters"],
        "minutes, planned": about["minutes"],
        "points by hidden checks": f"{by_judge:g}",
        "by a person": f"{by_person:g}",
    }
    line = "".join(f'<span class="mm-badge"><b>{name}</b> {value}</span>' for name, value in badges.items())
    parts = [
        f"# {_title(assignment)}",
        f'<p class="mm-badges">{line}</p>',
        f"{{download}}`Download the notebook <{file}>`, write your answers into it, and hand it in. "
        "{doc}`/book/students` says how. This page shows the same notebook; nothing on it has been run.",
    ]
    labels = _labels(assignment, notebook)
    for number, cell in enumerate(notebook["cells"]):
        text = cell_source(cell)
        if number == 0:
            text = "\n".join(text.splitlines()[1:])
        if cell["cell_type"] == "markdown":
            for name in labels.get(number, ()):
                text = _HEADING.sub(lambda found, name=name: f"({name})=\n{found[0]}", text, count=1)
            parts.append(text.strip())
        else:
            parts.append(f"````python\n{text.rstrip()}\n````")
    return "\n\n".join(part for part in parts if part) + "\n"


def _labels(assignment: Assignment, notebook: dict[str, Any]) -> dict[int, list[str]]:
    """The anchors of a notebook's tasks, by the number of the cell that has the task's heading."""
    found: dict[int, list[str]] = {}
    heading = None
    for number, cell in enumerate(notebook["cells"]):
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution") and heading is not None:
            found.setdefault(heading, []).append(_anchor(assignment.name, about["grade_id"]))
        elif cell["cell_type"] == "markdown" and _HEADING.search(cell_source(cell)):
            heading = number
    return found


def _anchor(assignment, task):
    return f"task-{assignment}-{task}".replace("_", "-")


def _headings(assignment: Assignment) -> dict[str, str]:
    """What the tasks of an assignment are called in a text: ``task 2``."""
    notebook = assignment.student()
    told: dict[str, str] = {}
    for number, anchors in _labels(assignment, notebook).items():
        heading = _HEADING.search(cell_source(notebook["cells"][number]))
        assert heading is not None
        short = re.split(r"[.(]", heading[1])[0].strip()
        told |= {anchor: short[0].lower() + short[1:] for anchor in anchors}
    return told


def _limits(assignments: Sequence[Assignment]) -> list[str]:
    usual = Limits()
    lines = [
        f"* {usual.call:g} seconds for one answer to one question, {usual.cell:g} seconds for one cell, "
        f"{usual.total / 60:g} minutes in all;",
        f"* {usual.memory_mib / 1024:g} GiB of memory, {usual.disk_mib} MiB of files, {usual.processes} processes and "
        "threads.",
    ]
    said = {"call": "seconds for one answer", "cell": "seconds for one cell", "total": "seconds in all"}
    for one in assignments:
        if other := one.about.get("limits"):
            many = ", ".join(f"{value:g} {said.get(name, name)}" for name, value in other.items())
            lines.append(f"* {_title(one)} has limits of its own: {many}.")
    return lines


def _goals(root: Path, assignments: Sequence[Assignment]) -> list[str]:
    chapters = {chapter.number: chapter for chapter in all_chapters(root)}
    called: dict[str, Any] = {one.name: _headings(one) for one in assignments}
    lines: list[str] = []
    before = None
    for goal in load_goals(root / "book" / "goals.yml"):
        if goal.chapter not in chapters:
            raise ValueError(f"goals: chapter: expected one of {', '.join(chapters)}, got {goal.chapter!r}")
        if goal.chapter != before:
            chapter, before = chapters[goal.chapter], goal.chapter
            place = f"/{chapter.path.relative_to(root).with_suffix('').as_posix()}"
            lines += ["", f"## Chapter {int(goal.chapter)}. {{doc}}`{chapter.title} <{place}>`", ""]
        asked = []
        for task in goal.tasks:
            name, _, part = task.partition(".")
            anchor = _anchor(name, part)
            if anchor not in called.get(name, {}):
                raise ValueError(f"goals: chapter {goal.chapter}: expected a task of an assignment, got {task!r}")
            asked.append(f"{{ref}}`{name}, {called[name][anchor]} <{anchor}>`")
        lines.append(f"* {goal.text.removesuffix('.')} ({'; '.join(asked) or 'no task asks for it'}).")
    return lines[1:]
