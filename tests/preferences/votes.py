"""Tables of a few votes between two drinks, and how they are read."""

import pandas as pd

from maxmin_core.preferences import read_comparisons

NAMES = {"annotator": "who", "first": "a", "second": "b", "choice": "vote"}


def table(*votes, **columns):
    """Votes between tea (first) and milk (second), the last two by bob, with further columns."""
    n = len(votes)
    frame = pd.DataFrame({"who": ["ann"] * (n - 2) + ["bob"] * 2, "a": "tea", "b": "milk", "vote": list(votes)})
    return frame.assign(**columns)


def read(source, **options):
    return read_comparisons(source, **(NAMES | options))


FIRST_SECOND = read(table("first", "second", "first"))[0]
