"""The search: other names of a thing lead to a place, not to a page."""

import json
import re

import pytest

# What a reader may type, and a word of the entry where the search has to lead.
ASKED = {
    "hyper-parameters": "hyperparameters",
    "hyperparameters": "hyperparameters",
    "learning rate": "hyperparameters",
    "minority": "minority",
    "underrepresented": "minority",
    "Rawls": "max-min",
    "fairness": "max-min",
    "egalitarian": "max-min",
    "maximin": "max-min",
    "DRO": "distributionally robust optimisation",
    "robust optimization": "distributionally robust optimisation",
    "IRT": "item response theory",
    "crowdsourcing": "crowd worker",
    "ELO": "Elo rating",
    "logistic regression": "logistic regression",
    "DPO": "direct preference optimisation",
    "PPO": "policy gradient",
    "SFT": "reference policy",
    "LoRA": "adapter",
    "EM": "expectation-maximisation",
    "KL": "KL divergence",
    "cross-validation": "held-out",
    "reward hacking": "reward hacking",
    "subgradient": "supergradient",
    "model merging": "soup",
    "clustering": "mixture",
    "p-value": "permutation test",
}


def test_other_names_lead_to_their_entry(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    page = (site / "book/glossary.html").read_text(encoding="utf-8")
    for asked, entry in ASKED.items():
        # The rule of Sphinx's search: what was typed is a part of an index entry, and at least half of it.
        found = {
            (index["docnames"][document], place)
            for name, places in index["indexentries"].items()
            if asked.lower() in name and len(asked) >= len(name) / 2
            for document, place, main in places
            if main
        }
        (anchor,) = re.findall(rf'<dt id="([^"]+)">{re.escape(entry)}<', page)
        # The other names stand below the first, in one entry.
        block = page[page.index(f'id="{anchor}"') :].partition("</dd>")[0]
        assert any(doc == "book/glossary" and f'id="{place}"' in block for doc, place in found), (asked, found)


@pytest.mark.parametrize("asked", ["hyper-parameters", "Rawls", "logistic regression"])
def test_the_search_lands_on_a_place(visit, asked):
    page = visit().open(f"search.html?q={asked}")
    page.wait_for_selector("ul.search li", timeout=10_000)
    assert "book/glossary.html#term-" in page.locator("ul.search li a").first.get_attribute("href")
