"""The chapters' exercises that a function answers: right answers hold, plausible wrong ones do not, stubs say so."""

import ast
import json
import re
from pathlib import Path

import pytest

from maxmin_core.course import exercises
from maxmin_core.course.exercises import check_exercise

from .later_answers import LATER

ROOT = Path(__file__).parents[2]
CHAPTERS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[01][0-9]_*.ipynb"))}
CHAPTERS.pop("00")
GIVEN = """
import numpy as np
from itertools import combinations, product
from scipy.special import logit, logsumexp, softmax, xlogy
"""

# By exercise: right answers, then wrong ones by the mistake in words.
ANSWERS = {
    "ex-gauge": (
        "def after_the_shift(reward, log_reference, beta, constant):\n    return 0, 0, constant",
        {
            "nothing changes": "def after_the_shift(reward, log_reference, beta, constant):\n    return 0, 0, 0",
            "in units of beta": "def after_the_shift(reward, log_reference, beta, constant):\n"
            "    return 0, 0, constant / beta",
        },
    ),
    "ex-limits": (
        """
def two_limits(reward, log_reference):
    reference = np.exp(log_reference)
    return reference @ reward, reward[reference > 0].max()
""",
        {
            "every option counts alike": "def two_limits(r, l):\n    return r.mean(), r[np.exp(l) > 0].max()",
            "beyond the support": "def two_limits(r, l):\n    return np.exp(l) @ r, r.max()",
            "the other way round": "def two_limits(r, l):\n    return r[np.exp(l) > 0].max(), np.exp(l) @ r",
        },
    ),
    "ex-education": (
        "def some_test_rejects(n_tests, level):\n    return 1 - (1 - level) ** n_tests",
        {
            "added up": "def some_test_rejects(n_tests, level):\n    return n_tests * level",
            "all reject": "def some_test_rejects(n_tests, level):\n    return level**n_tests",
            "none rejects": "def some_test_rejects(n_tests, level):\n    return (1 - level) ** n_tests",
        },
    ),
    "ex-middle": (
        "def four_groups():\n    return np.array([0.2, 0.3, 0.36, 0.12]) / 0.98, [0.5, 0.9, 0.2, 0.4]",
        {
            "the shares do not count": "def four_groups():\n    return [0.1, 0.2, 0.3, 0.4], [0.5, 0.7, 0.2, 0.6]",
            "logits are averaged": "def four_groups():\n    x = np.array([0.0, 3.0, -2.0, -1.0])\n"
            "    return [0.25] * 4, 1 / (1 + np.exp(-x))",
            "everybody alike": "def four_groups():\n    return [0.25] * 4, [0.5] * 4",
            "not people": "def four_groups():\n    return [0.2, 0.3, 0.36, 0.12], [0.5, 0.9, 0.2, 0.4]",
        },
    ),
    "ex-equality": (
        "def tight_population():\n    return [0.5, 0.5], [0.01, -0.01]",
        {
            "no mismatch": "def tight_population():\n    return [0.5, 0.5], [0.01, 0.01]",
            "large margins": "def tight_population():\n    return [0.5, 0.5], [2.0, -2.0]",
            "close, but far from zero": "def tight_population():\n    return [0.5, 0.5], [3.0, 3.01]",
        },
    ),
    "ex-opposite": (
        "def price_of_opposites(theta, beta):\n"
        "    return theta + beta * (np.log1p(np.exp(-2 * theta / beta)) - np.log(2))",
        {
            "overflows": "def price_of_opposites(theta, beta):\n    return beta * np.log(np.cosh(theta / beta))",
            "the limit for the formula": "def price_of_opposites(theta, beta):\n    return theta - beta * np.log(2)",
            "twice the reward": "def price_of_opposites(theta, beta):\n    return 2 * theta - beta * np.log(2)",
            "nothing is saved": "def price_of_opposites(theta, beta):\n    return theta",
        },
    ),
    "ex-upper": (
        "def nearly_tight(epsilon):\n    return [epsilon, 1 - epsilon]",
        {
            "the other response": "def nearly_tight(epsilon):\n    return [1 - epsilon, epsilon]",
            "none vanishes": "def nearly_tight(epsilon):\n    return [0.5, 0.5]",
        },
    ),
    "ex-compare": (
        """
def best_pairs(first, second):
    m = np.array([min(first[i] * first[j], second[i] * second[j]) for i, j in combinations(range(len(first)), 2)])
    return m / m.sum()
""",
        {
            "all alike": "def best_pairs(f, s):\n    n = len(f) * (len(f) - 1) // 2\n    return np.ones(n) / n",
            "the larger product": "def best_pairs(f, s):\n"
            "    m = np.array([max(f[i] * f[j], s[i] * s[j]) for i, j in combinations(range(len(f)), 2)])\n"
            "    return m / m.sum()",
            "the best pair alone": "def best_pairs(f, s):\n"
            "    m = np.array([min(f[i] * f[j], s[i] * s[j]) for i, j in combinations(range(len(f)), 2)])\n"
            "    return (m == m.max()).astype(float)",
            "no distribution": "def best_pairs(f, s):\n"
            "    return [min(f[i] * f[j], s[i] * s[j]) for i, j in combinations(range(len(f)), 2)]",
        },
    ),
    "ex-posterior": (
        """
def posterior_of_first(shares, chances, choices):
    weights = shares * np.prod(np.where(choices, chances[:, None], 1 - chances[:, None]), axis=1)
    return weights[0] / weights.sum()


def how_many_in_a_row(target):
    n = 1
    while 4.5**n / (1 + 4.5**n) < target:
        n += 1
    return n
""",
        {
            "shares forgotten": "def posterior_of_first(shares, chances, choices):\n"
            "    w = np.prod(np.where(choices, chances[:, None], 1 - chances[:, None]), axis=1)\n"
            "    return w[0] / w.sum()\n"
            "def how_many_in_a_row(target):\n    return int(np.ceil(np.log(target / (1 - target)) / np.log(4.5)))",
            "likelihood for posterior": "def posterior_of_first(shares, chances, choices):\n"
            "    return shares[0] * np.prod(np.where(choices, chances[0], 1 - chances[0]))\n"
            "def how_many_in_a_row(target):\n    return int(np.ceil(np.log(target / (1 - target)) / np.log(4.5)))",
            "one too few": "def posterior_of_first(shares, chances, choices):\n"
            "    w = shares * np.prod(np.where(choices, chances[:, None], 1 - chances[:, None]), axis=1)\n"
            "    return w[0] / w.sum()\n"
            "def how_many_in_a_row(target):\n    return max(1, int(np.log(target / (1 - target)) / np.log(4.5)))",
        },
    ),
    "ex-opposite-groups": (
        """
def leanings(both_12, both_13, both_23):
    a, b, c = both_12 - 0.25, both_13 - 0.25, both_23 - 0.25
    return np.sqrt([a * b / c, a * c / b, b * c / a])
""",
        {
            "a quarter forgotten": "def leanings(a, b, c):\n    return np.sqrt([a * b / c, a * c / b, b * c / a])",
            "pairs mixed up": "def leanings(a, b, c):\n    a, b, c = a - 0.25, b - 0.25, c - 0.25\n"
            "    return np.sqrt([b * c / a, a * c / b, a * b / c])",
            "no root": "def leanings(a, b, c):\n    a, b, c = a - 0.25, b - 0.25, c - 0.25\n"
            "    return [a * b / c, a * c / b, b * c / a]",
        },
    ),
    "ex-corner": (
        "def calm_case():\n    return np.array([[1, 0, 0.35], [-2, -1.2, -1.65]]), 0.3",
        {
            "the example of the chapter": "def calm_case():\n    return [[1, 0, 0.35], [0, 1, 0.35]], 0.1",
            "one wish twice": "def calm_case():\n    return [[1, 0, 0.35], [0, -1, -0.65]], 0.1",
            "a group without a wish": "def calm_case():\n    return [[1, 0, 0.35], [0, 0, 0]], 0.1",
        },
    ),
    "ex-weights": (
        "def bound(w):\n    return 0.1 * np.log((np.exp(10 * w) + np.exp(10 * (1 - w)) + np.exp(3.5)) / 3)",
        {
            "the reference forgotten": "def bound(w):\n"
            "    return 0.1 * np.log(np.exp(10 * w) + np.exp(10 * (1 - w)) + np.exp(3.5))",
            "no penalty": "def bound(w):\n    return max(w, 1 - w, 0.35)",
            "beta forgotten": "def bound(w):\n    return np.log((np.exp(w) + np.exp(1 - w) + np.exp(0.35)) / 3)",
            "one number for all": "def bound(w):\n    return 0.47",
        },
    ),
    "ex-randomise": (
        "def cells_that_randomise(n_groups):\n    return 1, n_groups - 1",
        {
            "as many as groups": "def cells_that_randomise(n_groups):\n    return 1, n_groups",
            "the bound is needed": "def cells_that_randomise(n_groups):\n    return n_groups - 1, n_groups - 1",
            "none": "def cells_that_randomise(n_groups):\n    return 0, n_groups - 1",
        },
    ),
    "ex-time": (
        "def same_visits(d):\n    return d / d.sum(axis=1, keepdims=True)",
        {
            "of all visits": "def same_visits(d):\n    return d",
            "the likelier action": "def same_visits(d):\n    return np.eye(d.shape[1])[d.argmax(axis=1)]",
            "one rule for all cells": "def same_visits(d):\n    return np.tile(d.sum(axis=0), (len(d), 1))",
        },
    ),
    "ex-guarantee": (
        """
def two_guarantees(values, share, growth, radius):
    w = growth * share
    mean = (1 - share) * values[0] + share * values[1]
    spread = np.sqrt((1 - share) * (values[0] - mean) ** 2 + share * (values[1] - mean) ** 2)
    return (1 - w) * values[0] + w * values[1], mean - np.sqrt(radius) * spread
""",
        {
            "added, not multiplied": "def two_guarantees(v, s, g, q):\n    w = s + g * 0.1\n"
            "    m = (1 - s) * v[0] + s * v[1]\n    d = np.sqrt(s * (1 - s)) * (v[0] - v[1])\n"
            "    return (1 - w) * v[0] + w * v[1], m - np.sqrt(q) * d",
            "the variance for the spread": "def two_guarantees(v, s, g, q):\n    w = g * s\n"
            "    m = (1 - s) * v[0] + s * v[1]\n"
            "    return (1 - w) * v[0] + w * v[1], m - np.sqrt(q) * s * (1 - s) * (v[0] - v[1]) ** 2",
            "the numbers of the example": "def two_guarantees(v, s, g, q):\n    return 0.2, 0.2",
        },
    ),
    "ex-halfway": (
        "def half_way():\n    return [0.727, 0.005, 0.268], -0.57",
        {
            "without the penalty": "def half_way():\n    return [0.727, 0.005, 0.268], -0.33",
            "not divided by beta": "def half_way():\n    return softmax([1, -1.5, 0.5]), -0.57",
            "the whole KL": "def half_way():\n    return [0.727, 0.005, 0.268], -0.82",
        },
    ),
    "ex-other-set": (
        """
def corners(low, high):
    return [[1 - low, 0, low], [0, 1 - low, low], [1 - high, 0, high], [0, 1 - high, high]]
""",
        {
            "two of four": "def corners(low, high):\n    return [[1 - low, 0, low], [0, 1 - high, high]]",
            "the third group first": "def corners(low, high):\n"
            "    return [[low, 0, 1 - low], [low, 1 - low, 0], [high, 0, 1 - high], [high, 1 - high, 0]]",
            "all of the simplex": "def corners(low, high):\n    return np.eye(3)",
            "only the middle": "def corners(low, high):\n    m = (low + high) / 2\n"
            "    return [[1 - m, 0, m], [0, 1 - m, m]]",
        },
    ),
    "ex-count": (
        "def count_texts(n, longest):\n    return sum((n - 1) ** k for k in range(longest)) + (n - 1) ** longest",
        {
            "every sequence": "def count_texts(n, longest):\n    return n**longest",
            "those that end": "def count_texts(n, longest):\n    return sum((n - 1) ** k for k in range(longest))",
            "end counted as a word": "def count_texts(n, longest):\n    return sum(n**k for k in range(longest + 1))",
        },
    ),
    "ex-swing": (
        "def fastest_calm_rate(a, c):\n    return a / (4 * c)",
        {
            "twice": "def fastest_calm_rate(a, c):\n    return a / (2 * c)",
            "half": "def fastest_calm_rate(a, c):\n    return a / (8 * c)",
            "c above": "def fastest_calm_rate(a, c):\n    return a * c / 4",
        },
    ),
    "ex-chernoff": (
        "def safe_margin(n_prompts, beta, confidence):\n    return -beta * np.log(1 - confidence) / n_prompts",
        {
            "the confidence for the rest": "def safe_margin(n, beta, confidence):\n"
            "    return -beta * np.log(confidence) / n",
            "the root of n": "def safe_margin(n, beta, confidence):\n"
            "    return -beta * np.log(1 - confidence) / np.sqrt(n)",
            "beta below": "def safe_margin(n, beta, confidence):\n    return -np.log(1 - confidence) / (n * beta)",
        },
    ),
}
ANSWERS |= LATER
WRONG = [(exercise, mistake) for exercise, (_, wrong) in ANSWERS.items() for mistake in wrong]


def looked(exercise, source, seed=0):
    space = {}
    exec(GIVEN, space)
    given = set(space)
    exec(source, space)
    return check_exercise(exercise, *(space[name] for name in space if name not in given), seed=seed)


def test_every_judge_is_tried():
    assert list(ANSWERS) == list(exercises._JUDGES)


@pytest.mark.parametrize("exercise", ANSWERS)
def test_a_right_answer_holds(exercise):
    for seed in range(5):
        found = looked(exercise, ANSWERS[exercise][0], seed)
        assert found.verdict.points == found.verdict.of, (seed, str(found))


@pytest.mark.parametrize(("exercise", "mistake"), WRONG)
def test_a_wrong_answer_does_not(exercise, mistake):
    for seed in range(3):
        found = looked(exercise, ANSWERS[exercise][1][mistake], seed)
        assert found.verdict.points < found.verdict.of, str(found)
        assert "does not hold" in str(found) or "went no further" in str(found)


@pytest.mark.parametrize("exercise", ANSWERS)
def test_what_is_no_answer_is_told_in_words(exercise):
    names = re.findall(r"^def (\w+)", ANSWERS[exercise][0], re.M)
    for body in ("None", "'text'", "[[1], [2, 3]]", "float('nan')", "1 / 0"):
        source = "\n".join(f"def {name}(*arguments):\n    return {body}" for name in names)
        found = looked(exercise, source)
        assert found.verdict.points < found.verdict.of and "went no further" in str(found), (body, str(found))
    assert f"a function {names[0]} is expected" in str(check_exercise(exercise))


@pytest.mark.parametrize("exercise", ANSWERS)
def test_the_answer_is_not_told(exercise):
    """What a reader is told is the same for every mistake, but for what holds: no number of the judge is in it."""
    told = {check.says for check in looked(exercise, ANSWERS[exercise][0]).verdict.checks}
    for wrong in ANSWERS[exercise][1].values():
        assert {check.says for check in looked(exercise, wrong).verdict.checks} <= told
    # Tolerances and instances that the exercise itself states may stand there; results of five digits may not.
    assert not re.search(r"\d\.\d{4}", " ".join(told))


def test_an_unknown_exercise():
    with pytest.raises(ValueError, match="exercise: expected one of ex-gauge, .*, got 'ex-none'"):
        check_exercise("ex-none")


def asked(chapter):
    """The check cells of a chapter: label and names of the functions, with the cell before."""
    cells = json.loads(CHAPTERS[chapter].read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "check_exercise(" in source:
            call = ast.parse(source).body[-1].value
            yield call.args[0].value, [name.id for name in call.args[1:]], cell, cells[number - 1]


def test_every_judge_is_asked_by_one_chapter():
    found = [label for chapter in CHAPTERS for label, *_ in asked(chapter)]
    assert sorted(found) == sorted(ANSWERS)


@pytest.mark.parametrize("chapter", sorted(set(CHAPTERS) - {"08"}))
def test_a_chapter_s_cells(chapter):
    every = list(asked(chapter))
    assert len(every) >= 2
    text = CHAPTERS[chapter].read_text(encoding="utf-8")
    for label, names, cell, before in every:
        assert f":label: {label}\\n" in text
        # Folded, so that the page shows what it says and not what it is.
        assert cell["metadata"]["tags"] == ["hide-input"]
        space = {}
        exec("".join(before["source"]), space)
        told = check_exercise(label, *(space[name] for name in names))
        assert told.verdict.note == "not written yet" and told.verdict.points == 0
        assert "Not written yet." in told._repr_markdown_()
        assert names == re.findall(r"^def (\w+)", ANSWERS[label][0], re.M)
