"""A student's notebook in a process of its own, which sees no other file, no network, and answers with plain data.

What it protects from, and what not, stands in the book's page for lecturers.
"""

import contextlib
import os
import secrets
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._wire import WireError, from_message, to_message
from ._worker import send
from .isolation import NOT_ISOLATED, TOO_MUCH_MEMORY, Limits, command, environment
from .judging import AnswerError

__all__ = ["Cell", "Sandbox"]

_LARGEST = 32 << 20
_LARGEST_FILE = 64 << 20


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
    limited : bool
        Whether memory and processor time are limited where it is not isolated.
    """

    cells: Sequence[Cell]
    files: dict[str, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    isolated: bool = True
    hidden: Sequence[Path] = ()
    limited: bool = True

    def __post_init__(self) -> None:
        self.errors: dict[str, str] = {}
        self.left_out: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._left_out: set[int] = set()
        self._ends: float | None = None
        self._folder: Any = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call the notebook's function ``name``; errors and broken limits are an ``AnswerError``."""
        return self._answer(name, list(arguments))

    def value(self, name: str) -> Any:
        """Return the notebook's variable ``name``.

        Parameters
        ----------
        name : str
            Which.
        """
        return self._answer(name, None)

    def file(self, name: str) -> bytes:
        """Return a file that was handed in beside the notebook.

        Parameters
        ----------
        name : str
            Which.
        """
        if name not in self.files:
            raise AnswerError(f"{name}: this file was not handed in")
        if self.files[name].stat().st_size > _LARGEST_FILE:
            raise AnswerError(f"{name}: this file is larger than {_LARGEST_FILE >> 20} MiB")
        return self.files[name].read_bytes()

    def public(self, name: str, source: str) -> list[tuple[bool, str]]:
        """Run public checks statement by statement; return for each whether it is a check, and what is wrong.

        Parameters
        ----------
        name : str
            The task.
        source : str
            The cell of its public checks.
        """
        self._started(name)
        found = self._asked({"do": "run", "label": name, "source": source, "every": True}, self.limits.cell, name)
        return [(bool(check), _said(told) if told else "") for check, told in found["told"]]

    def close(self) -> None:
        """End the process; what it wrote is gone."""
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _answer(self, name, arguments):
        self._started(name)
        found = self._asked({"do": "ask", "name": name, "arguments": arguments}, self.limits.call, name)
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
                    self.left_out.append(f"{cell.label} was left out: {error}")
                    self._stop()
                    break
                told = found.get("told")
                if told and (not isinstance(told, dict) or told.get("type") != "NotImplementedError"):
                    self.errors[cell.label] = _said(told)
            else:
                return

    def _launch(self):
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="maxmin-")
        folder = Path(self._folder.name)
        program = [sys.executable, "-m", "maxmin_core.course._worker"]
        more: dict[str, Any] = {"cwd": folder}
        if self.isolated:
            program = command(folder, self.files, self.limits, program, self.hidden)
        else:
            if self.limited:
                program += [str(self.limits.memory_mib), str(int(self.limits.total) + 1)]
            more["env"] = environment(str(folder))
            for name, path in self.files.items():
                (folder / name).write_bytes(path.read_bytes())
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            **more,
        )
        self._receive(60)

    def _exchange(self, request, seconds):
        token = secrets.token_hex(8)
        try:
            assert self._process is not None and self._process.stdin is not None
            send(self._process.stdin.fileno(), to_message(request | {"token": token}))
        except BrokenPipeError:
            raise _Ended(self._why()) from None
        found = self._receive(seconds)
        # What was written ahead of the question is no answer to it.
        if not isinstance(found, dict) or found.get("token") != token:
            raise _Ended("the notebook's process does not answer as agreed")
        return found

    def _receive(self, seconds):
        """Read a message, whose size is looked at first, until the time is up."""
        assert self._ends is not None and self._process is not None and self._process.stdout is not None
        answers = self._process.stdout.fileno()
        until = min(time.monotonic() + seconds, self._ends)
        size, got = None, bytearray()
        while size is None or len(got) < size:
            left = until - time.monotonic()
            # Windows cannot wait for a pipe with a limit: there, only a student waits for themselves.
            if left <= 0 or (os.name == "posix" and not select.select([answers], [], [], left)[0]):
                used = time.monotonic() >= self._ends
                raise _Ended(f"the time is up ({self.limits.total:g} s in all)" if used else f"no end in {seconds:g} s")
            part = os.read(answers, min(1 << 20, 8 if size is None else size - len(got)))
            if not part:
                raise _Ended(self._why())
            got += part
            if size is None and len(got) >= 8:
                size = int.from_bytes(got[:8], "big")
                got = got[8:]
                if size > _LARGEST:
                    raise _Ended(f"the answer is larger than {_LARGEST >> 20} MiB")
        try:
            return from_message(bytes(got))
        except WireError as error:
            raise _Ended("the notebook's process does not answer as agreed") from error

    def _why(self):
        """Say why the process has ended."""
        assert self._process is not None
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the notebook's process closed its channel"
        if status == TOO_MUCH_MEMORY:
            return f"more than {self.limits.memory_mib} MiB of memory"
        if status == NOT_ISOLATED:
            return "the notebook could not be isolated"
        return "the notebook's process was ended from inside (exit, a crash, or out of memory)"

    def _stop(self):
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            if not self.isolated and os.name == "posix":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, 9)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
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
