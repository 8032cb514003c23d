"""What holds of the repository as a whole."""

import ast
import importlib
import inspect
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement


def core_modules(root):
    """The dotted name of every module of the package, wings and private ones included, that defines something."""
    folder = root / "maxmin_core"
    found = [".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(folder.rglob("[a-z_]*.py"))]
    return [name.removesuffix(".__init__") for name in found if name not in ("maxmin_core.lm.__init__",)]


@pytest.fixture(scope="module")
def lock(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def direct(root):
    """The direct requirements of the project, every extra included."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"lm", "chapters", "book", "course", "test"}
    # What two extras need stands in both, and once here.
    return [Requirement(text) for text in dict.fromkeys([*project["dependencies"], *itertools.chain(*extras.values())])]


def tracked(root, pattern):
    listed = subprocess.run(["git", "ls-files", pattern], cwd=root, capture_output=True, text=True, check=True).stdout
    return [root / name for name in listed.splitlines()]


def chapters(root):
    """The chapters: assignments lie in a folder below, and follow rules of their own (tests/course)."""
    return [path for path in tracked(root, "notebooks/*.ipynb") if path.parent.name == "notebooks"]


def test_the_lock_satisfies_the_project(lock, direct):
    for requirement in direct:
        assert requirement.specifier.contains(lock[requirement.name.lower()]), requirement
    assert not [name for name in lock if name.startswith("nvidia")]


def test_the_lock_is_installed(lock):
    from importlib.metadata import PackageNotFoundError, version

    differ = {}
    for name, pinned in lock.items():
        try:
            found = version(name).split("+")[0]
        except PackageNotFoundError:
            found = None
        if found != pinned:
            differ[name] = (pinned, found)
    assert not differ


def test_environment_yml_repeats_the_lock(root, lock, direct):
    from rattler import MatchSpec

    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    for spec in conda:
        MatchSpec(spec, strict=True)
    (pip,) = [spec["pip"] for spec in environment["dependencies"] if isinstance(spec, dict)]
    assert (pip[0], pip[-1]) == ("--constraint requirements.lock", "--editable .")
    assert pip[1:-1] == [f"{r.name.lower()}=={lock[r.name.lower()]}" for r in direct]


def test_citation_and_package_agree(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"] == "Apache-2.0"


def test_types_are_shipped(root):
    tool = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    assert "py.typed" in tool["setuptools"]["package-data"]["maxmin_core"] and (root / "maxmin_core/py.typed").is_file()


def test_import_is_light():
    code = (
        "import sys\n"
        "import maxmin_core\n"
        "from maxmin_core import alignment, data, preferences, theory\n"
        "from maxmin_core.book import claims\n"
        "heavy = {'torch', 'transformers', 'trl', 'pandas', 'seaborn', 'matplotlib', 'gymnasium', 'papermill'}\n"
        "heavy |= {'scipy.stats', 'scipy.optimize'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def lint_imports(root, folder):
    """Hold the contracts of pyproject.toml against the package in `folder`; return the finished process."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", root / "pyproject.toml"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_imports_keep_their_contracts(root):
    done = lint_imports(root, root)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("alignment/welfare.py", "import torch", "The science knows neither language models nor pages"),
        ("alignment/welfare.py", "import torch", "torch and its kin live in lm alone"),
        ("book/claims.py", "import transformers", "torch and its kin live in lm alone"),
        ("preferences/comparisons.py", "from ..book import claims", "The science knows neither"),
        ("navigation.py", "from .lm import settings", "The science knows neither"),
        ("alignment/policies.py", "from ..theory import mismatch", "Imports run downwards"),
        ("preferences/comparisons.py", "from .. import solve", "Imports run downwards"),
        ("theory/gaps.py", "from ..alignment import _dual", "A private module is its wing's own"),
        ("lm/settings.py", "import matplotlib", "What draws and runs pages lives in book alone"),
        ("book/site.py", "import nbgrader", "nbgrader and what it is made of live in course alone"),
        ("lm/settings.py", "from ..course import judging", "Imports run downwards"),
        ("audit/whole.py", "import torch", "torch and its kin live in lm alone"),
        ("theory/gaps.py", "from ..audit import whole", "The science knows neither"),
        ("wing/__init__.py", "import numpy", "Imports run downwards"),
    ],
)
def test_a_contract_is_broken(root, tmp_path, file, line, broken):
    shutil.copytree(root / "maxmin_core", tmp_path / "maxmin_core", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "maxmin_core" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    done = lint_imports(root, tmp_path)
    assert done.returncode == 1
    assert re.search(rf"{broken}.* BROKEN", done.stdout), done.stdout


def test_public_names_exist_and_are_documented(root):
    modules = core_modules(root)
    assert len(modules) > 40
    for name in modules:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            assert not callable(value) or value.__doc__, f"{name}: {public} has no docstring"


ROOMS = (
    "alignment",
    "audit",
    "book",
    "cli",
    "course",
    "data",
    "intervals",
    "lm",
    "navigation",
    "preferences",
    "theory",
)
SCIENCE = ("alignment", "data", "intervals", "navigation", "preferences", "theory")


def signatures(root, room):
    """Every public function, method and property of a room: its name, the function, the docstring that explains it."""
    for module_name in core_modules(root):
        if f"{module_name}.".startswith(f"maxmin_core.{room}.") and "._" not in module_name:
            module = importlib.import_module(module_name)
            for name in getattr(module, "__all__", ()):
                value = getattr(module, name)
                if not getattr(value, "__module__", "").startswith(f"maxmin_core.{room}"):
                    continue
                if inspect.isfunction(value):
                    yield f"{module_name}.{name}", value, value.__doc__
                elif inspect.isclass(value):
                    if "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
                        yield f"{module_name}.{name}", value.__init__, value.__doc__
                    for part, member in vars(value).items():
                        function = getattr(member, "fget", getattr(member, "__func__", getattr(member, "func", member)))
                        if not part.startswith("_") and inspect.isfunction(function):
                            # What a class takes over from its base is explained there.
                            bases = [getattr(base, part, None) for base in value.__mro__]
                            text = "\n".join(filter(None, (getattr(base, "__doc__", "") for base in bases)))
                            yield f"{module_name}.{name}.{part}", function, function.__doc__ and text


@pytest.mark.parametrize("room", ROOMS)
def test_public_signatures_are_annotated(root, room):
    found = list(signatures(root, room))
    assert found
    for name, function, _ in found:
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        bare = [p.name for p in parameters if p.annotation is p.empty]
        assert not bare, f"{name}: no type for {', '.join(bare)}"
        assert function.__name__ == "__init__" or signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize("room", ROOMS)
def test_every_argument_is_explained_where_it_stands(root, room):
    for name, function, text in signatures(root, room):
        assert text, name
        for parameter in inspect.signature(function).parameters:
            if parameter not in ("self", "cls") and not parameter.startswith("_"):
                assert re.search(rf"(?m)^ *[\\*]*{parameter}( : \S|$)", text), f"{name}: {parameter}"


@pytest.mark.parametrize("room", SCIENCE)
def test_the_science_comes_with_examples(root, room):
    face = importlib.import_module(f"maxmin_core.{room}")
    for name in face.__all__:
        value = getattr(face, name)
        assert not callable(value) or ">>>" in value.__doc__, f"{room}.{name} has no example"


def test_files_stay_short(root):
    # A list of wrong answers is data.
    code = [path for path in tracked(root, "*.py") if not path.name.endswith("_wrong.py")]
    assert not {path.name: n for path in code if (n := len(path.read_text().splitlines())) > 350}


def test_folders_are_those_that_the_readme_names(root):
    named = set(
        re.findall(r"`([.\w]+)/(?:`|\w)", (root / "README.md").read_text(encoding="utf-8").split("## What is here")[1])
    )
    found = {path.relative_to(root).parts[0] for path in tracked(root, "*/*")}
    assert found <= named | {".ci"}, found - named


def test_the_repository_stays_under_7_mb(root):
    assert sum(path.stat().st_size for path in tracked(root, "*") if path.is_file()) < 7e6


def test_notebooks_are_stored_clean(root):
    notebooks = chapters(root)
    assert notebooks
    for path in notebooks:
        notebook = json.loads(path.read_text())
        cells = notebook["cells"]
        assert re.match(r"# \S", "".join(cells[0]["source"])) and len(cells[0]["source"]) == 1, path
        assert len({cell["id"] for cell in cells}) == len(cells), path
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]], path
        if path.parent.name == "assignments":
            continue
        assert notebook["metadata"]["maxmin"]["question"].endswith("?"), path
        (parameters,) = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
        assert "".join(parameters["source"]) == 'profile = "cpu"\nseed = 0', path


def test_chapters_do_not_redefine_the_core(root):
    public = set().union(*(getattr(importlib.import_module(name), "__all__", ()) for name in core_modules(root)))
    assert {"solve", "fit_mixture", "GroupReward", "falsify"} <= public
    for path in chapters(root):
        code = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        defined = {
            n.name for n in ast.walk(ast.parse("\n".join(code))) if isinstance(n, ast.FunctionDef | ast.ClassDef)
        }
        assert not defined & public, path


def test_nothing_unsafe(root):
    unsafe = re.compile(r"\bpickle\b|trust_remote_code\s*=\s*True|allow_pickle\s*=\s*True|yaml\.load\(")
    for path in [*tracked(root, "maxmin_core/*.py"), *tracked(root, "notebooks/*.ipynb")]:
        assert not unsafe.search(path.read_text()), path


def test_ci_calls_the_two_commands(root):
    script = (root / ".ci" / "run").read_text()
    assert re.search(r"^make book$", script, re.M) and re.search(r"^make test$", script, re.M)
    readme = (root / "README.md").read_text()
    assert "make book" in readme and "make test" in readme


def test_every_benchmark_says_what_is_promised(root):
    paths = sorted((root / "tests" / "benchmarks").glob("test_*.py"))
    assert len(paths) >= 6
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert "benchmark.extra_info['promised'] = " in ast.unparse(node), f"{path.name}: {node.name}"


def test_benchmarks_print_promised_beside_measured(root, tmp_path):
    shutil.copy(root / "tests" / "benchmarks" / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(
        "def test_sum(benchmark):\n    benchmark.extra_info.update({'promised': 'an hour', 'times': 1234.5})\n"
        "    benchmark.pedantic(sum, args=([1, 2],), rounds=3)\n"
    )
    command = [sys.executable, "-m", "pytest", "--benchmark-quiet", "-p", "no:cacheprovider", "test_one.py"]
    # A run beside others would measure nothing.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    # Nothing is slow enough to fail.
    assert done.returncode == 0, done.stdout
    assert re.search(r"^test_sum +an hour +\d+(\.\d+)? [num]?s; times 1234$", done.stdout, re.M), done.stdout


def test_make_help_lists_every_target(root):
    printed = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    for target in ("book", "check", "test", "serve", "clean", "lock", "help"):
        assert f"make {target} " in printed


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "requirements.lock").unlink(), "requirements.lock: expected the lock file, got none"),
        (lambda folder: None, "make: expected Python 3.11, 3.12 or 3.13, got 3.8"),
    ],
)
def test_make_names_what_is_missing(root, tmp_path, prepare, message):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path / name)
    prepare(tmp_path)
    # A stand-in for an old interpreter: it runs the check under another version number.
    old = tmp_path / "python3.8"
    check = "import sys; sys.version_info = (3, 8, 0); exec(sys.argv[2])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{check}" "$@"\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "book", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and message in done.stderr
    assert not (tmp_path / ".venv").exists()
