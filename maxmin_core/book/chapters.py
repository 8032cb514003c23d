"""Chapters: find them, and know what they depend on."""

import ast
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._closure import files, fingerprint
from .._files import read_json
from ._names import imported, modules
from ._notebook import cell_source, read_notebook
from .fetched import FETCHED

__all__ = ["Chapter", "all_chapters", "find_chapter", "find_root", "read_metrics"]

# What a chapter executes is its own, how it is executed counts for all.
_RUNNER = f"{__package__}.running"
# What language-model runs depend on, whatever the chapter that shows them imports itself.
_RUNS = "maxmin_core.lm.experiment"


@dataclass(frozen=True)
class Chapter:
    """Hold one executable chapter.

    Parameters
    ----------
    number : str
        Two digits, such as ``"01"``.
    path : Path
        The notebook.

    Examples
    --------
    >>> Chapter("01", Path("notebooks/01_one_reward.ipynb")).path.stem
    '01_one_reward'
    """

    number: str
    path: Path

    @property
    def title(self) -> str:
        """The notebook's first heading; ValueError where its first cell is none."""
        heading = re.match(r"#\s+(.+)", "".join(map(cell_source, self._cells()[:1])))
        if not heading:
            raise ValueError(f"{self.path}: expected a first cell with the title, '# ...'")
        return heading.group(1).strip()

    @property
    def question(self) -> str:
        """The question that the chapter answers, from the notebook's metadata; ValueError where there is none."""
        question = self._metadata().get("question")
        if not question:
            raise ValueError(f'{self.path}: expected {{"maxmin": {{"question": ...}}}} in the notebook\'s metadata')
        return question

    @property
    def needs_runs(self) -> bool:
        """Whether the chapter shows the language-model runs, from the notebook's metadata."""
        return bool(self._metadata().get("runs"))

    @property
    def needs_models(self) -> bool:
        """Whether the chapter needs the extra for language models: it shows their runs, or imports what trains them."""
        return self.needs_runs or any(name.startswith("maxmin_core.lm.") for name in self.modules())

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets that it needs and the project does not contain; ValueError on one that nobody can fetch."""
        named = tuple(self._metadata().get("data", ()))
        if unknown := sorted(set(named) - set(FETCHED)):
            raise ValueError(f"{self.path}: data: expected some of {', '.join(FETCHED)}, got {unknown[0]!r}")
        return named

    def lacks(self) -> tuple[str, ...]:
        """Return the data sets that it needs and that are not there."""
        return tuple(name for name in self.data if not FETCHED[name]())

    def modules(self) -> tuple[str, ...]:
        """Return the modules of the package that define what the notebook imports.

        A name that a face re-exports belongs to the module that defines it, so that a chapter does not depend on a
        whole wing. A notebook that is no plain Python depends on every module: the run will name the broken cell.

        Returns
        -------
        tuple of str
            Dotted names, sorted.
        """
        code = "\n".join(cell_source(cell) for cell in self._cells() if cell["cell_type"] == "code")
        # A magic of IPython imports nothing of ours.
        plain = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", code)
        try:
            found = imported(ast.parse(plain))
        except SyntaxError:
            return tuple(modules())
        return tuple(sorted({*found, _RUNS})) if self.needs_runs else found

    def dependencies(self) -> tuple[Path, ...]:
        """Return the files of the package that the chapter's numbers depend on, data included.

        Returns
        -------
        tuple of Path
            The import closure of `modules`, sorted.
        """
        return files(*self.modules())

    def fingerprint(self) -> str:
        """Return a short name for the code and the data that the chapter's numbers depend on.

        It does not change with comments, docstrings, annotations or import lines. It changes when data that are fetched
        on demand come or go.

        Returns
        -------
        str
            Sixteen hexadecimal digits, and which data are not there.
        """
        return "-without-".join([fingerprint(*self.modules(), _RUNNER), *self.lacks()])

    def _cells(self) -> list[dict[str, Any]]:
        return read_notebook(self.path)["cells"]

    def _metadata(self) -> dict[str, Any]:
        about = read_notebook(self.path)["metadata"].get("maxmin")
        return about if isinstance(about, dict) else {}


def find_root(start: Path | str | None = None) -> Path:
    """Return the project's folder: the nearest one that holds the ledger of claims and the notebooks.

    Parameters
    ----------
    start : Path or str, optional
        Where to begin; the folders above it follow. Default: the current folder.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        Outside of a project.
    """
    start = Path(start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "book" / "claims.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise ValueError(f"expected to run inside the project's folder (book/claims.yml, notebooks/), got {start}")


def all_chapters(root: Path) -> list[Chapter]:
    """Return every chapter of a project, in order.

    Parameters
    ----------
    root : Path
        The project's folder; its chapters are ``notebooks/NN_name.ipynb``.

    Returns
    -------
    list of Chapter

    Raises
    ------
    ValueError
        Where two notebooks have one number.
    """
    chapters = [Chapter(path.name[:2], path) for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
    for one, two in itertools.pairwise(chapters):
        if one.number == two.number:
            raise ValueError(f"notebooks: expected one of each number, got {one.path.name} and {two.path.name}")
    return chapters


def find_chapter(root: Path, number: str) -> Chapter:
    """Return the chapter of a number.

    Parameters
    ----------
    root : Path
        The project's folder.
    number : str
        Such as ``"01"`` or ``"1"``.

    Returns
    -------
    Chapter

    Raises
    ------
    ValueError
        On an unknown number; lists those that there are.
    """
    known = {chapter.number: chapter for chapter in all_chapters(root)}
    if number.zfill(2) not in known:
        raise ValueError(f"chapter: expected one of {', '.join(known)}, got {number!r}")
    return known[number.zfill(2)]


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return what every chapter's run left behind, in order of the chapters.

    Parameters
    ----------
    folder : Path
        Where the chapters ran, such as ``_build/cpu``.

    Returns
    -------
    list of dict
        The results of `maxmin_core.book.running.run`, read from ``metrics/NN.json``.
    """
    return [read_json(path) for path in sorted((folder / "metrics").glob("[0-9][0-9].json"))]
