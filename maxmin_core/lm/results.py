"""Results of the language-model experiment: where every run lies, and what it measured. Imports no torch.

What a run is cached under depends on its settings, on the code that it imports, and on the versions of the libraries
whose numbers need not be the same from one to the next. Chapter 8.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._closure import fingerprint
from .._files import read_json
from .profiles import Profile, key
from .settings import SETTINGS, find_setting

__all__ = [
    "Spent",
    "base_folder",
    "late_weights",
    "load_results",
    "made_with",
    "read_curve",
    "run_folder",
    "seeds",
    "time_spent",
]

_OF_BASE: tuple[str, ...] = (
    "corpus",
    "model",
    "revision",
    "chat",
    "n_reviews",
    "vocabulary",
    "layers",
    "width",
    "heads",
)
_OF_BASE += (
    "shortest",
    "longest",
    "reference_steps",
    "reference_batch",
    "reference_rate",
    "reference_seed",
    "prompt_words",
    "new_tokens",
)
_OF_BASE += ("n_pairs", "n_prompts", "n_evaluation", "bf16")
_LIBRARIES: tuple[str, ...] = (
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "tokenizers",
    "scikit-learn",
    "numpy",
    "peft",
)
_LIBRARIES += ("scipy", "vaderSentiment")
_BASE, _RUN = "maxmin_core.lm.base", "maxmin_core.lm.experiment"
# Their values stand in the name themselves, or they only find a name: what they say of other profiles and settings, and
# how results are read, trains nothing anew. Nor does how people's tables are read: a run has none.
_NAMED = tuple(f"maxmin_core.lm.{name}" for name in ("profiles", "settings", "results"))
_NAMED += ("maxmin_core.preferences._frames",)
_MODELS = tuple(
    f"maxmin_core.lm.{name}" for name in ("adapter_rewards", "model_mixture", "reward_model", "score_heads")
)


def base_folder(profile: Profile, root: Path | str) -> Path:
    """Return where the parts that all runs of a profile share lie, for these settings and this code.

    Parameters
    ----------
    profile : Profile
        Of which only what the base depends on counts.
    root : Path or str
        The folder of all runs.

    Returns
    -------
    Path
        Whether it exists or not.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> short, long = find_profile("cpu", steps=10), find_profile("cpu")
    >>> base_folder(short, "runs") == base_folder(long, "runs")
    True
    """
    settings = {name: getattr(profile, name) for name in _OF_BASE}
    made = made_with(profile)
    return Path(root) / profile.name / f"base-{key(**settings, code=made['code']['base'], libraries=made['libraries'])}"


def run_folder(setting: str, profile: Profile, root: Path | str, *, seed: int) -> Path:
    """Return where the runs of a setting and seed lie, for these settings and this code.

    Parameters
    ----------
    setting : str
        A name of ``settings.SETTINGS``.
    profile : Profile
        Every setting counts, except who draws the texts.
    root : Path or str
        The folder of all runs.
    seed : int
        Of annotators and training.

    Returns
    -------
    Path
        Whether it exists or not.

    Raises
    ------
    ValueError
        On an unknown setting.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> run_folder("80:20", find_profile("cpu"), "runs", seed=20).parent.as_posix()
    'runs/cpu/80-20'
    """
    found = find_setting(setting)
    made = made_with(profile)
    settings: dict[str, Any] = {"profile": asdict(profile), "setting": asdict(found), "seed": seed}
    # Whether vLLM drew the texts stands in the settings that are kept, not in the name: readers need not know.
    del settings["profile"]["vllm"]
    settings |= {"code": made["code"]["runs"], "libraries": made["libraries"]}
    return Path(root) / profile.name / found.slug / f"seed{seed}-{key(**settings)}"


def made_with(profile: Profile) -> dict[str, dict[str, str]]:
    """Return what stands in the names of a profile's runs beside their settings.

    Parameters
    ----------
    profile : Profile
        Of which counts what a reward is.

    Returns
    -------
    dict
        ``code``: fingerprints of what makes the base and the runs; ``libraries``: versions of those that count.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> sorted(made_with(find_profile("cpu"))["code"])
    ['base', 'runs']
    """
    code = {"base": fingerprint(_BASE, without=_NAMED), "runs": fingerprint(_RUN, without=_without(profile))}
    return {"code": code, "libraries": {name: version(name) for name in _LIBRARIES}}


def seeds(setting: str, profile: Profile) -> list[int]:
    """Return the seeds of a setting that a profile runs: from 20 on, as pilot runs used those before.

    Parameters
    ----------
    setting : str
        A name of ``settings.SETTINGS``.
    profile : Profile
        The profile ``smoke`` runs two at most.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        On an unknown setting.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> seeds("80:20", find_profile("cpu"))
    [20, 21, 22, 23, 24]
    """
    n = min(find_setting(setting).seeds, 2) if profile.name == "smoke" else find_setting(setting).seeds
    return list(range(20, 20 + n))


def load_results(profile: Profile, root: Path | str, settings: Iterable[str] | None = None) -> pd.DataFrame:
    """Return what the runs of a profile measured, one row a method, setting and seed.

    Parameters
    ----------
    profile : Profile
        Whose runs are read.
    root : Path or str
        The folder of all runs.
    settings : iterable of str or None
        Names of ``settings.SETTINGS``; None is all.

    Returns
    -------
    DataFrame
        Columns setting, seed, method, beta, the metrics of `evaluate.evaluate`, groups, learned, samples, folder, and
        what the learned rewards got right (assigned_right, accuracy_single, ...).

    Raises
    ------
    ValueError
        On an unknown setting, or a run that is missing: says which command makes it.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> load_results(find_profile("smoke"), "no-runs-here", ["1:1"])
    Traceback (most recent call last):
    ValueError: profile: expected the run of reference, 1:1, seed 20, got none; call `maxmin train --profile smoke \
--setting '1:1' --seed 20`, or make book; chapter 8 shows published results, too: `maxmin results open`
    """
    rows = []
    for setting in settings or SETTINGS:
        for seed in seeds(setting, profile):
            folder = run_folder(setting, profile, root, seed=seed)
            for method in ("reference", *find_setting(setting).methods):
                there = folder / method / "result.json"
                if not there.exists():
                    raise ValueError(
                        f"profile: expected the run of {method}, {setting}, seed {seed}, got none; call "
                        f"`maxmin train --profile {profile.name} --setting {setting!r} --seed {seed}`, or make book; "
                        "chapter 8 shows published results, too: `maxmin results open`"
                    )
                rows.append(read_json(there) | read_json(folder / "learned.json") | {"folder": there.parent})
    return pd.DataFrame(rows)


class Spent(NamedTuple):
    """Hold how many runs there are, and how long they took.

    Attributes
    ----------
    runs : int
        One a method, setting and seed; the reference policy is none.
    timed : int
        Those of them that kept their seconds.
    policies : int
        Policies that were trained for them; a rewarded soup trains one a group.
    seconds : float
        Of the runs that kept them, together: training, drawing texts, judging them.

    Examples
    --------
    >>> Spent(runs=2, timed=2, policies=3, seconds=75.0).seconds / 60
    1.25
    """

    runs: int
    timed: int
    policies: int
    seconds: float


def time_spent(profile: Profile, root: Path | str) -> Spent:
    """Return how long the runs of a profile took that are there, by what they noted themselves.

    Parameters
    ----------
    profile : Profile
        Whose runs are read.
    root : Path or str
        The folder of all runs.

    Returns
    -------
    Spent

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> time_spent(find_profile("smoke"), "no-runs-here")
    Spent(runs=0, timed=0, policies=0, seconds=0.0)
    """
    results, policies = [], 0
    for setting in SETTINGS:
        for seed in seeds(setting, profile):
            folder = run_folder(setting, profile, root, seed=seed)
            there = [folder / method / "result.json" for method in find_setting(setting).methods]
            results += [read_json(path) for path in there if path.exists()]
            policies += len([*folder.rglob("done.json")])
    seconds = [result["seconds"] for result in results if "seconds" in result]
    return Spent(len(results), len(seconds), policies, float(sum(seconds)))


def read_curve(folder: Path | str) -> pd.DataFrame:
    """Return what a training logged, one row a step.

    Parameters
    ----------
    folder : Path or str
        Of the run, with its metrics.jsonl.

    Returns
    -------
    DataFrame
        Among its columns ``value/GROUP`` and ``weight/GROUP``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 1, "weight/a": 0.5}')
    ...     read_curve(folder)["weight/a"].tolist()
    [0.5]
    """
    return pd.read_json(Path(folder) / "metrics.jsonl", lines=True)


def late_weights(curve: pd.DataFrame, groups: Sequence[str], *, n_steps: int) -> NDArray[np.float64]:
    """Return the mean of the group weights over the last steps of a training; they sum to one.

    Parameters
    ----------
    curve : DataFrame
        What the training logged, as `read_curve` returns it.
    groups : sequence of str, length U
        Names of the groups.
    n_steps : int
        How many last steps count.

    Returns
    -------
    ndarray, shape (U,)

    Examples
    --------
    >>> curve = pd.DataFrame({"weight/a": [0.9, 0.25], "weight/b": [0.1, 0.75]})
    >>> late_weights(curve, ["a", "b"], n_steps=1).tolist()
    [0.25, 0.75]
    """
    mean = curve[[f"weight/{group}" for group in groups]].iloc[-n_steps:].mean().to_numpy()
    return mean / mean.sum()


def _without(profile):
    return (*_NAMED, *_MODELS) if profile.reward == "linear" else _NAMED
