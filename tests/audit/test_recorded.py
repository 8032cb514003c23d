"""Every number that an audit tells, and the fits behind it, are those that were recorded (tests/audit/recorded.py)."""

import json
import runpy
from pathlib import Path

import pytest

from maxmin_core.audit._names import plain

HERE = Path(__file__).parent
KEPT = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recorded():
    return runpy.run_path(str(HERE / "recorded.py"))


def differences(found, kept, place=""):
    """Yield where two values differ: numbers by more than processors round, all else at all."""
    if isinstance(kept, dict) and isinstance(found, dict):
        if list(found) != list(kept):
            yield f"{place}: {list(found)} for {list(kept)}"
        for key in found.keys() & kept.keys():
            yield from differences(found[key], kept[key], f"{place}/{key}")
    elif isinstance(kept, list) and isinstance(found, list) and len(found) == len(kept):
        for number, pair in enumerate(zip(found, kept, strict=True)):
            yield from differences(*pair, f"{place}/{number}")
    elif isinstance(kept, int | float) and type(kept) is not bool and isinstance(found, int | float):
        if type(found) is bool or found != pytest.approx(kept, rel=5e-5, abs=2e-6):
            yield f"{place}: {found} for {kept}"
    elif type(found) is not type(kept) or found != kept:
        yield f"{place}: {found} for {kept}"


@pytest.mark.parametrize("name", KEPT)
def test_numbers_are_those_that_were_recorded(recorded, name):
    found = recorded["packed"](plain(recorded["CASES"][name]()))
    assert list(differences(found, KEPT[name]))[:5] == []


def test_all_cases_are_recorded_and_the_record_stays_small(recorded):
    assert list(KEPT) == list(recorded["CASES"])
    assert (HERE / "recorded.json").stat().st_size < 20_000


def test_what_differs_is_seen():
    """The comparison itself: it lets rounding pass, and nothing else."""
    kept = {"a": [1, 0.5, None, "x", True]}
    assert not list(differences({"a": [1.0, 0.500001, None, "x", True]}, kept))
    for other in (
        {"a": [1, 0.5001, None, "x", True]},
        {"a": [1, 0.5, 0, "x", True]},
        {"a": [1, 0.5, None, "y", True]},
        {"a": [1, 0.5, None, "x", False]},
        {"a": [True, 0.5, None, "x", True]},
        {"a": [1, 0.5, None, "x"]},
        {"b": [1, 0.5, None, "x", True]},
        {},
    ):
        assert list(differences(other, kept)), other
