"""The pages: executed chapters and prose, staged with what the run measured, rendered by Jupyter Book."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .._files import read_json, write_whole
from . import require_book
from ._edition import edition
from ._landing import first_screen
from ._lists import figure_list, number_tables, reading_time, table_list, theorem_list
from ._solutions import without_solutions
from ._tables import chapter_table, claim_counts, claims_table, duration, exceptions, run_tables
from .assignments import assignment_pages, assignment_tables
from .chapters import all_chapters, read_metrics
from .claims import failed, judge, load_ledger
from .launching import address
from .reference import reference_pages

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SUFFIX", "SiteError", "judge_runs", "render", "stage", "whereabouts"]

# Of what a build without solutions makes, so that it replaces no other.
SUFFIX = "-without-solutions"
# By which the prose names the repository.
_ADDRESS = "https://github.com/maxmin-rlhf-companion/maxmin-rlhf-companion"


class SiteError(Exception):
    """Rendering failed; the message holds Jupyter Book's warnings and errors."""


def judge_runs(root: Path, folder: Path) -> "pd.DataFrame":
    """Judge the project's claims by the runs in a folder.

    Parameters
    ----------
    root : Path
        The project's folder, with the ledger and the notebooks.
    folder : Path
        Where the chapters ran, such as ``_build/cpu``.

    Returns
    -------
    pandas.DataFrame
        One row a claim, as `maxmin_core.book.claims.judge` returns it.

    Raises
    ------
    ValueError
        On a claim of a chapter that there is not.
    """
    ledger, known = load_ledger(root / "book" / "claims.yml"), [chapter.number for chapter in all_chapters(root)]
    for claim in ledger:
        if claim.chapter not in known:
            raise ValueError(f"claim {claim.id}: chapter: expected one of {', '.join(known)}, got {claim.chapter!r}")
    # What a chapter that is gone has left behind does not count.
    return judge(ledger, [run for run in read_metrics(folder) if run["chapter"] in known])


def stage(root: Path, folder: Path, solutions: bool = True) -> Path:
    """Lay out the book's source: prose, executed chapters, assignments, tables of what was measured, the reference.

    A file whose content did not change keeps its time, so that Sphinx reads only what is new.

    Parameters
    ----------
    root : Path
        The project's folder.
    folder : Path
        Where the chapters ran; the source goes into its ``source/``.
    solutions : bool, optional
        Whether the exercises come with their solutions; without them, ``source-without-solutions/`` is the folder.

    Returns
    -------
    Path
        The folder of the source.
    """
    source = folder / f"source{'' if solutions else SUFFIX}"
    metrics = {run["chapter"]: run for run in read_metrics(folder)}
    chapters = all_chapters(root)
    pages = {path: path.read_bytes() for path in [root / "_config.yml", root / "_toc.yml"]}
    pages |= {path: path.read_bytes() for path in (root / "book").rglob("*") if path.is_file()}
    pages = {path.relative_to(root): content for path, content in pages.items()}
    config = Path("_config.yml")
    pages[config] = pages[config].replace(b"{edition}", edition(root)["line"].encode())
    # A fork sets its address once, in _config.yml; the prose names this one.
    own = (address(root) or _ADDRESS).encode()
    pages = {
        path: page.replace(_ADDRESS.encode(), own) if path.suffix == ".md" else page for path, page in pages.items()
    }
    notebooks = [read_json(folder / "notebooks" / chapter.path.name) for chapter in chapters]
    for chapter, notebook in zip(chapters, notebooks, strict=True):
        notebook = notebook if solutions else without_solutions(notebook)
        pages[Path("notebooks") / chapter.path.name] = _dress(notebook, metrics[chapter.number], chapter.needs_runs)
    pages |= assignment_pages(root)
    generated = Path("book") / "_generated"
    runs = [metrics[chapter.number] for chapter in chapters]
    judged, spent = judge_runs(root, folder), _spent(root, chapters, runs)
    made = {
        "chapters": chapter_table(chapters, runs, [reading_time(each) for each in notebooks], spent),
        "claims": claims_table(judged),
        "counts": claim_counts(judged),
        "exceptions": exceptions(judged),
        "runs": run_tables(runs, spent),
        "theorems": theorem_list(chapters, notebooks),
        "figures": figure_list(chapters, notebooks),
        "tables": table_list(chapters, notebooks),
    }
    made |= assignment_tables(root)
    made |= {f"api/{room}": text for room, text in reference_pages().items()}
    pages |= {generated / f"{name}.md": text.encode() for name, text in made.items()}
    pages |= {generated / name: text.encode() for name, text in first_screen(judged, notebooks).items()}
    for path in source.rglob("*"):
        if path.is_file() and path.relative_to(source) not in pages:
            path.unlink()
    for path, content in pages.items():
        target = source / path
        if not target.exists() or target.read_bytes() != content:
            with write_whole(target) as partial:
                partial.write_bytes(content)
    return source


def render(root: Path, folder: Path, solutions: bool = True) -> Path:
    """Judge the claims, then stage and render the book, every warning an error.

    Parameters
    ----------
    root : Path
        The project's folder.
    folder : Path
        Where the chapters ran; the pages go into its ``html/``.
    solutions : bool, optional
        Whether the exercises come with their solutions. Without them the pages go into ``html-without-solutions/``.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    SiteError
        With the claims that do not hold, or Jupyter Book's own words. Pages that were there before stay as they were.
    """
    require_book("jupyter_book", "nbformat")
    broken = [
        f"{claim['id']}: {claim['status']}, expected {claim['expected']}, got {claim['value']}"
        for claim in failed(judge_runs(root, folder)).to_dict("records")
    ]
    if broken:
        raise SiteError("claims that do not hold:\n" + "\n".join(broken))
    kind = "" if solutions else SUFFIX
    source, work = stage(root, folder, solutions), folder / f"render{kind}"
    log = folder / "logs" / f"pages{kind}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    # --all: Sphinx alone would neither repeat the warnings of a page that it has read nor copy a changed style sheet.
    options = ["--path-output", str(work), "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run([*jupyter_book, *options], capture_output=True, text=True, check=False)
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    log.write_text(output, encoding="utf-8")
    if done.returncode:
        told = [line for line in output.splitlines() if re.search(r"WARNING|ERROR|[Ee]rror:", line)]
        raise SiteError("rendering failed:\n" + "\n".join([*(told or output.splitlines())[-20:], f"see {log}"]))
    html, fresh, old = (folder / f"html{kind}{state}" for state in ("", ".partial", ".old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(work / "_build" / "html", fresh)
    if html.exists():
        html.rename(old)
    fresh.rename(html)
    shutil.rmtree(old, ignore_errors=True)
    return html / "index.html"


def whereabouts(folder: Path, solutions: bool = True) -> str:
    """Return where the rendered pages stand, and how to see them served.

    No browser lets a page that was opened as a file read the other pages, from which a search takes what it quotes.

    Parameters
    ----------
    folder : Path
        Where the chapters ran, such as ``_build/cpu``.
    solutions : bool, optional
        Which pages; `make serve` knows those with solutions only.

    Returns
    -------
    str

    Examples
    --------
    >>> print(whereabouts(Path("/book/_build/cpu")))
    file:///book/_build/cpu/html/index.html
    make serve PROFILE=cpu shows it at http://localhost:8000, where a search quotes the pages that it finds
    """
    page = (folder / f"html{'' if solutions else SUFFIX}" / "index.html").as_uri()
    served = f"make serve PROFILE={folder.name} shows it at http://localhost:8000"
    return f"{page}\n{served}, where a search quotes the pages that it finds" if solutions else page


def _spent(root, chapters, runs):
    """How long the language-model runs took that the chapters show; None where no chapter shows any."""
    if not any(chapter.needs_runs for chapter in chapters):
        return None
    # What they lie under depends on the versions of packages that only they need.
    from ..lm.profiles import find_profile
    from ..lm.results import time_spent

    return time_spent(find_profile(runs[0]["profile"]), root / "_build" / "lm")


def _dress(notebook, run, shows_runs):
    """Return an executed notebook with its badge line, its tables' numbers, and its figures' captions and texts."""
    import nbformat

    reading = reading_time(notebook)
    notebook = nbformat.from_dict(number_tables(notebook, run["chapter"]))
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            # The badge line says the same.
            cell.metadata.tags.append("remove-input")
        for output in cell.get("outputs", []):
            told = output.get("metadata", {}).get("maxmin")
            if told:
                cell.metadata["mystnb"] = {
                    "image": {"alt": told["alt"]},
                    "figure": {"caption": told["caption"], "name": told["name"]},
                }
    badges = {
        **({"reading time": reading} if reading else {}),
        "profile": run["profile"],
        "run time": duration(run["seconds"]) + (" without its language-model runs" if shows_runs else ""),
        "hardware": run["hardware"],
        "seed": run["seed"],
        "run on": run["date"],
    }
    line = "".join(f'<span class="mm-badge"><b>{name}</b> {value}</span>' for name, value in badges.items())
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(f'<p class="mm-badges">{line}</p>', id="maxmin-badges"))
    return (nbformat.writes(notebook) + "\n").encode()
