"""Files that a run leaves behind: each one whole or absent, never half-written."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["read_json", "write_json", "write_whole"]


@contextmanager
def write_whole(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it when not.

    Parameters
    ----------
    path : Path or str
        The file to write; its folder is made.

    Yields
    ------
    Path
        Where to write meanwhile.

    Raises
    ------
    OSError
        When the disk is full: names `path` and says so. Other errors pass unchanged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_whole(f"{folder}/new/a.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     Path(f"{folder}/new/a.txt").read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"disk full: {path} was not written; free some space and run again") from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any, *, rows: str | None = None) -> None:
    """Write a value as JSON, whole or not at all.

    Parameters
    ----------
    path : Path or str
        The file to write.
    value : object
        What JSON knows: numbers, texts, lists, dictionaries, None.
    rows : str or None
        The key of a long list whose entries stand one a line, at the end: for files that the repository keeps.

    Raises
    ------
    ValueError
        On NaN or infinity, which JSON does not know.
    """
    lines: list[str] = []
    if rows is not None:
        lines = [json.dumps(row, separators=(",", ":"), allow_nan=False) for row in value[rows]]
        value = {**{name: part for name, part in value.items() if name != rows}, rows: []}
    text = json.dumps(value, indent=1, allow_nan=False)
    if lines:
        text = text.removesuffix("[]\n}") + "[\n" + ",\n".join(lines) + "\n ]\n}"
    with write_whole(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Return the JSON value in a file.

    Parameters
    ----------
    path : Path or str
        The file to read.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        When the file is damaged: names it.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: expected JSON, got a damaged file ({error})") from error
