"""Exercises of the chapters whose answer is a function: a reader writes it, and public judges look at its properties.

The judges are those of assignments in small: they draw instances, and compute by another route than the solution.
They run in the reader's own process, for nobody else's machine is at stake. Chapters 1 to 7, 9 to 11.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import _exercises_of_people as _people
from . import _exercises_of_policies as _policies
from . import _exercises_of_rewards as _rewards
from . import _exercises_of_scale as _scale
from .judging import AnswerError, Judge, Verdict, judge_task

__all__ = ["Looked", "check_exercise"]

# How an exercise is judged, and how many properties are looked at.
_JUDGES: Mapping[str, tuple[Judge, int]] = {
    "ex-gauge": (_rewards.gauge, 3),
    "ex-limits": (_rewards.limits, 2),
    "ex-education": (_rewards.education, 2),
    "ex-middle": (_rewards.middle, 2),
    "ex-equality": (_rewards.equality, 2),
    "ex-opposite": (_rewards.opposite, 2),
    "ex-upper": (_rewards.upper, 2),
    "ex-compare": (_rewards.compare, 2),
    "ex-posterior": (_rewards.posterior, 3),
    "ex-opposite-groups": (_rewards.opposite_groups, 1),
    "ex-corner": (_policies.corner, 2),
    "ex-weights": (_policies.weights, 3),
    "ex-randomise": (_policies.randomise, 2),
    "ex-time": (_policies.time, 2),
    "ex-guarantee": (_policies.guarantee, 2),
    "ex-halfway": (_policies.halfway, 2),
    "ex-other-set": (_policies.other_set, 2),
    "ex-count": (_policies.count, 2),
    "ex-swing": (_policies.swing, 3),
    "ex-chernoff": (_policies.chernoff, 1),
    "ex-thin": (_scale.thin, 2),
    "ex-fit": (_scale.fit, 2),
    "ex-is-it-a-coin": (_people.is_it_a_coin, 2),
    "ex-agreement": (_people.agreement, 2),
}


@dataclass(frozen=True)
class Looked:
    """Hold what a reader is told of an exercise; a notebook shows it as text.

    Parameters
    ----------
    exercise : str
        Its label.
    verdict : Verdict
        One point a property.

    Examples
    --------
    >>> print(Looked("ex-gauge", Verdict(0, 3, (), "not written yet")))
    Not written yet. Once it is, 3 properties are looked at.
    """

    exercise: str
    verdict: Verdict

    def __str__(self) -> str:
        verdict = self.verdict
        if verdict.note == "not written yet":
            many = "one property is" if verdict.of == 1 else f"{verdict.of:g} properties are"
            return f"Not written yet. Once it is, {many} looked at."
        lines = [f"{verdict.points:g} of {verdict.of:g} properties hold."]
        lines += [f"* {'holds' if check.given else f'**{check.word}**'}: {check.says}" for check in verdict.checks]
        if verdict.note:
            lines += [f"* it went no further: {verdict.note}"]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        return str(self).replace("hold.\n", "hold.\n\n")


def check_exercise(exercise: str, *answers: Callable[..., Any], seed: int = 0) -> Looked:
    """Look at a reader's answer to an exercise; it never says what the answer is.

    Parameters
    ----------
    exercise : str
        Its label, such as ``"ex-gauge"``.
    *answers : callable
        The functions that the exercise asks for, under the names that it gives them.
    seed : int
        Of the instances: another one, other instances.

    Returns
    -------
    Looked

    Raises
    ------
    ValueError
        On an exercise without a judge.

    Examples
    --------
    >>> def count_texts(n_tokens, longest): return n_tokens**longest
    >>> print(check_exercise("ex-count", count_texts))
    1 of 2 properties hold.
    * holds: the number of texts of at most one token
    * **does not hold**: the number of texts, for small vocabularies and lengths
    """
    if exercise not in _JUDGES:
        raise ValueError(f"exercise: expected one of {', '.join(_JUDGES)}, got {exercise!r}")
    judge, of = _JUDGES[exercise]
    return Looked(exercise, judge_task(exercise, judge, _Here(answers), of=of, seed=seed))


class _Here:
    """Ask functions of this process: an `Ask` for judges."""

    def __init__(self, answers):
        self.answers = {answer.__name__: answer for answer in answers}

    def __call__(self, name, *arguments):
        if name not in self.answers:
            raise AnswerError(f"a function {name} is expected")
        try:
            return self.answers[name](*arguments)
        except NotImplementedError:
            raise AnswerError("not written yet") from None
        except Exception as error:
            raise AnswerError(f"{name} stops with {type(error).__name__}: {error}") from error

    def value(self, name):
        raise AnswerError(f"{name}: functions are asked for")

    file = value
