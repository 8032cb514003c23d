"""What students handed in: who, which notebook, which files beside it."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from .merging import SubmissionError, read_submission

__all__ = ["Submission", "find_submissions", "safe_name"]

_MOST_FILES = 50


@dataclass(frozen=True)
class Submission:
    """Hold what one student handed in.

    Parameters
    ----------
    student : str
        The folder's or the file's name.
    notebook : Path or None
        None where there is none.
    files : dict of str to Path
        What lies beside the notebook in the student's folder.
    note : str
        What was odd about it.

    Examples
    --------
    >>> Submission("ann", None).note
    ''
    """

    student: str
    notebook: Path | None
    files: dict[str, Path] = field(default_factory=dict)
    note: str = ""


def safe_name(student: str) -> str:
    """Return a student's name as a file or a table may bear it; different names stay different.

    Parameters
    ----------
    student : str
        Any text.

    Returns
    -------
    str
        Letters, digits, blanks, dots, and ``_-@+``; it begins with a letter or a digit.

    Examples
    --------
    >>> safe_name("Jörg Müller"), safe_name("../x")
    ('Jörg Müller', 'x-d6b96a97')
    """
    name = unicodedata.normalize("NFC", student)
    safe = re.sub(r"[^\w .@+-]", "_", name)
    safe = re.sub(r"^[^\w]+|^_+|[ .]+$", "", safe).lstrip("_.- ")[:80]
    if safe and safe == name:
        return safe
    mark = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{safe}-{mark}" if safe else f"student-{mark}"


def find_submissions(folder: Path | str, name: str, stem: str) -> list[Submission]:
    """Return what lies in a folder of submissions, by student.

    Parameters
    ----------
    folder : Path or str
        One folder a student, or files ``STUDENT.ipynb``.
    name : str
        The assignment, such as ``"a1"``.
    stem : str
        What the released notebook is called: of several notebooks in one folder, this one counts.

    Returns
    -------
    list of Submission
        In the order of the names. Who handed in twice is there once, with a note.

    Raises
    ------
    ValueError
        Where there is no such folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"submissions: expected a folder, got {folder}")
    found: dict[str, Submission] = {}
    # Folders last: where somebody is there as file and as folder, the folder counts.
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            student, one = _named(path.name), _in_folder(path, name, stem)
        elif path.suffix.lower() == ".ipynb":
            student, one = _named(path.stem), (path, {}, "")
        else:
            continue
        note = one[2]
        if student in found:
            note = (note + "; " if note else "") + f"handed in twice: {path.name} counts"
        found[student] = Submission(student, one[0], one[1], note)
    if not found:
        raise ValueError(f"submissions: expected one folder a student, or files STUDENT.ipynb, got none in {folder}")
    return [found[student] for student in sorted(found)]


def _named(name):
    return unicodedata.normalize("NFC", name)


def _in_folder(path, name, stem):
    """Choose a student's notebook: the one that is called like the release, else the last that is this assignment's."""
    # nbgrader's own form, submitted/STUDENT/a1, counts as well.
    inner = path / name
    path = inner if inner.is_dir() and not any(path.glob("*.ipynb")) else path
    every = [p for p in sorted(path.iterdir()) if p.is_file() and not p.is_symlink() and not p.name.startswith(".")]
    notebooks = [p for p in every if p.suffix.lower() == ".ipynb"]
    chosen = next((p for p in notebooks if p.stem == stem), None)
    if chosen is None and notebooks:
        chosen = next((p for p in reversed(notebooks) if _readable(p, name)), notebooks[-1])
    others = [p.name for p in notebooks if p != chosen]
    note = f"several notebooks: {chosen.name} counts" if others else ""
    files = {p.name: p for p in every if p != chosen and p.suffix.lower() != ".ipynb"}
    return chosen, dict(list(files.items())[:_MOST_FILES]), note


def _readable(path, name):
    try:
        read_submission(path, name)
    except SubmissionError:
        return False
    return True
