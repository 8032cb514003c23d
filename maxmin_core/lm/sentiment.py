"""How positive a text is: a linear classifier on words and pairs of words, trained on one part of the reviews.

Chapter 8.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from .._files import read_json, write_json, write_whole
from .corpus import words

__all__ = ["Sentiment"]


class Sentiment:
    """Hold a classifier: log odds that a text is positive, linear in TF-IDF of words and pairs of words.

    Parameters
    ----------
    vectorizer : sklearn.feature_extraction.text.TfidfVectorizer
        Fitted.
    coefficients : array_like, shape (V,)
        One for each word or pair.
    intercept : float
        Log odds of a text without a known word.

    Examples
    --------
    >>> texts = ["a good film"] * 10 + ["a bad film"] * 10
    >>> sentiment = Sentiment.fit(texts, [1] * 10 + [0] * 10)
    >>> np.sign(sentiment(["so good", "so bad"])).tolist()
    [1.0, -1.0]
    """

    def __init__(self, vectorizer: TfidfVectorizer, coefficients: ArrayLike, intercept: float) -> None:
        self.vectorizer, self.coefficients, self.intercept = vectorizer, np.asarray(coefficients), float(intercept)

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Sequence[int]) -> "Sentiment":
        """Train a classifier, each text also cut into pieces of ten words.

        The pieces teach it short texts, which is what a policy writes.

        Parameters
        ----------
        texts : sequence of str, length n
            Reviews.
        labels : sequence of int, length n
            1 where a review is positive, else 0.

        Returns
        -------
        Sentiment

        Raises
        ------
        ValueError
            On a single label.
        """
        if len(set(labels)) != 2:
            raise ValueError(f"labels: expected both 0 and 1, got {sorted(set(labels))}")
        cut: list[str] = []
        of: list[int] = []
        for text, label in zip(texts, labels, strict=True):
            found = words(text)
            pieces = [found[i : i + 10] for i in range(0, min(len(found), 200), 10)]
            cut += [" ".join(found), *(" ".join(piece) for piece in pieces if len(piece) > 3)]
            of += [label] * (len(cut) - len(of))
        vectorizer = _vectorizer(min_df=10)
        model = LogisticRegression(max_iter=300, C=1.0).fit(vectorizer.fit_transform(cut), of)
        return cls(vectorizer, model.coef_[0], model.intercept_[0])

    def __call__(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the log odds that each text is positive.

        Parameters
        ----------
        texts : list of str, length n
            Words separated by blanks, in lower case.

        Returns
        -------
        ndarray, shape (n,)
        """
        return self.vectorizer.transform(texts) @ self.coefficients + self.intercept

    def save(self, folder: Path) -> None:
        """Write vocabulary.json and sentiment.safetensors.

        Parameters
        ----------
        folder : Path
            Where to; it is made if need be.
        """
        folder.mkdir(parents=True, exist_ok=True)
        names = [str(name) for name in self.vectorizer.get_feature_names_out()]
        write_json(folder / "vocabulary.json", names)
        arrays = {"idf": self.vectorizer.idf_, "coefficients": self.coefficients, "intercept": [self.intercept]}
        # Last and whole: where this file is, the classifier is complete.
        with write_whole(folder / "sentiment.safetensors") as partial:
            save_file({name: np.asarray(value, dtype=float) for name, value in arrays.items()}, partial)

    @classmethod
    def load(cls, folder: Path) -> "Sentiment":
        """Return a saved classifier: it scores every text as before.

        Parameters
        ----------
        folder : Path
            Where it was saved.

        Returns
        -------
        Sentiment
        """
        names = read_json(folder / "vocabulary.json")
        arrays = load_file(folder / "sentiment.safetensors")
        vectorizer = _vectorizer(vocabulary={name: i for i, name in enumerate(names)})
        vectorizer.idf_ = arrays["idf"]
        return cls(vectorizer, arrays["coefficients"], arrays["intercept"][0])


def _vectorizer(**options):
    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"[a-z']+|[!?]", lowercase=False, **options
    )
