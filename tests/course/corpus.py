"""Hostile and broken submissions to a tiny assignment, each with the score and the note that it has to get.

The assignment has two functions, ``double`` (10 points) and ``total`` (10 points), and a text, ``why``.
"""

import copy
import json

from maxmin_core.course.sources import Assignment

JUDGE = """
import math

import numpy as np

from maxmin_core.course.judging import AnswerError, Check


def double(ask, rng):
    for points in (4, 6):
        x = rng.normal(size=5)
        found = np.asarray(ask("double", x), dtype=float) if points == 4 else ask("double", x)
        holds = np.shape(found) == (5,) and bool(np.allclose(found, x + x))
        yield Check(points, holds, "twice the numbers")


def total(ask, rng):
    x = rng.normal(size=7)  # SECRET_OF_THE_JUDGE
    found = ask("total", x.tolist())
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise AnswerError("total: one number is expected")
    yield Check(10, math.isclose(found, math.fsum(x), rel_tol=1e-9), "the sum of the numbers")


TASKS = {"double": double, "total": total}
"""


def cell(kind, source, number, about=None):
    made = {"cell_type": kind, "id": f"tiny{number:04d}", "metadata": {"nbgrader": about} if about else {}}
    return made | {"source": source} | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def about(name, kind="code", **more):
    kept = {"grade": False, "solution": True, "locked": False, "task": False, "schema_version": 3}
    return kept | {"grade_id": name, "cell_type": kind} | more


def check(name):
    return about(f"{name}_check", grade=True, solution=False, locked=True, points=10)


def answer(name, body):
    inside = f"    ### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION"
    return f'# ANSWER {name}\ndef {name}(x):\n    """Say what is asked."""\n{inside}'


def write_source(folder, name="a1"):
    """Write the tiny assignment into a folder of assignments; return it."""
    cells = [
        cell("markdown", "# Tiny", 0),
        cell("code", "import numpy as np\n\nCONSTANT = 2", 1),
        cell("code", answer("double", "return CONSTANT * np.asarray(x)"), 2, about("double")),
        cell(
            "code", "assert np.shape(double(np.ones(2))) == (2,), 'a shape'\nassert double(1) == 2", 3, check("double")
        ),
        cell("code", answer("total", "return float(np.sum(x))"), 4, about("total")),
        cell("code", "assert total([1, 2]) == 3, 'one and two are three'", 5, check("total")),
        cell(
            "markdown",
            "<!-- ANSWER why -->\n### BEGIN SOLUTION\nBecause.\n### END SOLUTION",
            6,
            about("why", "markdown", grade=True, points=80),
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    more = {"assignment": name, "chapters": "1", "minutes": 5, "forbidden": ["fit_bradley_terry", "choix"]}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel, "maxmin": more}, "nbformat": 4, "nbformat_minor": 5}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_tiny.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (folder / f"{name}_judge.py").write_text(JUDGE, encoding="utf-8")
    (folder / f"{name}_rubric.md").write_text("## `why`\n", encoding="utf-8")
    return Assignment(name, folder / f"{name}_tiny.ipynb")


DOUBLE, TOTAL = 2, 4
GOOD = {"double": "return 2 * np.asarray(x)", "total": "return float(np.sum(x))"}


def handed_in(assignment, own="", **bodies):
    """A submission with these answers; cells of the student's own come before them."""
    notebook = copy.deepcopy(assignment.student())
    for name, body in (GOOD | bodies).items():
        place = DOUBLE if name == "double" else TOTAL
        notebook["cells"][place]["source"] = f"# ANSWER {name}\ndef {name}(x):\n    {body}"
    if own:
        notebook["cells"].insert(2, cell("code", own, 99))
    return notebook


def edited(change):
    def make(assignment):
        notebook = handed_in(assignment)
        return change(notebook) or notebook

    return make


def stripped(notebook, metadata=True, ids=True, markers=False):
    for one in notebook["cells"]:
        if metadata:
            one["metadata"] = {}
        if ids:
            del one["id"]
        if markers and "ANSWER" in one["source"]:
            one["source"] = one["source"].partition("\n")[2]
    return notebook


def colab(notebook):
    for one in notebook["cells"]:
        one["metadata"] = {"id": one.pop("id")}
    return notebook | {"nbformat_minor": 0}


def old_form(notebook):
    return stripped(notebook, metadata=False) | {"nbformat_minor": 4}


def split(notebook):
    notebook["cells"][DOUBLE]["source"] = "# ANSWER double\ndef double(x):\n    y = np.asarray(x)"
    notebook["cells"].insert(DOUBLE + 1, cell("code", "    return y + y", 98))


def twice(first, second):
    def change(notebook):
        notebook["cells"].insert(TOTAL, copy.deepcopy(notebook["cells"][DOUBLE]))
        for place, body in ((DOUBLE, first), (TOTAL, second)):
            notebook["cells"][place]["source"] = f"# ANSWER double\ndef double(x):\n    {body}"

    return change


def locked_cell_changed(notebook):
    notebook["cells"][1]["source"] = "import numpy as np\nCONSTANT = 0\nraise SystemExit"


PATCHED = """
import numpy as np
for name in ("sum", "add", "multiply", "asarray", "array"):
    setattr(np, name, lambda *a, **k: 0.0)
np.allclose = np.isclose = np.array_equal = lambda *a, **k: True
np.testing.assert_allclose = lambda *a, **k: None
"""
JUDGE_PATCHED = """
import maxmin_core.course.judging as judging
judging.judge_task = lambda *a, **k: judging.Verdict(100, 100, ())
judging.Check = lambda points, holds, says: judging.Verdict(points, points, ())
import math
math.isclose = lambda *a, **k: True
"""
BUILTINS_PATCHED = """
import builtins, sys, traceback
builtins.print = builtins.open = builtins.isinstance = None
sys.excepthook = traceback.extract_tb = traceback.format_exc = None
AssertionError = Exception
"""
NOISE = "import warnings, sys\nwarnings.warn('careful')\nprint('hm', file=sys.stderr)"
CHANNEL = """
import os
for descriptor in range(3, 64):
    try:
        os.write(descriptor, b"\\xff" * 64)
    except OSError:
        pass
"""
ANSWERED_AHEAD = """
import os
from maxmin_core.course._wire import to_message
message = to_message({"answer": [0.0] * 5})
for descriptor in range(3, 64):
    try:
        os.write(descriptor, len(message).to_bytes(8, "big") + message)
    except OSError:
        pass
"""
FORKS = "import os\nfor _ in range(3):\n    try:\n        os.fork()\n    except OSError:\n        pass"
BOMB = "import os\n    while True:\n        try:\n            os.fork()\n        except OSError:\n            pass"
PICKLE = "return type('P', (), {'__reduce__': lambda self: (print, ('pwned',))})()"
DEEP = "y = 0.0\n    for _ in range(100000):\n        y = [y]\n    return y"
BIG = "return np.zeros(10**9, dtype=np.int8)"
LEAK = "raise ValueError(str(x))"
MEMORY = "return sum(np.ones(2 * 10**7).sum() for kept in [[np.ones(2 * 10**7) for _ in range(1000)]])"

# What is handed in, the points for double and total, and what the note says (a regular expression).
CORPUS = {
    "good": (handed_in, 10, 10, "^$"),
    "numpy patched to return zeros": (lambda a: handed_in(a, PATCHED), 0, 0, ""),
    "numpy patched and nothing answered": (
        lambda a: handed_in(a, PATCHED, double="return 0", total="return 0"),
        0,
        0,
        "",
    ),
    "the judge patched": (lambda a: handed_in(a, JUDGE_PATCHED, double="return x", total="return 1.0"), 0, 0, ""),
    "print, open and tracebacks patched": (lambda a: handed_in(a, BUILTINS_PATCHED), 10, 10, ""),
    "one warning on stderr": (lambda a: handed_in(a, NOISE), 10, 10, "^$"),
    "magics": (lambda a: handed_in(a, "%matplotlib inline\n!ls\nget_ipython()"), 10, 10, "^$"),
    "another cell fails": (lambda a: handed_in(a, "1 / 0"), 10, 10, "^$"),
    "noise on the channel": (lambda a: handed_in(a, CHANNEL), 10, 10, "left out: .*(agreed|larger)"),
    "an answer ahead of the question": (lambda a: handed_in(a, ANSWERED_AHEAD), 10, 10, "left out: .*agreed"),
    "forks": (lambda a: handed_in(a, FORKS), 10, 10, ""),
    "a fork bomb": (lambda a: handed_in(a, double=BOMB), 0, 10, "double: (no end in|more than|the notebook's process)"),
    "sleeps": (lambda a: handed_in(a, double="import time; time.sleep(1000)"), 0, 10, "double: no end in"),
    "a cell never ends": (lambda a: handed_in(a, "while True: pass"), 10, 10, "left out: no end in"),
    "an answer never ends": (lambda a: handed_in(a, total="\n    while True: pass"), 10, 0, "total: no end in"),
    "fills memory": (lambda a: handed_in(a, double=MEMORY), 0, 10, "MemoryError|memory|no end"),
    "floods output": (lambda a: handed_in(a, "for _ in range(10**5): print('x' * 1000)"), 10, 10, "^$"),
    "os._exit": (lambda a: handed_in(a, double="import os; os._exit(0)"), 0, 10, "ended from inside"),
    "os._exit in a cell": (lambda a: handed_in(a, "import os; os._exit(0)"), 10, 10, "left out: .*ended"),
    "sys.exit": (lambda a: handed_in(a, double="raise SystemExit"), 0, 10, "SystemExit"),
    "kills itself": (lambda a: handed_in(a, double="import os; os.kill(os.getpid(), 9)"), 0, 10, "ended from inside"),
    "crashes": (lambda a: handed_in(a, double="import ctypes; ctypes.string_at(0)"), 0, 10, "ended from inside"),
    "calls itself for ever": (lambda a: handed_in(a, double="return double(x)"), 0, 10, "RecursionError"),
    "the question in the error's text": (lambda a: handed_in(a, double=LEAK), 0, 10, "stops with ValueError in line 3"),
    "None": (lambda a: handed_in(a, double="return None", total="return None"), 0, 0, "one number is expected"),
    "NaN": (lambda a: handed_in(a, double="return x * np.nan", total="return float('nan')"), 0, 0, ""),
    "infinite": (lambda a: handed_in(a, double="return x * np.inf", total="return float('inf')"), 0, 0, ""),
    "a wrong shape": (lambda a: handed_in(a, double="return 2 * x[:2]", total="return [sum(x)]"), 0, 0, "one number"),
    "a wrong type": (lambda a: handed_in(a, double="return 'two'", total="return 'x' * 9"), 0, 0, "judged|one number"),
    "10^9 long": (lambda a: handed_in(a, double=BIG), 0, 10, "larger|MemoryError|memory|no end"),
    "a pickle": (lambda a: handed_in(a, double=PICKLE), 0, 10, "the answer is P, where numbers"),
    "an array of objects": (lambda a: handed_in(a, double="return np.array([None] * 5)"), 0, 10, "array of object"),
    "a huge integer": (lambda a: handed_in(a, total="return 10 ** 5000"), 10, 0, "thousand bits"),
    "lists within lists": (lambda a: handed_in(a, double=DEEP), 0, 10, "deep|ended"),
    "a table of the right numbers": (
        lambda a: handed_in(a, "import pandas as pd", double="return pd.Series(2 * x)"),
        10,
        10,
        "^$",
    ),
    "a forbidden name": (
        lambda a: handed_in(a, double="from maxmin_core import fit_bradley_terry; return 2 * x"),
        0,
        10,
        "fit_bradley_terry, which this assignment does not allow",
    ),
    "a forbidden name in a cell of one's own": (
        lambda a: handed_in(a, "import choix"),
        10,
        10,
        "left out, as it uses choix",
    ),
    "a cell deleted": (edited(lambda n: n["cells"].pop(DOUBLE) and None), 0, 10, "double.*its cell was not found"),
    "a check deleted": (edited(lambda n: n["cells"].pop(DOUBLE + 1) and None), 10, 10, "^$"),
    "a cell duplicated": (edited(twice("return 2 * x", "return 2 * x")), 10, 10, "^$"),
    "a cell duplicated, the last wrong": (
        edited(twice("return 2 * x", "return x")),
        0,
        10,
        "twice.*the last one counts",
    ),
    "a cell split": (edited(split), 10, 10, "split"),
    "cells in reverse order": (edited(lambda n: n["cells"].reverse()), 10, 10, "^$"),
    "a locked cell changed": (edited(locked_cell_changed), 10, 10, "^$"),
    "metadata stripped": (edited(lambda n: stripped(n, ids=False)), 10, 10, "^$"),
    "ids stripped": (edited(lambda n: stripped(n, metadata=False)), 10, 10, "^$"),
    "metadata and ids stripped": (edited(stripped), 10, 10, "^$"),
    "markers stripped, too": (edited(lambda n: stripped(n, markers=True)), 0, 0, "none of the cells"),
    "Colab's form": (edited(colab), 10, 10, "^$"),
    "nbformat 4.4": (edited(old_form), 10, 10, "^$"),
    "sources as lines": (
        edited(lambda n: [c.update(source=c["source"].splitlines(True)) for c in n["cells"]] and None),
        10,
        10,
        "^$",
    ),
    "truncated JSON": (lambda a: json.dumps(handed_in(a))[:500], 0, 0, "damaged"),
    "an empty file": (lambda a: "", 0, 0, "the file is empty"),
    "a list": (lambda a: "[1, 2]", 0, 0, "no notebook"),
    "notebook format 3": (lambda a: '{"worksheets": [], "nbformat": 3}', 0, 0, "format 4"),
    "strange cells": (lambda a: '{"cells": [1, {"source": 3}, {"cell_type": "code"}], "metadata": 7}', 0, 0, "none of"),
    "another assignment": (
        edited(lambda n: n["metadata"]["maxmin"].update(assignment="a4")),
        0,
        0,
        "this is assignment a4, and a1 is expected",
    ),
}
