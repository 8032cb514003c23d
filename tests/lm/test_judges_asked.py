"""What judges are sent and shown, to the letter: nothing is asked of a network or a model."""

import json
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maxmin_core.lm import judges
from maxmin_core.lm.judges import LocalJudge, ServerJudge, judge_policy
from maxmin_core.lm.texts import Texts


class TestJudges:
    def test_a_server_is_asked_as_openai_s_are(self, monkeypatch):
        asked = []

        class Reply:
            def __init__(self, said):
                self.said = said

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def read(self, *_):
                return json.dumps({"choices": [{"message": {"content": self.said}}]}).encode()

        def urlopen(request, timeout):
            asked.append((request, timeout))
            return Reply("A")

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        for key, timeout in ((None, 60.0), ("k", 5)):
            how = {} if key is None else {"key": key, "timeout": timeout}
            assert ServerJudge("https://there//", "m", **how)("p", "x", "y", "w") == 1.0
            request, waited = asked[-1]
            assert waited == timeout and request.get_method() == "POST"
            assert request.full_url == "https://there/chat/completions"
            named = {"Content-type": "application/json"} | ({"Authorization": "Bearer k"} if key else {})
            assert request.headers == named
        said = (
            "Two answers to the same request. A reader with this wish chooses between them: w\n\nRequest: p\n\n"
            "Answer A: x\n\nAnswer B: y\n\nWhich answer does this reader prefer? Say A or B, nothing else."
        )
        assert json.loads(request.data) == {
            "model": "m",
            "messages": [{"role": "user", "content": said}],
            "temperature": 0,
            "max_tokens": 4,
        }

    def test_a_trial_does_not_count(self, monkeypatch):
        judge, asked = ServerJudge("http://there", "m"), []

        def answer(self, *given):
            asked.append(given)
            self.unclear += 1
            return 0.5

        monkeypatch.setattr(ServerJudge, "__call__", answer)
        judge.try_out()
        assert len(asked) == 1 and judge.unclear == 0

    @pytest.mark.parametrize("error", [TimeoutError("too late"), ConnectionError("gone")])
    def test_who_does_not_answer_is_named(self, monkeypatch, error):
        def urlopen(*_, **__):
            raise error

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        with pytest.raises(ValueError, match=f"^judge: expected an answer from http://there, got {error}$"):
            ServerJudge("http://there", "m")("p", "x", "y", "w")

    @pytest.mark.parametrize("template", [None, "template"])
    def test_a_local_model_is_asked_for_a_letter(self, monkeypatch, template):
        asked = []

        def tokenizer(letter, add_special_tokens):
            assert not add_special_tokens
            return {"input_ids": [7, {"A": 1, "B": 2}[letter]]}

        tokenizer.chat_template = template
        monkeypatch.setattr(judges, "encode", lambda t, prompts: asked.append(prompts) or [[4, 5]])

        def model(ids):
            assert ids.tolist() == [[4, 5]]
            return SimpleNamespace(logits=torch.tensor([[[9.0, 9.0, 0.0], [0.0, 2.0, 1.0]]]))

        model.device = "cpu"
        judge = LocalJudge(model, tokenizer)
        assert judge("p", "x", "y", "w") == pytest.approx(1 / (1 + np.exp(-1.0))) and judge.letters == [1, 2]
        (said,) = asked[0]
        words = said if template is None else said[0]["content"]
        assert "Answer A: x" in words and (template is None or said[0]["role"] == "user") and len(asked) == 1

    def test_seeds_and_shared_texts(self, monkeypatch):
        wrote = []

        def write(model, tokenizer, prompts, *, n_tokens, seed):
            wrote.append((model, prompts[0], n_tokens, seed))
            return Texts(prompts, [[1]], [f"{model} {len(wrote)}"])

        monkeypatch.setattr(judges, "write_texts", write)
        monkeypatch.setattr(judges, "log_probabilities", lambda m, *_: np.array([{"new": -1.0, "old": -3.0}[m]]))
        shown = []
        found = judge_policy(
            "new",
            "old",
            "t",
            ["p"],
            {"a": "A.", "b": "B."},
            lambda *given: shown.append(given) or 1.0,
            n_tokens=4,
            seed=2**31 - 1,
        )
        # Without a wish once for both; the reference's texts have another seed, which begins anew after the last.
        seeds = (("new", 2**31 - 1), ("old", 0))
        told = ["p", "p A.", "p B."]
        assert wrote == [(name, prompt, 4, seed) for prompt in told for name, seed in seeds]
        assert {given[0] for given in shown} == {"p"}
        first = [given[1] for given in shown]
        assert first == ["new 1", "old 2", "new 3", "old 4", "new 1", "old 2", "new 5", "old 6"]
        assert found["b, without"] == {"win": 0.5, "kl": 2.0, "words": 2.0}
