"""What was done: runs, verdicts and leases, `ops.*`."""

from typing import Final

from feature_repo.tables.columns import BIGINT, DOUBLE, INSTANT, NOT_NEGATIVE, TEXT, TEXTS, column, table

RUNS: Final = table(
    "ops.runs",
    "The ledger: every run, what was owed, what came of it. Watermarks and batch numbers are read from here.",
    ("run_id",),
    {
        "run_id": column(TEXT, "Id of the run; for an ingest it is the batch_id."),
        "kind": column(TEXT, "ingest, revert, replay, materialize, train, evaluate, score or monitor."),
        "model": column(TEXT, "Model the run worked for; null if none.", nullable=True),
        "model_version": column(TEXT, "Version of the model, resolved once; null if none.", nullable=True),
        "role": column(TEXT, "production, shadow, canary or backfill for scoring; null otherwise.", nullable=True),
        "started_at": column(INSTANT, "Start of the run (UTC)."),
        "ended_at": column(INSTANT, "End of the run (UTC)."),
        "outcome": column(TEXT, "done, refused or failed."),
        "rows_owed": column(BIGINT, "Rows the run had to deal with.", NOT_NEGATIVE, nullable=True),
        "rows_out": column(BIGINT, "Rows written.", NOT_NEGATIVE, nullable=True),
        "rows_known": column(BIGINT, "Rows already in the lake.", NOT_NEGATIVE, nullable=True),
        "rows_quarantined": column(BIGINT, "Rows refused.", NOT_NEGATIVE, nullable=True),
        "watermark_from": column(BIGINT, "Data version where the work began (exclusive).", nullable=True),
        "data_version": column(BIGINT, "Data version the run wrote or worked up to (inclusive).", nullable=True),
        "stage_seconds": column(TEXT, "Seconds per stage, a JSON object.", nullable=True),
        "peak_memory_mib": column(DOUBLE, "Greatest resident memory of the process, MiB.", nullable=True),
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
        "action": column(TEXT, "promoted, refused or rolled_back."),
        "champion_before": column(TEXT, "Champion before; null if none.", nullable=True),
        "champion_after": column(TEXT, "Champion after; null if none.", nullable=True),
        "reasons": column(TEXTS, "One sentence per check of the gate, or the operator's reason."),
        "run_id": column(TEXT, "Run that asked."),
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
    },
)

TABLES: Final = (RUNS, PROMOTIONS, LEASES)
