"""Reference trajectories of training, and how they are made again: python tests/lm/trajectories.py

Each is ten steps of one method from one seed, on a policy of a few words. A changed trajectory is a changed result:
make them again only when the change is meant, and say in the commit why the numbers moved and which results move with
them.
"""

import json
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from maxmin_core.alignment import Nash, Regret
from maxmin_core.lm.enumerable import WordRewards, make_reference
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.train import METHODS, train

KEPT = Path(__file__).with_name("trajectories.json")
NAMES = ("single", "average", "equal", "maxmin", "maxmin_hard", "per_response", "regret", "nash", "grpo", "grpo_scaled")
# What a welfare measures from.
WELFARES = {"regret": Regret([0.4, 0.3]), "nash": Nash([-0.5, -0.5])}
SEEDS = (0, 1)
GROUPS = ["many", "few"]
SCORES = np.array([[1.0, -0.5, 0.3, 0.0, 0.2, 0.1], [-0.6, 0.8, 0.3, 0.5, 0.0, -0.2]])
SHARES = [0.7, 0.3]
PROFILE = replace(
    find_profile("smoke"), steps=10, prompts_per_step=4, samples_per_prompt=4, new_tokens=5, rate=1e-3, beta=0.1
)


def trajectories(names=NAMES, seeds=SEEDS, profile=PROFILE, perturb=None):
    """Return what every training logs: {method-seed: {metric: ten numbers}}; `perturb` may change the reference."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        prompts = make_reference(reference, n_words=6, n_prompts=8, n_tokens=5)
        if perturb is not None:
            perturb(reference)
        for name, seed in product(names, seeds):
            single = METHODS[name].rewards == "single"
            rewards = WordRewards([np.dot([0.85, 0.15], SCORES)], [1.0]) if single else WordRewards(SCORES, SHARES)
            groups = ["everybody"] if single else GROUPS
            there = Path(folder) / f"{name}-{seed}"
            # A faster rate than the book's: in ten steps the weights shall go somewhere.
            method = replace(METHODS[name], rate=METHODS[name].rate and 0.5)
            welfare = WELFARES.get(name)
            train(method, rewards, groups, prompts, reference, profile, there, seed=seed, welfare=welfare)
            rows = [json.loads(line) for line in (there / "metrics.jsonl").read_text().splitlines()]
            wanted = ["loss", "grad_norm", "kl", *(f"{what}/{u}" for u in groups for what in ("value", "weight"))]
            found[there.name] = {metric: [row[metric] for row in rows] for metric in wanted}
    return found


def write(found):
    """Keep the trajectories, one metric a line, to six digits behind the point."""
    lines = []
    for name, metrics in found.items():
        inner = [f'  "{metric}": {json.dumps([round(x, 6) + 0.0 for x in row])}' for metric, row in metrics.items()]
        lines.append(f' "{name}": {{\n' + ",\n".join(inner) + "\n }")
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    write(trajectories())
    print(f"{KEPT.name}: {KEPT.stat().st_size} bytes", file=sys.stderr)
