"""The ten questions: their evidence exists, stands where it is said to stand, and is not told better than it is."""

import json
import re

import pytest

from maxmin_core.book.claims import load_ledger
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.settings import SETTINGS

CLAIM = re.compile(r"`([a-z_]+\.[a-z_0-9A-Z]+)`(?: \(([^)]*)\))?")
# A reference with words of its own, or with those of the heading that it leads to.
REFERENCE = re.compile(r"\{ref\}`(?:[^`<]*<([^`>]+)>|([^`<]+))`")


@pytest.fixture(scope="module")
def text(root):
    return (root / "book" / "questions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def questions(text):
    """The ten parts of the page."""
    return re.split(r"(?m)^\(sec-question-\d+\)=\n", text)[1:]


@pytest.fixture(scope="module")
def ledger(root):
    return {claim.id: claim for claim in load_ledger(root / "book" / "claims.yml")}


@pytest.fixture(scope="module")
def anchors(root):
    """Every label of the book, and the line that follows it."""
    sources = [path.read_text(encoding="utf-8") for path in (root / "book").glob("*.md")]
    for path in (root / "notebooks").glob("*.ipynb"):
        sources += ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    found = [pair for source in sources for pair in re.findall(r"(?m)^\(([\w-]+)\)=\n+(.*)$", source)]
    assert len(found) == len(dict(found)), "a label stands twice"
    return dict(found)


def evidence(question):
    """The claims of a question with what is told of each, and the labels of its evidence."""
    told = question[question.index("**Evidence.**") :]
    return dict(CLAIM.findall(told)), {label or bare for label, bare in REFERENCE.findall(told)}


def test_there_are_ten_with_evidence(questions):
    assert [re.match(r"## (\d+)\. .*\?\n", part)[1] for part in questions] == [str(k) for k in range(1, 11)]
    for part in questions:
        claims, labels = evidence(part)
        assert len(claims) >= 3 and len(labels) >= 2, part[:60]


def test_every_claim_exists_and_stands_in_a_section_that_is_named(questions, ledger):
    for part in questions:
        claims, labels = evidence(part)
        for name in claims:
            assert name in ledger, name
            assert ledger[name].page.partition("#")[2] in labels, f"{name}: {ledger[name].page}"


def test_no_claim_is_told_better_than_it_may_end(questions, ledger):
    for part in questions:
        for name, told in evidence(part)[0].items():
            claim = ledger[name]
            ends = "not run" if claim.needs.startswith("gpu") else claim.accepted
            assert told == ("" if ends == "reproduced" else ends), f"{name}: {ends}"


def test_every_label_exists_and_has_words(text, anchors, root):
    for label, bare in REFERENCE.findall(text):
        assert (label or bare) in anchors, label or bare
        # Without words of its own a reference takes those of a heading.
        assert label or re.match("#+ ", anchors[bare]), bare
    for page in re.findall(r"\{doc\}`(?:[^`<]*<)?/([^`>]+)>?`", text):
        assert any((root / f"{page}{end}").is_file() for end in (".md", ".ipynb")), page


def test_settings_of_our_own_experiment_are_those_of_the_profile(questions):
    profile, setting, told = find_profile("cpu"), SETTINGS["80:20"], questions[7]
    assert f"| {profile.n_annotators}, with {profile.n_per_annotator} comparisons each |" in told
    assert profile.layers == 3 and "a GPT-2 of three layers, trained from scratch" in told
    majority = " and ".join(f"{taste} ({weight:g})" for taste, weight in setting.tastes["majority"].items())
    assert f"| {majority} |" in told and list(setting.tastes["minority"]) == ["concise"]
    for name in re.findall(r"\d+:\d+", told.split("| shares |")[1].splitlines()[0].split("|")[-2]):
        assert name in SETTINGS


@pytest.mark.parametrize("number", range(1, 12))
def test_every_chapter_says_what_is_learned(root, number):
    (path,) = (root / "notebooks").glob(f"{number:02d}_*.ipynb")
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"])
    assert ":::{admonition} What you will learn\n:class: tip\n" in first and "**You need** " in first
    assert len(re.findall(r"(?m)^\* ", first)) >= 3


def test_functions_named_in_the_table_of_steps_exist(root):
    source = (root / "notebooks" / "08_training.ipynb").read_text(encoding="utf-8")
    named = set(re.findall(r"\{py:obj\}`~(maxmin_core\.lm\.[\w.]+)`", source))
    assert len(named) >= 8
    for name in named:
        module, _, function = name.rpartition(".")
        path = root / (module.replace(".", "/") + ".py")
        assert re.search(rf"(?m)^(?:def|class) {function}\b", path.read_text()), name


def test_a_label_stands_once(root):
    """Rendering finds a second one, too: after all chapters have run."""
    places = {}
    for path in [*sorted((root / "notebooks").glob("*.ipynb")), *sorted((root / "book").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        for label in re.findall(r'name="(fig-[\w-]+)"|^:(?:label|name): ([\w:-]+)|^\(([\w:-]+)\)=$', text, re.M):
            places.setdefault("".join(label), []).append(path.name)
    assert len(places) > 100
    assert {label: found for label, found in places.items() if len(found) > 1} == {}
