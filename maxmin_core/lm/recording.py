"""Record a study, and make one of its runs again. Chapter 8."""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .._files import read_json, write_json
from .base import prepare
from .experiment import run_methods
from .results import base_folder
from .study import Study, deviation

__all__ = ["record_study", "rerun"]


def record_study(
    study: Study,
    profile: str,
    root: Path | str,
    book: Path | str,
    *,
    about: Mapping[str, Any],
    processes: int = 2,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Make all runs of a study and keep their numbers in ``studies/NAME.json`` of the book.

    What was made before with the same settings and code is not made again; an interrupted recording goes on.

    Parameters
    ----------
    study : Study
        What is run.
    profile : str
        A key of ``PROFILES``.
    root : Path or str
        The folder of all runs.
    book : Path or str
        The folder of the book.
    about : mapping of str to value
        What the file says of its making: command, commit, lock, machine.
    processes : int
        Runs at a time.
    say : callable, str -> None
        Is told what is done.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        On an unknown profile or setting.

    Examples
    --------
    Some hours on two cores:

    >>> from maxmin_core.lm.studies import find_study
    >>> record_study(find_study("rivals"), "cpu", "_build/lm", "book", about={})  # doctest: +SKIP
    PosixPath('book/studies/rivals.json')
    """
    units = list(study.units())
    bases = {base_folder(unit.profile(profile), root): unit for unit in units}
    # Spawned, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for work, things in ((_prepare, list(bases.values())), (_run, units)):
            waiting = {pool.submit(work, thing, profile, root): thing for thing in things}
            for done, future in enumerate(as_completed(waiting), start=1):
                future.result()
                unit = waiting[future]
                say(f"[{study.name}] {unit.part.label}, seed {unit.seed} ({done} of {len(things)})")
    path = Path(book) / "studies" / f"{study.name}.json"
    kept = {
        "study": study.name,
        "question": study.question,
        "criteria": list(study.criteria),
        "profile": profile,
        **about,
    }
    write_json(path, kept | {"runs": study.collect(profile, root)})
    return path


def rerun(
    study: Study, profile: str, root: Path | str, book: Path | str, *, commit: str
) -> tuple[dict[str, Any], float]:
    """Make one run of a study again, the one that the commit draws, and compare it with the recorded ones.

    Parameters
    ----------
    study : Study
        Whose run.
    profile : str
        A key of ``PROFILES``.
    root : Path or str
        The folder of all runs.
    book : Path or str
        The folder of the book, with ``studies/NAME.json``.
    commit : str
        Of the repository.

    Returns
    -------
    made : dict
        What the run measured.
    far : float
        How far that is from the recorded runs of its kind, in standard deviations.

    Raises
    ------
    ValueError
        Where the study was not recorded.

    Examples
    --------
    >>> from maxmin_core.lm.studies import find_study
    >>> made, far = rerun(find_study("rivals"), "cpu", "_build/lm", "book", commit="86a20b6")  # doctest: +SKIP
    """
    kept = read_json(Path(book) / "studies" / f"{study.name}.json")
    unit, method = study.drawn(commit)
    run_methods(unit.part.setting, unit.profile(profile), root, seed=unit.seed, methods=[method])
    made = study.row(unit, method, profile, root)
    return made, deviation(kept["runs"], made)


def _prepare(unit, profile, root):
    prepare(unit.profile(profile), root)


def _run(unit, profile, root):
    run_methods(unit.part.setting, unit.profile(profile), root, seed=unit.seed, methods=unit.part.methods)
