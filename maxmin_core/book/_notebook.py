"""Notebooks of any make, read for a run: what other programs left out is put in; and the cell at which a run ended."""

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["cell_source", "error_of", "named", "read_notebook", "stopped_at", "without_markers"]

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
# The tag of the cells in which papermill says that another one failed.
_MARKER = "papermill-error-cell-tag"


def read_notebook(path: Path | str) -> dict[str, Any]:
    """Return a notebook with what a run needs: every cell whole and with an id of its own, and Python's kernel."""
    try:
        notebook = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: expected a notebook, got a damaged file ({error}); save it in Jupyter again"
        ) from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError(
            f"{path}: expected a notebook of format 4, got something else; open it in a current Jupyter, and save it"
        )
    given = [cell.get("id") for cell in cells]
    for number, own in enumerate(given):
        if not isinstance(own, str) or not _ID.fullmatch(own) or own in given[:number]:
            given[number] = f"cell-{number + 1}"
            while given.count(given[number]) > 1:
                given[number] += "-"
    metadata = _kernel(_dictionary(notebook.get("metadata")), path)
    whole = [_whole(cell, own) for cell, own in zip(cells, given, strict=True)]
    return {"cells": whole, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def cell_source(cell: dict[str, Any]) -> str:
    """Return a cell's text, which is stored as one string or as lines."""
    return "".join(cell["source"])


def stopped_at(executed: dict[str, Any]) -> int | None:
    """Return the place of the cell that failed, or else of the last that was begun; None where none was."""
    about = [_run(cell) for cell in executed["cells"]]
    failed = [place for place, run in enumerate(about) if run.get("status") == "failed"]
    # Where the kernel dies or a cell takes too long, none is marked as failed. What follows has no time of a start.
    begun = [
        place
        for place, run in enumerate(about)
        if run.get("start_time") and executed["cells"][place]["cell_type"] == "code"
    ]
    return failed[0] if failed else max(begun, default=None)


def named(notebook: dict[str, Any], cell: dict[str, Any]) -> str:
    """Return how a reader finds an executed cell in the notebook that was read: its number there, its first line."""
    ids = [own["id"] for own in notebook["cells"]]
    lines = [line for line in cell_source(cell).splitlines() if line.strip()]
    number = ids.index(cell["id"]) + 1 if cell["id"] in ids else "with the parameters"
    return f"cell {number} ({lines[0].strip() if lines else 'empty'})"


def error_of(executed: dict[str, Any]) -> str:
    """Return the error that ended a run; empty where it left by itself, or errors were meant (tag raises-exception)."""
    failed = [cell for cell in executed["cells"] if _run(cell).get("status") == "failed"]
    if not failed:
        return ""
    told = [output for output in failed[0]["outputs"] if output["output_type"] == "error"]
    name, value = (told[-1]["ename"], told[-1]["evalue"]) if told else ("CellExecutionError", "no more was said")
    return "" if name == "SystemExit" and value in ("", "0") else f"{name}: {value}"


def without_markers(executed: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without the cells in which papermill says that another one failed."""
    return executed | {"cells": [c for c in executed["cells"] if _MARKER not in c["metadata"].get("tags", ())]}


def _kernel(metadata, path):
    """Return a notebook's metadata with a kernel; ValueError where it is written in another language than Python."""
    kernel, spoken = (_dictionary(metadata.get(name)) for name in ("kernelspec", "language_info"))
    language = kernel.get("language") or spoken.get("name") or "python"
    if "python" not in str(language).lower():
        raise ValueError(f"{path}: expected a notebook in Python, got one in {language}; choose Python as its kernel")
    metadata = metadata | {"kernelspec": _KERNEL | {name: value for name, value in kernel.items() if value}}
    return metadata | ({"language_info": {"name": "python"} | spoken} if "language_info" in metadata else {})


def _whole(cell, own):
    kind, source, metadata = cell.get("cell_type"), cell.get("source"), _dictionary(cell.get("metadata"))
    tags = metadata.get("tags")
    parts = {
        "cell_type": kind if kind in ("code", "markdown") else "raw",
        "id": own,
        "metadata": metadata | {"tags": tags if isinstance(tags, list) else []},
        "source": "".join(part for part in source if isinstance(part, str)) if isinstance(source, str | list) else "",
    }
    if kind == "code":
        return parts | {"outputs": [], "execution_count": None}
    return parts | ({"attachments": cell["attachments"]} if isinstance(cell.get("attachments"), dict) else {})


def _dictionary(value):
    return value if isinstance(value, dict) else {}


def _run(cell):
    """What papermill says of a cell."""
    return cell["metadata"].get("papermill", {})
