"""What leaves a course: tables of grades, and answers as plain files."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .._files import write_whole
from .folder import Course
from .gradebook import Mark
from .grading import Result, rows
from .sources import Assignment
from .submissions import safe_name

__all__ = ["canvas_table", "grade_table", "write_answers", "write_grades", "write_table"]


def write_table(path: Path, table: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write a CSV file that a spreadsheet opens without running anything in it.

    Parameters
    ----------
    path : Path
        Where.
    table : iterable of Mapping
        One row an entry.
    columns : sequence of str
        In this order.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({name: _inert(row[name]) for name in columns})
    with write_whole(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def write_grades(path: Path, assignment: Assignment, results: Sequence[Result]) -> None:
    """Write grades.csv: one row a student and task.

    Parameters
    ----------
    path : Path
        Where.
    assignment : Assignment
        What was graded.
    results : sequence of Result
        What was found.
    """
    table = [row for result in results for row in rows(assignment, result)]
    write_table(path, table, ["student", "task", "points", "of", "note"])


def write_answers(folder: Path, assignment: Assignment, results: Sequence[Result]) -> None:
    """Write every answer as a plain file, TASK/STUDENT.py or .md: what JPlag and Dolos compare.

    Parameters
    ----------
    folder : Path
        Where; one folder a task.
    assignment : Assignment
        What was asked.
    results : sequence of Result
        What was handed in.
    """
    for task in assignment.tasks:
        for result in results:
            if result.merged and task.name in result.merged.answers:
                ending = "py" if task.automatic else "md"
                with write_whole(folder / task.name / f"{safe_name(result.student)}.{ending}") as partial:
                    partial.write_text(result.merged.answers[task.name] + "\n", encoding="utf-8", errors="replace")


def grade_table(course: Course, marks: Sequence[Mark]) -> tuple[list[dict[str, object]], list[str]]:
    """Return all grades, one row a student.

    Parameters
    ----------
    course : Course
        For what is due when.
    marks : sequence of Mark
        What the gradebook knows.

    Returns
    -------
    rows : list of dict
        Per assignment the points, how many of them wait for a person's mark, and late days.
    columns : list of str
    """
    assignments = sorted({mark.assignment for mark in marks})
    columns = ["student"] + [f"{a}{part}" for a in assignments for part in ("", " of", " unmarked", " late days")]
    table = []
    for student in sorted({mark.student for mark in marks}):
        row: dict[str, object] = {"student": student}
        for assignment in assignments:
            own = [mark for mark in marks if (mark.student, mark.assignment) == (student, assignment)]
            row[assignment] = f"{sum(mark.points or 0 for mark in own):g}" if own else ""
            row[f"{assignment} of"] = f"{sum(mark.of for mark in own):g}" if own else ""
            row[f"{assignment} unmarked"] = f"{sum(mark.of for mark in own if mark.points is None):g}" if own else ""
            when = own[0].handed_in if own else None
            row[f"{assignment} late days"] = course.late_days(assignment, student, when) if when else ""
        table.append(row)
    return table, columns


def canvas_table(
    roster: Path, table: Sequence[Mapping[str, object]], assignments: Mapping[str, str]
) -> tuple[list[dict[str, object]], list[str], list[str]]:
    """Return Canvas's own table with our points in it, ready to be uploaded.

    Parameters
    ----------
    roster : Path
        Canvas's export of its gradebook. A student is known by login, by SIS id, by Canvas's number or by name.
    table : sequence of Mapping
        From `grade_table`.
    assignments : Mapping of str to str
        Titles by name, such as ``{"a1": "One reward, many people"}``.

    Returns
    -------
    rows : list of dict
    columns : list of str
    missing : list of str
        Students with grades whom the roster does not know.
    """
    with open(roster, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or [] if name]
        people = list(reader)
    if "Student" not in names or "ID" not in names:
        raise ValueError(f"roster: expected Canvas's columns Student and ID, got {', '.join(names) or 'none'}")
    # Canvas's column of an assignment is called "title (number)"; one that it lacks is made by the upload.
    into = {a: next((n for n in names if n.startswith((f"{a} ", f"{title} ("))), a) for a, title in assignments.items()}
    by_student = {str(row["student"]): row for row in table}
    known = [name for name in ("SIS Login ID", "SIS User ID", "ID", "Student") if name in names]
    kept = [name for name in ("Student", "ID", "SIS User ID", "SIS Login ID", "Section") if name in names]
    met, out = set(), []
    for person in people:
        student = next((safe_name(person[n] or "") for n in known if safe_name(person[n] or "") in by_student), None)
        row: dict[str, object] = {name: person[name] or "" for name in kept}
        for assignment, column in into.items():
            row[column] = by_student[student].get(assignment, "") if student else ""
            if (person["Student"] or "").strip() == "Points Possible":
                row[column] = next((r[f"{assignment} of"] for r in table if r.get(f"{assignment} of")), "")
        met |= {student}
        out.append(row)
    return out, kept + list(into.values()), sorted(set(by_student) - met)


def _inert(value):
    """A cell that begins like a formula is one, to a spreadsheet."""
    text = str(value)
    number = text.replace(".", "", 1).replace("-", "", 1).isdigit()
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not number else text
