"""The repository's address, which stands in `_config.yml` alone: pages and chapters take it from there.

`make address` writes it into the cell that every chapter begins with. On Colab or a hub, that cell installs what the
chapter needs.
"""

import json
import re
from pathlib import Path

from .._files import read_json, write_whole
from .chapters import Chapter, all_chapters, find_root

__all__ = ["address", "install_cell", "main", "published"]

CELL = "1a0c4e11"

_SMALL = """# Elsewhere, such as on Colab: install what this chapter needs.
import importlib.util

if importlib.util.find_spec("maxmin_core") is None:
    import subprocess
    import sys

    package = (
        "maxmin-core[chapters] @ git+{address}"
    )
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)"""

_WHOLE = """# Elsewhere, such as on Colab: install what this chapter needs, in the
# project's folder. Chapter 8 then shows published results after
# `!maxmin results open`, and your own after `!maxmin train --all`: see the book's
# page on how to re-run it.
import importlib.util

if importlib.util.find_spec("maxmin_core") is None:
    import os
    import subprocess
    import sys

    address = "{address}"
    subprocess.run(["git", "clone", "--depth", "1", address, "companion"], check=True)
    os.chdir("companion/notebooks")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--editable"]
    subprocess.run([*pip, "..[chapters,lm]"], check=True)"""


def address(root: Path) -> str:
    """Return the repository's address, from the setting ``url`` in ``_config.yml``.

    Parameters
    ----------
    root : Path
        The project's folder.

    Returns
    -------
    str
        Such as ``"https://github.com/owner/name"``; empty where there is none.

    Examples
    --------
    >>> address(Path("nowhere"))
    ''
    """
    config = root / "_config.yml"
    found = re.search(r"^repository:\n +url: *(\S+)$", config.read_text("utf-8"), re.M) if config.exists() else None
    return found[1] if found else ""


def published(root: Path) -> tuple[str, str]:
    """Return where results of chapter 8 are published, from the setting ``results`` in ``_config.yml``.

    Parameters
    ----------
    root : Path
        The project's folder.

    Returns
    -------
    address : str
        Of the archive; empty where nothing is published.
    sha256 : str
        What its SHA-256 must be.

    Examples
    --------
    >>> published(Path("nowhere"))
    ('', '')
    """
    config = root / "_config.yml"
    text = config.read_text("utf-8") if config.exists() else ""
    found = re.search(r"^results:\n +url: *[\"']?([^\s\"']*)[\"']?\n +sha256: *[\"']?(\w*)", text, re.M)
    return (found[1], found[2]) if found else ("", "")


def install_cell(chapter: Chapter, address: str) -> str:
    """Return the code that installs what a chapter needs where the package is not there.

    Parameters
    ----------
    chapter : Chapter
        Whose.
    address : str
        The repository's.

    Returns
    -------
    str
    """
    return (_WHOLE if chapter.needs_models else _SMALL).replace("{address}", address)


def main() -> None:
    """Write the address into every chapter's first cell of code, and add that cell where it is missing."""
    root = find_root()
    for chapter in all_chapters(root):
        notebook = read_json(chapter.path)
        cells = notebook["cells"]
        cell = next((cell for cell in cells if cell.get("id") == CELL), None)
        if cell is None:
            cell = {
                "cell_type": "code",
                "execution_count": None,
                "id": CELL,
                # Not on the page: who reads there has nothing to install.
                "metadata": {"tags": ["remove-cell"]},
                "outputs": [],
            }
            cells.insert(next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), cell)
        source = install_cell(chapter, address(root)).splitlines(keepends=True)
        if cell.get("source") != source:
            cell["source"] = source
            with write_whole(chapter.path) as partial:
                partial.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
