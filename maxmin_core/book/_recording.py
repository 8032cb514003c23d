"""What a chapter calls while it runs: apart from the judging, so that a change of that runs no chapter anew."""

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._files import read_json, write_json
from ..intervals import mean_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["METRICS_VARIABLE", "PROFILES", "record", "record_mean"]

# How much a run computes, from the least to the most.
PROFILES = ("smoke", "cpu", "gpu", "gpu-large")

# The environment variable that says where `record` writes: set while a chapter runs, unset in a notebook opened by
# hand.
METRICS_VARIABLE = "MAXMIN_CLAIMS"

# Seconds after which a process that holds the lock, a matter of milliseconds, is taken for killed.
_KILLED = 30.0


def record(claim_id: str, value: float, interval: Sequence[float] | None = None) -> None:
    """Record the value of a claim, and its interval, for the report of this run.

    Outside of a run, in a notebook opened by hand, nothing is written. Recording a claim again replaces its value.
    Threads and processes that the chapter starts may record, too, at the same time.

    Parameters
    ----------
    claim_id : str
        An id of the ledger.
    value : float
        What was measured, finite.
    interval : (low, high), optional
        Finite, with ``low <= high``.

    Raises
    ------
    ValueError
        On an empty id, a value that is not finite, or an interval out of order.

    Examples
    --------
    >>> record("mixture.share", 0.25, interval=(0.2, 0.3))
    """
    if not isinstance(claim_id, str) or not claim_id:
        raise ValueError(f"claim_id: expected the id of a claim in the ledger, got {claim_id!r}")
    entry = {"value": _finite("value", value), "interval": None}
    if interval is not None:
        if np.size(interval) != 2:
            raise ValueError(f"interval: expected (low, high), got {interval!r}")
        low, high = (_finite("interval", bound) for bound in interval)
        if low > high:
            raise ValueError(f"interval: expected low <= high, got ({low}, {high})")
        entry["interval"] = [low, high]
    path = os.environ.get(METRICS_VARIABLE)
    if path:
        with _alone(Path(f"{path}.lock")):
            known = read_json(path) if Path(path).exists() else {}
            write_json(path, known | {claim_id: entry})


def record_mean(claim_id: str, draws: "ArrayLike") -> tuple[Any, Any]:
    """Record the mean of draws and its 95% interval, that of `maxmin_core.intervals.mean_interval`.

    Parameters
    ----------
    claim_id : str
        An id of the ledger.
    draws : array_like, shape (n,)
        One number a seed, at least two.

    Returns
    -------
    centre : float
        The mean.
    half : float
        Half the width of the interval.

    Raises
    ------
    ValueError
        On fewer than two draws.

    Examples
    --------
    >>> centre, half = record_mean("training.value", [1.0, 2.0, 3.0])
    >>> print(f"{centre:.2f} +- {half:.2f}")
    2.00 +- 2.48
    """
    centre, half = map(float, mean_interval(draws))
    record(claim_id, centre, (centre - half, centre + half))
    return centre, half


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one thread or process at a time into a block: a file that one of them can make, on any file system."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held, since = None, 0.0
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                found = lock.stat()
                if held != (held := (found.st_ino, found.st_mtime_ns)):
                    since = time.monotonic()
                elif time.monotonic() - since > _KILLED:
                    lock.unlink()
            time.sleep(0.002)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _finite(name, value):
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number, got {value!r}") from error
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {number}")
    return number
