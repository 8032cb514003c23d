"""Chapter 10 with the study that a GPU records, and without it: its numbers are those of the file."""

import json

import numpy as np
import pytest
from scipy import stats

from maxmin_core._files import write_json
from maxmin_core.lm.studies import find_study

GROUPS = ["positive", "detailed", "concise"]


@pytest.fixture
def cells(root):
    """The cells that show the study, after the chapter's imports."""
    (path,) = (root / "notebooks").glob("10_*.ipynb")
    code = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    imports = next(source for source in code if source.startswith("import inspect"))
    shown = [source for source in code if "recorded = " in source or source.startswith("if recorded:\n    spent")]
    assert len(shown) == 2
    return imports, shown


def run(cells, book, monkeypatch, capture):
    imports, shown = cells
    space = {"profile": "cpu", "seed": 0}
    exec(imports, space)
    space |= {"book": book, "display": capture}
    monkeypatch.setenv("MAXMIN_CLAIMS", str(book / "claims.json"))
    for source in shown:
        exec(source, space)
    made = book / "claims.json"
    return json.loads(made.read_text()) if made.exists() else {}


def test_without_the_file_nothing_is_claimed(cells, tmp_path, monkeypatch):
    said = []
    assert run(cells, tmp_path, monkeypatch, said.append) == {}
    assert len(said) == 1 and "was not recorded yet" in said[0].data and "maxmin study pretrained" in said[0].data


def test_its_numbers_are_those_of_the_file(cells, tmp_path, monkeypatch):
    (part,), rng, rows = find_study("pretrained").parts, np.random.default_rng(0), []
    value = {}
    for seed in part.seeds:
        for method in ("reference", *part.methods):
            value[method, seed] = rng.normal(0.0 if method == "reference" else 0.3, 0.1, size=3)
            row = {"label": part.label, "setting": part.setting, "seed": seed, "method": method, "beta": 0.15}
            row |= {"value": value[method, seed].tolist(), "kl": 0.5, "seconds": 60.0, "groups": GROUPS}
            rows.append(row | {"learned": [0.1, 0.2, 0.3], "assigned_right": 0.9})
    kept = {"profile": "pretrained-gpu", "date": "2026-11-26", "machine": "a GPU", "runs": rows}
    write_json(tmp_path / "studies" / "pretrained.json", kept)
    said = []
    found = run(cells, tmp_path, monkeypatch, said.append)
    lead = [value["maxmin", s].min() - value["single", s].min() for s in part.seeds]
    half = stats.t.ppf(0.975, 3) * np.std(lead, ddof=1) / 2
    entry = found["scale.maxmin_over_single"]
    assert entry["value"] == pytest.approx(np.mean(lead))
    assert entry["interval"] == pytest.approx([np.mean(lead) - half, np.mean(lead) + half])
    worst = [value["maxmin", s].argmin() for s in part.seeds]
    gains = [value["maxmin", s][u] - value["reference", s][u] for s, u in zip(part.seeds, worst, strict=True)]
    assert found["scale.worst_gains"]["value"] == pytest.approx(np.mean(gains))
    assert found["scale.groups_found"]["value"] == pytest.approx(0.9)
    mean = np.mean([value["equal", s].mean() - value["reference", s].mean() for s in part.seeds])
    assert found["scale.instruction_model_learns"]["value"] == pytest.approx(mean)
    assert f"{np.mean(lead):+.2f} (± {half:.2f}) from the single reward's" in said[-1].data
    assert "16 minutes of runs" in said[-1].data


def test_every_claim_of_the_study_is_recorded_by_it(cells, root):
    from maxmin_core.book.claims import load_ledger

    needed = {c.id for c in load_ledger(root / "book" / "claims.yml") if c.chapter == "10" and c.needs == "gpu"}
    assert len(needed) == 5 and all(f'"{name}"' in cells[1][0] for name in needed)
    criteria = " ".join(find_study("pretrained").criteria)
    assert all(name in criteria for name in needed)
