"""Every kind of reward, learned from people's comparisons: for all, for the groups that EM finds, for named ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..preferences.comparisons import Comparisons
from ..preferences.mixture import fit_mixture
from .adapter_rewards import AdapterRewards, embed
from .base import Ground
from .comparisons import Compared
from .experiment import order_of_groups
from .model_mixture import count_groups, learn_models
from .profiles import Profile

__all__ = ["learn_from_people"]


def learn_from_people(
    parts: dict[str, Compared], base: Ground, groups: Sequence[str], profile: Profile, seed: int, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Learn every kind of reward; what stands for the truth is learned from prompts that no other reward has seen."""
    learning, heldout, tried = (parts[name] for name in ("learning", "heldout", "tried"))
    # Where the data name no groups, the profile says how many EM looks for; these are then tried, and judge.
    named, n = profile.n_groups is None, len(groups)
    texts, choices = (learning.prompts, learning.completions), learning.choices
    # EM over reward models begins where the exact EM ends, on what the frozen model makes of the texts.
    psi = embed(base.reference, *texts, cpu=profile.cpu, bf16=profile.reward_bf16 or profile.base_bf16)
    fit = fit_mixture(Comparisons(psi, *choices, weight=learning.weight), n, l2=1.0, seed=seed)
    first = fit.responsibilities.argmax(axis=1)
    # Before hours are spent on the models of other rewards.
    count_groups(first, n, "the linear mixture")
    given = (base.reference, texts, choices)
    how: dict[str, Any] = {"seed": seed}
    nobody = np.zeros(len(learning.annotators), dtype=np.intp)
    single, _ = learn_models(*given, nobody, 1, profile, folder / "single", n_rounds=0, **how)
    if isinstance(single, AdapterRewards):
        how["onto"] = single
    learned: dict[str, Any] = {"single": single}
    group = _numbers(learning, groups) if named else None
    if group is not None:
        learned["known"], _ = learn_models(*given, group, n, profile, folder / "known", n_rounds=0, **how)
    mixture, assigned = learn_models(
        *given, first, n, profile, folder / "mixture", n_rounds=profile.em_rounds, features=psi, **how
    )
    largest = np.argsort(-np.bincount(assigned, minlength=n), kind="stable")
    order = largest if group is None else order_of_groups(assigned, group, n)
    found = dict(zip(learning.annotators, (groups[k] for k in np.argsort(order)[assigned]), strict=True))
    if group is None:
        heldout, tried = _of_found(heldout, found), _of_found(tried, found)
    learned["mixture"] = mixture.of(order)
    others = (base.reference, (heldout.prompts, heldout.completions), heldout.choices, _numbers(heldout, groups))
    how["seed"] = seed + 1000
    learned["heldout"], _ = learn_models(*others, n, profile, folder / "heldout", n_rounds=0, **how)
    rewards = {name: reward.calibrated(*base.pool.pair) for name, reward in learned.items()}
    report: dict[str, Any] = {"annotators": len(assigned), "comparisons": len(choices[0]), "groups": list(groups)}
    report["found"] = found
    if group is not None:
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


def _of_found(compared: Compared, found: dict[str, str]) -> Compared:
    """Return the comparisons by people whom EM has put into a group, which takes the place of the data's."""
    kept = np.array([who in found for who in compared.annotators])[compared.choices[2]]
    winner, loser, annotator = (side[kept] for side in compared.choices)
    people, annotator = np.unique(annotator, return_inverse=True)
    names = [compared.annotators[i] for i in people]
    return compared._replace(
        choices=(winner, loser, annotator),
        annotators=names,
        groups=[found[name] for name in names],
        weight=compared.weight[kept],
    )
