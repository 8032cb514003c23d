"""A student's notebook in a process of its own, which sees no other file, no network, and answers with plain data.

What it protects from, and what not, stands in the book's page for lecturers.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ._wire import WireError, decode, encode
from ._worker import send
from .judging import AnswerError

__all__ = ["Cell", "Limits", "Sandbox", "not_isolated"]

_JAIL = Path(__file__).with_name("_jail.py")
_LARGEST = 32 << 20
_LARGEST_FILE = 64 << 20
# Those of _jail.py; importing it needs Linux.
_NOT_ISOLATED, _TOO_MUCH_MEMORY = 97, 98


@dataclass(frozen=True)
class Limits:
    """Hold what a notebook may take.

    Parameters
    ----------
    call : float
        Seconds for one answer.
    cell : float
        Seconds for one cell.
    total : float
        Seconds for everything, starts included.
    memory_mib : int
        Memory of all its processes together, in MiB; one process may reserve twice as much address space.
    disk_mib : int
        What it may write in each of its three folders (all of them in memory), in MiB.
    processes : int
        Processes and threads at a time.

    Examples
    --------
    >>> Limits(call=5).total
    300
    """

    call: float = 20
    cell: float = 60
    total: float = 300
    memory_mib: int = 4096
    disk_mib: int = 64
    processes: int = 64


@dataclass(frozen=True)
class Cell:
    """Hold a cell of code.

    Parameters
    ----------
    label : str
        The task that it answers, or what it is.
    source : str
        Its text.

    Examples
    --------
    >>> Cell("fit", "def fit(): ...").label
    'fit'
    """

    label: str
    source: str


@cache
def not_isolated() -> str:
    """Say why a notebook cannot be isolated here; empty where it can.

    Returns
    -------
    str
    """
    if sys.platform != "linux":
        return "isolation needs Linux (in Windows: inside of WSL)"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            _command(Path(folder), {}, Limits(), [sys.executable, "-I", "-S", "-c", ""], ()),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split()[-12:])
    return f"this system does not let {'root' if os.getuid() == 0 else 'users'} make namespaces ({said})"


def _command(folder, files, limits, program, hidden):
    """Return the command that starts a program in isolation; its settings are written into a folder."""
    package = str(Path(__file__).resolve().parents[1])
    # A link in the path of the interpreter must lead somewhere in there, too.
    python = {sys.executable, os.path.realpath(sys.executable)}
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"]
    devices = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]
    shown = [*system, *devices]
    for path in sorted({*prefixes, *python, package}, key=len):
        if not any(path == seen or path.startswith(f"{seen}/") for seen in shown):
            shown.append(path)
    root = folder / "root"
    root.mkdir(exist_ok=True)
    settings = {
        "root": str(root),
        "shown": shown,
        "hidden": [str(Path(path).resolve()) for path in hidden],
        "files": {name: str(path) for name, path in files.items()},
        # Each judge at work has a user of its own, whose processes are counted.
        "uid": 60000 + os.getpid() % 5000,
        "memory_mib": limits.memory_mib,
        "disk_mib": limits.disk_mib,
        "processes": limits.processes,
        "seconds": int(limits.total) + 1,
        "environment": _environment(package, "/tmp"),
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return [sys.executable, "-I", "-S", str(_JAIL), str(folder / "settings.json"), *program]


def _environment(package, home):
    """What a student's code finds in its environment: nothing of the lecturer's."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(package).parent),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        **dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), home),
    }


class _Ended(Exception):
    """The process has gone, or did not answer in time."""


@dataclass
class Sandbox:
    """Ask a notebook that runs in a process of its own: an `Ask` for judges.

    The process starts with the first question, and starts again for the next one where a question has ended it. A cell
    that ended it is left out then.

    Parameters
    ----------
    cells : sequence of Cell
        The notebook's code, in its order.
    files : Mapping of str to Path
        What was handed in beside the notebook: the code finds copies in its folder.
    limits : Limits
        What it may take.
    isolated : bool
        Whether it must not see the machine. Without isolation, limits hold where the system knows them.
    hidden : sequence of Path
        Folders that stay out of sight even where they lie below the Python installation.
    """

    cells: Sequence[Cell]
    files: dict[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()
    isolated: bool = True
    hidden: Sequence[Path] = ()

    def __post_init__(self) -> None:
        self.errors: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._left_out: set[int] = set()
        self._ends: float | None = None
        self._folder: Any = None
        self._requests = self._answers = -1

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call the notebook's function ``name``; errors and broken limits are an ``AnswerError``."""
        return self._answer(name, list(arguments))

    def value(self, name: str) -> Any:
        """Return the notebook's variable ``name``."""
        return self._answer(name, None)

    def file(self, name: str) -> bytes:
        """Return a file that was handed in beside the notebook."""
        if name not in self.files:
            raise AnswerError(f"{name}: this file was not handed in")
        if self.files[name].stat().st_size > _LARGEST_FILE:
            raise AnswerError(f"{name}: this file is larger than {_LARGEST_FILE >> 20} MiB")
        return self.files[name].read_bytes()

    def public(self, name: str, source: str) -> list[tuple[bool, str]]:
        """Run public checks statement by statement; return for each whether it is a check, and what is wrong."""
        self._started(name)
        told = self._asked({"do": "run", "label": name, "source": source, "every": True}, self.limits.cell, name)
        return [(bool(check), _said(error) if error else "") for check, error in told["told"]]

    def close(self) -> None:
        """End the process; what it wrote is gone."""
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _answer(self, name, arguments):
        self._started(name)
        found = self._asked({"do": "ask", "name": name, "arguments": arguments}, self.limits.call, name)
        if not isinstance(found, dict):
            raise AnswerError(f"{name}: the notebook's process does not answer as agreed")
        if "answer" in found:
            return found["answer"]
        if "strange" in found:
            raise AnswerError(f"{name}: the answer is {_short(found['strange'])}")
        if found.get("absent"):
            told = self.errors.get(name)
            raise AnswerError(f"{name}: its cell stops with {told}" if told else f"{name}: this name is not defined")
        error = found.get("error") or {}
        if error.get("type") == "NotImplementedError":
            raise AnswerError(f"{name}: not written yet")
        # The message may hold what was asked, so it is not passed on; where it arose is.
        place = f" in line {error['line']} of its cell" if isinstance(error.get("line"), int) else ""
        raise AnswerError(f"{name}: it stops with {_short(error.get('type'), 40)}{place}")

    def _started(self, name):
        if self._process is None:
            try:
                self._start()
            except _Ended as error:
                self._stop()
                raise AnswerError(f"{name}: {error}") from error

    def _asked(self, request, seconds, name):
        try:
            return self._exchange(request, seconds)
        except _Ended as error:
            self._stop()
            raise AnswerError(f"{name}: {error}") from error

    def _start(self):
        if self._ends is None:
            self._ends = time.monotonic() + self.limits.total
        while True:
            self._launch()
            for number, cell in enumerate(self.cells):
                if number in self._left_out:
                    continue
                request = {"do": "run", "label": cell.label, "source": cell.source, "every": False}
                try:
                    found = self._exchange(request, self.limits.cell)
                except _Ended as error:
                    if time.monotonic() > self._ends:
                        raise
                    self._left_out.add(number)
                    self.errors[cell.label] = f"this: {error}"
                    self._stop()
                    break
                error = found.get("told") if isinstance(found, dict) else None
                if error and error.get("type") != "NotImplementedError":
                    self.errors[cell.label] = _said(error)
            else:
                return

    def _launch(self):
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="maxmin-")
        folder = Path(self._folder.name)
        ask, self._requests = os.pipe()
        self._answers, tell = os.pipe()
        program = [sys.executable, "-m", "maxmin_core.course._worker", str(ask), str(tell)]
        more: dict[str, Any] = {"cwd": folder}
        if self.isolated:
            program = _command(folder, self.files, self.limits, program, self.hidden)
        else:
            more["env"] = _environment(str(Path(__file__).resolve().parents[1]), str(folder))
            for name, path in self.files.items():
                (folder / name).write_bytes(path.read_bytes())
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            program, stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=(ask, tell), start_new_session=True, **more
        )
        os.close(ask)
        os.close(tell)
        self._receive(60)

    def _exchange(self, request, seconds):
        try:
            send(self._requests, encode(request))
        except BrokenPipeError:
            raise _Ended(self._why()) from None
        return self._receive(seconds)

    def _receive(self, seconds):
        """Read a message, whose size is looked at first, until the time is up."""
        assert self._ends is not None
        until = min(time.monotonic() + seconds, self._ends)
        size, got = None, bytearray()
        while size is None or len(got) < size:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                used = time.monotonic() >= self._ends
                raise _Ended(f"the time is up ({self.limits.total:g} s in all)" if used else f"no end in {seconds:g} s")
            part = os.read(self._answers, min(1 << 20, 8 if size is None else size - len(got)))
            if not part:
                raise _Ended(self._why())
            got += part
            if size is None and len(got) >= 8:
                size = int.from_bytes(got[:8], "big")
                got = got[8:]
                if size > _LARGEST:
                    raise _Ended(f"the answer is larger than {_LARGEST >> 20} MiB")
        try:
            return decode(bytes(got))
        except WireError as error:
            raise _Ended("the notebook's process does not answer as agreed") from error

    def _why(self):
        """Say why the process has ended."""
        assert self._process is not None
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the notebook's process closed its channel"
        if status == _TOO_MUCH_MEMORY:
            return f"more than {self.limits.memory_mib} MiB of memory"
        if status == _NOT_ISOLATED:
            return "the notebook could not be isolated"
        return "the notebook's process was ended from inside (exit, a crash, or out of memory)"

    def _stop(self):
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            if not self.isolated:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, 9)
            self._process.wait()
            os.close(self._requests)
            os.close(self._answers)
            self._process = None


def _said(error):
    """Say what an error of a cell was, on one line."""
    if not isinstance(error, dict):
        return "something that is no error"
    text = f"{_short(error.get('type'), 40)}: {_short(error.get('text'))}".removesuffix(": ")
    return text + (f" (line {error['line']} of its cell)" if isinstance(error.get("line"), int) else "")


def _short(text, most=200):
    """Make what a student's process says one printable line."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:most].strip()
