"""The pipeline as a reader meets it, on a project of two small chapters."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import nbformat
import pytest

from ..course.corpus import write_source


def build(project, maxmin, *more, **options):
    return maxmin("build", *more, cwd=project, **options)


def test_build_again_edit_and_claims(project, maxmin, add_cell):
    done = build(project, maxmin)
    assert done.returncode == 0, done.stderr
    assert "[01] 01_first: running (cpu, seed 0)" in done.stdout and "[02] done" in done.stdout
    assert "1 of 1 claims were due, and hold" in done.stdout
    page = project / "_build" / "cpu" / "html" / "index.html"
    assert f"the book: {page.as_uri()}" in done.stdout and page.exists()
    assert "make serve PROFILE=cpu shows it at http://localhost:8000" in done.stdout

    # Nothing changed: nothing runs.
    again = build(project, maxmin)
    assert again.returncode == 0 and "running" not in again.stdout and "rendering" not in again.stdout

    # One chapter changed: that one and the pages.
    add_cell(project / "notebooks" / "02_second.ipynb", "print('new')")
    edited = build(project, maxmin)
    assert "[02]" in edited.stdout and "[01]" not in edited.stdout and "[pages] done" in edited.stdout

    report = json.loads(maxmin("report", "--json", cwd=project).stdout)
    assert {key: report[0][key] for key in ("id", "statement", "value", "expected", "status")} == {
        "id": "mini.two",
        "statement": "s",
        "value": 2.0,
        "expected": "2 ± 0.5",
        "status": "reproduced",
    }

    # A claim that the run does not earn fails the build, and the next one, too; the pages stay those that held.
    ledger, before = project / "book" / "claims.yml", page.read_bytes()
    ledger.write_text(ledger.read_text().replace("[2, 0.5]", "[3, 0.5]"))
    for _ in range(2):
        broken = build(project, maxmin)
        assert broken.returncode == 1
        assert "claims that do not hold:\n  mini.two: refuted, expected 3 ± 0.5, got 2.0" in broken.stderr
        assert page.read_bytes() == before
    ledger.write_text(ledger.read_text().replace("[3, 0.5]", "[2, 0.5]").replace('"01"', '"07"'))
    assert "claim mini.two: chapter: expected one of 01, 02, got '07'" in build(project, maxmin).stderr


@pytest.fixture
def edited(root, project):
    """Edit a copy of the package: edited(file, old, new), within the block; yields the environment that imports it."""
    package = project / "copy" / "maxmin_core"
    shutil.copytree(root / "maxmin_core", package, ignore=shutil.ignore_patterns("__pycache__"))

    @contextmanager
    def edit(name=None, old="", new=""):
        if name is None:
            yield os.environ | {"PYTHONPATH": str(package.parent)}
            return
        path, text = package / name, (package / name).read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        yield os.environ | {"PYTHONPATH": str(package.parent)}
        path.write_text(text)

    return edit


def due(project, environment):
    """The rules that Snakemake would run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--cores", "1", "--config", "profile=cpu"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^(?:local)?rule (?:chapter_)?(\w+):", done.stdout + done.stderr, re.M)


def test_what_makes_a_chapter_run_again(project, maxmin, add_cell, edited):
    add_cell(project / "notebooks" / "01_first.ipynb", "from maxmin_core import gibbs_policy")
    add_cell(project / "notebooks" / "02_second.ipynb", "from maxmin_core.preferences import diversity")
    with edited() as environment:
        assert build(project, maxmin, env=environment).returncode == 0
        assert due(project, environment) == []
    numpy = "import numpy as np\n"
    for edit, expected in [
        (("alignment/policies.py", "\n\n\n", "\n\n\n# A comment.\n"), []),
        (("alignment/policies.py", numpy, f"{numpy}from numpy import pi  # noqa: F401\n"), []),
        (("alignment/solution.py", numpy, f"{numpy}\nCODE = 1\n"), []),
        # Signatures and docstrings are shown on the pages; a docstring changes no number.
        (("alignment/solution.py", "def solve(", "def solve(another, "), ["pages"]),
        (("alignment/policies.py", '"""', '"""Words. '), ["pages"]),
        (("alignment/policies.py", numpy, f"{numpy}\nCODE = 1\n"), ["01", "pages"]),
        (("preferences/_logistic.py", numpy, f"{numpy}\nCODE = 1\n"), ["02", "pages"]),
        (("_validation.py", numpy, f"{numpy}\nCODE = 1\n"), ["01", "02", "pages"]),
        (("book/running.py", "logging.INFO", "logging.DEBUG"), ["01", "02", "pages"]),
    ]:
        with edited(*edit) as environment:
            assert sorted(due(project, environment)) == expected, edit
    # A chapter that was run by hand with other code is not taken for one of this code.
    with edited("alignment/policies.py", numpy, f"{numpy}\nCODE = 1\n") as environment:
        assert maxmin("run", "01", cwd=project, env=environment).returncode == 0
        assert due(project, environment) == ["pages"]
    with edited() as environment:
        assert sorted(due(project, environment)) == ["01", "pages"]


def test_an_assignment_is_rendered_without_its_solution_and_again_when_it_changes(project, maxmin):
    tiny = write_source(project / "notebooks" / "assignments")
    (project / "book" / "goals.yml").write_text('"01":\n  - {goal: Double., tasks: []}\n', encoding="utf-8")
    toc = (
        (project / "_toc.yml")
        .read_text()
        .replace("chapters: [", "chapters: [{file: assignments/a1}, {file: book/students}, ")
    )
    (project / "_toc.yml").write_text(toc)
    (project / "book" / "students.md").write_text("# Students\n\n```{include} _generated/goals.md\n```\n")
    done = build(project, maxmin)
    assert done.returncode == 0, done.stdout + done.stderr
    html = project / "_build" / "cpu" / "html"
    files = [path for path in html.rglob("*") if path.is_file()]
    for secret in (b"CONSTANT * np", b"Because.", b"SOLUTION", b"float(np.sum"):
        assert secret in tiny.path.read_bytes()
        assert not [path for path in files if secret in path.read_bytes()], secret
    assert "double: yours to write" in (html / "assignments" / "a1.html").read_text(encoding="utf-8")
    assert "Double (no task asks for it)" in (html / "book" / "students.html").read_text(encoding="utf-8")
    assert due(project, os.environ) == []
    tiny.path.write_text(tiny.path.read_text(encoding="utf-8").replace("Tiny", "Small"), encoding="utf-8")
    assert due(project, os.environ) == ["pages"]


def test_a_broken_cell_fails_the_build_and_is_named(project, maxmin, add_cell):
    add_cell(project / "notebooks" / "02_second.ipynb", "int('seven')")
    done = build(project, maxmin)
    assert done.returncode == 1
    assert "maxmin: error: 02_second.ipynb, cell 4 (int('seven')): ValueError: invalid literal" in done.stderr
    assert "Traceback" not in done.stderr
    # Errors of several lines come whole, and so does one that no Python can read.
    for body, told in [("assert 0, 'one\\ntwo'", "AssertionError: one\n  two"), ("x = = 1", "SyntaxError")]:
        notebook = nbformat.read(project / "notebooks" / "02_second.ipynb", as_version=4)
        notebook.cells[-1].source = body
        nbformat.write(notebook, project / "notebooks" / "02_second.ipynb")
        assert told in build(project, maxmin).stderr
    # The other chapter was finished, and no page tells of a run that failed.
    assert (project / "_build" / "cpu" / "metrics" / "01.json").exists()
    assert not (project / "_build" / "cpu" / "html").exists()


def test_a_warning_of_the_pages_fails_the_build_every_time(project, maxmin):
    (project / "book" / "welcome.md").write_text("# Mini\n\n{doc}`/book/nowhere`\n")
    for _ in range(2):
        done = build(project, maxmin)
        assert done.returncode == 1
        assert "maxmin: error: rendering failed" in done.stderr and "nowhere" in done.stderr


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_resumes(project, maxmin, kill, add_cell):
    marker = project / "started"
    add_cell(project / "notebooks" / "02_second.ipynb", f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()")
    slow = "import os, time\nif not os.path.exists('hurry'):\n    time.sleep(60)"
    add_cell(project / "notebooks" / "02_second.ipynb", slow.replace("'hurry'", repr(str(project / "hurry"))))
    command = [sys.executable, "-m", "maxmin_core.cli", "build", "--cores", "1"]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Where the tests run in the background, their children would ignore the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(600):
        if marker.exists():
            break
        time.sleep(0.1)
    assert marker.exists()
    os.killpg(process.pid, kill)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (project / "_build" / "cpu" / "metrics" / "02.json").exists()
    finished = (project / "_build" / "cpu" / "metrics" / "01.json").exists()

    (project / "hurry").touch()
    done = build(project, maxmin)
    assert done.returncode == 0, done.stderr
    assert "[02] done" in done.stdout
    assert ("[01]" in done.stdout) != finished


def test_two_builds_at_a_time_are_refused(project, maxmin):
    import fcntl

    folder = project / "_build" / "cpu"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = build(project, maxmin)
    assert done.returncode == 1 and "another build is running there" in done.stderr


def test_a_missing_lock_is_named(project, maxmin):
    (project / "requirements.lock").unlink()
    done = build(project, maxmin)
    assert done.returncode == 1 and "requirements.lock: expected the lock file" in done.stderr


def test_slurm_dry_run(root):
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run", "--forceall", "--nolock"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "chapter_01" in output and "slurm_partition=compute" in output and "mem_mb=3000" in output
