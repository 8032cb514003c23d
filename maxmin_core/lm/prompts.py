"""What a text begins with: words, or the messages of a chat. Imports no torch. Chapter 8."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

__all__ = ["Prompt", "encode", "is_chat", "plain"]

# Words, or messages such as {"role": "user", "content": "Name a film."}, the last one the user's.
Prompt = str | Sequence[Mapping[str, str]]


def is_chat(prompt: Prompt) -> TypeGuard[Sequence[Mapping[str, str]]]:
    """Return whether a prompt is a chat; refuse what is neither words nor messages.

    Parameters
    ----------
    prompt : Prompt
        How a text begins.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        On an empty chat, or a message without role and content.

    Examples
    --------
    >>> is_chat("the film"), is_chat([{"role": "user", "content": "Name a film."}])
    (False, True)
    """
    if isinstance(prompt, str):
        return False
    messages = list(prompt)
    for message in messages:
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise ValueError(f"prompts: expected words, or messages with role and content, got {message!r:.80}")
    if not messages:
        raise ValueError("prompts: expected words, or at least one message, got none")
    return True


def plain(prompt: Prompt) -> str:
    """Return a prompt as words: of a chat what is said in it, in its order.

    Parameters
    ----------
    prompt : Prompt
        How a text begins; or goes on, where TRL hands over the assistant's message as a chat.

    Returns
    -------
    str

    Examples
    --------
    >>> plain("the film"), plain([{"role": "user", "content": "Name a film."}])
    ('the film', 'Name a film.')
    """
    return "\n\n".join(message["content"] for message in prompt) if is_chat(prompt) else str(prompt)


def encode(tokenizer: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Return the token ids of prompts: words as they are, a chat by the tokenizer's template, ready for an answer.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Of the policy that goes on.
    prompts : sequence of Prompt, length n
        All words or all chats.

    Returns
    -------
    list of list of int, length n
        Each of its own length.

    Raises
    ------
    ValueError
        On no prompts, on words and chats together, or on chats where the tokenizer has no template for them.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_tokenizer
    >>> encode(make_tokenizer(["the film"], 2), ["the film", "film"])
    [[2, 4, 5], [2, 5]]
    """
    if not prompts:
        raise ValueError("prompts: expected at least one prompt, got none")
    chats = [is_chat(prompt) for prompt in prompts]
    if not any(chats):
        return tokenizer(list(prompts))["input_ids"]
    if not all(chats):
        raise ValueError("prompts: expected all words or all chats, got both")
    if tokenizer.chat_template is None:
        raise ValueError("prompts: expected words, as the tokenizer has no chat template, got messages")
    messages = [[dict(message) for message in prompt] for prompt in prompts if is_chat(prompt)]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)[
        "input_ids"
    ]
