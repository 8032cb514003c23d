"""Judges: a local model, and a server on this machine that speaks as OpenAI's does; what they say of a policy."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from scipy import stats

from maxmin_core.lm.judges import LocalJudge, ServerJudge, both_orders, intervals_over_seeds, judge_policy, with_wish
from maxmin_core.lm.policy import load_policy, log_probabilities, sample


class Server:
    """Answers in the form of OpenAI's; prefers the shorter answer, or says what it is told to say."""

    def __init__(self, say=None, status=200, body=None):
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                got = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append((self.path, dict(self.headers), got))
                text = got["messages"][0]["content"]
                first, second = text.split("Answer A: ")[1].split("\n\nWhich")[0].split("\n\nAnswer B: ")
                said = say or ("A" if len(first) < len(second) else "B")
                made = json.dumps({"choices": [{"message": {"content": said}}]}) if body is None else body
                self.send_response(status)
                self.end_headers()
                self.wfile.write(made.encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class TestServer:
    def test_it_is_asked_and_understood(self):
        with Server() as server:
            judge = ServerJudge(server.address + "/", "some-model", key="secret")
            chat = [{"role": "user", "content": "Name a film."}]
            assert judge(chat, "Heat.", "Perhaps Heat.", "Be brief.") == 1.0
            assert judge(chat, "Perhaps Heat.", "Heat.", "Be brief.") == 0.0
        path, headers, body = server.asked[0]
        assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret"
        assert body["model"] == "some-model" and body["temperature"] == 0
        for part in ("Be brief.", "Request: Name a film.", "Answer A: Heat.", "Answer B: Perhaps Heat."):
            assert part in body["messages"][0]["content"]

    @pytest.mark.parametrize(("said", "value"), [("**A**", 1.0), ("Answer B.", 0.0), ("b", 0.0), ("Neither", 0.5)])
    def test_what_it_may_say(self, said, value):
        with Server(say=said) as server:
            judge = ServerJudge(server.address, "m")
            assert judge("it", "is", "was", "brief") == value and judge.unclear == (value == 0.5)

    def test_an_address_that_does_not_answer_is_named(self):
        with Server() as server:
            address = server.address
        with pytest.raises(ValueError, match=f"^judge: expected an answer from {address}, got .*refused"):
            ServerJudge(address, "m", timeout=5)("it", "is", "was", "brief")

    def test_other_answers_are_named(self):
        with (
            Server(status=500) as server,
            pytest.raises(ValueError, match="^judge: expected an answer .* HTTP Error 500"),
        ):
            ServerJudge(server.address, "m")("it", "is", "was", "brief")
        for body in ("{}", "no json", '{"choices": []}'):
            with Server(body=body) as server, pytest.raises(ValueError, match=r"^judge: expected choices\[0\]"):
                ServerJudge(server.address, "m")("it", "is", "was", "brief")

    def test_who_likes_what_stands_first_says_nothing(self):
        with Server(say="A") as server:
            assert both_orders(ServerJudge(server.address, "m"))("it", "is", "was", "brief") == 0.5
            assert len(server.asked) == 2


@pytest.fixture(scope="module")
def pair(llama_folder):
    """A policy, and a reference that differs from it."""
    (policy, tokenizer), (reference, _) = load_policy(llama_folder), load_policy(llama_folder)
    with torch.no_grad():
        reference.lm_head.weight[4:] *= 0.5
    return policy, reference, tokenizer


class TestPolicy:
    WISHES = {"brief": "a", "wordy": "b c"}

    def test_numbers_by_hand(self, pair):
        policy, reference, tokenizer = pair
        prompts, asked = ["p0", "p1 a", "p2", "p3"] * 5, []

        def judge(prompt, first, second, wish):
            asked.append((prompt, wish))
            here, there = len(first.split()), len(second.split())
            return 0.5 if here == there else float((here < there) == (wish == "a"))

        found = judge_policy(policy, reference, tokenizer, prompts, self.WISHES, judge, n_tokens=5, seed=3)
        assert set(found) == {f"{name}, {how}" for name in self.WISHES for how in ("without", "with")}
        # Without a wish the texts are the same for all: what one group wins the other, of the opposite taste, loses.
        one, other = found["brief, without"], found["wordy, without"]
        assert one["win"] + other["win"] == pytest.approx(1) and one["kl"] == other["kl"]
        assert one["words"] == other["words"] and len(asked) == 2 * 4 * 20
        # The judge is never shown a request with the wish in it.
        assert {prompt for prompt, _ in asked} == set(prompts)
        # The texts with a wish, drawn again: what they cost and how long they are.
        told = [f"{p} b c" for p in prompts]
        ids = sample(policy, tokenizer, told, n_tokens=5, seed=3)
        apart = log_probabilities(policy, tokenizer, told, ids) - log_probabilities(reference, tokenizer, told, ids)
        assert found["wordy, with"]["kl"] == pytest.approx(apart.mean(), abs=1e-9)
        words = [len(text.split()) for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
        assert found["wordy, with"]["words"] == np.mean(words)

    def test_a_local_model_judges(self, pair):
        policy, _, tokenizer = pair
        judge = LocalJudge(policy, tokenizer)
        judge.letters = [tokenizer.convert_tokens_to_ids(word) for word in ("a", "b")]
        # Its context is short: the question is a word here.
        from maxmin_core.lm import judges

        patch = pytest.MonkeyPatch()
        patch.setattr(judges, "_ASKED", "{first}")
        chance = judge("p0", "c d", "e", "a")
        patch.undo()
        ids = torch.tensor(tokenizer(["c d"])["input_ids"])
        logits = policy(ids).logits[0, -1, judge.letters]
        assert chance == pytest.approx(1 / (1 + torch.exp(logits[1] - logits[0]).item()), abs=1e-6)


def test_a_wish_is_said_last():
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "Name a film."}]
    assert with_wish(chat, "Be brief.")[-1] == {"role": "user", "content": "Name a film. Be brief."}
    assert chat[-1]["content"] == "Name a film." and with_wish(chat, "x")[0] == chat[0]


def test_intervals_are_intervals_over_seeds():
    wins = [0.5, 0.6, 0.9]
    found = intervals_over_seeds([{"g, with": {"win": w, "kl": 1.0}} for w in wins])["g, with"]
    half = stats.t.ppf(0.975, 2) * np.std(wins, ddof=1) / np.sqrt(3)
    assert found["win"] == pytest.approx((np.mean(wins), half)) and found["kl"] == pytest.approx((1.0, 0.0))
    with pytest.raises(ValueError, match="^found: expected at least two seeds, got 1"):
        intervals_over_seeds([{}])
