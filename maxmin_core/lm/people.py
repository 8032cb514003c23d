"""Policies for real people: comparisons that somebody made take the place of the simulated annotators. Chapter 10.

Prompts are divided once: on half of them rewards are learned and policies trained; on three tenths other reward models
are, for the groups as the data name them, which judge; on the rest policies write and rewards are tried.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import PartialState
from numpy.typing import NDArray

from .._closure import fingerprint
from .._files import read_json, write_json
from ..preferences.comparisons import Comparisons
from ..preferences.mixture import fit_mixture
from ._judging import check_methods, make_all
from ._making import Making
from .adapter_rewards import AdapterRewards, embed
from .base import Ground
from .comparisons import Compared, as_choices, split
from .experiment import load_rewards, order_of_groups
from .judges import Judge, judge_policy
from .model_mixture import learn_models
from .policy import load_policy
from .profiles import Profile, key
from .prompts import Prompt, encode
from .reference import load_pretrained
from .score_heads import whole_text
from .texts import Texts, write_texts

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["PERSONAS", "WISHES", "PersonaSetting", "run_people", "thin"]

_KINDS = ("single", "mixture", "known", "heldout")


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
    not made again.

    Parameters
    ----------
    data : datasets.Dataset
        As `sources.load_comparisons` returns it, with groups.
    setting : str
        What it is called.
    profile : Profile
        With a pretrained model, adapters, and reward models.
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
        On data without groups, with one alone or with people who compared too little; a profile that trains the
        reference or no reward models; prompts and answers none of which fit the model.

    Examples
    --------
    >>> data, _ = load_comparisons("personas", folder, personas=["P1A", "P1B"])  # doctest: +SKIP
    >>> run_people(data, "P1", profile, "runs", seed=20, methods=["single", "maxmin"])  # doctest: +SKIP
    """
    methods = check_methods(methods, profile)
    if profile.reward != "model" or not profile.lora or profile.reference_steps or profile.n_groups is not None:
        raise ValueError(
            "profile: expected adapters, reward models and an untrained reference for people's comparisons"
        )
    groups = tuple(sorted({group for group in data["group"] if group is not None}))
    if len(groups) < 2 or None in data["group"]:
        raise ValueError(
            f"group: expected two groups or more, and one for everybody, got {', '.join(groups) or 'none'}"
        )
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
    state = PartialState(cpu=profile.cpu)
    with state.main_process_first():
        parts, base = _ground(data, profile, ground, say if state.is_main_process else lambda line: None)
    if not (folder / "learned.json").exists():
        learned, report = _learn(parts, base, groups, profile, seed, folder / "training")
        state.wait_for_everyone()
        if state.is_main_process:
            write_json(folder / "settings.json", {**settings, "setting": setting, "seed": seed})
            for name, reward in learned.items():
                reward.save(folder / "rewards" / name)
            write_json(folder / "learned.json", report)
            shutil.rmtree(folder / "training", ignore_errors=True)
        del learned
    state.wait_for_everyone()
    rewards = load_rewards(folder, profile, _KINDS)
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
                    making.reference,
                    making.tokenizer,
                    base.baseline.prompts,
                    {g: wishes[g] for g in groups},
                )
                write_json(there / "asked.json", judge_policy(*given, judge, n_tokens=profile.new_tokens, seed=seed))
    state.wait_for_everyone()
    return folders


def _ground(data, profile, folder, say):
    """Save the reference, divide the prompts, draw its texts: once for all seeds."""
    if not (folder / "texts.json").exists():
        if not (folder / "reference" / "config.json").exists():
            say("[people] the model, in 32 bits")
            model, tokenizer = load_pretrained(profile)
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


def _learn(
    parts: dict[str, Compared], base: Ground, groups: Sequence[str], profile: Profile, seed: int, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Learn every kind of reward; what stands for the truth is learned from prompts that no other reward has seen."""
    learning, heldout, tried = (parts[name] for name in ("learning", "heldout", "tried"))
    group, n = _numbers(learning, groups), len(groups)
    texts, choices = (learning.prompts, learning.completions), learning.choices
    # EM over reward models begins where the exact EM ends, on what the frozen model makes of the texts.
    psi = embed(base.reference, *texts, cpu=profile.cpu, bf16=profile.reward_bf16 or profile.base_bf16)
    fit = fit_mixture(Comparisons(psi, *choices, weight=learning.weight), n, l2=1.0, seed=seed)
    given = (base.reference, texts, choices)
    how: dict[str, Any] = {"seed": seed}
    single, _ = learn_models(*given, np.zeros_like(group), 1, profile, folder / "single", n_rounds=0, **how)
    if isinstance(single, AdapterRewards):
        how["onto"] = single
    known, _ = learn_models(*given, group, n, profile, folder / "known", n_rounds=0, **how)
    first = fit.responsibilities.argmax(axis=1)
    mixture, assigned = learn_models(*given, first, n, profile, folder / "mixture", n_rounds=profile.em_rounds, **how)
    others = (base.reference, (heldout.prompts, heldout.completions), heldout.choices, _numbers(heldout, groups))
    how["seed"] = seed + 1000
    judging, _ = learn_models(*others, n, profile, folder / "heldout", n_rounds=0, **how)
    order = order_of_groups(assigned, group, n)
    learned = {"single": single, "mixture": mixture.of(order), "known": known, "heldout": judging}
    rewards = {name: found.calibrated(*base.pool.pair) for name, found in learned.items()}
    report: dict[str, Any] = {"annotators": len(group), "comparisons": len(choices[0]), "groups": list(groups)}
    report["assigned_right"] = float((np.argsort(order)[assigned] == group).mean())
    report["begun_right"] = float((np.argsort(order_of_groups(first, group, n))[first] == group).mean())
    of_tried = _numbers(tried, groups)[tried.choices[2]]
    for name, reward in rewards.items():
        value = reward(tried.prompts, tried.completions)
        right = value[:, tried.choices[0]] > value[:, tried.choices[1]]
        # One reward for all is tried on every group.
        report[f"accuracy_{name}"] = [
            float(right[min(u, len(right) - 1), of_tried == u].mean()) if (of_tried == u).any() else None
            for u in range(n)
        ]
    return rewards, report


def _numbers(compared: Compared, groups: Sequence[str]) -> NDArray[np.intp]:
    return np.array([groups.index(str(name)) for name in compared.groups], dtype=np.intp)
