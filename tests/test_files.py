import errno
import os

import pytest

from maxmin_core._files import read_json, write_json, write_whole


def test_written_whole(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"x": [1, None]})
    assert read_json(tmp_path / "new" / "a.json") == {"x": [1, None]}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_partial_one(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), write_whole(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named(tmp_path):
    # /dev/full refuses every write as a full disk does.
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match=r"disk full: .*a\.txt was not written") as raised, write_whole(path):
        with open("/dev/full", "w") as full:
            full.write("x" * 10)
    assert raised.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with write_whole(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "old"
        partial.write_text("new")
    assert path.read_text() == "new"


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(PermissionError), write_whole(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "no")


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json: expected JSON"):
        read_json(tmp_path / "a.json")


def test_recorded_files_are_as_they_are_written(root, tmp_path):
    """A list of rows is one line each, and reads as it was; the files that the repository keeps are made so."""
    for rows in ([], [{"a": 1.5, "b": None}, {"a": [2]}]):
        write_json(tmp_path / "a.json", {"rows": rows, "x": {"y": 1}}, rows="rows")
        assert read_json(tmp_path / "a.json") == {"x": {"y": 1}, "rows": rows}
    kept = [(path, "runs") for path in sorted((root / "book" / "studies").glob("*.json"))]
    assert len(kept) > 5
    for path, rows in [*kept, (root / "maxmin_core" / "data" / "audit_verdicts.json", "rows")]:
        write_json(tmp_path / "a.json", read_json(path), rows=rows)
        assert (tmp_path / "a.json").read_text() == path.read_text(), path.name


def test_every_byte_of_a_json_file(tmp_path):
    # Recorded files are compared as they lie there: another indent would be a change of all of them.
    write_json(tmp_path / "a.json", {"x": [1, None], "y": "ä"})
    assert (tmp_path / "a.json").read_text() == '{\n "x": [\n  1,\n  null\n ],\n "y": "\\u00e4"\n}\n'
    write_json(tmp_path / "a.json", {"runs": [{"a": 1, "b": [2]}, {"a": 3}], "x": 1}, rows="runs")
    assert (tmp_path / "a.json").read_text() == '{\n "x": 1,\n "runs": [\n{"a":1,"b":[2]},\n{"a":3}\n ]\n}\n'
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "b.json", {"runs": [{"a": float("inf")}]}, rows="runs")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_quota_is_a_full_disk(tmp_path, number):
    with pytest.raises(OSError, match=r"disk full: .*a\.txt was not written; free some space and run again$") as raised:
        with write_whole(tmp_path / "a.txt"):
            raise OSError(number, "no")
    assert raised.value.errno == number


def test_a_partial_file_is_hidden_and_of_the_same_kind(tmp_path):
    # Beside its goal, so that it is renamed and not copied; each process has its own.
    with write_whole(str(tmp_path / "in" / "a.b.json")) as partial:
        assert partial == tmp_path / "in" / f".a.b.{os.getpid()}.partial.json"
        partial.write_text("{}")
    # What is there already is no hindrance.
    with write_whole(tmp_path / "in" / "a.b.json") as partial:
        partial.write_text("[]")
    assert read_json(str(tmp_path / "in" / "a.b.json")) == []
