"""Backfill, shadow and canary: what they score, what they leave, and what is in force afterwards."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadData, Refused, Unavailable
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from scoring.engine import LocalEngine
from scoring.lease import take_lease
from scoring.owed import Role, ScoreRequest, read_owed
from scoring.score import ScoreOptions, ScoreReceipt, score_owed
from tests.feature_repo.raw_rows import add_batch
from training.canary import start_canary, withdraw_canary
from training.promote import promote_version
from training.promotions import read_assignment
from training.registry import resolve

NOW = datetime(2026, 10, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SPAM = ScoreRequest("spam")

pytestmark = pytest.mark.path


@pytest.fixture
def lake(two_versions: Path, tmp_path: Path) -> Lake:
    return Lake(Path(shutil.copytree(two_versions, tmp_path / "home")))


def score(lake: Lake, request: ScoreRequest, run_id: str, now: datetime = NOW) -> ScoreReceipt:
    options = ScoreOptions(1_000, LocalEngine(1))
    return score_owed(lake, request, run_id=run_id, now=now, options=options)


def ask(role: Role, **asked: Any) -> ScoreRequest:
    return ScoreRequest("spam", role, **asked)


def read(lake: Lake, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql, list(values)).fetchall()


def count_versions(lake: Lake) -> dict[str, int]:
    """Comments by the version in force."""
    return dict(read(lake, "select model_version, count(*) from scores.spam_current group by all"))


def count_twice(lake: Lake) -> int:
    """Texts that a version has scored more than once."""
    twice = "select 1 from scores.spam group by comment_id, text_id, model_version having count(*) > 1"
    return int(read(lake, f"select count(*) from ({twice})")[0][0])


def count_texts(lake: Lake, where: str = "true") -> int:
    return int(read(lake, f"select count(*) from raw.comments where {where}")[0][0])


def add_comment(lake: Lake, comment_id: str, **columns: Any) -> None:
    add_batch(lake, comments=[{"comment_id": comment_id, "text": "look at my channel", "published_at": NOW} | columns])
    materialize_features(lake, run_id=f"materialize-{comment_id}", now=NOW)


def test_a_shadow_follows_production_and_nothing_that_it_says_is_in_force(lake: Lake) -> None:
    shadow, texts = ask("shadow", version="2"), count_texts(lake)
    before = count_versions(lake)
    assert score(lake, shadow, "shadow-spam-1").rows_scored == texts, "it begins with production's newest run"
    assert score(lake, shadow, "shadow-spam-2").rows_owed == 0
    add_comment(lake, "new")
    assert score(lake, shadow, "shadow-spam-3").rows_owed == 0, "production has not scored it yet"
    score(lake, SPAM, "score-spam-2")
    assert score(lake, shadow, "shadow-spam-4").rows_scored == 1
    assert count_versions(lake) == {"1": before["1"] + 1}
    assert count_twice(lake) == 0
    assert read(lake, "select distinct role from ops.runs where run_id like 'shadow-%'") == [("shadow",)]


def test_a_backfill_of_a_window_scores_what_was_written_in_it_and_no_more(lake: Lake) -> None:
    promote_version(lake, "spam", "2", run_id="by-hand", now=LATER, overruling="to see")
    first, last = datetime(2026, 9, 12, tzinfo=UTC), datetime(2026, 9, 14, tzinfo=UTC)
    window = ask("backfill", published_from=first, published_to=last)
    inside = "published_at >= '2026-09-12 00:00:00+00' and published_at < '2026-09-14 00:00:00+00'"
    expected = count_texts(lake, inside)
    assert 0 < expected < count_texts(lake)
    assert score(lake, window, "backfill-spam-1", LATER).rows_scored == expected
    wrong = f"select count(*) from scores.spam_current where (model_version = '2') is distinct from ({inside})"
    assert read(lake, wrong) == [(0,)]
    again = score(lake, window, "backfill-spam-2", LATER)
    assert (again.rows_owed, count_twice(lake)) == (0, 0)


def test_a_backfill_goes_on_beside_hourly_runs_and_leaves_to_them_what_is_theirs(lake: Lake) -> None:
    promote_version(lake, "spam", "2", run_id="by-hand", now=LATER, overruling="to see")
    add_comment(lake, "new")
    with hold(lake, "spam/production"):
        assert score(lake, ask("backfill"), "backfill-spam-1", LATER).rows_scored == count_texts(lake) - 1
    assert score(lake, SPAM, "score-spam-2", LATER).rows_scored == 1
    assert set(count_versions(lake)) == {"2"}
    assert count_twice(lake) == 0


@contextmanager
def hold(lake: Lake, name: str) -> Iterator[None]:
    """Another host is at it."""
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda open_: take_lease(open_, name, run_id="other", now=LATER))
        connection.execute("update ops.leases set host = 'elsewhere'")
    yield
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from ops.leases")


def test_two_backfills_do_not_meet(lake: Lake) -> None:
    with hold(lake, "spam/backfill"), pytest.raises(Unavailable, match="spam/backfill is being worked on by run other"):
        score(lake, ask("backfill", version="2"), "backfill-spam-1", LATER)


def test_a_backfill_by_a_version_that_is_not_assigned_is_a_shadow(lake: Lake) -> None:
    before = count_versions(lake)
    assert score(lake, ask("backfill", version="2"), "backfill-spam-1", LATER).rows_scored == count_texts(lake)
    assert count_versions(lake) == before
    assert read(lake, "select role, watermark_from from ops.runs where run_id = 'backfill-spam-1'") == [
        ("shadow", None)
    ]
    assert read_owed(lake, ask("shadow", version="2")).rows == 0


def test_once_promoted_what_a_shadow_has_scored_is_put_in_force_and_not_scored_again(lake: Lake) -> None:
    score(lake, ask("shadow", version="2"), "shadow-spam-1")
    promote_version(lake, "spam", "2", run_id="by-hand", now=LATER, overruling="to see")
    assert set(count_versions(lake)) == {"1"}
    receipt = score(lake, ask("backfill"), "backfill-spam-1", LATER)
    assert (receipt.rows_scored, set(count_versions(lake)), count_twice(lake)) == (0, {"2"}, 0)


def test_a_canary_scores_its_channels_and_the_champion_all_others(lake: Lake) -> None:
    start_canary(lake, resolve(lake, "spam", "2"), 0.3, run_id="canary", now=LATER, overruling="to see")
    score(lake, ask("backfill"), "backfill-spam-1", LATER)
    with read_lake(lake) as connection:
        assigned = read_assignment(connection, "spam")
    is_canary = assigned.write_condition("channel_id")
    wrong = f"select count(*) from scores.spam_current where (model_version = '2') is distinct from {is_canary}"
    assert read(lake, wrong) == [(0,)]
    channels = "select count(distinct channel_id) from scores.spam_current"
    assert 0 < read(lake, f"{channels} where model_version = '2'")[0][0] < read(lake, channels)[0][0]
    add_comment(lake, "stray", channel_id=None, video_id=None)
    assert score(lake, SPAM, "score-spam-2", LATER).versions == ("1", "2")
    assert read(lake, "select model_version from scores.spam_current where comment_id = 'stray'") == [("1",)]


def test_a_wider_canary_keeps_the_channels_that_it_had(lake: Lake) -> None:
    channels = []
    for number, share in enumerate((0.2, 0.6)):
        now = LATER + timedelta(minutes=number)
        start_canary(lake, resolve(lake, "spam", "2"), share, run_id="canary", now=now, overruling="to see")
        with read_lake(lake) as connection:
            is_canary = read_assignment(connection, "spam").write_condition("channel_id")
        channels.append({row[0] for row in read(lake, f"select channel_id from scores.spam where {is_canary}")})
    assert channels[0] < channels[1]


def test_a_withdrawn_canary_gives_its_comments_back_to_the_champion(lake: Lake) -> None:
    start_canary(lake, resolve(lake, "spam", "2"), 0.3, run_id="canary", now=LATER, overruling="to see")
    score(lake, ask("backfill"), "backfill-spam-1", LATER)
    assert "2" in count_versions(lake)
    withdraw_canary(lake, "spam", reason="angry mails", run_id="canary", now=LATER)
    receipt = score(lake, ask("backfill", instead_of="2"), "backfill-spam-2", LATER)
    assert (receipt.rows_scored, set(count_versions(lake)), count_twice(lake)) == (0, {"1"}, 0)
    with pytest.raises(Refused, match="spam has no canary; the champion is 1"):
        withdraw_canary(lake, "spam", reason="again", run_id="canary", now=LATER)


def test_a_canary_ends_when_the_champion_changes(lake: Lake) -> None:
    start_canary(lake, resolve(lake, "spam", "2"), 0.3, run_id="canary", now=LATER, overruling="to see")
    promote_version(lake, "spam", "2", run_id="by-hand", now=LATER, overruling="to see")
    with read_lake(lake) as connection:
        assert read_assignment(connection, "spam").canary is None


def test_neither_the_champion_nor_what_the_gate_refused_is_a_canary(lake: Lake) -> None:
    with pytest.raises(BadData, match="a canary stands beside a champion; the champion of spam is 1"):
        start_canary(lake, resolve(lake, "spam", "1"), 0.3, run_id="canary", now=LATER, overruling="to see")
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update ops.promotions set action = 'refused' where version = '2'")
    with pytest.raises(Refused, match="the gate does not let spam version 2 pass"):
        start_canary(lake, resolve(lake, "spam", "2"), 0.3, run_id="canary", now=LATER)


def test_a_killed_backfill_is_taken_up_by_the_same_request_and_by_no_other(lake: Lake) -> None:
    request = ask("backfill", version="2")
    with pytest.raises(Unavailable, match="overtaken"):
        _lose_the_lease(lake, request, "backfill-spam-1")
    other = replace(request, published_from=NOW)
    assert not score(lake, other, "backfill-spam-2", LATER).is_resumed
    with pytest.raises(Unavailable, match="overtaken"):
        _lose_the_lease(lake, request, "backfill-spam-3")
    receipt = score(lake, request, "backfill-spam-4", LATER)
    assert (receipt.is_resumed, receipt.run_id, count_twice(lake)) == (True, "backfill-spam-3", 0)


def _lose_the_lease(lake: Lake, request: ScoreRequest, run_id: str) -> None:
    """A run that is overtaken when all its partitions are done: they stay in staging."""

    def lose(_done: int, _total: int) -> None:
        with write_lake(lake, purpose="test") as connection:
            connection.execute("delete from ops.leases")

    options = ScoreOptions(100_000, LocalEngine(1), on_progress=lose)
    score_owed(lake, request, run_id=run_id, now=LATER, options=options)
