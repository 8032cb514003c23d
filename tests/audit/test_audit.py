"""The audit from a table to a page: what it says, what it keeps to itself, what it refuses."""

import gzip
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from maxmin_core.audit import audit_votes
from maxmin_core.audit._found import worst_off
from maxmin_core.audit._names import guess_columns, item_labels, pseudonyms, traits
from maxmin_core.audit._search import either_way
from maxmin_core.audit._serving import named
from maxmin_core.cli import main

ITEMS = [
    "tea",
    "<script>alert(1)</script>",
    "a text that is much too long to be the name of an item " * 3,
    "milk",
    "beer",
]


def table(n_people=60, n_votes=24, seed=0, share=0.5):
    """Return votes of two groups that want the opposite, with ties, who they are, and one who presses the first."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_people):
        mine = np.array([2.0, 1.0, 0.0, -1.0, -2.0]) * (1 if i < share * n_people else -1)
        for _ in range(n_votes):
            a, b = rng.choice(5, 2, replace=False)
            vote = "left" if rng.random() < expit(mine[a] - mine[b]) or i == 7 else "right"
            vote = "tie" if rng.random() < 0.05 and i != 7 else vote
            rows.append(
                (f"secret-{i:03}", ITEMS[a], ITEMS[b], vote, "north" if i < share * n_people else "south", f"essay {i}")
            )
    return pd.DataFrame(rows, columns=["worker", "left", "right", "winner", "region", "remark"])


@pytest.fixture(scope="module")
def votes():
    return table()


@pytest.fixture(scope="module")
def found(votes):
    return audit_votes(votes, group=["region", "remark"])


@pytest.fixture(scope="module")
def folder(found, tmp_path_factory):
    return found.write(tmp_path_factory.mktemp("audit") / "out").parent


class TestWhatItSays:
    def test_the_numbers_that_audit_json_promises(self, found, folder):
        record = json.loads((folder / "audit.json").read_text())
        assert record == found.record
        assert {"people", "votes", "ties", "dropped", "position_bias", "groups", "careless", "served", "rules"} <= set(
            record
        )
        assert {"more_than_one", "chosen", "shares", "heldout_gain"} <= set(record["groups"])
        assert record["people"] == 60 and record["votes"] == 60 * 24
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            ["audit.json", "groups.csv", "index.html", "items.csv", "people.csv", "rules.csv"]
        )

    def test_two_groups_who_they_are_and_who_presses_one_side(self, found, votes):
        record = found.record
        assert record["groups"]["more_than_one"] is True and record["groups"]["chosen"] == 2
        assert all(one["real"] for one in record["groups"]["described"])
        assert record["groups"]["heldout_gain"]["against_null"][1] > 0
        assert len(record["careless"]["press_one_side"]) == 1
        assert record["ties"]["ties"] == (votes["winner"] == "tie").sum()
        (region,) = [t for t in record["groups"]["traits"] if t["trait"] == "region" and t["of"] == "group"]
        assert region["p_holm"] < 0.05
        assert any("remark" in one["what"] for one in record["cannot_tell"])

    def test_rules_agree_with_the_solver(self, found):
        """The worst group's value under max-min is the largest that a search over mixtures of the groups finds."""
        rules = found.record["rules"]
        assert rules["worst-off group (max-min)"]["gap"] < 1e-6
        worst = {rule: min(one["values"]) for rule, one in rules.items() if one["chosen"] is not None}
        assert len(worst) == 8
        assert rules["least largest regret"]["chosen"] is not None

    def test_the_same_again(self, found, votes):
        assert audit_votes(votes, group=["region", "remark"]).record == found.record

    def test_the_worst_off_is_refused_where_reliability_place_or_chance_explains_it(self):
        class Found:
            more_than_one = True

        gaps = np.tile([0.1, 0.5], (40, 1))
        group = {"described": True, "real": True, "share_first": [0.5], "agreement_with_its_own_reward": [0.8]}
        assert worst_off(Found, [group, group], gaps)[0] == 2
        for change, word in (
            ({"real": False}, "reliably"),
            ({"described": False}, "fewer than"),
            ({"share_first": [0.9]}, "where an item stood"),
        ):
            named, why = worst_off(Found, [group, group | change], gaps)
            assert named is None and word in why
        gaps[:10] = [0.6, 0.1]
        assert "cannot tell" in worst_off(Found, [group, group], gaps)[1]
        Found.more_than_one = None
        assert worst_off(Found, [group, group], gaps)[0] is None


class TestTables:
    """The files beside the page, and what stands on it."""

    def test_people(self, found, folder):
        people = pd.read_csv(folder / "people.csv")
        assert list(people["person"]) == sorted(people["person"]) and len(people) == 60
        presses = people["presses"] == "first"
        assert (
            presses.sum() == 1 and people.loc[presses, "person"].tolist() == found.record["careless"]["press_one_side"]
        )
        # Who presses one side is in no group; everybody else is careless or in one of the two.
        shares = people[["careless", "group_1", "group_2"]]
        assert shares[presses].isna().all(axis=None)
        np.testing.assert_allclose(shares[~presses].sum(axis=1), 1.0, atol=1e-9)
        assert (shares["group_1"] > 0.9).sum() in range(28, 32)

    def test_items(self, found, folder):
        items = pd.read_csv(folder / "items.csv")
        assert list(items["single"]) == sorted(items["single"], reverse=True)
        assert items["single"].mean() == pytest.approx(0.0, abs=1e-12)
        assert ((items["low"] < items["single"]) & (items["single"] < items["high"])).all()
        assert items["group_1"].corr(items["group_2"]) < -0.9

    def test_every_part_of_the_record_is_on_the_page(self, found, folder):
        page = (folder / "index.html").read_text()
        captions = re.findall(r"<caption>(.*?)</caption>", page)
        for caption in ("How people vote", "One reward, seen by every group", "The groups", "under every rule"):
            assert any(caption in one for one in captions), (caption, captions)
        served = page[page.index("One reward, seen by every group") :]
        for one in found.record["served"]:
            assert f"{one['win_rate'][0]:.0%} ({one['win_rate'][1]:.0%} to {one['win_rate'][2]:.0%})" in served

    def test_without_places_the_page_says_so(self, votes):
        found = audit_votes(votes[["worker", "left", "right", "winner"]], seed=3)
        assert found.record["position_bias"]["known"] and "a bias cannot be seen" not in found.page
        turned = votes["left"] > votes["right"]
        one, other = votes["left"].where(~turned, votes["right"]), votes["right"].where(~turned, votes["left"])
        winner = votes["winner"].where(~turned, votes["winner"].map({"left": "right", "right": "left", "tie": "tie"}))
        sorted_ = audit_votes(votes.assign(left=one, right=other, winner=winner))
        assert not sorted_.record["position_bias"]["known"] and "a bias cannot be seen" in sorted_.page


class TestWhatItKeepsToItself:
    def test_no_name_of_a_person_no_text_and_no_markup_leaves(self, folder):
        for path in folder.iterdir():
            text = path.read_text()
            assert "secret-" not in text and "essay" not in text and "much too long" not in text, path.name
        page = (folder / "index.html").read_text()
        assert "<script" not in page and "&lt;script&gt;" in page

    def test_pseudonyms_are_stable_and_need_all_names(self):
        names = [f"worker {i}" for i in range(300)]
        found = pseudonyms(names)
        assert len(set(found)) == 300 and found == pseudonyms(names)
        assert dict(zip(names, found, strict=True)) == dict(zip(names[::-1], pseudonyms(names[::-1]), strict=True))
        assert not set(found) & set(pseudonyms([*names, "one more"]))

    def test_few_people_are_not_described(self):
        kept, refused = traits(
            {"city": ["a"] * 9 + ["b"] * 4 + ["c"] * 8, "age": range(21), "note": map(str, "abcdefghijklmnopqrstu")}, 5
        )
        assert set(kept["city"]) == {"a", "", "c"} and len(set(kept["age"])) == 3
        assert "21 different values" in refused["note"]
        assert "fewer than two" in traits({"x": ["a"] * 9 + ["b"]}, 5)[1]["x"]

    def test_nothing_of_a_small_group_stands_in_the_rules(self):
        rules = {"one": {"chosen": 1, "values": [1.0, 2.0], "win_rates": [0.5, 0.6], "weights": None, "gap": None}}
        found = named(rules, ["a", "b"], [True, False])["one"]
        assert found["chosen"] == "b" and found["values"] == [1.0, None] and found["win_rates"] == [0.5, None]

    def test_items_have_short_names_and_different_ones(self):
        assert item_labels(["a", " a", "x" * 50, 3]) == ["a (1)", "a (2)", "item 3", "3"]


class TestBadInput:
    def test_a_column_given_twice(self, votes, tmp_path, capsys):
        path = tmp_path / "votes.csv"
        pd.concat([votes, votes[["left"]]], axis=1).to_csv(path, index=False)
        assert main(["audit", str(path), "--out", str(tmp_path / "out")]) == 1
        assert "expected every column once" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        with pytest.raises(ValueError, match="^left|^first: expected one column 'left', got 2 of that name"):
            audit_votes(pd.concat([votes, votes[["left"]]], axis=1))

    def test_no_column_of_a_usual_name(self, votes):
        with pytest.raises(ValueError, match="^annotator: expected the name of a column, as none is called annotator"):
            audit_votes(votes.rename(columns={"worker": "wer"}))
        columns = guess_columns(["Judge", "model_a", "model_b", "winner"], {})
        assert columns == {"annotator": "Judge", "first": "model_a", "second": "model_b", "choice": "winner"}
        assert guess_columns(["user", "ranking"], {})["first"] is None

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"winner": "tie"}, "^source: expected at least one vote for one of two items, got ties alone"),
            ({"worker": "one"}, "^annotator: expected at least two people, got one"),
        ],
    )
    def test_nothing_to_compare(self, votes, change, message):
        with pytest.raises(ValueError, match=message):
            audit_votes(votes.assign(**change))

    def test_two_people_are_enough_and_one_who_looks(self, votes):
        two = votes[votes["worker"].isin(["secret-001", "secret-002"])]
        assert audit_votes(two).record["people"] == 2
        pressing = votes[votes["worker"].isin(["secret-007", "secret-008"])]
        pressing = pressing.assign(winner=pressing["worker"].map({"secret-007": "left", "secret-008": "right"}))
        with pytest.raises(ValueError, match="^source: expected somebody who does not always press one side, got none"):
            audit_votes(pd.concat([pressing] * 3))

    @pytest.mark.parametrize(
        ("options", "name"), [({"beta": 0}, "beta"), ({"seed": -1}, "seed"), ({"seed": True}, "seed")]
    )
    def test_numbers_that_cannot_be(self, votes, options, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            audit_votes(votes, **options)

    def test_a_label_without_a_meaning(self, votes, tmp_path, capsys):
        votes.to_csv(tmp_path / "votes.csv")
        assert main(["audit", str(tmp_path / "votes.csv"), "--out", str(tmp_path), "--label", "left"]) == 1
        assert "label: expected WORD=MEANING" in capsys.readouterr().err


def test_few_people_an_unbeaten_item_no_order_and_ids_as_numbers(tmp_path, capsys):
    """Rankings by a dozen people, from the command line: it ends, and says what it cannot tell."""
    rng = np.random.default_rng(0)
    rows = [(i, ">".join(["best", *rng.permutation(["x", "y", "z"])])) for i in range(12)]
    path = tmp_path / "rankings.csv"
    pd.DataFrame(rows, columns=["user", "ranking"]).to_csv(path, index=False)
    assert main(["audit", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "the page: file://" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert record["groups"]["more_than_one"] == "cannot tell" and record["worst_off"]["group"] is None
    told = {one["what"]: one["text"] for one in record["cannot_tell"]}
    assert "place" in told and "best" in told["items always or never chosen"]
    assert record["position_bias"]["known"] is False
    frame = pd.DataFrame(rows, columns=["user", "ranking"])
    # Ids as numbers stand in another order than as text, and are the same people.
    assert [one["reward"] for one in audit_votes(frame).record["single"]] == [one["reward"] for one in record["single"]]


def test_a_fixed_order_is_no_place():
    """Every pair in one order: the first item is liked, and nobody can say whether for its place."""
    one, other = np.array([0, 0, 1, 0]), np.array([1, 2, 2, 1])
    assert not either_way(one, other) and either_way(np.append(one, 1), np.append(other, 0))


def arena(votes):
    """Return the votes under the columns of Chatbot Arena."""
    names = {"worker": "judge", "left": "model_a", "right": "model_b"}
    talk = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": "an answer"}]
    winner = votes["winner"].map({"left": "model_a", "right": "model_b", "tie": "tie (bothbad)"})
    rows = votes.rename(columns=names).assign(winner=winner)
    return rows.assign(conversation_a=[talk] * len(votes), conversation_b=[talk] * len(votes))


def test_a_public_table_by_its_name(votes):
    record = audit_votes(arena(votes), preset="chatbot_arena").record
    assert record["settings"]["preset"] == "chatbot_arena" and record["position_bias"]["known"]
    assert record["ties"]["both_bad"] == (votes["winner"] == "tie").sum() and record["ties"]["ties"] == 0
    assert record["groups"]["more_than_one"] is True and record["groups"]["chosen"] == 2


def test_scores_with_a_sign_and_features(votes):
    """What people like is the strength: one feature, and two groups that want more and less of it."""
    size = dict(zip(ITEMS, np.arange(5.0), strict=True))
    score = votes["winner"].map({"left": 2, "right": -3, "tie": 0})
    features = pd.DataFrame({"strength": size, "other": {name: x**2 % 3 for name, x in size.items()}})
    found = audit_votes(votes.assign(winner=score), positive="first", features=features)
    assert found.record["groups"]["more_than_one"] is True
    # Rewards by features have any mean; those that are shown have zero.
    assert np.mean([one["reward"] for one in found.record["single"]]) == pytest.approx(0.0, abs=1e-6)
    tops = [one["rewards"][0]["item"] for one in found.record["groups"]["described"]]
    assert set(tops) == {"tea", "beer"}


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_the_page_stands_alone_fits_and_is_accessible(folder):
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium was found (make chromium)")
    from playwright.sync_api import sync_playwright

    text = (folder / "index.html").read_text()
    assert not re.search(r"https?://|\bsrc=|url\(", text)
    axe = gzip.decompress((Path(__file__).parents[1] / "book" / "axe" / "axe.min.js.gz").read_bytes()).decode()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width in (1280, 390):
            for theme in ("light", "dark"):
                # The page's own policy lets no script in, axe included.
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True
                )
                context.set_offline(True)
                page, asked = context.new_page(), []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.goto((folder / "index.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.evaluate(axe)
                violations = page.evaluate("async () => (await axe.run()).violations")
                assert [(one["id"], one["nodes"][0]["html"][:100]) for one in violations] == []
                assert len(asked) == 1
                context.close()
        browser.close()
