"""Record a study, and make one of its runs again. Chapter 8."""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .._files import write_json
from .base import prepare
from .experiment import run_methods
from .results import base_folder
from .study import Study, Unit

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


def rerun(study: Study, profile: str, root: Path | str, *, commit: str) -> tuple[Unit, str]:
    """Make one run of a study again, the one that the commit draws.

    Parameters
    ----------
    study : Study
        Whose run.
    profile : str
        A key of ``PROFILES``.
    root : Path or str
        The folder of all runs.
    commit : str
        Of the repository.

    Returns
    -------
    unit : Unit
    method : str

    Examples
    --------
    >>> from maxmin_core.lm.studies import find_study
    >>> rerun(find_study("rivals"), "cpu", "_build/lm", commit="86a20b6")  # doctest: +SKIP
    """
    unit, method = study.drawn(commit)
    run_methods(unit.part.setting, unit.profile(profile), root, seed=unit.seed, methods=[method])
    return unit, method


def _prepare(unit, profile, root):
    prepare(unit.profile(profile), root)


def _run(unit, profile, root):
    run_methods(unit.part.setting, unit.profile(profile), root, seed=unit.seed, methods=unit.part.methods)
