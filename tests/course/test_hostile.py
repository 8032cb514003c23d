"""What hostile and broken submissions get: a defined score, and a note that a student understands."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest

from maxmin_core.course.exporting import write_grades
from maxmin_core.course.feedback import feedback_page
from maxmin_core.course.grading import grade_all, grade_one
from maxmin_core.course.isolation import Limits, not_isolated
from maxmin_core.course.judging import AnswerError
from maxmin_core.course.submissions import Submission, find_submissions, safe_name

from .corpus import CORPUS, JUDGE, handed_in, write_source

ISOLATED = pytest.mark.skipif(bool(not_isolated()), reason=f"not isolated here: {not_isolated()}")
QUICK = Limits(call=3, cell=8, total=60, memory_mib=600, disk_mib=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("book") / "notebooks" / "assignments")


@pytest.fixture(scope="module")
def judged(tiny, tmp_path_factory):
    """The whole corpus, as one batch."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, (make, *_) in CORPUS.items():
        made = make(tiny)
        (folder / f"{name}.ipynb").write_text(made if isinstance(made, str) else json.dumps(made), encoding="utf-8")
    results = grade_all(tiny, find_submissions(folder, "a1", tiny.path.stem), seed=7, limits=QUICK, hidden=[folder])
    return {result.student: result for result in results}


def told(result):
    return "; ".join(filter(None, [result.note, *(verdict.note for verdict in result.verdicts.values())]))


@ISOLATED
@pytest.mark.parametrize("name", CORPUS)
def test_hostile_and_broken_submissions_have_their_scores(name, judged):
    _, double, total, note = CORPUS[name]
    result = judged[name]
    points = {task: verdict.points for task, verdict in result.verdicts.items()}
    assert points == {"double": double, "total": total}, told(result)
    said = "; ".join(f"{task}: {verdict.note}" for task, verdict in result.verdicts.items() if verdict.note)
    assert re.search(note, "; ".join(filter(None, [result.note, said]))), told(result)


@ISOLATED
def test_what_hostile_students_read_holds_nothing_hidden(judged, tiny):
    for result in judged.values():
        page = feedback_page(tiny, result)
        assert "SECRET_OF_THE_JUDGE" not in page and "http" not in page and "<script" not in page
        assert not any(text in page for text in ("ask(", "fsum", "rng", "0.0012", "Because."))


SECRETS = """
def seen(paths):
    import os
    found = []
    for path in paths:
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).read()
            found.append(path)
        except OSError:
            pass
    return found

def walked(words):
    import os
    found = []
    for top, folders, files in os.walk("/"):
        if top in ("/proc", "/usr", "/lib", "/dev"):
            folders[:] = []
        found += [os.path.join(top, file) for file in files if any(word in file for word in words)]
    return found

def environment():
    import os
    processes = [p for p in os.listdir("/proc") if p.isdigit()]
    return sorted(os.environ) + [open(f"/proc/{p}/environ", "rb").read().decode() for p in processes]

def network():
    import socket
    told = []
    for place in (("127.0.0.1", PORT), ("192.0.2.1", 80)):
        try:
            socket.create_connection(place, 2)
            told.append("connected")
        except OSError:
            told.append("no")
    return told

def written(paths):
    done = []
    for path in paths:
        try:
            with open(path, "a") as file:
                file.write("x")
            done.append(path)
        except OSError:
            pass
    return done
"""


@ISOLATED
def test_a_notebook_sees_no_file_no_environment_and_no_network(tiny, tmp_path, monkeypatch, root):
    import socket

    from maxmin_core.course.sandbox import Cell, Sandbox

    monkeypatch.setenv("LECTURERS_TOKEN", "SECRET_OF_THE_LECTURER")
    other = tmp_path / "anna" / "a1_tiny.ipynb"
    other.parent.mkdir()
    other.write_text("SECRET", encoding="utf-8")
    inside = {"mine.csv": tmp_path / "mine.csv"}
    inside["mine.csv"].write_text("1,2", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"PORT = {server.getsockname()[1]}\n" + SECRETS
        with Sandbox([Cell("own", source)], inside, Limits(call=120)) as ask:
            secret = [
                tiny.path,
                tiny.path.with_name("a1_judge.py"),
                other,
                tmp_path,
                root / "notebooks",
                root / "tests",
            ]
            secret += [
                Path.home() / ".ssh",
                Path("/etc/shadow"),
                Path("/proc/1/root/etc/shadow"),
                Path("/proc/1/environ"),
            ]
            assert set(ask("seen", [str(path) for path in secret])) <= {"/proc/1/environ"}
            assert ask("seen", ["mine.csv"]) == ["mine.csv"]
            assert ask("walked", ["a1_judge", "a1_tiny", "_rubric.md"]) == []
            try:
                assert "SECRET_OF_THE_LECTURER" not in str(ask("environment"))
            except AnswerError:
                # Other processes' environments are not to be read at all.
                pass
            assert ask("network") == ["no", "no"]
            places = ["/x", "/usr/x", "/etc/passwd", "/proc/sys/kernel/domainname", f"{sys.prefix}/x", "/dev/null"]
            assert ask("written", places) == ["/dev/null"]
            assert ask("written", ["/tmp/x", "y"]) == ["/tmp/x", "y"]
    assert not Path(sys.prefix, "x").exists()


@ISOLATED
def test_the_same_submission_and_seed_give_the_same_grade(tiny, tmp_path):
    # An answer that is right in one case of two, by a coin that the student tosses.
    path = tmp_path / "coin.ipynb"
    path.write_text(json.dumps(handed_in(tiny, double="return x * np.random.choice([2, 3])")), encoding="utf-8")
    found = [grade_one(tiny, Submission("coin", path), seed=3, limits=QUICK) for _ in range(2)]
    assert found[0].verdicts == found[1].verdicts


@ISOLATED
def test_a_judge_that_fails_stops_nobody(tmp_path):
    tiny = write_source(tmp_path / "assignments")
    tiny.path.with_name("a1_judge.py").write_text(JUDGE.replace("x.tolist()", "1 / 0"), encoding="utf-8")
    path = tmp_path / "good.ipynb"
    path.write_text(json.dumps(handed_in(tiny)), encoding="utf-8")
    result = grade_one(tiny, Submission("good", path), seed=3, limits=QUICK)
    assert [verdict.points for verdict in result.verdicts.values()] == [10, 0]
    assert "ZeroDivisionError" in result.trouble["total"] and "your lecturer is told" in told(result)
    assert "ZeroDivision" not in feedback_page(tiny, result)


@ISOLATED
def test_a_judge_that_dies_stops_nobody(tmp_path):
    tiny = write_source(tmp_path / "assignments")
    dies = JUDGE.replace(
        "x = rng.normal(size=7)", 'import os; os._exit(1) if ask("total", [1.0]) != 1 else 0; x = rng.normal(size=7)'
    )
    tiny.path.with_name("a1_judge.py").write_text(dies, encoding="utf-8")
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name, total in {
        "a good": "return float(np.sum(x))",
        "bad": "return 5",
        "good": "return float(np.sum(x))",
    }.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(handed_in(tiny, total=total)), encoding="utf-8")
    results = grade_all(tiny, find_submissions(folder, "a1", "a1_tiny"), seed=3, limits=QUICK)
    assert [result.points for result in results] == [20, 0, 20]
    assert results[1].trouble


class TestSubmissions:
    def test_a_student_is_there_once(self, tmp_path, tiny):
        good = json.dumps(handed_in(tiny))
        for name in (
            "anna.ipynb",
            "anna/a1_tiny.ipynb",
            "anna/older.ipynb",
            "anna/notes.txt",
            "Zoë B/x.ipynb",
            "empty/y",
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(good, encoding="utf-8")
        # The same name, written with a combining mark.
        (tmp_path / "Zoe\u0308 B.ipynb").write_text("", encoding="utf-8")
        (tmp_path / "secret.ipynb").symlink_to(tmp_path / "anna.ipynb")
        found = {one.student: one for one in find_submissions(tmp_path, "a1", "a1_tiny")}
        assert list(found) == ["Zoë B", "anna", "empty"]
        assert found["anna"].notebook.name == "a1_tiny.ipynb" and list(found["anna"].files) == ["notes.txt"]
        assert found["anna"].note == "several notebooks: a1_tiny.ipynb counts; handed in twice: anna counts"
        assert found["Zoë B"].notebook.name == "x.ipynb" and "twice" in found["Zoë B"].note
        assert found["empty"].notebook is None
        assert grade_one(tiny, found["empty"], seed=1).note == "no notebook was found"

    @pytest.mark.parametrize(
        "name", ["../evil", "a/../../b", "..", "", "=HYPERLINK(1)", "-rf", "<script>", "x\ny", "con.\x00"]
    )
    def test_a_strange_name_leaves_no_folder(self, name, tmp_path):
        safe = safe_name(name)
        assert (tmp_path / f"{safe}.html").resolve().parent == tmp_path.resolve() and re.match(r"\w", safe)
        assert safe_name(safe) == safe != safe_name(name + "2")

    def test_plain_names_stay(self):
        assert [safe_name(n) for n in ("Jörg von Müller", "s123456", "a.b@c.de")] == [
            "Jörg von Müller",
            "s123456",
            "a.b@c.de",
        ]

    def test_a_table_runs_nothing_in_a_spreadsheet(self, tmp_path, tiny):
        result = grade_one(tiny, Submission("=cmd|' /C calc'!A0", None), seed=1)
        write_grades(tmp_path / "grades.csv", tiny, [result])
        rows = list(csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines()))
        assert rows[0]["student"].startswith("'=") and rows[0]["points"] == "0" and len(rows) == 3

    @pytest.mark.parametrize("there", [False, True])
    def test_nothing_handed_in(self, tmp_path, there):
        folder = tmp_path if there else tmp_path / "none"
        with pytest.raises(ValueError, match="submissions: expected"):
            find_submissions(folder, "a1", "a1_tiny")
