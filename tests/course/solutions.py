"""What only a lecturer may read: pieces of the solutions, and how they are found in a text of any kind."""

import contextlib
import html
import json
import re
from functools import cache
from pathlib import Path

from maxmin_core.course.sources import all_assignments, cell_source

ROOT = Path(__file__).parents[2]


def solution_text(assignment):
    """The lines between the marks, as (kind of cell, line)."""
    for cell in assignment.notebook()["cells"]:
        inside = False
        for line in cell_source(cell).splitlines():
            if "### END SOLUTION" in line:
                inside = False
            if inside:
                yield cell["cell_type"], line.strip()
            if "### BEGIN SOLUTION" in line:
                inside = True


def squeezed(text):
    """A text in one line."""
    return re.sub(r"\s+", " ", text).strip()


def readings(text):
    """A file's text as it is, as a page shows it, and as JSON or a script holds it."""
    yield squeezed(text)
    yield squeezed(html.unescape(re.sub(r"<[^>]*>", "", text)))
    yield squeezed(text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\"))
    with contextlib.suppress(ValueError):
        yield squeezed("\n".join(strings(json.loads(text))))


def strings(value):
    """All texts of a JSON value; a list of texts is one, as the source of a cell."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        yield "".join(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


@cache
def shown():
    """All that readers may see: chapters, prose, the package, the students' versions."""
    notebooks = [assignment.student() for assignment in all_assignments(ROOT)]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebooks.append(json.loads(path.read_text(encoding="utf-8")))
    kept = [cell_source(cell) for notebook in notebooks for cell in notebook["cells"]]
    for folder, pattern in (("book", "*.md"), ("book", "*.yml"), ("maxmin_core", "*.py")):
        kept += [path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob(pattern))]
    return squeezed("\n".join(kept))


@cache
def pieces(assignment):
    """Pieces of an assignment's solutions that stand nowhere else: lines of code, and runs of words.

    Words only, for a page sets formulas and emphasis in its own way.
    """
    found = set()
    for kind, line in solution_text(assignment):
        parts = [line] if kind == "code" and len(line) > 25 else []
        parts += re.findall(r"[A-Za-z][A-Za-z ,']{28,}[A-Za-z]", line)
        found |= {squeezed(part) for part in parts}
    return {piece for piece in found if piece not in shown()}


def leaked(text, assignments=None):
    """The pieces of solutions that a text holds."""
    read = list(readings(text))
    every = assignments or all_assignments(ROOT)
    return [piece for one in every for piece in sorted(pieces(one)) if any(piece in text for text in read)]


def words(text):
    """Words as an index of a search may hold them, not yet reduced to their stems."""
    return {word.lower() for word in re.findall(r"[A-Za-z_]{6,}", text)}
