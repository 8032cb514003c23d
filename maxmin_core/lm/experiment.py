"""The experiment: one run per setting, seed and method, cached by configuration and by the code that made it."""

import shutil
from dataclasses import asdict
from itertools import product

import numpy as np
import torch
from accelerate import PartialState

from .._files import write_json
from .annotators import Gold, compare, draw_groups
from .base import prepare
from .evaluate import evaluate, write_texts
from .policy import load_policy
from .profiles import key
from .results import run_folder
from .reward import Rewards, learn_known, learn_mixture, learn_single
from .reward_model import ModelRewards, learn_models
from .settings import find_setting
from .train import METHODS, Method, train

__all__ = ["learn_rewards", "run_methods"]


def learn_rewards(base, gold, setting, profile, seed, folder=None):
    """Simulate the annotators of a setting and learn every kind of reward from their comparisons.

    Returns (dict: 'single', 'mixture', 'known' -> Rewards, calibrated over the reference's texts; report). The report
    says how many annotators EM put into their group, and how often each reward ranks fresh pairs as a group does.
    Groups of the mixture are matched to the true ones for the report and for names only. With reward='model' in the
    profile the linear mixture is where the models' EM starts, and `folder` is where they are trained. Chapter 8.
    """
    group = draw_groups(setting.shares, profile.n_annotators, seed)
    values = gold(*base.pool.pair)
    half = values.shape[1] // 4 * 2
    seen, fresh = slice(0, half), slice(half, None)
    psi = base.features(*base.pool.pair)
    choices = compare(values[:, seen].reshape(len(values), -1, 2), group, profile.n_per_annotator, seed)
    fit = learn_mixture(psi[seen], choices, len(setting.shares), seed=seed)
    assigned, n_groups = fit.responsibilities.argmax(axis=1), len(setting.shares)
    if profile.reward == "linear":
        learned = {
            "single": learn_single(psi[seen], choices),
            "mixture": (fit.parameters, fit.weights),
            "known": learn_known(psi[seen], choices, group),
        }
        learned = {name: Rewards(base.features, *found) for name, found in learned.items()}
    else:
        given = (base.reference, base.pool.pair, choices)
        options = {"profile": profile, "seed": seed}
        nobody = np.zeros_like(group)
        learned = {
            "single": learn_models(*given, nobody, 1, folder=folder / "single", rounds=0, **options)[0],
            "known": learn_models(*given, group, n_groups, folder=folder / "known", rounds=0, **options)[0],
        }
        learned["mixture"], assigned = learn_models(*given, assigned, n_groups, folder=folder / "mixture", **options)
    order = _match(assigned, group, n_groups)
    learned["mixture"] = learned["mixture"].of(order)
    rewards = {name: found.calibrated(*base.pool.pair) for name, found in learned.items()}
    prefers = np.sign(values[:, fresh][:, ::2] - values[:, fresh][:, 1::2])
    report = {
        "annotators": profile.n_annotators,
        "assigned_right": float((np.argsort(order)[assigned] == group).mean()),
    }
    for name, reward in rewards.items():
        margin = reward(*base.pool.pair)[:, fresh]
        right = np.sign(margin[:, ::2] - margin[:, 1::2]) == prefers
        # Pairs that a group values equally say nothing.
        report[f"accuracy_{name}"] = (right & (prefers != 0)).sum(axis=1) / (prefers != 0).sum(axis=1)
        report[f"accuracy_{name}"] = report[f"accuracy_{name}"].tolist()
    return rewards, report


def run_methods(setting, seed, profile, root, *, methods=None, say=lambda line: None):
    """Run every method of a setting for one seed, keep result.json of each, and return their folders.

    A method is a name of `train.METHODS`, 'reference' or 'soup', with '@' and a KL strength if not the profile's.
    What is there already with the same settings is not run again; an interrupted run goes on from its checkpoint.

    Raises
    ------
    ValueError
        On an unknown setting or method, fewer annotators than groups, or a folder of another configuration. Chapter 8.
    """
    found = find_setting(setting)
    methods = found.methods if methods is None else tuple(methods)
    for method in methods:
        _method(method)
    # Under torchrun one process prepares, learns and judges; all of them train.
    state = PartialState(cpu=profile.cpu)
    with state.main_process_first():
        base = prepare(profile, root, say=say if state.is_main_process else lambda line: None)
    folder = run_folder(setting, seed, profile, root)
    gold = Gold(base.gold, found.tastes, *base.pool.pair)
    rewards = _kept_rewards(base, gold, found, profile, seed, folder, state)
    reference, tokenizer = load_policy(base.reference, cpu=profile.cpu)
    folders = [folder / method for method in ("reference", *methods)]
    # All processes agree on what is to do before one of them writes a result: who looked later would do less, and wait.
    missing = [there for there in folders if not (there / "result.json").exists()]
    state.wait_for_everyone()
    for there in missing:
        method = there.name
        if state.is_main_process:
            say(f"[{setting}] seed {seed}, {method}")
        model = _trained(method, rewards, found, base, profile, there, seed, reference)
        if state.is_main_process:
            name, beta = _method(method)
            identity = {"setting": setting, "seed": seed, "method": name, "beta": beta or profile.beta}
            identity["groups"] = list(found.tastes)
            _judge(model, reference, tokenizer, base, gold, rewards, profile, there, identity)
        state.wait_for_everyone()
    return folders


def _kept_rewards(base, gold, setting, profile, seed, folder, state):
    """Learn the rewards once and keep them: learned again on another machine they may differ in the last bit."""
    training = folder / "reward-models"
    missing = not (folder / "learned.json").exists()
    state.wait_for_everyone()
    if missing:
        rewards, report = learn_rewards(base, gold, setting, profile, seed, training)
        if state.is_main_process:
            write_json(folder / "settings.json", {"profile": asdict(profile), "setting": asdict(setting), "seed": seed})
            for name, reward in rewards.items():
                reward.save(folder / "rewards" / name)
            write_json(folder / "learned.json", report)
            shutil.rmtree(training, ignore_errors=True)
        # Whole models would stand in memory twice.
        del rewards
        state.wait_for_everyone()
    options = {} if profile.reward == "linear" else {"cpu": profile.cpu}
    kind = Rewards if profile.reward == "linear" else ModelRewards
    return {name: kind.load(folder / "rewards" / name, **options) for name in ("single", "mixture", "known")}


def _judge(model, reference, tokenizer, base, gold, rewards, profile, folder, identity):
    texts = base.baseline
    if model is not reference:
        # Of its own for every run: texts of two methods that share random numbers are not independent.
        seed = int(key(**identity), 16) % 2**31
        texts = write_texts(model, tokenizer, texts.prompts, n_tokens=profile.new_tokens, seed=seed)
    metrics = evaluate(model, reference, tokenizer, texts, base.baseline, gold)
    learned = {name: reward(*texts.pair).mean(axis=1).tolist() for name, reward in rewards.items()}
    samples = list(zip(texts.prompts[:8], texts.completions[:8], strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "gold.json", np.round(gold(*texts.pair), 4).tolist())
    write_json(folder / "result.json", identity | {"learned": learned, "samples": samples} | metrics)


def _trained(method, rewards, setting, base, profile, folder, seed, reference):
    name, beta = _method(method)
    if name == "reference":
        return reference
    if name == "soup":
        return _soup(rewards["mixture"], setting, base, profile, folder, seed, beta)
    chosen = METHODS[name]
    scored = rewards[chosen.rewards]
    groups = ["everybody"] if chosen.rewards == "single" else list(setting.tastes)
    train(chosen, scored, groups, base.train, base.reference, profile, folder, seed=seed, beta=beta)
    return load_policy(folder, cpu=profile.cpu)[0]


def _soup(rewards, setting, base, profile, folder, seed, beta):
    """Train a policy per group, average their parameters; save the mix of the best learned worst value."""
    members = []
    for u, group in enumerate(setting.tastes):
        there = folder / f"group-{u}"
        train(
            Method(f"only {group}", "mixture", METHODS["single"].welfare),
            rewards.of([u]),
            [group],
            base.train,
            base.reference,
            profile,
            there,
            seed=seed,
            beta=beta,
        )
        members.append(load_policy(there, cpu=profile.cpu)[0])
    model, tokenizer = load_policy(base.reference, cpu=profile.cpu)
    worst = {}
    for mix in _grid(len(members), 10 if len(members) == 2 else 5):
        _stir(model, members, mix)
        texts = write_texts(model, tokenizer, base.train, n_tokens=profile.new_tokens, seed=seed)
        worst[mix] = float(rewards(*texts.pair).mean(axis=1).min())
    best = max(worst, key=worst.get)
    _stir(model, members, best)
    if PartialState().is_main_process:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "mix.json", {"groups": list(setting.tastes), "mix": best, "worst": worst[best]})
    return model


@torch.no_grad()
def _stir(model, members, mix):
    """Give a model the average of its members' parameters, with these weights."""
    for parameter, *of_members in zip(model.parameters(), *(member.parameters() for member in members), strict=True):
        parameter.copy_(sum(w * other for w, other in zip(mix, of_members, strict=True)))


def _grid(n, steps):
    """All weights of n parts in multiples of 1 / steps."""
    return [tuple(k / steps for k in parts) for parts in product(range(steps + 1), repeat=n) if sum(parts) == steps]


def _match(assigned, group, n):
    """The order of EM's groups that puts most annotators right."""
    from scipy.optimize import linear_sum_assignment

    together = np.array([[(assigned[group == u] == k).sum() for k in range(n)] for u in range(n)])
    return linear_sum_assignment(-together)[1]


def _method(method):
    """Split 'name@beta'; ValueError on an unknown name or a beta that is no number above 0."""
    name, _, beta = method.partition("@")
    if name not in METHODS and name not in ("reference", "soup"):
        raise ValueError(f"method: expected one of {', '.join((*METHODS, 'reference', 'soup'))}, got {name!r}")
    try:
        value = float(beta) if beta else None
    except ValueError as error:
        raise ValueError(f"method: expected a number after '@', got {beta!r}") from error
    if value is not None and not value > 0:
        raise ValueError(f"method: expected a KL strength above 0 after '@', got {beta}")
    return name, value
