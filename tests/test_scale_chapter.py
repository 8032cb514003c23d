"""Chapter 10's studies: what the page says of a file, and what it says where a GPU has not recorded one yet."""

import json

import numpy as np
import pytest
from scipy import stats

from maxmin_core._files import write_json
from maxmin_core.book.claims import load_ledger
from maxmin_core.lm.studies import find_study

GROUPS = ["positive", "detailed", "concise"]
METHODS = ("reference", "single", "equal", "maxmin")


@pytest.fixture
def cells(root):
    """The cells that show the studies, after the chapter's imports."""
    (path,) = (root / "notebooks").glob("10_*.ipynb")
    code = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    imports = next(source for source in code if source.startswith("import inspect"))
    shown = [source for source in code if "runs_of(" in source or 'about["' in source]
    assert len(shown) == 4
    return imports, shown


def run(cells, book, monkeypatch):
    imports, shown = cells
    space, said = {"profile": "cpu", "seed": 0}, []
    exec(imports, space)
    space |= {"book": book, "display": said.append}
    monkeypatch.setenv("MAXMIN_CLAIMS", str(book / "claims.json"))
    for source in shown:
        exec(source, space)
    return json.loads((book / "claims.json").read_text()), [one.data for one in said]


def invent(book, name, seed):
    """Write a study's file with numbers of our own; return the groups' values of every method and seed."""
    (part,), rng, rows, value = find_study(name).parts, np.random.default_rng(seed), [], {}
    for method in METHODS:
        value[method] = rng.normal(0.0 if method == "reference" else 0.3, 0.1, size=(len(part.seeds), 3))
        for seed_of_run, means in zip(part.seeds, value[method], strict=True):
            row = {"label": part.label, "setting": part.setting, "seed": seed_of_run, "method": method, "beta": 0.15}
            row |= {"value": means.tolist(), "kl": 0.5, "seconds": 60.0, "groups": GROUPS}
            row |= {"accuracy_mixture": [0.5, 0.6, 0.9 if seed_of_run == 50 else 0.5]}
            row |= {
                "assigned_right": 0.9 if seed_of_run == 50 else 0.7,
                "begun_right": 0.6 if seed_of_run == 50 else 0.8,
            }
            rows.append(row | {"learned": [0.1 + 0.1 * METHODS.index(method), 0.5, 0.6]})
    chat = [{"role": "user", "content": "Continue this: the film"}]
    written = {method: [[chat, f"{method} {k}"] for k in range(3)] for method in METHODS}
    kept = {"profile": find_study(name).profile, "date": "2026-11-26", "machine": "two cores", "written": written}
    write_json(book / "studies" / f"{name}.json", kept | {"runs": rows})
    return value


def interval(differences):
    return np.mean(differences), stats.t.ppf(0.975, 3) * np.std(differences, ddof=1) / 2


def test_its_numbers_are_those_of_the_file(cells, tmp_path, monkeypatch):
    value = invent(tmp_path, "pretrained", 0)
    found, said = run(cells, tmp_path, monkeypatch)
    worst = {method: value[method].min(axis=1) for method in METHODS}
    last = value["maxmin"].argmin(axis=1)
    by_hand = {
        "scale.instruction_model_learns": (value["equal"] - value["reference"]).mean(axis=1),
        "scale.maxmin_over_single": worst["maxmin"] - worst["single"],
        "scale.maxmin_over_equal": worst["maxmin"] - worst["equal"],
        "scale.worst_gains": worst["maxmin"] - value["reference"][np.arange(4), last],
    }
    for name, differences in by_hand.items():
        mean, half = interval(differences)
        assert found[name]["value"] == pytest.approx(mean)
        assert found[name]["interval"] == pytest.approx([mean - half, mean + half])
        assert f"{mean:+.2f} (± {half:.2f})" in said[0]
    assert found["scale.groups_found"]["value"] == pytest.approx(0.75)
    assert "puts 75% of the annotators into their group on average (60%, 80%, 80%, 80%)" in said[0]
    assert "ends with 75% (90%, 70%, 70%, 70%)" in said[0]
    assert "in 50% (positive), 60% (detailed), 60% (concise) of the cases" in said[0]
    assert "at +0.40 under max-min, +0.30 under the equal average, +0.20 under the single reward and +0.10" in said[0]
    assert "16 minutes of one core" in said[0] and "the runs have learned something" in said[0]


def test_what_moved_too_little_has_learned_nothing_for_sure(cells, tmp_path, monkeypatch):
    invent(tmp_path, "pretrained", 0)
    path = tmp_path / "studies" / "pretrained.json"
    kept = json.loads(path.read_text())
    for run_of, sign in zip([r for r in kept["runs"] if r["method"] == "equal"], (1, -1, 1, -1), strict=True):
        run_of["value"] = [sign * 0.5] * 3
    write_json(path, kept)
    assert "it is not certain that anything was learned" in run(cells, tmp_path, monkeypatch)[1][0]


def test_without_the_larger_one_nothing_is_claimed_of_it(cells, tmp_path, monkeypatch):
    invent(tmp_path, "pretrained", 0)
    found, said = run(cells, tmp_path, monkeypatch)
    assert not [name for name in found if name.startswith("scale.larger")]
    assert "was not recorded yet" in said[-1] and "maxmin study pretrained-larger" in said[-1]


def test_the_larger_one_is_shown_once_it_is_there(cells, tmp_path, monkeypatch):
    invent(tmp_path, "pretrained", 0)
    value = invent(tmp_path, "pretrained-larger", 1)
    found, said = run(cells, tmp_path, monkeypatch)
    for rival in ("single", "equal"):
        mean, half = interval(value["maxmin"].min(axis=1) - value[rival].min(axis=1))
        assert found[f"scale.larger_over_{rival}"]["value"] == pytest.approx(mean)
        assert f"{mean:+.2f} (± {half:.2f})" in said[-1]
    assert found["scale.larger_groups_found"]["value"] == pytest.approx(0.75)


def test_every_claim_of_the_studies_is_recorded_by_the_chapter(cells, root):
    criteria = {name: " ".join(find_study(name).criteria) for name in ("pretrained", "pretrained-larger")}
    ledger = {claim.id: claim for claim in load_ledger(root / "book" / "claims.yml") if claim.chapter == "10"}
    of_gpu = {name for name, claim in ledger.items() if claim.needs == "gpu"}
    of_gpu.discard("scale.gpu_processes")
    assert of_gpu == {f"scale.larger_{end}" for end in ("groups_found", "over_single", "over_equal")}
    assert all(ledger[name].study == "pretrained-larger" and name in criteria["pretrained-larger"] for name in of_gpu)
    of_study = {name for name in ledger if name in criteria["pretrained"]}
    assert len(of_study) == 5
    assert all(f'"{name}"' in "".join(cells[1]) for name in of_gpu | of_study)


def test_every_row_that_waits_for_gpus_has_its_command(root):
    (path,) = (root / "notebooks").glob("10_*.ipynb")
    code = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    (source,) = (cell for cell in code if "of_gpus" in cell)
    shown = []
    exec(
        source,
        {"book": root / "book", "load_ledger": load_ledger, "tabulate": lambda rows, *_, **__: shown.extend(rows)},
    )
    claims = load_ledger(root / "book" / "claims.yml")
    waiting = [c.statement for c in claims if c.chapter == "10" and c.needs in ("gpu", "gpu-large") and not c.study]
    assert [row[0] for row in shown] == waiting and len(waiting) == 5
    assert all("maxmin_core.cli train --profile" in command for _, _, command, _ in shown)
