"""What a lecturer leaves out of the pages: the solutions of exercises.

The answers of a chapter's quiz stay. Nobody hands in a quiz; its answers explain, and without them a student cannot
know whether a section was understood. Exercises are what a class is set.
"""

import re
from typing import Any

__all__ = ["without_solutions"]

_OPENS = re.compile(r"(:{3,}|`{3,})\{solution\}")


def without_solutions(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without the solutions in its cells of text; the one that is given stays as it is.

    Raises
    ------
    ValueError
        On a solution that is not closed: what belongs to it cannot be told.
    """
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            left = _cut(text)
            if left != text:
                cell = cell | {"source": left}
        cells.append(cell)
    return notebook | {"cells": cells}


def _cut(text):
    kept, closes = [], ""
    for line in text.splitlines(keepends=True):
        if closes:
            closes = "" if line.strip() == closes else closes
        elif opens := _OPENS.match(line):
            closes = opens.group(1)
        else:
            kept.append(line)
    if closes:
        raise ValueError(f"solution: expected a line {closes} at its end, got none before the end of the cell")
    return "".join(kept)
