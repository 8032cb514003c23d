"""Make the methods of a setting and judge them: every process judges its share of the prompts."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object

from .._files import write_json
from ._devices import join
from ._making import UNTRAINED, Made, Making
from .evaluate import evaluate
from .policy import log_probabilities
from .profiles import Profile, key
from .scorers import Scorer
from .texts import Texts
from .train import METHODS

__all__ = ["check_methods", "judge", "make_all", "method_and_beta"]


def make_all(
    making: Making,
    gold: Scorer,
    folder: Path,
    setting: str,
    methods: Sequence[str],
    *,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Make and judge what is missing of the methods of a setting and seed; by all processes together.

    Parameters
    ----------
    making : Making
        What all methods begin with.
    gold : Scorer
        What the groups truly want, or what stands for it.
    folder : Path
        Of the setting and seed.
    setting : str
        What it is called.
    methods : sequence of str
        As `run_methods` takes them.
    say : callable, str -> None
        Is told what is being run.

    Returns
    -------
    list of Path
        The folders of the results, the reference's first.
    """
    state, profile, seed = join(making.profile.cpu), making.profile, making.seed
    folders = [folder / method for method in ("reference", *methods)]
    # All processes agree on what is to do before one of them writes a result: who looked later would do less, and wait.
    missing = [there for there in folders if not (there / "result.json").exists()]
    state.wait_for_everyone()
    for there in missing:
        method = there.name
        if state.is_main_process:
            say(f"[{setting}] seed {seed}, {method}")
        name, beta = method_and_beta(method)
        began = time.perf_counter()
        identity = {"setting": setting, "seed": seed, "method": name, "beta": beta or profile.beta}
        identity["groups"] = list(making.groups)
        made = making.policy(name, beta or profile.beta, there, seed_of_texts=_seed_of_texts(identity))
        result = judge(made, making, gold, there, identity, _seed_of_texts(identity))
        if state.is_main_process:
            write_json(there / "result.json", result | {"seconds": round(time.perf_counter() - began, 1)})
        state.wait_for_everyone()
    return folders


def check_methods(methods: Iterable[str], profile: Profile) -> tuple[str, ...]:
    """Return the methods; ValueError on an unknown one, or a rule for groups where one is learned.

    Parameters
    ----------
    methods : iterable of str
        As `run_methods` takes them.
    profile : Profile
        Says how many groups are learned.

    Returns
    -------
    tuple of str
    """
    methods = tuple(methods)
    for method in methods:
        name, _ = method_and_beta(method)
        if profile.n_groups == 1 and (name in UNTRAINED or (name in METHODS and METHODS[name].rewards == "mixture")):
            raise ValueError(f"n_groups: expected at least two learned groups for {name}, got 1")
    return methods


def judge(
    made: Made, making: Making, gold: Scorer, folder: Path, identity: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Return the metrics of a policy, and what the learned rewards say of its texts; complete in the main process.

    Texts are drawn, scored and asked how likely they are by all processes, each on its part of the prompts; one process
    does as it would alone. Another number of processes draws other texts.
    """
    state, baseline = PartialState(), making.base.baseline
    model, texts, divergence = made
    if texts is None and identity["method"] == "reference":
        texts = baseline
    reference = making.beside(model)
    mine = np.array_split(np.arange(len(baseline)), state.num_processes)[state.process_index]
    found = []
    if len(mine):
        of_process = 0 if state.num_processes == 1 else state.process_index
        if texts is None:
            here = making.texts(model, [baseline.prompts[i] for i in mine], (seed + of_process) % 2**31)
        else:
            here = _some(texts, mine)
        likely = [log_probabilities(m, making.tokenizer, here.prompts, here.ids) for m in (model, reference)]
        learned = {name: reward(*here.pair) for name, reward in making.rewards.items()}
        found = [(here, likely, learned)]
    parts = gather_object(found)
    texts = Texts(*([one for part, *_ in parts for one in getattr(part, name)] for name in _FIELDS))
    logs = [np.concatenate([likely[k] for _, likely, _ in parts]) for k in range(2)]
    whole = {name: np.concatenate([learned[name] for *_, learned in parts], axis=1) for name in making.rewards}
    metrics = evaluate(model, reference, making.tokenizer, texts, baseline, gold, likely=(logs[0], logs[1]))
    if divergence is not None:
        metrics |= {"kl": float(divergence.mean()), "kl_error": float(divergence.std() / np.sqrt(len(divergence)))}
    means = {name: values.mean(axis=1).tolist() for name, values in whole.items()}
    samples = list(zip(texts.prompts[:8], texts.completions[:8], strict=True))
    if state.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "gold.json", np.round(gold(*texts.pair), 4).tolist())
    return identity | {"learned": means, "samples": samples} | metrics


_FIELDS = ("prompts", "ids", "completions")


def _some(texts, which):
    return Texts(*([getattr(texts, name)[i] for i in which] for name in _FIELDS))


def _seed_of_texts(identity):
    """A seed of its own for every run: texts of two methods that share random numbers are not independent."""
    return int(key(**identity), 16) % 2**31


def method_and_beta(method: str) -> tuple[str, float | None]:
    """Split 'name@beta'; ValueError on an unknown name or a beta that is no number above 0."""
    name, _, beta = method.partition("@")
    known = (*METHODS, "reference", *UNTRAINED)
    if name not in known:
        raise ValueError(f"method: expected one of {', '.join(known)}, got {name!r}")
    try:
        value = float(beta) if beta else None
    except ValueError as error:
        raise ValueError(f"method: expected a number after '@', got {beta!r}") from error
    if value is not None and not value > 0:
        raise ValueError(f"method: expected a KL strength above 0 after '@', got {beta}")
    return name, value
