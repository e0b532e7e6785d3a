"""A label that a person gives: kept in the inbox, and in raw.labels with its source after the next ingest."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from tests.scoring.serving import Client, serve
from tests.scoring.test_service_door import check_problem

pytestmark = pytest.mark.path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client(served_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = Path(shutil.copytree(served_home, tmp_path_factory.mktemp("feedback") / "home"))
    with serve(Lake(home)) as client:
        yield client


def find_comment(lake: Lake) -> tuple[str, str]:
    with read_lake(lake) as connection:
        [row] = connection.execute(
            "select comment_id, text from raw.comments where text is not null "
            "and text_id in (select text_id from raw.comments group by text_id having count(*) = 1) "
            "order by comment_id limit 1"
        ).fetchall()
    return row[0], row[1]


def ingest(lake: Lake, run_id: str) -> IngestReceipt:
    """As the deployment does."""
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    [asked] = [one["parameters"] for one in deployed if one["name"] == "feedback-sentiment-hourly"]
    [pattern] = asked["paths"]
    request = IngestRequest(
        kind=asked["kind"],
        paths=tuple(sorted(lake.home.glob(pattern))),
        mapping=read_mapping(),
        source=asked["source"],
        run_id=run_id,
        now=datetime.now(UTC) + timedelta(minutes=1),
        author_key=b"a key",
        task=asked["task_name"],
    )
    return ingest_files(lake, request)


def test_a_label_is_in_the_lake_with_its_source_after_the_next_ingest(client: Client) -> None:
    lake = client.serving.lake
    shutil.rmtree(lake.home / "inbox", ignore_errors=True)  # other tests give labels, too
    comment_id, text = find_comment(lake)
    given = [
        {"model": "sentiment", "label": "negative", "comment_id": comment_id, "source": "extension"},
        {"model": "sentiment", "label": "positive", "text": text},
        {"model": "sentiment", "label": "neutral", "comment_id": "not here yet", "source": "extension"},
    ]
    answers = [client.http.post("/v1/feedback", json=one) for one in given]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert [answer.json()["status"] for answer in answers] == ["known", "known", "waiting"]
    assert [answer.json()["comment_id"] for answer in answers] == [comment_id, comment_id, "not here yet"]
    assert len({answer.json()["feedback_id"] for answer in answers}) == 3
    with read_lake(lake) as connection:
        before = connection.execute("select count(*) from raw.labels where source = 'feedback'").fetchall()
    assert before == [(0,)], "a request writes nothing to the lake"
    assert ingest(lake, "labels-1").rows_accepted == 3
    with read_lake(lake) as connection:
        found = connection.execute(
            "select comment_id, task, label, labeller, source from raw.labels where source = 'feedback' "
            "order by labelled_at"
        ).fetchall()
    assert found == [
        (comment_id, "sentiment", "negative", "feedback:extension", "feedback"),
        (comment_id, "sentiment", "positive", "feedback:rest", "feedback"),
        ("not here yet", "sentiment", "neutral", "feedback:extension", "feedback"),
    ]
    again = ingest(lake, "labels-2")
    assert (again.rows_accepted, again.rows_known) == (0, 3)


def test_of_a_text_that_no_comment_has_nothing_is_kept(client: Client) -> None:
    text = "something that a person has written elsewhere"
    answer = client.http.post("/v1/feedback", json={"model": "spam", "label": "spam", "text": text})
    assert "nothing was kept" in check_problem(answer, 404)["detail"]
    folder = client.serving.lake.home / "inbox" / "labels" / "spam"
    assert not folder.exists()


def test_the_inbox_holds_ids_and_no_texts_and_is_its_owners(client: Client) -> None:
    lake = client.serving.lake
    comment_id, text = find_comment(lake)
    client.http.post("/v1/feedback", json={"model": "sentiment", "label": "neutral", "text": text})
    [file] = (lake.home / "inbox" / "labels" / "sentiment").iterdir()
    assert comment_id in file.read_text()
    assert text not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"label": "great"}, 422, "sentiment has the labels negative, neutral, positive"),
        ({"model": "irony"}, 404, "there is no such model; there are sentiment, spam"),
        ({"text": "also"}, 422, "name the comment either by comment_id or by its exact text"),
        ({"comment_id": None}, 422, "name the comment either by comment_id or by its exact text"),
        ({"comment_id": "a\nb"}, 422, "1 places are not as described in /openapi.json"),
        ({"source": "No Source"}, 422, "1 places are not as described in /openapi.json"),
    ],
)
def test_what_is_no_label_is_refused(client: Client, changes: dict[str, str], status: int, said: str) -> None:
    asked = {"model": "sentiment", "label": "positive", "comment_id": "a"} | changes
    assert check_problem(client.http.post("/v1/feedback", json=asked), status)["detail"] == said
