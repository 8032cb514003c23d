"""Judge a policy: gold value per group, win rates, a lexicon that training never saw, divergence, readability.

Chapters 8 and 9.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .annotators import wins
from .policy import log_probabilities
from .prediction import draw
from .prompts import Prompt, plain
from .scorers import Scorer
from .texts import Texts

__all__ = ["evaluate", "score_draws", "vader"]


def vader(texts: Texts) -> NDArray[np.float64]:
    """Return how positive the lexicon VADER, which no scorer or reward uses, finds each text.

    Parameters
    ----------
    texts : Texts
        Judged whole, prompt and completion.

    Returns
    -------
    ndarray, shape (n,)
        Between -1 and 1.

    References
    ----------
    Hutto and Gilbert (2014), VADER: a parsimonious rule-based model for sentiment analysis of social media text.

    Examples
    --------
    >>> vader(Texts(["the film"] * 2, [[], []], ["is great !", "is awful"])).round(1).tolist()
    [0.7, -0.5]
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyse = SentimentIntensityAnalyzer().polarity_scores
    return np.array([analyse(f"{plain(p)} {c}")["compound"] for p, c in zip(*texts.pair, strict=True)])


def evaluate(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    baseline: Texts,
    gold: Scorer,
    *,
    likely: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> dict[str, Any]:
    """Return the metrics of a policy: numbers, or lists with one number a group.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    reference : PreTrainedModel
        The reference policy.
    tokenizer : PreTrainedTokenizerBase
        Of both.
    texts : Texts
        What the policy wrote.
    baseline : Texts
        What the reference wrote on the same prompts.
    gold : Scorer
        What the groups truly want.
    likely : tuple of ndarray, each of shape (n,), or None
        Log-probability of every text under policy and reference, where several processes have measured it; None
        measures it here.

    Returns
    -------
    dict
        ``value``: mean gold value, in spreads of the reference; ``win``: share of prompts on which the gold value is
        above that of the baseline's text, ties half; ``judge``: mean of VADER; ``kl``: mean of
        ``log pi - log pi_ref``, nats a text, by samples, with its standard error ``kl_error``; ``perplexity``: per
        token, under the reference; ``distinct``: different words among the first 4,000; ``words``: mean length;
        ``empty``: share of texts without a word.

    Raises
    ------
    ValueError
        When texts and baseline have different prompts.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> from maxmin_core.lm.texts import write_texts
    >>> texts = write_texts(model, tokenizer, ["the film"] * 3, n_tokens=2, seed=0)
    >>> def gold(prompts, completions):
    ...     return np.array([[float(len(text.split())) for text in completions]])
    >>> metrics = evaluate(model, model, tokenizer, texts, texts, gold)
    >>> metrics["kl"], metrics["win"]
    (0.0, [0.5])
    """
    if texts.prompts != baseline.prompts:
        raise ValueError("baseline: expected texts on the same prompts, got others")
    value = gold(*texts.pair)
    if likely is None:
        likely = (
            log_probabilities(model, tokenizer, texts.prompts, texts.ids),
            log_probabilities(reference, tokenizer, texts.prompts, texts.ids),
        )
    here, there = likely
    found = [word for text in texts.completions for word in text.split()]
    return {
        "value": value.mean(axis=1).tolist(),
        "win": wins(value, gold(*baseline.pair)).tolist(),
        "judge": float(vader(texts).mean()),
        "kl": float((here - there).mean()),
        "kl_error": float((here - there).std() / np.sqrt(len(texts))),
        "perplexity": float(np.exp(-there.sum() / sum(map(len, texts.ids)))),
        "distinct": len(set(found[:4000])),
        "words": len(found) / len(texts),
        "empty": float(np.mean([not text.strip() for text in texts.completions])),
    }


def score_draws(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    rewards: Scorer,
    *,
    n_samples: int,
    n_tokens: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw several texts on every prompt; return their rewards and what they cost in divergence.

    Parameters
    ----------
    model : PreTrainedModel
        The policy that writes.
    reference : PreTrainedModel
        The reference policy.
    tokenizer : PreTrainedTokenizerBase
        Of both.
    prompts : sequence of Prompt, length X
        Words or chats.
    rewards : Scorer
        What scores the texts.
    n_samples : int
        Texts on each prompt.
    n_tokens : int
        Tokens of a text at most.
    seed : int
        Of the draw.

    Returns
    -------
    values : ndarray, shape (U, X, n_samples)
        Reward of every group.
    log_ratio : ndarray, shape (X, n_samples)
        ``log pi - log pi_ref`` of every text, in nats.

    Raises
    ------
    ValueError
        On a prompt that is too long for the model, or a chat without a template.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> def brief(prompts, completions):
    ...     return np.array([[-float(len(text.split())) for text in completions]])
    >>> options = {"n_samples": 5, "n_tokens": 2, "seed": 0}
    >>> values, log_ratio = score_draws(model, model, tokenizer, ["the film"], brief, **options)
    >>> values.shape, log_ratio.tolist()
    ((1, 1, 5), [[0.0, 0.0, 0.0, 0.0, 0.0]])
    """
    draws = draw(model, tokenizer, prompts, rewards, n_samples=n_samples, n_tokens=n_tokens, seed=seed)
    texts = draws.texts
    here, there = (log_probabilities(m, tokenizer, texts.prompts, texts.ids) for m in (model, reference))
    return draws.rewards, (here - there).reshape(len(prompts), n_samples)
