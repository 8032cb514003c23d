"""The words of the glossary, and where a chapter uses them for the first time."""

import re
from pathlib import Path

# Names by which a reader may search, and which are plain English, or mean something else, in the chapters.
ORDINARY = {"fairness", "majority", "spread", "standard deviation", "tuning"}
# Where a word means something else: a network's logits are no logarithms of odds.
ELSEWHERE = {("09", "logit"), ("10", "logit")}
# What the chapters call something for short.
SHORT = {"the reference": "reference policy", "the reference policy": "reference policy"}

_ENTRY = re.compile(r"^((?:\S.*\n)+)((?:  .*\n)+)", re.MULTILINE)
_ROLE = re.compile(r"\{term\}`([^`<]+?)(?:\s*<([^`>]+)>)?`")
# Where no link may stand: code, maths, headings, statements, lines that open or set up a box, labels, links, HTML.
_TAKEN = re.compile(
    r"(?ms)^(```+).*?^\1\s*$|^(:{3,})\{prf:(?!proof)\w+\}.*?^\2\s*$|^\$\$.*?\$\$"
    r"|(?-s:^#+ .*$|^:{3,}\{.*$|^:[\w-]+:.*$|^\(.*\)=$|\{[\w:-]+\}`[^`]*`|`[^`]*`|\[[^\]]*\]\([^)]*\)|<[^<>]+>|https?://\S+)"
    r"|\$\$.*?\$\$|\$[^$]+\$"
)


def entries(root: Path) -> dict[str, str]:
    """The first name of a word's entry, by each of its names."""
    text = (root / "book/glossary.md").read_text().partition(":::{glossary}\n")[2]
    found = {}
    for names, _ in _ENTRY.findall(text.replace(":::", "")):
        first, *others = names.splitlines()
        for name in (first, *others):
            if name in found:
                raise ValueError(f"{name}: stands in the glossary twice")
            found[name] = first
    return found


def plain(markdown: str) -> str:
    """The text with blanks for all that is no running prose, so that places stay where they are."""
    return _TAKEN.sub(lambda found: "\x00" * len(found[0]), markdown)


def uses(markdown: str, known: dict[str, str]) -> list[tuple[int, str, str, bool]]:
    """Place, words, entry, and whether it is a link, of every use of a word of the glossary in a cell, in order."""
    forms = {**{name: first for name, first in known.items() if name not in ORDINARY}, **SHORT}
    # Sphinx finds a word in lower case, too.
    lower = {name.lower(): first for name, first in known.items()}
    found = [(m.start(), m[0], lower.get((m[2] or m[1]).lower(), m[0]), True) for m in _ROLE.finditer(markdown)]
    for match in _pattern(tuple(forms)).finditer(plain(markdown)):
        name = next(forms[form] for form in forms if re.fullmatch(_one(form), match[0]))
        found.append((match.start(), match[0], name, False))
    return sorted(found)


def _one(form):
    """One form and its plural; a word without capitals may begin a sentence."""
    words = r"\s+".join(map(re.escape, form.split()))
    words = words[:-1] + "(?:y|ies)" if words.endswith("y") else words + "(?:s|es)?"
    return f"(?i:{words[0]}){words[1:]}" if form == form.lower() and form[0].isalpha() else words


def _pattern(forms):
    longest = sorted(forms, key=len, reverse=True)
    return re.compile(rf"(?<![\w\-{{`/])(?:{'|'.join(map(_one, longest))})(?![\w\-`])")
