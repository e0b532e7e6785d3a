"""Comments scored in both ways: by the batch with a spine at the instant of the online store, and by the service."""

from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from feature_repo.lake import Lake, quote_text, read_lake
from feature_repo.online import read_online_state
from feature_repo.retrieval import build_spine, read_features
from scoring.predict import load_model, score_rows
from training.promotions import read_standing
from training.resolved import resolve_again

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Parity:
    """How far both ways are apart: the greatest difference of a probability over all rows and classes.

    `known_share` is the share of the rows of whose channel or video something was known.
    """

    rows: int
    channels: int
    known_share: float
    greatest_difference: float


def compare_ways(lake: Lake, http: httpx.Client, model: str, *, rows: int) -> Parity:
    """Score the first comments by a hash in both ways, each with a plain road of its own from text to probability."""
    with read_lake(lake) as connection:
        state = read_online_state(connection)
        champion = read_standing(connection, model).champion
    assert state is not None
    assert champion is not None
    version = resolve_again(lake, model, champion)
    loaded = load_model(champion, pipeline=version.path, descriptor=version.storage.fetch(version.descriptor_file))
    # Each comment as if it were seen now: what its text says, and what is known of its channel at the instant.
    chosen = (
        f"select * replace ({quote_text(str(state.filled_at))}::timestamptz as event_timestamp) "
        f"from ({build_spine(data_version=state.data_version, is_ordered=False)}) order by md5(comment_id) limit {rows}"
    )
    features = read_features(lake, loaded.feature_service, chosen, data_version=state.data_version)
    features = features.filter(features.column(loaded.matrix.token_column).is_valid())
    batch = score_rows(loaded, features).probabilities
    asked = _build_requests(lake, features.to_pylist())
    served = np.concatenate(
        [_ask(http, model, asked[n : n + _AT_ONCE], loaded.classes) for n in range(0, len(asked), _AT_ONCE)]
    )
    known = [
        row.get("channel_view_count") is not None or row.get("video_view_count") is not None
        for row in features.to_pylist()
    ]
    return Parity(
        rows=len(asked),
        channels=len({one["channel_id"] for one in asked}),
        known_share=float(np.mean(known)) if loaded.feature_service == "sentiment_v1" else 1.0,
        greatest_difference=float(np.abs(batch - served).max()),
    )


def _build_requests(lake: Lake, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = []
    with read_lake(lake) as connection:
        connection.execute(
            "create temp table wanted as select unnest($ids::varchar[]) as comment_id",
            {"ids": [row["comment_id"] for row in rows]},
        )
        texts = {
            (comment, text_id): (text, is_reply)
            for comment, text_id, text, is_reply in connection.execute(
                "select comment_id, text_id, text, parent_id is not null "
                "from raw.comments semi join wanted using (comment_id)"
            ).fetchall()
        }
    for row in rows:
        text, is_reply = texts[row["comment_id"], row["text_id"]]
        asked.append(
            {
                "text": text,
                "channel_id": row["channel_id"],
                "video_id": row["video_id"],
                "is_reply": is_reply,
                "like_count": row.get("first_like_count"),
                "earlier_reply_count_30d": row.get("earlier_reply_count_30d"),
            }
        )
    return asked


def _ask(http: httpx.Client, model: str, texts: list[dict[str, Any]], classes: tuple[str, ...]) -> Any:
    answer = http.post(f"/v1/{model}/score", json={"texts": texts, "top_words": 0})
    assert answer.status_code == 200, answer.text
    return np.array([[one["probabilities"][name] for name in classes] for one in answer.json()["results"]])
