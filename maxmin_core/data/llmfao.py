"""Real people judging real language models: votes of a crowd, fetched on demand, not part of the project.

Chapter 11.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .._files import write_whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Llmfao", "data_folder", "fetch_llmfao", "has_llmfao", "load_llmfao"]

_COMMIT = "9e224e94a40129fd6e1e1529b962307e84af40da"
_SOURCE = f"https://raw.githubusercontent.com/dustalov/llmfao/{_COMMIT}"
_FILES = {
    "crowd-comparisons.csv": "106564a4bf06f047a4662979384313c22d9b4ca901e780f9e8419f8e5581adb1",
    "models.jsonl": "a94ddd33e2034f87505b548c4ff6bea81513efe6888f24960c958546b6279669",
    "prompts.jsonl": "917d233b18976244edf967be9d252ff344c024d9d4ed07780f12190becc3e9fc",
    "results.jsonl": "a0336dfc740d2e513bf111911681f5eb214f41b1e6426cec76791f576df42df2",
}


class Llmfao(NamedTuple):
    """Hold the four tables of the Crowdsourced LLM Benchmark, each as it is published.

    Attributes
    ----------
    votes : pandas.DataFrame
        One vote a row, 8,931 by 124 workers: id, prompt, model_x, model_y, worker, winner ('left', 'right' or 'tie'),
        left and right (names of models). `read_comparisons` reads it by the preset 'llmfao'.
    answers : pandas.DataFrame
        One answer a row, 1,133 by 70 models to 19 prompts: model, name, prompt, result (the text) and more. 750 of them
        were judged, by 59 models to 13 prompts.
    prompts : pandas.DataFrame
        One prompt a row: id, text, type, slug and more.
    models : pandas.DataFrame
        One model a row: id, name, org and more.

    Examples
    --------
    >>> Llmfao._fields
    ('votes', 'answers', 'prompts', 'models')
    """

    votes: pd.DataFrame
    answers: pd.DataFrame
    prompts: pd.DataFrame
    models: pd.DataFrame


def data_folder(name: str = "llmfao") -> Path:
    """Return the folder of a data set: in the folder that MAXMIN_DATA names, else in the user's cache.

    Parameters
    ----------
    name : str
        The data set.

    Returns
    -------
    Path
        Whether or not it is there.

    Examples
    --------
    >>> data_folder().name
    'llmfao'
    """
    named = os.environ.get("MAXMIN_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maxmin"
    return (Path(named) if named else cache) / name


def fetch_llmfao(say: Callable[[str], None] = print) -> Path:
    """Fetch the files that are missing, from one commit of their repository, each checked by its SHA-256.

    Parameters
    ----------
    say : callable, str -> None
        Is told what is fetched and from where.

    Returns
    -------
    Path
        The folder of the files.

    Raises
    ------
    ValueError
        When a file that came is not the one that was published.
    OSError
        When a file cannot be had or written: names it.

    Examples
    --------
    >>> folder = fetch_llmfao()  # doctest: +SKIP
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    folder = data_folder()
    for name, digest in _FILES.items():
        if _is(folder / name, digest):
            continue
        address = f"{_SOURCE}/{name}"
        say(f"fetching {address}")
        try:
            with urlopen(address, timeout=60) as answer:
                found = answer.read()
        except (URLError, TimeoutError) as error:
            raise OSError(
                f"llmfao: {address} could not be fetched ({getattr(error, 'reason', error)}); try again, or put the "
                f"file into {folder} by hand"
            ) from error
        if sha256(found).hexdigest() != digest:
            raise ValueError(f"llmfao: expected {name} with SHA-256 {digest}, got {sha256(found).hexdigest()}")
        with write_whole(folder / name) as partial:
            partial.write_bytes(found)
    return folder


def has_llmfao() -> bool:
    """Tell whether the files are there, each as it was published.

    Returns
    -------
    bool

    Examples
    --------
    >>> has_llmfao() in (True, False)
    True
    """
    return all(_is(data_folder() / name, digest) for name, digest in _FILES.items())


def load_llmfao() -> Llmfao:
    """Return the votes of crowd workers on the answers of language models, with the answers.

    Returns
    -------
    Llmfao
        Four tables: votes, answers, prompts and models.

    Raises
    ------
    ValueError
        When the files are not there, or are others than those published: says how to get them.

    References
    ----------
    Crowdsourced LLM Benchmark (llmonitor.com), annotated by D. Ustalov, https://github.com/dustalov/llmfao; CC BY 4.0.

    Examples
    --------
    >>> len(load_llmfao().votes)  # doctest: +SKIP
    8931
    """
    import pandas as pd

    folder = data_folder()
    for name, digest in _FILES.items():
        if not (folder / name).is_file():
            raise ValueError(
                f"llmfao: expected {name} in {folder}, got none; call `maxmin data llmfao` (1.2 MB, CC BY 4.0), or let "
                "MAXMIN_DATA name the folder in which the folder llmfao is"
            )
        if not _is(folder / name, digest):
            raise ValueError(
                f"llmfao: expected the published {name}, got another file in {folder}; delete it and call "
                "`maxmin data llmfao`"
            )
    votes = pd.read_csv(folder / "crowd-comparisons.csv", keep_default_na=False)
    answers, prompts, models = (
        pd.read_json(folder / f"{name}.jsonl", lines=True) for name in ("results", "prompts", "models")
    )
    return Llmfao(votes, answers, prompts, models)


def _is(path, digest):
    return path.is_file() and sha256(path.read_bytes()).hexdigest() == digest
