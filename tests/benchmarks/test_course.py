import json
import shutil
from pathlib import Path

import pytest

from maxmin_core.course.folder import new_course
from maxmin_core.course.grading import grade_all, grade_one
from maxmin_core.course.isolation import not_isolated
from maxmin_core.course.release import release
from maxmin_core.course.sources import find_assignment
from maxmin_core.course.submissions import Submission

ROOT = Path(__file__).parents[2]
ISOLATED = pytest.mark.skipif(bool(not_isolated()), reason=f"not isolated here: {not_isolated()}")


@pytest.fixture
def solved(tmp_path):
    """Assignment 1, handed in with everything right."""
    assignment = find_assignment(ROOT, "a1")
    path = tmp_path / "solved.ipynb"
    path.write_text(json.dumps(assignment.notebook()), encoding="utf-8")
    return assignment, path


def test_release(benchmark, tmp_path):
    benchmark.extra_info["promised"] = "under 20 s"

    def released():
        shutil.rmtree(tmp_path / "course", ignore_errors=True)
        return release(new_course(tmp_path / "course", ROOT), "a1")

    assert benchmark.pedantic(released, rounds=2).is_file()


@ISOLATED
def test_grade_one(benchmark, solved):
    benchmark.extra_info["promised"] = "under 3 s beside the student's own computing"
    assignment, path = solved
    result = benchmark.pedantic(grade_one, args=(assignment, Submission("ann", path)), kwargs={"seed": 1}, rounds=3)
    assert result.points == sum(task.points for task in assignment.tasks if task.automatic)


@ISOLATED
def test_grade_a_class_of_thirty(benchmark, solved):
    benchmark.extra_info["promised"] = "under two minutes on two cores"
    assignment, path = solved
    submissions = [Submission(f"student {number}", path) for number in range(30)]
    results = benchmark.pedantic(grade_all, args=(assignment, submissions), kwargs={"seed": 1, "cores": 2}, rounds=1)
    assert len({result.points for result in results}) == 1
