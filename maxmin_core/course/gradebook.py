"""nbgrader's gradebook: our scores go in, and marks for written answers come out."""

import datetime
import json
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .._files import read_json, write_json
from .folder import Course
from .grading import Result
from .release import require_nbgrader
from .sources import Assignment
from .submissions import safe_name

__all__ = ["Mark", "marks", "store"]


@dataclass(frozen=True)
class Mark:
    """Hold what the gradebook says of one task of one student.

    Parameters
    ----------
    student : str
        Whose.
    assignment : str
        Of what.
    task : str
        Which part of it.
    points : float or None
        None where nobody has marked it yet.
    of : float
        What it is worth.
    handed_in : datetime or None
        When.

    Examples
    --------
    >>> Mark("ann", "a1", "fit", None, 15).points is None
    True
    """

    student: str
    assignment: str
    task: str
    points: float | None
    of: float
    handed_in: datetime.datetime | None = None


def store(
    course: Course,
    assignment: Assignment,
    results: Sequence[Result],
    handed_in: dict[str, datetime.datetime] | None = None,
) -> None:
    """Write scores into the gradebook, and the answers where nbgrader's formgrader shows them.

    A mark that a person gave stays; where the written answer has changed since, the formgrader asks for it again.

    Parameters
    ----------
    course : Course
        Whose gradebook.
    assignment : Assignment
        Released before.
    results : sequence of Result
        What the judges found.
    handed_in : dict of str to datetime, optional
        When, by student.
    """
    require_nbgrader()
    from sqlalchemy.exc import SAWarning

    stem, file = assignment.path.stem, assignment.path.name
    release = read_json(course.folder / "release" / assignment.name / file)
    with warnings.catch_warnings(), _opened(course) as gradebook:
        # nbgrader's own way with its data base makes SQLAlchemy wonder.
        warnings.simplefilter("ignore", SAWarning)
        for result in results:
            student = safe_name(result.student)
            gradebook.update_or_create_student(student)
            when = (handed_in or {}).get(result.student)
            # nbgrader keeps times without their zone, in UTC.
            more = {"timestamp": when.astimezone(datetime.UTC).replace(tzinfo=None).isoformat()} if when else {}
            gradebook.update_or_create_submission(assignment.name, student, **more)
            path = course.folder / "autograded" / student / assignment.name / file
            before = _texts(read_json(path)) if path.is_file() else {}
            now = _with_answers(release, result)
            write_json(path, now)
            texts = _texts(now)
            for task in assignment.tasks:
                cell = f"{task.name}_check" if task.automatic else task.name
                grade = gradebook.find_grade(cell, stem, assignment.name, student)
                if task.automatic:
                    grade.auto_score, grade.needs_manual_grade = result.verdicts[task.name].points, False
                    continue
                if not result.written(task.name):
                    grade.auto_score, grade.needs_manual_grade = 0.0, False
                else:
                    changed = before.get(task.name) != texts[task.name]
                    grade.auto_score, grade.needs_manual_grade = None, changed or grade.manual_score is None
        gradebook.db.commit()


def marks(course: Course) -> list[Mark]:
    """Return everything that the gradebook knows.

    Parameters
    ----------
    course : Course
        Whose.

    Returns
    -------
    list of Mark
        By assignment, student and task, in this order.
    """
    found = []
    with _opened(course) as gradebook:
        for assignment in sorted(gradebook.assignments, key=lambda assignment: assignment.name):
            for submission in gradebook.assignment_submissions(assignment.name):
                when = submission.timestamp and submission.timestamp.replace(tzinfo=datetime.UTC)
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        points = None if grade.needs_manual_grade else grade.score
                        task = grade.name.removesuffix("_check")
                        of = grade.max_score
                        found.append(Mark(submission.student.id, assignment.name, task, points, of, when))
    return sorted(found, key=lambda mark: (mark.assignment, mark.student, mark.task))


@contextmanager
def _opened(course):
    """Open nbgrader's data base; ValueError where SQLite cannot use it."""
    require_nbgrader()
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import DatabaseError

    try:
        with Gradebook(course.gradebook, course.about["course_id"]) as gradebook:
            yield gradebook
    except DatabaseError as error:
        raise ValueError(
            f"{course.folder / 'gradebook.db'}: expected nbgrader's data base, on a file system that has locks and can "
            f"be written to, and in nobody else's hands, got: {error.orig}; end other programs or move the course"
        ) from error


def _with_answers(release, result):
    """The release with a student's answers: a copy."""
    notebook = json.loads(json.dumps(release))
    answers = result.merged.answers if result.merged else {}
    for cell in notebook["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution") and about["grade_id"] in answers:
            cell["source"] = answers[about["grade_id"]]
    return notebook


def _texts(notebook):
    cells = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("solution")]
    return {cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"]) for cell in cells}
