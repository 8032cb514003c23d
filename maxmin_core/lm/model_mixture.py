"""A mixture of whole reward models, by hard EM over annotators. Chapter 8."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, logsumexp
from transformers import AutoTokenizer

from .adapter_rewards import AdapterRewards
from .annotators import Choices
from .profiles import Profile
from .prompts import Prompt
from .reward import learn_known
from .reward_model import ModelRewards, train_reward_model
from .score_heads import whole_text

__all__ = ["count_groups", "learn_models"]


def count_groups(assigned: ArrayLike, n_groups: int, where: str) -> NDArray[np.intp]:
    """Count the annotators of every group, and refuse a group that has none.

    Parameters
    ----------
    assigned : array_like of int, shape (A,)
        Every annotator's group.
    n_groups : int
        How many groups there are.
    where : str
        What the error names as the place.

    Returns
    -------
    ndarray of int, shape (n_groups,)

    Raises
    ------
    ValueError
        Where a group has no annotators.

    Examples
    --------
    >>> count_groups([1, 0, 1], 2, "the first guess").tolist()
    [1, 2]
    """
    count = np.bincount(assigned, minlength=n_groups)
    if not count.all():
        raise ValueError(f"assigned: expected annotators in each of {n_groups} groups, got {count.tolist()} in {where}")
    return count


def learn_models(
    reference: Path,
    texts: tuple[Sequence[Prompt], Sequence[str]],
    choices: Choices,
    assigned: ArrayLike,
    n_groups: int,
    profile: Profile,
    folder: Path,
    *,
    seed: int,
    n_rounds: int = 4,
    onto: AdapterRewards | None = None,
    features: NDArray[np.float64] | None = None,
) -> tuple[ModelRewards | AdapterRewards, NDArray[np.intp]]:
    """Learn a mixture of reward models by hard EM over annotators.

    Train a model for every group on two thirds of its annotators' comparisons; then give every annotator the group
    under which their other choices are likeliest, shares counted,
    ``argmax_u log share_u + sum_i log sigma(r_u(winner_i) - r_u(loser_i))``. A model knows the choices that it was
    trained on: judged by those nobody would move. Stop when nobody does; then train on all.

    Models that were trained for too short a time, or on too little, would spoil a first guess by simpler rewards; and
    this guess has seen all choices of a person, where a round judges by a third. With ``features``, a round that would
    move anybody therefore fits linear rewards to the same groups and training choices, and compares how likely both
    make the other choices, ``sum_a log sum_u share_u prod_i sigma(c (r_u(winner_i) - r_u(loser_i)))``, each at the
    scale ``c`` that suits it best. Unless the models do better, by more than one standard error over annotators, nobody
    is moved in that round and EM ends; what earlier rounds moved stays. Every choice counts one, whatever its weight.

    Parameters
    ----------
    reference : Path
        A saved policy, from which every model starts.
    texts : tuple of two sequences, each of length n_texts
        Prompts and completions of the compared texts.
    choices : tuple of ndarray of int, each of shape (n,)
        Winner, loser and annotator of every comparison.
    assigned : array_like of int, shape (A,)
        A first guess of every annotator's group, such as that of the linear mixture.
    n_groups : int
        How many groups there are; 1 is a single reward.
    profile : Profile
        How long to train, and at which rate.
    folder : Path
        Where the models are trained.
    seed : int
        Of heads and orders.
    n_rounds : int
        At most so many; 0 trains on the first guess.
    onto : AdapterRewards or None
        Rewards that were learned before, whose base these adapters are to share.
    features : ndarray, shape (n_texts, d), or None
        What linear rewards may weigh; None does not ask whether these do better.

    Returns
    -------
    rewards : ModelRewards or AdapterRewards
        Not calibrated; with adapters where the profile trains these.
    assigned : ndarray of int, shape (A,)
        Every annotator's group.

    Raises
    ------
    ValueError
        When a group has no annotators in the first guess.

    Warns
    -----
    UserWarning
        When EM still moves annotators after the last round, ends because a group would lose all of them, or because
        the models do not predict the choices that were left out clearly better than linear rewards do.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> from maxmin_core.lm.enumerable import make_reference
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = make_reference(Path(folder))
    ...     choices = np.array([0]), np.array([1]), np.array([0])
    ...     given = (["p0", "p0"], ["a", "b"]), choices, [0], 2, find_profile("smoke")
    ...     learn_models(Path(folder), *given, Path(folder) / "models", seed=0)
    Traceback (most recent call last):
    ValueError: assigned: expected annotators in each of 2 groups, got [1, 0] in round-0
    """
    winner, loser, annotator = choices
    # All processes go by what the first has found: a last bit that differs would lead them different ways.
    (group,) = broadcast_object_list([np.asarray(assigned)])
    prompts, completions = texts
    tokenizer = AutoTokenizer.from_pretrained(reference)
    whole = [whole_text(p, c, tokenizer) for p, c in zip(prompts, completions, strict=True)]

    def fit(used, name):
        count = count_groups(group, n_groups, name)
        models = []
        share = count / count.sum()
        folders = [folder / name / f"group-{u}" for u in range(n_groups)]
        for u in range(n_groups):
            of_group = used & (group[annotator] == u)
            pairs = [[whole[i] for i in side[of_group]] for side in (winner, loser)]
            made = train_reward_model(reference, *pairs, profile, folders[u], seed=seed)
            if not profile.lora:
                models.append(made)
            # Adapters are joined on one base below; this one's would lie beside the next one that is trained.
            del made
        if profile.lora:
            names = [f"{folder.name}-{name}-{u}" for u in range(n_groups)]
            bf16 = profile.base_bf16 or profile.reward_bf16
            return AdapterRewards.join(folders, share, names=names, cpu=profile.cpu, bf16=bf16, onto=onto)
        return ModelRewards([model for model, _ in models], models[0][1], share)

    order = np.argsort(annotator, kind="stable")
    of_annotator = np.empty_like(order)
    of_annotator[order] = np.arange(len(order)) - np.searchsorted(annotator[order], annotator[order])
    judged = of_annotator % 3 == 0

    def margins(score):
        return score[:, winner[judged]] - score[:, loser[judged]]

    n_moved = 0
    for turn in range(n_rounds):
        rewards = fit(~judged, f"round-{turn}")
        margin = margins(rewards(prompts, completions))
        if onto is not None and isinstance(rewards, AdapterRewards):
            rewards.forget()
        moved, ends = _joint(margin, rewards.shares, annotator[judged], len(group)).argmax(axis=1), None
        if len(np.unique(moved)) < n_groups:
            ends = "a group would lose all annotators; EM stops before"
        elif features is not None and (moved != group).any():
            linear, shares = learn_known(features, (winner[~judged], loser[~judged], annotator[~judged]), group)
            of_models = _at_best_scale(margin, rewards.shares, annotator[judged], len(group))
            of_linear = _at_best_scale(margins(linear @ features.T), shares, annotator[judged], len(group))
            ends = _no_better(of_models, of_linear, judged.sum())
        moved, ends = broadcast_object_list([moved, ends])
        PartialState().wait_for_everyone()
        if ends:
            warnings.warn(f"round {turn}: {ends}", stacklevel=2)
            n_moved = 0
            break
        n_moved = (moved != group).sum()
        group = moved
        if not n_moved:
            break
    if n_moved:
        warnings.warn(f"n_rounds: EM still moves {n_moved} of {len(group)} annotators after {n_rounds}", stacklevel=2)
    return fit(np.ones_like(judged), "all"), group


def _joint(margin, shares, who, n):
    """Return log share + log likelihood of the choices that were left out, of every annotator and group."""
    found = np.tile(np.log(shares), (n, 1))
    np.add.at(found, who, log_expit(margin).T)
    return found


def _at_best_scale(margin, shares, who, n):
    """Return every annotator's log-likelihood, at the one scale of all margins that makes the choices likeliest.

    Which margins are large decides who is moved; how large they all are says mostly how long a model was trained.
    """

    def of_annotators(log_scale):
        return logsumexp(_joint(np.exp(log_scale) * margin, shares, who, n), axis=1)

    return of_annotators(minimize_scalar(lambda c: -of_annotators(c).sum(), bounds=(-5, 5), method="bounded").x)


def _no_better(models, linear, n_choices):
    """Say how far the models' log-likelihoods are ahead, if not by more than one standard error; else None."""
    lead = models - linear
    error = lead.std(ddof=1) * np.sqrt(len(lead))
    if lead.sum() > error:
        return None
    return (
        "models do not predict the choices left out clearly better than linear rewards do "
        f"({lead.sum() / n_choices:+.3f} of log-likelihood a choice, standard error {error / n_choices:.3f}); "
        "nobody is moved in this round, and EM ends"
    )
