"""`maxmin print pdf|epub|slides`: the rendered pages in other forms. `maxmin results pack|open`: runs in one file."""

import argparse
import datetime
import re
from pathlib import Path

from ..lm import require_lm
from . import require_book
from ._edition import edition
from .chapters import find_root
from .claims import PROFILES
from .launching import published
from .printing import pack_book, print_book
from .running import hardware
from .slides import make_slides

__all__ = ["add_print", "add_results"]


def add_print(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of ``maxmin print``, and the function that runs it.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_print(parser)
    >>> parser.parse_args(["pdf"]).solutions
    False
    """
    parser.add_argument("form", choices=["pdf", "epub", "slides"], help="one PDF, one ePub, or one file a chapter")
    parser.add_argument("--profile", choices=PROFILES, default="cpu", help="whose pages (default: cpu)")
    parser.add_argument("--solutions", action="store_true", help="with solutions of exercises and answers of quizzes")
    parser.set_defaults(command=_print)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Give a parser the commands of ``maxmin results``, and the functions that run them.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_results(parser)
    >>> parser.parse_args(["open"]).file is None
    True
    """
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "Write what chapter 8 reads of its runs into one archive, and print its SHA-256."
    sub = commands.add_parser("pack", help=text, description=text)
    sub.add_argument("--profile", choices=["smoke", "cpu"], default="cpu", help="whose runs (default: cpu)")
    sub.add_argument("--out", type=Path, metavar="FILE", help="default: _build/maxmin-results-PROFILE.zip")
    sub.set_defaults(command=_pack)
    text = "Check an archive of results and put them where chapter 8 finds them; runs of your own are left as they are."
    sub = commands.add_parser("open", help=text, description=text)
    sub.add_argument("file", nargs="?", help="a path or an https address; default: the archive that _config.yml names")
    sub.add_argument("--sha256", metavar="HASH", help="what the file's SHA-256 must be, as pack printed it")
    sub.set_defaults(command=_open)


def _pack(options):
    require_lm()
    from ..lm.archive import pack_results
    from ..lm.profiles import find_profile

    root = find_root()
    target = options.out or root / "_build" / f"maxmin-results-{options.profile}.zip"
    commit = edition(root)["commit"] or "unknown"
    digest = pack_results(
        find_profile(options.profile), root / "_build" / "lm", target, commit=commit, machine=hardware()
    )
    print(f"{target} ({target.stat().st_size / 2**20:.1f} MiB)\nSHA-256: {digest}")


def _open(options):
    require_lm()
    from ..lm.archive import open_results

    root = find_root()
    file, digest = options.file, options.sha256
    if file is None:
        if digest is not None:
            raise ValueError(f"sha256: expected a file with it, got {digest} alone")
        file, digest = published(root)
        if not file:
            raise ValueError(
                "file: expected an archive, as no results are published (_config.yml names none), got none; "
                "`maxmin train --all` makes them"
            )
    if not digest:
        raise ValueError(f"sha256: expected the SHA-256 of {file}, as `maxmin results pack` prints it, got none")
    open_results(file, digest, root / "_build" / "lm")


def _print(options):
    require_book("playwright", "yaml")
    root = find_root()
    folder = root / "_build" / options.profile
    site, told = folder / "html", edition(root)
    about = _about(root) | {"edition": told["line"], "modified": _time(told["date"])}
    if options.form == "slides":
        made = make_slides(root, site, folder / "slides", about["edition"])
        print(f"slides of {len(made)} chapters: {(folder / 'slides').as_uri()}")
        return
    target = folder / f"maxmin{'-with-solutions' if options.solutions else ''}.{options.form}"
    if options.form == "epub":
        pack_book(root, site, target, about, solutions=options.solutions)
    else:
        for wide in print_book(root, site, target, about, solutions=options.solutions):
            print(f"wider than the paper: {wide}")
    print(f"the book: {target.as_uri()} ({target.stat().st_size / 2**20:.0f} MB)")


def _about(root):
    """Title and author as the pages have them."""
    text = Path(root / "_config.yml").read_text(encoding="utf-8")
    found = {key: re.search(rf'^{key}: *"?(.*?)"?$', text, re.MULTILINE) for key in ("title", "author")}
    return {key: match[1] if match else "" for key, match in found.items()}


def _time(date):
    return f"{date or datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%d')}T00:00:00Z"
