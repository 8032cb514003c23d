"""Running a chapter through papermill: its notebook, its metrics and its log, or an error that names the cell."""

import datetime
import json
import logging
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import read_json, write_json, write_whole
from .._places import writable
from . import require_book
from ._notebook import cell_source, error_of, named, read_notebook, stopped_at, without_markers
from ._recording import METRICS_VARIABLE, PROFILES
from ._sockets import short_folder

if TYPE_CHECKING:
    from .chapters import Chapter

__all__ = ["QUIET", "ChapterError", "execute", "hardware", "made_by", "run"]

# What other libraries would print into the pages, progress of every file and warnings of their own deprecations, is
# turned off by these environment variables.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning:transformers.modeling_utils,ignore:IProgress not found",
}

# What the report prints the version of.
_PACKAGES = (
    *("numpy", "scipy", "pandas", "matplotlib", "seaborn", "choix", "papermill", "jupyter-book", "snakemake"),
    *("torch", "transformers", "trl"),
)


class ChapterError(Exception):
    """A chapter failed: the message names the notebook, the cell and the error."""


def run(chapter: "Chapter", profile: str, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Execute a chapter, and keep its notebook, its metrics and its log.

    Notebook and metrics appear only when every cell has run; a failed notebook is kept beside the log.

    Parameters
    ----------
    chapter : Chapter
        What to execute.
    profile : str
        How much to compute, one of `maxmin_core.book.claims.PROFILES`.
    folder : Path
        Where the results go: ``notebooks/``, ``metrics/``, ``logs/``, and in ``made/`` the name of the code that made
        them.
    seed : int, optional
        Of everything random.

    Returns
    -------
    dict
        The metrics: chapter, title, profile, seed, seconds, date, hardware, versions, the data that were not there, and
        the recorded claims.

    Raises
    ------
    ValueError
        On an unknown profile, or a folder that cannot be written to.
    ChapterError
        When a cell fails or the kernel dies; names chapter, cell and error.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {profile!r}")
    logs, made = folder / "logs", made_by(chapter, folder)
    lacks = chapter.lacks()
    for place in (logs, made.parent, folder / "metrics", folder / "notebooks"):
        writable(place, "results")
        place.mkdir(parents=True, exist_ok=True)
    for other in made.parent.glob(f"{chapter.number}-*"):
        other.unlink()
    claims = folder / "metrics" / f".{chapter.number}.{os.getpid()}.claims.json"
    claims.unlink(missing_ok=True)
    started = time.perf_counter()
    try:
        with (
            _environment({METRICS_VARIABLE: str(claims.resolve()), **_absolute("MAXMIN_DATA")}),
            write_whole(folder / "notebooks" / chapter.path.name) as partial,
        ):
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
            "packages": _versions(),
            "lacks": list(lacks),
            "claims": read_json(claims) if claims.exists() else {},
        }
        write_json(folder / "metrics" / f"{chapter.number}.json", metrics)
    finally:
        # With what a process of the chapter left that was killed while it recorded.
        for left in claims.parent.glob(f"*{claims.stem}*"):
            left.unlink(missing_ok=True)
    made.touch()
    return metrics


def made_by(chapter: "Chapter", folder: Path) -> Path:
    """Return the file that says that a chapter's results are of the present code: it is there, or they are not.

    Parameters
    ----------
    chapter : Chapter
        Whose results.
    folder : Path
        Where the results are, such as ``_build/cpu``.

    Returns
    -------
    Path
        In ``made/``; the name holds the chapter's fingerprint.
    """
    return folder / "made" / f"{chapter.number}-{chapter.fingerprint()}"


def execute(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, Any],
    log: Path,
    failed: Path,
    timeout: int = 3600,
) -> None:
    """Execute a notebook from top to bottom in a fresh kernel.

    Parameters
    ----------
    source : Path
        The notebook; it is not changed.
    target : Path
        Where the executed notebook goes.
    parameters : mapping of str to object
        What the cell tagged ``parameters`` is overridden with.
    log : Path
        Where the output of the cells goes.
    failed : Path
        Where the notebook goes, as far as it came, when it fails.
    timeout : int, optional
        Seconds that one cell may take.

    Raises
    ------
    ChapterError
        When a cell fails, takes too long or ends the run, or when the kernel dies; names notebook, cell and error.
    """
    require_book("papermill", "ipykernel")
    notebook = read_notebook(source)
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # A kernel of the same name in the reader's home must not win over this environment's.
    settings = {name: os.environ.get(name, value) for name, value in {"JUPYTER_PREFER_ENV_PATH": "1", **QUIET}.items()}
    # Sockets in a folder of this run's own: nothing listens on the network, and two chapters cannot meet.
    folder = tempfile.TemporaryDirectory(prefix="maxmin-", dir=short_folder(len("/maxmin-12345678/kernel-1")))
    with _environment(settings), _logged(log), folder as own:
        whole = Path(own) / "notebook.ipynb"
        write_json(whole, notebook)

        def failure(message):
            return ChapterError(_failure(source, notebook, target, failed, message))

        try:
            papermill.execute_notebook(
                whole,
                # Papermill would put parameters in for what stands in braces.
                str(target).replace("{", "{{").replace("}", "}}"),
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                cwd=source.parent,
                progress_bar=False,
                log_output=True,
                start_timeout=120,
                execution_timeout=timeout,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{own}/kernel"}}),
            )
        except PapermillExecutionError as error:
            executed = read_json(target)
            if message := error_of(executed):
                raise failure(message) from error
            target.write_text(json.dumps(without_markers(executed), indent=1) + "\n", encoding="utf-8")
        except DeadKernelError as error:
            raise failure("the kernel died (killed, or out of memory)") from error
        except CellTimeoutError as error:
            raise failure(f"the cell ran longer than {timeout} s") from error
        except RuntimeError as error:
            raise failure(str(error)) from error
        if _left(read_json(target)):
            raise failure("the run ended before the last cell")


def _absolute(name):
    """The environment variable as an absolute path, where it is set: a chapter runs in another folder."""
    return {name: str(Path(os.environ[name]).resolve())} if os.environ.get(name) else {}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the kernels that are started meanwhile, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what papermill logs into a file, and there alone."""
    logger, handler = logging.getLogger("papermill"), logging.FileHandler(path, mode="w", encoding="utf-8")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.close()


def _versions():
    """The packages that are installed; a chapter without language models runs without theirs."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    """Return processor, cores and memory of this machine in one line.

    Returns
    -------
    str

    Examples
    --------
    >>> "cores" in hardware()
    True
    """
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        named = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        model = named.group(1) if named else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def _left(executed):
    """Tell whether a run ended before the last cell, as sys.exit() makes it."""
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code" and cell_source(cell).strip()]
    return any(
        cell["execution_count"] is None and "skip-execution" not in cell["metadata"].get("tags", ()) for cell in code
    )


def _failure(source, notebook, target, failed, message):
    """Keep the failed notebook and return one line: notebook, cell, error, where the copy is."""
    if not target.exists():
        return f"{source.name}, before the first cell: {message}"
    executed = read_json(target)
    place = stopped_at(executed)
    cell = "before the first cell" if place is None else named(notebook, executed["cells"][place])
    try:
        # The copy may be on another file system than the run.
        shutil.move(target, failed)
        kept = f"see {failed}"
    except OSError as error:
        # Where nothing can be written, the cell's error still has to be told.
        kept = f"{failed} could not be written: {error.strerror or error}"
    return f"{source.name}, {cell}: {message}; {kept}"
