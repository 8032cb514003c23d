import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")


# What takes seconds; `make check` leaves it to `make test`, with all that trains a language model or runs a notebook.
SLOW = {
    "test_a_bound_ten_per_cent_stronger_is_refuted",
    "test_a_figure_that_seaborn_makes_is_seaborn_s_and_shown_without_a_warning",
    "test_a_judge_that_dies_stops_nobody",
    "test_a_name_in_braces_is_a_name",
    "test_a_notebook_sees_no_file_no_environment_and_no_network",
    "test_a_notebook_that_names_no_language_is_python",
    "test_a_public_table_by_its_name",
    "test_a_release_with_an_unusual_marker_is_none",
    "test_a_wrong_answer_is_refused",
    "test_a_browser_starts_there_too",
    "test_a_long_temporary_folder_is_left_for_a_short_one",
    "test_an_error_that_is_meant_is_none",
    "test_an_unusable_gradebook_is_named",
    "test_chapters_do_not_redefine_the_core",
    "test_every_public_name_has_one_entry",
    "test_every_step_encloses_the_optimum",
    "test_each_minimum_is_at_most_the_one_before",
    "test_each_policy_is_best_at_its_own_problem",
    "test_feedback_holds_no_solution_and_no_line_of_a_judge",
    "test_fifty_seeds_reach_the_best_likelihood",
    "test_feedback_and_plain_answers",
    "test_gibbs_by_a_general_optimiser",
    "test_gradescope",
    "test_hostile_and_broken_submissions_have_their_scores",
    "test_it_says_so_and_asks_for_a_flag",
    "test_marks_by_hand_and_export",
    "test_nbgrader_itself_grades_what_the_judge_has_merged",
    "test_nbgrader_releases_every_assignment",
    "test_no_other_policy_does_better",
    "test_no_policy_pays_less",
    "test_public_names_exist_and_are_documented",
    "test_scores_with_a_sign_and_features",
    "test_slurm_dry_run",
    "test_the_cell_at_which_it_ended_is_named",
    "test_the_cell_is_named_whatever_its_id",
    "test_the_cell_s_error_comes_through",
    "test_the_certificate_holds_however_deep_the_support",
    "test_the_audit_judges_a_row_of_the_table_again",
    "test_the_gap_closes",
    "test_the_judge_s_network_is_torch_s",
    "test_the_limits_of_the_family_by_policies",
    "test_the_objective_never_falls",
    "test_the_page_stands_alone_fits_and_is_accessible",
    "test_the_page_without_the_data",
    "test_the_release_has_no_solution_and_is_known_to_the_gradebook",
    "test_the_same_submission_and_seed_give_the_same_grade",
    "test_the_solution_earns_everything",
    "test_the_table",
    "test_trajectories_agree_with_occupancies",
    "test_what_hostile_students_read_holds_nothing_hidden",
}


def pytest_collection_modifyitems(items):
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        trains = "lm" in item.path.parts or "[lm]" in item.name
        if {"project", "site"} & fixtures or trains or getattr(item, "originalname", "") in SLOW:
            item.add_marker(pytest.mark.slow)
            if {"audit", "course"} & set(item.path.parts) and "site" not in fixtures:
                item.add_marker(pytest.mark.measured)


@pytest.fixture(scope="session")
def root():
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def defined_in(root):
    """Functions that a chapter defines, by its number and their names; `given` are the chapter's variables they use."""

    def load(chapter, *names, **given):
        (path,) = (root / "notebooks").glob(f"{chapter}_*.ipynb")
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        nodes = ast.parse("\n".join("".join(cell["source"]) for cell in cells)).body
        kept = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
        kept += [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name in names]
        space = dict(given)
        exec(compile(ast.Module(kept, []), str(path), "exec"), space)
        return [space[name] for name in names]

    return load


@pytest.fixture(scope="session")
def maxmin():
    """Call the command line in a process of its own; return the finished process."""

    def call(*arguments, cwd, timeout=600, **more):
        command = [sys.executable, "-m", "maxmin_core.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, **more)

    return call


@pytest.fixture(scope="session")
def site(root, maxmin):
    """The folder of the rendered pages, made by the smoke profile."""
    # Tests run in two processes: one makes the pages, the other waits, and finds them made.
    with FileLock(root / "_build" / ".tests.lock"):
        done = maxmin("build", "--profile", "smoke", cwd=root, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "_build" / "smoke" / "html"


@pytest.fixture
def project(root, tmp_path):
    """A miniature project: the real Snakefile and configuration, two small chapters, a ledger of one claim."""
    import nbformat

    for name in ("Snakefile", "requirements.lock"):
        shutil.copy(root / name, tmp_path / name)
    for folder in ("book", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_config.yml").write_text(
        'title: mini\nexecute: {execute_notebooks: "off"}\nonly_build_toc_files: true\n'
    )
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/welcome\nchapters: [{file: notebooks/01_first}, {file: notebooks/02_second}]\n"
    )
    (tmp_path / "book" / "welcome.md").write_text("# Mini\n")
    (tmp_path / "book" / "claims.yml").write_text(
        '- {id: mini.two, chapter: "01", statement: s, source: t, page: p, expect: {equals: [2, 0.5]}}\n'
    )
    bodies = {"01_first": "from maxmin_core.book.claims import record\nrecord('mini.two', 1 + 1)", "02_second": "1 + 1"}
    for name, body in bodies.items():
        cells = [
            nbformat.v4.new_markdown_cell(f"# {name}", id=f"{name}-t"),
            nbformat.v4.new_code_cell('profile = "cpu"\nseed = 0', metadata={"tags": ["parameters"]}, id=f"{name}-p"),
            nbformat.v4.new_code_cell(body, id=f"{name}-b"),
        ]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"maxmin": {"question": "Does it run?"}})
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


@pytest.fixture(scope="session")
def add_cell():
    """Add a code cell to the end of a notebook."""
    import nbformat

    def add(path, source):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(source, id=f"added-{len(notebook.cells)}"))
        nbformat.write(notebook, path)

    return add
