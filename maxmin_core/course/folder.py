"""A lecturer's private folder: the course's seed, what notebooks may take, own variants, and when work is due."""

import csv
import datetime
import math
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import read_json, write_json
from .sources import Assignment, find_assignment

__all__ = ["Course", "find_course", "new_course"]

_README = """# A course with the MaxMin-RLHF companion

Keep this folder private: `course.json` holds the seed from which the hidden checks draw their instances.

* `course.json`: the seed, and where the book's repository lies.
* `due.csv`: when each assignment is due (ISO 8601, with an offset; without one it is UTC). A line that names a student
  is an extension.
* `variants/`: your own variants. A file `a1_name.ipynb` with `a1_judge.py` and `a1_rubric.md` beside it replaces the
  book's assignment 1.
* `source/`, `release/`, `gradebook.db`, `autograded/`: nbgrader's; `source/` holds solutions. Written answers are
  marked in its formgrader: call `jupyter lab` in this folder, and open http://localhost:8888/formgrader.
* `graded/`: grades, feedback, and answers as plain files, one folder an assignment.
"""

# What nbgrader needs to know; the stubs carry the task's name, so that a student reads which one is missing.
_CONFIG = """from maxmin_core.course.release import configure

configure(get_config())  # noqa: F821
"""


@dataclass(frozen=True)
class Course:
    """Hold a course.

    Parameters
    ----------
    folder : Path
        The lecturer's.

    Examples
    --------
    >>> Course(Path("robots2027")).folder.name
    'robots2027'
    """

    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        """What `course.json` says."""
        return read_json(self.folder / "course.json")

    @property
    def seed(self) -> int:
        """The seed of the hidden checks."""
        return int(self.about["seed"])

    @property
    def gradebook(self) -> str:
        """The address of nbgrader's data base."""
        return f"sqlite:///{self.folder / 'gradebook.db'}"

    def assignment(self, name: str) -> Assignment:
        """Return an assignment: the lecturer's own variant, where there is one, else the book's.

        Parameters
        ----------
        name : str
            Such as ``"a1"``.
        """
        own = sorted((self.folder / "variants").glob(f"{name}_*.ipynb"))
        if len(own) > 1:
            raise ValueError(f"variants: expected one notebook {name}_*.ipynb, got {len(own)}")
        return Assignment(name, own[0]) if own else find_assignment(self.about["book"], name)

    def due(self, name: str, student: str = "") -> datetime.datetime | None:
        """Return when an assignment is due, for a student with an extension where there is one.

        Parameters
        ----------
        name : str
            Such as ``"a1"``.
        student : str
            Who.
        """
        path, found = self.folder / "due.csv", None
        if not path.is_file():
            return None
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                who = (row.get("student") or "").strip()
                if (row.get("assignment") or "").strip() == name and who in ("", student):
                    text = (row.get("due") or "").strip()
                    try:
                        when = datetime.datetime.fromisoformat(text)
                    except ValueError:
                        raise ValueError(
                            f"due.csv: expected a time such as 2027-05-03T23:59+02:00, got {text!r}"
                        ) from None
                    if who or found is None:
                        found = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
        return found

    def late_days(self, name: str, student: str, handed_in: datetime.datetime) -> int:
        """Return how many days late a submission came, begun days counted.

        Parameters
        ----------
        name : str
            The assignment.
        student : str
            Who.
        handed_in : datetime
            When, with its time zone.
        """
        due = self.due(name, student)
        return 0 if due is None else max(0, math.ceil((handed_in - due) / datetime.timedelta(days=1)))


def new_course(folder: Path | str, book: Path | str) -> Course:
    """Make a course's folder, which only its owner may read.

    Parameters
    ----------
    folder : Path or str
        Where; it must not exist, or be empty.
    book : Path or str
        The book's repository.

    Returns
    -------
    Course

    Raises
    ------
    ValueError
        Where the folder holds something, or lies within the repository, whence it would be published.
    """
    folder, book = Path(folder).resolve(), Path(book).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"folder: expected a new or empty one, got {folder}")
    if folder == book or book in folder.parents:
        raise ValueError(f"folder: expected one outside of the book's repository, which is public, got {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    write_json(folder / "course.json", {"seed": secrets.randbits(48), "book": str(book), "course_id": folder.name})
    (folder / "variants").mkdir()
    (folder / "due.csv").write_text("assignment,student,due\n", encoding="utf-8")
    (folder / "README.md").write_text(_README, encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(_CONFIG, encoding="utf-8")
    return Course(folder)


def find_course(start: Path | str) -> Course:
    """Return the course that a folder, or one above it, holds.

    Parameters
    ----------
    start : Path or str
        Where to begin.

    Returns
    -------
    Course

    Raises
    ------
    ValueError
        Where there is none.

    Examples
    --------
    >>> find_course("/")
    Traceback (most recent call last):
    ValueError: course: expected a folder with course.json, got /; make one by `maxmin course new FOLDER`
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "course.json").is_file():
            return Course(folder)
    raise ValueError(f"course: expected a folder with course.json, got {start}; make one by `maxmin course new FOLDER`")
