"""A gradebook that SQLite cannot use, and folders for grades that cannot be written to: named before the judging."""

import json
import sqlite3

import pytest

from maxmin_core.cli import main
from maxmin_core.course.folder import new_course

from .corpus import handed_in, write_source


@pytest.fixture
def course(tmp_path):
    """A course that looks released, without nbgrader's work."""
    tiny = write_source(tmp_path / "book" / "notebooks" / "assignments")
    made = new_course(tmp_path / "course", tmp_path / "book")
    release = made.folder / "release" / "a1" / tiny.path.name
    release.parent.mkdir(parents=True)
    release.write_text(json.dumps(tiny.student()), encoding="utf-8")
    sqlite3.connect(made.folder / "gradebook.db").close()
    (tmp_path / "Ann.ipynb").write_text(json.dumps(handed_in(tiny)), encoding="utf-8")
    return made


def test_an_unusable_gradebook_is_named(course, capsys):
    path = course.folder / "gradebook.db"
    path.write_bytes(b"no data base" * 100)
    assert main(["course", "export", "--course", str(course.folder)]) == 1
    told = capsys.readouterr().err
    assert f"maxmin: error: {path}: expected nbgrader's data base, on a file system that has locks" in told
    assert "got: file is not a database; end other programs or move the course" in told


def test_a_place_for_grades_that_is_none_is_named_before_the_judging(course, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("maxmin_core.course.commands.grade_all", lambda *_, **__: pytest.fail("judged"))
    (tmp_path / "taken").touch()
    grade = ["course", "grade", "a1", str(tmp_path), "--course", str(course.folder)]
    assert main([*grade, "--out", str(tmp_path / "taken" / "a1")]) == 1
    told = f"out: expected a folder that can be written to, got {tmp_path / 'taken' / 'a1'} (Not a directory)"
    assert told in capsys.readouterr().err
