"""How positive a text is: a linear classifier on words and pairs of words, trained on one part of the reviews."""

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from .._files import read_json, write_json, write_whole
from .corpus import words

__all__ = ["Sentiment"]


class Sentiment:
    """Hold a classifier: log odds that a text is positive, from TF-IDF of words and pairs of words. Chapter 8.

    vectorizer : TfidfVectorizer, fitted; coefficients : (V,) float; intercept : float
    """

    def __init__(self, vectorizer, coefficients, intercept):
        self.vectorizer, self.coefficients, self.intercept = vectorizer, np.asarray(coefficients), float(intercept)

    @classmethod
    def fit(cls, texts, labels):
        """Return a classifier trained on texts with labels 0 and 1, each text also cut into pieces of ten words.

        The pieces teach it short texts, which is what a policy writes. ValueError on a single label.
        """
        if len(set(labels)) != 2:
            raise ValueError(f"labels: expected both 0 and 1, got {sorted(set(labels))}")
        cut, of = [], []
        for text, label in zip(texts, labels, strict=True):
            found = words(text)
            pieces = [found[i : i + 10] for i in range(0, min(len(found), 200), 10)]
            cut += [" ".join(found), *(" ".join(piece) for piece in pieces if len(piece) > 3)]
            of += [label] * (len(cut) - len(of))
        vectorizer = _vectorizer(min_df=10)
        model = LogisticRegression(max_iter=300, C=1.0).fit(vectorizer.fit_transform(cut), of)
        return cls(vectorizer, model.coef_[0], model.intercept_[0])

    def __call__(self, texts):
        """Return the log odds that each text is positive, (n,) float."""
        return self.vectorizer.transform(texts) @ self.coefficients + self.intercept

    def save(self, folder):
        """Write vocabulary.json and sentiment.safetensors into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        names = [str(name) for name in self.vectorizer.get_feature_names_out()]
        write_json(folder / "vocabulary.json", names)
        arrays = {"idf": self.vectorizer.idf_, "coefficients": self.coefficients, "intercept": [self.intercept]}
        # Last and whole: where this file is, the classifier is complete.
        with write_whole(folder / "sentiment.safetensors") as partial:
            save_file({name: np.asarray(value, dtype=float) for name, value in arrays.items()}, partial)

    @classmethod
    def load(cls, folder):
        """Return the classifier saved in `folder`: it scores every text as before."""
        names = read_json(folder / "vocabulary.json")
        arrays = load_file(folder / "sentiment.safetensors")
        vectorizer = _vectorizer(vocabulary={name: i for i, name in enumerate(names)})
        vectorizer.idf_ = arrays["idf"]
        return cls(vectorizer, arrays["coefficients"], arrays["intercept"][0])


def _vectorizer(**options):
    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"[a-z']+|[!?]", lowercase=False, **options
    )
