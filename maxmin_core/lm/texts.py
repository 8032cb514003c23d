"""Texts that a policy wrote: prompts, token ids and words. Chapter 8."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .policy import sample
from .prompts import Prompt

__all__ = ["Texts", "write_texts"]


class Texts:
    """Hold what a policy wrote, one text for each prompt. No prompt names a group.

    Parameters
    ----------
    prompts : sequence of Prompt, length n
        How the texts begin, in words or as chats.
    ids : list of list of int, length n
        What the policy drew, the end-of-text token included.
    completions : list of str, length n
        The same as words.

    Examples
    --------
    >>> texts = Texts(["the film"], [[7, 3]], ["drags"])
    >>> len(texts), texts.pair
    (1, (['the film'], ['drags']))
    """

    def __init__(self, prompts: Sequence[Prompt], ids: list[list[int]], completions: list[str]) -> None:
        self.prompts, self.ids, self.completions = list(prompts), ids, completions

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def pair(self) -> tuple[list[Prompt], list[str]]:
        """Prompts and completions, as scorers take them."""
        return self.prompts, self.completions


def write_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], *, n_tokens: int, seed: int
) -> Texts:
    """Draw one text for every prompt.

    Parameters
    ----------
    model : PreTrainedModel
        The policy.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    prompts : sequence of Prompt, length n
        Words or chats; repeat a prompt to draw several texts on it.
    n_tokens : int
        Tokens of a text at most.
    seed : int
        Of the draw.

    Returns
    -------
    Texts

    Raises
    ------
    ValueError
        On a prompt that is too long for the model, or a chat without a template.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model = make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0)
    >>> len(write_texts(model, tokenizer, ["the film"] * 3, n_tokens=2, seed=0))
    3
    """
    ids = sample(model, tokenizer, prompts, n_tokens=n_tokens, seed=seed)
    return Texts(prompts, ids, tokenizer.batch_decode(ids, skip_special_tokens=True))
