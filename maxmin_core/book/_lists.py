"""What a reader looks for: theorems by their titles, figures by their captions, how long a chapter takes."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chapters import Chapter

__all__ = ["figure_list", "reading_time", "theorem_list"]

_STATED = re.compile(r"^:{3,}\{prf:(?!proof)(\w+)\} *(.*)\n(?:.*\n)*?:label: *(\S+)", re.MULTILINE)
# What readers were told, and what the page says on top: one place, so that the two cannot differ.
_TIME = re.compile(r"\*\*Time\*\*:\s+([^,.;]+?)\s+(?:to\s+read|with\s+the\s+proofs)")


def theorem_list(chapters: "Sequence[Chapter]", notebooks: Sequence[Mapping[str, Any]]) -> str:
    """Return every theorem, lemma and so on with its title, by chapter."""
    rows = [[f"* {{prf:ref}}`{label}`: {title}" for _, title, label in _stated(notebook)] for notebook in notebooks]
    return _by_chapter(chapters, rows)


def figure_list(chapters: "Sequence[Chapter]", notebooks: Sequence[Mapping[str, Any]]) -> str:
    """Return every figure with its caption, by chapter."""
    rows = []
    for notebook in notebooks:
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        told = [output["metadata"]["maxmin"] for output in outputs if output.get("metadata", {}).get("maxmin")]
        rows.append([f"* {{numref}}`{figure['name']}`: {figure['caption']}" for figure in told])
    return _by_chapter(chapters, rows)


def reading_time(notebook: Mapping[str, Any]) -> str:
    """Return how long a chapter says that it takes to read, such as ``"about two hours"``; empty where it does not."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and (told := _TIME.search("".join(cell["source"]))):
            return " ".join(told[1].split())
    return ""


def _stated(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            yield from _STATED.findall("".join(cell["source"]))


def _by_chapter(chapters, rows):
    told = []
    for chapter, lines in zip(chapters, rows, strict=True):
        if lines:
            told += [f"**{{doc}}`/notebooks/{chapter.path.stem}`**", "", *lines, ""]
    return "\n".join(told or ["None."]) + "\n"
