"""No feature knows what came after its instant: a property over random insertions, and leaks that it must catch."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.features import comments, statements
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake
from feature_repo.retrieval import apply_definitions, build_spine, read_features
from tests.feature_repo.raw_rows import START, add_batch

INSTANT = START + timedelta(days=2, minutes=30)
NOW = START + timedelta(days=60)
Row = dict[str, Any]
Batch = dict[str, list[Row]]


def video(name: str) -> str:
    return {"v1": "c1", "v2": "c2"}[name]


def build_history() -> Batch:
    """Two channels with a video each, and everything that can be known of them before the instant."""
    hours = [0, 1, 5, 20, 30, 40, 47]
    placed = [(f"k{hour}", "v1" if hour % 2 else "v2", hour) for hour in hours]
    return {
        "comments": [
            {
                "comment_id": name,
                "video_id": on,
                "channel_id": None,
                "author_id": f"author{hour % 3}",
                "parent_id": "k0" if hour > 1 else None,
                "published_at": START + timedelta(hours=hour),
            }
            for name, on, hour in placed
        ],
        "counts": [
            {"comment_id": name, "observed_at": START + timedelta(hours=hour), "like_count": hour}
            for name, _, hour in placed
        ],
        "videos": [
            {"video_id": name, "channel_id": video(name), "observed_at": START, "view_count": 1}
            for name in ("v1", "v2")
        ],
        "channels": [{"channel_id": name, "observed_at": START, "subscriber_count": 1} for name in ("c1", "c2")],
        "labels": [{"comment_id": "k0", "task": "sentiment", "label": "negative", "labelled_at": START}],
    }


later = st.integers(1, 20 * 24 * 60 * 60).map(lambda seconds: INSTANT + timedelta(seconds=seconds))
known = st.sampled_from(["k0", "k1", "k5", "k47"])
late_comment = st.builds(
    lambda index, on, observed_at, lateness: {
        "comment_id": f"late{index}",
        "video_id": on,
        "channel_id": None,
        "parent_id": "k0",
        "author_id": "author0",
        "published_at": observed_at - lateness,
        "observed_at": observed_at,
    },
    st.integers(0, 9),
    st.sampled_from(["v1", "v2"]),
    later,
    st.sampled_from([timedelta(0), timedelta(days=1), timedelta(days=21)]),
)
edit = st.builds(
    lambda name, observed_at: {
        "comment_id": name,
        "video_id": "v1" if int(name[1:]) % 2 else "v2",
        "channel_id": None,
        "text": "edited",
        "published_at": START + timedelta(hours=int(name[1:])),
        "observed_at": observed_at,
    },
    known,
    later,
)
insertions = st.fixed_dictionaries(
    {
        "comments": st.lists(late_comment | edit, max_size=3, unique_by=lambda row: row["comment_id"]),
        "counts": st.lists(
            st.builds(
                lambda name, at, likes: {"comment_id": name, "observed_at": at, "like_count": likes},
                known,
                later,
                st.integers(0, 99),
            ),
            max_size=2,
            unique_by=lambda row: (row["comment_id"], row["observed_at"]),
        ),
        "videos": st.lists(
            st.builds(
                lambda name, at: {"video_id": name, "channel_id": video(name), "observed_at": at, "view_count": 99},
                st.sampled_from(["v1", "v2"]),
                later,
            ),
            max_size=1,
        ),
        "channels": st.lists(
            st.builds(
                lambda name, at: {"channel_id": name, "observed_at": at, "subscriber_count": 99},
                st.sampled_from(["c1", "c2"]),
                later,
            ),
            max_size=1,
        ),
        "labels": st.lists(
            st.builds(
                lambda name, at: {"comment_id": name, "task": "sentiment", "label": "positive", "labelled_at": at},
                known,
                later,
            ),
            max_size=2,
            unique_by=lambda row: row["comment_id"],
        ),
    }
)


def make_lake(seed_home: Path, folder: Path) -> Lake:
    shutil.copytree(seed_home, folder / "home")
    lake = Lake(folder / "home")
    apply_definitions(lake)
    add_batch(lake, **build_history())
    materialize_features(lake, run_id="history", now=INSTANT)
    return lake


def read_known(lake: Lake, data_version: int, instant: datetime = INSTANT) -> pa.Table:
    """What is known at the instant of every text of the history, whatever was ingested since."""
    spine = (
        "select comment_id, text_id, channel_id, video_id, "
        f"timestamptz '{instant.isoformat()}' as event_timestamp from ({build_spine(data_version=1)})"
    )
    return read_features(lake, "sentiment_v1", spine, data_version=data_version)


def check_nothing_leaks(lake: Lake, batch: Batch) -> None:
    before = read_known(lake, 1)
    number = add_batch(lake, **batch)
    materialize_features(lake, run_id=f"m{number}", now=NOW)
    after = read_known(lake, number)
    changed = [name for name in before.column_names if before.column(name) != after.column(name)]
    assert changed == [], f"what came after the instant has changed {changed}"


def test_what_comes_after_an_instant_changes_no_feature(
    seed_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    template = make_lake(seed_home, tmp_path_factory.mktemp("template"))

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batch=insertions)
    def check(batch: Batch) -> None:
        folder = tmp_path_factory.mktemp("lake")
        shutil.copytree(template.home, folder / "home")
        check_nothing_leaks(Lake(folder / "home"), batch)

    check()


def test_a_comments_own_label_is_in_none_of_its_features(seed_home: Path, tmp_path: Path) -> None:
    lake = make_lake(seed_home, tmp_path)

    def read_own(data_version: int) -> pa.Table:
        return read_features(lake, "sentiment_v1", build_spine(data_version=1), data_version=data_version)

    before = read_own(1)
    own = [
        {
            "comment_id": row["comment_id"],
            "task": "sentiment",
            "label": "positive",
            "labelled_at": row["event_timestamp"],
        }
        for row in before.to_pylist()
        if row["comment_id"] == "k47"  # the last of its channel: nobody after it may learn of it either
    ]
    number = add_batch(lake, labels=own)
    materialize_features(lake, run_id="labelled", now=NOW)
    assert read_own(number).equals(before)


Mutation = tuple[str, str, str]


def leak(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """Change a statement, as a careless hand might."""
    name, right, wrong = mutation
    read = statements.read_statement

    def read_leaking(wanted: str) -> str:
        text = read(wanted)
        if wanted != name:
            return text
        assert right in text
        return text.replace(right, wrong)

    for module in (statements, comments):  # where the function is looked up
        monkeypatch.setattr(module, "read_statement", read_leaking)


SECOND_AHEAD: Mutation = (
    "channel_statistics",
    "observed_at as event_timestamp,\n    observed_at as created_timestamp",
    "observed_at - interval 1 second as event_timestamp,\n    observed_at - interval 1 second as created_timestamp",
)
OWN_LABEL: Mutation = ("channel_labels", "given_at + interval 1 microsecond as from_at", "given_at as from_at")
UNSEEN_COMMENT: Mutation = (
    "placed_texts",
    "ceil_hour(greatest(published_at, observed_at)) as enters_at",
    "ceil_hour(published_at) as enters_at",
)
UNSEEN_REPLY: Mutation = ("comment_features", "and earlier.observed_at <= owed.observed_at", "")


@pytest.mark.parametrize(
    ("mutation", "batch", "feature"),
    [
        (
            SECOND_AHEAD,
            {"channels": [{"channel_id": "c1", "observed_at": INSTANT + timedelta(seconds=1), "subscriber_count": 99}]},
            "channel_subscriber_count",
        ),
        (
            UNSEEN_COMMENT,
            {"comments": [{"comment_id": "x", "published_at": START, "observed_at": INSTANT + timedelta(days=1)}]},
            "comment_count_7d",
        ),
        (
            UNSEEN_REPLY,
            {
                "comments": [
                    {
                        "comment_id": "x",
                        "parent_id": "k0",
                        "published_at": START + timedelta(hours=46),
                        "observed_at": INSTANT + timedelta(days=1),
                    },
                    {
                        "comment_id": "k47",
                        "parent_id": "k0",
                        "published_at": START + timedelta(hours=47),
                        "text_id": "t2",
                    },
                ]
            },
            "earlier_reply_count_30d",
        ),
    ],
    ids=["a second ahead", "a comment that was not seen yet", "a reply that was not seen yet"],
)
def test_a_leaking_feature_is_caught(
    seed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutation: Mutation, batch: Batch, feature: str
) -> None:
    leak(monkeypatch, mutation)
    lake = make_lake(seed_home, tmp_path)
    with pytest.raises(AssertionError, match=f"what came after the instant has changed .*{feature}"):
        check_nothing_leaks(lake, batch)


def test_an_own_label_among_the_features_is_caught(
    seed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(monkeypatch, OWN_LABEL)
    with pytest.raises(AssertionError):
        test_a_comments_own_label_is_in_none_of_its_features(seed_home, tmp_path)
