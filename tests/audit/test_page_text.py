"""What a reader of the page is told, word for word, from records that we wrote by hand."""

import re
import runpy
from html import unescape
from pathlib import Path

import pytest

from maxmin_core.audit import _page
from maxmin_core.audit._groups import RULE
from maxmin_core.audit._html import STYLE

_HERE = runpy.run_path(str(Path(__file__).with_name("page_record.py")))
RECORD, cells, changed, described, entry, words = (
    _HERE[name] for name in ("RECORD", "cells", "changed", "described", "entry", "words")
)


def test_the_page_is_its_parts_in_order():
    page = _page.page_of(RECORD)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">') and page.endswith("</body>\n</html>\n")
    assert "<title>Audit of 1,111 votes</title>" in page and f"<style>{STYLE}</style>" in page
    assert [re.sub("<.*?>", "", one) for one in re.findall("<h[12]>.*</h[12]>", page)] == [
        "Audit of 1,111 votes by 3,210 people on 2,345 items",
        "What came in",
        "How people vote, whatever they like",
        "One reward for everybody",
        "Is there more than one group?",
        "Who is served by one reward?",
        "What every rule would choose",
        "What these votes cannot tell",
        "How this was found",
    ]
    assert all(f"svg .g{k} {{ stroke: var(--g{k})" in STYLE and f"--g{k}: #" in STYLE for k in range(7))
    assert "g7" not in STYLE


@pytest.mark.parametrize(
    ("more", "differ", "said"),
    [
        (True, True, "No: there are 3 groups."),
        (True, False, "No: there are 3 groups."),
        (False, True, "No: tastes differ from person to person, but not by groups."),
        ("cannot tell", True, "No: tastes differ. Whether there are groups, these votes cannot tell."),
        (False, False, "Nothing here speaks against it."),
        ("cannot tell", False, "Nothing here speaks against it. But these votes would not show groups."),
    ],
)
def test_the_answer_at_the_top(more, differ, said):
    record = changed("groups/tastes_differ", differ, changed("groups/more_than_one", more))
    assert words(_page._head(record)) == [
        "Audit of 1,111 votes by 3,210 people on 2,345 items",
        f"Does one reward serve everybody? {said}",
        "The why.",
        "The worst.",
        "About 10% (5% to 20%) of the people vote as if they tossed a coin; 2 can be named with 90% certainty, and 1 "
        "press one side whatever stands there. They are no group, and no rule below counts them.",
        "In brackets stand 95% intervals over people: where the number would lie if other people had voted.",
    ]


def test_what_came_in():
    said = ["What came in", "1,234 rows came in, 1,111 votes are used."]
    dropped, altered = ["Dropped: 1,000 empty, 2 odd."], ["Changed: 3 halved."]
    assert words(_page._came_in(RECORD)) == [*said, *dropped, *altered, "Columns: annotator = who."]
    record = changed("settings/columns", {"first": None}, changed("dropped", {}))
    assert words(_page._came_in(record)) == [*said, *altered, "Nothing was dropped."]
    assert words(_page._came_in(changed("changed", {}))) == [*said, *dropped, "Columns: annotator = who."]


def test_how_people_vote():
    caption = "How people vote, with 95% intervals over people"
    rows = [
        ["measure", "found", "compare"],
        ["votes that are ties", "25%", ""],
        ["choices of the item shown first", "50% (40% to 60%)", "without bias: 50%"],
        ["agreement with the others on the same pair", "61% (60% to 62%)", "coins: 50%"],
        ["the same answer to a pair asked again", "unknown", "coins: 50%"],
        ["circles among three items (a over b over c over a)", "20% (10% to 30%)", "coins: 25%"],
    ]
    assert cells(_page._voting(RECORD), caption) == rows
    *_, place, care = words(_page._voting(RECORD))
    assert place == (
        "There is a bias for the item shown first, worth 0.30 logits (0.10 to 0.50). Everything below has it taken out."
    )
    assert care == (
        "Carelessness: 10% (5% to 20%) toss a coin, and 30% (20% to 40%) follow a taste with a third of the others' "
        "strength, as somebody does who looks at some items and not at others. The crowd model of Chen et al. (2013), "
        "which knows one ranking only, trusts 7 people less than 0.6; 1 of the 2 named here are among them. The crowd "
        "model takes a taste of one's own for unreliability, the audit does not. people.csv lists everybody by "
        "pseudonym."
    )
    second = words(_page._voting(changed("position_bias/logits", [-0.3, -0.5, -0.1])))[-2]
    assert second.startswith("There is a bias for the item shown second, worth -0.30 logits (-0.50 to -0.10).")
    assert "shown second" in words(_page._voting(changed("position_bias/logits", [0.0, -0.5, 0.1])))[-2]
    assert words(_page._voting(changed("position_bias/present", False)))[-2] == "No bias for the place was found."
    unknown = _page._voting(changed("position_bias", {"known": False}))
    assert cells(unknown, caption) == rows[:2] + rows[3:]
    assert words(unknown)[-2] == (
        "The table does not say which item came first, or most pairs had one order only: a bias cannot be seen."
    )


def test_the_single_reward_is_a_figure_of_25_items_at_most():
    figure = _page._single(RECORD)
    assert words(figure) == [
        "One reward for everybody",
        "tea  1.50",
        "ale  0.00",
        "-0.5",
        "2",
        "The single reward, in logits, with 95% intervals over people.",
    ]
    assert 'aria-label="The single reward of 2 items with intervals. Highest: tea, 1.50; lowest: ale, 0.00."' in figure
    assert figure.count('class="g1"') == 4 and figure.count('class="zero"') == 1
    at = f"{3 + 94 * 0.501 / 2.501:.2f}%"
    assert f'class="zero" x1="{at}"' in figure
    many = [entry(f"i{k}", 30.0 - k) for k in range(26)]
    shown = words(_page._single(changed("single", many)))
    assert [line.split()[0] for line in shown[1:26]] == [f"i{k}" for k in (*range(20), *range(21, 26))]
    assert shown[-1].endswith("over people. The first 20 and the last 5 of 26.") and len(shown) == 29
    all_of_them = words(_page._single(changed("single", many[:25])))
    assert len(all_of_them) == 29 and all_of_them[-1].endswith("over people.")
    assert _page._cut(list(range(25))) == list(range(25))
    assert _page._cut(list(range(26))) == [*range(20), *range(21, 26)]


GROUPS = ["group", "share", "people", "agree on the same pair", "votes that follow their own reward"]


def test_groups_in_full():
    said = _page._groups(RECORD)
    lines = words(said)
    assert lines[:2] == ["Is there more than one group?", "The why."]
    assert lines[2:5] == ["one reward, and careless people", "individual tastes, no groups", "2 groups"]
    assert (
        "Held-out log-likelihood a person against individual tastes without groups: one reward, and careless people "
        "-1.00; individual tastes, no groups 0.00; 2 groups 0.50; 3 groups 0.75." in unescape(said)
    )
    colours = re.findall(r'<circle class="g(\d)"', said)
    assert colours == ["0", "1", "1", "1", "1", "2", "1", "2"]
    # Nought of either figure: of gains from -1 to 0.75, and of rewards with ends from -2.5 to 2.5.
    assert re.findall(r'class="zero" x1="([^"]*)"', said) == [f"{3 + 94 / 1.75:.2f}%", "50.00%"]
    for line in (
        "How well people who were held out are predicted, in nats a person, against individual tastes without groups. "
        "2 groups: 0.50 (0.25 to 0.75) against individual tastes, 1.50 (1.00 to 2.00) against one reward.",
        "Individual tastes predict 1.25 (0.50 to 2.00) nats a person better than one reward: people differ in what "
        "they like.",
        "How many groups predict best, when people are drawn again: 2: 0%, 3: 99%.",
        "Other starts of the search leave 80% or more of the people in their group; models that never saw them put "
        "70% into the same one.",
        "1 of the groups have fewer than five people, and are not described.",
        "tea  1.00 | 2.00",
        "ale  -1.00 | -2.00",
        "Rewards by group, in logits, with 95% intervals over people; the numbers beside an item are those of the "
        "groups in their order, from the upper point to the lower one.",
    ):
        assert line in lines
    assert "Rewards of the items in every group, groups in order: tea  1.00 | 2.00; ale  -1.00 | -2.00." in said
    assert cells(said, "The groups") == [
        [*GROUPS, "likes more", "likes less"],
        ["1", "10% (5% to 90%)", "10", "unknown", "80% (70% to 90%)", "tea, ale", "nothing for sure"],
        [
            "2",
            "20% (5% to 90%)",
            "20",
            "50% (40% to 60%)",
            "80% (70% to 90%); not established",
            "nothing for sure",
            "tea",
        ],
    ]
    assert cells(said, "What the table says of people: permutation tests, Holm-corrected for 1") == [
        ["trait", "compared with", "values", "p", "p, corrected"],
        ["age", "group", "3", "0.012", "0.025"],
    ]


def test_groups_by_halves():
    all_shown = _page._groups(changed("groups/described", [described(k) for k in range(1, 8)]))
    assert "not described" not in all_shown
    # Colours after the sixth begin again.
    assert re.findall(r'<circle class="g(\d)"', all_shown)[4:11] == list("1234561")
    hidden = _page._groups(changed("groups/described", RECORD["groups"]["described"][2:] * 2))
    assert "2 of the groups have fewer than five people" in hidden and "Rewards by group" not in hidden
    assert "Holm" not in _page._groups(changed("groups/traits", []))
    alone = words(_page._groups(changed("groups/more_than_one", "cannot tell")))
    assert alone[-1] == "Because groups are not established, none is described."
    alike = _page._groups(changed("groups/tastes_differ", False))
    assert "people are not shown to differ in what they like." in alike
    few = changed("groups/differ", None, changed("groups/heldout_gain", None))
    assert "<svg" not in _page._groups(changed("groups/described", [], few))
    assert "Individual tastes predict" not in _page._groups(few)
    # Without a model of individual tastes the others are compared with one reward.
    bare = _page._groups(changed("groups/heldout", {"one reward": -5.0, "2": -4.0}))
    assert "one reward, and careless people 0.00; 2 groups 1.00." in unescape(bare)


def test_many_items_of_groups_are_cut_in_the_order_of_the_single_reward():
    single = [entry(f"i{k}", 30.0 - k) for k in range(30)]
    record = changed("single", single, changed("groups/described", [described(1, rewards=single[::-1])]))
    lines = words(_page._groups(record))
    shown = [line.split()[0] for line in lines if re.match(r"i\d+  ", line)]
    assert shown == [f"i{k}" for k in (*range(20), *range(25, 30))]


def test_who_is_served():
    caption = "One reward, seen by every group"
    said = _page._serving(RECORD)
    assert cells(said, caption) == [
        ["group", "agreement", "win rate", "win rate of their own best policy", "gap (logits)"],
        ["1", "71% (70% to 72%)", "50% (40% to 60%)", "50% (40% to 60%)", "0.20 (0.10 to 0.30)"],
        ["2", "unknown", "50% (40% to 60%)", "70% (60% to 80%)", "0.40 (0.30 to 0.50)"],
    ]
    first = "On votes of people who were held out, the single reward agrees with 64% (60% to 68%)."
    lines = words(said)
    assert lines[1] == first and lines[-1] == "The worst."
    assert lines[-2].endswith(
        "can have, is 0.05 (0.00 to 0.10) logits. The groups' preferences differ by 20% (10% to 30%) on the compared "
        "pairs (diversity)."
    )
    assert words(_page._serving(changed("groups/more_than_one", False)))[1:] == [first, "The worst."]


def test_rules():
    said = _page._rules(RECORD)
    assert cells(said, "The likeliest item under every rule, with its probability") == [
        ["rule", "chooses", "win rate of the policy, by group", "certificate's gap"],
        ["one", "tea (75%)", "60% | 40% | not shown", ""],
        ["two", "ale (50%)", "10% | 20% | not shown", "exact"],
        ["three", "no policy", "no solution", ""],
        ["four", "ale (12%)", "10% | 20% | not shown", "2e-12"],
    ]
    assert cells(said, "The choice under other calibrations of the groups' rewards") == [
        ["rule", "none", "center"],
        ["one", "tea", "ale"],
        ["two", "no policy", "ale"],
        ["three", "no policy", "no policy"],
        ["four", "no policy", "no policy"],
    ]
    assert cells(said, "The choice with another number of groups") == [
        ["rule", "1 group", "2 groups"],
        ["one", "tea", "ale"],
        ["two", "as the average", "tea"],
        ["three", "as the average", "no policy"],
        ["four", "as the average", "no policy"],
    ]
    assert "Policies stay near a random choice among the items (strength 0.5). Rewards are standardised" in said
    two = changed("rules", dict(list(RECORD["rules"].items())[:2]))
    assert words(_page._rules(two))[-1] == "With one group all welfare rules are the same."
    three = changed("rules", dict(list(RECORD["rules"].items())[:3]))
    assert "all welfare rules are the same" not in _page._rules(three)


def test_limits_and_method():
    assert words(_page._limits(RECORD)) == ["What these votes cannot tell", "first <thing>. A & B.", "other. C."]
    lines = words(_page._method(RECORD))
    assert lines[1] == RULE and lines[3] == "maxmin-core 9.9, seed 4. Every number is in audit.json."
    assert len(lines) == 4 and "pseudonyms" in lines[2] and "fewer than five people" in lines[2]
