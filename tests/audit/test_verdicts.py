"""The recorded table of verdicts on people whom we made: it counts what its rows say, and a row comes out again."""

import json
import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KEPT = json.loads((HERE.parents[1] / "maxmin_core" / "data" / "audit_verdicts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(HERE / "verdicts.py"))


def test_the_table_counts_its_rows(script):
    assert KEPT["right"] == script["table"](KEPT["rows"])
    assert len({(row["setting"], row["seed"]) for row in KEPT["rows"]}) == len(KEPT["rows"])


def test_the_audit_judges_a_row_of_the_table_again(script):
    row = next(row for row in KEPT["rows"] if row["setting"] == "two" and row["more_than_one"])
    again = script["judge"]("two", row["seed"])
    for name in ("more_than_one", "chosen", "right_groups"):
        assert again[name] == row[name], name
    assert again["gain"][0] == pytest.approx(row["gain"][0], abs=0.02)
