"""What was done, and what went wrong: runs, verdicts, leases and alerts, `ops.*`."""

from typing import Final

from feature_repo.tables.columns import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INSTANT,
    NOT_NEGATIVE,
    SHARE,
    TEXT,
    TEXTS,
    column,
    table,
)

RUNS: Final = table(
    "ops.runs",
    "The ledger: every run, what was owed, what came of it. Watermarks and batch numbers are read from here.",
    ("run_id",),
    {
        "run_id": column(TEXT, "Id of the run; for an ingest it is the batch_id."),
        "kind": column(
            TEXT,
            "ingest, revert, replay, materialize, train, evaluate, score, monitor, heal, maintain, erase, backup or "
            "migrate; ingest-youtube if that failed.",
        ),
        "model": column(TEXT, "Model the run worked for; null if none.", nullable=True),
        "model_version": column(TEXT, "Version of the model, resolved once; null if none.", nullable=True),
        "role": column(TEXT, "production, shadow or backfill for scoring; null otherwise.", nullable=True),
        "started_at": column(INSTANT, "Start of the run (UTC)."),
        "ended_at": column(INSTANT, "End of the run (UTC)."),
        "outcome": column(TEXT, "done, refused or failed."),
        "rows_owed": column(BIGINT, "Rows the run had to deal with.", NOT_NEGATIVE, nullable=True),
        "rows_out": column(BIGINT, "Rows written.", NOT_NEGATIVE, nullable=True),
        "rows_known": column(BIGINT, "Rows already in the lake.", NOT_NEGATIVE, nullable=True),
        "rows_quarantined": column(BIGINT, "Rows refused.", NOT_NEGATIVE, nullable=True),
        "watermark_from": column(BIGINT, "Data version where the work began (exclusive).", nullable=True),
        "data_version": column(BIGINT, "Data version the run wrote or worked up to (inclusive).", nullable=True),
        "until_at": column(
            INSTANT, "Hour up to which a materialization wrote the channel windows (UTC); else null.", nullable=True
        ),
        "stage_seconds": column(TEXT, "Seconds per stage, a JSON object.", nullable=True),
        "peak_memory_mib": column(DOUBLE, "Greatest resident memory of the process, MiB.", nullable=True),
        "cpu_seconds": column(DOUBLE, "Processor seconds of all its processes; null if not told.", nullable=True),
        "bytes_written": column(
            BIGINT, "Bytes of the data files that its workers wrote; null if not told.", NOT_NEGATIVE, nullable=True
        ),
        "details": column(TEXT, "What else the kind of run has to say, a JSON object.", nullable=True),
    },
)
PROMOTIONS: Final = table(
    "ops.promotions",
    "Every verdict on a model version: promoted, refused or rolled back, with its reasons.",
    ("decided_at", "model", "version"),
    {
        "decided_at": column(INSTANT, "When the verdict was given (UTC)."),
        "model": column(TEXT, "Model."),
        "version": column(TEXT, "Version that was judged."),
        "action": column(TEXT, "promoted, refused, rolled_back, canary or withdrawn."),
        "champion_before": column(TEXT, "Champion before; null if none.", nullable=True),
        "champion_after": column(TEXT, "Champion after; null if none.", nullable=True),
        "reasons": column(TEXTS, "One sentence per check of the gate, or the operator's reason."),
        "run_id": column(TEXT, "Run that asked."),
        "share": column(DOUBLE, "Share of the channels given to a canary; null otherwise.", SHARE, nullable=True),
    },
)
LEASES: Final = table(
    "ops.leases",
    "Who works for a model's role right now; a lease past its end, or of a dead process, is free.",
    ("name",),
    {
        "name": column(TEXT, "What is leased: <model>/<role>."),
        "run_id": column(TEXT, "Run that holds it."),
        "host": column(TEXT, "Host of the holder."),
        "process_id": column(BIGINT, "Process of the holder."),
        "acquired_at": column(INSTANT, "Since when (UTC)."),
        "expires_at": column(INSTANT, "Until when at most (UTC)."),
        "process_started_at": column(
            INSTANT, "When that process began (UTC): another may have its number by now.", nullable=True
        ),
    },
)
QUOTA: Final = table(
    "ops.quota",
    "Units of the YouTube Data API's daily quota that runs have used: one row per run, day and method.",
    ("run_id", "resets_at", "method"),
    {
        "run_id": column(TEXT, "Run that called; its batches' ids begin with it."),
        "resets_at": column(INSTANT, "End of the day of the quota, midnight Pacific time (UTC)."),
        "method": column(TEXT, "channels, playlistItems, videos, commentThreads or comments; each time its list."),
        "calls": column(BIGINT, "Calls made, failed ones included.", NOT_NEGATIVE),
        "units": column(BIGINT, "Units that they cost.", NOT_NEGATIVE),
    },
)
CURSORS: Final = table(
    "ops.cursors",
    "Where the listing of a video's comments by the YouTube Data API stands: one row per video.",
    ("video_id",),
    {
        "video_id": column(TEXT, "Video."),
        "state": column(
            TEXT,
            "done, open (goes on at page_token), or why YouTube refused: disabled, not_found, forbidden, unreadable.",
        ),
        "began_at": column(INSTANT, "When the newest listing began (UTC)."),
        "is_full": column(BOOLEAN, "Whether it goes to the last thread, or only to those known before."),
        "reason": column(TEXT, "YouTube's reason code of a refusal; null if there was none.", nullable=True),
        "page_token": column(TEXT, "Page that an open listing goes on at; null if none is open.", nullable=True),
        "comment_count": column(
            BIGINT, "Comments of the video, as told when the listing began; null if not told.", nullable=True
        ),
        "caught_up_at": column(
            INSTANT,
            "When the newest finished listing began (UTC): older threads are known; null if none.",
            nullable=True,
        ),
        "completed_at": column(INSTANT, "The same of the newest full listing (UTC); null if none.", nullable=True),
        "run_id": column(TEXT, "Run that brought it here."),
    },
)
ALERTS: Final = table(
    "ops.alerts",
    "What somebody should know: one row for each time that something went wrong, until it was well again.",
    ("alert_id",),
    {
        "alert_id": column(TEXT, "Key, and the run that opened it."),
        "key": column(TEXT, "What it is about; of each key at most one alert is open."),
        "severity": column(TEXT, "info, warning or error; it never falls while the alert is open."),
        "subject": column(TEXT, "What happened, in a line."),
        "message": column(TEXT, "What happened the last time, what to do, and the run; no address of a channel."),
        "model": column(TEXT, "Model it is about; null if none.", nullable=True),
        "run_id": column(TEXT, "Run that saw it last."),
        "opened_at": column(INSTANT, "When it was first seen (UTC)."),
        "seen_at": column(INSTANT, "When it was last seen (UTC)."),
        "occurrences": column(BIGINT, "How often it was seen.", NOT_NEGATIVE),
        "closed_at": column(INSTANT, "When it was found well again (UTC); null while it is open.", nullable=True),
        "notified_at": column(INSTANT, "When it was last sent (UTC); null if never.", nullable=True),
        "notified_severity": column(TEXT, "Severity that was sent then; null if never.", nullable=True),
        "closing_notified_at": column(INSTANT, "When its end was sent (UTC); null if not.", nullable=True),
        "notice_error": column(TEXT, "Why the last attempt to send it failed; null if it did not.", nullable=True),
    },
)
RELEASES: Final = table(
    "ops.releases",
    "Which release of scorelake brought the lake to which schema; an earlier release must not write to it any more.",
    ("schema_version",),
    {
        "schema_version": column(BIGINT, "Number of the schema: of all declarations of tables.", NOT_NEGATIVE),
        "readable_since": column(BIGINT, "Earliest schema whose release reads this one rightly.", NOT_NEGATIVE),
        "release": column(TEXT, "Version of the scorelake that migrated the lake."),
        "migrated_at": column(INSTANT, "When it did (UTC)."),
    },
)

TABLES: Final = (RUNS, PROMOTIONS, LEASES, QUOTA, CURSORS, ALERTS, RELEASES)
