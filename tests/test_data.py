import os
from hashlib import sha256

import numpy as np
import pytest

from maxmin_core.cli import main
from maxmin_core.data import data_folder, fetch_llmfao, has_llmfao, llmfao, load_llmfao, load_survey, load_toy
from maxmin_core.preferences import Comparisons, read_comparisons


def test_counts_of_the_survey():
    comparisons, respondents = load_survey()
    assert len(comparisons) == 192 * 15
    assert sorted(set(comparisons["first"]) | set(comparisons["second"])) == [
        "CDU/CSU",
        "FDP",
        "Gruene",
        "Linke",
        "SPD",
        "none",
    ]
    assert list(respondents.index) == sorted(set(comparisons["respondent"])) == list(range(1, 193))
    assert respondents["gender"].value_counts().to_dict() == {"female": 96, "male": 96}
    # Stratified: 48 in each cell of gender and age.
    assert (respondents.groupby(["gender", respondents["age"] < 30]).size() == 48).all()


def test_everybody_judged_every_pair_once():
    comparisons = Comparisons.from_frame(load_survey()[0])
    low, high = np.minimum(comparisons.winner, comparisons.loser), np.maximum(comparisons.winner, comparisons.loser)
    assert len(set(zip(comparisons.annotator, low, high, strict=True))) == 192 * 15


def test_the_order_of_respondents_is_that_of_annotators():
    frame, respondents = load_survey()
    comparisons = Comparisons.from_frame(frame)
    np.testing.assert_array_equal(respondents.index.to_numpy()[comparisons.annotator], frame["respondent"])


class TestToy:
    def test_what_each_person_was_asked_and_chose(self):
        frame = load_toy()
        assert len(frame) == 36
        first = frame.assign(first_wins=frame["choice"] == "first").groupby(["respondent", "first", "second"])
        counts = first["first_wins"].agg(["sum", "size"])
        assert (counts["size"] == 6).all()
        assert counts["sum"].to_dict() == {
            ("Ana", "middle", "expert"): 4,
            ("Ana", "plain", "middle"): 5,
            ("Ben", "middle", "expert"): 4,
            ("Ben", "plain", "middle"): 5,
            ("Cleo", "middle", "expert"): 1,
            ("Cleo", "plain", "middle"): 2,
        }

    def test_it_reads_as_comparisons(self):
        toy = Comparisons.from_frame(load_toy())
        assert toy.items == ("expert", "middle", "plain")
        # Wins by hand: expert 2 + 2 + 5, middle (1 + 4) + (1 + 4) + (4 + 1), plain 5 + 5 + 2.
        np.testing.assert_array_equal(np.bincount(toy.winner), [9, 15, 12])
        np.testing.assert_array_equal(np.bincount(toy.annotator), [12, 12, 12])


class TestLlmfao:
    """The files are fetched, checked and read; small ones of ours stand in for those of the repository."""

    TEXTS = {
        "crowd-comparisons.csv": "id,prompt,model_x,model_y,worker,winner,left,right\n0,8,1,2,58,tie,One,Two\n",
        "models.jsonl": '{"id":1,"name":"One"}\n',
        "prompts.jsonl": '{"id":8,"text":"why"}\n',
        "results.jsonl": '{"id":0,"model":1,"result":"so","prompt":8}\n',
    }

    @pytest.fixture
    def source(self, tmp_path, monkeypatch):
        source = tmp_path / "source"
        source.mkdir()
        for name, text in self.TEXTS.items():
            (source / name).write_text(text)
        digests = {name: sha256(text.encode()).hexdigest() for name, text in self.TEXTS.items()}
        monkeypatch.setattr(llmfao, "_FILES", digests)
        monkeypatch.setattr(llmfao, "_SOURCE", source.as_uri())
        monkeypatch.setenv("MAXMIN_DATA", str(tmp_path / "data"))
        return source

    def test_fetched_once_and_read(self, source, tmp_path, capsys):
        with pytest.raises(ValueError, match="^llmfao: expected crowd-comparisons.csv in .*call `maxmin data llmfao`"):
            load_llmfao()
        assert not has_llmfao() and main(["data", "llmfao"]) == 0 and has_llmfao()
        said = capsys.readouterr().out
        assert said.count("fetching file://") == 4 and said.endswith(f"[llmfao] {tmp_path / 'data' / 'llmfao'}\n")
        assert main(["data", "llmfao"]) == 0 and "fetching" not in capsys.readouterr().out
        votes, answers, prompts, models = load_llmfao()
        assert votes["left"].item() == "One" and answers["result"].item() == "so" and prompts["text"].item() == "why"
        assert read_comparisons(votes, preset="llmfao")[1].ties == 1 and len(models) == 1

    def test_another_file_than_the_published_one_is_refused(self, source, tmp_path, capsys):
        (source / "models.jsonl").write_text("changed")
        assert main(["data", "llmfao"]) == 1
        assert "llmfao: expected models.jsonl with SHA-256" in capsys.readouterr().err
        assert not (tmp_path / "data" / "llmfao" / "models.jsonl").exists()
        (source / "models.jsonl").write_text(self.TEXTS["models.jsonl"])
        fetch_llmfao(lambda line: None)
        (tmp_path / "data" / "llmfao" / "prompts.jsonl").write_text("damaged")
        with pytest.raises(ValueError, match="^llmfao: expected the published prompts.jsonl, got another file"):
            load_llmfao()
        # What is damaged is fetched again.
        fetch_llmfao(lambda line: None)
        load_llmfao()

    def test_what_cannot_be_fetched_is_named(self, source, capsys):
        (source / "results.jsonl").unlink()
        assert main(["data", "llmfao"]) == 1
        error = capsys.readouterr().err
        assert "results.jsonl could not be fetched" in error and "by hand" in error

    def test_without_a_folder_of_ones_own_it_is_the_cache(self, monkeypatch, tmp_path):
        monkeypatch.delenv("MAXMIN_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert data_folder() == tmp_path / "maxmin" / "llmfao"

    def test_no_cache_of_ones_own_is_the_one_at_home(self, monkeypatch, tmp_path):
        for name in ("MAXMIN_DATA", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(llmfao.Path, "home", lambda: tmp_path)
        assert data_folder("other") == tmp_path / ".cache" / "maxmin" / "other"
        monkeypatch.setenv("MAXMIN_DATA", "there")
        assert data_folder().as_posix() == "there/llmfao"

    def test_a_server_that_does_not_answer_is_waited_for_a_minute(self, source, tmp_path, monkeypatch):
        waited, said = [], []

        def urlopen(address, timeout):
            waited.append((address, timeout))
            raise TimeoutError("too late")

        monkeypatch.setattr("urllib.request.urlopen", urlopen)
        address, folder = f"{source.as_uri()}/crowd-comparisons.csv", tmp_path / "data" / "llmfao"
        told = f"llmfao: {address} could not be fetched (too late); try again, or put the file into {folder} by hand"
        with pytest.raises(OSError) as raised:
            fetch_llmfao(said.append)
        assert str(raised.value) == told and waited == [(address, 60)] and said == [f"fetching {address}"]

    def test_a_worker_s_word_for_nothing_is_a_word(self, source, monkeypatch):
        text = self.TEXTS["crowd-comparisons.csv"].replace("One,Two", "NA,")
        (source / "crowd-comparisons.csv").write_text(text)
        kept = llmfao._FILES | {"crowd-comparisons.csv": sha256(text.encode()).hexdigest()}
        monkeypatch.setattr(llmfao, "_FILES", kept)
        fetch_llmfao(lambda line: None)
        votes = load_llmfao().votes
        assert (votes["left"].item(), votes["right"].item()) == ("NA", "")
        # Three of four files are not there.
        for name in list(self.TEXTS)[1:]:
            (data_folder() / name).unlink()
        assert not has_llmfao()

    def test_the_source_is_one_commit(self):
        assert len(llmfao._COMMIT) == 40 and llmfao._SOURCE.endswith(f"dustalov/llmfao/{llmfao._COMMIT}")
        assert {name: len(digest) for name, digest in llmfao._FILES.items()} == dict.fromkeys(self.TEXTS, 64)

    @pytest.mark.skipif(not os.environ.get("MAXMIN_DATA"), reason="needs the data (MAXMIN_DATA)")
    def test_the_published_files(self):
        assert has_llmfao()
        votes, answers, prompts, models = load_llmfao()
        assert (len(votes), len(answers), len(prompts), len(models)) == (8931, 1133, 19, 70)
        judged = {*zip(votes["left"], votes["prompt"], strict=True), *zip(votes["right"], votes["prompt"], strict=True)}
        assert len(judged) == 750 and judged <= {*zip(answers["name"], answers["prompt"], strict=True)}
