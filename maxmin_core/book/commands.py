"""`maxmin print pdf|epub|slides`: the rendered pages in other forms."""

import argparse
import datetime
import re
from pathlib import Path

from . import require_book
from ._edition import edition
from .chapters import find_root
from .claims import PROFILES
from .printing import pack_book, print_book
from .slides import make_slides

__all__ = ["add_print"]


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
