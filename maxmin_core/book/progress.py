"""How far a build is, in one line: on a terminal it is redrawn, in a log it comes once a minute at most."""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import IO

__all__ = ["Progress", "follow"]

# What Snakemake says of its plan, and of each part that is done.
_PLANNED = re.compile(r"(chapter|lm|study|pages)(?:_\S+)?\s+(\d+)\s*$")
_FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (chapter|lm|study|pages)")
# What a chapter and the pages say of themselves; all else that is printed goes into the log alone.
_TOLD = re.compile(r"\[(?:\d\d|pages)\] ")
_NAMES = {"lm": "runs", "study": "studies", "chapter": "chapters"}


class Progress:
    """Count what a pipeline does.

    Parameters
    ----------
    clock : callable, optional
        Returns the time in seconds.

    Examples
    --------
    >>> progress = Progress(clock=iter([0.0, 60.0]).__next__)
    >>> for line in ("chapter_01  1", "chapter_02  1", "chapter_03  1", "Finished jobid: 1 (Rule: chapter_02)"):
    ...     _ = progress.read(line)
    >>> progress.line()
    '1 of 3 chapters done, about 2 min left'
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started = clock, clock()
        self.planned: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def read(self, line: str) -> bool:
        """Take in a line of Snakemake's.

        Parameters
        ----------
        line : str
            As it was printed.

        Returns
        -------
        bool
            Whether something was finished.
        """
        if finished := _FINISHED.match(line):
            self.done[finished[1]] = self.done.get(finished[1], 0) + 1
            return True
        if planned := _PLANNED.match(line):
            self.planned[planned[1]] = self.planned.get(planned[1], 0) + int(planned[2])
        return False

    def line(self) -> str:
        """Return how far it is: what is done of how many, and how many minutes are left at the pace so far.

        Returns
        -------
        str
        """
        parts = [
            f"{self.done.get(kind, 0)} of {self.planned[kind]} {name}"
            for kind, name in _NAMES.items()
            if self.planned.get(kind)
        ]
        if not parts:
            return "the pages are left"
        steps, done = sum(self.planned[kind] for kind in _NAMES if kind in self.planned), sum(self.done.values())
        told = ", ".join(parts) + " done"
        if 0 < done < steps:
            minutes = (self._clock() - self._started) / done * (steps - done) / 60
            told += f", about {max(1, round(minutes))} min left"
        return told


def follow(pipeline: "Popen[str]", log: Path, out: IO[str] | None = None, err: IO[str] | None = None) -> list[str]:
    """Read what a pipeline prints until it ends, and tell how far it is.

    Chapters' and pages' own lines and errors are passed on. What else is printed, the lines of solvers and trainers,
    goes into the log.

    Parameters
    ----------
    pipeline : Popen
        With both of its streams piped, as text.
    log : Path
        The file that keeps everything from its standard output.
    out : file, optional
        Where to print how far it is; default: standard output.
    err : file, optional
        Where to print errors; default: standard error.

    Returns
    -------
    list of str
        Every line of its standard error, Snakemake's own included.
    """
    assert pipeline.stdout is not None and pipeline.stderr is not None
    screen = _Screen(out or sys.stdout)
    log.parent.mkdir(parents=True, exist_ok=True)
    reader = threading.Thread(target=_read_out, args=(pipeline.stdout, log, screen), daemon=True)
    reader.start()
    lines, ours, progress = [], False, Progress()
    for line in pipeline.stderr:
        lines.append(line)
        # A message of several lines is indented below its first.
        ours = line.startswith("maxmin: error") or (ours and line.startswith("  "))
        if ours:
            screen.clear()
            print(line, file=err or sys.stderr, end="", flush=True)
        elif progress.read(line):
            screen.progress(f"[build] {progress.line()}")
    reader.join()
    screen.clear()
    return lines


def _read_out(stream, log, screen):
    with open(log, "w", encoding="utf-8") as file:
        for line in stream:
            file.write(line)
            file.flush()
            if _TOLD.match(line):
                screen.told(line.rstrip("\n"))


class _Screen:
    """One line on a terminal; on what is none, lines."""

    def __init__(self, out):
        self._out, self._lock = out, threading.Lock()
        self._terminal = out.isatty()
        self._progress, self._now, self._last = "[build] begun", "", -60.0

    def told(self, line):
        with self._lock:
            if self._terminal:
                self._now = line
                self._draw()
            else:
                print(line, file=self._out, flush=True)

    def progress(self, line):
        with self._lock:
            self._progress = line
            if self._terminal:
                self._draw()
            elif time.monotonic() - self._last >= 60:
                self._last = time.monotonic()
                print(line, file=self._out, flush=True)

    def clear(self):
        with self._lock:
            if self._terminal:
                print("\r\x1b[K", end="", file=self._out, flush=True)

    def _draw(self):
        line = f"{self._progress}; {self._now}" if self._now else self._progress
        print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", file=self._out, flush=True)
