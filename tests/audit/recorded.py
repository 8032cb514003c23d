"""Numbers of the audit on small data, recorded: python tests/audit/recorded.py writes recorded.json again.

They are no truth: other tests say what is right. They say that nothing moved that nobody meant to move, in every
number that a reader is told, and in the fits behind them. Who changes a number on purpose records them again, and says
in the commit why they moved.
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np

from maxmin_core.audit import _care, _crowd, _groups, _search, _space, _tastes, whole
from maxmin_core.audit._names import plain
from maxmin_core.audit._page import page_of

_MADE = runpy.run_path(str(Path(__file__).with_name("made.py")))
given_search, model, table, votes = (_MADE[name] for name in ("given_search", "model", "table", "votes"))
KEPT = Path(__file__).with_name("recorded.json")


def packed(value):
    """Return a value in few signs: of rows columns, and of more than three numbers two sums that know their order."""
    if isinstance(value, dict) and alike(value.values()):
        return {"of": "|".join(value)} | packed(list(value.values()))
    if isinstance(value, dict):
        return {key: packed(part) for key, part in value.items()}
    if isinstance(value, list) and alike(value):
        return packed({key: [one[key] for one in value] for key in value[0]})
    if isinstance(value, list):
        flat = list(leaves(value))
        if len(flat) > 3 and all(one is None or isinstance(one, int | float) for one in flat):
            flat = [-1 if one is None else one for one in flat]
            wave = sum(np.cos(place) * number for place, number in enumerate(flat))
            return [f"{len(flat)} numbers", packed(float(sum(flat))), packed(float(wave))]
        if flat and all(isinstance(one, str) for one in flat):
            return "|".join(flat)
        return [packed(one) for one in value]
    if isinstance(value, float):
        value = float(f"{value:.6g}")
        return int(value) if value == int(value) else value
    return value


def alike(values):
    """Tell whether values are several dictionaries of the same keys."""
    values = list(values)
    return len(values) > 1 and all(isinstance(one, dict) and list(one) == list(values[0]) for one in values)


def leaves(value):
    """Yield what stands in nested lists."""
    for one in value:
        if isinstance(one, list):
            yield from leaves(one)
        else:
            yield one


def told(found):
    """Return what can be said of a model whichever way its directions point."""
    rewards, spread = found.rewards, found.covariance
    across = found.space.directions
    spread = None if spread is None else (across @ spread @ across.T)[np.triu_indices(len(across))]
    return {"shares": found.shares, "rewards": rewards, "spread": spread, "care": found.care, "bias": found.bias}


def fits():
    """Models of two dozen people, after few passes: what every pass does shows."""
    some = votes()
    space = _space.make_space(some)
    one = _tastes.fit_tastes
    given = model(space)
    weight = np.arange(24) % 3 + 0.5
    fitted = {
        "one reward": one(some, space, 1, spread=False, passes=4),
        "two rewards": one(some, space, 2, spread=False, passes=4, seed=1),
        "tastes": one(some, space, 1, seed=2),
        "two groups": one(some, space, 2, passes=5, sampled=2, seed=3),
        "three groups": one(some, space, 3, passes=2, seed=4),
        "on": one(some, space, 2, start=given, weight=weight, passes=2, careless=0.25),
        "on by draws": one(some, space, 2, start=given, passes=0, sampled=1),
        "held and drawn": one(some, space, 2, start=given, weight=weight, passes=0, sampled=2, careless=0.05),
    }
    far = _tastes.Tastes(space, given.shares, 9 * given.means, None, np.array([0.2, 0.8]), 0.1)
    return {name: told(found) for name, found in fitted.items()} | {
        "from afar": told(one(some, space, 2, start=far, passes=1)),
        "joint": given.joint(some)[:6],
        "joint by draws": given.joint(some, seed=5)[:6],
        "joint without spread": far.joint(some)[:3],
        "begun": told(_tastes._begin(space.data(some), space, 3, True, 6)),
        "begun without spread": told(_tastes._begin(space.data(some), space, 2, False, 6)),
        "begun as one": told(_tastes._begin(space.data(some), space, 1, True, 6)),
        "careless": _care.careless_interval(some, fitted["two groups"]),
        "many careless": _care.careless_interval(some, one(some, space, 1, spread=False)),
        "crowd": _crowd.crowd_reliability(some)[:8],
    }


def spaces():
    """Directions of fourteen items, by a dense and a sparse route, and by features."""
    some = votes(60, 14, 1, (20, 30))
    probe = np.column_stack([np.sin(np.arange(14)), np.cos(2 * np.arange(14.0))])
    rng = np.random.default_rng(0)
    features = rng.normal(size=(14, 12))
    few = _space.Votes(features, 60, some.person, some.winner, some.loser, some.shown, some.weight)
    found = {
        "dense": _space.make_space(some),
        "three": _space.make_space(some, 3),
        "features": _space.make_space(few, 4),
    }
    _space._DENSE, before = 5, _space._DENSE
    try:
        found["sparse"] = _space.make_space(some, 3)
    finally:
        _space._DENSE = before
    return {
        name: {
            "common": one.common,
            "directions": one.directions.shape[1],
            "kept": ((one.directions.T @ probe) ** 2).sum(axis=0),
            "first": np.abs(one.directions[:3, :3]),
        }
        for name, one in found.items()
    }


def groups():
    """Held-out scores, groups that are told apart, a minority that is planted, and resamples, of sixty people."""
    some = votes(60, 4, 2)
    steps = []
    fit = _groups.cross_fit(some, 3, steps.append)
    space = _space.make_space(some)
    given = model(space)
    null = _tastes.fit_tastes(some, space, 1, passes=3)
    planted = _groups.visible(some, null, 4, (0.2, 0.4))
    again = _groups.resampled_people(some, given, 5, 3)
    restarts, unseen = _search._stability(some, fit, given, 6)
    return {
        "fold": fit.fold,
        "one": fit.one[:8],
        "scores": {k: [score.mean(), score.std(), *score[:4]] for k, score in fit.scores.items()},
        "chosen": fit.chosen(),
        "frequencies": fit.frequencies(7),
        "steps": [len(steps), sum(steps)],
        "real": _groups.real_groups(some, fit, given),
        "planted": {str(k): one for k, one in planted.items()},
        "again": [told(one) for one in again],
        "restarts": [*restarts, unseen],
        "weights": _groups.person_weights(6, 8, 3),
    }


def audited(frame, search=None, most=1_000, **given):
    """Return all that an audit tells: record, people and how its bar moved."""
    steps, real = [], whole.find_groups
    whole.find_groups, _search._MOST_PEOPLE = search or real, most
    try:
        found = whole.audit_votes(frame, tell=lambda part, what: steps.append((what, part)), **given)
    finally:
        whole.find_groups, _search._MOST_PEOPLE = real, 1_000
    done = {what: sum(part for name, part in steps if name == what) for what, _ in steps}
    assert found.page == page_of(found.record)
    people = found.tables["people"].fillna(-1).to_dict("list")
    del people["person"]  # pseudonyms; those who are named are in the record
    record = {k: v for k, v in found.record.items() if k != "version"}
    for one in record["cannot_tell"]:
        del one["text"]
    return {"record": record, "people": people, "steps": done}


def audit():
    """A whole audit of two groups."""
    return audited(table(), group=["region", "age", "remark"], weight="importance")


def audit_of_given_groups():
    """A whole audit but for the search, which found three groups; without weights."""
    return audited(table(seed=1), given_search, group=["region"], beta=0.5, seed=3)


def audit_without_groups():
    """A whole audit but for the search, which found none, in half of the people; ties are dropped, places unknown."""
    frame = table(30, 9, seed=2)
    turned = frame["left"] > frame["right"]
    one, other = frame["left"].where(~turned, frame["right"]), frame["right"].where(~turned, frame["left"])
    swapped = {"left": "right", "right": "left", "tie": "tie", "both bad": "both bad"}
    winner = frame["winner"].where(~turned, frame["winner"].map(swapped))
    frame = frame.assign(left=one, right=other, winner=winner)
    return audited(frame, lambda *a: given_search(*a, known=False), 15, ties="drop", group="region")


CASES = {one.__name__: one for one in (fits, spaces, groups, audit, audit_of_given_groups, audit_without_groups)}


if __name__ == "__main__":
    kept = {name: packed(plain(one())) for name, one in CASES.items()}
    lines = ",\n".join(f'"{name}":{json.dumps(one, separators=(",", ":"))}' for name, one in kept.items())
    KEPT.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    for name, one in kept.items():
        print(name, len(json.dumps(one, separators=(",", ":"))), file=sys.stderr)
