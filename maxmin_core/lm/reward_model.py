"""Whole reward models: a language model with one output, trained by TRL's RewardTrainer. Chapter 8."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
)

from .._files import read_json, write_json
from ._devices import free
from .profiles import Profile
from .reward import Rewards
from .score_heads import load_adapters, load_scorer, scores, tokens, whole_text
from .trainer import adapters

__all__ = ["ModelRewards", "train_reward_model"]


class ModelRewards(Rewards):
    """Score texts for every group by its own reward model: ``r_u = (score_u - zero_u) / unit_u``.

    Parameters
    ----------
    models : sequence of PreTrainedModel, length U
        Each with one output.
    tokenizer : PreTrainedTokenizerBase
        Of all of them; it pads on the right.
    shares : array_like, shape (U,)
        The groups' shares of the population.
    zero : ndarray, shape (U,), or None
        Mean of the score over the reference's texts; None is zero.
    unit : ndarray, shape (U,), or None
        Its standard deviation over them; None is one.

    Examples
    --------
    >>> from transformers import GPT2Config, GPT2ForSequenceClassification
    >>> from maxmin_core.lm.reference import make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> tokenizer.padding_side = "right"
    >>> shape = {"n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 1, "num_labels": 1, "pad_token_id": 0}
    >>> shape |= {"bos_token_id": 2, "eos_token_id": 3}
    >>> model = GPT2ForSequenceClassification(GPT2Config(vocab_size=8, **shape)).eval()
    >>> ModelRewards([model, model], tokenizer, [0.5, 0.5])(["the film"], ["is good"]).shape
    (2, 1)
    """

    def __init__(
        self,
        models: Sequence[PreTrainedModel],
        tokenizer: PreTrainedTokenizerBase,
        shares: ArrayLike,
        zero: NDArray[np.float64] | None = None,
        unit: NDArray[np.float64] | None = None,
    ) -> None:
        # Nothing is linear in attributes here; scales and shares are as in any rewards.
        self.models, self.tokenizer, self.shares = list(models), tokenizer, np.asarray(shares)
        self.zero = np.zeros(len(self.models)) if zero is None else zero
        self.unit = np.ones(len(self.models)) if unit is None else unit

    def _raw(self, prompts, completions):
        texts = [whole_text(p, c, self.tokenizer) for p, c in zip(prompts, completions, strict=True)]
        return np.array([scores(model, self.tokenizer, texts) for model in self.models])

    def _rescaled(self, zero, unit):
        return type(self)(self.models, self.tokenizer, self.shares, zero, unit)

    def of(self, groups: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return the rewards of some groups; their shares are made to sum to one.

        Parameters
        ----------
        groups : sequence of int
            Rows of the groups, in the order that is wanted.

        Returns
        -------
        ModelRewards
        """
        shares = self.shares[groups] / self.shares[groups].sum()
        return type(self)(
            [self.models[u] for u in groups], self.tokenizer, shares, self.zero[groups], self.unit[groups]
        )

    def fingerprint(self) -> str:
        """Return a short name that changes with anything that changes a score.

        Returns
        -------
        str
        """
        digest = hashlib.sha256()
        for name in ("shares", "zero", "unit"):
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=float).tobytes())
        for model in self.models:
            for name, value in sorted(model.state_dict().items()):
                digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write every model, head included, and the scales.

        Parameters
        ----------
        folder : Path
            Where to; it is made if need be.
        """
        for u, model in enumerate(self.models):
            model.save_pretrained(folder / f"group-{u}")
        self.tokenizer.save_pretrained(folder / "tokenizer")
        scales = {name: np.asarray(getattr(self, name)).tolist() for name in ("shares", "zero", "unit")}
        write_json(folder / "scales.json", scales)

    @classmethod
    def load(cls, folder: Path, *, cpu: bool = True) -> Self:
        """Return saved rewards: they score every text as before.

        Parameters
        ----------
        folder : Path
            Where they were saved.
        cpu : bool
            Whether they stay on the processor; else they go to the GPU.

        Returns
        -------
        ModelRewards
        """
        scales = {name: np.array(value) for name, value in read_json(folder / "scales.json").items()}
        models = [
            load_scorer(folder / f"group-{u}").eval().to("cpu" if cpu else "cuda") for u in range(len(scales["shares"]))
        ]
        return cls(models, AutoTokenizer.from_pretrained(folder / "tokenizer", padding_side="right"), **scales)


def train_reward_model(
    reference: Path, chosen: Sequence[str], rejected: Sequence[str], profile: Profile, folder: Path, *, seed: int
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Train a reward model on pairs of texts with TRL's RewardTrainer, from the reference with a new head; save it.

    With adapters the reference stays as it is, and what is saved is an adapter and a head.

    Minimises ``-mean log sigma(score(chosen) - score(rejected))``. What was trained already is loaded.

    Parameters
    ----------
    reference : Path
        A saved policy.
    chosen : sequence of str, length n
        The preferred texts, whole, each with its end-of-text token.
    rejected : sequence of str, length n
        The other texts.
    profile : Profile
        How long to train, and at which rate.
    folder : Path
        Where the model is saved.
    seed : int
        Of the head and of the order of the pairs.

    Returns
    -------
    model : PreTrainedModel or peft.PeftModel
        With one output.
    tokenizer : PreTrainedTokenizerBase
        Pads on the right.

    Raises
    ------
    ValueError
        On no pairs.

    Examples
    --------
    >>> from maxmin_core.lm.profiles import find_profile
    >>> train_reward_model(Path("reference"), [], [], find_profile("smoke"), Path("model"), seed=0)
    Traceback (most recent call last):
    ValueError: chosen: expected at least one pair of texts, got none
    """
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    if not chosen:
        raise ValueError("chosen: expected at least one pair of texts, got none")
    tokenizer = AutoTokenizer.from_pretrained(reference, padding_side="right")
    if not (folder / "done.json").exists():
        torch.manual_seed(seed)
        model = load_scorer(reference, bf16=profile.base_bf16 or profile.reward_bf16)
        options: dict[str, Any] = {}
        if profile.lora or profile.base_bf16 or profile.reward_bf16:
            # A head of its own for every group, trained with the adapter.
            options["peft_config"] = adapters(profile, "SEQ_CLS", modules_to_save=["score"])
        trainer = RewardTrainer(
            model,
            RewardConfig(
                output_dir=str(folder),
                max_steps=profile.reward_steps,
                per_device_train_batch_size=max(1, profile.reward_batch // int(os.environ.get("WORLD_SIZE", "1"))),
                learning_rate=profile.reward_rate,
                lr_scheduler_type="linear",
                max_length=None,
                disable_dropout=True,
                save_strategy="no",
                report_to="none",
                logging_steps=max(1, profile.reward_steps // 10),
                disable_tqdm=not sys.stderr.isatty(),
                bf16=profile.bf16,
                use_cpu=profile.cpu,
                activation_checkpointing=profile.gradient_checkpointing,
                seed=seed,
            ),
            # Token ids, so that training and scoring read the same: as many tokens as the model has positions.
            train_dataset=Dataset.from_dict(
                {
                    f"{side}_ids": tokens(tokenizer, texts, model)["input_ids"]
                    for side, texts in (("chosen", chosen), ("rejected", rejected))
                }
            ),
            processing_class=tokenizer,
            **options,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.save_model(str(folder))
        if trainer.is_world_process_zero():
            # Not safetensors, and nothing here reads it.
            (folder / "training_args.bin").unlink(missing_ok=True)
            write_json(folder / "done.json", {"pairs": len(chosen), "steps": trainer.state.global_step})
        trainer.accelerator.wait_for_everyone()
        # Else its base would lie in memory beside the one that is loaded now.
        del trainer, model
        free()
    if profile.lora:
        bf16 = profile.base_bf16 or profile.reward_bf16
        return load_adapters([folder], ["default"], cpu=profile.cpu, bf16=bf16), tokenizer
    return load_scorer(folder).eval().to("cpu" if profile.cpu else "cuda"), tokenizer
