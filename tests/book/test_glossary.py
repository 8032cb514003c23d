"""The glossary: every chapter links a word at its first use, by a line that can be seen."""

import re

import pytest

from maxmin_core.book.chapters import all_chapters

from .glossary import ELSEWHERE, ORDINARY, SHORT, entries, uses
from .words import cells


def unlinked(number, texts, known):
    """Words of the glossary whose first use in a chapter is no link, and those that are linked twice."""
    found = {}
    for text in texts:
        for _, words, entry, linked in uses(text, known):
            if (number, entry) not in ELSEWHERE:
                found.setdefault(entry, []).append((words, linked))
    first = [(number, entry, all_uses[0][0]) for entry, all_uses in found.items() if not all_uses[0][1]]
    twice = [(number, entry, "twice") for entry, all_uses in found.items() if sum(link for _, link in all_uses) > 1]
    return first + twice


@pytest.fixture(scope="module")
def known(root):
    return entries(root)


@pytest.fixture(scope="module")
def chapters(root):
    def prose(path):
        return ["".join(c["source"]) for c in cells(root, path) if c["cell_type"] == "markdown"]

    return {chapter.number: prose(chapter.path) for chapter in all_chapters(root)}


def test_every_word_is_a_link_where_a_chapter_uses_it_first(known, chapters):
    assert [wrong for number, texts in chapters.items() for wrong in unlinked(number, texts, known)] == []


def test_the_exceptions_are_needed(known, chapters):
    """An exception that nothing needs any more goes; most words of the glossary stand in some chapter."""
    text = "\n".join(text for texts in chapters.values() for text in texts)
    assert ORDINARY <= set(known) and set(SHORT.values()) <= set(known)
    assert all(re.search(rf"\b{name}", text, re.IGNORECASE) for name in ORDINARY)
    for number, entry in ELSEWHERE:
        assert any(entry == e for text in chapters[number] for _, _, e, _ in uses(text, known))
    used = {e for texts in chapters.values() for text in texts for _, _, e, _ in uses(text, known)}
    assert len(used) > 45 and set(known.values()) - used <= ORDINARY | {
        *("direct preference optimisation", "Elo rating", "item response theory", "logistic regression"),
        *("reward hacking", "social choice"),
    }


def test_the_glossary_is_in_order_and_every_entry_leads_somewhere(root, known):
    first = list(dict.fromkeys(known.values()))
    assert first == sorted(first, key=lambda name: name.lower().replace("-", "")) and len(first) > 50
    told = re.findall(r"^(\S.*)\n(?:\S.*\n)*  (.*)$", (root / "book/glossary.md").read_text(), re.MULTILINE)
    assert [name for name, text in told if "{ref}`" not in text and "{doc}`" not in text] == ["simplex"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_word_s_line_can_be_seen(visit, theme):
    page = visit(theme=theme).open("notebooks/01_one_reward.html")
    word = page.locator("article a:has(> .std-term)").first
    style = word.evaluate(
        "e => { const s = getComputedStyle(e), around = getComputedStyle(e.parentElement);"
        " return [s.textDecorationStyle, s.textDecorationColor, s.color, around.color,"
        " getComputedStyle(document.body).backgroundColor] }"
    )
    assert style[0] == "dotted" and style[2] == style[3]
    assert contrast(style[1], style[4]) >= 3
    word.click()
    page.wait_for_load_state("networkidle")
    assert "glossary.html#term-" in page.url


def contrast(one, other):
    """The ratio of two colours, as WCAG has it."""

    def luminance(colour):
        parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


# --- Each check is seen to fail.

KNOWN = {"policy": "policy", "KL divergence": "KL divergence", "KL": "KL divergence", "reward": "reward"}


@pytest.mark.parametrize(
    "text",
    [
        "a policy",
        "Policies are",
        "in KL, and {term}`KL divergence`",
        "a\npolicy; then {term}`policies <policy>`",
        "{term}`policy` and {term}`policies <policy>`",
        ":::{note} policy\nthe policy\n:::",
    ],
)
def test_a_first_use_without_a_link_is_found(text):
    assert len(unlinked("01", [text], KNOWN)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{term}`Policies <policy>` and a policy",
        "# A policy",
        "`policy`, $\\text{policy}$, [policy](x), {ref}`policy <x>`",
        "```python\npolicy\n```",
        ":::{prf:theorem} Policy\n:label: x\nA policy.\n:::",
        ":::{note} policy\n:class: policy\n:::",
        "policymaker, per-policy, policy-free",
    ],
)
def test_what_is_no_first_use(text):
    assert unlinked("01", [text], KNOWN) == []
