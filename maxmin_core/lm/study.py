"""A study: runs that are to answer a question, made once and recorded, because they are too long for every build.

Chapter 8.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._files import read_json
from .profiles import Profile, find_profile
from .results import run_folder

__all__ = ["Part", "Study", "Unit", "deviation"]

# What is taken from a run's result.
_KEPT = ("method", "beta", "value", "win", "judge", "kl", "kl_error", "perplexity", "words", "empty", "seconds")


@dataclass(frozen=True)
class Part:
    """Hold runs of a study that are made alike.

    Parameters
    ----------
    label : str
        What is different about them.
    setting : str
        A name of ``settings.SETTINGS``.
    methods : tuple of str
        What is trained.
    seeds : tuple of int
        Of annotators and training.
    changes : mapping of str to value
        Settings of the profile that are others here.

    Examples
    --------
    >>> Part("three hundred steps", "three", ("maxmin",), (50, 51), {"steps": 300}).seeds
    (50, 51)
    """

    label: str
    setting: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)


class Unit(NamedTuple):
    """Hold what is made in one go: the methods of a part, for one seed.

    Parameters
    ----------
    part : Part
        What is made.
    seed : int
        For which annotators.

    Examples
    --------
    >>> Unit(Part("short", "1:1", ("single",), (50,), {"steps": 3}), 50).profile("cpu").steps
    3
    """

    part: Part
    seed: int

    def profile(self, name: str) -> Profile:
        """Return the profile, with the changes of the part.

        Parameters
        ----------
        name : str
            A key of ``PROFILES``. In ``smoke`` what would make a run longer is left as it is there.

        Returns
        -------
        Profile
        """
        changes = dict(self.part.changes)
        if name == "smoke":
            changes.pop("steps", None)
        return find_profile(name, **changes)


@dataclass(frozen=True)
class Study:
    """Hold a question and the runs that are to answer it.

    Parameters
    ----------
    name : str
        How the study is called everywhere.
    question : str
        What it asks.
    parts : tuple of Part
        What is run.
    criteria : tuple of str
        What would count as which answer; written before the runs.
    profile : str
        A key of ``PROFILES``: in which it is recorded. CI makes runs of ``cpu`` again.

    Examples
    --------
    >>> parts = (Part("three", "three", ("equal", "maxmin"), (50, 51)), Part("even", "1:1", ("maxmin",), (50,)))
    >>> [(unit.part.label, unit.seed) for unit in Study("small", "Who is better off?", parts).units()]
    [('three', 50), ('three', 51), ('even', 50)]
    """

    name: str
    question: str
    parts: tuple[Part, ...]
    criteria: tuple[str, ...] = ()
    profile: str = "cpu"

    def units(self) -> Iterator[Unit]:
        """Return what is to be made, seed after seed.

        Returns
        -------
        iterator of Unit
        """
        for part in self.parts:
            for seed in part.seeds:
                yield Unit(part, seed)

    def collect(self, profile: str, root: Path | str) -> list[dict[str, Any]]:
        """Return what the runs measured.

        Parameters
        ----------
        profile : str
            A key of ``PROFILES``.
        root : Path or str
            The folder of all runs.

        Returns
        -------
        list of dict
            One a run: label, setting, seed and what `evaluate.evaluate` says of it.

        Raises
        ------
        ValueError
            On a run that is missing.
        """
        return [
            self.row(unit, method, profile, root)
            for unit in self.units()
            for method in ("reference", *unit.part.methods)
        ]

    def row(self, unit: Unit, method: str, profile: str, root: Path | str) -> dict[str, Any]:
        """Return what one run measured.

        Parameters
        ----------
        unit : Unit
            Which part and seed.
        method : str
            Which method.
        profile : str
            A key of ``PROFILES``.
        root : Path or str
            The folder of all runs.

        Returns
        -------
        dict
            As one of `collect`.

        Raises
        ------
        ValueError
            Where it is missing.
        """
        folder = run_folder(unit.part.setting, unit.profile(profile), root, seed=unit.seed)
        if not (folder / method / "result.json").exists():
            raise ValueError(f"study: expected the run of {method}, {unit.part.label}, seed {unit.seed}, got none")
        return _row(unit, folder, method)

    def written(self, profile: str, root: Path | str, n: int = 3) -> dict[str, list[Any]]:
        """Return what the methods of the first part and seed wrote on the first prompts.

        Parameters
        ----------
        profile : str
            A key of ``PROFILES``.
        root : Path or str
            The folder of all runs.
        n : int
            On how many prompts.

        Returns
        -------
        dict of str to list
            Prompts and texts of every method, the reference first.
        """
        unit = next(self.units())
        folder = run_folder(unit.part.setting, unit.profile(profile), root, seed=unit.seed)
        methods = ("reference", *unit.part.methods)
        return {method: read_json(folder / method / "result.json")["samples"][:n] for method in methods}

    def drawn(self, commit: str) -> tuple[Unit, str]:
        """Return the run that a build makes anew: which one is decided by the commit alone.

        Parameters
        ----------
        commit : str
            Of the repository, in hexadecimal digits.

        Returns
        -------
        unit : Unit
        method : str
        """
        short = [
            (unit, method)
            for unit in self.units()
            # A minute or two: at most three hundred steps, on the reference policy that the build has made.
            if unit.part.changes.get("steps", 0) <= 300 and not unit.part.changes.get("reference_seed")
            for method in unit.part.methods
        ]
        digest = hashlib.sha256(f"{self.name} {commit}".encode()).digest()
        return short[int.from_bytes(digest[:8], "big") % len(short)]


def deviation(runs: Sequence[Mapping[str, Any]], made: Mapping[str, Any]) -> float:
    """Return how far a run lies from the recorded runs of its kind, in standard deviations.

    The larger of two numbers, for the worst group's value and for the divergence: the distance from the recorded mean
    over seeds, divided by the standard deviation over seeds (pooled over the methods of the part, as one method has few
    seeds) times ``sqrt(1 + 1/S)``, which is that of a new run less a mean of S. A machine whose processor rounds
    otherwise trains another reference policy, so that a run made again is a new draw and not a copy.

    Parameters
    ----------
    runs : sequence of dict
        The recorded runs, as `Study.collect` returns them.
    made : dict
        The run, with label, method, beta, value and kl.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Where no run of that kind was recorded, or none with two seeds.

    Examples
    --------
    >>> kept = [{"label": "a", "method": "equal", "beta": 0.1, "value": [v], "kl": v} for v in (1.0, 3.0)]
    >>> round(deviation(kept, kept[0] | {"value": [5.0], "kl": 2.0}), 4)
    1.7321
    """
    here = [run for run in runs if run["label"] == made["label"] and run["method"] != "reference"]
    kinds: dict[tuple[str, float], list[list[float]]] = {}
    for run in here:
        kinds.setdefault((run["method"], run["beta"]), []).append([min(run["value"]), run["kl"]])
    own = kinds.get((made["method"], made["beta"]))
    if own is None or len(own) < 2:
        raise ValueError(f"made: expected a run of a recorded kind, got {made['method']} in {made['label']}")
    squares = sum(np.var(rows, axis=0) * len(rows) for rows in kinds.values())
    spread = np.sqrt(squares / sum(len(rows) - 1 for rows in kinds.values()))
    apart = np.abs(np.array([min(made["value"]), made["kl"]]) - np.mean(own, axis=0))
    return float((apart / (spread * np.sqrt(1 + 1 / len(own)))).max())


def _row(unit, folder, method):
    result, learned = read_json(folder / method / "result.json"), read_json(folder / "learned.json")
    row = {"label": unit.part.label, "setting": unit.part.setting, "seed": unit.seed}
    row |= {name: result[name] for name in _KEPT if name in result}
    row |= {"groups": result["groups"], "learned": result["learned"]["mixture"]}
    row |= {name: learned[name] for name in ("assigned_right", "begun_right", "accuracy_mixture") if name in learned}
    noted = folder / method / "weights.json"
    if noted.exists():
        row["weights"] = read_json(noted)["weights"]
    elif (curve := folder / method / "metrics.jsonl").exists():
        late = [json.loads(line) for line in curve.read_text().splitlines()[-10:]]
        # The log has its own order: the alphabet's.
        known = [f"weight/{group}" for group in result["groups"]]
        names = known if set(known) <= late[-1].keys() else sorted(n for n in late[-1] if n.startswith("weight/"))
        row["weights"] = np.mean([[step[name] for name in names] for step in late], axis=0).tolist()
    return {name: _rounded(value) for name, value in row.items()}


def _rounded(value):
    """Five digits behind the point are more than a seed leaves certain."""
    if isinstance(value, float):
        return round(value, 5)
    return [_rounded(each) for each in value] if isinstance(value, list) else value
