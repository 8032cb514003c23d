"""The script of book/rerun.md, with a tiny model in place of the reader's."""

import re
import runpy


def test_a_script_of_ones_own_trains_by_two_groups_rewards(root, policy_folder, tmp_path, monkeypatch, capsys):
    page = (root / "book" / "rerun.md").read_text(encoding="utf-8")
    script = re.search(r"\(sec-own-script\)=.*?```python\n(.*?)```", page, re.S).group(1)
    assert script.count('"FOLDER"') == 1
    script = script.replace('"FOLDER"', repr(str(policy_folder))).replace("max_steps=20", "max_steps=2, use_cpu=True")
    script = script.replace("max_completion_length=16", "max_completion_length=6")
    (tmp_path / "own.py").write_text(script, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    after = runpy.run_path("own.py")
    log = after["log"][-2]
    weights = [log["weight/long"], log["weight/short"]]
    assert abs(sum(weights) - 1) < 1e-9 and weights[0] != weights[1]
    # The group whose mean is lower has gained weight.
    assert (weights[0] > weights[1]) == (log["value/long"] < log["value/short"])
    assert "weight/long" in capsys.readouterr().out
