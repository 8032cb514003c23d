"""Tables of a chapter: one row of headers, the names of the rows on the left, a caption."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

__all__ = ["tabulate"]


def tabulate(rows: Iterable[Sequence[Any]], columns: Sequence[str], caption: str, *, keys: int = 1) -> Any:
    """Lay out rows as a table with a caption and one row of headers.

    Parameters
    ----------
    rows : iterable of sequences
        One entry a column; a DataFrame will do.
    columns : sequence of str
        Headers.
    caption : str
        What the table shows, with its unit; printed above it.
    keys : int
        How many columns name the rows; they stand to the left.

    Returns
    -------
    pandas.io.formats.style.Styler
        To be shown, or formatted further.

    Raises
    ------
    ValueError
        On a header without words, or fewer columns than keys.

    Examples
    --------
    >>> table = tabulate([("max-min", 0.42), ("average", -0.43)], ["method", "value"], "Gold values (spreads)")
    >>> print(table.format("{:+.2f}", subset="value").to_string(delimiter=" "))
    method value
    max-min +0.42
    average -0.43
    <BLANKLINE>
    """
    if not all(header.strip() for header in columns):
        raise ValueError(f"columns: expected a word for each, got {list(columns)}")
    if not 0 <= keys <= len(columns):
        raise ValueError(f"keys: expected at most one for each of {len(columns)} columns, got {keys}")
    table = pd.DataFrame(rows if isinstance(rows, pd.DataFrame) else list(rows), columns=list(columns))
    style = table.style.hide(axis="index").set_caption(caption)
    # Headers and cells of a column have its class.
    left = [{"selector": f".col{k}", "props": [("text-align", "left")]} for k in range(keys)]
    return style.set_table_styles(left)
