"""Judges of two answers: a model on this machine, or one behind an address; and what they say of a policy. Chapter 10.

A judge is any callable, (prompt, first, second, wish) -> how much the first is to be preferred, between 0 and 1.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from ..intervals import mean_interval
from .policy import log_probabilities
from .prompts import Prompt, encode, is_chat, plain
from .texts import write_texts

__all__ = ["Judge", "LocalJudge", "ServerJudge", "both_orders", "intervals_over_seeds", "judge_policy", "with_wish"]


class Judge(Protocol):
    """Prefer one of two answers; a function will do.

    Examples
    --------
    >>> def shorter(prompt, first, second, wish):
    ...     return float(len(first) < len(second))
    >>> shorter("Name a film.", "Heat.", "Perhaps Heat.", "Be brief.")
    1.0
    """

    def __call__(self, prompt: Prompt, first: str, second: str, wish: str, /) -> float:
        """Return how much the first is to be preferred.

        Parameters
        ----------
        prompt : Prompt
            What both answer.
        first : str
            One answer.
        second : str
            The other.
        wish : str
            What the reader wants.

        Returns
        -------
        float
            Between 0 and 1.
        """
        ...


_ASKED = (
    "Two answers to the same request. A reader with this wish chooses between them: {wish}\n\nRequest: {prompt}\n\n"
    "Answer A: {first}\n\nAnswer B: {second}\n\nWhich answer does this reader prefer? Say A or B, nothing else."
)


class LocalJudge:
    """Ask a language model on this machine: how likely is it to say A rather than B.

    Parameters
    ----------
    model : PreTrainedModel
        An instruction model, best another one than the policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer; asked in its chat template where it has one.

    Examples
    --------
    >>> judge = LocalJudge(*load_policy(folder))  # doctest: +SKIP
    >>> both_orders(judge)("Name a film.", "Heat.", "No.", "is friendly")  # doctest: +SKIP
    0.64
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.letters = [tokenizer(letter, add_special_tokens=False)["input_ids"][-1] for letter in "AB"]

    @torch.inference_mode()
    def __call__(self, prompt: Prompt, first: str, second: str, wish: str) -> float:
        """Return how much the first is to be preferred.

        Parameters
        ----------
        prompt : Prompt
            What both answer.
        first : str
            One answer.
        second : str
            The other.
        wish : str
            What the reader wants.

        Returns
        -------
        float
        """
        asked: Prompt = _question(prompt, first, second, wish)
        if self.tokenizer.chat_template is not None:
            asked = [{"role": "user", "content": str(asked)}]
        ids = torch.tensor(encode(self.tokenizer, [asked]), device=self.model.device)
        return float(self.model(ids).logits[0, -1, self.letters].float().softmax(-1)[0])


class ServerJudge:
    """Ask a model behind an address that speaks as OpenAI's does; nothing is sent anywhere else.

    Parameters
    ----------
    address : str
        Such as ``http://localhost:8000/v1``; ``/chat/completions`` is added.
    model : str
        Its name there.
    key : str or None
        Sent as a bearer's token.
    timeout : float
        Seconds to wait for an answer.

    Attributes
    ----------
    unclear : int
        Answers so far that were neither A nor B; each counts as a half.

    Examples
    --------
    >>> ServerJudge("localhost:8000", "judge")
    Traceback (most recent call last):
    ValueError: judge: expected an address that begins with http:// or https://, got 'localhost:8000'
    """

    def __init__(self, address: str, model: str, *, key: str | None = None, timeout: float = 60.0) -> None:
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"judge: expected an address that begins with http:// or https://, got {address!r}")
        self.address, self.model, self.key, self.timeout = address.rstrip("/"), model, key, timeout
        self.unclear = 0

    def try_out(self) -> None:
        """Ask one question whose answer does not count.

        Raises
        ------
        ValueError
            Where the address does not answer, or not in the form that was expected.
        """
        self("Say yes.", "yes", "no", "Do as you are told.")
        self.unclear = 0

    def __call__(self, prompt: Prompt, first: str, second: str, wish: str) -> float:
        """Return 1 where the first is preferred, 0 where the second is, a half where the answer is neither.

        Parameters
        ----------
        prompt : Prompt
            What both answer.
        first : str
            One answer.
        second : str
            The other.
        wish : str
            What the reader wants.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            Where the address does not answer, or not in the form that was expected.
        """
        asked = [{"role": "user", "content": _question(prompt, first, second, wish)}]
        body = {"model": self.model, "messages": asked, "temperature": 0, "max_tokens": 4}
        header = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(
            f"{self.address}/chat/completions", json.dumps(body).encode(), header, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                said = json.load(reply)["choices"][0]["message"]["content"]
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise ValueError(f"judge: expected an answer from {self.address}, got {error}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"judge: expected choices[0].message.content from {self.address}, got another form ({error!r})"
            ) from error
        letter = str(said).strip().strip("*\"'.").removeprefix("Answer ")[:1].upper()
        if letter not in ("A", "B"):
            self.unclear += 1
            return 0.5
        return float(letter == "A")


def _question(prompt, first, second, wish):
    return _ASKED.format(wish=wish, prompt=plain(prompt), first=first, second=second)


def both_orders(judge: Judge) -> Judge:
    """Return a judge that is asked twice, the answers exchanged: one that likes whatever stands first says a half.

    Parameters
    ----------
    judge : Judge
        Any.

    Returns
    -------
    Judge

    Examples
    --------
    >>> both_orders(lambda prompt, first, second, wish: 1.0)("it", "is", "was", "brief")
    0.5
    """

    def asked(prompt: Prompt, first: str, second: str, wish: str) -> float:
        return (judge(prompt, first, second, wish) + 1 - judge(prompt, second, first, wish)) / 2

    return asked


def with_wish(prompt: Prompt, wish: str) -> Prompt:
    """Return a prompt that tells a group's wish: how public code evaluates; nobody says so when a policy is used.

    Parameters
    ----------
    prompt : Prompt
        Words, or a chat.
    wish : str
        Is said last by the user.

    Returns
    -------
    Prompt

    Examples
    --------
    >>> with_wish("Name a film.", "Be brief.")
    'Name a film. Be brief.'
    """
    if not is_chat(prompt):
        return f"{prompt} {wish}"
    *before, last = (dict(message) for message in prompt)
    return [*before, last | {"content": f"{last['content']} {wish}"}]


def judge_policy(
    model: Any,
    reference: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    wishes: Mapping[str, str],
    judge: Judge,
    *,
    n_tokens: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return what a judge says of a policy beside the reference, group by group, with its wish in the prompt or not.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    reference : PreTrainedModel
        The reference policy.
    tokenizer : PreTrainedTokenizerBase
        Of both.
    prompts : sequence of Prompt, length n
        Held out.
    wishes : mapping of str to str
        Group to what it wants, in a sentence.
    judge : Judge
        Is asked in both orders.
    n_tokens : int
        Tokens of a text at most.
    seed : int
        Of the texts.

    Returns
    -------
    dict of str to dict of str to float
        ``GROUP, without`` and ``GROUP, with`` to ``win`` (share of prompts on which the policy's text is preferred to
        the reference's), ``kl`` (nats a text, by samples) and ``words``. Without the wish the texts are the same for
        all groups.

    Examples
    --------
    >>> found = judge_policy(model, reference, tokenizer, prompts, wishes, judge, n_tokens=64, seed=0)  # doctest: +SKIP
    >>> found["concise, without"]["win"]  # doctest: +SKIP
    0.56
    """
    asked, found = both_orders(judge), {}
    shared = None
    for name, wish in wishes.items():
        for how in ("without", "with"):
            if how == "with" or shared is None:
                told = [with_wish(prompt, wish) if how == "with" else prompt for prompt in prompts]
                texts = write_texts(model, tokenizer, told, n_tokens=n_tokens, seed=seed)
                other = write_texts(reference, tokenizer, told, n_tokens=n_tokens, seed=(seed + 1) % 2**31)
                here, there = (log_probabilities(m, tokenizer, told, texts.ids) for m in (model, reference))
                drawn = texts, other, float((here - there).mean())
                shared = drawn if how == "without" else shared
            texts, other, kl = shared if how == "without" and shared is not None else drawn
            # The judge knows the wish anyway; the request that it is shown is the plain one.
            won = [asked(p, a, b, wish) for p, a, b in zip(prompts, texts.completions, other.completions, strict=True)]
            words = float(np.mean([len(text.split()) for text in texts.completions]))
            found[f"{name}, {how}"] = {"win": float(np.mean(won)), "kl": kl, "words": words}
    return found


def intervals_over_seeds(
    found: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and half the width of the 95% interval over seeds: one number a seed, never prompts pooled.

    Parameters
    ----------
    found : sequence of mapping, length S
        What `judge_policy` returns, one a seed, at least two.

    Returns
    -------
    dict of str to dict of str to tuple of float
        As there, each number a pair.

    Raises
    ------
    ValueError
        On fewer than two seeds.

    Examples
    --------
    >>> found = [{"brief, with": {"win": 0.5}}, {"brief, with": {"win": 0.7}}]
    >>> [round(number, 2) for number in intervals_over_seeds(found)["brief, with"]["win"]]
    [0.6, 1.27]
    """
    if len(found) < 2:
        raise ValueError(f"found: expected at least two seeds, got {len(found)}")
    made: dict[str, dict[str, tuple[float, float]]] = {}
    for name, numbers in found[0].items():
        made[name] = {}
        for number in numbers:
            mean, half = mean_interval([each[name][number] for each in found])
            made[name][number] = (float(mean), float(half))
    return made
