"""Places where something is to be written: looked at before the work, not behind it."""

import tempfile
from pathlib import Path

__all__ = ["writable"]


def writable(folder: Path | str, name: str) -> None:
    """Raise where nothing can be written in a folder, or where it cannot be made; it is not made.

    Parameters
    ----------
    folder : Path or str
        It may be missing: then the nearest folder above it counts.
    name : str
        What the error calls it.

    Raises
    ------
    ValueError
        Names the folder, and says why.

    Examples
    --------
    >>> writable("/dev/null/a", "out")
    Traceback (most recent call last):
    ValueError: out: expected a folder that can be written to, got /dev/null/a (Not a directory); choose another
    """
    folder = Path(folder).absolute()
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise ValueError(
            f"{name}: expected a folder that can be written to, got {folder} ({error.strerror}); choose another"
        ) from error
