"""`maxmin audit votes.csv --out FOLDER`: the audit from the command line, with a bar.

Chapter 11.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .._places import writable

__all__ = ["add_audit"]


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of ``maxmin audit``, and the function that runs it.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_audit(parser)
    >>> parser.parse_args(["votes.csv", "--out", "found"]).ties
    'half'
    """
    parser.add_argument("table", help="the votes: CSV, JSON lines or Parquet; one choice a row, and who made it")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where index.html and the data go")
    for role, text in (
        ("annotator", "who chose"),
        ("first", "the item shown first"),
        ("second", "the other item"),
        ("choice", "what was chosen; without first and second, rankings"),
    ):
        parser.add_argument(f"--{role}", metavar="COLUMN", help=f"{text} (default: the column of a usual name)")
    parser.add_argument("--preset", help="a public table by name, such as llmfao, instead of columns")
    parser.add_argument("--items", choices=["model", "response"], help="what a preset compares")
    parser.add_argument("--group", action="append", metavar="COLUMN", help="says something of people; repeatable")
    parser.add_argument("--weight", metavar="COLUMN", help="how much a row counts")
    parser.add_argument("--ties", choices=["half", "drop", "error"], default="half", help="default: half")
    parser.add_argument("--positive", choices=["first", "second"], help="whom a positive score prefers")
    parser.add_argument(
        "--label", action="append", default=[], metavar="WORD=MEANING", help="first, second, tie, both_bad or drop"
    )
    parser.add_argument("--beta", type=float, default=1.0, help="KL strength of the rules, in logits (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.set_defaults(command=_audit)


def _audit(options):
    from .whole import audit_votes

    writable(options.out, "out")
    labels = {}
    for pair in options.label:
        word, equals, meaning = pair.rpartition("=")
        if not equals:
            raise ValueError(f"label: expected WORD=MEANING, got {pair!r}")
        labels[word] = meaning
    reading = {name: getattr(options, name) for name in ("items", "group", "weight", "ties", "positive")}
    columns = {name: getattr(options, name) for name in ("annotator", "first", "second", "choice")}
    found = audit_votes(
        options.table,
        **columns,
        preset=options.preset,
        labels=labels or None,
        beta=options.beta,
        seed=options.seed,
        tell=_bar(),
        **reading,
    )
    page = found.write(options.out)
    record = found.record
    print(f"{record['votes']:,} votes by {record['people']:,} people on {record['items']:,} items")
    print(f"more than one group: {record['groups']['more_than_one']}. {record['groups']['why']}")
    print(record["worst_off"]["why"])
    print(f"the page: {page.resolve().as_uri()}")


def _bar(width: int = 30) -> Callable[[float, str], None]:
    """Return what shows a bar on a terminal, and a line a step elsewhere."""
    done: dict[str, float] = {}
    alive = sys.stderr.isatty()

    def tell(part, what):
        new = what not in done
        done[what] = min(1.0, done.get(what, 0.0) + part)
        if alive:
            full = round(width * done[what])
            end = "\n" if done[what] >= 0.999 else ""
            print(f"\r[{'#' * full}{'.' * (width - full)}] {what:<24}", end=end, file=sys.stderr, flush=True)
        elif new:
            print(f"[audit] {what}", file=sys.stderr, flush=True)

    return tell
