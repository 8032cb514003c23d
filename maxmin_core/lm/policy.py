"""A policy: loaded, given prompts, drawn from, and asked how likely a text is. Chapters 8 and 9."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ._devices import see_one_gpu

__all__ = ["load_policy", "log_probabilities", "make_prompts", "prompt_tokens", "sample"]

see_one_gpu()


def load_policy(folder: Path, *, cpu: bool = True) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a saved policy, from safetensors only.

    Parameters
    ----------
    folder : Path
        Where it was saved.
    cpu : bool
        Whether it stays on the processor; else it goes to the GPU.

    Returns
    -------
    model : PreTrainedModel
        Without dropout.
    tokenizer : PreTrainedTokenizerBase
        Pads on the left.

    Raises
    ------
    ValueError
        Where there is no policy.

    Examples
    --------
    >>> load_policy(Path("no-such-folder"))
    Traceback (most recent call last):
    ValueError: folder: expected a saved policy (config.json, model.safetensors), got no-such-folder
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"folder: expected a saved policy (config.json, model.safetensors), got {folder}")
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True).eval()
    return model.to("cpu" if cpu else "cuda"), AutoTokenizer.from_pretrained(folder, padding_side="left")


def make_prompts(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, n_words: int, n_prompts: int, seed: int
) -> list[str]:
    """Return distinct beginnings of texts, all of the same number of tokens, in random order.

    Prompts of one length need no padding, and padding changes the positions that GPT-2 sees.

    Parameters
    ----------
    texts : sequence of str
        Words separated by blanks.
    tokenizer : PreTrainedTokenizerBase
        Must know every word of a prompt.
    n_words : int
        Words of a prompt.
    n_prompts : int
        How many to return.
    seed : int
        Of the order.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        Where the texts have fewer.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_tokenizer
    >>> texts = ["the film is good", "the film drags", "a plot thickens"]
    >>> sorted(make_prompts(texts, make_tokenizer(texts, 20), n_words=2, n_prompts=2, seed=0))
    ['a plot', 'the film']
    """
    found = sorted({" ".join(text.split()[:n_words]) for text in texts if len(text.split()) > n_words})
    length = np.array([len(ids) for ids in tokenizer(found)["input_ids"]])
    known = [tokenizer.unk_token is None or tokenizer.unk_token_id not in ids for ids in tokenizer(found)["input_ids"]]
    usual = np.bincount(length).argmax()
    found = [text for text, ok, size in zip(found, known, length, strict=True) if ok and size == usual]
    if len(found) < n_prompts:
        raise ValueError(
            f"n_prompts: expected at most {len(found)}, the distinct beginnings of the texts, got {n_prompts}"
        )
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))[:n_prompts]]


def prompt_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], n_tokens: int
) -> list[list[int]]:
    """Return the token ids of prompts that a policy can go on from without padding.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of str, length n
        How texts begin.
    n_tokens : int
        Tokens that shall follow.

    Returns
    -------
    list of list of int, length n
        All of one length.

    Raises
    ------
    ValueError
        On prompts of different lengths, or too long to leave room for what follows.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film"], 2)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> prompt_tokens(model, tokenizer, ["the", "film"], 2)
    [[2, 4], [2, 5]]
    """
    ids = tokenizer(list(prompts))["input_ids"]
    lengths = sorted({len(row) for row in ids})
    if len(lengths) != 1:
        raise ValueError(f"prompts: expected the same number of tokens in all, got {lengths}")
    if lengths[0] > (room := getattr(model.config, "max_position_embeddings", np.inf) - n_tokens):
        raise ValueError(f"prompts: expected at most {room} tokens, to leave room for {n_tokens}, got {lengths[0]}")
    return ids


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    n_tokens: int,
    seed: int,
    batch: int = 256,
) -> list[list[int]]:
    """Draw one completion for every prompt at temperature one.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of str, length n
        All of one length in tokens; repeat a prompt to draw several texts on it.
    n_tokens : int
        Tokens of a completion at most.
    seed : int
        Of the draw.
    batch : int
        Texts at a time; another number draws other texts.

    Returns
    -------
    list of list of int, length n
        Token ids, up to the end-of-text token where it was drawn, that one included.

    Raises
    ------
    ValueError
        On prompts of different lengths, or too long for the model.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> drawn = sample(model, tokenizer, ["the film"] * 50, n_tokens=3, seed=0)
    >>> len(drawn), max(map(len, drawn))
    (50, 3)
    """
    ids_of_prompts = prompt_tokens(model, tokenizer, prompts, n_tokens)
    torch.manual_seed(seed)
    end, drawn = tokenizer.eos_token_id, []
    generate: Any = model.generate
    for start in range(0, len(prompts), batch):
        ids = torch.tensor(ids_of_prompts[start : start + batch], device=model.device)
        made = generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            max_new_tokens=n_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )[:, ids.shape[1] :].tolist()
        drawn += [row[: row.index(end) + 1] if end in row else row for row in made]
    return drawn


@torch.inference_mode()
def log_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    completions: Sequence[Sequence[int]],
    *,
    batch: int = 256,
) -> NDArray[np.float64]:
    """Return how likely a policy is to write these texts: ``log pi(completion | prompt)``.

    The end-of-text token counts where it was drawn. Positions are given explicitly, so that padding changes no value.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of str, length n
        How the texts begin.
    completions : sequence of list of int, length n
        How they go on, as token ids.
    batch : int
        Texts at a time.

    Returns
    -------
    ndarray, shape (n,)
        In nats.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> words = [[token] for token in range(len(tokenizer))]
    >>> np.exp(log_probabilities(model, tokenizer, ["the film"] * len(words), words)).sum().round(4).item()
    1.0
    """
    prompt_ids = tokenizer(list(prompts))["input_ids"]
    values = np.empty(len(prompts))
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        rows = [[*p, *c] for p, c in zip(prompt_ids[part], completions[part], strict=True)]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), tokenizer.pad_token_id)
        counted = torch.zeros(len(rows), width, dtype=torch.bool)
        for i, (row, prompt) in enumerate(zip(rows, prompt_ids[part], strict=True)):
            ids[i, : len(row)] = torch.tensor(row)
            counted[i, len(prompt) : len(row)] = True
        inside = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
        positions = torch.arange(width).expand(len(rows), -1) * inside
        ids, counted, inside, positions = (x.to(model.device) for x in (ids, counted, inside, positions))
        logits = model(ids, attention_mask=inside.long(), position_ids=positions).logits[:, :-1].float()
        each = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        values[part] = (each * counted[:, 1:]).sum(-1).double().cpu().numpy()
    return values
