"""Judge a policy: gold value per group, win rates, a judge that training never saw, divergence, readability."""

import numpy as np

from .policy import log_probabilities, sample

__all__ = ["Texts", "evaluate", "judge", "write_texts"]


class Texts:
    """Hold what a policy wrote: prompts, completions (str), their token ids. No prompt names a group. Chapter 8."""

    def __init__(self, prompts, ids, completions):
        self.prompts, self.ids, self.completions = list(prompts), ids, completions

    def __len__(self):
        return len(self.prompts)

    @property
    def pair(self):
        """Prompts and completions, as rewards and gold scorers take them."""
        return self.prompts, self.completions


def write_texts(model, tokenizer, prompts, *, n_tokens, seed):
    """Draw one text for every prompt; return them as Texts. Chapter 8."""
    ids = sample(model, tokenizer, prompts, n_tokens=n_tokens, seed=seed)
    return Texts(prompts, ids, tokenizer.batch_decode(ids, skip_special_tokens=True))


def judge(texts):
    """Return how positive VADER, which no scorer or reward uses, finds each text, (n,) in [-1, 1]. Chapter 8."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyse = SentimentIntensityAnalyzer().polarity_scores
    return np.array([analyse(f"{p} {c}")["compound"] for p, c in zip(*texts.pair, strict=True)])


def evaluate(model, reference, tokenizer, texts, baseline, gold):
    """Return the metrics of a policy as a dict of numbers, or lists with one number a group.

    value : mean gold value, in spreads of the reference; win : share of prompts on which the gold value is above that
    of the baseline's text, ties half; judge : mean of VADER; kl : mean log pi - log pi_ref, nats, by samples, with its
    standard error kl_error; perplexity : per token, under the reference; distinct : different words among the first
    4,000; words : mean length; empty : share of texts without a word

    Parameters
    ----------
    model, reference : policies; tokenizer; texts : Texts, the policy's; baseline : Texts on the same prompts
    gold : Gold

    Raises
    ------
    ValueError
        When texts and baseline have different prompts. Chapter 8.
    """
    if texts.prompts != baseline.prompts:
        raise ValueError("baseline: expected texts on the same prompts, got others")
    value, other = gold(*texts.pair), gold(*baseline.pair)
    here = log_probabilities(model, tokenizer, texts.prompts, texts.ids)
    there = log_probabilities(reference, tokenizer, texts.prompts, texts.ids)
    found = [word for text in texts.completions for word in text.split()]
    return {
        "value": value.mean(axis=1).tolist(),
        "win": ((value > other) + 0.5 * (value == other)).mean(axis=1).tolist(),
        "judge": float(judge(texts).mean()),
        "kl": float((here - there).mean()),
        "kl_error": float((here - there).std() / np.sqrt(len(texts))),
        "perplexity": float(np.exp(-there.sum() / sum(map(len, texts.ids)))),
        "distinct": len(set(found[:4000])),
        "words": len(found) / len(texts),
        "empty": float(np.mean([not text.strip() for text in texts.completions])),
    }
