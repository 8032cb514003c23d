import json
import logging
import os
from contextlib import nullcontext

import nbformat
import pytest

from maxmin_core.alignment import gibbs_policy, solve
from maxmin_core.book import chapters, fetched
from maxmin_core.book.chapters import Chapter, all_chapters, find_chapter, find_root, read_metrics
from maxmin_core.book.claims import METRICS_VARIABLE
from maxmin_core.book.running import ChapterError, execute, made_by, run


def test_find(root):
    assert find_root(root / "maxmin_core") == root
    assert find_chapter(root, "1") == find_chapter(root, "01") == all_chapters(root)[1]
    with pytest.raises(ValueError, match="chapter: expected one of 00, 01.*got '99'"):
        find_chapter(root, "99")
    with pytest.raises(ValueError, match="expected to run inside the project's folder"):
        find_root("/")


def test_dependencies_are_followed(root):
    names = {path.relative_to(root).as_posix() for path in find_chapter(root, "01").dependencies()}
    direct = {
        "preferences/rewards.py",
        "alignment/policies.py",
        "book/_recording.py",
        "book/plots.py",
        "data/__init__.py",
    }
    indirect = {"preferences/comparisons.py", "preferences/_logistic.py", "_validation.py", "_files.py"}
    sliders = {"book/slider.js", "book/slider.css"}
    survey = {"data/__init__.py", *(f"data/germanparties2009_{name}.csv" for name in ("comparisons", "respondents"))}
    assert {f"maxmin_core/{name}" for name in direct | indirect | sliders | survey} <= names
    # How claims are judged changes no chapter.
    assert not {f"maxmin_core/{name}" for name in ("cli.py", "book/site.py", "book/claims.py")} & names


@pytest.mark.parametrize(
    ("line", "modules"),
    [
        # A face shows what others define: the chapter depends on those, not on the wing.
        ("from maxmin_core.alignment import gibbs_policy", {gibbs_policy.__module__}),
        ("from maxmin_core.alignment import solve as s, gibbs_policy", {solve.__module__, gibbs_policy.__module__}),
        ("from maxmin_core import solve, load_survey", {solve.__module__, "maxmin_core.data"}),
        ("from maxmin_core import navigation", {"maxmin_core.navigation"}),
        ("from maxmin_core.book import plots", {"maxmin_core.book.plots"}),
        ("from maxmin_core.book.claims import PROFILES, record", {"maxmin_core.book._recording"}),
        ("def f():\n    import maxmin_core.intervals", {"maxmin_core.intervals"}),
        # A face that is imported whole stands for all that it shows.
        ("import maxmin_core.alignment", {"maxmin_core.alignment"}),
        ("from maxmin_core.alignment import *", {"maxmin_core.alignment"}),
        ("import numpy, maxmin_core_of_another\nfrom maxmin_core.nowhere import x", set()),
    ],
)
def test_a_name_belongs_to_the_module_that_defines_it(project, add_cell, line, modules):
    chapter = find_chapter(project, "02")
    add_cell(chapter.path, line)
    assert chapter.modules() == tuple(sorted(modules))


def test_every_name_of_the_faces_is_found_where_python_finds_it():
    # By another route: functions and classes know the module that defined them.
    import maxmin_core
    from maxmin_core import alignment, preferences, theory
    from maxmin_core.book._names import home

    for face in (maxmin_core, alignment, preferences, theory):
        for name in face.__all__:
            if not hasattr(getattr(face, name), "__module__"):
                continue
            assert home(face.__name__, name) == getattr(face, name).__module__, name


def test_a_fingerprint_is_of_the_code_behind_the_imports(project, add_cell):
    one, two = (find_chapter(project, number) for number in ("01", "02"))
    plain = two.fingerprint()
    add_cell(two.path, "from maxmin_core.alignment import gibbs_policy")
    assert two.fingerprint() not in (plain, one.fingerprint())
    # The same imports, the same code, whatever else the notebooks hold.
    add_cell(one.path, "from maxmin_core.alignment.policies import gibbs_policy as g")
    assert one.fingerprint() == two.fingerprint()


def test_metadata_say_whether_runs_are_shown(project):
    chapter = find_chapter(project, "01")
    assert chapter.question == "Does it run?" and not chapter.needs_runs
    assert "maxmin_core.lm.experiment" not in chapter.modules()
    text = chapter.path.read_text()
    chapter.path.write_text(text.replace('"question": "Does it run?"', '"question": "Does it run?", "runs": true'))
    assert chapter.needs_runs
    # It imports nothing of them: the training still counts.
    assert "maxmin_core.lm.experiment" in chapter.modules()


def test_data_that_come_run_a_chapter_anew(project, monkeypatch):
    chapter = find_chapter(project, "01")
    assert chapter.data == chapter.lacks() == ()
    plain, text = chapter.fingerprint(), chapter.path.read_text()
    there = []
    monkeypatch.setattr(fetched, "FETCHED", {"llmfao": lambda: bool(there)})
    monkeypatch.setattr(chapters, "FETCHED", fetched.FETCHED)
    chapter.path.write_text(text.replace('"maxmin": {', '"maxmin": {"data": ["llmfao"], '))
    assert chapter.lacks() == ("llmfao",) and chapter.fingerprint() == f"{plain}-without-llmfao"
    there.append(True)
    assert chapter.lacks() == () and chapter.fingerprint() == plain
    chapter.path.write_text(text.replace('"maxmin": {', '"maxmin": {"data": ["elsewhere"], '))
    with pytest.raises(ValueError, match=r"data: expected some of llmfao, got 'elsewhere'"):
        chapter.fingerprint()


def test_what_needs_data_is_skipped_without_them_and_says_so(project, add_cell, tmp_path, monkeypatch):
    """A relative folder of data is found from the folder of the notebooks, too."""
    chapter = find_chapter(project, "02")
    add_cell(chapter.path, "from maxmin_core.book.fetched import skip_without\nprint(skip_without('llmfao'))")
    add_cell(chapter.path, "# needs llmfao\nraise ValueError('no data')")
    add_cell(chapter.path, "# needs llmfao\nfrom IPython.display import display\ndisplay(1 / 0)")
    add_cell(chapter.path, "import os\nprint(os.environ['MAXMIN_DATA'])")
    chapter.path.write_text(chapter.path.read_text().replace('"maxmin": {', '"maxmin": {"data": ["llmfao"], '))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAXMIN_DATA", "nowhere")
    assert run(chapter, "smoke", project / "out")["lacks"] == ["llmfao"]
    cells = json.loads((project / "out" / "notebooks" / chapter.path.name).read_text())["cells"][-4:]
    told = [cell["outputs"] for cell in cells]
    assert "".join(told[0][0]["text"]) == "False\n" and told[1] == []
    assert "the data are not there (`maxmin data llmfao`)" in "".join(told[2][0]["data"]["text/markdown"])
    assert "".join(told[3][0]["text"]) == f"{tmp_path / 'nowhere'}\n"


def test_where_the_data_are_nothing_is_skipped(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    cell = "# needs llmfao\nx = 1\n"
    for there, left in ((False, "pass\n"), (True, cell)):
        monkeypatch.setattr(fetched, "FETCHED", {"llmfao": lambda there=there: there})
        for _ in range(2):
            assert fetched.skip_without("llmfao") is there
        assert shell.transform_cell(cell) == left
        assert shell.transform_cell("x = 2\n# needs llmfao\n") == "x = 2\n# needs llmfao\n"
    with pytest.raises(ValueError, match="^name: expected one of llmfao, got 'other'"):
        fetched.skip_without("other")


def test_a_run_leaves_notebook_metrics_and_log(project):
    chapter, folder = find_chapter(project, "01"), project / "out"
    metrics = run(chapter, "smoke", folder, seed=3)
    assert metrics["claims"] == {"mini.two": {"value": 2.0, "interval": None}}
    assert (metrics["profile"], metrics["seed"], metrics["title"]) == ("smoke", 3, "01_first")
    assert read_metrics(folder) == [metrics]
    injected = nbformat.read(folder / "notebooks" / chapter.path.name, as_version=4).cells[2].source
    assert 'profile = "smoke"' in injected and "seed = 3" in injected
    assert (folder / "logs" / "01.log").exists()
    assert made_by(chapter, folder).exists()
    assert not list(folder.rglob(".*"))


def test_processes_of_a_chapter_may_record_and_one_may_be_killed(project, add_cell):
    """A process that is killed while it records leaves no lock and no half a file behind the run."""
    chapter, folder = find_chapter(project, "01"), project / "out"
    add_cell(
        chapter.path,
        "import multiprocessing, os\nfrom maxmin_core.book import _recording\n"
        "ask = multiprocessing.get_context('fork').Process\n"
        "some = [ask(target=record, args=(f'mini.n{k}', k)) for k in range(6)]\n"
        "[one.start() for one in some], [one.join() for one in some]\n"
        "def dies(path, value):\n    open(f'{path}.9.partial.json', 'w').close(), os._exit(9)\n"
        "_recording.write_json = dies\nlast = ask(target=record, args=('mini.lost', 1))\nlast.start(), last.join()",
    )
    assert set(run(chapter, "smoke", folder)["claims"]) == {"mini.two", *(f"mini.n{k}" for k in range(6))}
    assert not list(folder.rglob(".*"))


def test_a_failed_cell_is_named_and_leaves_nothing_half_done(project, add_cell):
    chapter, folder = find_chapter(project, "01"), project / "out"
    add_cell(chapter.path, "\nnumerator = 1\nnumerator / 0")
    expected = (
        r"01_first\.ipynb, cell 4 \(numerator = 1\): ZeroDivisionError: division by zero; see .*01\.failed\.ipynb"
    )
    with pytest.raises(ChapterError, match=expected):
        run(chapter, "smoke", folder)
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["01.failed.ipynb", "01.log"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_leaves_the_environment_as_it_was(project, monkeypatch, fails, add_cell):
    chapter = find_chapter(project, "01")
    monkeypatch.delenv(METRICS_VARIABLE, raising=False)
    # One that is set already wins, and stays.
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    told = "import os\nprint(*(os.environ[n] for n in ('MAXMIN_CLAIMS', 'TQDM_DISABLE', 'TRANSFORMERS_VERBOSITY')))"
    add_cell(chapter.path, told + ("\n1 / 0" if fails else ""))
    before = dict(os.environ)
    with pytest.raises(ChapterError) if fails else nullcontext():
        run(chapter, "smoke", project / "out")
    assert dict(os.environ) == before
    # The kernel saw them.
    kept = project / "out" / ("logs/01.failed.ipynb" if fails else "notebooks/01_first.ipynb")
    (output,) = [o for o in nbformat.read(kept, as_version=4).cells[-1].outputs if o.output_type == "stream"]
    assert output.text.split()[0].endswith("claims.json") and output.text.split()[1:] == ["0", "error"]


def test_a_run_inside_of_a_run_gives_the_claims_back(project, monkeypatch):
    monkeypatch.setenv(METRICS_VARIABLE, "outer.json")
    run(find_chapter(project, "01"), "smoke", project / "out")
    assert os.environ[METRICS_VARIABLE] == "outer.json"


def test_the_log_goes_into_its_file_alone(project, caplog):
    logger = logging.getLogger("papermill")
    before = logger.level, logger.propagate, list(logger.handlers)
    with caplog.at_level(logging.DEBUG):
        run(find_chapter(project, "01"), "smoke", project / "out")
    assert "Executing Cell" in (project / "out" / "logs" / "01.log").read_text()
    assert not [record for record in caplog.records if record.name.startswith("papermill")]
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_a_cell_that_takes_too_long_is_named(project, add_cell):
    chapter = find_chapter(project, "02")
    add_cell(chapter.path, "import time\ntime.sleep(60)")
    places = {"log": project / "log", "failed": project / "failed.ipynb"}
    with pytest.raises(
        ChapterError, match=r"02_second\.ipynb, cell 4 \(import time\): the cell ran longer than 1 s; see"
    ):
        execute(chapter.path, project / "out.ipynb", parameters={"profile": "smoke"}, timeout=1, **places)
    assert places["failed"].exists() and not (project / "out.ipynb").exists()


def test_a_kernel_that_does_not_start_is_told(project, monkeypatch):
    chapter = find_chapter(project, "01")

    def refuse(*_, **__):
        raise RuntimeError("Kernel didn't respond in 120 seconds")

    monkeypatch.setattr("papermill.execute_notebook", refuse)
    with pytest.raises(ChapterError, match=r"^01_first\.ipynb, before the first cell: Kernel didn't respond"):
        run(chapter, "smoke", project / "out")


def test_packages_that_are_not_installed_are_left_out(project, monkeypatch):
    monkeypatch.setattr("maxmin_core.book.running._PACKAGES", ("numpy", "no-such-package"))
    assert list(run(find_chapter(project, "02"), "smoke", project / "out")["packages"]) == ["numpy"]


def test_a_killed_kernel_is_named(project, add_cell):
    chapter, folder = find_chapter(project, "02"), project / "out"
    add_cell(chapter.path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(ChapterError, match=r"02_second\.ipynb, cell 4 \(import os, signal\): the kernel died"):
        run(chapter, "smoke", folder)
    assert not list(folder.rglob("*.json"))


def test_a_full_disk_is_named(project, monkeypatch):
    chapter, folder = find_chapter(project, "01"), project / "out"

    def refuse(_, target, **more):
        with open("/dev/full", "w") as full:
            full.write("x")

    monkeypatch.setattr("maxmin_core.book.running.execute", refuse)
    with pytest.raises(OSError, match=r"disk full: .*01_first\.ipynb was not written"):
        run(chapter, "smoke", folder)
    assert not list(folder.rglob("*.ipynb")) and not list(folder.rglob("*.json"))


def test_cells_that_were_skipped_are_noticed(project, add_cell):
    chapter = find_chapter(project, "01")
    add_cell(chapter.path, "import sys\nsys.exit(0)")
    add_cell(chapter.path, "print('never')")
    with pytest.raises(ChapterError, match="SystemExit|before the last cell"):
        run(chapter, "smoke", project / "out")


def test_records_of_an_earlier_run_do_not_survive(project):
    chapter, folder = find_chapter(project, "01"), project / "out"
    run(chapter, "smoke", folder)
    before = made_by(chapter, folder)
    notebook = nbformat.read(chapter.path, as_version=4)
    notebook.cells[-1].source = "from maxmin_core import gibbs_policy"
    nbformat.write(notebook, chapter.path)
    assert run(chapter, "smoke", folder)["claims"] == {}
    # What code made the results is said once.
    assert before != made_by(chapter, folder) and list((folder / "made").iterdir()) == [made_by(chapter, folder)]


def test_a_cell_that_is_no_python_depends_on_everything(project, add_cell):
    chapter = find_chapter(project, "01")
    add_cell(chapter.path, "if True:\n    %time 1 + 1\n!ls")
    assert "population.py" not in {path.name for path in chapter.dependencies()}
    add_cell(chapter.path, "x = (1 +")
    assert "population.py" in {path.name for path in chapter.dependencies()}


def test_bad_notebooks_are_named(project):
    import shutil

    path = project / "notebooks" / "01_first.ipynb"
    text = path.read_text()
    path.write_text(text.replace("# 01_first", "no title"))
    with pytest.raises(ValueError, match="expected a first cell with the title"):
        Chapter("01", path).title  # noqa: B018
    path.write_text(text.replace("question", "answer"))
    with pytest.raises(ValueError, match="in the notebook's metadata"):
        Chapter("01", path).question  # noqa: B018
    shutil.copy(path, project / "notebooks" / "01_again.ipynb")
    with pytest.raises(ValueError, match=r"one of each number, got 01_again.ipynb and 01_first.ipynb"):
        all_chapters(project)


def test_an_unknown_profile(project):
    with pytest.raises(ValueError, match="profile: expected one of smoke, cpu, gpu, gpu-large, got 'tpu'"):
        run(Chapter("01", project / "notebooks" / "01_first.ipynb"), "tpu", project / "out")
