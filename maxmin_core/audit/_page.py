"""The page of an audit: HTML that stands alone, in words that need no statistics, with every interval."""

from html import escape

from ._figures import dots
from ._groups import RULE
from ._html import STYLE, number, paragraph, share, table

__all__ = ["page_of"]

_MOST_ROWS = 25


def page_of(record):
    """Return the page of a record."""
    body = "".join(
        part(record) for part in (_head, _came_in, _voting, _single, _groups, _serving, _rules, _limits, _method)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Audit of {record['votes']:,} votes</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _head(r):
    groups, careless = r["groups"], r["careless"]
    told = {
        True: f"No: there are {groups['chosen']} groups.",
        False: "No: tastes differ from person to person, but not by groups.",
        "cannot tell": "No: tastes differ. Whether there are groups, these votes cannot tell.",
    }[groups["more_than_one"]]
    if groups["more_than_one"] is not True and groups["tastes_differ"] is not True:
        told = "Nothing here speaks against it."
        if groups["more_than_one"] == "cannot tell":
            told += " But these votes would not show groups."
    lines = [
        f"<strong>Does one reward serve everybody? {escape(told)}</strong>",
        escape(groups["why"]),
        escape(r["worst_off"]["why"]),
        escape(
            f"About {share(careless['share'])} of the people vote as if they tossed a coin; "
            f"{len(careless['people'])} can be named "
            f"with 90% certainty, and {len(careless['press_one_side'])} press one side whatever stands "
            "there. They are no "
            "group, and no rule below counts them."
        ),
    ]
    return (
        f"<h1>Audit of {r['votes']:,} votes by {r['people']:,} people on {r['items']:,} items</h1>\n"
        f'<div class="verdict">{"".join(f"<p>{line}</p>" for line in lines)}</div>\n'
        + paragraph(
            "In brackets stand 95% intervals over people: where the number would lie if other people had voted."
        )
    )


def _came_in(r):
    lines = [f"{r['rows']:,} rows came in, {r['votes']:,} votes are used."]
    for title, part in (("Dropped", r["dropped"]), ("Changed", r["changed"])):
        if part:
            lines.append(f"{title}: " + ", ".join(f"{n:,} {reason}" for reason, n in part.items()) + ".")
    if not r["dropped"]:
        lines.append("Nothing was dropped.")
    columns = [f"{role} = {name}" for role, name in r["settings"]["columns"].items() if name is not None]
    if columns:
        lines.append("Columns: " + ", ".join(columns) + ".")
    return "<h2>What came in</h2>\n" + "".join(map(paragraph, lines))


def _voting(r):
    place, how = r["position_bias"], r["behaviour"]
    said = "<h2>How people vote, whatever they like</h2>\n"
    rows = [("votes that are ties", share(r["ties"]["share"]), "")]
    if place["known"]:
        rows.append(("choices of the item shown first", share(place["share_first"]), "without bias: 50%"))
    rows += [
        ("agreement with the others on the same pair", share(how["agreement_on_the_same_pair"]), "coins: 50%"),
        ("the same answer to a pair asked again", share(how["same_answer_again"]), "coins: 50%"),
        ("circles among three items (a over b over c over a)", share(how["circles"]), "coins: 25%"),
    ]
    said += table("How people vote, with 95% intervals over people", ["measure", "found", "compare"], rows)
    if not place["known"]:
        said += paragraph(
            "The table does not say which item came first, or most pairs had one order only: a bias cannot be seen."
        )
    elif place["present"]:
        low, mean, high = place["logits"][1], place["logits"][0], place["logits"][2]
        said += paragraph(
            f"There is a bias for the item shown {'first' if mean > 0 else 'second'}, worth {mean:z.2f} logits "
            f"({low:z.2f} to {high:z.2f}). Everything below has it taken out."
        )
    else:
        said += paragraph("No bias for the place was found.")
    careless = r["careless"]
    said += paragraph(
        f"Carelessness: {share(careless['share'])} toss a coin, and {share(careless['half_hearted'])} "
        "follow a taste with a "
        "third of the others' strength, as somebody does who looks at some items and not at others. The crowd "
        f"model of Chen et al. (2013), which knows one ranking only, trusts {careless['crowd_model_below_0.6']} people "
        f"less than 0.6; {careless['both']} of the {len(careless['people'])} named here are among them. The "
        "crowd model "
        "takes a taste of one's own for unreliability, the audit does not. people.csv lists everybody by pseudonym."
    )
    return said


def _cut(rows):
    return rows if len(rows) <= _MOST_ROWS else rows[: _MOST_ROWS - 5] + rows[-5:]


def _single(r):
    rows = _cut(r["single"])
    best, last = r["single"][0], r["single"][-1]
    note = f" The first {_MOST_ROWS - 5} and the last 5 of {len(r['single'])}." if len(r["single"]) > _MOST_ROWS else ""
    figure = dots(
        [(f"{one['item']}  {one['reward']:z.2f}", [(one["reward"], one["low"], one["high"], 1)]) for one in rows],
        alt=f"The single reward of {len(rows)} items with intervals. Highest: {best['item']}, "
        f"{best['reward']:z.2f}; lowest: "
        f"{last['item']}, {last['reward']:z.2f}.",
        caption=f"The single reward, in logits, with 95% intervals over people.{note}",
        line=0.0,
    )
    return "<h2>One reward for everybody</h2>\n" + figure


def _groups(r):
    g = r["groups"]
    said = "<h2>Is there more than one group?</h2>\n" + paragraph(g["why"])
    held = g["heldout"]
    base = held.get("1", held["one reward"])
    if g["heldout_gain"]:
        gain = g["heldout_gain"]
        rows = [("one reward, and careless people", [(held["one reward"] - base, None, None, 0)])]
        rows += [
            ("individual tastes, no groups" if k == "1" else f"{k} groups", [(value - base, None, None, 1)])
            for k, value in held.items()
            if k != "one reward"
        ]
        said += dots(
            rows,
            alt="Held-out log-likelihood a person against individual tastes without groups: "
            + "; ".join(f"{name} {points[0][0]:z.2f}" for name, points in rows)
            + ".",
            caption="How well people who were held out are predicted, in nats a person, against individual "
            "tastes without "
            f"groups. {gain['groups']} groups: {number(gain['against_null'])} against individual tastes, "
            f"{number(gain['against_one_group'])} against one reward.",
            line=0.0,
        )
    if g["differ"]:
        said += paragraph(
            f"Individual tastes predict {number(g['differ'])} nats a person better than one reward: people "
            + ("differ in what they like." if g["tastes_differ"] else "are not shown to differ in what they like.")
        )
    often = ", ".join(f"{k}: {part:.0%}" for k, part in g["chosen_in_resamples"].items() if part >= 0.005)
    said += paragraph(f"How many groups predict best, when people are drawn again: {often}.")
    if g["more_than_one"] is not True:
        return said + paragraph("Because groups are not established, none is described.")
    said += paragraph(
        f"Other starts of the search leave {min(g['restarts_agree']):.0%} or more of the people in their "
        "group; models that "
        f"never saw them put {g['unseen_people_stay']:.0%} into the same one."
    )
    told = [one for one in g["described"] if one["described"]]
    said += table(
        "The groups",
        [
            "group",
            "share",
            "people",
            "agree on the same pair",
            "votes that follow their own reward",
            "likes more",
            "likes less",
        ],
        [
            (
                one["group"],
                share(one["share"]),
                str(one["people"]),
                share(one["agreement_on_the_same_pair"]),
                share(one["agreement_with_its_own_reward"]) + ("" if one["real"] else "; not established"),
                ", ".join(one["likes_more"]) or "nothing for sure",
                ", ".join(one["likes_less"]) or "nothing for sure",
            )
            for one in told
        ],
    )
    small = len(g["described"]) - len(told)
    if small:
        said += paragraph(f"{small} of the groups have fewer than five people, and are not described.")
    of = [{entry["item"]: entry for entry in one["rewards"]} for one in told]
    if of:
        order = [entry["item"] for entry in r["single"]]
        rows = []
        for item in _cut(order):
            points = [
                (part[item]["reward"], part[item]["low"], part[item]["high"], 1 + k % 6) for k, part in enumerate(of)
            ]
            rows.append((f"{item}  " + " | ".join(f"{point[0]:z.2f}" for point in points), points))
        said += dots(
            rows,
            alt="Rewards of the items in every group, groups in order: " + "; ".join(label for label, _ in rows) + ".",
            caption="Rewards by group, in logits, with 95% intervals over people; the numbers beside an "
            "item are those of the "
            "groups in their order, from the upper point to the lower one.",
            line=0.0,
        )
    return said + _traits(g)


def _traits(g):
    if not g["traits"]:
        return ""
    rows = [(t["trait"], t["of"], str(t["levels"]), f"{t['p']:.3f}", f"{t['p_holm']:.3f}") for t in g["traits"]]
    return table(
        f"What the table says of people: permutation tests, Holm-corrected for {len(rows)}",
        ["trait", "compared with", "values", "p", "p, corrected"],
        rows,
    )


def _serving(r):
    every = r["everybody"]
    said = "<h2>Who is served by one reward?</h2>\n" + paragraph(
        f"On votes of people who were held out, the single reward agrees with {share(every['agreement'])}."
    )
    if r["groups"]["more_than_one"] is not True:
        return said + paragraph(r["worst_off"]["why"])
    hidden = {one["group"] for one in r["groups"]["described"] if not one["described"]}
    said += table(
        "One reward, seen by every group",
        ["group", "agreement", "win rate", "win rate of their own best policy", "gap (logits)"],
        [
            (
                one["group"],
                share(one["agreement"]),
                share(one["win_rate"]),
                share(one["best_win_rate"]),
                number(one["gap"]),
            )
            for one in r["served"]
            if one["group"] not in hidden
        ],
    )
    return (
        said
        + paragraph(
            "Win rate: how often a group prefers what the policy of the single reward would choose to an "
            "item at random. Gap: "
            "what the group loses against the best policy for it alone, the price of the divergence from the reference "
            "included. The price of sharing, the least largest gap that any one policy can have, is "
            f"{number(every['price'])} "
            f"logits. The groups' preferences differ by {share(every['diversity'])} on the compared pairs (diversity)."
        )
        + paragraph(r["worst_off"]["why"])
    )


def _rules(r):
    hidden = [k for k, one in enumerate(r["groups"]["described"]) if not one["described"]]
    rows = []
    for rule, one in r["rules"].items():
        if one["chosen"] is None:
            rows.append((rule, "no policy", one["why"], ""))
            continue
        wins = " | ".join("not shown" if k in hidden else f"{rate:.0%}" for k, rate in enumerate(one["win_rates"]))
        gap = "" if one["gap"] is None else ("exact" if one["gap"] <= 1e-12 else f"{one['gap']:.0e}")
        rows.append((rule, f"{one['chosen']} ({one['probability']:.0%})", wins, gap))
    said = "<h2>What every rule would choose</h2>\n" + table(
        "The likeliest item under every rule, with its probability",
        ["rule", "chooses", "win rate of the policy, by group", "certificate's gap"],
        rows,
    )
    said += paragraph(
        f"Policies stay near a random choice among the items (strength {r['settings']['beta']:g}). Rewards "
        "are standardised "
        "in every group here, so policies are flatter or sharper than that of the single reward above. The "
        "certificate's "
        "gap is how far the policy can be from the best one at most, in the rule's unit."
    )
    if len(r["rules"]) <= 2:
        return said + paragraph("With one group all welfare rules are the same.")
    how = r["choice_by_calibration"]
    said += table(
        "The choice under other calibrations of the groups' rewards",
        ["rule", *how],
        [(rule, *(how[name].get(rule) or "no policy" for name in how)) for rule in r["rules"]],
    )
    by = r["choice_by_groups"]
    return said + table(
        "The choice with another number of groups",
        ["rule", *(f"{k} group{'s' * (k != '1')}" for k in by)],
        [
            (rule, *(by[k].get(rule) or ("as the average" if k == "1" else "no policy") for k in by))
            for rule in r["rules"]
        ],
    )


def _limits(r):
    items = "".join(
        f"<li><strong>{escape(one['what'])}.</strong> {escape(one['text'])}</li>\n" for one in r["cannot_tell"]
    )
    return f"<h2>What these votes cannot tell</h2>\n<ul>\n{items}</ul>\n"


def _method(r):
    return "<h2>How this was found</h2>\n" + "".join(
        map(
            paragraph,
            (
                RULE,
                "People are shown by pseudonyms, which are the same whenever the same people vote, and "
                "cannot be traced back "
                "without the full list of names. No text of an item, and nothing about fewer than five "
                "people, is on this page.",
                f"maxmin-core {r['version']}, seed {r['settings']['seed']}. Every number is in audit.json.",
            ),
        )
    )
