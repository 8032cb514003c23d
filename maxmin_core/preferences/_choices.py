"""The words and numbers by which tables say what was chosen."""

import re

import numpy as np
import pandas as pd

__all__ = ["BOTH_BAD", "FIRST", "MISSING", "SECOND", "TIE", "expand_ranking", "outcomes"]

FIRST, SECOND, TIE, BOTH_BAD, MISSING, _UNKNOWN = 1, 2, 0, 3, -1, -2
_KINDS = {"first": FIRST, "second": SECOND, "tie": TIE, "both_bad": BOTH_BAD, "drop": MISSING}

_NOUNS = ("", "model_", "response_", "completion_", "option_", "answer_", "item_", "assistant_", "output_")
_WORDS = {noun + word: FIRST for noun in _NOUNS for word in ("a", "1", "first", "left", "x")}
_WORDS |= {noun + word: SECOND for noun in _NOUNS for word in ("b", "2", "second", "right", "y")}
_WORDS |= dict.fromkeys(("tie", "draw", "equal", "same", "both", "both_good", "no_preference", "indifferent"), TIE)
_WORDS |= dict.fromkeys(("tie_both_bad", "tie_bothbad", "bothbad", "both_bad", "neither", "none_is_good"), BOTH_BAD)
_WORDS |= {f"{side}_is_{how}_better": kind for side, kind in (("a", 1), ("b", 2)) for how in ("clearly", "slightly")}
_STRENGTH = {"clearly": 2.0, "slightly": 1.0}


def outcomes(choice, first, second, labels, positive):
    """Return what was chosen in every row, and how clearly where the table says so (else None).

    choice, first, second : pandas.Series of the same length, the latter two without missing values
    labels : dict or None, of words to 'first', 'second', 'tie', 'both_bad' or 'drop'
    positive : 'first', 'second' or None, whom a positive score prefers
    """
    try:
        codes, found = pd.factorize(choice)
    except TypeError as error:
        raise ValueError(f"choice: expected words, names or numbers, got {choice.iloc[0]!r:.80}") from error
    words = list(pd.Index(found))
    if labels is not None:
        kind = _by_labels(words, labels)
    else:
        kind = np.array([_WORDS.get(_plain(word), _UNKNOWN) for word in words], dtype=np.int64)
        named = None if positive else _by_name(choice, first, second, kind, codes, words)
        if named is not None:
            return named, None
    scores = None if labels is not None else _scores(words, kind, positive)
    if scores is not None:
        return _by_score(codes, scores, positive)
    if (kind == _UNKNOWN).any():
        word = words[int(np.argmax(kind == _UNKNOWN))]
        row = int(np.argmax(codes == words.index(word)))
        raise ValueError(
            f"choice: expected words such as first/second, left/right, a/b, 1/2, tie, the names of the items, scores "
            f"or rankings, got {word!r} in row {row}; say what it means by labels={{{word!r}: 'first'}}"
        )
    strength = [next((size for how, size in _STRENGTH.items() if how in _plain(word)), np.nan) for word in words]
    clear = None if np.isnan(strength).all() else np.append(strength, 0.0)[codes]
    return np.append(kind, MISSING)[codes], clear


def _plain(word):
    """Return a word in small letters, with one underscore between its parts; 1.0 is 1, a number with a sign stays."""
    if isinstance(word, bool | np.bool_):
        return "?"
    if isinstance(word, float | np.floating) and float(word).is_integer():
        word = int(word)
    text = str(word).strip().lower()
    return text if re.fullmatch(r"[+-].*", text) else re.sub(r"\W+", "_", text).strip("_")


def _by_labels(words, labels):
    wrong = [kind for kind in labels.values() if kind not in _KINDS]
    if wrong:
        raise ValueError(f"labels: expected {', '.join(map(repr, _KINDS))}, got {wrong[0]!r}")
    known = {str(word): _KINDS[kind] for word, kind in labels.items()}
    missing = [word for word in words if str(word) not in known]
    if missing:
        raise ValueError(
            f"labels: expected a meaning for every word of the column of choices, got none for {missing[0]!r}"
        )
    return np.array([known[str(word)] for word in words], dtype=np.int64)


def _by_name(choice, first, second, kind, codes, words):
    """Return the outcomes where choices are names of items; None where they are not."""
    names = set(pd.unique(first)) | set(pd.unique(second))
    called = np.array([word in names for word in words], dtype=bool)
    # Ties and what is missing have no name; everything else has to have one.
    if not called.any() or not (called | np.isin(kind, (TIE, BOTH_BAD))).all():
        return None
    everything, _ = pd.factorize(pd.concat([choice, first, second], ignore_index=True))
    chosen, one, other = np.split(everything, 3)
    named = np.where(chosen == one, FIRST, np.where(chosen == other, SECOND, _UNKNOWN))
    here = np.append(called, False)[codes]
    side = np.append(kind, MISSING)[codes]
    if (named[here] == _UNKNOWN).any():
        if (side[here] != _UNKNOWN).all():
            return None
        row = int(np.argmax(here & (named == _UNKNOWN)))
        raise ValueError(
            f"choice: expected the name of one of the two items, got {choice.iloc[row]!r} in row {row}, where the "
            f"items are {first.iloc[row]!r} and {second.iloc[row]!r}"
        )
    if (side[here] != _UNKNOWN).all() and (side[here] != named[here]).any():
        row = int(np.argmax(here & (side != named)))
        raise ValueError(
            f"choice: expected words with one meaning, got {choice.iloc[row]!r} in row {row}, which is the name of an "
            "item and a side; say which by labels, or rename the items"
        )
    return np.where(here, named, side)


def _scores(words, kind, positive):
    """Return the words as numbers, (number of words,), where they are scores; None where they are words.

    A 0 beside 1 and 2 is written into `kind` as a tie.
    """
    if not words or ((kind != _UNKNOWN).all() and positive is None):
        return None
    if any(isinstance(word, bool | np.bool_) for word in words):
        raise ValueError(
            "choice: expected first/second or the like, got true and false, which do not say of which item; "
            "say what they mean by labels={True: 'first', False: 'second'}"
        )
    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").to_numpy(dtype=float)
    if np.isnan(numbers).any():
        return None
    if positive is None and set(numbers) <= {0.0, 1.0}:
        raise ValueError(
            "choice: expected first/second or the like, got 0 and 1, which may be read both ways; say what they mean "
            "by labels={0: 'first', 1: 'second'}, or the other way round"
        )
    if positive is None and set(numbers) <= {0.0, 1.0, 2.0}:
        kind[numbers == 0] = TIE
        return None
    return numbers


def _by_score(codes, scores, positive):
    if positive not in ("first", "second"):
        raise ValueError(
            f"positive: expected 'first' or 'second', the item that a positive score prefers, as choices are scores "
            f"from {scores.min():g} to {scores.max():g}, got {positive!r}"
        )
    above, below = (FIRST, SECOND) if positive == "first" else (SECOND, FIRST)
    kind = np.where(scores > 0, above, np.where(scores < 0, below, TIE))
    return np.append(kind, MISSING)[codes], np.append(np.abs(scores), 0.0)[codes]


def expand_ranking(ranking):
    """Return the pairs of a ranking, best first, as (better, worse, tie).

    A ranking is a text, 'B>A=C', or a list, in which lists are ties. None where it is missing or ranks fewer than two
    items.
    """
    if isinstance(ranking, str):
        places = [[name.strip() for name in place.split("=") if name.strip()] for place in ranking.split(">")]
    elif isinstance(ranking, list | tuple | np.ndarray):
        places = [list(place) if isinstance(place, list | tuple | np.ndarray) else [place] for place in ranking]
    else:
        return None
    names = [name for place in places for name in place]
    if len(set(names)) != len(names):
        raise ValueError(f"choice: expected rankings that name every item once, got {ranking!r:.80}")
    if len(names) < 2:
        return None
    rank = [number for number, place in enumerate(places) for _ in place]
    return [(names[i], names[j], rank[i] == rank[j]) for i in range(len(names)) for j in range(i + 1, len(names))]
