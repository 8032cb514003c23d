"""The base of all runs of a profile: reference policy, sentiment classifiers, prompts, texts of the reference.

Chapters 8 and 9.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .._files import read_json, write_json
from .corpus import load_reviews, sentences
from .features import TextFeatures
from .policy import load_policy, make_prompts
from .profiles import Profile
from .prompts import Prompt
from .reference import train_reference
from .results import base_folder
from .sentiment import Sentiment
from .texts import Texts, write_texts

__all__ = ["Base", "Ground", "prepare"]


@dataclass(frozen=True)
class Base:
    """Hold what all runs of a profile share.

    Parameters
    ----------
    folder : Path
        Where it is kept.
    reference : Path
        The saved reference policy.
    gold : Sentiment
        What the annotators' sentiment is, from reviews of its own.
    features : TextFeatures
        What rewards may weigh; its sentiment is from other reviews.
    pool : Texts
        Two texts of the reference per prompt, which annotators compare.
    train : list of Prompt
        Prompts to train with.
    baseline : Texts
        One text of the reference on each prompt that policies are judged on.

    Examples
    --------
    >>> from dataclasses import fields
    >>> [field.name for field in fields(Base)]
    ['folder', 'reference', 'gold', 'features', 'pool', 'train', 'baseline']
    """

    folder: Path
    reference: Path
    gold: Sentiment
    features: TextFeatures
    pool: Texts
    train: list[Prompt]
    baseline: Texts


class Ground(NamedTuple):
    """Hold what training and judging a policy begin with, wherever the rewards are from.

    Parameters
    ----------
    reference : Path
        The saved reference policy.
    pool : Texts
        What the reference wrote on prompts to train with: rewards are calibrated over it.
    train : list of Prompt
        Prompts to train with.
    baseline : Texts
        One text of the reference on each prompt that policies are judged on.

    Examples
    --------
    >>> Ground._fields
    ('reference', 'pool', 'train', 'baseline')
    """

    reference: Path
    pool: Texts
    train: list[Prompt]
    baseline: Texts


def prepare(profile: Profile, root: Path | str, *, say: Callable[[str], None] = lambda line: None) -> Base:
    """Make what all runs of a profile share, or load it where it was made with the same settings.

    Every step is kept when it ends, so an interrupted preparation goes on where it was.

    Parameters
    ----------
    profile : Profile
        What to make, and how large.
    root : Path or str
        The folder of all runs.
    say : callable, str -> None
        Is told what is being made.

    Returns
    -------
    Base

    Raises
    ------
    ValueError
        Where the profile needs a GPU and PyTorch finds none.

    Examples
    --------
    Five minutes the first time, a second later:

    >>> from maxmin_core.lm.profiles import find_profile
    >>> base = prepare(find_profile("cpu"), "_build/lm")  # doctest: +SKIP
    >>> len(base.train)  # doctest: +SKIP
    512
    """
    if not profile.cpu and not torch.cuda.is_available():
        raise ValueError(f"profile: expected a GPU that PyTorch can use for {profile.name}, got none")
    folder = base_folder(profile, root)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "settings.json", asdict(profile))
    if not (folder / "texts.json").exists():
        reviews = load_reviews(profile.corpus, n_reviews=profile.n_reviews)
        split = np.array(reviews["split"])
        for name in ("gold", "features"):
            if not (folder / name / "sentiment.safetensors").exists():
                say(f"[base] sentiment classifier for {name}")
                part = reviews.select(np.flatnonzero(split == name))
                Sentiment.fit(part["text"], part["label"]).save(folder / name)
        texts = sentences(reviews, shortest=profile.shortest, longest=profile.longest)
        if not (folder / "reference" / "reference.json").exists():
            say(f"[base] reference policy, {profile.reference_steps} steps")
            train_reference(texts, profile, folder / "reference", seed=profile.reference_seed)
        say("[base] texts of the reference")
        write_json(folder / "texts.json", _draw_texts(texts, profile, folder / "reference"))
    stored = read_json(folder / "texts.json")
    pool, baseline = Texts(**stored["pool"]), Texts(**stored["baseline"])
    features = TextFeatures.fit(Sentiment.load(folder / "features"), *pool.pair)
    return Base(
        folder, folder / "reference", Sentiment.load(folder / "gold"), features, pool, stored["train"], baseline
    )


def _draw_texts(texts, profile, reference):
    model, tokenizer = load_policy(reference, cpu=profile.cpu)
    n_all = profile.n_pairs + profile.n_prompts + profile.n_evaluation
    prompts = [*make_prompts(texts, tokenizer, n_words=profile.prompt_words, n_prompts=n_all, seed=0)]
    if profile.chat is not None:
        prompts = [[{"role": "user", "content": profile.chat.format(beginning)}] for beginning in prompts]
    compared, rest = prompts[: profile.n_pairs], prompts[profile.n_pairs :]
    pool = write_texts(model, tokenizer, [p for p in compared for _ in range(2)], n_tokens=profile.new_tokens, seed=1)
    baseline = write_texts(model, tokenizer, rest[profile.n_prompts :], n_tokens=profile.new_tokens, seed=2)
    return {"pool": vars(pool), "train": rest[: profile.n_prompts], "baseline": vars(baseline)}
