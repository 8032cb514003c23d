"""What the run comes to, as Markdown for the pages: claims and how they ended, chapters, times, machine."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ..lm.results import Spent
    from .chapters import Chapter

__all__ = ["chapter_table", "claim_counts", "claims_table", "duration", "exceptions", "run_tables"]

# In the order in which they are told; those that were not run say why.
_STATUSES = ("reproduced", "direction only", "refuted", "not recorded")


def claim_counts(judged: "pd.DataFrame") -> str:
    """Return how many claims ended how, in one sentence."""
    found = judged["status"].tolist()
    # What was not recorded stops the build: it is told only where it happens.
    told = [f"**{found.count(s)} {s}**" for s in _STATUSES if s != "not recorded" or s in found]
    not_run = sum(status.startswith("not run") for status in found)
    return f"The ledger has {len(found)} claims. In this run: {', '.join(told)}, **{not_run} not run**.\n"


def exceptions(judged: "pd.DataFrame") -> str:
    """Return the claims that did not end as "reproduced": each by itself, those that were not run by their reason."""
    lines = []
    for status in ("refuted", "direction only", "not recorded"):
        ended = [claim for claim in judged.to_dict("records") if claim["status"] == status]
        lines += [f"**{status.capitalize()}** ({len(ended)})", ""] if ended else []
        for claim in ended:
            told = f"This run: {_value(claim)}; expected: {claim['expected']}."
            lines.append(f"* {_link(claim)}, `{claim['id']}`: {claim['statement']} {told}")
        lines += [""] if ended else []
    not_run = sorted(status for status in judged["status"] if status.startswith("not run"))
    if not_run:
        lines += [f"**Not run** ({len(not_run)})", ""]
        reasons = [status.removeprefix("not run").strip(" ()") for status in not_run]
        lines += [f"* {len(list(same))}: {reason}" for reason, same in groupby(reasons)]
    return "\n".join(lines or ["None: every claim is reproduced."]) + "\n"


def claims_table(judged: "pd.DataFrame") -> str:
    """Return every claim beside this run's number."""
    rows = []
    for claim in judged.to_dict("records"):
        said = [claim["statement"], *([f"*{claim['diagnosis']}*"] if claim["diagnosis"] else [])]
        said += [f"`{claim['id']}` · {claim['source']} · {_link(claim)}"]
        rows.append(["<br>".join(said), f"**{_value(claim)}**<br>expected: {claim['expected']}", claim["status"]])
    return _table(["Claim", "This run", "Status"], rows)


def chapter_table(
    chapters: "Sequence[Chapter]", runs: Sequence[Mapping[str, Any]], times: Sequence[str], spent: "Spent | None"
) -> str:
    """Return the chapters with their questions, reading and run times, and below them what the latter leave out.

    `times` are the reading times, as `maxmin_core.book._lists.reading_time` returns them; `spent` is what
    `maxmin_core.lm.results.time_spent` returns, or None where no chapter shows such runs.
    """
    rows = [
        [
            f"{int(chapter.number)}. {{doc}}`/notebooks/{chapter.path.stem}`",
            chapter.question,
            time,
            duration(run["seconds"]),
        ]
        for chapter, run, time in zip(chapters, runs, times, strict=True)
    ]
    told = [
        f"The runs take {duration(sum(run['seconds'] for run in runs))} of one core together, on {_hardware(runs)}."
    ]
    if spent is not None:
        show = [str(int(chapter.number)) for chapter in chapters if chapter.needs_runs]
        which = f"Chapter {show[0]} shows" if len(show) == 1 else f"Chapters {' and '.join(show)} show"
        told += [f"{which} language-model runs, which come on top: {_spent(spent)}."]
    return _table(["Chapter", "Question", "To read", "Run time"], rows) + "\n" + " ".join(told) + "\n"


def run_tables(runs: Sequence[Mapping[str, Any]], spent: "Spent | None") -> str:
    """Return when, where and how long every chapter and the language-model runs ran, and with which packages."""
    rows = [
        [
            int(run["chapter"]),
            run["title"],
            run["profile"],
            run["seed"],
            f"{run['seconds']} s",
            run["date"],
            f"Python {run['python']}, {run['hardware']}",
        ]
        for run in runs
    ]
    packages = [[name, version] for name, version in sorted(runs[0]["packages"].items())] if runs else []
    told = [f"All chapters together: {duration(sum(run['seconds'] for run in runs))} of one core."]
    if spent is not None:
        told += [f"Language-model runs: {_spent(spent)}."]
    return "\n".join(
        [
            _table(["Chapter", "Title", "Profile", "Seed", "Time", "Run on", "Machine"], rows),
            " ".join(told) + "\n",
            _table(["Package", "Version"], packages),
        ]
    )


def duration(seconds: float) -> str:
    """Return a time in words: seconds below one minute, minutes below two hours, then hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _spent(spent):
    if not spent.runs:
        return "none was made"
    told = f"{spent.runs} of them, with {spent.policies} trained policies, took"
    left_out = "without the reference policy, its texts and the learned rewards"
    if not spent.timed:
        return f"{told} a time that was not kept"
    if spent.timed < spent.runs:
        left_out = f"the time of {spent.runs - spent.timed} was not kept, and " + left_out
    return f"{told} {duration(spent.seconds)} of one core ({left_out})"


def _hardware(runs):
    found = dict.fromkeys(run["hardware"] for run in runs)
    if len(found) == 1:
        return next(iter(found))
    where = {name: [str(int(run["chapter"])) for run in runs if run["hardware"] == name] for name in found}
    return "; ".join(
        f"{name} ({'chapters' if numbers[1:] else 'chapter'} {', '.join(numbers)})" for name, numbers in where.items()
    )


def _link(claim):
    page, _, anchor = claim["page"].partition("#")
    return f"{{ref}}`chapter {int(claim['chapter'])} <{anchor}>`" if anchor else f"{{doc}}`/{page}`"


def _value(claim):
    value = "none" if claim["value"] is None else _printed(claim["value"])
    return value + " ({} to {})".format(*map(_printed, claim["interval"])) if claim["interval"] else value


def _printed(number):
    """Four significant digits, and three decimals where the whole part alone has four."""
    return f"{number:.3f}" if abs(number) >= 1000 else f"{number:.4g}"


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
