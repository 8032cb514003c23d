"""Run the cells of a notebook, and answer what is asked about them. This is the process that a student's code fills.

It reads requests from its standard input and writes answers to its standard output, each message behind its length; the
cells see neither. Whatever it says is the student's word: the judge, in another process, believes none of it.
"""

import os
import random
import sys
import traceback
from types import ModuleType
from typing import Any

import numpy as np

from ._wire import WireError, from_message, to_message

__all__ = ["main", "receive", "send"]


def send(descriptor: int, message: bytes) -> None:
    """Write a message behind its length.

    Parameters
    ----------
    descriptor : int
        Where to.
    message : bytes
        What.
    """
    message = len(message).to_bytes(8, "big") + message
    while message:
        message = message[os.write(descriptor, message) :]


def receive(descriptor: int) -> bytes | None:
    """Read a message, all of it; None where the other side has closed.

    Parameters
    ----------
    descriptor : int
        Where from.

    Returns
    -------
    bytes or None
    """
    size, got = 8, bytearray()
    for head in (True, False):
        while len(got) < size:
            part = os.read(descriptor, min(1 << 20, size - len(got)))
            if not part:
                return None
            got += part
        if head:
            size, got = int.from_bytes(got, "big"), bytearray()
    return bytes(got)


def _shell():
    """Return how a cell's text becomes Python, and the names it sees. Magics are IPython's, where it is installed."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
    except ImportError:
        module = ModuleType("__main__")
        sys.modules["__main__"] = module
        return (lambda source: source), vars(module)
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    # `%matplotlib inline` asks for what a kernel has.
    shell.enable_matplotlib = lambda gui=None: (gui, "agg")
    return shell.transform_cell, shell.user_ns


class _Notebook:
    def __init__(self):
        self.transform, self.names = _shell()
        # Classes and pickles of the student's look for their module under its name.
        self.names["__name__"] = "__main__"

    def run(self, label, source, every=False):
        """Run a cell; return None, or what went wrong. With `every`, go on after a failing statement: return a list."""
        import ast

        try:
            tree = ast.parse(self.transform(source), filename=f"<{label}>")
        except Exception as error:
            return [[True, self._told(error, label)]] if every else self._told(error, label)
        if not every:
            return self._do(compile(tree, f"<{label}>", "exec"), label)
        told = []
        for statement in tree.body:
            asserts = any(isinstance(part, ast.Assert) for part in ast.walk(statement))
            code = compile(ast.Module([statement], []), f"<{label}>", "exec")
            wrong = self._do(code, label)
            if asserts or wrong:
                told.append([asserts, wrong])
        return told

    def _do(self, code, label):
        try:
            exec(code, self.names)
        except BaseException as error:
            return self._told(error, label)
        return None

    def _told(self, error, label):
        """Type, message and line of an error: within the cell of this label, where it got there."""
        line = getattr(error, "lineno", None)
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename == f"<{label}>":
                line = frame.lineno
        try:
            text = str(error)[:500]
        except Exception:
            text = ""
        return {"type": type(error).__name__, "text": text, "line": line}

    def ask(self, name, arguments):
        """Call a function (or, without arguments, look a variable up); return its answer, or what went wrong."""
        if name not in self.names:
            return {"absent": True}
        try:
            value = self.names[name]
            return {"answer": value if arguments is None else value(*arguments)}
        except BaseException as error:
            return {"error": self._told(error, name)}


def _channel():
    """Keep standard input and output for the requests and the answers; what the cells print is lost."""
    requests, answers = os.dup(0), os.dup(1)
    with open(os.devnull, "r+b") as nothing:
        for descriptor in (0, 1, 2):
            os.dup2(nothing.fileno(), descriptor)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (requests, answers):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return requests, answers


def _limit(memory_mib, seconds):
    """What a process without isolation may take, where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, 2 * memory_mib << 20), (resource.RLIMIT_CPU, seconds)):
        resource.setrlimit(what, (most, most))


def main() -> None:
    """Serve until the requests end."""
    requests, answers = _channel()
    if len(sys.argv) > 1:
        _limit(int(sys.argv[1]), int(sys.argv[2]))
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    notebook, own = _Notebook(), os.getpid()
    send(answers, to_message("ready"))
    while (message := receive(requests)) is not None:
        request: Any = from_message(message)
        if request["do"] == "run":
            found = {"told": notebook.run(request["label"], request["source"], request["every"])}
        else:
            found = notebook.ask(request["name"], request["arguments"])
        if os.getpid() != own:
            # A fork of the student's: it has nothing to answer.
            os._exit(0)
        token = {"token": request["token"]}
        try:
            message = to_message(found | token)
        except WireError as error:
            message = to_message({"strange": str(error)} | token)
        except BaseException as error:
            message = to_message({"error": {"type": type(error).__name__, "text": "", "line": None}} | token)
        send(answers, message)


if __name__ == "__main__":
    main()
