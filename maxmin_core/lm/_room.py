"""How many texts pass through a model at a time, so that what it keeps of them has room beside it. Chapter 10."""

from typing import Any

__all__ = ["KEPT", "MOST_BYTES", "MOST_LOGITS", "drawn_at_once", "keys_of", "read_at_once"]

# Of keys and values while texts are drawn, or of one block while they are read, at a time: 8 GiB.
MOST_BYTES = 2**33
# Numbers of logits at a time: 1 GiB.
MOST_LOGITS = 2**28
# Numbers of the width that a block makes of every token; for its gradient it keeps them.
KEPT = 34


def keys_of(config: Any, n_bytes: int) -> int:
    """Return the bytes of a token's keys and values in all blocks, a number taking so many."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * n_bytes


def drawn_at_once(config: Any, n_bytes: int, length: int, most: int) -> int:
    """Return how many texts of so many tokens are drawn at a time: at most `most`, and at least one."""
    return max(1, min(most, MOST_BYTES // (length * keys_of(config, n_bytes))))


def read_at_once(config: Any, n_bytes: int, length: int, most: int, *, logits: bool = False) -> int:
    """Return how many texts of so many tokens are read at a time, with the logits of every token or without."""
    numbers = max(1, length) * KEPT * config.hidden_size
    most = min(most, MOST_BYTES // (numbers * n_bytes))
    return max(1, min(most, MOST_LOGITS // (max(1, length) * config.vocab_size)) if logits else most)
