"""A policy's body with one number for an output: loaded, with adapters or without, and asked for scores. Chapter 8."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from .._files import read_json
from ._room import read_at_once
from .prompts import Prompt, encode, is_chat
from .reference import END

__all__ = ["load_adapters", "load_scorer", "scores", "tokens", "whole_text"]


def load_scorer(folder: Path, *, bf16: bool = False) -> Any:
    """Load a saved model with one output, on the processor; where the file has no head, it gets a random one.

    Parameters
    ----------
    folder : Path
        A saved policy or reward model.
    bf16 : bool
        Whether its weights are kept in 16 bits, for a base that nobody trains; the head has 32 anyway.

    Returns
    -------
    PreTrainedModel

    Examples
    --------
    >>> from maxmin_core.lm.enumerable import make_reference
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = make_reference(Path(folder))
    ...     tuple(load_scorer(Path(folder)).score.weight.shape)
    (1, 32)
    """
    dtype = torch.bfloat16 if bf16 else torch.float32
    how: dict[str, Any] = {"num_labels": 1, "use_safetensors": True, "dtype": dtype}
    model = AutoModelForSequenceClassification.from_pretrained(folder, **how)
    if bf16:
        model.score.float()
        model.score.register_forward_pre_hook(_to_its_type)
    return model


def _to_its_type(module, given):
    return tuple(value.to(module.weight.dtype) for value in given)


def load_adapters(
    folders: Sequence[Path], names: Sequence[str], *, cpu: bool = True, bf16: bool = False, onto: Any = None
) -> Any:
    """Load adapters with their heads, which were trained one by one, on the one base that all share.

    Parameters
    ----------
    folders : sequence of Path, length U
        As `reward_model.train_reward_model` saves them.
    names : sequence of str, length U
        How they are called on the base.
    cpu : bool
        Whether they stay on the processor; else they go to the GPU.
    bf16 : bool
        Whether the base is kept in 16 bits; adapters and heads have 32.
    onto : peft.PeftModel or None
        What was loaded before, whose base they are to share; None loads the base.

    Returns
    -------
    peft.PeftModel

    Raises
    ------
    ValueError
        On adapters of different bases, or a base that is gone.

    Examples
    --------
    >>> load_adapters([folder / "group-0", folder / "group-1"], ["many", "few"])  # doctest: +SKIP
    """
    from peft import PeftModel

    bases = sorted({read_json(folder / "adapter_config.json")["base_model_name_or_path"] for folder in folders})
    if len(bases) != 1:
        raise ValueError(f"folders: expected adapters on one base, got {', '.join(bases)}")
    if onto is not None:
        if (there := onto.peft_config[onto.active_adapter].base_model_name_or_path) != bases[0]:
            raise ValueError(f"folders: expected adapters on the base {there}, got {bases[0]}")
        for name, folder in zip(names, folders, strict=True):
            onto.load_adapter(folder, adapter_name=name)
        return onto.eval()
    base = Path(bases[0])
    if not (base / "config.json").is_file():
        raise ValueError(f"folders: expected the adapters' base at {base}, got none there")
    model = PeftModel.from_pretrained(load_scorer(base, bf16=bf16), folders[0], adapter_name=names[0])
    for name, folder in list(zip(names, folders, strict=True))[1:]:
        model.load_adapter(folder, adapter_name=name)
    model.config.pad_token_id = AutoTokenizer.from_pretrained(base).pad_token_id
    return model.eval().to("cpu" if cpu else "cuda")


@torch.inference_mode()
def scores(
    model: Any, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch: int = 256
) -> NDArray[np.float64]:
    """Return the output at the last token that is no padding; padding stands on the right, where nothing sees it.

    Parameters
    ----------
    model : PreTrainedModel or peft.PeftModel
        With one output.
    tokenizer : PreTrainedTokenizerBase
        Pads on the right.
    texts : sequence of str, length n
        Whole texts.
    batch : int
        Texts at a time, at most; fewer where a model is large.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> from maxmin_core.lm.enumerable import make_reference
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = make_reference(Path(folder))
    ...     tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right")
    ...     scores(load_scorer(Path(folder)), tokenizer, ["p0 a <end>", "p0 b c <end>"]).shape
    (2,)
    """
    found = []
    longest = max(map(len, tokens(tokenizer, texts, model)["input_ids"]), default=1)
    batch = read_at_once(model.config, model.dtype.itemsize, longest, batch)
    for start in range(0, len(texts), batch):
        rows = tokens(tokenizer, texts[start : start + batch], model, return_tensors="pt", padding=True)
        found.append(model(**rows.to(model.device), use_cache=False).logits[:, 0].float().cpu().numpy())
    return np.concatenate(found).astype(float)


def whole_text(prompt: Prompt, completion: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the text that a reward model reads, with its end-of-text token.

    Parameters
    ----------
    prompt : Prompt
        How the text begins; a chat is written out by the tokenizer's template, the completion as its answer.
    completion : str
        How it goes on.
    tokenizer : PreTrainedTokenizerBase
        Word-level tokens are separated by blanks; those of a pretrained model bring theirs along.

    Returns
    -------
    str

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_tokenizer
    >>> whole_text("the film", "is good", make_tokenizer(["the film"], 2))
    'the film is good <end>'
    """
    if is_chat(prompt):
        encode(tokenizer, [prompt])
        answered = [*prompt, {"role": "assistant", "content": completion}]
        text = str(tokenizer.apply_chat_template([dict(message) for message in answered], tokenize=False)).rstrip()
        # Some tokenizers put the beginning there, which stands in the template already.
        if tokenizer("")["input_ids"]:
            text = text.removeprefix(tokenizer.bos_token or "")
        return text if text.endswith(tokenizer.eos_token) else text + tokenizer.eos_token
    if tokenizer.eos_token == END:
        return f"{prompt} {completion} {END}"
    return f"{prompt}{completion}{tokenizer.eos_token}"


def tokens(tokenizer: Any, texts: Sequence[str], model: Any, **options: Any) -> Any:
    """Return whole texts as a scorer reads them, in training as later: as many tokens as it has positions.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Of the model.
    texts : sequence of str, length n
        Whole texts.
    model : PreTrainedModel
        That reads them.
    **options
        Of the tokenizer.

    Returns
    -------
    transformers.BatchEncoding
    """
    return tokenizer(texts, truncation=True, max_length=model.config.max_position_embeddings, **options)
