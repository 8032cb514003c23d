"""Every assignment: the solution earns everything, the stub nothing, and plausible wrong answers are refused."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from maxmin_core.course.feedback import feedback_page
from maxmin_core.course.grading import Result
from maxmin_core.course.judging import AnswerError, judge_task
from maxmin_core.course.sources import all_assignments, marked

from .solutions import leaked

ROOT = Path(__file__).parents[2]
ASSIGNMENTS = {assignment.name: assignment for assignment in all_assignments(ROOT)}
TASKS = [
    (assignment.name, task.name) for assignment in ASSIGNMENTS.values() for task in assignment.tasks if task.automatic
]
WRONG = [
    (name, task, mistake)
    for name, assignment in ASSIGNMENTS.items()
    for task, mistakes in assignment.wrong().items()
    for mistake in mistakes
]
# Right answers that look unlike the solution: nothing may refuse them.
RIGHT = {
    (
        "a2",
        "cancelling",
        "the others' margins are as small as the sum allows",
    ): """# ANSWER cancelling
def cancelling(shares, own):
    middle, amount = expit(own), 0.26 / 8
    p = np.array([middle, middle + amount / shares[1], middle - amount / shares[2]])
    return np.log(p / (1 - p))
""",
}
OPENING = ("What you need", "How it works", "How it is marked", "What you may not use")


class Here:
    """Ask the answers in this process: what a judge says of them does not depend on where they run."""

    def __init__(self, notebook, folder, other=None, skip_checks=True):
        self.names, self.folder, self.errors = {"__name__": "__main__"}, folder, {}
        for cell in notebook["cells"]:
            about = cell["metadata"].get("nbgrader", {})
            if cell["cell_type"] != "code" or (skip_checks and about.get("grade") and not about.get("solution")):
                continue
            source = "".join(cell["source"])
            if about.get("solution") and other and about["grade_id"] in other:
                source = other[about["grade_id"]]
            try:
                exec(compile(source, about.get("grade_id", "cell"), "exec"), self.names)
            except Exception as error:
                self.errors[about.get("grade_id", "")] = error

    def __call__(self, name, *arguments):
        return self._plain(name, lambda: self.value(name)(*arguments))

    def value(self, name):
        if name not in self.names:
            raise AnswerError(f"{name}: there is no such name")
        return self.names[name]

    def file(self, name):
        path = self.folder / name
        if not path.is_file():
            raise AnswerError(f"{name}: there is no such file")
        return path.read_bytes()

    def _plain(self, name, answer):
        try:
            with np.errstate(all="ignore"):
                return answer()
        except Exception as error:
            raise AnswerError(f"{name}: {type(error).__name__}: {error}") from error


def judged(name, task, ask, seed):
    assignment = ASSIGNMENTS[name]
    of = {task.name: task.points for task in assignment.tasks}[task]
    return judge_task(task, assignment.judges()[task], ask, of=of, seed=seed)


@pytest.fixture(scope="module")
def solved():
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = Here(ASSIGNMENTS[name].notebook(), ASSIGNMENTS[name].path.parent)
        return kept[name]

    return of


@pytest.mark.parametrize("name", ASSIGNMENTS)
class TestSource:
    def test_points_make_a_hundred(self, name):
        assert sum(task.points for task in ASSIGNMENTS[name].tasks) == 100

    def test_every_answer_has_its_marker(self, name):
        for cell in ASSIGNMENTS[name].student()["cells"]:
            about = cell["metadata"].get("nbgrader")
            assert marked(cell) == (about["grade_id"] if about and about["solution"] else None)

    def test_the_minutes_and_points_that_are_printed(self, name):
        """The parts make the whole, in the opening and in the metadata, and every heading has its task's points."""
        minutes, points, told = 0, {}, None
        for cell in ASSIGNMENTS[name].student()["cells"]:
            text = "".join(cell["source"])
            about = cell["metadata"].get("nbgrader", {})
            if heading := re.match(r"#{2,3} Tasks? .*\((\d+) points?(?:, (\d+) minutes(?: and at most .*)?)?\)", text):
                told, minutes = int(heading[1]), minutes + int(heading[2] or 0)
            if about.get("solution"):
                points[about["grade_id"]] = told
        opening = "".join(ASSIGNMENTS[name].notebook()["cells"][1]["source"])
        assert points == {task.name: task.points for task in ASSIGNMENTS[name].tasks}
        assert minutes == ASSIGNMENTS[name].about["minutes"]
        assert re.findall(r"Plan about (\d+) minutes", opening) == [str(minutes)]

    def test_all_begin_alike(self, name):
        title, opening = ("".join(cell["source"]) for cell in ASSIGNMENTS[name].notebook()["cells"][:2])
        assert re.fullmatch(rf"# Assignment {name[1:]}\. .+", title)
        places = [opening.index(f"**{part}.**") for part in OPENING]
        assert places == sorted(places)
        marked_by = opening[places[2] : places[3]]
        assert all(f"**{word}**" in marked_by for word in ("claim", "evidence", "limits", "the other side"))

    def test_judge_and_wrong_answers_know_the_tasks(self, name):
        automatic = [task.name for task in ASSIGNMENTS[name].tasks if task.automatic]
        assert list(ASSIGNMENTS[name].judges()) == automatic
        wrong = ASSIGNMENTS[name].wrong()
        assert list(wrong) == automatic
        assert min(map(len, wrong.values())) >= 4

    def test_rubric_has_every_written_task(self, name):
        rubric = ASSIGNMENTS[name].rubric()
        assert all(f"`{task.name}`" in rubric for task in ASSIGNMENTS[name].tasks if not task.automatic)

    def test_no_solution_is_released(self, name):
        released = json.dumps(ASSIGNMENTS[name].student())
        assert "SOLUTION" not in released
        for cell in ASSIGNMENTS[name].notebook()["cells"]:
            inside = False
            for line in "".join(cell["source"]).splitlines():
                if "### END SOLUTION" in line:
                    inside = False
                if inside and len(line.strip()) > 15:
                    assert json.dumps(line.strip())[1:-1] not in released
                if "### BEGIN SOLUTION" in line:
                    inside = True

    def test_stub_fails_with_not_implemented_only(self, name, tmp_path):
        stub = Here(ASSIGNMENTS[name].student(), tmp_path)
        assert all(isinstance(error, NotImplementedError) for error in stub.errors.values()), stub.errors

    def test_the_public_checks_hold_of_the_solution(self, name):
        answers = Here(ASSIGNMENTS[name].notebook(), ASSIGNMENTS[name].path.parent, skip_checks=False)
        assert answers.errors == {}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_feedback_holds_no_solution_and_no_line_of_a_judge(name, tmp_path):
    """Whatever is handed in: nothing, and the first mistake that its author thought of."""
    assignment = ASSIGNMENTS[name]
    mistakes = {task: next(iter(wrong.values())) for task, wrong in assignment.wrong().items()}
    judge = assignment.path.with_name(f"{name}_judge.py").read_text(encoding="utf-8")
    secret = {line.strip() for line in judge.splitlines() if len(line.strip()) > 25 and '"' not in line}
    for answers in (Here(assignment.student(), tmp_path), Here(assignment.student(), tmp_path, other=mistakes)):
        verdicts = {task.name: judged(name, task.name, answers, 1) for task in assignment.tasks if task.automatic}
        page = feedback_page(assignment, Result("ann", verdicts, None))
        assert "of" in page and leaked(page, [assignment]) == []
        assert len(secret) > 20 and not [line for line in secret if line in html.unescape(page)]


@pytest.mark.parametrize("seed", [1, 20261])
@pytest.mark.parametrize(("name", "task"), TASKS)
def test_the_solution_earns_everything(name, task, seed, solved):
    verdict = judged(name, task, solved(name), seed)
    assert verdict.points == verdict.of, (verdict.note, [check.says for check in verdict.checks if not check.holds])


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_the_stub_earns_nothing(name, task, tmp_path):
    stub = Here(ASSIGNMENTS[name].student(), tmp_path)
    assert [judged(name, task, stub, seed).points for seed in (1, 20261)] == [0, 0]


@pytest.mark.parametrize(("name", "task", "what"), RIGHT)
def test_a_right_answer_of_another_kind_is_accepted(name, task, what):
    source = {task: RIGHT[name, task, what]}
    answers = Here(ASSIGNMENTS[name].notebook(), ASSIGNMENTS[name].path.parent, source, skip_checks=False)
    assert answers.errors == {}
    verdict = judged(name, task, answers, 1)
    assert verdict.points == verdict.of, [str(check) for check in verdict.checks if not check.given]


@pytest.mark.parametrize(
    ("task", "mistake", "said"),
    [
        ("spread_test", "a group against the others in place of everybody", [1, 2, 3]),
        ("win_rate", "the reference is taken to be uniform", []),
        ("win_rate", "equal draws count nothing", [2]),
        ("circular_triads", "every triad counts three times", [1]),
        ("two_worlds", "a ranking is read as ranks", [1, 2]),
    ],
)
def test_nothing_is_said_of_what_builds_on_a_part_that_fails(task, mistake, said):
    assignment = ASSIGNMENTS["a1"]
    answers = Here(assignment.notebook(), assignment.path.parent, {task: assignment.wrong()[task][mistake]})
    checks = judged("a1", task, answers, 1).checks
    assert [number for number, check in enumerate(checks) if check.word.startswith("not given")] == said
    assert not any(check.given for check in checks if check.word.startswith("not given"))


@pytest.mark.parametrize(("name", "task", "mistake"), WRONG)
def test_a_wrong_answer_is_refused(name, task, mistake):
    """Under two seeds, as solutions are accepted."""
    answers = Here(
        ASSIGNMENTS[name].notebook(),
        ASSIGNMENTS[name].path.parent,
        other={task: ASSIGNMENTS[name].wrong()[task][mistake]},
    )
    for seed in (1, 20261):
        verdict = judged(name, task, answers, seed)
        assert verdict.points < verdict.of, seed
