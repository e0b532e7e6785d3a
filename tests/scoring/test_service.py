"""The service beside the batch: the same probabilities, by the champion of the ledger, and who may ask for them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake
from feature_repo.online import fill_online
from scoring.serving.champion import Champions, load_served
from scoring.serving.problems import RequestRefused
from tests.scoring.parity import compare_ways
from tests.scoring.serving import Client, serve, wait_until
from training.promote import promote_version

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


def test_an_answer_has_label_probabilities_words_and_lineage(client: Client) -> None:
    answer = client.score("I love this, thank you!", "worst video ever", top_words=3).json()
    assert [one["label"] for one in answer["results"]] == ["positive", "negative"]
    for one in answer["results"]:
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert one["probabilities"][one["label"]] == one["confidence"] == max(one["probabilities"].values())
        assert len(one["words"]) == 3
    assert any("love" in word["name"] for word in answer["results"][0]["words"])
    assert answer["model_version"] == "1"
    lineage = answer["lineage"]
    assert (lineage["feature_service"], lineage["features_at"]) == ("sentiment_v1", "2026-10-01T00:00:00Z")
    assert len(lineage["model_digest"]) == len(lineage["service_digest"]) == 64


def test_a_label_below_the_models_bound_is_marked(client: Client) -> None:
    found = client.score(*(f"{word} video" for word in ("the", "an", "which", "so", "but", "for", "with"))).json()
    bound = next(one["abstain_below"] for one in client.http.get("/v1/models").json()["models"])
    assert all(one["is_abstained"] == (one["confidence"] < bound) for one in found["results"])


@pytest.mark.parametrize("model", ["sentiment", "spam"])
def test_batch_and_service_agree_at_the_instant_of_the_online_store(
    served_home: Path, client: Client, model: str
) -> None:
    found = compare_ways(Lake(served_home), client.http, model, rows=400)
    assert found.rows == 400
    assert found.greatest_difference < 1e-6
    assert found.channels > 5
    assert found.known_share > 0.9, "features of channels or videos were there to differ in"


def test_texts_of_many_requests_are_not_mixed_up(client: Client) -> None:
    texts = [f"{'great ' * (n % 7)}{'awful ' * (n % 5)}video number {n}" for n in range(120)]
    together = client.score(*texts).json()["results"]
    with ThreadPoolExecutor(16) as pool:
        apart = list(pool.map(lambda text: client.score(text).json()["results"][0], texts))
    for one, other in zip(together, apart, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-12)


def test_one_text_that_cannot_be_scored_takes_no_other_request_with_it(client: Client) -> None:
    def ask(text: str) -> int:
        return client.score(text).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, ["fine", "", "fine", "x" * 10_001] * 4))
    assert statuses == [200, 422, 200, 422] * 4


def test_the_next_filling_is_followed(served_home: Path, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    later = NOW + timedelta(days=3)
    with serve(lake) as client:
        before = client.score("hello").json()["lineage"]["features_at"]
        materialize_features(lake, run_id="later", now=later)
        fill_online(lake, run_id="online-later", now=later)
        wait_until(lambda: client.score("hello").json()["lineage"]["features_at"] != before)
        assert client.score("hello").json()["lineage"]["features_at"] == "2026-10-04T00:00:00Z"
        assert compare_ways(lake, client.http, "sentiment", rows=60).greatest_difference < 1e-6


def test_a_new_champion_answers_without_a_restart_and_no_request_is_lost(served_home: Path, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    with serve(lake) as client:
        seen: list[tuple[int, str]] = []

        def ask(_: int) -> None:
            answer = client.score("subscribe to my channel", model="spam")
            seen.append((answer.status_code, answer.json()["model_version"]))

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, n) for n in range(50)]
            promote_version(lake, "spam", "2", run_id="by-hand-2", now=NOW, overruling="to see it swapped")
            wait_until(lambda: client.serving.champions.served["spam"].model.version == "2")
            asking += [pool.submit(ask, n) for n in range(50)]
        assert all(one.exception() is None for one in asking)
        assert {status for status, _ in seen} == {200}
        assert {version for _, version in seen} == {"1", "2"}
        assert seen[-1][1] == "2"


def test_a_champion_whose_file_is_not_the_registered_one_is_refused_and_the_old_one_goes_on(
    served_home: Path, tmp_path: Path
) -> None:
    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    with serve(lake, poll_seconds=3_600) as client:
        digests = {one["lineage"]["model_digest"] for one in client.http.get("/v1/models").json()["models"]}
        promote_version(lake, "spam", "2", run_id="by-hand-2", now=NOW, overruling="to see it refused")
        for file in (lake.home / "mlflow").rglob("model.skops"):
            file.write_bytes(b"not a model")
        client.serving.champions.poll()
        answer = client.score("subscribe", model="spam")
        assert (answer.status_code, answer.json()["model_version"]) == (200, "1")
        assert answer.json()["lineage"]["model_digest"] in digests
        said = next(one for one in client.http.get("/v1/models").json()["models"] if one["model"] == "spam")
        assert (said["champion"], said["refused"]["version"]) == ("2", "2")
        assert "is not the one that was registered" in said["refused"]["reason"]
        assert client.http.get("/health/ready").status_code == 200
        metrics = client.http.get("/metrics").text
        assert 'scorelake_served_champion{model="spam"} 0.0' in metrics
        assert 'scorelake_champion_refusals_total{model="spam"} 1.0' in metrics


def test_what_is_under_way_is_answered_before_the_service_ends(served_home: Path, tmp_path: Path) -> None:
    with serve(Lake(served_home)) as client, ThreadPoolExecutor(4) as pool:
        asked = {"texts": [{"text": f"a longer text about nothing much {n} " * 20} for n in range(1_000)]}
        waiting = [pool.submit(client.http.post, "/v1/sentiment/score", json=asked) for _ in range(4)]
        under_way = "scorelake_http_requests_under_way"
        wait_until(lambda: (client.registry.get_sample_value(under_way) or 0) >= 4)
        client.server.should_exit = True
        assert [len(one.result().json()["results"]) for one in waiting] == [1_000] * 4


def test_what_was_asked_before_is_answered_alike_and_forgotten_with_its_basis(served_home: Path) -> None:
    with serve(Lake(served_home), poll_seconds=3_600) as client:
        scorer, asked = client.serving.scorer, [{"text": f"nice video {n}", "channel_id": "c"} for n in range(5)]
        first = client.score(*asked, top_words=3).json()["results"]
        assert scorer.texts_remembered == 0
        assert client.score(*asked, "something new", top_words=3).json()["results"][:5] == first
        assert scorer.texts_remembered == 5
        for other in ({"channel_id": "d"}, {"is_reply": True}, {"like_count": 3}, {"text": "nice video"}):
            client.score(asked[0] | other, top_words=3)
        client.score(asked[0], top_words=2)
        client.score(asked[0], model="spam", top_words=3)
        assert scorer.texts_remembered == 5, "every part of the question counts"
        client.serving.champions.served["sentiment"] = load_served(client.serving.lake, "sentiment", "1")
        assert client.score(*asked, top_words=3).json()["results"] == first
        assert scorer.texts_remembered == 5, "another champion, another answer"


def test_why_a_model_does_not_answer_is_said(served_home: Path, lake: Lake) -> None:
    begun, untrained = Champions(Lake(served_home), ["sentiment"]), Champions(lake, ["sentiment"])
    untrained.poll()
    for champions, name, status, said in (
        (begun, "sentiment", 503, "sentiment is being loaded"),
        (untrained, "sentiment", 503, "sentiment has no champion yet; `scorelake train sentiment`"),
        (begun, "irony", 404, "there is no such model; there are sentiment"),
    ):
        with pytest.raises(RequestRefused) as refused:
            champions.find(name)
        assert (refused.value.status_code, refused.value.detail) == (status, said)
