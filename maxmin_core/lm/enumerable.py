"""A language model so small that every text it can write is known: the exact optimum beside what training finds."""

from itertools import product

import numpy as np
from scipy.special import logsumexp

from .policy import END, load_policy, log_probabilities, make_gpt2, make_tokenizer

__all__ = ["WordRewards", "every_text", "exact_log_policy", "make_reference"]


def make_reference(folder, *, n_words=4, n_prompts=4, n_tokens=4, seed=0):
    """Save a random GPT-2 over a few words, its weights large enough for uneven texts; return its prompts.

    Words are called a, b, c, ...; a prompt is one word of its own, p0, p1, ... Chapter 9.
    """
    words, prompts = [chr(ord("a") + k) for k in range(n_words)], [f"p{k}" for k in range(n_prompts)]
    tokenizer = make_tokenizer([" ".join(words), " ".join(prompts)], n_words + n_prompts)
    shape = {"layers": 2, "width": 32, "heads": 2, "initializer_range": 0.2}
    model = make_gpt2(tokenizer, positions=2 + n_tokens, seed=seed, **shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return prompts


def every_text(tokenizer, n_tokens):
    """Return all completions of up to `n_tokens` tokens, as token ids: ended ones and cut off ones. Chapter 9."""
    end = tokenizer.convert_tokens_to_ids(END)
    others = [token for token in range(len(tokenizer)) if token != end]
    ended = [[*ids, end] for length in range(n_tokens) for ids in product(others, repeat=length)]
    return ended + [list(ids) for ids in product(others, repeat=n_tokens)]


def exact_log_policy(folder, prompts, texts):
    """Return log pi(text | prompt) of a saved policy for every prompt and text, (X, Y) float; rows sum to one.

    ValueError where they do not: then the texts are not all that the policy can write. Chapter 9.
    """
    model, tokenizer = load_policy(folder)
    rows = [log_probabilities(model, tokenizer, [prompt] * len(texts), texts, batch=4096) for prompt in prompts]
    total = logsumexp(rows, axis=1)
    if not np.abs(total).max() <= 1e-3:
        found = np.exp(total)[np.abs(total).argmax()]
        raise ValueError(f"texts: expected all that the policy can write, got a probability of {found:.4f}")
    return np.array(rows) - total[:, None]


class WordRewards:
    """Reward a text by its words: r_u = (sum over words of score_u(word) - zero_u) / unit_u. Chapter 9.

    scores : (U, V) float, what a word of the V letters a, b, ... is worth to a group; other tokens are worth nothing
    weights : (U,) float, the groups' shares
    """

    def __init__(self, scores, weights, zero=0.0, unit=1.0):
        self.scores, self.weights = np.asarray(scores, dtype=float), np.asarray(weights, dtype=float)
        self.zero, self.unit = zero, unit

    def __call__(self, prompts, completions):
        """Return the rewards, (U, n) float."""
        letters = [chr(ord("a") + k) for k in range(self.scores.shape[1])]
        count = np.array([[text.split().count(letter) for letter in letters] for text in completions], dtype=float)
        return (self.scores @ count.T - self.zero) / self.unit

    def calibrated(self, completions, probability):
        """Return these rewards with mean zero and spread one under a distribution over the texts, (n,) float."""
        raw = WordRewards(self.scores, self.weights)(None, completions)
        zero = raw @ probability
        unit = np.sqrt((raw - zero[:, None]) ** 2 @ probability)
        return WordRewards(self.scores, self.weights, zero[:, None], unit[:, None])

    def fingerprint(self):
        """Return a short name that changes with anything that changes a score."""
        numbers = (self.scores, self.weights, self.zero, self.unit)
        return repr([np.asarray(number).tolist() for number in numbers])
