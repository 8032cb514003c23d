"""Tables of a chapter: one row of headers, the names of the rows on the left, a caption; how numbers are written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import pandas as pd

__all__ = ["number", "tabulate"]

# What must not break within a cell: one number, with what hangs on to it, such as 0.35, -2.2e-16, 80:20 or 4/7.
_ONE_NUMBER = re.compile(r"[-+]?\d\S*")


def number(value: Any, form: str) -> str:
    """Write a number: no minus before a zero, and of an exact zero no exponent.

    Parameters
    ----------
    value : float, int or Decimal
        What to write. Text stays as it is, and what is missing (nan) is nothing.
    form : str
        How, such as ``+.2f`` or ``.0e``.

    Returns
    -------
    str

    Examples
    --------
    >>> number(-0.001, ".2f"), number(0.0, ".0e"), number(2.7e-9, ".1e"), number(float("nan"), ".2f")
    ('0.00', '0', '2.7e-09', '')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Integral):
        return format(value, form)
    if pd.isna(value):
        return ""
    if value == 0 and form.endswith("e"):
        return "0"
    return format(float(value), re.sub(r"^[-+ ]?", r"\g<0>z", form))


def tabulate(
    rows: Iterable[Sequence[Any]],
    columns: Sequence[str],
    caption: str,
    *,
    keys: int = 1,
    form: str = "",
    forms: Mapping[str, str] | None = None,
) -> Any:
    """Lay out rows as a table with a caption and one row of headers.

    Parameters
    ----------
    rows : iterable of sequences
        One entry a column. Or a DataFrame, whose index comes first if `columns` has headers for it.
    columns : sequence of str
        Headers.
    caption : str
        What the table shows, with its unit; printed above it.
    keys : int
        How many columns name the rows; they stand to the left.
    form : str
        How numbers are written that are no whole ones (see `number`); default: with six digits.
    forms : mapping of str to str, optional
        The same for single columns, by header, whole numbers included.

    Returns
    -------
    pandas.io.formats.style.Styler
        To be shown.

    Raises
    ------
    ValueError
        On no rows, on a header or a caption without words, on fewer columns than keys, on a DataFrame of another width,
        on a form for a column that is not there.

    Examples
    --------
    >>> values = [("max-min", 0.42), ("average", -0.43)]
    >>> print(tabulate(values, ["method", "value"], "Gold values (spreads)", form="+.2f").to_string(delimiter=" "))
    method value
    max-min +0.42
    average -0.43
    <BLANKLINE>
    """
    columns, forms = list(columns), dict(forms or {})
    if not all(header.strip() for header in columns):
        raise ValueError(f"columns: expected a word for each, got {columns}")
    if not caption.strip():
        raise ValueError(f"caption: expected words, got {caption!r}")
    if not 0 <= keys <= len(columns):
        raise ValueError(f"keys: expected at most one for each of {len(columns)} columns, got {keys}")
    if unknown := sorted(set(forms) - set(columns)):
        raise ValueError(f"forms: expected some of {columns}, got {unknown[0]!r}")
    if isinstance(rows, pd.DataFrame):
        table = rows.reset_index(drop=rows.shape[1] == len(columns))
        if table.shape[1] != len(columns):
            raise ValueError(f"columns: expected {table.shape[1]}, the index among them, got {columns}")
        table.columns = pd.Index(columns)
    else:
        table = pd.DataFrame(list(rows), columns=columns)
    if table.empty:
        raise ValueError(f"rows: expected at least one in {caption!r}, got none")
    style = table.style.hide(axis="index").set_caption(caption)
    for header in columns:
        if header in forms:
            style.format(partial(number, form=forms[header]), subset=[header])
        elif form:
            style.format(partial(_written, form=form), subset=[header])
    single = table.map(lambda value: "" if isinstance(value, str) and not _ONE_NUMBER.fullmatch(value) else "mm-number")
    # Headers and cells of a column have its class.
    left = [{"selector": f".col{k}", "props": [("text-align", "left")]} for k in range(keys)]
    return style.set_td_classes(single).set_table_styles(left)


def _written(value, form):
    return str(value) if isinstance(value, Integral) else number(value, form)
