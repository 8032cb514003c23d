"""Chapter 11: what it computes on its page, by another route; and its page without the data."""

import json

import numpy as np
import pandas as pd
import pytest

from maxmin_core.book.chapters import find_chapter
from maxmin_core.book.claims import load_ledger
from maxmin_core.book.running import run
from maxmin_core.book.site import judge_runs
from maxmin_core.preferences import Population, fit_mixture, select_n_groups, simulate_comparisons


@pytest.fixture(scope="module")
def people():
    population = Population([0.7, 0.3], [[1.5, 0.0, -1.5], [-1.0, 0.0, 1.0]])
    return simulate_comparisons(population, np.eye(3), 40, 12, seed=0)[0]


@pytest.mark.parametrize("careless", [False, True])
def test_the_probability_of_votes_is_that_of_the_fit(defined_in, people, careless):
    (log_chance,) = defined_in("11", "log_chance")
    fit = fit_mixture(people, 2, careless=careless)
    assert log_chance(fit, people).sum() == pytest.approx(fit.log_likelihood, abs=1e-8)


def test_held_out_people_are_scored_as_in_chapter_4(defined_in, people):
    heldout, _ = defined_in("11", "heldout", "log_chance", seed=0)
    table = select_n_groups(people, [1, 2], l2=2.0, seed=0)
    for k in (1, 2):
        assert heldout(people, k).mean() == pytest.approx(table.heldout[k], abs=1e-9)


def test_agreement_with_the_others_by_hand(defined_in):
    """On pair a persons 0 and 1 agree, 2 does not; 3 is of another crowd. On pair b there is one vote, and a tie."""
    cast = pd.DataFrame(
        {
            "pair": ["a", "a", "a", "a", "b", "b"],
            "person": [0, 1, 2, 3, 0, 1],
            "says": [1, 1, -1, -1, 1, 0],
            "decided": [True] * 5 + [False],
        }
    )
    agree_with_others, _ = defined_in("11", "agree_with_others", "by_worker", cast=cast, n_people=4)
    crowd, others = np.array([True, True, True, False]), np.array([False, False, False, True])
    # Without one's own vote: 0 and 1 face one vote each way, which is no majority; 2 faces two against.
    assert agree_with_others(crowd, crowd).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]
    # Person 3 against the crowd, whose sum is one; the crowd against person 3.
    assert agree_with_others(others, crowd).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert agree_with_others(crowd, others).tolist() == [[0, 0, 1, 0], [1, 1, 1, 0]]


def test_the_share_of_coin_tossers_is_found(defined_in):
    (coins,) = defined_in("11", "coins")
    rng = np.random.default_rng(0)
    group, of = rng.integers(2, size=600), rng.integers(3, 20, size=600)
    tosses = rng.random(600) < np.array([0.05, 0.4])[group]
    wrong = rng.binomial(of, np.where(tosses, 0.5, 0.03))
    np.testing.assert_allclose(coins(wrong, of, group, np.ones(600)), [0.05, 0.4], atol=0.05)
    # Somebody who counts twice is two people.
    twice = np.append(np.arange(600), np.arange(100))
    again = coins(wrong[twice], of[twice], group[twice], np.ones(700))
    np.testing.assert_allclose(coins(wrong, of, group, 1.0 + (np.arange(600) < 100)), again, atol=1e-9)


def test_the_page_without_the_data(root, tmp_path, monkeypatch):
    """It runs, says so, and the claims on the votes are not run; those on the survey are not excused."""
    monkeypatch.setenv("MAXMIN_DATA", str(tmp_path / "nowhere"))
    metrics = run(find_chapter(root, "11"), "smoke", tmp_path / "out")
    assert metrics["lacks"] == ["llmfao"]
    of_survey = {"people.survey_tastes", "people.survey_circles", "people.survey_careless"}
    assert set(metrics["claims"]) == of_survey | {"people.audit_sees_groups", "people.audit_claims_no_group"}
    path = next((tmp_path / "out" / "notebooks").glob("11_*.ipynb"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    shown = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs]
    assert sum("The votes were not there when this page was made" in text for text in shown) == 1
    assert sum("the data are not there (`maxmin data llmfao`)" in text for text in shown) >= 10
    # As a build of the cpu profile would judge it.
    written = tmp_path / "out" / "metrics" / "11.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"profile": "cpu"}))
    judged = judge_runs(root, tmp_path / "out")
    here = judged[judged["chapter"] == "11"].set_index("id")["status"]
    needs = {claim.id: bool(claim.data) for claim in load_ledger(root / "book" / "claims.yml")}
    assert {needs[name] == (status == "not run (needs the data)") for name, status in here.items()} == {True}
    assert set(metrics["claims"]) == {name for name in here.index if not needs[name]}
