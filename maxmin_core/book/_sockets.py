"""A folder whose path is short enough for sockets, for which the system has about a hundred bytes."""

import os
import sys
import tempfile
from pathlib import Path

__all__ = ["short_folder"]

_LONGEST = 103 if sys.platform == "darwin" else 107


def short_folder(below: int) -> str:
    """Return the temporary folder, or another one where `below` more bytes would make a path longer than a socket's."""
    own = tempfile.gettempdir()
    for folder in (own, "/tmp", "/var/tmp"):
        if len(os.fsencode(folder)) + below <= _LONGEST and Path(folder).is_dir() and os.access(folder, os.W_OK):
            return folder
    raise ValueError(
        f"TMPDIR: expected a folder whose path has at most {_LONGEST - below} bytes, got {own}, which has "
        f"{len(os.fsencode(own))}; set TMPDIR to a shorter one"
    )
