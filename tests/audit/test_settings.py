"""What the audit settles for its reader: sizes, levels, seeds and options, each with the reason why it matters."""

import argparse
import dataclasses
import importlib
import inspect
import io
import sys

import pandas as pd
import pytest

from maxmin_core.audit import commands, whole
from maxmin_core.audit._care import careless_interval
from maxmin_core.audit._space import Votes, make_space


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        # Fewer than five people are nobody's business: the page promises so.
        ("_groups", "FEWEST", 5),
        # The page says five folds; the cost of a planted minority is that of four fifths of the people.
        ("_groups", "_FOLDS", 5),
        # How far the search goes, and what it then costs: minutes, chapter 11.
        ("_groups", "_MOST_GROUPS", 6),
        ("_groups", "_SHUFFLES", 2),
        ("_search", "_MOST_VOTES", 20_000),
        ("_search", "_MOST_PEOPLE", 1_000),
        ("_search", "_MOST_VOTES_EACH", 150),
        ("_search", "_SAMPLED", 20),
        ("_search", "_AT_A_TIME", 2_000),
        ("_space", "_DIRECTIONS", 10),
        ("_space", "_DENSE", 1500),
        ("_serving", "_MOST_ITEMS", 2000),
        ("_people", "_MOST_PEOPLE", 3_000),
        # Care is full, a third, or none: the page speaks of a third.
        ("_tastes", "CARE", (1.0, 0.35)),
        ("_tastes", "_PASSES", 60),
        ("_tastes", "_DRAWS", 32),
        ("_tastes", "_DRAWS_OF_A_PASS", 16),
        ("_tastes", "_SETTLED", 1e-4),
        ("_tastes", "_WIDE", 1.05),
        # Wilks: the 95% quantile of chi-square with one degree of freedom.
        ("_care", "_FALL", 3.84),
        ("_care", "_PASSES", 8),
        ("_care", "_TRIES", 5),
        ("_crowd", "_PASSES", 15),
        ("_crowd", "_PRIOR", (4.0, 1.0)),
        # A permutation test's smallest p is one in a thousand.
        ("_found", "_SHUFFLES", 999),
        ("_names", "_LONGEST", 40),
        ("_names", "_MOST_LEVELS", 12),
        ("_page", "_MOST_ROWS", 25),
        # The page says that people are named with 90% certainty.
        ("whole", "_SURE", 0.9),
    ],
)
def test_what_is_settled(module, name, value):
    found = getattr(importlib.import_module(f"maxmin_core.audit.{module}"), name)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("module", "function", "defaults"),
    [
        ("whole", "audit_votes", {"beta": 1.0, "seed": 0, "annotator": None, "preset": None}),
        ("_groups", "person_weights", {"n_resamples": 40}),
        ("_groups", "resampled_people", {"n_resamples": 40}),
        ("_groups", "visible", {"shares": (0.1, 0.2, 0.3)}),
        ("_groups", "_interval", {"level": 0.95}),
        ("_people", "ratio", {"level": 0.95}),
        ("_limits", "votes_needed", {"certainty": 0.9}),
        ("_tastes", "fit_tastes", {"spread": True, "passes": 60, "sampled": 0, "seed": 0, "start": None}),
        ("_serving", "by_rule", {"calibration": "standardize"}),
        ("commands", "_bar", {"width": 30}),
        ("_html", "number", {"digits": 2}),
    ],
)
def test_what_is_taken_where_nothing_is_said(module, function, defaults):
    parameters = inspect.signature(getattr(importlib.import_module(f"maxmin_core.audit.{module}"), function)).parameters
    assert {name: parameters[name].default for name in defaults} == defaults


def test_resamples_of_the_number_of_groups():
    from maxmin_core.audit._groups import CrossFit

    assert inspect.signature(CrossFit.frequencies).parameters["n_resamples"].default == 500


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("_groups", "CrossFit"),
        ("_search", "Search"),
        ("_space", "Votes"),
        ("_space", "Space"),
        ("_tastes", "Tastes"),
        ("whole", "Audit"),
    ],
)
def test_what_is_found_is_not_changed_and_is_itself_alone(module, name):
    """Arrays have no one truth: two finds are equal where they are the same one, and can be put in sets."""
    kind = getattr(importlib.import_module(f"maxmin_core.audit.{module}"), name)
    one, other = (kind(*(None for _ in dataclasses.fields(kind))) for _ in range(2))
    assert one != other and one == one and len({one, other}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, dataclasses.fields(kind)[0].name, 1)


class TestCommandLine:
    def options(self, *words):
        parser = argparse.ArgumentParser()
        commands.add_audit(parser)
        return parser.parse_args(["votes.csv", "--out", "found", *words])

    def test_nothing_said(self):
        options = vars(self.options())
        assert options.pop("command") is commands._audit and str(options.pop("out")) == "found"
        assert options == {
            "table": "votes.csv",
            **dict.fromkeys(["annotator", "first", "second", "choice", "preset", "items", "group", "weight"]),
            "ties": "half",
            "positive": None,
            "label": [],
            "beta": 1.0,
            "seed": 0,
        }

    def test_help_says_what_every_option_is(self):
        parser = argparse.ArgumentParser()
        commands.add_audit(parser)
        said = " ".join(parser.format_help().split())
        for text in (
            "the votes: CSV, JSON lines or Parquet; one choice a row, and who made it",
            "--out FOLDER where index.html and the data go",
            "--annotator COLUMN who chose (default: the column of a usual name)",
            "--first COLUMN the item shown first (default: the column of a usual name)",
            "--second COLUMN the other item (default: the column of a usual name)",
            "--choice COLUMN what was chosen; without first and second, rankings (default: the column of a usual name)",
            "--preset PRESET a public table by name, such as llmfao, instead of columns",
            "--items {model,response} what a preset compares",
            "--group COLUMN says something of people; repeatable",
            "--weight COLUMN how much a row counts",
            "--ties {half,drop,error} default: half",
            "--positive {first,second} whom a positive score prefers",
            "--label WORD=MEANING first, second, tie, both_bad or drop",
            "--beta BETA KL strength of the rules, in logits (default: 1)",
            "--seed SEED of everything random (default: 0)",
        ):
            assert text in said, text

    def test_without_a_folder_it_is_refused(self, capsys):
        parser = argparse.ArgumentParser()
        commands.add_audit(parser)
        with pytest.raises(SystemExit):
            parser.parse_args(["votes.csv"])
        assert "--out" in capsys.readouterr().err

    def test_everything_said_reaches_the_audit(self, monkeypatch, tmp_path, capsys):
        asked = {}
        record = {
            "votes": 12345,
            "people": 6789,
            "items": 1000,
            "groups": {"more_than_one": False, "why": "Because."},
            "worst_off": {"why": "Nobody."},
        }

        def audit(*source, **given):
            asked.update(given, source=source)
            return whole.Audit(record, {}, "<p>page</p>")

        monkeypatch.setattr(whole, "audit_votes", audit)
        words = "--annotator a --first b --second c --choice d --preset e --items model --group g --group h --weight w"
        words += " --ties drop --positive second --label a=b=first --label x=tie --beta 0.25 --seed 9"
        options = self.options(*words.split())
        options.out = tmp_path / "out"
        commands._audit(options)
        assert callable(asked.pop("tell"))
        assert asked == {
            "source": ("votes.csv",),
            "annotator": "a",
            "first": "b",
            "second": "c",
            "choice": "d",
            "preset": "e",
            "items": "model",
            "group": ["g", "h"],
            "weight": "w",
            "ties": "drop",
            "positive": "second",
            "labels": {"a=b": "first", "x": "tie"},
            "beta": 0.25,
            "seed": 9,
        }
        assert capsys.readouterr().out == (
            "12,345 votes by 6,789 people on 1,000 items\nmore than one group: False. Because.\nNobody.\n"
            f"the page: {(tmp_path / 'out' / 'index.html').resolve().as_uri()}\n"
        )
        plain = self.options()
        plain.out = tmp_path / "out"
        commands._audit(plain)
        assert asked["labels"] is None and asked["group"] is None and asked["ties"] == "half"

    @pytest.mark.parametrize("alive", [True, False])
    def test_the_bar(self, alive, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: alive
        monkeypatch.setattr(sys, "stderr", terminal)
        tell = commands._bar()
        for part in (0.25, 0.25, 0.4995, 0.5):
            tell(part, "looking")
        tell(0.5, "counting")
        if alive:
            label = f"{'looking':<24}"
            bars = [f"\r[{'#' * full}{'.' * (30 - full)}] {label}" for full in (8, 15, 30, 30)]
            rest = f"\r[{'#' * 15}{'.' * 15}] {'counting':<24}"
            assert terminal.getvalue() == f"{bars[0]}{bars[1]}{bars[2]}\n{bars[3]}\n{rest}"
        else:
            assert terminal.getvalue() == "[audit] looking\n[audit] counting\n"

    def test_the_bar_ends_at_a_thousandth(self, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", terminal)
        tell = commands._bar(4)
        tell(0.998, "x")
        assert terminal.getvalue().startswith("\r[####] x") and not terminal.getvalue().endswith("\n")
        tell(0.001, "x")
        assert terminal.getvalue().endswith("\n")


def test_an_audit_is_shown_and_written(tmp_path):
    table = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    audit = whole.Audit({"people": 3}, {"items": table}, '<p title="x">é</p>')
    assert audit._repr_html_() == (
        '<iframe title="Audit of votes" style="width: 100%; height: 40rem" '
        'srcdoc="&lt;p title=&quot;x&quot;&gt;é&lt;/p&gt;"></iframe>'
    )
    assert audit.write(str(tmp_path / "new" / "place")) == tmp_path / "new" / "place" / "index.html"
    assert (tmp_path / "new" / "place" / "index.html").read_text(encoding="utf-8") == audit.page
    assert (tmp_path / "new" / "place" / "items.csv").read_text() == "a\n1\n2\n"


def test_the_careless_may_be_none_or_all():
    """Everybody follows one ranking at every turn, or tosses coins: the interval goes to its end, and holds it."""
    import numpy as np

    from maxmin_core.audit._tastes import fit_tastes

    one, other = (np.tile(end, 20 * 15) for end in np.triu_indices(3, 1))
    person = np.repeat(np.arange(20), 45)
    for turned, end in ((np.zeros(900, bool), 0.0), (np.arange(900) // 3 % 2 == 0, 1.0)):
        winner, loser = np.where(turned, other, one), np.where(turned, one, other)
        votes = Votes(np.eye(3), 20, person, winner, loser, np.zeros(900), np.ones(900))
        share, low, high = careless_interval(votes, fit_tastes(votes, make_space(votes), 1, passes=20, sampled=2))
        assert 0 <= low < share < high <= 1
        assert (low, high)[int(end)] == pytest.approx(end, abs=0.006)
