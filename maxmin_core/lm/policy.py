"""A policy: loaded, given prompts, drawn from, and asked how likely a text is. Chapters 8 and 9."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .._files import read_json
from ._devices import see_one_gpu
from ._room import drawn_at_once, read_at_once
from .prompts import Prompt, encode

__all__ = ["count_by_mask", "load_policy", "log_probabilities", "make_prompts", "prompt_tokens", "sample"]

see_one_gpu()


def load_policy(folder: Path, *, cpu: bool = True, bf16: bool = False) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load a saved policy, from safetensors only: a whole model, or an adapter on top of one that lies elsewhere.

    Whatever the file holds, weights are 32-bit numbers: in 16 bits a step of training is mostly rounded away.

    Parameters
    ----------
    folder : Path
        Where it was saved.
    cpu : bool
        Whether it stays on the processor; else it goes to the GPU.
    bf16 : bool
        Whether the weights are kept in 16 bits instead, for a base that nobody trains; adapters have 32 anyway.

    Returns
    -------
    model : PreTrainedModel or peft.PeftModel
        Without dropout.
    tokenizer : PreTrainedTokenizerBase
        Pads on the left.

    Raises
    ------
    ValueError
        Where there is no policy, or an adapter's base is not where it was.

    Examples
    --------
    >>> load_policy(Path("no-such-folder"))
    Traceback (most recent call last):
    ValueError: folder: expected a saved policy (config.json or adapter_config.json, with safetensors), got \
no-such-folder
    """
    adapter, base = (folder / "adapter_config.json").is_file(), folder
    if adapter:
        base = Path(read_json(folder / "adapter_config.json")["base_model_name_or_path"])
    if not (base / "config.json").is_file():
        if adapter:
            raise ValueError(f"folder: expected the base of the adapter in {folder} at {base}, got none there")
        raise ValueError(
            f"folder: expected a saved policy (config.json or adapter_config.json, with safetensors), got {folder}"
        )
    dtype = torch.bfloat16 if bf16 else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(base, use_safetensors=True, dtype=dtype)
    count_by_mask(model)
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder, use_safetensors=True)
    return model.eval().to("cpu" if cpu else "cuda"), AutoTokenizer.from_pretrained(folder, padding_side="left")


def count_by_mask(model: PreTrainedModel) -> None:
    """Let a model count the positions of padded texts from their first token on, where nobody gives positions.

    Trainers pad prompts on the left and pass no positions; GPT-2, whose positions are learned, would then see a text
    that begins later. A batch without padding on the left is computed as before.

    Parameters
    ----------
    model : PreTrainedModel
        Is changed.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> model = make_gpt2(make_tokenizer(["the film"], 2), positions=4, layers=1, width=8, heads=1, seed=0)
    >>> count_by_mask(model)
    >>> alone = model(torch.tensor([[2, 4]])).logits[0, -1]
    >>> padded = model(torch.tensor([[0, 2, 4]]), attention_mask=torch.tensor([[0, 1, 1]])).logits[0, -1]
    >>> bool(torch.allclose(alone, padded, atol=1e-6))
    True
    """

    def before(module, args, kwargs):
        mask = kwargs.get("attention_mask")
        if mask is None or mask.dim() != 2 or kwargs.get("position_ids") is not None or bool(mask[:, 0].all()):
            return None
        given = args[0] if args else kwargs.get("input_ids")
        given = kwargs.get("inputs_embeds") if given is None else given
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        # While a text is drawn, the mask is of the whole text, and what is given only its end.
        return args, {**kwargs, "position_ids": positions[:, -given.shape[1] :]}

    model.base_model.register_forward_pre_hook(before, with_kwargs=True)


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
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], n_tokens: int
) -> list[list[int]]:
    """Return the token ids of prompts that a policy can go on from.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of Prompt, length n
        How texts begin, as words or as chats.
    n_tokens : int
        Tokens that shall follow.

    Returns
    -------
    list of list of int, length n
        Each of its own length.

    Raises
    ------
    ValueError
        On a prompt that is empty or too long to leave room for what follows, or a chat without a template.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film"], 2)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> prompt_tokens(model, tokenizer, ["the", "film"], 2)
    [[2, 4], [2, 5]]
    """
    ids = encode(tokenizer, prompts)
    if not min(map(len, ids)):
        raise ValueError("prompts: expected a token in each, got a prompt without any")
    longest = max(map(len, ids))
    if longest > (room := getattr(model.config, "max_position_embeddings", np.inf) - n_tokens):
        raise ValueError(f"prompts: expected at most {room} tokens, to leave room for {n_tokens}, got {longest}")
    return ids


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
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
    prompts : sequence of Prompt, length n
        Words or chats; repeat a prompt to draw several texts on it.
    n_tokens : int
        Tokens of a completion at most.
    seed : int
        Of the draw.
    batch : int
        Texts at a time, at most; fewer where a model's keys and values are large. Another number draws other texts.

    Returns
    -------
    list of list of int, length n
        Token ids, up to the end-of-text token where it was drawn, that one included.

    Raises
    ------
    ValueError
        On a prompt that is too long for the model, or a chat without a template.

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
    batch = drawn_at_once(model.config, model.dtype.itemsize, max(map(len, ids_of_prompts)) + n_tokens, batch)
    generate: Any = model.generate
    for start in range(0, len(prompts), batch):
        rows = ids_of_prompts[start : start + batch]
        width = max(map(len, rows))
        # Padding stands on the left, and the mask says how much: positions are counted from the first token on.
        ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(row)) + row for row in rows], device=model.device)
        counted = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
        made = generate(
            input_ids=ids,
            attention_mask=counted,
            do_sample=True,
            # The model's own chances, whatever its makers recommend: instruction models come with settings of theirs.
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            repetition_penalty=1.0,
            max_new_tokens=n_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )[:, ids.shape[1] :].tolist()
        drawn += [row[: row.index(end) + 1] if end in row else row for row in made]
    return drawn


@torch.inference_mode()
def log_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
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
    prompts : sequence of Prompt, length n
        How the texts begin, as words or as chats.
    completions : sequence of list of int, length n
        How they go on, as token ids.
    batch : int
        Texts at a time, at most; fewer where a model or its vocabulary is large.

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
    prompt_ids = encode(tokenizer, prompts)
    values = np.empty(len(prompts))
    longest = max((len(p) + len(c) for p, c in zip(prompt_ids, completions, strict=True)), default=1)
    batch = read_at_once(model.config, model.dtype.itemsize, longest, batch, logits=True)
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
        # Nothing is drawn: keys and values of all blocks would be kept for nobody.
        given = {"attention_mask": inside.long(), "position_ids": positions, "use_cache": False}
        logits = model(ids, **given).logits[:, :-1]
        # Text by text: of all at once there would be three copies in memory.
        taken = zip(logits, ids[:, 1:, None], strict=True)
        each = torch.stack([of.float().log_softmax(-1).gather(-1, token)[..., 0] for of, token in taken])
        del logits
        values[part] = (each * counted[:, 1:]).sum(-1).double().cpu().numpy()
    return values
