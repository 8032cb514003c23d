"""How a notebook is kept from seeing the machine: a root of its own in namespaces of its own, by `_jail.py`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["NOT_ISOLATED", "TOO_MUCH_MEMORY", "Limits", "command", "environment", "not_isolated"]

# How _jail.py ends; it is no module, for it must start fast, and importing it needs Linux.
NOT_ISOLATED, TOO_MUCH_MEMORY = 97, 98
_JAIL = Path(__file__).with_name("_jail.py")
_PACKAGE = str(Path(__file__).resolve().parents[1])


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


def command(
    folder: Path, files: Mapping[str, Path], limits: Limits, program: Sequence[str], hidden: Sequence[Path]
) -> list[str]:
    """Return the command that starts a program in isolation.

    Parameters
    ----------
    folder : Path
        Where its settings are written, and its root is mounted.
    files : Mapping of str to Path
        What it finds in its folder.
    limits : Limits
        What it may take.
    program : sequence of str
        What to start.
    hidden : sequence of Path
        Folders that it must not see even where they lie below the Python installation.
    """
    # A link in the path of the interpreter must lead somewhere in there, too.
    python = {sys.executable, os.path.realpath(sys.executable)}
    # So must one in the path of the installation: an environment that several people share is often linked to.
    named = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    prefixes = named | {os.path.realpath(path) for path in named}
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"]
    devices = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]
    shown = [*system, *devices]
    for path in sorted({*prefixes, *python, _PACKAGE}, key=len):
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
        "environment": environment("/tmp"),
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return [sys.executable, "-I", "-S", str(_JAIL), str(folder / "settings.json"), *program]


def environment(home: str) -> dict[str, str]:
    """Return what a student's code finds in its environment: nothing of the lecturer's.

    Parameters
    ----------
    home : str
        Where it may write.
    """
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(_PACKAGE).parent),
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
            command(Path(folder), {}, Limits(), [sys.executable, "-I", "-S", "-c", ""], ()),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split()[-12:])
    return f"this system does not let {'root' if os.getuid() == 0 else 'users'} make namespaces ({said})"
