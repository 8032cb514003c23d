"""Chapters: find them, know what they depend on, run them through papermill."""

import ast
import datetime
import itertools
import json
import logging
import os
import platform
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from .._files import read_json, write_json, write_whole
from .claims import METRICS_VARIABLE, PROFILES

__all__ = [
    "PROFILES",
    "Chapter",
    "ChapterError",
    "all_chapters",
    "execute",
    "find_chapter",
    "find_root",
    "read_metrics",
    "run",
]

# What other libraries would print into the pages: progress of every file, warnings of their own deprecations.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning:transformers.modeling_utils,ignore:IProgress not found",
}

PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn", "choix", "papermill", "jupyter-book", "snakemake")
PACKAGES += ("torch", "transformers", "trl")


class ChapterError(Exception):
    """A chapter failed: the message names the notebook, the cell and the error."""


@dataclass(frozen=True)
class Chapter:
    """Hold one executable chapter: its number ('01') and its notebook."""

    number: str
    path: Path

    @property
    def title(self):
        """The notebook's first heading."""
        heading = re.match(r"#\s+(.+)", _source(_cells(self.path)[0]))
        if not heading:
            raise ValueError(f"{self.path}: expected a first cell with the title, '# ...'")
        return heading.group(1).strip()

    @property
    def question(self):
        """The question that the chapter answers, from the notebook's metadata."""
        question = read_json(self.path)["metadata"].get("maxmin", {}).get("question")
        if not question:
            raise ValueError(f'{self.path}: expected {{"maxmin": {{"question": ...}}}} in the notebook\'s metadata')
        return question

    @property
    def needs_runs(self):
        """Whether the chapter shows the language-model runs: {"maxmin": {"runs": true}} in the notebook's metadata."""
        return bool(read_json(self.path)["metadata"].get("maxmin", {}).get("runs"))

    def dependencies(self):
        """Return the files of `maxmin_core` that the notebook imports, followed through their own imports, sorted."""
        package = Path(__file__).parents[1]
        code = (_source(cell) for cell in _cells(self.path) if cell["cell_type"] == "code")
        plain = "\n".join(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source) for source in code)
        try:
            found, pending = set(), [(ast.parse(plain), None)]
        except SyntaxError:
            # A cell that is no plain Python: depend on everything, and let the run name the cell if it is broken.
            return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        while pending:
            tree, module = pending.pop()
            for file in _imported_files(tree, package, module):
                if file in found:
                    continue
                found.add(file)
                if file.suffix == ".py":
                    pending.append((ast.parse(file.read_text(encoding="utf-8")), file))
        return sorted(found)


def find_root(start=None):
    """Return the project's folder: the first of `start` (default: here) and its parents with a ledger and notebooks."""
    start = Path(start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "book" / "claims.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise ValueError(f"expected to run inside the project's folder (book/claims.yml, notebooks/), got {start}")


def all_chapters(root):
    """Return every chapter in `notebooks/`, NN_name.ipynb, in order."""
    chapters = [Chapter(path.name[:2], path) for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
    for one, two in itertools.pairwise(chapters):
        if one.number == two.number:
            raise ValueError(f"notebooks: expected one of each number, got {one.path.name} and {two.path.name}")
    return chapters


def find_chapter(root, number):
    """Return the chapter of that number, '01' or '1'; ValueError that lists the chapters otherwise."""
    known = {chapter.number: chapter for chapter in all_chapters(root)}
    if number.zfill(2) not in known:
        raise ValueError(f"chapter: expected one of {', '.join(known)}, got {number!r}")
    return known[number.zfill(2)]


def run(chapter, profile, folder, seed=0):
    """Execute a chapter and write its notebook, metrics and log under `folder`; return the metrics.

    The notebook and the metrics appear only when every cell has run. A failed notebook is kept beside the log.

    Raises
    ------
    ValueError
        On an unknown profile.
    ChapterError
        When a cell fails or the kernel dies; names chapter, cell and error.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {profile!r}")
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    claims = folder / "metrics" / f".{chapter.number}.{os.getpid()}.claims.json"
    claims.parent.mkdir(parents=True, exist_ok=True)
    claims.unlink(missing_ok=True)
    os.environ[METRICS_VARIABLE] = str(claims.resolve())
    started = time.perf_counter()
    try:
        with write_whole(folder / "notebooks" / chapter.path.name) as partial:
            execute(
                chapter.path,
                partial,
                parameters={"profile": profile, "seed": seed},
                log=logs / f"{chapter.number}.log",
                failed=logs / f"{chapter.number}.failed.ipynb",
            )
        metrics = {
            "chapter": chapter.number,
            "title": chapter.title,
            "profile": profile,
            "seed": seed,
            "seconds": round(time.perf_counter() - started, 1),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "hardware": hardware(),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
            "claims": read_json(claims) if claims.exists() else {},
        }
        write_json(folder / "metrics" / f"{chapter.number}.json", metrics)
    finally:
        del os.environ[METRICS_VARIABLE]
        claims.unlink(missing_ok=True)
    return metrics


def execute(source, target, *, parameters, log, failed, timeout=3600):
    """Execute the notebook `source` from top to bottom into `target`; ChapterError names the cell that failed."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # A kernel of the same name in the reader's home must not win over this environment's.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    logger = logging.getLogger("papermill")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # Sockets in a folder of this run's own: nothing listens on the network, and two chapters cannot meet.
    with tempfile.TemporaryDirectory(prefix="maxmin-") as sockets:
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=parameters,
                kernel_name="python3",
                cwd=source.parent,
                progress_bar=False,
                log_output=True,
                start_timeout=120,
                execution_timeout=timeout,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
            )
        except PapermillExecutionError as error:
            message = f"{error.ename}: {error.evalue}"
            raise ChapterError(_failure(source, target, failed, message)) from error
        except DeadKernelError as error:
            message = "the kernel died (killed, or out of memory)"
            raise ChapterError(_failure(source, target, failed, message)) from error
        except CellTimeoutError as error:
            raise ChapterError(_failure(source, target, failed, f"the cell ran longer than {timeout} s")) from error
        except RuntimeError as error:
            raise ChapterError(_failure(source, target, failed, str(error))) from error
        else:
            _refuse_skipped_cells(source, target, failed)
        finally:
            logger.removeHandler(handler)
            handler.close()


def read_metrics(folder):
    """Return the metrics of every chapter that was run into `folder`, in order."""
    return [read_json(path) for path in sorted((folder / "metrics").glob("[0-9][0-9].json"))]


def hardware():
    """Return processor, cores and memory of this machine in one line."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        named = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        model = named.group(1) if named else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def _refuse_skipped_cells(source, target, failed):
    """Raise ChapterError when the run ended before the last cell, as sys.exit() makes it."""
    code = [cell for cell in _cells(target) if cell["cell_type"] == "code" and _source(cell).strip()]
    if any(cell["execution_count"] is None for cell in code):
        raise ChapterError(_failure(source, target, failed, "the run ended before the last cell"))


def _failure(source, target, failed, message):
    """Keep the failed notebook and return one line: notebook, cell, error, where the copy is."""
    cells = read_json(target)["cells"] if target.exists() else []
    status = [cell["metadata"].get("papermill", {}).get("status") for cell in cells]
    # A cell whose kernel died is not marked as failed, but it is the last that was started.
    started = [
        i for i, state in enumerate(status) if state not in (None, "pending") and cells[i]["cell_type"] == "code"
    ]
    at = status.index("failed") if "failed" in status else max(started, default=None)
    if target.exists():
        # The copy may be on another file system than the run.
        shutil.move(target, failed)
    place = "before the first cell"
    if at is not None:
        ids = [cell["id"] for cell in _cells(source)]
        lines = [line for line in _source(cells[at]).splitlines() if line.strip()]
        number = ids.index(cells[at]["id"]) + 1 if cells[at]["id"] in ids else "with the parameters"
        place = f"cell {number} ({lines[0].strip() if lines else 'empty'})"
    return f"{source.name}, {place}: {message}; see {failed}"


def _cells(path):
    return read_json(path)["cells"]


def _source(cell):
    return "".join(cell["source"])


def _imported_files(tree, package, module):
    """Yield the package's files that a module's (or a notebook's) syntax tree imports, data files included."""
    inside = module is not None
    if inside:
        # A module reads the data files that it names; a package, all that lie in its folder.
        if module.name == "__init__.py" and module.parent != package:
            yield from (file for file in module.parent.iterdir() if file.suffix in (".csv", ".json", ".yml"))
        text = json.dumps(
            [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        )
        yield from (
            file for file in module.parent.iterdir() if file.suffix in (".js", ".css") and f'"{file.name}"' in text
        )
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level and inside:
                home = module.parent.relative_to(package.parent).parts
                base = ".".join([*home[: len(home) - node.level + 1], *filter(None, [base])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for parts in (name.split(".") for name in names if name.split(".")[0] == package.name):
            stems = [package.parent.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
            candidates = (file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py"))
            yield from (file for file in candidates if file.is_file())
