"""Parts of an audit alone: intervals over resamples, figures, seeds."""

import re
from dataclasses import replace

import numpy as np
import pytest

from maxmin_core.audit._figures import dots
from maxmin_core.audit._found import described
from maxmin_core.audit._space import Space, Votes
from maxmin_core.audit._tastes import Tastes


def test_intervals_are_of_95_in_a_hundred():
    """A hundred resamples, numbered: the ends leave two and a half of them outside on either side."""
    model = Tastes(
        Space(np.zeros(2), np.array([[0.5**0.5], [-(0.5**0.5)]])),
        np.ones(1),
        np.zeros((1, 1)),
        None,
        np.ones(2) / 2,
        0.0,
    )

    class Found:
        posterior, draws, real = np.tile([0.0, 1.0], (6, 1)), [], [{"real": True, "agreement": None}]

    Found.model = model
    Found.draws = [replace(model, means=np.array([[k * 2**0.5]])) for k in range(101)]
    votes = Votes(np.eye(2), 6, np.arange(6), np.zeros(6, int), np.ones(6, int), np.ones(6), np.ones(6))
    (one,), home = described(Found, votes, {"first": (np.ones(6), np.ones(6))}, ["a", "b"], np.zeros(6, bool))
    assert home.tolist() == [0] * 6 and one["rewards"][0]["item"] == "a"
    assert (one["rewards"][0]["low"], one["rewards"][0]["high"]) == pytest.approx((2.5, 97.5))


def test_a_figure_shows_its_line_and_its_points_in_order():
    figure = dots([("x", [(0.2, 0.1, 0.3, 1), (0.4, None, None, 2)])], alt="a", caption="c", line=1.0)
    ends = re.findall(r'class="end"[^>]*>([^<]*)<', figure)
    assert ends == ["0.1", "1"] and re.search(r'class="zero" x1="97.00%"', figure)
    first, second = (int(y) for y in re.findall(r'cy="(\d+)"', figure))
    assert first < second
    assert 'class="zero"' not in dots([("x", [(0.2, 0.1, 0.3, 1)])], alt="a", caption="c")


def test_the_seed_is_that_of_every_search(monkeypatch):
    from maxmin_core.audit import _search

    rng = np.random.default_rng(0)
    one = rng.integers(3, size=800)
    votes = Votes(
        np.eye(3), 40, np.repeat(np.arange(40), 20), one, (one + 1) % 3, rng.choice([-1, 1], 800), np.ones(800)
    )
    seeds, fit = [], _search.fit_tastes
    monkeypatch.setattr(_search, "fit_tastes", lambda *a, seed=0, **k: seeds.append(seed) or fit(*a, seed=seed, **k))
    monkeypatch.setattr(_search.CrossFit, "chosen", lambda self: 2)
    _search.find_groups(votes, 7)
    assert seeds == [7, 7]
