"""Policies for real people: comparisons that somebody made take the place of the simulated annotators. Chapter 10.

Prompts are divided once: on half of them rewards are learned and policies trained; on three tenths other reward models
are, for the groups as the data name them (or, where they name none, as EM has found them), which judge; on the rest
policies write and rewards are tried.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._closure import fingerprint
from .._files import write_json
from ._devices import join
from ._judging import check_methods, make_all, method_and_beta
from ._making import Making
from ._people_ground import make_ground
from ._people_rewards import learn_from_people
from .experiment import load_rewards
from .judges import Judge, judge_policy
from .policy import load_policy
from .profiles import Profile, key
from .train import METHODS

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["PERSONAS", "WISHES", "PersonaSetting", "run_people", "thin"]

_KINDS: tuple[str, ...] = ("single", "mixture", "known", "heldout")


@dataclass(frozen=True)
class PersonaSetting:
    """Hold which two personas disagree, and how many people of the first there are for one of the second.

    Parameters
    ----------
    name : str
        How the setting is called everywhere.
    personas : tuple of str, length 2
        Their files, the majority's first.
    ratio : int
        People of the first for one of the second.

    Examples
    --------
    >>> PERSONAS["P1 10:1"].personas, PERSONAS["P1"].ratio
    (('P1A', 'P1B'), 1)
    """

    name: str
    personas: tuple[str, str]
    ratio: int = 1


# Elementary or expert, concise or informative, friendly or unfriendly, after Jang et al.; alone a name is 1:1.
PERSONAS = {
    setting.name: setting
    for pair in ("P1", "P2", "P3")
    for ratio in (1, 2, 6, 10)
    for setting in (PersonaSetting(pair if ratio == 1 else f"{pair} {ratio}:1", (f"{pair}A", f"{pair}B"), ratio),)
}
# What a judge is told of a persona, in words of ours: the data's own sentences are not ours to pass on.
WISHES = {
    "P1A": "Explain it so that a child at school understands.",
    "P1B": "Explain it to an expert of the field.",
    "P2A": "Be brief.",
    "P2B": "Say everything that may be useful.",
    "P3A": "Be warm and friendly.",
    "P3B": "Be cold and unfriendly.",
}


def thin(data: "Dataset", shares: dict[str, int], *, seed: int = 0) -> "Dataset":
    """Return comparisons of fewer people, so that groups stand in given shares; the rarest keeps at least two.

    Parameters
    ----------
    data : datasets.Dataset
        With the columns of ``comparisons.COLUMNS``, and groups.
    shares : dict of str to int
        Group to its share, in whole numbers.
    seed : int
        Of who stays.

    Returns
    -------
    datasets.Dataset

    Raises
    ------
    ValueError
        On a group without people, or shares that leave one with fewer than two.

    Examples
    --------
    >>> thin(data, {"P1A": 10, "P1B": 1})  # doctest: +SKIP
    """
    group_of = dict(zip(data["annotator"], data["group"], strict=True))
    people = {name: sorted(who for who, group in group_of.items() if group == name) for name in shares}
    if missing := [name for name, of_group in people.items() if not of_group]:
        raise ValueError(f"group: expected people of {', '.join(shares)}, got none of {', '.join(missing)}")
    unit = min(len(people[name]) / share for name, share in shares.items())
    kept: set[str] = set()
    for name, share in shares.items():
        n = int(unit * share + 1e-9)
        if n < 2:
            raise ValueError(f"shares: expected at least two people of {name}, got {n} of {len(people[name])}")
        kept |= {people[name][i] for i in np.random.default_rng(seed).permutation(len(people[name]))[:n]}
    return data.select([i for i, who in enumerate(data["annotator"]) if who in kept])


def run_people(
    data: "Dataset",
    setting: str,
    profile: Profile,
    root: Path | str,
    *,
    seed: int,
    methods: Iterable[str],
    judge: Judge | None = None,
    wishes: dict[str, str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Learn rewards from people's comparisons, train policies on their prompts, and judge these by held-out rewards.

    As `experiment.run_methods` does with simulated annotators; who is in which group no learner sees. What is there is
    not made again. Data that name no groups are learned from, too, where the profile says how many groups to look for:
    no reward of known groups is learned, and those that judge are learned for the groups that EM has found.

    Parameters
    ----------
    data : datasets.Dataset
        As `sources.load_comparisons` returns it, with a group for everybody or for nobody.
    setting : str
        What it is called.
    profile : Profile
        With a pretrained model, adapters, and reward models; ``n_groups`` only where the data name no groups.
    root : Path or str
        The folder of all runs.
    seed : int
        Of rewards and training; the division of the prompts is the same for all.
    methods : iterable of str
        As for `experiment.run_methods`.
    judge : Judge or None
        Is asked of every policy, for every group, with its wish in the prompt and without; None is nobody.
    wishes : dict of str to str, or None
        Group to what it wants, in a sentence; None is ``WISHES``.
    say : callable, str -> None
        Is told what is being run.

    Returns
    -------
    list of Path
        The folders of the results, the reference's first.

    Raises
    ------
    ValueError
        On data with one group alone or with groups for some people, without groups where the profile does not say how
        many to look for or a method or a judge needs names; with people who compared too little; a profile that trains
        the reference or no reward models; prompts and answers none of which fit the model.

    Examples
    --------
    >>> data, _ = load_comparisons("personas", folder, personas=["P1A", "P1B"])  # doctest: +SKIP
    >>> run_people(data, "P1", profile, "runs", seed=20, methods=["single", "maxmin"])  # doctest: +SKIP
    """
    methods = check_methods(methods, profile)
    if profile.reward != "model" or not profile.lora or profile.reference_steps:
        raise ValueError(
            "profile: expected adapters, reward models and an untrained reference for people's comparisons"
        )
    groups, kinds = _groups(data, profile, methods), _KINDS
    if profile.n_groups is not None:
        kinds = tuple(kind for kind in _KINDS if kind != "known")
        if judge is not None:
            raise ValueError("judge: expected groups that the data name, to say what each wants, got none")
    wishes = WISHES if wishes is None else wishes
    if judge is not None and (unsaid := [name for name in groups if name not in wishes]):
        raise ValueError(f"wishes: expected what each group wants, got nothing for {', '.join(unsaid)}")
    rows = hashlib.sha256(json.dumps(data.to_list(), sort_keys=True).encode()).hexdigest()
    code = fingerprint("maxmin_core.lm.people")
    settings: dict[str, Any] = {"profile": asdict(profile), "rows": rows, "code": code}
    del settings["profile"]["vllm"]
    slug = setting.lower().replace(":", "-").replace(" ", "-")
    at = Path(root) / profile.name / f"people-{slug}"
    ground, folder = at / f"ground-{key(**settings)}", at / f"seed{seed}-{key(**settings, seed=seed)}"
    state = join(profile.cpu)
    if profile.n_groups is not None and state.is_main_process:
        say(
            f"[{setting}] the data name no groups, EM looks for {len(groups)}: no rewards of named groups are learned, "
            "and those that judge are, from other prompts, of the groups that EM finds"
        )
    with state.main_process_first():
        parts, base = make_ground(data, profile, ground, say if state.is_main_process else lambda line: None)
    if not (folder / "learned.json").exists():
        learned, report = learn_from_people(parts, base, groups, profile, seed, folder / "training")
        state.wait_for_everyone()
        if state.is_main_process:
            write_json(folder / "settings.json", {**settings, "setting": setting, "seed": seed})
            for name, reward in learned.items():
                reward.save(folder / "rewards" / name)
            write_json(folder / "learned.json", report)
            shutil.rmtree(folder / "training", ignore_errors=True)
        del learned
    state.wait_for_everyone()
    rewards = load_rewards(folder, profile, kinds)
    gold = rewards.pop("heldout")
    making = Making(base, rewards, groups, profile, seed)
    folders = make_all(making, gold, folder, setting, methods, say=say)
    if judge is not None and state.is_main_process:
        for there in folders[1:]:
            made = any((there / name).exists() for name in ("adapter_config.json", "config.json"))
            if made and not (there / "asked.json").exists():
                say(f"[{setting}] seed {seed}, {there.name}: the judge is asked")
                policy = load_policy(there, cpu=profile.cpu, bf16=profile.base_bf16)[0]
                given = (
                    policy,
                    making.beside(policy),
                    making.tokenizer,
                    base.baseline.prompts,
                    {g: wishes[g] for g in groups},
                )
                write_json(there / "asked.json", judge_policy(*given, judge, n_tokens=profile.new_tokens, seed=seed))
    state.wait_for_everyone()
    return folders


def _groups(data, profile, methods):
    """Return the names of the groups: the data's, or numbers for those that EM is to find."""
    named = sorted({group for group in data["group"] if group is not None})
    if named and (len(named) < 2 or None in data["group"]):
        raise ValueError(f"group: expected two groups or more, and one for everybody, got {', '.join(named)}")
    if named and profile.n_groups is not None:
        raise ValueError(
            f"n_groups: expected None where the data name groups, {', '.join(named)}, got {profile.n_groups}"
        )
    if named:
        return tuple(named)
    if profile.n_groups is None:
        raise ValueError(
            "group: expected a group for everybody, or how many EM shall look for, got neither; name the column by "
            "--group, or the number by --groups"
        )
    if known := [name for name in methods if _rewards_of(name) == "known"]:
        raise ValueError(f"method: expected groups that the data name for {', '.join(known)}, got none")
    return tuple(f"found {k + 1}" for k in range(profile.n_groups))


def _rewards_of(method):
    name = method_and_beta(method)[0]
    return METHODS[name].rewards if name in METHODS else "mixture"
