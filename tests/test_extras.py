"""What works without the extras, and what says which one is missing."""

import ast
import itertools
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

from maxmin_core._closure import closure
from maxmin_core.book._names import modules
from maxmin_core.book.chapters import all_chapters

# Every installed package but these, which are NumPy, SciPy and pandas, looks as if it were not installed.
BARE = """
import sys
from importlib import metadata

HIDDEN = set(metadata.packages_distributions()) - {"maxmin_core", "numpy", "scipy", "pandas", "dateutil", "six"}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
version = metadata.version
def hidden(name):
    if name not in ("numpy", "scipy", "pandas", "maxmin-core"):
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = hidden
"""
# An environment of its own has it, for `--vllm`, which no chapter asks for.
ELSEWHERE = {"vllm"}
# What comes along with the packages that the extras name.
ALONG = {"ipython", "matplotlib-inline", "nbclient", "nbformat", "safetensors", "tokenizers", "traitlets"}
WINGS = ("alignment", "data", "intervals", "preferences", "theory")


def bare(code, cwd=None):
    """Run Python without the extras; return the finished process."""
    command = [sys.executable, "-c", BARE + code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def maxmin(*arguments, cwd):
    return bare(f"from maxmin_core.cli import main; sys.exit(main({list(map(str, arguments))}))", cwd=cwd)


def test_what_is_hidden_is_hidden():
    for package in ("matplotlib", "yaml", "torch"):
        done = bare(f"import {package}")
        assert done.returncode == 1 and f"No module named {package!r}" in done.stderr


@pytest.mark.parametrize("wing", WINGS)
def test_the_science_needs_numpy_scipy_and_pandas_alone(wing):
    # Every public name can be had, not only the module imported.
    code = f"import maxmin_core.{wing} as wing; [getattr(wing, name) for name in wing.__all__]"
    done = bare(code)
    assert done.returncode == 0, done.stderr


def test_the_grid_world_names_what_it_needs():
    done = bare("import maxmin_core.navigation")
    assert done.returncode == 1 and 'pip install "maxmin-core[book]"' in done.stderr


def test_the_package_works():
    done = bare(
        "import maxmin_core, numpy as np; [getattr(maxmin_core, name) for name in maxmin_core.__all__];"
        "rewards = np.array([[[1.0, 0.0]], [[0.0, 1.0]]]);"
        "policy = maxmin_core.max_min(rewards, np.log([[0.5, 0.5]]), 1.0).policy;"
        "print(policy.round(6), len(maxmin_core.load_survey()[0]))"
    )
    assert done.stdout == "[[0.5 0.5]] 2880\n", done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["train", "--help"]])
def test_the_command_line_can_be_asked(arguments, tmp_path):
    done = maxmin(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "maxmin" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "missing"), [(["run", "01"], "papermill"), (["build"], "snakemake"), (["pages"], "jupyter_book")]
)
def test_a_missing_extra_is_named(root, arguments, missing):
    done = maxmin(*arguments, "--profile", "smoke", cwd=root)
    assert done.returncode == 1
    assert "maxmin: error: book: expected the packages for chapters and pages, got none of" in done.stderr
    assert missing in done.stderr and 'pip install "maxmin-core[book]"' in done.stderr
    assert "running" not in done.stdout and "Traceback" not in done.stderr


def test_a_notebook_without_the_extra(root, tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    done = maxmin("check", "a.ipynb", cwd=tmp_path)
    assert done.returncode == 1 and "maxmin: error: book: expected the packages" in done.stderr
    done = bare("from maxmin_core.book import plots; plots.style()")
    assert "ValueError: book: expected the packages" in done.stderr and "matplotlib, seaborn" in done.stderr
    done = bare("from maxmin_core.book import claims; claims.load_ledger('claims.yml')")
    assert "ValueError: book: expected the packages" in done.stderr and "none of yaml" in done.stderr


@pytest.mark.parametrize("command", [["run", "08"], ["run", "9"], ["train"], ["plan"], ["build"]])
def test_language_models_are_asked_for_before_anything_runs(root, command, monkeypatch, capsys):
    from maxmin_core import cli

    def absent():
        raise ValueError("lm: expected the packages for language models, got none of torch")

    monkeypatch.setattr(cli, "require_lm", absent)
    # Whoever does not ask would begin.
    monkeypatch.setattr(cli, "run", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(cli.subprocess, "Popen", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.chdir(root)
    assert cli.main([*command, "--profile", "smoke"]) == 1
    output = capsys.readouterr()
    assert "maxmin: error: lm: expected the packages" in output.err and not output.out


def test_other_chapters_need_no_language_models(root, monkeypatch):
    from maxmin_core import cli

    monkeypatch.setattr(cli, "require_lm", lambda: pytest.fail("it was asked for"))
    monkeypatch.setattr(cli, "run", lambda *_: {"seconds": 0, "claims": {}})
    monkeypatch.chdir(root)
    assert cli.main(["run", "01", "--profile", "smoke"]) == 0


def taken(code):
    """The packages that a piece of code imports, by the names of Python."""
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "maxmin_core"}


def test_the_lines_for_colab_install_what_the_chapters_import(root):
    line = r'%pip install --quiet "(?:maxmin-core|\.)\[([\w,]+)\](?: @ git\+https://\S+)?"'
    first, second = (found.split(",") for found in re.findall(line, (root / "book/rerun.md").read_text()))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    known = packages_distributions()
    inside = {name: set(taken(path.read_text())) for name, path in modules().items()}
    for chapter in all_chapters(root):
        extras = [project["optional-dependencies"][extra] for extra in (second if chapter.needs_models else first)]
        named = [Requirement(text).name for text in itertools.chain(project["dependencies"], *extras)]
        installed = {name.lower().replace("_", "-") for name in named} | ALONG
        cells = json.loads(chapter.path.read_text())["cells"]
        needed = set(taken("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")))
        for top in needed.union(*(inside[module] for module in closure(*chapter.modules()))):
            if top in ELSEWHERE and top not in known:
                continue
            assert {name.lower().replace("_", "-") for name in known[top]} & installed, (top, chapter.path.name)
