"""A record of an audit that we wrote by hand, its variations, and how a page is read."""

import re
from copy import deepcopy
from html import escape, unescape

THREE = [0.5, 0.4, 0.6]


def entry(item, reward):
    return {"item": item, "reward": reward, "low": reward - 0.5, "high": reward + 0.5}


def described(group, **more):
    return {
        "group": group,
        "people": 10 * group,
        "described": True,
        "share": [0.1 * group, 0.05, 0.9],
        "rewards": [entry("tea", 1.0 * group), entry("ale", -1.0 * group)],
        "likes_more": ["tea", "ale"],
        "likes_less": [],
        "real": True,
        "agreement_with_its_own_reward": [0.8, 0.7, 0.9],
        "agreement_on_the_same_pair": None,
        "share_first": THREE,
    } | more


RECORD = {
    "version": "9.9",
    "settings": {"beta": 0.5, "seed": 4, "columns": {"annotator": "who", "first": None}},
    "rows": 1234,
    "people": 3210,
    "votes": 1111,
    "items": 2345,
    "dropped": {"empty": 1000, "odd": 2},
    "changed": {"halved": 3},
    "ties": {"share": [0.25, None, None]},
    "position_bias": {"known": True, "share_first": THREE, "logits": [0.3, 0.1, 0.5], "present": True},
    "behaviour": {
        "agreement_on_the_same_pair": [0.61, 0.6, 0.62],
        "same_answer_again": None,
        "circles": [0.2, 0.1, 0.3],
    },
    "single": [entry("tea", 1.5), entry("ale", -0.001)],
    "groups": {
        "more_than_one": True,
        "why": "The why.",
        "tastes_differ": True,
        "differ": [1.25, 0.5, 2.0],
        "chosen": 3,
        "heldout": {"one reward": -5.0, "1": -4.0, "2": -3.5, "3": -3.25},
        "heldout_gain": {"groups": 2, "against_null": [0.5, 0.25, 0.75], "against_one_group": [1.5, 1.0, 2.0]},
        "chosen_in_resamples": {"1": 0.004, "2": 0.005, "3": 0.991},
        "restarts_agree": [0.9, 0.8, 1.0],
        "unseen_people_stay": 0.7,
        "described": [
            described(1),
            described(2, real=False, likes_more=[], likes_less=["tea"], agreement_on_the_same_pair=THREE),
            {"group": 3, "people": "fewer than 5", "described": False},
        ],
        "traits": [{"trait": "age", "of": "group", "levels": 3, "p": 0.0124, "p_holm": 0.0248}],
    },
    "careless": {
        "people": ["P-1", "P-2"],
        "share": [0.1, 0.05, 0.2],
        "half_hearted": [0.3, 0.2, 0.4],
        "press_one_side": ["P-3"],
        "crowd_model_below_0.6": 7,
        "both": 1,
    },
    "served": [
        {"group": 1, "agreement": [0.71, 0.7, 0.72], "win_rate": THREE, "best_win_rate": THREE, "gap": [0.2, 0.1, 0.3]},
        {"group": 2, "agreement": None, "win_rate": THREE, "best_win_rate": [0.7, 0.6, 0.8], "gap": [0.4, 0.3, 0.5]},
        {"group": 3, "described": False},
    ],
    "everybody": {"agreement": [0.64, 0.6, 0.68], "price": [0.05, 0.0, 0.1], "diversity": [0.2, 0.1, 0.3]},
    "worst_off": {"group": 1, "why": "The worst."},
    "rules": {
        "one": {"chosen": "tea", "probability": 0.75, "win_rates": [0.6, 0.4, 0.3], "gap": None},
        "two": {"chosen": "ale", "probability": 0.5, "win_rates": [0.1, 0.2, 0.3], "gap": 1e-12},
        "three": {"chosen": None, "why": "no solution", "gap": None},
        "four": {"chosen": "ale", "probability": 0.125, "win_rates": [0.1, 0.2, 0.3], "gap": 2e-12},
    },
    "choice_by_calibration": {"none": {"one": "tea", "two": None}, "center": {"one": "ale", "two": "ale"}},
    "choice_by_groups": {"1": {"one": "tea"}, "2": {"one": "ale", "two": "tea"}},
    "cannot_tell": [{"what": "first <thing>", "number": 1, "text": "A & B."}, {"what": "other", "text": "C."}],
}


def changed(path, value, record=RECORD):
    record = deepcopy(record)
    *way, last = path.split("/")
    place = record
    for name in way:
        place = place[name]
    place[last] = value
    return record


def words(markup):
    """Return the visible text, an entry a line."""
    markup = re.sub(r"</(p|h1|h2|tr|li|caption|figcaption|text)>", "\n", markup)
    markup = re.sub(r"</t[hd]><t[hd]", " | <", markup)
    lines = (unescape(re.sub(r"<[^>]*>", "", line)).strip() for line in markup.split("\n"))
    return [line for line in lines if line]


def cells(markup, caption):
    """Return the rows of a table."""
    head = f"<caption>{escape(caption)}</caption>"
    assert head in markup
    body = markup[markup.index(head) :].split("</table>")[0]
    return [
        [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall("<tr>(.*?)</tr>", body)
    ]
