"""The experiment: one run per setting, seed and method, cached by configuration and by the code that made it.

Chapter 8.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._files import write_json
from ._devices import join
from ._judging import check_methods, make_all
from ._making import Making
from .adapter_rewards import AdapterRewards, embed
from .annotators import Gold, ask, halves
from .base import Base, prepare
from .model_mixture import count_groups, learn_models
from .profiles import Profile
from .results import run_folder
from .reward import Rewards, learn_known, learn_mixture, learn_single
from .reward_model import ModelRewards
from .settings import find_setting

__all__ = ["learn_rewards", "load_rewards", "order_of_groups", "run_methods"]


def learn_rewards(
    base: Base, gold: Gold, shares: Sequence[float], profile: Profile, *, seed: int, folder: Path | None = None
) -> tuple[dict[str, Rewards], dict[str, Any]]:
    """Simulate annotators and learn every kind of reward from their comparisons.

    Groups of the mixture are matched to the true ones for the report and for names only. Where rewards are whole
    models, the linear mixture is where their EM starts; where they are adapters on a base, it weighs what the frozen
    base makes of the texts, and nothing that was made for the groups' tastes.

    Parameters
    ----------
    base : Base
        Reference, its texts, what rewards may weigh.
    gold : Gold
        What the groups truly want.
    shares : sequence of float, length U
        Shares of the groups, up to a common factor.
    profile : Profile
        How many annotators there are, how much they compare, what a reward is.
    seed : int
        Of the annotators and of what is learned.
    folder : Path or None
        Where whole models are trained; not needed for linear rewards.

    Returns
    -------
    rewards : dict of str to Rewards
        ``single``, ``mixture`` and ``known``, calibrated over the reference's texts.
    report : dict
        ``assigned_right``: share of annotators that EM put into their group; ``begun_right``: where whole models are
        learned, that share in the linear mixture's groups, with which they begin; ``accuracy_single`` and so on: how
        often a reward ranks fresh pairs as each group does; ``annotators``: how many there are. With another number of
        groups than there are, nothing of the mixture's groups.

    Warns
    -----
    UserWarning
        As `learn_models` does, such as where EM over whole models would spoil the linear mixture's groups.

    Raises
    ------
    ValueError
        On fewer annotators than groups, whole models without a folder, or a profile that whole models do not know.

    Examples
    --------
    With the base of all runs, which is made in minutes:

    >>> rewards, report = learn_rewards(base, gold, (0.8, 0.2), profile, seed=0)  # doctest: +SKIP
    >>> report["assigned_right"]  # doctest: +SKIP
    1.0
    """
    n_groups, n_learned, models = len(shares), profile.n_groups or len(shares), profile.reward == "model"
    if models and folder is None:
        raise ValueError("folder: expected where to train reward models, got none")
    if models and (n_learned != n_groups or profile.common_unit):
        raise ValueError("profile: expected linear rewards for another number of groups or one unit, got models")
    values = gold(*base.pool.pair)
    how_many = (profile.n_annotators, profile.n_per_annotator)
    group, choices = ask(values, shares, *how_many, seed=seed, careless=profile.careless)
    seen, fresh = halves(values.shape[1])
    # Whole models read slowly: only what annotators compared, and below only what nobody has seen.
    compared = base.pool.prompts[seen], base.pool.completions[seen]
    if models and profile.lora:
        psi = embed(base.reference, *compared, cpu=profile.cpu, bf16=profile.reward_bf16 or profile.base_bf16)
    else:
        psi = base.features(*base.pool.pair)[seen]
    fit = learn_mixture(psi, choices, n_learned, seed=seed)
    first = assigned = fit.responsibilities.argmax(axis=1)
    learned: dict[str, Rewards]
    if not models or folder is None:
        found = {
            "single": learn_single(psi, choices),
            "mixture": (fit.parameters, fit.weights),
            "known": learn_known(psi, choices, group),
        }
        learned = {name: Rewards(base.features, *of_kind) for name, of_kind in found.items()}
    else:
        # Before hours are spent on the models of other rewards.
        count_groups(first, n_groups, "the linear mixture")
        given = (base.reference, compared, choices)
        nobody = np.zeros_like(group)
        single, _ = learn_models(*given, nobody, 1, profile, folder / "single", seed=seed, n_rounds=0)
        on: dict[str, Any] = {"onto": single if isinstance(single, AdapterRewards) else None}
        known, _ = learn_models(*given, group, n_groups, profile, folder / "known", seed=seed, n_rounds=0, **on)
        # EM over models may spoil the groups that linear rewards have found: it stops where it would.
        mixture, assigned = learn_models(
            *given,
            first,
            n_groups,
            profile,
            folder / "mixture",
            seed=seed,
            n_rounds=profile.em_rounds,
            features=psi,
            **on,
        )
        learned = {"single": single, "mixture": mixture, "known": known}
    report: dict[str, Any] = {"annotators": profile.n_annotators}
    if n_learned == n_groups:
        order = order_of_groups(assigned, group, n_groups)
        learned["mixture"] = learned["mixture"].of(order)
        report["assigned_right"] = float((np.argsort(order)[assigned] == group).mean())
        if models:
            report["begun_right"] = float((np.argsort(order_of_groups(first, group, n_groups))[first] == group).mean())
    unit: dict[str, Any] = {"common_unit": True} if profile.common_unit else {}
    rewards = {name: found.calibrated(*base.pool.pair, **unit) for name, found in learned.items()}
    prefers = np.sign(values[:, fresh][:, ::2] - values[:, fresh][:, 1::2])
    for name, reward in rewards.items():
        if name == "mixture" and n_learned != n_groups:
            continue
        margin = reward(base.pool.prompts[fresh], base.pool.completions[fresh])
        right = np.sign(margin[:, ::2] - margin[:, 1::2]) == prefers
        # Pairs that a group values equally say nothing.
        report[f"accuracy_{name}"] = (right & (prefers != 0)).sum(axis=1) / (prefers != 0).sum(axis=1)
        report[f"accuracy_{name}"] = report[f"accuracy_{name}"].tolist()
    return rewards, report


def run_methods(
    setting: str,
    profile: Profile,
    root: Path | str,
    *,
    seed: int,
    methods: Iterable[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Run methods of a setting for one seed, and keep a result.json of each.

    What is there already with the same settings is not run again; an interrupted run goes on from its checkpoint.

    Parameters
    ----------
    setting : str
        A name of ``settings.SETTINGS``.
    profile : Profile
        The size of everything.
    root : Path or str
        The folder of all runs.
    seed : int
        Of annotators and training.
    methods : iterable of str or None
        Names of ``train.METHODS``, or ``soup``, with ``@`` and a KL strength if it is not the profile's; None is all
        of the setting.
    say : callable, str -> None
        Is told what is being run.

    Returns
    -------
    list of Path
        The folders of the results, the reference's first.

    Raises
    ------
    ValueError
        On an unknown setting or method, fewer annotators than groups, a rule for groups where one is learned, or a
        folder of another configuration.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> run_methods("80:20", find_profile("smoke"), "runs", seed=20, methods=["best"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: method: expected one of single, average, equal, maxmin, ..., soup, product, choice, got 'best'
    """
    found = find_setting(setting)
    methods = check_methods(found.methods if methods is None else methods, profile)
    # Under torchrun one process prepares; all of them learn, train and judge.
    state = join(profile.cpu)
    with state.main_process_first():
        base = prepare(profile, root, say=say if state.is_main_process else lambda line: None)
    folder = run_folder(setting, profile, root, seed=seed)
    gold = Gold(base.gold, found.tastes, *base.pool.pair)
    rewards = _kept_rewards(base, gold, found, profile, seed, folder, state)
    making = Making(base, rewards, tuple(found.tastes), profile, seed)
    return make_all(making, gold, folder, setting, methods, say=say)


def load_rewards(
    folder: Path, profile: Profile, kinds: Sequence[str] = ("single", "mixture", "known")
) -> dict[str, Rewards]:
    """Return the rewards that were learned for a setting and seed.

    Parameters
    ----------
    folder : Path
        Of the runs, as `results.run_folder` names it.
    profile : Profile
        Of the runs: says what a reward is, and where it is computed.
    kinds : sequence of str
        Which.

    Returns
    -------
    dict of str to Rewards
        ``single``, ``mixture`` and ``known``.

    Examples
    --------
    With runs that were made before:

    >>> load_rewards(run_folder("80:20", profile, "_build/lm", seed=20), profile).keys()  # doctest: +SKIP
    dict_keys(['single', 'mixture', 'known'])
    """
    if profile.reward == "linear":
        return {name: Rewards.load(folder / "rewards" / name) for name in kinds}
    where = {"cpu": profile.cpu}
    if profile.lora:
        how = {**where, "bf16": profile.base_bf16 or profile.reward_bf16}
        found: dict[str, Rewards] = {}
        shared: AdapterRewards | None = None
        for name in kinds:
            # All kinds stand on one base.
            found[name] = shared = AdapterRewards.load(folder / "rewards" / name, onto=shared, **how)
        return found
    return {name: ModelRewards.load(folder / "rewards" / name, **where) for name in kinds}


def _kept_rewards(base, gold, setting, profile, seed, folder, state):
    """Learn the rewards once and keep them: learned again on another machine they may differ in the last bit."""
    training = folder / "reward-models"
    missing = not (folder / "learned.json").exists()
    state.wait_for_everyone()
    if missing:
        asked = seed if profile.annotator_seed is None else profile.annotator_seed
        rewards, report = learn_rewards(base, gold, setting.shares, profile, seed=asked, folder=training)
        if state.is_main_process:
            write_json(folder / "settings.json", {"profile": asdict(profile), "setting": asdict(setting), "seed": seed})
            for name, reward in rewards.items():
                reward.save(folder / "rewards" / name)
            write_json(folder / "learned.json", report)
            shutil.rmtree(training, ignore_errors=True)
        # Whole models would stand in memory twice.
        del rewards
        state.wait_for_everyone()
    return load_rewards(folder, profile)


def order_of_groups(assigned: NDArray[np.intp], group: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return the order of EM's groups that puts most annotators right.

    Parameters
    ----------
    assigned : ndarray of int, shape (A,)
        EM's group of every annotator.
    group : ndarray of int, shape (A,)
        The true one.
    n : int
        How many there are.

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> order_of_groups(np.array([1, 1, 0]), np.array([0, 0, 1]), 2).tolist()
    [1, 0]
    """
    from scipy.optimize import linear_sum_assignment

    together = np.array([[(assigned[group == u] == k).sum() for k in range(n)] for u in range(n)])
    return linear_sum_assignment(-together)[1]
