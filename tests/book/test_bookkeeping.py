"""What the book notes for itself is not in a reader's way: `record` stands in cells that are folded or not shown."""

import ast
import json

from .words import HIDDEN, cells, numbered


def bookkeeping(root, file):
    """Visible cells that call `record` or `record_mean`."""
    found = []
    for cell in cells(root, file):
        if cell["cell_type"] == "code" and not HIDDEN & set(cell["metadata"].get("tags", [])):
            calls = [n for n in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(n, ast.Call)]
            if {"record", "record_mean"} & {ast.unparse(call.func).rpartition(".")[2] for call in calls}:
                found.append((file, cell["id"]))
    return found


def test_no_visible_cell_records(root):
    """Chapter 0 shows its calls, and says once what they are for."""
    first, *others = numbered(root)
    assert bookkeeping(root, first) and len(others) >= 11
    said = "".join("".join(cell["source"]) for cell in cells(root, first) if cell["cell_type"] == "markdown")
    assert "(`record`, here and later, notes a number for the book's own checks.)" in said
    assert [one for file in others for one in bookkeeping(root, file)] == []


def test_a_visible_record_is_found(tmp_path):
    def cell(name, source, tags=()):
        return {"cell_type": "code", "id": name, "metadata": {"tags": list(tags)}, "source": [source]}

    planted = [
        cell("a", 'x = 1\nrecord("x", 1)'),
        cell("b", 'if x:\n    gain, _ = claims.record_mean("x", [1, 2])'),
        cell("c", 'record("x", 1)', ["remove-input"]),
        cell("d", 'record("x", 1)', ["hide-input"]),
        cell("e", 'from maxmin_core.book.claims import record\nmine.record["x"]  # record(x)'),
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": planted}))
    assert bookkeeping(tmp_path, "n.ipynb") == [("n.ipynb", "a"), ("n.ipynb", "b")]
