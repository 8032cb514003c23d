"""The algorithms that chapters write out: right by hand and by enumeration, and a plausible slip is noticed."""

import ast
import itertools
import json

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from maxmin_core.data import load_toy
from maxmin_core.preferences import Comparisons


def written_out(root, chapter, name, *slip):
    """A function of a chapter, as its page shows it, or with one text replaced by another."""
    (path,) = (root / "notebooks").glob(f"{chapter}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(cell["source"]) for cell in cells if f"def {name}(" in "".join(cell["source"])]
    (function,) = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == name]
    text = ast.get_source_segment(source, function)
    assert len(text.splitlines()) <= 20
    if slip:
        assert text.count(slip[0]) == 1
        text = text.replace(*slip)
    space = {"np": np, "bradley_terry": expit, "logsumexp": logsumexp}
    exec(text, space)
    return space[name]


def is_right(by_newton):
    # The toy: middle beat expert 9 of 18 times, plain beat middle 12 of 18 times. Strengths 1, 1, 2.
    by_hand = np.log([1, 1, 2]) - np.log(2) / 3
    found = by_newton(np.array([1, 2]), np.array([0, 1]), np.array([9.0, 12.0]), np.array([9.0, 6.0]), 3)
    if not np.allclose(found, by_hand, atol=1e-12):
        return False
    # Random wins among five items: each wins as often as it is expected to.
    first, second = np.triu_indices(5, 1)
    won, lost = np.random.default_rng(0).integers(1, 30, size=(2, 10)).astype(float)
    r = by_newton(first, second, won, lost, 5)
    wins, expected = np.zeros(5), np.zeros(5)
    for y, z, w, n in zip(first, second, won, won + lost, strict=True):
        wins[[y, z]] += w, n - w
        expected[[y, z]] += n * expit(r[y] - r[z]), n * expit(r[z] - r[y])
    return np.allclose(wins, expected, atol=1e-9) and abs(r.sum()) < 1e-12


def climbs_to_a_top(by_em):
    toy = Comparisons.from_frame(load_toy())
    start = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    shares, rewards, value = by_em(toy.difference, toy.annotator, start)

    def enumerated(shares, rewards):
        """The log-likelihood, summed over all ways to put the three people into the two groups."""
        total = 0.0
        for groups in itertools.product(range(2), repeat=3):
            chance = np.prod(shares[list(groups)])
            for difference, person in zip(toy.difference, toy.annotator, strict=True):
                chance *= expit(difference @ rewards[groups[person]])
            total += chance
        return np.log(total)

    here = enumerated(shares, rewards)
    slopes = []
    for change in 1e-5 * np.vstack([np.eye(6), -np.eye(6)]):
        slopes.append(enumerated(shares, rewards + change.reshape(2, 3)) - here)
    for change in (1e-5, -1e-5):
        slopes.append(enumerated(np.add(shares, [change, -change]), rewards) - here)
    # A top: no small step leads up. And it is no plateau: the groups differ.
    return abs(value - here) < 1e-9 and max(slopes) < 1e-9 and np.ptp(rewards, axis=0).max() > 1


def holds(check, function):
    try:
        return check(function)
    except (ArithmeticError, np.linalg.LinAlgError):
        return False


def test_newton(root):
    assert is_right(written_out(root, "01", "by_newton"))


@pytest.mark.parametrize(
    "slip",
    [
        ("won - n * p)", "won - n * (1 - p))"),
        ("r + step", "r - step"),
        ("n = won + lost", "n = won"),
        ("np.eye(n_options)[first] -", "np.eye(n_options)[first] +"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slip_in_newton_is_noticed(root, slip):
    assert not holds(is_right, written_out(root, "01", "by_newton", *slip))


def test_em(root):
    assert climbs_to_a_top(written_out(root, "04", "by_em"))


@pytest.mark.parametrize(
    "slip",
    [
        (" + np.log(shares)", ""),
        ("joint - total[:, None]", "joint - joint.max(axis=1)[:, None]"),
        ("weight * (1 - p[:, u]))", "weight * p[:, u])"),
        ("shares, before = q.mean(axis=0)", "shares, before = np.full(q.shape[1], 0.5)"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slip_in_em_is_noticed(root, slip):
    assert not holds(climbs_to_a_top, written_out(root, "04", "by_em", *slip))
