"""Files that a run leaves behind: each one whole or absent, never half-written."""

import errno
import json
import os
from contextlib import contextmanager
from pathlib import Path

__all__ = ["read_json", "write_json", "write_whole"]


@contextmanager
def write_whole(path):
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it when not.

    Raises OSError that names `path` and says so when the disk is full.
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


def write_json(path, value):
    """Write `value` as JSON, whole or not at all; ValueError on NaN, which JSON does not know."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Return the JSON value in the file `path`; ValueError that names the file when it is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: expected JSON, got a damaged file ({error})") from error
