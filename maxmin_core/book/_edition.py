"""Which version of the book this is: of the package, of the repository, and when."""

import subprocess
from pathlib import Path

from .. import __version__

__all__ = ["edition"]


def edition(root: Path) -> dict[str, str]:
    """Return version, commit and date of the commit; outside of a repository the last two are empty.

    The commit's own date, not today's: the same commit gives the same pages. What is not committed is no commit's.
    """
    commit, date = _git(root, "log", "-1", "--format=%h %cs").partition(" ")[::2]
    changed = commit and _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        "version": __version__,
        "commit": f"{commit} and changes" if changed else commit,
        "date": date,
        "line": ", ".join(
            [f"Version {__version__}"]
            + ([f"commit {commit}{' and changes' if changed else ''} of {date}"] if commit else [])
        ),
    }


def _git(root, *arguments):
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return "" if done.returncode else done.stdout.strip()
