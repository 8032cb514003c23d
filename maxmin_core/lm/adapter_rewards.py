"""Reward models of all groups on one frozen base: an adapter and a score head for each. Chapter 10."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from .._files import read_json, write_json
from ._room import read_at_once
from .policy import load_policy
from .prompts import Prompt
from .reward import Rewards
from .score_heads import load_adapters, scores, whole_text

__all__ = ["AdapterRewards", "embed"]


class AdapterRewards(Rewards):
    """Score texts for every group by its own adapter and head on a base that all share.

    ``r_u = (score_u - zero_u) / unit_u``; the base stands in memory once, however many groups there are.

    Parameters
    ----------
    model : peft.PeftModel
        The base with the adapters, each under its name.
    names : sequence of str, length U
        The groups' adapters.
    tokenizer : PreTrainedTokenizerBase
        Of the base; it pads on the right.
    shares : array_like, shape (U,)
        The groups' shares of the population.
    zero : ndarray, shape (U,), or None
        Mean of the score over the reference's texts; None is zero.
    unit : ndarray, shape (U,), or None
        Its standard deviation over them; None is one.

    Examples
    --------
    >>> rewards = AdapterRewards.join([folder / "group-0", folder / "group-1"], [0.8, 0.2])  # doctest: +SKIP
    >>> rewards(["the film"], ["is good"]).shape  # doctest: +SKIP
    (2, 1)
    """

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        shares: ArrayLike,
        zero: NDArray[np.float64] | None = None,
        unit: NDArray[np.float64] | None = None,
    ) -> None:
        self.model, self.names, self.tokenizer, self.shares = model, list(names), tokenizer, np.asarray(shares)
        self.zero = np.zeros(len(self.names)) if zero is None else zero
        self.unit = np.ones(len(self.names)) if unit is None else unit

    @classmethod
    def join(
        cls,
        folders: Sequence[Path],
        shares: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        cpu: bool = True,
        bf16: bool = False,
        onto: Self | None = None,
        **scales: Any,
    ) -> Self:
        """Return the rewards of adapters that were trained one by one, on one base.

        Parameters
        ----------
        folders : sequence of Path, length U
            Of the adapters, as `reward_model.train_reward_model` saves them.
        shares : array_like, shape (U,)
            The groups' shares of the population.
        names : sequence of str, length U, or None
            How the adapters are called on the base; None numbers them.
        cpu : bool
            Whether they stay on the processor; else they go to the GPU.
        bf16 : bool
            Whether the base is kept in 16 bits; adapters and heads have 32.
        onto : AdapterRewards or None
            Rewards that were loaded before, whose base these share; their adapters have other names.
        **scales
            ``zero`` and ``unit``.

        Returns
        -------
        AdapterRewards

        Raises
        ------
        ValueError
            On adapters of different bases, or a base that is gone.
        """
        names = [f"group-{u}" for u in range(len(folders))] if names is None else list(names)
        if onto is not None and (both := set(names) & set(onto.model.peft_config)):
            raise ValueError(f"names: expected other names than those on the base, got {', '.join(sorted(both))}")
        model = load_adapters(folders, names, cpu=cpu, bf16=bf16, onto=None if onto is None else onto.model)
        base = read_json(folders[0] / "adapter_config.json")["base_model_name_or_path"]
        return cls(model, names, AutoTokenizer.from_pretrained(base, padding_side="right"), shares, **scales)

    def _raw(self, prompts, completions):
        texts = [whole_text(p, c, self.tokenizer) for p, c in zip(prompts, completions, strict=True)]
        found = []
        for name in self.names:
            self.model.set_adapter(name)
            found.append(scores(self.model, self.tokenizer, texts))
        return np.array(found)

    def _rescaled(self, zero, unit):
        return type(self)(self.model, self.names, self.tokenizer, self.shares, zero, unit)

    def of(self, groups: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return the rewards of some groups; their shares are made to sum to one.

        Parameters
        ----------
        groups : sequence of int
            Rows of the groups, in the order that is wanted.

        Returns
        -------
        AdapterRewards
        """
        shares = self.shares[groups] / self.shares[groups].sum()
        names = [self.names[u] for u in groups]
        return type(self)(self.model, names, self.tokenizer, shares, self.zero[groups], self.unit[groups])

    def fingerprint(self) -> str:
        """Return a short name that changes with anything that changes a score, the base included.

        Returns
        -------
        str
        """
        from peft import get_peft_model_state_dict

        digest = hashlib.sha256()
        for name in ("shares", "zero", "unit"):
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=float).tobytes())
        parts = [get_peft_model_state_dict(self.model, adapter_name=name) for name in self.names]
        # Of the base what no adapter has in its place.
        every = [f".{name}" for name in self.model.peft_config] + [".original_module"]
        base = {k: v for k, v in self.model.state_dict().items() if not any(one in k for one in every)}
        for part in (base, *parts):
            for name, value in sorted(part.items()):
                digest.update(name.encode())
                # The bytes as they lie there: a large base is neither converted nor copied.
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write every adapter with its head, and the scales; the base stays where it is.

        Parameters
        ----------
        folder : Path
            Where to; it is made if need be.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, selected_adapters=sorted(set(self.names)))
        scales = {name: np.asarray(getattr(self, name)).tolist() for name in ("shares", "zero", "unit")}
        write_json(folder / "scales.json", {"names": self.names, **scales})

    @classmethod
    def load(cls, folder: Path, *, cpu: bool = True, bf16: bool = False, onto: Self | None = None) -> Self:
        """Return saved rewards: they score every text as before.

        Parameters
        ----------
        folder : Path
            Where they were saved.
        cpu : bool
            Whether they stay on the processor; else they go to the GPU.
        bf16 : bool
            Whether the base is kept in 16 bits.
        onto : AdapterRewards or None
            Rewards that were loaded before, whose base these share.

        Returns
        -------
        AdapterRewards
        """
        scales = read_json(folder / "scales.json")
        names = scales.pop("names")
        given = {name: np.array(value) for name, value in scales.items()}
        folders = [folder / name for name in names]
        return cls.join(folders, given.pop("shares"), names=names, cpu=cpu, bf16=bf16, onto=onto, **given)

    def forget(self) -> None:
        """Take these adapters off the base, where others stay."""
        left = [name for name in self.model.peft_config if name not in self.names]
        self.model.set_adapter(left[0])
        for name in self.names:
            self.model.delete_adapter(name)


@torch.inference_mode()
def embed(
    reference: Path,
    prompts: Sequence[Prompt],
    completions: Sequence[str],
    *,
    n_features: int = 16,
    cpu: bool = True,
    bf16: bool = False,
    batch: int = 32,
) -> NDArray[np.float64]:
    """Return what a frozen policy makes of whole texts, as a few numbers each: where EM over annotators can begin.

    The mean of the last hidden states over a text's tokens, on its first principal components, each divided by its
    spread.

    Parameters
    ----------
    reference : Path
        A saved policy.
    prompts : sequence of Prompt, length n
        How the texts begin.
    completions : sequence of str, length n
        How they go on.
    n_features : int
        Components at most.
    cpu : bool
        Whether to stay on the processor.
    bf16 : bool
        Whether the policy is kept in 16 bits.
    batch : int
        Texts at a time, at most; fewer where the policy is large.

    Returns
    -------
    ndarray, shape (n, at most n_features)

    Examples
    --------
    >>> embed(folder, ["the film"] * 3, ["is good", "is bad", "drags"], n_features=2).shape  # doctest: +SKIP
    (3, 2)
    """
    model, tokenizer = load_policy(reference, cpu=cpu, bf16=bf16)
    tokenizer.padding_side = "right"
    texts = [whole_text(p, c, tokenizer) for p, c in zip(prompts, completions, strict=True)]
    found = []
    longest = max(map(len, tokenizer(texts)["input_ids"]))
    batch = read_at_once(model.config, model.dtype.itemsize, longest, batch)
    for start in range(0, len(texts), batch):
        rows = tokenizer(texts[start : start + batch], return_tensors="pt", padding=True).to(model.device)
        mask = rows["attention_mask"]
        hidden = model.base_model(rows["input_ids"], attention_mask=mask, use_cache=False).last_hidden_state.float()
        found.append(((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).cpu().numpy())
    hidden_means = np.concatenate(found).astype(float)
    left, size, _ = np.linalg.svd(hidden_means - hidden_means.mean(axis=0), full_matrices=False)
    n_found = min(n_features, int((size > 1e-6 * size[0]).sum()))
    return left[:, :n_found] * np.sqrt(len(texts))
