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
    jobs: list[tuple[Any, tuple[str, ...]]]
    jobs = [(unit, methods) for unit in units for methods in _apart(unit.part.methods)]
    # Spawned, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        # What all methods of a seed share, their rewards, is learned once, before they train side by side.
        shared: list[tuple[Any, tuple[str, ...]]] = [(unit, ()) for unit in units]
        stages: list[tuple[Callable[..., None], list[tuple[Any, tuple[str, ...]]]]]
        stages = [(_prepare, [(unit, ()) for unit in bases.values()]), (_run, shared), (_run, jobs)]
        for work, things in stages:
            waiting = {pool.submit(work, unit, methods, profile, root): (unit, methods) for unit, methods in things}
            for done, future in enumerate(as_completed(waiting), start=1):
                if future.exception():
                    # Else the error would be told when all the others have ended, hours later.
                    pool.shutdown(wait=False, cancel_futures=True)
                future.result()
                unit, methods = waiting[future]
                what = ", ".join((unit.part.label, f"seed {unit.seed}", *methods))
                say(f"[{study.name}] {what} ({done} of {len(things)})")
    path = Path(book) / "studies" / f"{study.name}.json"
    kept = {
        "study": study.name,
        "question": study.question,
        "criteria": list(study.criteria),
        "profile": profile,
        **about,
        "written": study.written(profile, root),
    }
    write_json(path, kept | {"runs": study.collect(profile, root)}, rows="runs")
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


def _apart(methods):
    """Divide methods into those that can be made side by side: what needs the groups' own policies shares these."""
    sharing = ("soup", "product", "regret")
    together = tuple(method for method in methods if method.partition("@")[0] in sharing)
    return [*((method,) for method in methods if method not in together), *([together] if together else [])]


def _prepare(unit, methods, profile, root):
    prepare(unit.profile(profile), root)


def _run(unit, methods, profile, root):
    run_methods(unit.part.setting, unit.profile(profile), root, seed=unit.seed, methods=methods)
