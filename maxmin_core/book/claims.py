"""Claims: chapters record numbers, the ledger says what must hold, a run is judged against it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import require_book
from ._recording import METRICS_VARIABLE, PROFILES, record, record_mean
from .fetched import FETCHED

if TYPE_CHECKING:
    import pandas as pd

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

_NEED = {"cpu": "the cpu profile", "gpu": "a GPU", "gpu-large": "a large GPU"}
_STATUSES = ("reproduced", "direction only", "refuted")
_OR = " or "
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
    """Hold one entry of the ledger: a sentence of the book, and the number that earns it.

    Parameters
    ----------
    id : str
        Chapter and name, such as ``"mixture.log_likelihood"``.
    chapter : str
        The chapter that records it, two digits.
    statement : str
        What is claimed.
    source : str
        Where the claim comes from: a section of the paper, a theorem of ours, a reference value.
    page : str
        The page that shows it and the anchor there, such as ``"notebooks/04_mixture#latent"``.
    expect : dict
        One key, what must hold: ``equals`` (value and tolerance), ``between`` (low and high), ``at_least``,
        ``at_most``, ``interval_above`` or ``interval_below`` (the whole recorded interval lies there).
    direction : dict, optional
        A weaker condition of the same kind, which earns "direction only".
    needs : str, optional
        The least profile in which the claim is judged.
    data : str, optional
        A data set that the project does not contain, and without which the claim is not judged.
    study : str, optional
        A study that was kept when a larger profile made it: from its file the claim is judged in any profile.
    accepted : {"reproduced", "direction only", "refuted"} or list of them, optional
        The status with which the build passes; several where the evidence is so near the edge that training anew on
        another processor, whose rounding differs, can tip it.
    diagnosis : str, optional
        Why; required unless ``accepted`` is "reproduced".

    Raises
    ------
    ValueError
        On a field that does not fit, or a tolerance wider than half the value that it guards.

    Examples
    --------
    >>> claim = Claim("a.b", "01", "Two is two.", "arithmetic", "notebooks/01_a", {"equals": [2, 0.5]})
    >>> claim.expected, claim.status(2.1), claim.status(3)
    ('2 ± 0.5', 'reproduced', 'refuted')
    """

    id: str
    chapter: str
    statement: str
    source: str
    page: str
    expect: dict[str, Any]
    direction: dict[str, Any] | None = None
    needs: str = "cpu"
    data: str = ""
    study: str = ""
    accepted: str | list[str] = "reproduced"
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
        if self.data and self.data not in FETCHED:
            raise ValueError(f"claim {self.id}: data: expected one of {', '.join(FETCHED)}, got {self.data!r}")
        accepted = [self.accepted] if isinstance(self.accepted, str) else self.accepted
        if not isinstance(accepted, list) or not accepted or any(status not in _STATUSES for status in accepted):
            raise ValueError(
                f"claim {self.id}: accepted: expected reproduced, direction only or refuted, got {self.accepted!r}"
            )
        # One text: the report shows it as it is.
        object.__setattr__(self, "accepted", _OR.join(accepted))
        if accepted != ["reproduced"] and not self.diagnosis:
            raise ValueError(f"claim {self.id}: diagnosis: expected a reason why {self.accepted} is accepted, got none")

    def _check_condition(self, name, condition):
        if not isinstance(condition, dict) or len(condition) != 1 or next(iter(condition)) not in _FORMS:
            raise ValueError(f"claim {self.id}: {name}: expected one of {', '.join(_FORMS)}, got {condition!r}")
        ((form, bound),) = condition.items()
        numbers = 2 if form in ("equals", "between") else 1
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
    def expected(self) -> str:
        """What must hold, in words."""
        ((form, bound),) = self.expect.items()
        return _FORMS[form].format(*(bound if isinstance(bound, list) else [bound]))

    def status(
        self, value: float, interval: Sequence[float] | None = None
    ) -> Literal["reproduced", "direction only", "refuted"]:
        """Return the status that a recorded number earns.

        Parameters
        ----------
        value : float
            What the run measured.
        interval : (low, high), optional
            Its interval; a condition on intervals is not met without one.

        Returns
        -------
        {"reproduced", "direction only", "refuted"}
        """
        if _holds(self.expect, value, interval):
            return "reproduced"
        if self.direction is not None and _holds(self.direction, value, interval):
            return "direction only"
        return "refuted"


def load_ledger(path: Path | str) -> list[Claim]:
    """Read and check the ledger of claims.

    Parameters
    ----------
    path : Path or str
        A YAML file, a list of claims with their fields.

    Returns
    -------
    list of Claim

    Raises
    ------
    ValueError
        On a damaged file, an unknown or missing field, an id given twice, or a tolerance wider than half its value.
    """
    require_book("yaml")
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


def judge(ledger: Sequence[Claim], metrics: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Judge what the runs recorded against the ledger.

    Parameters
    ----------
    ledger : sequence of Claim
        What must hold.
    metrics : sequence of dict
        One a chapter's run, with ``chapter``, ``profile`` and ``claims`` (id to value and interval); where data were
        not there ``lacks``, their names.

    Returns
    -------
    pandas.DataFrame
        One row a claim: id, statement, value, interval, expected, status, accepted, source, page, chapter, diagnosis.
        The status is "reproduced", "direction only", "refuted", "not recorded" or "not run (needs ...)".

    Raises
    ------
    ValueError
        When a run recorded a claim that the ledger does not have.

    Examples
    --------
    >>> claim = Claim("a.b", "01", "Two is two.", "arithmetic", "notebooks/01_a", {"equals": [2, 0.5]})
    >>> run = {"chapter": "01", "profile": "cpu", "claims": {"a.b": {"value": 2.2, "interval": None}}}
    >>> judge([claim], [run])["status"].item()
    'reproduced'
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
        entry = runs[claim.chapter]["claims"].get(claim.id) if claim.chapter in runs else None
        if claim.chapter not in runs:
            status = f"not run (needs {_NEED.get(claim.needs, 'chapter ' + claim.chapter)})"
        elif _too_small(runs[claim.chapter]["profile"], claim.needs) and not (claim.study and entry):
            status = f"not run (needs {_NEED[claim.needs]})"
        elif claim.data and claim.data in runs[claim.chapter].get("lacks", ()):
            status = "not run (needs the data)"
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


def failed(judged: "pd.DataFrame") -> "pd.DataFrame":
    """Return the judged claims that fail a build: due or recorded, and not of the accepted status.

    Parameters
    ----------
    judged : pandas.DataFrame
        The result of `judge`.

    Returns
    -------
    pandas.DataFrame
        Some of its rows.
    """
    not_run = judged["status"].str.startswith("not run").astype(bool)
    accepted = [
        status in accepted.split(_OR) for status, accepted in zip(judged["status"], judged["accepted"], strict=True)
    ]
    return judged[~not_run & ~np.array(accepted, dtype=bool)]


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


def _too_small(profile, needed):
    return PROFILES.index(profile) < PROFILES.index(needed)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
