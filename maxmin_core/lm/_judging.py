"""Judge what was made of a method: every process judges its share of the prompts, one writes the result."""

from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object

from .._files import write_json
from ._making import Made, Making
from .annotators import Gold
from .evaluate import evaluate
from .policy import log_probabilities
from .texts import Texts

__all__ = ["judge"]


def judge(made: Made, making: Making, gold: Gold, folder: Path, identity: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the metrics of a policy, and what the learned rewards say of its texts; complete in the main process.

    Texts are drawn, scored and asked how likely they are by all processes, each on its part of the prompts; one process
    does as it would alone. Another number of processes draws other texts.
    """
    state, baseline = PartialState(), making.base.baseline
    model, texts, divergence = made
    if texts is None and model is making.reference:
        texts = baseline
    mine = np.array_split(np.arange(len(baseline)), state.num_processes)[state.process_index]
    found = []
    if len(mine):
        of_process = 0 if state.num_processes == 1 else state.process_index
        if texts is None:
            here = making.texts(model, [baseline.prompts[i] for i in mine], (seed + of_process) % 2**31)
        else:
            here = _some(texts, mine)
        likely = [log_probabilities(m, making.tokenizer, here.prompts, here.ids) for m in (model, making.reference)]
        learned = {name: reward(*here.pair) for name, reward in making.rewards.items()}
        found = [(here, likely, learned)]
    parts = gather_object(found)
    texts = Texts(*([one for part, *_ in parts for one in getattr(part, name)] for name in _FIELDS))
    logs = [np.concatenate([likely[k] for _, likely, _ in parts]) for k in range(2)]
    whole = {name: np.concatenate([learned[name] for *_, learned in parts], axis=1) for name in making.rewards}
    metrics = evaluate(model, making.reference, making.tokenizer, texts, baseline, gold, likely=(logs[0], logs[1]))
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
