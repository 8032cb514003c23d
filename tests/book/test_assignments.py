"""The pages of the assignments: as students get them, with no solution anywhere, and a goal for every task."""

import json
import re

import pytest

from maxmin_core.book.assignments import assignment_pages, assignment_tables, load_goals
from maxmin_core.book.chapters import all_chapters
from maxmin_core.course.isolation import Limits
from maxmin_core.course.sources import Assignment, all_assignments

from ..course.solutions import ROOT, leaked, pieces, shown, solution_text, words

ASSIGNMENTS = {assignment.name: assignment for assignment in all_assignments(ROOT)}


@pytest.fixture(scope="module")
def pages():
    return {path.as_posix(): content.decode() for path, content in assignment_pages(ROOT).items()}


class TestPages:
    def test_no_page_lies_where_the_sources_lie(self, pages):
        # The launch buttons of a notebook's page open the repository's file of its name: there, with solutions.
        assert len(pages) == 2 * len(ASSIGNMENTS)
        for name, assignment in ASSIGNMENTS.items():
            assert f"assignments/{name}.md" in pages and f"assignments/{assignment.path.name}" in pages
        assert not [path for path in pages if (ROOT / path).exists()]
        listed = re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
        assert [place for place in listed if "assignments/" in place] == [f"assignments/{name}" for name in ASSIGNMENTS]

    def test_the_notebook_is_the_students_version(self, pages):
        for assignment in ASSIGNMENTS.values():
            assert json.loads(pages[f"assignments/{assignment.path.name}"]) == assignment.student()

    def test_no_solution_is_in_them(self, pages):
        for path, text in pages.items():
            assert "SOLUTION" not in text and leaked(text) == [], path

    def test_every_task_and_every_check_is_shown(self, pages):
        for name, assignment in ASSIGNMENTS.items():
            page = pages[f"assignments/{name}.md"]
            assert page.startswith(f"# Assignment {name[1:]}. ") and page.count("\n# Assignment") == 0
            for task in assignment.tasks:
                marker = f"# ANSWER {task.name}\n" if task.automatic else f"<!-- ANSWER {task.name} -->\n"
                assert marker in page
                assert page.count(f"(task-{name}-{task.name.replace('_', '-')})=\n") == 1
            assert page.count("NotImplementedError") >= sum(task.automatic for task in assignment.tasks)

    def test_a_label_stands_above_its_own_task(self, pages):
        labels = r"\(task-a1-fit\)=\n## Task 2\. Fit the reward"
        assert re.search(labels, pages["assignments/a1.md"])
        assert re.search(r"\(task-a6-turned-round\)=\n### Task 4, in words", pages["assignments/a6.md"])


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_a_solution_would_be_found(name):
    """The search by which the pages are judged finds every solution in the source, and not in what may be shown."""
    source = json.dumps(ASSIGNMENTS[name].notebook())
    assert sorted(leaked(source, [ASSIGNMENTS[name]])) == sorted(pieces(ASSIGNMENTS[name]))
    answers = [task.name for task in ASSIGNMENTS[name].tasks if task.name != "minutes"]
    assert len(pieces(ASSIGNMENTS[name])) > 3 * len(answers)


def test_a_leak_is_a_leak(monkeypatch):
    shown()
    monkeypatch.setattr(Assignment, "student", Assignment.notebook)
    assert all(leaked(content.decode()) for content in assignment_pages(ROOT).values())


class TestTables:
    def test_points(self):
        table = assignment_tables(ROOT)["assignments"].splitlines()[2:]
        assert len(table) == len(ASSIGNMENTS)
        for line, assignment in zip(table, ASSIGNMENTS.values(), strict=True):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            by_person = sum(task.points for task in assignment.tasks if not task.automatic)
            assert float(cells[4]) == by_person >= 25 and float(cells[3]) + float(cells[4]) == 100
            assert cells[2] == str(assignment.about["minutes"])

    def test_limits_are_those_of_the_sandbox(self):
        text, limits = assignment_tables(ROOT)["limits"], Limits()
        for number in (limits.call, limits.cell, limits.total / 60, limits.memory_mib / 1024, limits.processes):
            assert re.search(rf"\b{number:g} ", text)

    def test_where_there_are_none(self, tmp_path):
        assert assignment_tables(tmp_path) == {} and assignment_pages(tmp_path) == {}


class TestGoals:
    def test_every_task_has_a_goal_and_every_chapter_has_some(self):
        goals = load_goals(ROOT / "book" / "goals.yml")
        asked = [task for goal in goals for task in goal.tasks]
        tasks = [f"{name}.{task.name}" for name, one in ASSIGNMENTS.items() for task in one.tasks]
        assert sorted(asked) == sorted(task for task in tasks if not task.endswith(".minutes"))
        chapters = [goal.chapter for goal in goals]
        # A chapter of tools, before the first, belongs to all assignments.
        numbered = [chapter.number for chapter in all_chapters(ROOT) if int(chapter.number) > 0]
        assert sorted(set(chapters)) == numbered
        assert min(chapters.count(number) for number in chapters) >= 2

    def test_a_goal_belongs_to_a_chapter_that_the_assignment_is_about(self):
        def about(text):
            numbers = [int(number) for number in re.findall(r"\d+", text)]
            return set(range(numbers[0], numbers[-1] + 1)) if "-" in text else set(numbers)

        for goal in load_goals(ROOT / "book" / "goals.yml"):
            for task in goal.tasks:
                chapters = about(ASSIGNMENTS[task.partition(".")[0]].about["chapters"])
                assert int(goal.chapter) in chapters | {8}, goal

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('"01":\n  - {goal: Do., tasks: [a1.nothing]}', "expected a task of an assignment, got 'a1.nothing'"),
            ('"77":\n  - {goal: Do., tasks: [a1.fit]}', "chapter: expected one of .*01, .*, got '77'"),
            ('"01":\n  - {goal: Do., task: a1.fit}', "expected goal and tasks, got goal, task"),
        ],
    )
    def test_what_does_not_fit_is_named(self, text, says, tmp_path):
        (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
        (tmp_path / "book").mkdir()
        (tmp_path / "book" / "goals.yml").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=says):
            assignment_tables(tmp_path)


class TestSite:
    def test_no_solution_in_any_file_of_the_pages(self, site):
        kinds = {".html", ".js", ".json", ".ipynb", ".md", ".txt", ".xml", ".inv"}
        files = [path for path in site.rglob("*") if path.suffix in kinds and "mathjax" not in path.parts]
        assert any("_sources" in path.parts for path in files) and site / "searchindex.js" in files
        for path in files:
            assert leaked(path.read_text(encoding="utf-8", errors="replace")) == [], path

    def test_no_word_of_the_solutions_alone_in_the_search(self, site):
        from sphinx.search.en import SearchEnglish

        stem = SearchEnglish({}).stem
        index = (site / "searchindex.js").read_text(encoding="utf-8")
        assert '"worst"' in index
        known = {stem(word) for word in words(shown())}
        own = {stem(w) for one in ASSIGNMENTS.values() for _, line in solution_text(one) for w in words(line)} - known
        assert len(own) > 20
        assert not own & {stem(word) for word in words(index)}

    def test_no_link_leads_to_a_source(self, site):
        for path in site.rglob("*.html"):
            links = re.findall(r'href="([^"]*)"', path.read_text(encoding="utf-8"))
            assert not [link for link in links if "notebooks/assignments" in link.replace("%2F", "/")], path

    def test_the_notebook_can_be_downloaded(self, site):
        for name, assignment in ASSIGNMENTS.items():
            page = (site / "assignments" / f"{name}.html").read_text(encoding="utf-8")
            (link,) = re.findall(rf'href="([^"]*/{re.escape(assignment.path.name)})"', page)
            downloaded = (site / "assignments" / link).resolve()
            assert json.loads(downloaded.read_text(encoding="utf-8")) == assignment.student()
