"""Claims: chapters record numbers, the ledger says what must hold, a run is judged against it."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._files import write_json
from ..intervals import mean_interval

__all__ = [
    "METRICS_VARIABLE",
    "PROFILES",
    "Claim",
    "failed",
    "judge",
    "load_ledger",
    "record",
    "record_mean",
]

PROFILES = ("smoke", "cpu", "gpu", "gpu-large")

# Where `record` writes; set by the runner, unset when a reader runs a notebook by hand.
METRICS_VARIABLE = "MAXMIN_CLAIMS"

_NEED = {"cpu": "the cpu profile", "gpu": "a GPU", "gpu-large": "a large GPU"}
_FORMS = {
    "equals": "{} ± {}",
    "between": "between {} and {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
    "interval_above": "interval above {}",
    "interval_below": "interval below {}",
}


@dataclass(frozen=True)
class Claim:
    """Hold one entry of the ledger.

    Attributes
    ----------
    id : str, chapter and name, such as 'preferences.log_likelihood'
    chapter : str, two digits
    statement, source, page : str; what is claimed, where it comes from, the page's anchor that shows it
    expect : dict with one key, what must hold: equals [value, tolerance], between [low, high], at_least, at_most,
        interval_above or interval_below (the whole recorded interval lies there)
    direction : dict of the same kind or None, the weaker statement that earns 'direction only'
    needs : the least profile in which the claim is judged
    accepted : 'reproduced', 'direction only' or 'refuted', the status with which the build passes
    diagnosis : str, why; required unless accepted is 'reproduced'
    """

    id: str
    chapter: str
    statement: str
    source: str
    page: str
    expect: dict
    direction: dict | None = None
    needs: str = "cpu"
    accepted: str = "reproduced"
    diagnosis: str = ""

    def __post_init__(self):
        for name in ("id", "chapter", "statement", "source", "page"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"claim {self.id}: {name}: expected a text, got {getattr(self, name)!r}")
        self._check_condition("expect", self.expect)
        if self.direction is not None:
            self._check_condition("direction", self.direction)
        if self.needs not in PROFILES:
            raise ValueError(f"claim {self.id}: needs: expected one of {', '.join(PROFILES)}, got {self.needs!r}")
        if self.accepted not in ("reproduced", "direction only", "refuted"):
            raise ValueError(
                f"claim {self.id}: accepted: expected reproduced, direction only or refuted, got {self.accepted!r}"
            )
        if self.accepted != "reproduced" and not self.diagnosis:
            raise ValueError(f"claim {self.id}: diagnosis: expected a reason why {self.accepted} is accepted, got none")

    def _check_condition(self, name, condition):
        if not isinstance(condition, dict) or len(condition) != 1 or next(iter(condition)) not in _FORMS:
            raise ValueError(f"claim {self.id}: {name}: expected one of {', '.join(_FORMS)}, got {condition!r}")
        (form, bound), numbers = *condition.items(), 2 if next(iter(condition)) in ("equals", "between") else 1
        values = bound if isinstance(bound, list) else [bound]
        if len(values) != numbers or not all(_is_number(value) for value in values):
            raise ValueError(f"claim {self.id}: {name}: {form}: expected {numbers} finite number(s), got {bound!r}")
        middle, tolerance = values[0], values[-1]
        if form == "between":
            middle, tolerance = sum(values) / 2, (values[1] - values[0]) / 2
        if numbers == 2 and not 0 < tolerance <= abs(middle) / 2:
            raise ValueError(
                f"claim {self.id}: {name}: {form}: expected a tolerance above 0 and at most half the value {middle}, "
                f"got {tolerance}"
            )

    @property
    def expected(self):
        """What must hold, in words."""
        ((form, bound),) = self.expect.items()
        return _FORMS[form].format(*(bound if isinstance(bound, list) else [bound]))

    def status(self, value, interval=None):
        """Return the status that a recorded value and interval earn."""
        if _holds(self.expect, value, interval):
            return "reproduced"
        if self.direction is not None and _holds(self.direction, value, interval):
            return "direction only"
        return "refuted"


def record(claim_id, value, interval=None):
    """Record the value of a claim, and its interval, for the report of this run.

    Outside a run (a notebook opened by hand) nothing is written. Recording a claim again replaces its value.

    Parameters
    ----------
    claim_id : str, an id of the ledger
    value : float, finite
    interval : (low, high) floats with low <= high, or None

    Raises
    ------
    ValueError
        On an empty id, a value that is not finite, or an interval out of order.
    """
    if not isinstance(claim_id, str) or not claim_id:
        raise ValueError(f"claim_id: expected the id of a claim in the ledger, got {claim_id!r}")
    entry = {"value": _finite("value", value), "interval": None}
    if interval is not None:
        if np.size(interval) != 2:
            raise ValueError(f"interval: expected (low, high), got {interval!r}")
        low, high = (_finite("interval", bound) for bound in interval)
        if low > high:
            raise ValueError(f"interval: expected low <= high, got ({low}, {high})")
        entry["interval"] = [low, high]
    path = os.environ.get(METRICS_VARIABLE)
    if path:
        known = json.loads(Path(path).read_text(encoding="utf-8")) if Path(path).exists() else {}
        write_json(path, known | {claim_id: entry})


def record_mean(claim_id, draws):
    """Record mean and 95% interval of draws, (n,) float, by `mean_interval`; return both. Chapters 8 and 9."""
    centre, half = mean_interval(draws)
    record(claim_id, centre, (centre - half, centre + half))
    return centre, half


def load_ledger(path):
    """Read and check the ledger; return a list of `Claim`.

    Raises ValueError on an unknown or missing field, an id given twice, or a tolerance wider than half its value.
    """
    import yaml

    try:
        entries = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or []
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: expected YAML, got a damaged file: {error}") from error
    claims, seen = [], set()
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: expected a list of claims with their fields, got {entry!r}")
        try:
            claim = Claim(**entry)
        except TypeError as error:
            raise ValueError(f"{path}: claim {entry.get('id', entry)!r}: {error}") from error
        if claim.id in seen:
            raise ValueError(f"{path}: claim {claim.id}: expected every id once, got it twice")
        seen.add(claim.id)
        claims.append(claim)
    return claims


def judge(ledger, metrics):
    """Judge the runs' records against the ledger; return one row a claim.

    Parameters
    ----------
    ledger : list of Claim
    metrics : list of dict, one a chapter's run, with chapter, profile and claims (id -> value and interval)

    Returns
    -------
    pandas.DataFrame with columns id, statement, value, interval, expected, status, accepted, source, page, chapter,
    diagnosis; status is 'reproduced', 'direction only', 'refuted', 'not recorded' or 'not run (needs ...)'

    Raises
    ------
    ValueError
        When a run recorded a claim that the ledger does not have.
    """
    import pandas as pd

    runs = {run["chapter"]: run for run in metrics}
    known = {claim.id for claim in ledger}
    for run in metrics:
        stray = sorted(set(run["claims"]) - known)
        if stray:
            raise ValueError(
                f"chapter {run['chapter']}: recorded the claim {stray[0]!r}, which the ledger does not have"
            )
    rows = []
    for claim in ledger:
        run = runs.get(claim.chapter)
        entry = run["claims"].get(claim.id) if run else None
        if run is None:
            status = f"not run (needs {_NEED.get(claim.needs, 'chapter ' + claim.chapter)})"
        elif PROFILES.index(run["profile"]) < PROFILES.index(claim.needs):
            status = f"not run (needs {_NEED[claim.needs]})"
        elif entry is None:
            status = "not recorded"
        else:
            status = claim.status(entry["value"], entry["interval"])
        rows.append(
            {
                "id": claim.id,
                "statement": claim.statement,
                "value": entry["value"] if entry else None,
                "interval": entry["interval"] if entry else None,
                "expected": claim.expected,
                "status": status,
                "accepted": claim.accepted,
                "source": claim.source,
                "page": claim.page,
                "chapter": claim.chapter,
                "diagnosis": claim.diagnosis,
            }
        )
    # dtype=object: a missing value stays None and is not turned into NaN.
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["id", "status", "accepted"], dtype=object)


def failed(judged):
    """Return the judged rows that fail a build: recorded, or due, and not of the accepted status."""
    not_run = judged["status"].str.startswith("not run").astype(bool)
    return judged[~not_run & (judged["status"] != judged["accepted"])]


def _holds(condition, value, interval):
    ((form, bound),) = condition.items()
    if form == "equals":
        return abs(value - bound[0]) <= bound[1]
    if form == "between":
        return bound[0] <= value <= bound[1]
    if form == "at_least":
        return value >= bound
    if form == "at_most":
        return value <= bound
    if interval is None:
        return False
    return interval[0] > bound if form == "interval_above" else interval[1] < bound


def _finite(name, value):
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number, got {value!r}") from error
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {number}")
    return number


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
