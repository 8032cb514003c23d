"""What a student reads about a submission: per task, what held and what did not; one page that loads nothing."""

from html import escape

from .grading import Result
from .sources import Assignment

__all__ = ["feedback_page"]

_STYLE = """body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin:1.5rem 0 .3rem}ul{padding-left:1.2rem;list-style:none}.note{color:#6b3f00}
li span{display:inline-block;width:6.5rem}
.yes span{color:#14602a}.no span{color:#8f1d1d}"""


def feedback_page(assignment: Assignment, result: Result) -> str:
    """Return a student's feedback as a page of its own.

    Hidden checks are named by the property that they ask for. No instance, no code of a check and no solution is in it.

    Parameters
    ----------
    assignment : Assignment
        What was asked.
    result : Result
        What became of it.

    Returns
    -------
    str
        HTML.
    """
    of = sum(task.points for task in assignment.tasks if task.automatic)
    lines = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_said(assignment.name)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_said(assignment.title)}</h1><p>{_said(result.student)}: {result.points:g} of {of:g} points by the "
        "hidden checks. Written answers are marked by a person.</p>",
    ]
    if result.note:
        lines.append(f'<p class="note">{_said(result.note)}.</p>')
    for task in assignment.tasks:
        verdict = result.verdicts.get(task.name)
        if verdict is None:
            said = "to be marked" if result.written(task.name) else "no answer was found: 0"
            lines.append(f"<h2>{_said(task.name)}</h2><p>{said}, {task.points:g} points.</p>")
            continue
        lines.append(f"<h2>{_said(task.name)}: {verdict.points:g} of {verdict.of:g} points</h2>")
        if verdict.note:
            lines.append(f'<p class="note">{_said(verdict.note)}.</p>')
        lines.append("<ul>")
        for check in verdict.checks:
            kind, word = ("yes", "holds") if check.holds else ("no", "does not hold")
            lines.append(f'<li class="{kind}"><span>{word}</span> {_said(check.says)} ({check.points:g} points)</li>')
        lines.append("</ul>")
        if verdict.checks and verdict.note and sum(check.points for check in verdict.checks) < verdict.of:
            lines.append("<p>Further properties were not looked at.</p>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def _said(text):
    return escape("".join(c if c.isprintable() else " " for c in text))
