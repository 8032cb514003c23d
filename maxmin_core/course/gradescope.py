"""An assignment as Gradescope's autograder takes it: a zip file, and the program that runs in there."""

import json
import sys
import zipfile
from pathlib import Path

from .._files import write_json, write_whole
from .grading import Result, grade_one
from .isolation import Limits, not_isolated
from .sources import Assignment
from .submissions import Submission

__all__ = ["main", "results", "write_zip"]

# Gradescope runs setup.sh once, as root, and run_autograder for every submission.
_SETUP = """#!/usr/bin/env bash
set -e
apt-get update -qq && apt-get install -y -qq python3 python3-venv
python3 -m venv /autograder/environment
/autograder/environment/bin/pip install --quiet -c /autograder/source/requirements.lock /autograder/source ipython
chmod -R go-rwx /autograder/source
"""
_RUN = """#!/usr/bin/env bash
/autograder/environment/bin/python -m maxmin_core.course.gradescope /autograder
"""


def write_zip(path: Path, assignment: Assignment, book: Path, seed: int) -> None:
    """Write the file that is uploaded to Gradescope.

    Parameters
    ----------
    path : Path
        Where.
    assignment : Assignment
        With its judge.
    book : Path
        The repository: the package goes into the file, too.
    seed : int
        Of the course.
    """
    with write_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", _SETUP), ("run_autograder", _RUN)):
            about = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            about.external_attr = 0o755 << 16
            archive.writestr(about, text)
        archive.writestr("course.json", json.dumps({"seed": seed, "assignment": assignment.name}))
        for file in sorted(assignment.path.parent.glob(f"{assignment.name}_*")):
            if not file.stem.endswith("_wrong"):
                archive.write(file, f"assignments/{file.name}")
        for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
            archive.write(book / name, name)
        for file in sorted((book / "maxmin_core").rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, str(file.relative_to(book)))


def results(assignment: Assignment, result: Result, isolated: bool) -> dict[str, object]:
    """Return what Gradescope shows of a submission, ``results.json``.

    Parameters
    ----------
    assignment : Assignment
        What was asked.
    result : Result
        What was found.
    isolated : bool
        Whether the notebook ran in isolation: the output says so where it did not.
    """
    tests = []
    for name, verdict in result.verdicts.items():
        output = "\n".join([*filter(None, [verdict.note]), *map(str, verdict.checks)])
        tests.append({"name": name, "score": verdict.points, "max_score": verdict.of, "output": output})
    waiting = [task.name for task in assignment.tasks if not task.automatic]
    said = [result.note, f"Marked by a person: {', '.join(waiting)}." if waiting else ""]
    if not isolated:
        said.append("This notebook was judged without isolation.")
    return {"tests": tests, "output": "\n".join(filter(None, said)), "output_format": "text"}


def main(root: Path) -> None:
    """Judge what lies in Gradescope's folder, and write what it shows.

    Parameters
    ----------
    root : Path
        Gradescope's ``/autograder``.
    """
    source = root / "source"
    about = json.loads((source / "course.json").read_text(encoding="utf-8"))
    (path,) = (source / "assignments").glob(f"{about['assignment']}_*.ipynb")
    assignment = Assignment(about["assignment"], path)
    every = sorted((root / "submission").iterdir())
    notebook = next((file for file in every if file.suffix.lower() == ".ipynb"), None)
    files = {file.name: file for file in every if file.is_file() and file != notebook and not file.is_symlink()}
    isolated = not not_isolated()
    one = Submission("student", notebook, files)
    # Gradescope's machines are small, and stop after ten minutes.
    result = grade_one(assignment, one, seed=about["seed"], limits=Limits(memory_mib=2048), isolated=isolated)
    write_json(root / "results" / "results.json", results(assignment, result, isolated))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
