"""How questions and answers cross between two processes: JSON for the structure, raw numbers behind it.

Nothing is executed when a message is read, and nothing is allocated that did not arrive. The sender may be hostile.
"""

import json
from typing import Any

import numpy as np

__all__ = ["WireError", "from_message", "to_message"]

# What arrays may hold; each is sent in one of these forms.
_FORMS = {"b": "|b1", "i": "<i8", "u": "<i8", "f": "<f8", "c": "<c16"}
_DEEP = 20


class WireError(ValueError):
    """Say what cannot be sent, or what is wrong with a message."""


def to_message(value: Any) -> bytes:
    """Return a message.

    Parameters
    ----------
    value : object
        None, bool, int, float, complex, str, arrays of these numbers, and lists, tuples and dicts of all of them.
        Tables and series of numbers are sent as arrays.

    Returns
    -------
    bytes

    Raises
    ------
    WireError
        On everything else: says what it is.

    Examples
    --------
    >>> from_message(to_message({"p": (0.5, np.arange(2))}))
    {'p': (0.5, array([0, 1]))}
    """
    blocks: list[bytes] = []
    structure = json.dumps(_plain(value, blocks, 0)).encode()
    return len(structure).to_bytes(8, "big") + structure + b"".join(blocks)


def from_message(message: bytes) -> Any:
    """Return what a message holds.

    Parameters
    ----------
    message : bytes
        From whomever.

    Returns
    -------
    object

    Raises
    ------
    WireError
        Where it is no message.

    Examples
    --------
    >>> from_message(b"cos\\nsystem\\n(S'ls'\\ntR.")
    Traceback (most recent call last):
    maxmin_core.course._wire.WireError: expected a message, got something else
    """
    try:
        end = 8 + int.from_bytes(message[:8], "big")
        return _value(json.loads(message[8:end].decode()), memoryview(message)[end:], 0)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, AttributeError) as error:
        raise WireError("expected a message, got something else") from error


def _plain(value, blocks, depth):
    if depth > _DEEP:
        raise WireError(f"lists within lists, more than {_DEEP} deep")
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if value.bit_length() > 1000:
            raise WireError("an integer of more than a thousand bits")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _FORMS:
            raise WireError(f"an array of {value.dtype}, where numbers are expected")
        block = np.ascontiguousarray(value, dtype=_FORMS[value.dtype.kind]).tobytes()
        start = sum(map(len, blocks))
        blocks.append(block)
        return {"array": [_FORMS[value.dtype.kind], list(value.shape), start]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_plain(part, blocks, depth + 1) for part in value]}
    if isinstance(value, dict):
        pairs = [[_plain(part, blocks, depth + 1) for part in pair] for pair in value.items()]
        return {"dict": pairs}
    raise WireError(f"{type(value).__name__}, where numbers, arrays, or lists of them are expected")


def _value(plain, block, depth):
    if depth > _DEEP + 1:
        raise WireError("expected a message, got one that is too deep")
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    ((kind, parts),) = plain.items()
    if kind == "complex":
        return complex(*parts)
    if kind == "array":
        form, shape, start = parts
        if form not in _FORMS.values() or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
            raise WireError("expected an array of numbers, got something else")
        n = 1
        for size in shape:
            n *= size
        end = start + n * np.dtype(form).itemsize
        if not 0 <= start <= end <= len(block):
            raise WireError("expected an array, got one that is not all there")
        return np.frombuffer(block[start:end], dtype=form).reshape(shape).copy()
    if kind == "dict":
        return {_value(key, block, depth + 1): _value(part, block, depth + 1) for key, part in parts}
    found = [_value(part, block, depth + 1) for part in parts]
    return {"list": found, "tuple": tuple(found)}[kind]
