"""The command line of the course: ``maxmin course new|release|grade|export``, and the check that students call."""

import argparse
import datetime
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .._files import write_whole
from .._places import writable
from .checking import check_notebook, look_over
from .exporting import canvas_table, grade_table, write_answers, write_grades, write_table
from .feedback import feedback_page
from .folder import find_course, new_course
from .gradescope import write_zip
from .grading import grade_all
from .isolation import not_isolated
from .judging import counted
from .release import release, require_nbgrader
from .sources import find_assignment
from .submissions import find_submissions, safe_name

__all__ = ["add_course", "check"]

_BOOK = Path(__file__).resolve().parents[2]
_OUT = (
    "where grades.csv, feedback and answers go (default: graded/aN of the course); the gradebook, and the notebooks in "
    "autograded/ that the formgrader shows, are written in the course's folder all the same"
)
_FORMGRADER = "call jupyter lab in the course's folder, and open http://localhost:8888/formgrader"


def add_course(parser: argparse.ArgumentParser) -> None:
    """Add the course's commands below ``maxmin course``.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        That of ``maxmin course``.
    """
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        if name != "new":
            sub.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
        return sub

    sub = command("new", _new, "Make a private folder for a course: its seed, its dates, room for own variants.")
    sub.add_argument("folder", type=Path, help="a new folder, outside of the book's repository")
    sub = command(
        "release",
        _release,
        "Make the students' notebook, without a solution, in release/aN of the course, and tell the course's "
        "gradebook which parts have how many points. Grading needs it.",
    )
    sub.add_argument("assignment", help="such as a1")
    sub.add_argument("--out", type=Path, help="a folder that gets a copy")
    sub.add_argument("--gradescope", action="store_true", help="also write aN_gradescope.zip, Gradescope's autograder")
    sub = command(
        "grade",
        _grade,
        "Judge what was handed in, after maxmin course release: grades.csv, the gradebook, a page of feedback each.",
    )
    sub.add_argument("assignment", help="such as a1")
    sub.add_argument("submissions", type=Path, help="one folder a student, or files STUDENT.ipynb")
    sub.add_argument("--out", type=Path, help=_OUT)
    sub.add_argument("--cores", type=int, default=min(2, os.cpu_count() or 1), help="notebooks at a time (default: 2)")
    sub.add_argument("--unsafe-not-isolated", action="store_true", help="let the notebooks see this machine, as you do")
    sub = command("export", _export, "Write all grades, marks from the formgrader included, and late days: grades.csv.")
    sub.add_argument("--out", type=Path, help="where to (default: grades.csv of the course)")
    sub.add_argument("--canvas", type=Path, metavar="ROSTER.csv", help="Canvas's table: writes canvas.csv")


def check(notebook: Path, name: str) -> int:
    """Print what the public checks of a student's notebook say; return the exit status.

    Parameters
    ----------
    notebook : Path
        The student's.
    name : str
        The assignment, such as ``"a1"``.
    """
    try:
        assignment = find_assignment(_BOOK, name)
    except ValueError:
        # A student may have the package alone.
        assignment = None
    every = []
    for checked in check_notebook(notebook, name, assignment):
        every.append(checked)
        _say(str(checked))
    for line in look_over(notebook, name, assignment):
        _say(line)
    return int(any(checked.held < checked.of for checked in every))


def _new(options):
    course = new_course(options.folder, _BOOK)
    _say(f"{course.folder}: made. Keep it private: it holds the seed of the hidden checks.")
    # Where the environment is not activated, the command is not found in another folder.
    maxmin = "maxmin" if shutil.which("maxmin") else Path(sys.executable).with_name("maxmin")
    _say(f"next: cd {options.folder}; {maxmin} course release a1")


def _release(options):
    course = find_course(options.course)
    name = options.assignment
    assignment = course.assignment(name)
    _say(f"[{name}] releasing {assignment.title!r} for the course in {course.folder}")
    path = release(course, name, options.out)
    automatic = [task.points for task in assignment.tasks if task.automatic]
    by_hand = [task.points for task in assignment.tasks if not task.automatic]
    _say(
        f"[{name}] {course.folder / 'gradebook.db'}: knows {counted(len(automatic), 'task')} that hidden checks judge "
        f"({counted(sum(automatic), 'point')}) and {len(by_hand)} that you mark ({counted(sum(by_hand), 'point')})"
    )
    if options.out:
        _say(f"[{name}] {course.folder / 'release' / name / assignment.path.name}: the release, which grading needs")
    _say(f"[{name}] {path}: hand this out; no solution is in it")
    if options.gradescope:
        target = (options.out or course.folder) / f"{name}_gradescope.zip"
        write_zip(target, assignment, _BOOK, course.seed)
        _say(f"[{name}] {target}: for Gradescope; it holds judge and seed, so hand it to nobody else")
    _say(f"[{name}] next, when notebooks have come in: maxmin course grade {name} FOLDER")


def _grade(options):
    course = find_course(options.course)
    name, assignment = options.assignment, course.assignment(options.assignment)
    # What costs nothing to know comes first: nbgrader takes seconds to start.
    released = course.folder / "release" / name / assignment.path.name
    if not released.is_file() or not (course.folder / "gradebook.db").is_file():
        missing = released if not released.is_file() else course.folder / "gradebook.db"
        raise ValueError(
            f"{name}: not released yet, for there is no {missing}; call maxmin course release {name} first"
        )
    if options.cores < 1:
        raise ValueError(f"cores: expected at least 1, got {options.cores}")
    out = options.out or course.folder / "graded" / name
    writable(out, "out")
    writable(course.folder, "course")
    require_nbgrader()
    # It imports nbgrader, as the parts above do not.
    from .gradebook import store

    submissions = find_submissions(options.submissions, name, assignment.path.stem)
    reason = not_isolated()
    if reason and not options.unsafe_not_isolated:
        raise ValueError(
            f"not isolated: {reason}. The notebooks would run as you do, with your files and the network in reach. "
            "If you trust them, or if this machine has nothing to lose, add --unsafe-not-isolated"
        )
    if options.unsafe_not_isolated:
        _say("not isolated: the notebooks see this machine as you do")
    results = grade_all(
        assignment,
        submissions,
        seed=course.seed,
        isolated=not options.unsafe_not_isolated,
        hidden=[course.folder, options.submissions.resolve(), out.resolve(), assignment.path.parent.resolve()],
        cores=options.cores,
        done=_Progress(assignment, len(submissions)),
    )
    write_grades(out / "grades.csv", assignment, results)
    write_answers(out / "answers", assignment, results)
    for result in results:
        with write_whole(out / "feedback" / f"{safe_name(result.student)}.html") as partial:
            partial.write_text(feedback_page(assignment, result), encoding="utf-8")
    when = {
        one.student: datetime.datetime.fromtimestamp(one.notebook.stat().st_mtime, datetime.UTC)
        for one in submissions
        if one.notebook
    }
    store(course, assignment, results, when)
    _say(f"[{name}] {counted(len(results), 'submission')}: {out / 'grades.csv'}, feedback and answers beside it")
    _say(f"[{name}] {course.folder}: gradebook.db has the points, autograded/ the notebooks that the formgrader shows")
    waiting = sum(result.waiting(assignment) > 0 for result in results)
    if waiting:
        have = "has a written answer" if waiting == 1 else "have written answers"
        _say(f"[{name}] {counted(waiting, 'submission')} {have} to be marked: {_FORMGRADER}")
    for result in results:
        for task, text in result.trouble.items():
            _say(f"[{name}] look at {result.student}, {task or 'the notebook'}: the judge failed ({text})")


def _export(options):
    require_nbgrader()
    from .gradebook import marks

    course = find_course(options.course)
    found = marks(course)
    table, columns = grade_table(course, found)
    out = options.out or course.folder / "grades.csv"
    write_table(out, table, columns)
    _say(f"{out}: {counted(len(table), 'student')}")
    waiting = sum(mark.points is None for mark in found)
    if waiting:
        wait = "waits" if waiting == 1 else "wait"
        _say(f"{counted(waiting, 'written answer')} {wait} for a mark: {_FORMGRADER}")
    if options.canvas:
        titles = {name: course.assignment(name).title for name in sorted({mark.assignment for mark in found})}
        rows, columns, missing = canvas_table(options.canvas, table, titles)
        write_table(out.with_name("canvas.csv"), rows, columns)
        _say(f"{out.with_name('canvas.csv')}: upload this to Canvas")
        if missing:
            _say(f"not in the roster: {', '.join(missing)}")


class _Progress:
    """A line that fills, on a terminal; elsewhere one line a student."""

    def __init__(self, assignment, of):
        self.assignment, self.of, self.done = assignment, of, 0

    def __call__(self, result):
        self.done += 1
        if sys.stdout.isatty():
            width = 30 * self.done // self.of
            bar = f"\r[{'#' * width}{'.' * (30 - width)}] {self.done}/{self.of} {safe_name(result.student)[:30]:<30}"
            print(bar, end="\n" if self.done == self.of else "", flush=True)
        else:
            best = sum(task.points for task in self.assignment.tasks if task.automatic)
            waits = result.waiting(self.assignment)
            more = f"{waits:g} to be marked" if waits else "no written answer"
            _say(f"{self.done}/{self.of} {safe_name(result.student)}: {result.points:g} of {best:g}, {more}")


def _say(line):
    print(line, flush=True)
