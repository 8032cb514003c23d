"""Data sets that are fetched on demand: a chapter says which it needs, and shows its page without them, too.

Chapter 11.
"""

from collections.abc import Callable, Mapping

from ..data.llmfao import has_llmfao

__all__ = ["FETCHED", "skip_without"]

# By name, as `maxmin data NAME` fetches it: what tells whether it is there.
FETCHED: Mapping[str, Callable[[], bool]] = {"llmfao": has_llmfao}


def skip_without(name: str) -> bool:
    """Tell whether a data set is there; where it is not, cells that begin with ``# needs NAME`` do nothing from now on.

    A skipped cell that would have shown something says that it shows nothing.

    Parameters
    ----------
    name : str
        The data set, one of `FETCHED`.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        On a name that is none of them.

    Examples
    --------
    >>> skip_without("llmfao") in (True, False)
    True
    """
    if name not in FETCHED:
        raise ValueError(f"name: expected one of {', '.join(FETCHED)}, got {name!r}")
    there = FETCHED[name]()
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        mark = f"# needs {name}"
        # A cell that is run again, after the data have come, is not skipped any more.
        known = [part for part in shell.input_transformers_cleanup if getattr(part, "mark", None) != mark]
        shell.input_transformers_cleanup[:] = known if there else [*known, _Skip(mark, name)]
    return there


class _Skip:
    """Turn the lines of a cell with the mark into a cell that does nothing, or says that nothing is shown."""

    def __init__(self, mark, name):
        self.mark = mark
        self.says = f"*Nothing is shown here: the data are not there (`maxmin data {name}`).*"

    def __call__(self, lines):
        if not lines or lines[0].strip() != self.mark:
            return lines
        if any("display(" in line or "plots.show(" in line for line in lines):
            return ["import IPython.display\n", f"IPython.display.display(IPython.display.Markdown({self.says!r}))\n"]
        return ["pass\n"]
