"""What the run writes for the pages itself: counts, the claims that do not hold as stated, times."""

import json
import re
from types import SimpleNamespace

import pytest

from maxmin_core.book import _tables as tables
from maxmin_core.book.claims import Claim, judge, load_ledger
from maxmin_core.lm.results import Spent

ENDS = {
    "a.held": (2.0, "reproduced"),
    "a.weaker": (1.2, "direction only"),
    "a.lost": (-1.0, "refuted"),
    "a.lost_too": (-2.0, "refuted"),
    "a.large": (3.0, "not run"),
}


@pytest.fixture
def judged():
    """Five claims of chapter 2 in the cpu profile: one holds, one in its direction, two do not, one needs a GPU."""
    ledger = [
        Claim(
            id=name,
            chapter="02",
            statement=f"Statement of {name} | with a bar.",
            source="our experiment",
            page="notebooks/02_diversity#sec-pooling",
            expect={"at_least": 2.0},
            direction={"at_least": 1.0},
            needs="gpu" if status == "not run" else "cpu",
            accepted="reproduced" if status in ("reproduced", "not run") else status,
            diagnosis="" if status in ("reproduced", "not run") else "a reason",
        )
        for name, (_, status) in ENDS.items()
    ]
    recorded = {name: {"value": value, "interval": [value - 1, value + 1]} for name, (value, _) in ENDS.items()}
    return judge(ledger, [{"chapter": "02", "profile": "cpu", "claims": recorded}])


def test_every_claim_is_counted_once(judged):
    told = tables.claim_counts(judged)
    ends = "**1 reproduced**, **1 direction only**, **2 refuted**, **1 not run**"
    assert told == f"The ledger has 5 claims. In this run: {ends}.\n"
    all_told, *parts = map(int, re.findall(r"\d+", told))
    assert sum(parts) == all_told == len(judged)


def test_what_was_not_recorded_is_not_hidden(judged):
    judged.loc[0, "status"] = "not recorded"
    assert "**0 reproduced**" in tables.claim_counts(judged)
    assert "**1 not recorded**, **1 not run**." in tables.claim_counts(judged)
    assert "**Not recorded** (1)" in tables.exceptions(judged)


def test_what_does_not_hold_is_listed_with_a_link(judged):
    told = tables.exceptions(judged)
    for name, (value, status) in ENDS.items():
        line = [line for line in told.splitlines() if f"Statement of {name} " in line]
        assert len(line) == (status in ("refuted", "direction only")), name
        if line:
            assert line[0].startswith(f"* {{ref}}`chapter 2 <sec-pooling>`, `{name}`: ")
            assert f"This run: {value:g} ({value - 1:g} to {value + 1:g}); expected: at least 2.0." in line[0]
    # The gravest first, each under its heading.
    heads = [told.index(head) for head in ("**Refuted** (2)", "**Direction only** (1)", "**Not run** (1)")]
    assert heads == sorted(heads)
    assert told.endswith("* 1: needs a GPU\n")


def test_reasons_for_not_running_are_counted_one_by_one(judged):
    judged.loc[[0, 1], "status"] = "not run (needs the cpu profile)"
    assert tables.exceptions(judged).endswith("**Not run** (3)\n\n* 1: needs a GPU\n* 2: needs the cpu profile\n")


def test_a_bar_does_not_end_a_cell(judged):
    rows = tables.claims_table(judged).splitlines()
    assert len(rows) == len(judged) + 2
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_where_all_holds_the_list_says_so(judged):
    assert tables.exceptions(judged[judged["id"] == "a.held"]) == "None: every claim is reproduced.\n"


def test_counts_list_and_table_agree_on_the_books_ledger(root):
    """Every claim of the book recorded as zero: whatever comes out, the three parts of the page tell the same."""
    ledger = load_ledger(root / "book" / "claims.yml")
    runs = [
        {
            "chapter": number,
            "profile": "cpu",
            "claims": {c.id: {"value": 0.0, "interval": None} for c in ledger if c.chapter == number},
        }
        for number in sorted({claim.chapter for claim in ledger})
    ]
    judged = judge(ledger, runs)
    told, listed, table = tables.claim_counts(judged), tables.exceptions(judged), tables.claims_table(judged)
    n = {status: int(re.search(rf"(\d+) {status}", told).group(1)) for status in ("reproduced", "refuted", "not run")}
    assert n["reproduced"] + len(re.findall(r"^\* \{ref\}", listed, re.M)) + n["not run"] == len(ledger)
    assert f"**Refuted** ({n['refuted']})" in listed
    assert table.count("| refuted |\n") == n["refuted"]
    assert len(table.splitlines()) == len(ledger) + 2


class TestTimes:
    chapters = [
        SimpleNamespace(
            number=f"0{k}", path=SimpleNamespace(stem=f"0{k}_name"), question=f"Why {k}?", needs_runs=k == 2
        )
        for k in (1, 2)
    ]
    runs = [
        {
            "chapter": f"0{k}",
            "title": f"Title {k}",
            "profile": "cpu",
            "seed": 0,
            "seconds": 30.0 * k,
            "date": "2026-01-01",
            "python": "3.11.7",
            "hardware": "two cores",
            "packages": {"numpy": "2"},
        }
        for k in (1, 2)
    ]

    times = ("about an hour", "")

    def chapter_table(self, spent, runs=None):
        return tables.chapter_table(self.chapters, runs or self.runs, self.times, spent)

    def test_the_runs_come_on_top(self):
        spent = Spent(runs=6, timed=6, policies=7, seconds=180.0)
        for told in (self.chapter_table(spent), tables.run_tables(self.runs, spent)):
            assert "ogether" in told and "1.5 min of one core" in told
            assert "6 of them, with 7 trained policies, took 3.0 min of one core" in told
            assert "not kept" not in told
        table = self.chapter_table(spent)
        assert "| 1. {doc}`/notebooks/01_name` | Why 1? | about an hour | 30 s |" in table
        assert "| Why 2? |  | 1.0 min |" in table and len({line.count("|") for line in table.splitlines()[:4]}) == 1
        assert "Chapter 2 shows language-model runs" in table

    def test_what_was_not_kept_is_said(self):
        some, none = Spent(6, 4, 7, 180.0), Spent(6, 0, 7, 0.0)
        assert "the time of 2 was not kept" in tables.run_tables(self.runs, some)
        assert "took a time that was not kept" in tables.run_tables(self.runs, none)
        assert "none was made" in tables.run_tables(self.runs, Spent(0, 0, 0, 0.0))

    def test_without_such_chapters_nothing_is_said_of_runs(self):
        for told in (self.chapter_table(None), tables.run_tables(self.runs, None)):
            assert "anguage-model" not in told

    def test_several_machines_are_told_apart(self):
        other = [self.runs[0], self.runs[1] | {"hardware": "four cores"}]
        assert "on two cores (chapter 1); four cores (chapter 2)." in self.chapter_table(None, other)

    @pytest.mark.parametrize(
        ("seconds", "told"), [(14.4, "14 s"), (59.9, "60 s"), (90, "1.5 min"), (7199, "120.0 min"), (9000, "2.5 h")]
    )
    def test_durations(self, seconds, told):
        assert tables.duration(seconds) == told


class TestTheProsePages:
    """What the pages say of the book is held against the book."""

    def test_generated_parts_stand_where_the_pages_need_them(self, root):
        page = {name: (root / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("welcome", "report")}
        made = {f"_generated/{name}.md" for name in ("chapters", "claims", "counts", "exceptions", "first", "runs")}
        included = {name: re.findall(r"\{include\} (\S+)", text) for name, text in page.items()}
        assert {*included["welcome"], *included["report"]} == made
        # The short list comes before the long table, the counts before both.
        order = [included["report"].index(f"_generated/{name}.md") for name in ("counts", "exceptions", "claims")]
        assert order == sorted(order)
        assert "_generated/counts.md" in included["welcome"] and "<sec-exceptions>" in page["welcome"]
        assert "(sec-exceptions)=" in page["report"]

    # What a notebook calls, and the words that its row of the report's table must then have.
    KINDS = {
        "Student's t": ("mean_interval", "record_mean", "gap_limits"),
        "bootstrap": ("percentile_interval", "bootstrap", "part_closed_limits"),
        "permutation": ("permutation_test",),
        "quantiles": ("quantile", "percentile"),
    }

    def test_the_report_says_where_the_intervals_of_every_chapter_come_from(self, root):
        report = (root / "book" / "report.md").read_text(encoding="utf-8")
        for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
            (row,) = re.findall(rf"^\| {int(path.name[:2])} \|(.*)\|$", report, re.M)
            for words, calls in self.KINDS.items():
                called = [name for name in calls if re.search(rf"\b{name}\(", code)]
                assert bool(called) == (words in row), (path.name, words, called)

    def test_every_chapter_and_profile_of_the_prose_exists(self, root):
        """The README's list of chapters, and the notes on Colab, are those of the notebooks."""
        readme = (root / "README.md").read_text(encoding="utf-8")
        titles = [
            "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).removeprefix("# ").strip()
            for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))
        ]
        for number, title in enumerate(titles):
            assert f"**{number}, {title}**" in readme
        rerun = (root / "book" / "rerun.md").read_text(encoding="utf-8")
        for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
            # A chapter that looks for the project's folder cannot run alone; the page says so of exactly these.
            text = path.read_text(encoding="utf-8")
            (row,) = re.findall(rf"^\| [^|]*\b{int(path.name[:2])}\b[^|]*\|(.*)\|$", rerun, re.M)
            assert ("find_root" in text) == ("not alone" in row), path.name
