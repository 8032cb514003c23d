"""What training on people's comparisons begins with: the reference, the divided prompts, and the reference's texts."""

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np

from .._files import read_json, write_json
from .base import Ground
from .comparisons import as_choices, split
from .policy import load_policy
from .prompts import Prompt, encode
from .reference import load_pretrained
from .score_heads import whole_text
from .texts import Texts, write_texts

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["make_ground"]


def make_ground(data, profile, folder, say):
    """Save the reference, divide the prompts, draw its texts: once for all seeds."""
    if not (folder / "texts.json").exists():
        if not (folder / "reference" / "config.json").exists():
            say("[people] the model, in 32 bits")
            model, tokenizer = load_pretrained(profile)
            folder.mkdir(parents=True, exist_ok=True)
            needed, room = 1 + 4 * model.num_parameters() / 2**30, shutil.disk_usage(folder).free / 2**30
            if room < needed:
                raise ValueError(
                    f"disk: expected {needed:.0f} GiB free for the reference in 32 bits, got {room:.1f} GiB in {folder}"
                )
            model.save_pretrained(folder / "reference")
            tokenizer.save_pretrained(folder / "reference")
        model, tokenizer = load_policy(folder / "reference", cpu=profile.cpu, bf16=profile.base_bf16)
        fits = _that_fit(data, model, tokenizer, profile)
        if not fits:
            raise ValueError(
                "data: expected comparisons whose prompts and answers fit the model, got none: prompts of at most "
                f"{_room(model, profile)} tokens, with an answer at most {model.config.max_position_embeddings}"
            )
        if len(fits) < len(data):
            say(f"[people] {len(data) - len(fits)} of {len(data)} comparisons are too long for the model, left out")
        learning, rest = split(data.select(fits), "prompt", share=0.5)
        heldout, tried = split(rest, "prompt", share=0.4)
        train, test = (_prompts(part) for part in (learning, tried))
        rng = np.random.default_rng(0)
        train = [train[i] for i in rng.permutation(len(train))[: profile.n_prompts]]
        test = [test[i] for i in rng.permutation(len(test))[: profile.n_evaluation]]
        say("[people] texts of the reference")
        pool = write_texts(model, tokenizer, train, n_tokens=profile.new_tokens, seed=1)
        baseline = write_texts(model, tokenizer, test, n_tokens=profile.new_tokens, seed=2)
        parts = {"learning": learning, "heldout": heldout, "tried": tried}
        write_json(folder / "comparisons.json", {name: part.to_list() for name, part in parts.items()})
        write_json(folder / "texts.json", {"pool": vars(pool), "train": train, "baseline": vars(baseline)})
    from datasets import Dataset

    stored = read_json(folder / "texts.json")
    parts = {name: as_choices(Dataset.from_list(rows)) for name, rows in read_json(folder / "comparisons.json").items()}
    pool, baseline = Texts(**stored["pool"]), Texts(**stored["baseline"])
    return parts, Ground(folder / "reference", pool, stored["train"], baseline)


def _room(model, profile):
    return min(profile.longest_prompt or 2**31, model.config.max_position_embeddings - profile.new_tokens)


def _that_fit(data, model, tokenizer, profile):
    """Which comparisons leave room for a text of the policy, and are read whole by a reward."""
    rows, room, whole = data.to_list(), _room(model, profile), model.config.max_position_embeddings
    long = [len(ids) for ids in encode(tokenizer, [row["prompt"] for row in rows])]
    kept = []
    for i, (row, n) in enumerate(zip(rows, long, strict=True)):
        answers = [whole_text(row["prompt"], row[side], tokenizer) for side in ("chosen", "rejected")]
        if n <= room and max(map(len, tokenizer(answers)["input_ids"])) <= whole:
            kept.append(i)
    return kept


def _prompts(data: "Dataset") -> list[Prompt]:
    """Every prompt once, in an order that does not depend on the rows'."""
    return [json.loads(text) for text in sorted({json.dumps(prompt, sort_keys=True) for prompt in data["prompt"]})]
