"""A lecturer's weeks: a course's folder, a release, thirty notebooks, marks by hand, and what is exported."""

import csv
import datetime
import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from maxmin_core.cli import main
from maxmin_core.course.exporting import canvas_table
from maxmin_core.course.feedback import feedback_page
from maxmin_core.course.folder import Course, find_course, new_course
from maxmin_core.course.gradescope import main as gradescope
from maxmin_core.course.grading import Result
from maxmin_core.course.isolation import not_isolated
from maxmin_core.course.judging import Check, Verdict
from maxmin_core.course.merging import merge
from maxmin_core.course.release import require_nbgrader
from maxmin_core.course.sources import all_assignments

from .corpus import handed_in, write_source

ISOLATED = pytest.mark.skipif(bool(not_isolated()), reason=f"not isolated here: {not_isolated()}")
ROOT = Path(__file__).parents[2]


def read(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def opened(course):
    require_nbgrader()
    from nbgrader.api import Gradebook

    return Gradebook(course.gradebook, course.about["course_id"])


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course on the tiny assignment, released."""
    book = tmp_path_factory.mktemp("book")
    write_source(book / "notebooks" / "assignments")
    made = new_course(tmp_path_factory.mktemp("courses") / "alignment", book)
    assert main(["course", "release", "a1", "--course", str(made.folder), "--gradescope"]) == 0
    return made


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """What three students handed in, graded by the command."""
    folder, tiny = tmp_path_factory.mktemp("submissions"), course.assignment("a1")
    ann = handed_in(tiny)
    ann["cells"][6]["source"] = "<!-- ANSWER why -->\nBecause I say so."
    made = {"Ann": ann, "Bob": handed_in(tiny, double="return x"), "Zoë": tiny.student()}
    for name, notebook in made.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    os.utime(folder / "Bob.ipynb", (1_800_000_000, 1_800_000_000))
    due = "2027-01-15T08:00:00+00:00"
    when = datetime.datetime.fromtimestamp(1_800_000_000, datetime.UTC)
    assert when.isoformat() == due
    (course.folder / "due.csv").write_text(
        "assignment,student,due\na1,,2027-01-13T07:59+00:00\na1,Zoë,2037-01-01\na1,Ann,2037-01-01\n", encoding="utf-8"
    )
    assert main(["course", "grade", "a1", str(folder), "--course", str(course.folder)]) == 0
    return folder


class TestFolder:
    def test_it_is_private_and_has_a_seed_of_its_own(self, tmp_path):
        first, second = (new_course(tmp_path / name, ROOT) for name in ("one", "two"))
        assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700
        assert first.seed != second.seed and first.seed.bit_length() > 24
        assert find_course(first.folder / "variants").folder == first.folder

    def test_nbgrader_s_own_programs_know_the_course(self, tmp_path, monkeypatch):
        # As they read a configuration: what it does not say is no value, and no error.
        from traitlets.config import PyFileConfigLoader

        made = new_course(tmp_path / "robots", ROOT)
        monkeypatch.chdir(made.folder)
        found = PyFileConfigLoader("nbgrader_config.py", str(made.folder)).load_config().CourseDirectory
        assert found.course_id == "robots" and found.root == str(made.folder)

    def test_what_to_do_next_is_found_without_an_environment(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("PATH", "/nowhere")
        assert main(["course", "new", str(tmp_path / "robots")]) == 0
        told = capsys.readouterr().out.splitlines()[-1]
        assert f"{Path(sys.executable).with_name('maxmin')} course release a1" in told

    def test_it_does_not_lie_in_the_public_repository(self, tmp_path):
        with pytest.raises(ValueError, match="outside of the book's repository"):
            new_course(ROOT / "course", ROOT)
        (tmp_path / "x").touch()
        with pytest.raises(ValueError, match="new or empty"):
            new_course(tmp_path, ROOT)

    def test_an_own_variant_comes_first(self, tmp_path):
        made = new_course(tmp_path / "course", ROOT)
        own = write_source(made.folder / "variants")
        assert made.assignment("a1").path == own.path

    @pytest.mark.parametrize(
        ("hours", "student", "days"),
        [(-1, "Bob", 0), (0, "Bob", 0), (1, "Bob", 1), (24, "Bob", 1), (25, "Bob", 2), (25, "Ann", 0)],
    )
    def test_late_days(self, tmp_path, hours, student, days):
        made = Course(tmp_path)
        # Without an offset it is UTC.
        text = "assignment,student,due\na1,,2027-05-03T23:59+02:00\na1,Ann,2027-05-10T12:00\na2,,2020-01-01\n"
        (tmp_path / "due.csv").write_text(text, encoding="utf-8")
        handed = datetime.datetime(2027, 5, 3, 21, 59, tzinfo=datetime.UTC) + datetime.timedelta(hours=hours)
        assert made.late_days("a1", student, handed) == days
        assert made.late_days("a3", student, handed) == 0

    def test_a_date_that_is_none(self, tmp_path):
        (tmp_path / "due.csv").write_text("assignment,student,due\na1,,soon\n", encoding="utf-8")
        with pytest.raises(ValueError, match="due.csv: expected a time such as .*, got 'soon'"):
            Course(tmp_path).due("a1")


def test_the_release_has_no_solution_and_is_known_to_the_gradebook(course):
    path = course.folder / "release" / "a1" / "a1_tiny.ipynb"
    text = path.read_text(encoding="utf-8")
    assert "SOLUTION" not in text and "CONSTANT * np" not in text and "Because." not in text
    assert "double: yours to write" in text and "yours to write" not in "".join(
        path.read_text(encoding="utf-8") for path in (course.folder / "source").rglob("*") if path.is_file()
    )
    with opened(course) as gradebook:
        cells = {cell.name: cell.max_score for cell in gradebook.find_notebook("a1_tiny", "a1").grade_cells}
    assert cells == {"double_check": 10, "total_check": 10, "why": 80}


def test_a_release_with_an_unusual_marker_is_none(course, tmp_path):
    made = new_course(tmp_path / "course", tmp_path / "book")
    tiny = write_source(tmp_path / "book" / "notebooks" / "assignments")
    # nbgrader takes this marker for one, and our own reading does not.
    text = tiny.path.read_text(encoding="utf-8").replace("    ### BEGIN SOLUTION", "    #### BEGIN SOLUTION")
    tiny.path.write_text(text, encoding="utf-8")
    assert main(["course", "release", "a1", "--course", str(made.folder)]) == 1
    assert not list(made.folder.glob("release/a1/*"))


@pytest.mark.parametrize("name", [assignment.name for assignment in all_assignments(ROOT)])
def test_nbgrader_releases_every_assignment(name, tmp_path):
    made = new_course(tmp_path / "course", ROOT)
    # The command compares nbgrader's release with the student's version by our own reading, cell by cell.
    assert main(["course", "release", name, "--course", str(made.folder), "--out", str(tmp_path / "out")]) == 0
    (released,) = (tmp_path / "out").glob(f"{name}_*.ipynb")
    assert "SOLUTION" not in released.read_text(encoding="utf-8")


@ISOLATED
class TestGrading:
    def test_the_table(self, course, graded):
        found = {(row["student"], row["task"]): row for row in read(course.folder / "graded" / "a1" / "grades.csv")}
        points = {key: row["points"] for key, row in found.items()}
        assert points == {
            ("Ann", "double"): "10",
            ("Ann", "total"): "10",
            ("Ann", "why"): "",
            ("Bob", "double"): "0",
            ("Bob", "total"): "10",
            ("Bob", "why"): "0",
            ("Zoë", "double"): "0",
            ("Zoë", "total"): "0",
            ("Zoë", "why"): "0",
        }
        assert found["Zoë", "double"]["note"] == "double: not written yet"

    def test_feedback_and_plain_answers(self, course, graded):
        out = course.folder / "graded" / "a1"
        page = (out / "feedback" / "Bob.html").read_text(encoding="utf-8")
        assert "does not hold</span> twice the numbers (4 points)" in page and "double: 0 of 10 points" in page
        assert (out / "answers" / "double" / "Bob.py").read_text(encoding="utf-8").endswith("return x\n")
        assert (out / "answers" / "why" / "Ann.md").is_file()

    def test_marks_by_hand_and_export(self, course, graded, tmp_path, capsys):
        export = ["course", "export", "--course", str(course.folder)]
        assert main(export) == 0
        assert "1 written answer waits for a mark" in capsys.readouterr().out
        with opened(course) as gradebook:
            # What the formgrader does when a mark is typed.
            grade = gradebook.find_grade("why", "a1_tiny", "a1", "Ann")
            grade.manual_score, grade.needs_manual_grade = 55.5, False
            gradebook.db.commit()
        roster = tmp_path / "roster.csv"
        roster.write_text(
            "Student,ID,SIS User ID,SIS Login ID,Section,Tiny (77),Other (78)\n    Points Possible,,,,,100,5\n"
            '"Müller, Ann",1,,Ann,S,,3\nBob,2,,bob,S,,4\nCem,3,,cem,S,,5\n',
            encoding="utf-8-sig",
        )
        assert main([*export, "--canvas", str(roster)]) == 0
        table = {row["student"]: row for row in read(course.folder / "grades.csv")}
        assert [table[name]["a1"] for name in ("Ann", "Bob", "Zoë")] == ["75.5", "10", "0"]
        assert [table[name]["a1 late days"] for name in ("Ann", "Bob", "Zoë")] == ["0", "3", "0"]
        assert {row["a1 unmarked"] for row in table.values()} == {"0"}
        canvas = read(course.folder / "canvas.csv")
        assert [row["Tiny (77)"] for row in canvas] == ["100", "75.5", "10", ""]
        assert list(canvas[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Tiny (77)"]
        assert "not in the roster: Zoë" in capsys.readouterr().out
        # nbgrader's own export says the same.
        with opened(course) as gradebook:
            assert {s.student.id: s.score for s in gradebook.assignment_submissions("a1")} == {
                "Ann": 75.5,
                "Bob": 10,
                "Zoë": 0,
            }
        # Graded again, a mark stays; where the answer has changed, it is asked for.
        grade = ["course", "grade", "a1", str(graded), "--course", str(course.folder), "--cores", "1"]
        before = (course.folder / "graded" / "a1" / "grades.csv").read_text(encoding="utf-8")
        assert main(grade) == 0 and main(export) == 0
        assert (course.folder / "graded" / "a1" / "grades.csv").read_text(encoding="utf-8") == before
        assert read(course.folder / "grades.csv")[0]["a1"] == "75.5"
        path = graded / "Ann.ipynb"
        path.write_text(path.read_text(encoding="utf-8").replace("I say so", "they say so"), encoding="utf-8")
        assert main(grade) == 0 and main(export) == 0
        assert read(course.folder / "grades.csv")[0]["a1 unmarked"] == "80"

    def test_nbgrader_itself_grades_what_the_judge_has_merged(self, course, graded):
        """Its autograde runs on our release; its scores are those of the public checks."""
        import shutil

        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config

        from maxmin_core.course.release import configure

        folder = course.folder / "submitted" / "Ann" / "a1"
        folder.mkdir(parents=True)
        merged = course.folder / "autograded" / "Ann" / "a1" / "a1_tiny.ipynb"
        shutil.copy(merged, folder)
        config = Config()
        config.CourseDirectory.root = str(course.folder)
        configure(config)
        done = NbGraderAPI(config=config).autograde("a1", "Ann", force=True, create=False)
        assert done["success"], done["log"]
        with opened(course) as gradebook:
            assert gradebook.find_grade("double_check", "a1_tiny", "a1", "Ann").auto_score == 10

    def test_the_formgrader_lists_what_is_to_be_marked(self, course, graded):
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config

        from maxmin_core.course.release import configure

        config = Config()
        config.CourseDirectory.root = str(course.folder)
        configure(config)
        (listed,) = NbGraderAPI(config=config).get_assignments()
        assert (listed["name"], listed["average_score"] > 0) == ("a1", True)

    def test_gradescope(self, course, tmp_path):
        with zipfile.ZipFile(course.folder / "a1_gradescope.zip") as archive:
            names = archive.namelist()
            assert {"setup.sh", "run_autograder", "course.json", "assignments/a1_judge.py"} <= set(names)
            assert not [name for name in names if name.endswith("_wrong.py") or "__pycache__" in name]
            assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
            archive.extractall(tmp_path / "source")
        (tmp_path / "submission").mkdir()
        notebook = handed_in(course.assignment("a1"), double="return x")
        (tmp_path / "submission" / "mine.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        gradescope(tmp_path)
        found = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
        assert [(test["name"], test["score"], test["max_score"]) for test in found["tests"]] == [
            ("double", 0, 10),
            ("total", 10, 10),
        ]
        assert "Marked by a person: why." in found["output"]


class TestNotIsolated:
    @pytest.fixture
    def forbidden(self, monkeypatch):
        monkeypatch.setattr("maxmin_core.course.commands.not_isolated", lambda: "this system does not let users")

    def test_it_says_so_and_asks_for_a_flag(self, course, tmp_path, forbidden, capsys):
        (tmp_path / "ann.ipynb").write_text(json.dumps(handed_in(course.assignment("a1"))), encoding="utf-8")
        command = [
            "course",
            "grade",
            "a1",
            str(tmp_path),
            "--course",
            str(course.folder),
            "--out",
            str(tmp_path / "out"),
        ]
        assert main(command) == 1
        assert "not isolated: this system does not let users" in capsys.readouterr().err
        assert main([*command, "--unsafe-not-isolated"]) == 0
        assert "not isolated" in capsys.readouterr().out
        assert [row["points"] for row in read(tmp_path / "out" / "grades.csv")] == ["10", "10", "0"]


def test_grading_wants_a_release_and_says_so_first(tmp_path, capsys, monkeypatch):
    made = new_course(tmp_path / "course", ROOT)
    # Neither nbgrader nor the submissions are looked at before.
    monkeypatch.setattr("maxmin_core.course.commands.require_nbgrader", lambda: pytest.fail("too early"))
    assert main(["course", "grade", "a1", str(tmp_path / "nowhere"), "--course", str(made.folder)]) == 1
    told = capsys.readouterr().err
    assert "a1: not released yet" in told and "call maxmin course release a1 first" in told


def test_what_grading_writes_outside_of_out_is_said(capsys):
    with pytest.raises(SystemExit):
        main(["course", "grade", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "autograded/ that the formgrader shows, are written in the course's folder all the same" in told


def test_points_are_told_in_words(course):
    tiny = course.assignment("a1")
    merged = merge(tiny, handed_in(tiny))
    checks = (Check(1, True, "one"), Check(9, False, "two"), Check(2, True, "three", after=False))
    page = feedback_page(tiny, Result("ann", {"double": Verdict(1, 12, checks)}, merged))
    assert "holds</span> one (1 point)" in page and "does not hold</span> two (9 points)" in page
    assert "not given</span> three (2 points; as a part above does not hold)" in page
    assert "<h2>why: 0 of 80 points</h2><p>No answer was found." in page
    merged.answers["why"] = "<!-- ANSWER why -->\nBecause."
    page = feedback_page(tiny, Result("ann", {}, merged))
    assert "<h2>why: 80 points, to be marked</h2>" in page and "worth 80 points are to be marked by a person" in page


def test_a_roster_that_is_none(tmp_path):
    (tmp_path / "roster.csv").write_text("name,mark\n", encoding="utf-8")
    with pytest.raises(ValueError, match="roster: expected Canvas's columns Student and ID, got name, mark"):
        canvas_table(tmp_path / "roster.csv", [], {})


def test_what_nobody_answered_is_not_marked():
    assert not Result("ann", {}, None).written("why")


def test_isolation_is_said_to_need_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in not_isolated.__wrapped__()
