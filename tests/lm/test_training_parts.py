"""What a training notes, resumes from and leaves behind, and what its base is made of: stubs train and draw."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset
from safetensors.numpy import load_file, save_file

from maxmin_core.alignment import Egalitarian, Utilitarian
from maxmin_core.lm import _room, base, train
from maxmin_core.lm.enumerable import WordRewards
from maxmin_core.lm.profiles import find_profile, key
from maxmin_core.lm.results import base_folder
from maxmin_core.lm.texts import Texts
from maxmin_core.lm.train import METHODS, _Memory

SMALL = find_profile("smoke", steps=4)
REWARDS = WordRewards([[1.0, 0.0], [0.0, 1.0]], [0.8, 0.2])


@pytest.fixture
def stub(monkeypatch):
    told = SimpleNamespace(ended=[], reached=4, first=True)

    def make(reward, prompts, reference, profile, folder, **options):
        told.reward, told.options = reward, options

        def save_model(where):
            (folder / "model").touch()
            (folder / "training_args.bin").touch()

        told.trainer = SimpleNamespace(
            train=lambda **how: setattr(told, "how", how),
            state=SimpleNamespace(global_step=told.reached),
            processing_class=SimpleNamespace(save_pretrained=lambda where: (where / "words").touch()),
            save_model=save_model,
            is_world_process_zero=lambda: told.first,
            accelerator=SimpleNamespace(wait_for_everyone=lambda: told.ended.append("waited")),
            model=SimpleNamespace(training=True),
        )
        return told.trainer

    monkeypatch.setattr(train, "make_trainer", make)
    monkeypatch.setattr(train, "end_vllm", lambda trainer: told.ended.append("vllm"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    return told


def begin(folder, method="maxmin", profile=SMALL, **options):
    given = (METHODS[method], REWARDS, ["a", "b"], ["p", "q"], folder / "reference", profile, folder / "run")
    return train.train(*given, seed=5, **options)


class TestTrain:
    def test_all_that_counts_is_noted(self, stub, tmp_path, monkeypatch):
        begin(tmp_path, start=np.array([0.25, 0.75]), welfare=Egalitarian(), beta=0.5)
        noted = json.loads((tmp_path / "run" / "settings.json").read_text())
        profile = asdict(SMALL)
        del profile["vllm"]
        assert noted == {
            "method": {
                "name": "maxmin",
                "rewards": "mixture",
                "welfare": "Egalitarian",
                "rate": 0.05,
                "per_response": False,
                "equal": False,
                "predicted": False,
                "trainer": "rloo",
            },
            "profile": profile,
            "seed": 5,
            "beta": 0.5,
            "groups": ["a", "b"],
            "rewards": REWARDS.fingerprint(),
            "welfare": repr(Egalitarian()),
            "start": [0.25, 0.75],
            "prompts": key(prompts=["p", "q"]),
            "processes": 1,
        }
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(
            ValueError, match="^folder: expected a run with .* got others in beta, processes, start, welf"
        ):
            begin(tmp_path)

    def test_what_the_trainer_is_asked_for(self, stub, tmp_path):
        assert begin(tmp_path, "grpo_scaled", stop_at=3) == tmp_path / "run"
        (memory,) = stub.options.pop("callbacks")
        assert stub.options == {"seed": 5, "beta": SMALL.beta, "kind": "grpo_scaled"}
        assert (memory.reward, memory.beta, memory.stop_at) == (stub.reward, SMALL.beta, 3)
        assert memory.folder == tmp_path / "run" and stub.how == {"resume_from_checkpoint": None}
        # A batch that is only judged moves no weight.
        assert not stub.reward.evaluating()
        stub.trainer.model.training = False
        assert stub.reward.evaluating()

    @pytest.mark.parametrize(
        ("method", "weights"),
        # Shares count where people are counted; every group once where groups are; or the worst.
        [("average", [0.8, 0.2]), ("equal", [0.5, 0.5]), ("maxmin_hard", [0.0, 1.0]), ("grpo", [0.5, 0.5])],
    )
    def test_a_welfare_is_made_where_none_is_given(self, stub, tmp_path, method, weights):
        begin(tmp_path, method)
        assert stub.reward.welfare.supergradient(np.array([1.0, 0.0])).tolist() == pytest.approx(weights)
        assert stub.reward.rate is None and stub.reward.groups == ["a", "b"] and not stub.reward.per_response

    def test_one_that_is_given_is_kept(self, stub, tmp_path):
        own = Utilitarian([0.3, 0.7])
        begin(tmp_path, "average", welfare=own)
        assert stub.reward.welfare is own
        begin(tmp_path / "other", "maxmin_predicted", start=[0.25, 0.75])
        assert np.exp(stub.reward.log_weights).tolist() == pytest.approx([0.25, 0.75]) and stub.reward.rate == 0.05
        begin(tmp_path / "third", "per_response")
        assert stub.reward.per_response

    def test_what_is_left_behind(self, stub, tmp_path):
        folder = tmp_path / "run"
        (folder / "checkpoint-2").mkdir(parents=True)
        (folder / "checkpoint-2" / "weights.safetensors").touch()
        assert begin(tmp_path) == folder
        assert stub.how == {"resume_from_checkpoint": str(folder / "checkpoint-2")} and stub.ended == ["waited"]
        assert {path.name for path in folder.iterdir()} == {"settings.json", "done.json", "model", "words"}
        assert json.loads((folder / "done.json").read_text()) == {"steps": 4}
        # Done is done.
        del stub.how
        assert begin(tmp_path) == folder and not hasattr(stub, "how")

    def test_who_is_stopped_is_not_done(self, stub, tmp_path):
        stub.reached = 3
        assert begin(tmp_path, profile=replace(SMALL, vllm=True)) is None and stub.ended == ["vllm"]
        assert not (tmp_path / "run" / "model").exists() and not (tmp_path / "run" / "done.json").exists()

    def test_one_process_writes(self, stub, tmp_path):
        stub.first = False
        assert begin(tmp_path) == tmp_path / "run" and stub.ended == ["waited"]
        assert {path.name for path in (tmp_path / "run").iterdir()} == {"settings.json", "model", "training_args.bin"}


class TestMemory:
    @pytest.fixture
    def memory(self, tmp_path):
        reward = SimpleNamespace(log_weights=np.log([0.25, 0.75]), penalty=0.5)
        return _Memory(reward, 0.2, tmp_path, 7)

    def state(self, step, first=True):
        return SimpleNamespace(global_step=step, is_world_process_zero=first)

    def test_weights_go_beside_a_checkpoint_and_come_back(self, memory, tmp_path):
        (tmp_path / "checkpoint-3").mkdir()
        memory.on_save(None, self.state(4, first=False), None)
        memory.on_save(None, self.state(3), None)
        saved = load_file(tmp_path / "checkpoint-3" / "weights.safetensors")
        assert saved["log_weights"].tolist() == np.log([0.25, 0.75]).tolist() and saved["penalty"] == 0.5
        assert not (tmp_path / "checkpoint-4").exists()
        other = {"log_weights": np.zeros(2), "penalty": np.array(9.0)}
        save_file(other, tmp_path / "checkpoint-3" / "weights.safetensors")
        # Two lines of three steps and a torn one: what came after the checkpoint is logged again.
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_text("1\n2\n3\n4\n5")
        memory.on_train_begin(None, self.state(3, first=False), None)
        assert memory.reward.log_weights.tolist() == [0.0, 0.0] and memory.reward.penalty == 9.0
        assert metrics.read_text() == "1\n2\n3\n4\n5"
        memory.on_train_begin(None, self.state(3), None)
        assert metrics.read_text() == "1\n2\n3\n"
        # A training that begins has no log, whatever lies there.
        memory.reward.penalty = 1.0
        memory.on_train_begin(None, self.state(0), None)
        assert metrics.read_text() == "" and memory.reward.penalty == 1.0
        metrics.unlink()
        memory.on_train_begin(None, self.state(0), None)
        assert metrics.read_text() == ""

    def test_a_step_s_numbers(self, memory, tmp_path):
        logs = {"loss": 0.5, "kl": 0.25, "completions/mean_length": 8.0, "step_time": 3, "what": "text", "n": 2}
        memory.on_log(None, self.state(2), None, logs=logs)
        memory.on_log(None, self.state(3), None, logs={"eval": 1.0, "kl": 100.0})
        memory.on_log(None, self.state(3, first=False), None, logs={"loss": 1.0})
        memory.on_log(None, self.state(4), None, logs={"loss": 1.0, "completions/mean_length": 100.0})
        lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        kept = {"step": 2, "loss": 0.5, "kl": 0.25, "completions/mean_length": 8.0, "n": 2}
        assert lines == [kept, {"step": 4, "loss": 1.0, "completions/mean_length": 100.0}]
        # Nats a token times tokens, at the strength: where one is missing it stays.
        assert memory.reward.penalty == pytest.approx(0.2 * 0.25 * 8)

    def test_it_stops_at_its_step(self, memory):
        for step, stops in ((6, False), (7, True), (8, False)):
            control = SimpleNamespace(should_save=False, should_training_stop=False)
            memory.on_step_end(None, self.state(step), control)
            assert (control.should_save, control.should_training_stop) == (stops, stops)


class TestBase:
    @pytest.fixture
    def made(self, monkeypatch, sentiment, tmp_path):
        told = SimpleNamespace(said=[], fits=[], wrote=[], loaded=[])
        reviews = Dataset.from_dict(
            {"text": list("abcdef"), "label": [0, 1] * 3, "split": ["gold", "features", "x"] * 2}
        )

        class Fitted:
            @staticmethod
            def fit(texts, labels):
                told.fits.append((list(texts), list(labels)))
                return sentiment

            load = type(sentiment).load

        def train_reference(texts, profile, folder, *, seed):
            told.reference = (texts, profile.name, seed)
            folder.mkdir()
            (folder / "reference.json").write_text("{}")

        def prompts(texts, tokenizer, **how):
            told.prompts = how
            return [f"p{k}" for k in range(how["n_prompts"])]

        def write(model, tokenizer, prompts, *, n_tokens, seed):
            told.wrote.append((list(prompts), n_tokens, seed))
            return Texts(prompts, [[1]] * len(prompts), [f"w {'w ' * (k % 3)}" for k in range(len(prompts))])

        monkeypatch.setattr(
            base, "load_reviews", lambda corpus, n_reviews: setattr(told, "read", (corpus, n_reviews)) or reviews
        )
        monkeypatch.setattr(base, "sentences", lambda found, **how: setattr(told, "cut", how) or ["s"])
        monkeypatch.setattr(base, "Sentiment", Fitted)
        monkeypatch.setattr(base, "train_reference", train_reference)
        monkeypatch.setattr(base, "make_prompts", prompts)
        monkeypatch.setattr(base, "write_texts", write)
        monkeypatch.setattr(base, "load_policy", lambda folder, **how: told.loaded.append(how) or ("m", "t"))

        def make(**changes):
            profile = find_profile("smoke", n_pairs=3, n_prompts=4, n_evaluation=2, reference_seed=8, **changes)
            return base.prepare(profile, tmp_path, say=told.said.append), told, base_folder(profile, tmp_path), profile

        return make

    def test_parts_and_their_seeds(self, made):
        found, told, folder, profile = made()
        assert told.read == ("movie-reviews", 3000) and told.cut == {"shortest": 4, "longest": 16}
        # The gold scorer and that of rewards see reviews of their own.
        assert told.fits == [(["a", "d"], [0, 1]), (["b", "e"], [1, 0])]
        assert told.reference == (["s"], "smoke", 8) and told.loaded == [{"cpu": True}]
        assert told.prompts == {"n_words": 3, "n_prompts": 9, "seed": 0}
        # Pairs of texts on the first prompts, none on those to train with, one on those that judge.
        pairs = ["p0", "p0", "p1", "p1", "p2", "p2"]
        assert told.wrote == [(pairs, 14, 1), (["p7", "p8"], 14, 2)]
        assert found.train == ["p3", "p4", "p5", "p6"] and found.pool.prompts == pairs
        assert found.baseline.prompts == ["p7", "p8"] and found.folder == folder
        assert found.reference == folder / "reference"
        assert json.loads((folder / "settings.json").read_text()) == asdict(profile)
        assert told.said == [
            "[base] sentiment classifier for gold",
            "[base] sentiment classifier for features",
            "[base] reference policy, 60 steps",
            "[base] texts of the reference",
        ]
        n = len(told.said)
        again = made()[0]
        assert again.train == found.train and len(told.said) == n

    def test_an_interruption_loses_one_step(self, made):
        _, told, folder, _ = made()
        (folder / "texts.json").unlink()
        (folder / "gold" / "sentiment.safetensors").unlink()
        told.said.clear()
        made()
        assert told.said == ["[base] sentiment classifier for gold", "[base] texts of the reference"]

    def test_chats_ask_for_the_rest(self, made):
        found, told, _, _ = made(chat="Go on: {}!")
        assert found.train[0] == [{"role": "user", "content": "Go on: p3!"}]
        assert told.wrote[1][0][0] == [{"role": "user", "content": "Go on: p7!"}]


class TestRoom:
    LLAMA = SimpleNamespace(
        num_hidden_layers=4, num_attention_heads=8, hidden_size=256, vocab_size=1000, num_key_value_heads=2, head_dim=64
    )
    GPT2 = SimpleNamespace(num_hidden_layers=3, num_attention_heads=8, hidden_size=256, vocab_size=1000)

    def test_keys_and_values_of_a_token(self):
        assert _room.keys_of(self.LLAMA, 2) == 2 * 4 * 2 * 64 * 2
        assert _room.keys_of(self.GPT2, 4) == 2 * 3 * 256 * 4

    def test_drawn(self, monkeypatch):
        # A text of ten tokens keeps 61,440 bytes here; twice that is room for two, a byte less for one, as is nothing.
        for room, n in ((2 * 61440, 2), (2 * 61440 - 1, 1), (0, 1), (10**9, 5)):
            monkeypatch.setattr(_room, "MOST_BYTES", room)
            assert _room.drawn_at_once(self.GPT2, 4, 10, 5) == n

    def test_read(self, monkeypatch):
        of_text = 10 * 34 * 256 * 4
        for room, n in ((3 * of_text, 3), (3 * of_text - 1, 2), (0, 1), (10**12, 5)):
            monkeypatch.setattr(_room, "MOST_BYTES", room)
            assert _room.read_at_once(self.GPT2, 4, 10, 5) == n
        # Logits are counted where they are asked for: ten thousand numbers a text.
        for most, n in ((40000, 4), (39999, 3), (0, 1)):
            monkeypatch.setattr(_room, "MOST_LOGITS", most)
            assert _room.read_at_once(self.GPT2, 4, 10, 5, logits=True) == n
            assert _room.read_at_once(self.GPT2, 4, 10, 5) == 5
        # Texts of nothing are texts.
        assert _room.read_at_once(self.GPT2, 4, 0, 5, logits=True) == 1
        monkeypatch.setattr(_room, "MOST_LOGITS", 3000)
        assert _room.read_at_once(self.GPT2, 4, 0, 5, logits=True) == 3
