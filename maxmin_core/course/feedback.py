"""What a student reads about a submission: per task, what held and what did not; one page that loads nothing."""

from html import escape

from .grading import Result
from .judging import counted
from .sources import Assignment

__all__ = ["feedback_page"]

_STYLE = """body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin:1.5rem 0 .3rem}ul{padding-left:1.2rem;list-style:none}.note{color:#6b3f00}
li span{display:inline-block;width:6.5rem}
.yes span{color:#14602a}.no span{color:#8f1d1d}.open span{color:#6b3f00}"""


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
        f"<h1>{_said(assignment.title)}</h1><p>{_said(result.student)}: {result.points:g} of {counted(of, 'point')} by "
        f"the hidden checks. {_waiting(result.waiting(assignment))}</p>",
    ]
    if result.note:
        lines.append(f'<p class="note">{_said(result.note)}.</p>')
    for task in assignment.tasks:
        verdict = result.verdicts.get(task.name)
        if verdict is None:
            many = counted(task.points, "point")
            if result.written(task.name):
                lines.append(f"<h2>{_said(task.name)}: {many}, to be marked</h2><p>A person marks this answer.</p>")
            else:
                lines.append(f"<h2>{_said(task.name)}: 0 of {many}</h2><p>No answer was found.</p>")
            continue
        lines.append(f"<h2>{_said(task.name)}: {verdict.points:g} of {counted(verdict.of, 'point')}</h2>")
        if verdict.note:
            lines.append(f'<p class="note">{_said(verdict.note)}.</p>')
        lines.append("<ul>")
        for check in verdict.checks:
            kind = "yes" if check.given else "no" if check.after else "open"
            word, _, why = check.word.partition(", ")
            many = counted(check.points, "point") + (f"; {why}" if why else "")
            lines.append(f'<li class="{kind}"><span>{word}</span> {_said(check.says)} ({many})</li>')
        lines.append("</ul>")
        if verdict.checks and verdict.note and sum(check.points for check in verdict.checks) < verdict.of:
            lines.append("<p>Further properties were not looked at.</p>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def _waiting(points):
    if not points:
        return "No written answer was found that a person could mark."
    return f"Written answers worth {counted(points, 'point')} are to be marked by a person."


def _said(text):
    return escape("".join(c if c.isprintable() else " " for c in text))
