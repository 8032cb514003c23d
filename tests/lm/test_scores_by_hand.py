"""What is said of texts, by hand: sentiment, attributes, annotators, learned rewards, metrics."""

from types import SimpleNamespace

import numpy as np
import pytest

from maxmin_core.lm import adapter_rewards, evaluate, score_heads, sentiment, texts
from maxmin_core.lm.adapter_rewards import AdapterRewards
from maxmin_core.lm.annotators import Gold, ask, compare, draw_groups, halves
from maxmin_core.lm.features import FEATURES, TextFeatures
from maxmin_core.lm.reward import Rewards, learn_known
from maxmin_core.lm.reward_model import ModelRewards
from maxmin_core.lm.sentiment import Sentiment
from maxmin_core.lm.texts import Texts, write_texts


def marks(found):
    return np.array([float(text.count("!")) for text in found])


class TestSentiment:
    def test_pieces_of_ten_words_of_at_most_two_hundred(self, monkeypatch):
        seen = {}

        class Stub:
            coef_, intercept_ = np.array([[1.0]]), np.array([0.5])

            def __init__(self, **options):
                seen["model"] = options

            def fit(self, found, of):
                seen["of"] = of
                return self

        def vectorizer(**options):
            seen["options"] = options
            return SimpleNamespace(fit_transform=lambda cut: seen.update(cut=cut))

        monkeypatch.setattr(sentiment, "LogisticRegression", Stub)
        monkeypatch.setattr(sentiment, "_vectorizer", vectorizer)
        long, other = " ".join(["w"] * 230), " ".join(["v"] * 13)
        found = Sentiment.fit([long, other, "u u u u", "t t t"], [1, 0, 1, 0])
        whole, ten = ["w"] * 230, " ".join(["w"] * 10)
        # Of thirteen words the last three are no piece; four words are one.
        assert seen["cut"] == [" ".join(whole), *[ten] * 20, other, " ".join(["v"] * 10), "u u u u", "u u u u", "t t t"]
        assert seen["of"] == [1] * 21 + [0] * 2 + [1] * 2 + [0]
        assert seen["model"] == {"max_iter": 300, "C": 1.0} and seen["options"] == {"min_df": 10}
        assert (found.coefficients.tolist(), found.intercept) == ([1.0], 0.5)

    def test_words_and_pairs_of_words_count_by_their_logarithm(self):
        found = sentiment._vectorizer()
        weights = found.fit_transform(["good good ! , film's", "Bad ?"]).toarray()
        names = found.get_feature_names_out().tolist()
        assert names == ["!", "! film's", "?", "ad", "ad ?", "film's", "good", "good !", "good good"]
        assert weights[0][names.index("good")] / weights[0][0] == pytest.approx(1 + np.log(2))

    def test_log_odds_add_up(self):
        found = sentiment._vectorizer(vocabulary={"a": 0, "b": 1})
        found.idf_ = np.array([1.0, 1.0])
        assert Sentiment(found, [2.0, -1.0], 0.25)(["a", "b", "c", "a b"]).tolist() == pytest.approx(
            [2.25, -0.75, 0.25, 0.25 + 1 / np.sqrt(2)]
        )


class TestAttributes:
    TEXTS = ["was not good , , , no never ! !", "a b c d e f g h i j k l", ""]

    def test_all_ten_by_hand(self):
        asked = []
        features = TextFeatures(lambda whole: asked.append(whole) or marks(whole))
        found = features(["it !", "so", "no"], self.TEXTS)
        assert asked == [[f"it ! {self.TEXTS[0]}", f"so {self.TEXTS[1]}", "no "]]
        # Sentiment, words, words above 3, 5, 7, 9, 11; commas, exclamations and negations, two at most.
        assert found.tolist() == [
            [3, 10, 7, 5, 3, 1, 0, 2, 2, 2],
            [0, 12, 9, 7, 5, 3, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        words = "not no never nothing don't doesn't didn't isn't wasn't can't".split()
        assert [row[-1] for row in features(["p"] * 10, words).tolist()] == [1] * 10

    def test_zero_and_unit(self):
        fitted = TextFeatures.fit(marks, ["it"] * 2, ["a", "a b c !"])
        # Words are one and four: mean 2.5, spread 1.5; what does not vary is zero, however large it is elsewhere.
        found = fitted(["it"], ["a , , b c d e"])[0]
        assert found[:3].tolist() == [-1.0, 3.0, pytest.approx((4 - 0.5) / 0.5)] and found[7] == 0
        assert FEATURES.index("commas") == 7


class TestAnnotators:
    def test_best_with_four_words_or_twelve(self):
        found = ["w " * n for n in (2, 4, 12, 20)]
        tastes = {"brief": {"concise": 1.0}, "long": {"detailed": 2.0}, "both": {"positive": 1.0, "concise": 0.5}}
        prompts = ["p!", "p", "p!!", "p"]
        gold = Gold(marks, tastes, prompts, found)

        def standard(values):
            return (np.array(values) - np.mean(values)) / np.std(values)

        brief, positive = standard([0.8, 1.0, 0.2, -0.6]), standard([1, 0, 2, 0])
        expected = [brief, standard([0.0, 0.2, 1.0, 0.2]), standard(positive + brief / 2)]
        np.testing.assert_allclose(gold(prompts, found), expected, atol=1e-12)
        assert gold.groups == ("brief", "long", "both")
        with pytest.raises(ValueError, match=r"^tastes: expected groups with weights on positive, .*, got \{\}$"):
            Gold(marks, {}, prompts, found)
        with pytest.raises(ValueError, match=r"^tastes: .*, got \['loud'\]$"):
            Gold(marks, {"x": {"loud": 1.0}}, prompts, found)
        with pytest.raises(ValueError, match="^completions: expected texts over which every group's value varies"):
            Gold(marks, tastes | {"nothing": {}}, prompts, found)

    def test_whole_people(self):
        # 3.5, 2.1, 1.4 of seven: the largest remainders, of the first and of the third, get what is left.
        counted = [np.bincount(draw_groups(shares, n, seed=3)).tolist() for shares, n in (([5, 3, 2], 7), ([1, 1], 3))]
        assert counted == [[4, 2, 1], [2, 1]]
        assert draw_groups([1, 1], 2, seed=0).size == 2
        with pytest.raises(ValueError, match="^n_annotators: expected at least one for each of 2 groups, got 1$"):
            draw_groups([1, 1], 1, seed=0)
        kept = draw_groups([1, 1], 6, seed=3)
        assert kept.tolist() == np.random.default_rng(3).permutation([0, 0, 0, 1, 1, 1]).tolist()

    def test_pairs_and_answers_by_their_numbers(self):
        values = np.random.default_rng(0).normal(size=(2, 5, 2))
        group = np.array([1, 0, 1])
        for strength in (2.0, [0.0, 1.0, 3.0]):
            winner, loser, annotator = compare(values, group, 4, seed=8, strength=strength)
            rng = np.random.default_rng(8)
            pairs, numbers = rng.integers(5, size=12), rng.random(12)
            for i, (pair, number) in enumerate(zip(pairs, numbers, strict=True)):
                first, second = values[group[i // 4], pair]
                sharp = np.broadcast_to(strength, 3)[i // 4]
                k = int(number >= 1 / (1 + np.exp(-sharp * (first - second))))
                assert (winner[i], loser[i], annotator[i]) == (2 * pair + k, 2 * pair + 1 - k, i // 4)

    def test_the_first_half_is_asked_and_the_first_toss_coins(self):
        values = np.random.default_rng(1).normal(size=(2, 20))
        group, choices = ask(values, [1, 1], 5, 40, seed=2, careless=0.3)
        assert halves(20) == (slice(0, 10), slice(10, None)) and halves(7) == (slice(0, 2), slice(2, None))
        assert group.tolist() == draw_groups([1, 1], 5, seed=2).tolist()
        # Three tenths of five are two.
        strength = [0.0, 0.0, 2.0, 2.0, 2.0]
        again = compare(values[:, :10].reshape(2, 5, 2), group, 40, seed=2, strength=strength)
        assert [side.tolist() for side in choices] == [side.tolist() for side in again]
        for careless, fine in ((0.0, True), (1.0, True), (-0.01, False), (1.01, False)):
            if fine:
                ask(values, [1, 1], 5, 1, seed=2, careless=careless)
            else:
                with pytest.raises(ValueError, match=f"^careless: .*, got {careless}$"):
                    ask(values, [1, 1], 5, 1, seed=2, careless=careless)


class TestRewards:
    def test_linear_ones(self):
        rewards = Rewards(TextFeatures(marks), np.eye(2, 10), [0.5, 0.5])
        texts = (["p", "p!"], ["a b", "c !"])
        # The first likes exclamations, the second words.
        assert rewards(*texts).tolist() == [[0, 2], [2, 2]]
        three = (["p"] * 3, ["a !", "a b", "a b c d ! !"])
        own, common = rewards.calibrated(*three), rewards.calibrated(*three, common_unit=True)
        assert own.zero.tolist() == pytest.approx([1.0, 10 / 3])
        spreads = np.array([np.std([1, 0, 2]), np.std([2, 2, 6])])
        assert own.unit == pytest.approx(spreads) and common.unit == pytest.approx([spreads.mean()] * 2)
        one = own.of([1])
        assert one.shares.tolist() == [1.0] and one.zero.tolist() == [own.zero[1]] and one.unit[0] == own.unit[1]
        with pytest.raises(ValueError, match=r"^parameters: expected rewards that vary over the texts, got spreads \["):
            rewards.calibrated(["p"] * 2, ["a", "b"])

    def test_a_group_s_own_choices_alone_teach_it(self):
        psi = np.array([[1.0], [0.0]])
        sides = np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([0, 1, 2])
        found, shares = learn_known(psi, sides, np.array([0, 0, 1]))
        alone = [learn_known(psi, tuple(s[k] for s in sides), np.zeros(n, int))[0][0, 0] for k, n in (([0, 1], 2),)]
        assert (
            found[0, 0] == pytest.approx(alone[0])
            and found[1, 0] < 0
            and shares.tolist() == pytest.approx([2 / 3, 1 / 3])
        )
        assert abs(learn_known(psi, sides, np.array([0, 0, 1]), l2=100.0)[0][0, 0]) < abs(found[0, 0]) / 10


class TestEvaluate:
    def test_every_number(self, monkeypatch):
        found = Texts(["p", "q!", "r"], [[1], [2, 3], [4]], ["a a b", " ", "c"])
        baseline = Texts(["p", "q!", "r"], [[1]] * 3, ["a", "b", "c"])
        here, there = np.array([-1.0, -2.0, -4.0]), np.array([-2.0, -2.0, -3.0])
        monkeypatch.setattr(evaluate, "vader", lambda texts: np.array([0.5, 0.0, 1.0]))

        def gold(prompts, completions):
            return np.array([[float(len(text.split())) for text in completions]] * 2) * [[1], [-1]]

        given = ("policy", "reference", "words", found, baseline, gold)
        expected = {
            "value": pytest.approx([4 / 3, -4 / 3]),
            # Three against one, nothing against one, one against one.
            "win": [0.5, 0.5],
            "judge": 0.5,
            "kl": 0.0,
            "kl_error": pytest.approx(np.sqrt(2 / 3) / np.sqrt(3)),
            "perplexity": pytest.approx(np.exp(7 / 4)),
            "distinct": 3,
            "words": pytest.approx(4 / 3),
            "empty": pytest.approx(1 / 3),
        }
        assert evaluate.evaluate(*given, likely=(here, there)) == expected
        likely = {"policy": here, "reference": there}
        monkeypatch.setattr(evaluate, "log_probabilities", lambda m, t, p, ids: likely[m])
        assert evaluate.evaluate(*given) == expected
        with pytest.raises(ValueError, match="^baseline: expected texts on the same prompts, got others$"):
            evaluate.evaluate(*given[:4], Texts(["p"], [[1]], ["a"]), gold)

    def test_the_first_four_thousand_words(self, monkeypatch):
        many = " ".join(str(k) for k in range(4010))
        one = Texts(["p"], [[1]], [many])
        monkeypatch.setattr(evaluate, "vader", lambda texts: np.zeros(1))
        likely = (np.zeros(1), np.zeros(1))
        found = evaluate.evaluate(0, 0, 0, one, one, lambda p, c: np.ones((1, 1)), likely=likely)
        assert found["distinct"] == 4000 and found["words"] == 4010

    def test_rewards_and_prices_of_several_texts(self, monkeypatch):
        drawn = Texts(["p", "p", "q", "q"], [[1]] * 4, list("abcd"))
        draws = SimpleNamespace(texts=drawn, rewards=np.ones((1, 2, 2)))
        asked = []
        monkeypatch.setattr(evaluate, "draw", lambda *given, **how: asked.append((given, how)) or draws)
        monkeypatch.setattr(evaluate, "log_probabilities", lambda m, t, p, ids: m * np.arange(4.0))
        values, ratio = evaluate.score_draws(3.0, 1.0, "t", ["p", "q"], "r", n_samples=2, n_tokens=5, seed=6)
        assert values.shape == (1, 2, 2) and ratio.tolist() == [[0.0, 2.0], [4.0, 6.0]]
        assert asked == [((3.0, "t", ["p", "q"], "r"), {"n_samples": 2, "n_tokens": 5, "seed": 6})]

    def test_special_tokens_are_no_words(self, policy_folder):
        from maxmin_core.lm.policy import load_policy

        model, tokenizer = load_policy(policy_folder)
        ids = [[*tokenizer("good .")["input_ids"], tokenizer.eos_token_id]]
        patch = pytest.MonkeyPatch()
        patch.setattr(texts, "sample", lambda *given, **how: ids)
        found = write_texts(model, tokenizer, ["the film"], n_tokens=3, seed=0)
        patch.undo()
        assert found.completions == ["good ."] and found.ids == ids and found.prompts == ["the film"]


class TestLengths:
    """Prompts and completions of different numbers are refused: cut off to the shorter, some would have no score."""

    def given(self):
        words = SimpleNamespace(eos_token="<end>", padding_side="left")
        yield lambda: TextFeatures(marks)(["p"], ["a", "b"])
        yield lambda: Gold(marks, {"x": {"positive": 1.0}}, ["p"], ["a", "b"])
        yield lambda: ModelRewards(["m"], words, [1.0])(["p"], ["a", "b"])
        yield lambda: AdapterRewards("m", ["n"], words, [1.0])(["p"], ["a", "b"])
        yield lambda: evaluate.vader(Texts(["p"], [[1]], ["a", "b"]))
        yield lambda: Sentiment.fit(["a", "b", "c"], [0, 1])

    def test_they_are_refused(self, monkeypatch):
        monkeypatch.setattr(
            adapter_rewards, "load_policy", lambda *given, **how: (None, SimpleNamespace(eos_token="x"))
        )
        calls = [*self.given(), lambda: adapter_rewards.embed("there", ["p"], ["a", "b"])]
        for call in calls:
            with pytest.raises(ValueError, match=r"zip\(\)|is (longer|shorter) than"):
                call()

    def test_so_are_adapters_of_other_bases_or_without_names(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "gone"}')
        other = tmp_path / "other"
        other.mkdir()
        (other / "adapter_config.json").write_text('{"base_model_name_or_path": "away"}')
        with pytest.raises(ValueError, match="^folders: expected adapters on one base, got away, gone$"):
            score_heads.load_adapters([tmp_path, other], ["a", "b"])
        with pytest.raises(ValueError, match="^folders: expected the adapters' base at gone, got none there$"):
            score_heads.load_adapters([tmp_path], ["a"])
        patch = pytest.MonkeyPatch()
        patch.setattr(score_heads.Path, "is_file", lambda path: True)
        patch.setattr(score_heads, "load_scorer", lambda base, **how: None)
        patch.setattr("peft.PeftModel.from_pretrained", lambda *given, **how: None)
        for names in (["a"], ["a", "b", "c"]):
            with pytest.raises(ValueError, match=r"zip\(\)"):
                score_heads.load_adapters([tmp_path, tmp_path], names)
        patch.undo()
        onto = SimpleNamespace(active_adapter="x", peft_config={"x": SimpleNamespace(base_model_name_or_path="here")})
        with pytest.raises(ValueError, match="^folders: expected adapters on the base here, got gone$"):
            score_heads.load_adapters([tmp_path], ["a"], onto=onto)
