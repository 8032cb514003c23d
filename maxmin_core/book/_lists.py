"""What a reader looks for: theorems by titles, figures and tables by captions, how long a chapter takes."""

import copy
import html
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chapters import Chapter

__all__ = ["figure_list", "number_tables", "reading_time", "table_list", "theorem_list"]

_STATED = re.compile(r"^:{3,}\{prf:(?!proof)(\w+)\} *(.*)\n(?:.*\n)*?:label: *(\S+)", re.MULTILINE)
_TABLE = re.compile(r"(<table\b[^>]*>\s*)<caption>(.*?)</caption>", re.DOTALL)
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


def number_tables(notebook: Mapping[str, Any], chapter: str) -> dict[str, Any]:
    """Return an executed notebook in which every table that a cell shows has a number, and an address.

    Those of Markdown have no caption, and no number. The notebook that is given stays as it is.

    Parameters
    ----------
    notebook : mapping
        As `json` reads it.
    chapter : str
        Its two digits.

    Returns
    -------
    dict
        Chapter 4 has ``Table 4.1.``, at ``#table-4-1``, and so on.

    Examples
    --------
    >>> output = {"data": {"text/html": ["<table>", "<caption>Shares</caption></table>"]}}
    >>> told = number_tables({"cells": [{"outputs": [output]}]}, "04")["cells"][0]["outputs"][0]["data"]["text/html"]
    >>> "Table 4.1. </span>Shares" in told, 'id="table-4-1"' in told
    (True, True)
    """
    numbers = (f"{int(chapter)}.{k}" for k in itertools.count(1))

    def numbered(match):
        number = next(numbers)
        place = _place(number)
        link = f'<a class="headerlink" href="#{place}" title="Link to this table">#</a>'
        # Before the table: within it names are those that its style refers to, and stay as they are in print.
        return (
            f'<div id="{place}"></div>{match[1]}<caption><span class="caption-number">Table {number}. </span>'
            f"{match[2]}{link}</caption>"
        )

    told = copy.deepcopy(dict(notebook))
    for data in _shown(told):
        data["text/html"] = _TABLE.sub(numbered, "".join(data["text/html"]))
    return told


def table_list(chapters: "Sequence[Chapter]", notebooks: Sequence[Mapping[str, Any]]) -> str:
    """Return every table with its caption, by chapter, with the numbers of `number_tables`."""
    rows = []
    for chapter, notebook in zip(chapters, notebooks, strict=True):
        captions = [found[2] for data in _shown(notebook) for found in _TABLE.finditer("".join(data["text/html"]))]
        page = f"../notebooks/{chapter.path.stem}.html"
        # HTML, as captions are: in Markdown a star or a dollar would become something else.
        lines = [
            f'<li><a class="reference internal" href="{page}#{_place(number)}">Table {number}</a>: '
            f"{html.escape(html.unescape(caption), quote=False)}</li>"
            for number, caption in ((f"{int(chapter.number)}.{k}", each) for k, each in enumerate(captions, start=1))
        ]
        rows.append(["<ul>", *lines, "</ul>"] if lines else [])
    return _by_chapter(chapters, rows)


def reading_time(notebook: Mapping[str, Any]) -> str:
    """Return how long a chapter says that it takes to read, such as ``"about two hours"``; empty where it does not."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and (told := _TIME.search("".join(cell["source"]))):
            return " ".join(told[1].split())
    return ""


def _shown(notebook):
    """What cells show as HTML, where the page shows it."""
    for cell in notebook["cells"]:
        if not {"remove-cell", "remove-output"} & set(cell.get("metadata", {}).get("tags", [])):
            yield from (output["data"] for output in cell.get("outputs", []) if "text/html" in output.get("data", {}))


def _place(number):
    return f"table-{number.replace('.', '-')}"


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
