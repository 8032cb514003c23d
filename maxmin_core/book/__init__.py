"""What makes the book: chapters, claims, pages, figures, the reference, the command line."""

from importlib.util import find_spec

__all__ = ["require_book"]

# What the extra installs, by the names that Python imports.
_MODULES = (
    *("IPython", "choix", "flint", "grimp", "gymnasium", "ipykernel", "jupyter_book", "matplotlib", "nbformat"),
    *("papermill", "seaborn", "snakemake", "yaml"),
)


def require_book(*modules: str) -> None:
    """Say what is missing before a chapter, a figure or a page is begun that needs the extra ``book``.

    Parameters
    ----------
    *modules : str
        What is needed, by the names that Python imports; default: everything in the extra.

    Raises
    ------
    ValueError
        When some of them are not installed: names them, and the command that installs the extra.

    Examples
    --------
    >>> require_book("matplotlib", "seaborn")
    """
    missing = [name for name in modules or _MODULES if not _is_found(name)]
    if missing:
        raise ValueError(
            f"book: expected the packages for chapters and pages, got none of {', '.join(missing)}; install them with "
            '`pip install "maxmin-core[book]"`'
        )


def _is_found(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
