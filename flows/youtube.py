"""The flow that brings comments from the YouTube Data API, and its report."""

from collections import Counter
from datetime import UTC, datetime
from typing import cast

from prefect.blocks.system import Secret

from feature_repo.errors import BadData
from feature_repo.sources.youtube_client import YouTubeApi
from feature_repo.sources.youtube_ingest import QuotaStop, YouTubeReceipt
from feature_repo.sources.youtube_ingest import ingest_youtube as run_ingest
from feature_repo.sources.youtube_landing import YouTubeRequest
from feature_repo.sources.youtube_quota import Quota
from feature_repo.sources.youtube_targets import check_ids
from flows.entry import Entry
from flows.progress import report_progress
from flows.report import Grid, Report
from flows.settings import Settings
from flows.stage import begin_run, prepare_lake, run_step, stage, tell


@stage("ingest-youtube", named="ingest-youtube", seconds=None)
def ingest_youtube(
    channels: list[str] | None = None, videos: list[str] | None = None, *, now: datetime | None = None
) -> YouTubeReceipt:
    """Ingest channels and videos of YouTube with their statistics and comments; what is known is skipped.

    Args:
        channels: Ids of channels, of which every uploaded video is observed.
        videos: Ids of single videos.
        now: Instant of the run and of all that it observes; the clock if not given.
    """
    with begin_run("ingest-youtube", now=now) as entry:
        request = YouTubeRequest(
            channels=tuple(channels or ()),
            videos=tuple(videos or ()),
            run_id=entry.run_id,
            author_key=entry.settings.read_author_key(),
            refresh_days=entry.settings.youtube_refresh_days,
            bad_row_share_limit=entry.settings.bad_row_share_limit,
        )
        check_ids(request.channels, request.videos)
        key = _read_key(entry.settings)
        prepare_lake(entry.lake)
        api = _open_api(entry, key, now)
        try:
            receipt = run_step(entry, lambda: run_ingest(entry.lake, request, api, on_progress=report_progress))
        except QuotaStop as stop:
            tell(entry, build_report(stop.receipt))
            raise
        tell(entry, build_report(receipt))
        return receipt


def build_report(receipt: YouTubeReceipt) -> Report:
    """Build the report of a run: what was read, and what is left."""
    verdict = "stopped at the day's quota" if receipt.is_quota_spent else "ingested"
    facts: dict[str, object] = {
        "videos found": receipt.videos,
        **{f"videos due, {state}": count for state, count in sorted(receipt.videos_by_state.items())},
        **_name_counts(receipt),
        "calls": sum(receipt.calls.values()),
        "units used today": f"{receipt.units_spent:,} of {receipt.units_per_day:,}",
        "units come back at": f"{receipt.resets_at:%Y-%m-%d %H:%M} UTC",
    }
    notes = [f"not known to YouTube: {', '.join(receipt.missing)}"] if receipt.missing else []
    notes += [f"{reason}: {', '.join(ids)}" for reason, ids in _group_unread(receipt).items()]
    return Report(f"youtube {verdict}: run {receipt.run_id}", facts, grids=(_build_grid(receipt),), notes=tuple(notes))


def _name_counts(receipt: YouTubeReceipt) -> dict[str, object]:
    counts = {
        "comments not shown any more": receipt.comments_deleted,
        "comments shown again": receipt.comments_returned,
        "comments of only a picture": receipt.comments_without_text,
    }
    return {name: count for name, count in counts.items() if count}


def _group_unread(receipt: YouTubeReceipt) -> dict[str, list[str]]:
    """Ids by the reason for which YouTube refused them, at most five each."""
    groups: dict[str, list[str]] = {}
    for name, reason in receipt.unread.items():
        groups.setdefault(reason, []).append(name)
    return {reason: [*ids[:5], *(["…"] if len(ids) > 5 else [])] for reason, ids in groups.items()}  # noqa: PLR2004


def _build_grid(receipt: YouTubeReceipt) -> Grid:
    read, accepted, known, quarantined = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for batch in receipt.batches:
        read[batch.kind] += batch.rows_read
        accepted[batch.kind] += batch.rows_accepted
        known[batch.kind] += batch.rows_known
        quarantined[batch.kind] += batch.rows_quarantined_total
    rows = tuple((kind, read[kind], accepted[kind], known[kind], quarantined[kind]) for kind in read)
    return Grid(("", "read", "accepted", "already known", "quarantined"), rows)


def _open_api(entry: Entry, key: str, now: datetime | None) -> YouTubeApi:
    settings = entry.settings
    quota = Quota(
        entry.lake,
        entry.run_id,
        units_per_day=settings.youtube_daily_units,
        clock=lambda: now or datetime.now(UTC),
    )
    return YouTubeApi(key, quota, base_url=settings.youtube_base_url)


def _read_key(settings: Settings) -> str:
    if settings.youtube_api_key is not None:
        return settings.youtube_api_key.get_secret_value().strip()
    if settings.youtube_api_key_block is None:
        raise BadData(
            "expected a key of the YouTube Data API v3, found none; set SCORELAKE_YOUTUBE_API_KEY, or "
            "SCORELAKE_YOUTUBE_API_KEY_BLOCK to the name of a Prefect Secret block that holds it"
        )
    return _load_secret(settings.youtube_api_key_block)


def _load_secret(block: str) -> str:
    try:
        secret = cast("Secret[str]", Secret.load(block))  # only in asynchronous code is it a coroutine
    except ValueError:
        raise BadData(
            f"there is no Prefect Secret block {block!r}, which SCORELAKE_YOUTUBE_API_KEY_BLOCK names; make it in the "
            "Prefect UI under Blocks"
        ) from None
    return str(secret.get()).strip()
