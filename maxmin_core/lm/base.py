"""The base of all runs of a profile: reference policy, sentiment classifiers, prompts, texts of the reference."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from .._files import read_json, write_json
from .corpus import load_reviews, sentences
from .evaluate import Texts, write_texts
from .policy import load_policy, make_prompts, train_reference
from .results import base_folder
from .reward import TextFeatures
from .sentiment import Sentiment

__all__ = ["Base", "prepare"]


@dataclass(frozen=True)
class Base:
    """Hold what all runs of a profile share: reference, sentiment classifiers, prompts, its texts. Chapter 8.

    folder : Path; reference : Path of the policy; gold, features : Sentiment and TextFeatures, from disjoint reviews
    pool : Texts, two per prompt, which annotators compare; train : list of str, prompts to train with
    baseline : Texts, one on each prompt that policies are judged on
    """

    folder: Path
    reference: Path
    gold: Sentiment
    features: TextFeatures
    pool: Texts
    train: list
    baseline: Texts


def prepare(profile, root, *, say=lambda line: None):
    """Make what all runs of a profile share, or load it from `root` where it was made with the same settings.

    Every step is kept when it ends, so an interrupted preparation goes on where it was. ValueError where the profile
    needs a GPU and PyTorch finds none. Chapter 8.
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
            train_reference(texts, profile, folder / "reference")
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
    prompts = make_prompts(texts, tokenizer, profile.prompt_words, n_all, seed=0)
    compared, rest = prompts[: profile.n_pairs], prompts[profile.n_pairs :]
    pool = write_texts(model, tokenizer, [p for p in compared for _ in range(2)], n_tokens=profile.new_tokens, seed=1)
    baseline = write_texts(model, tokenizer, rest[profile.n_prompts :], n_tokens=profile.new_tokens, seed=2)
    return {"pool": vars(pool), "train": rest[: profile.n_prompts], "baseline": vars(baseline)}
