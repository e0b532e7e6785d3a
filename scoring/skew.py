"""The skew check: features as they were used, found again in other ways, value by value.

Three ways: in the lake, as of the same data version; from the text itself, as a single comment would be served; and
in the online store, at its own instant. Drawing the sample and keeping the checks belong here; which rows were
logged, to `feature_log`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from feature_repo.features.text_stream import TextStream
from feature_repo.lake import Lake, quote_text, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.online import read_online, read_online_state
from feature_repo.retrieval import compile_features
from scoring.feature_log import write_values

if TYPE_CHECKING:
    import duckdb

Row = Mapping[str, Any]
Pairs = Iterable[tuple[str, Row, Row]]

_KEYS: Final = ("comment_id", "text_id", "channel_id", "video_id")


@dataclass(frozen=True, slots=True)
class SkewCheck:
    """One feature found again in one way; `example` is a key and both values, None if all agree."""

    path: str
    feature: str
    rows_compared: int
    rows_differing: int
    example: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class SkewReceipt:
    """What a skew check found: the logged rows it looked at, and a check per feature and way."""

    run_id: str
    model: str
    rows: int
    checks: tuple[SkewCheck, ...]
    seconds: float

    @property
    def differing(self) -> tuple[SkewCheck, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.rows_differing)


def check_skew(lake: Lake, model: str, *, run_id: str, now: datetime, rows: int = 200) -> SkewReceipt:
    """Compare the newest logged features of a model with the same features found again, and keep the checks.

    Parameters
    ----------
    rows
        Logged rows that are looked at, of the newest scoring runs.

    Raises
    ------
    BadData
        If no features of the model were logged yet.
    """
    started = perf_counter()
    logged = _read_logged(lake, model, rows)
    checks = (
        *compare_values("lake", _pair_with_lake(lake, logged)),
        *compare_values("text", _pair_with_texts(lake, logged)),
        *compare_values("online", _pair_with_online(lake, logged)),
    )
    receipt = SkewReceipt(run_id, model, len(logged), checks, perf_counter() - started)
    _append_checks(lake, receipt, now)
    return receipt


def compare_values(path: str, pairs: Pairs) -> Iterator[SkewCheck]:
    """Compare rows value by value: one check per feature that both sides have, by name.

    >>> [check] = compare_values("lake", [("a", {"x": 1.0}, {"x": 1.0}), ("b", {"x": None}, {"x": 2.0})])
    >>> check.rows_compared, check.rows_differing, check.example
    (2, 1, {'key': 'b', 'used': None, 'found': 2.0})
    """
    compared: dict[str, list[Mapping[str, Any]]] = {}
    counts: dict[str, int] = {}
    for key, used, found in pairs:
        for name in used.keys() & found.keys():
            counts[name] = counts.get(name, 0) + 1
            if used[name] != found[name]:
                compared.setdefault(name, []).append({"key": key, "used": used[name], "found": found[name]})
    for name in sorted(counts):
        differing = compared.get(name, [])
        yield SkewCheck(path, name, counts[name], len(differing), differing[0] if differing else None)


def _read_logged(lake: Lake, model: str, rows: int) -> list[dict[str, Any]]:
    with read_lake(lake) as connection:
        found = connection.execute(
            "select feature_service, data_version, comment_id, text_id, channel_id, video_id, event_timestamp, "
            "features from monitoring.feature_log where model = ? "
            "order by data_version desc, md5(comment_id), text_id limit ?",
            [model, rows],
        )
        names = [column[0] for column in found.description]
        logged = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not logged:
        raise BadData(f"no features of {model} were logged yet; run `scorelake score {model}` first")
    return [row | {"features": json.loads(row["features"])} for row in logged]


def _pair_with_lake(lake: Lake, logged: Sequence[Row]) -> Pairs:
    """The logged rows beside what the lake now says of their instant, as of their data version."""
    for service, data_version in sorted({(row["feature_service"], row["data_version"]) for row in logged}):
        some = [row for row in logged if (row["feature_service"], row["data_version"]) == (service, data_version)]
        spine = _write_spine(some)
        sql = compile_features(lake, service, spine, data_version=data_version)
        for row, found in zip(some, _read_rows(lake, sql), strict=True):
            yield row["comment_id"], row["features"], write_values(found)


def _pair_with_texts(lake: Lake, logged: Sequence[Row]) -> Pairs:
    """The logged rows beside what the service would say of each text by itself."""
    with read_lake(lake) as connection, closing(TextStream()) as stream:
        for row in logged:
            text = connection.execute(
                "select text from raw.comments where comment_id = ? and text_id = ? and text is not null",
                [row["comment_id"], row["text_id"]],
            ).fetchone()
            if text:  # one that has expired cannot be served either
                [served] = stream.describe([text[0]]).drop_columns("tokens").to_pylist()
                yield row["comment_id"], row["features"], write_values(served)


def _pair_with_online(lake: Lake, logged: Sequence[Row]) -> Pairs:
    """What the lake says at the instant of the online store, beside what that holds, for the channels of the rows."""
    with read_lake(lake) as connection:
        state = read_online_state(connection)
    if state is None:
        return
    for service in sorted({row["feature_service"] for row in logged}):
        keys = _list_keys(logged, service)
        at_instant = [key | {"event_timestamp": state.filled_at} for key in keys]
        sql = compile_features(lake, service, _write_spine(at_instant), data_version=state.data_version)
        served = read_online(lake, service, keys, at=state.filled_at)
        for key, used, found in zip(keys, _read_rows(lake, sql), served, strict=True):
            yield str(key["channel_id"]), write_values(used), write_values(found)


def _list_keys(logged: Sequence[Row], service: str) -> list[dict[str, Any]]:
    """Channels and videos of the rows, each pair once; no comment."""
    pairs = {(row["channel_id"], row["video_id"]) for row in logged if row["feature_service"] == service}
    return [
        {"comment_id": None, "text_id": None, "channel_id": channel, "video_id": video}
        for channel, video in sorted(pairs, key=str)
    ]


def _write_spine(rows: Sequence[Row]) -> str:
    """The rows' keys and instants as a statement, in their order."""
    values = ",\n".join(
        f"({', '.join(_write_key(row[key]) for key in _KEYS)}, timestamptz {quote_text(str(row['event_timestamp']))})"
        for row in rows
    )
    return f"select * from (values\n{values}\n) as logged ({', '.join(_KEYS)}, event_timestamp)"  # noqa: S608 - quoted


def _write_key(key: str | None) -> str:
    return "null::varchar" if key is None else quote_text(key)


def _read_rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with read_lake(lake) as connection:
        found = connection.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _append_checks(lake: Lake, receipt: SkewReceipt, now: datetime) -> None:
    rows = [
        (
            receipt.run_id, receipt.model, now, check.path, check.feature, check.rows_compared, check.rows_differing,
            json.dumps(check.example, default=str) if check.example else None,
        )
        for check in receipt.checks
    ]  # fmt: skip
    run = Run(
        run_id=receipt.run_id,
        kind="skew",
        model=receipt.model,
        started_at=now,
        ended_at=now + timedelta(seconds=receipt.seconds),
        outcome="refused" if receipt.differing else "done",
        rows_owed=receipt.rows,
        rows_out=len(rows),
        stage_seconds={"compare": receipt.seconds},
        details={"differing": [f"{check.path}: {check.feature}" for check in receipt.differing]},
    )

    def append(connection: "duckdb.DuckDBPyConnection") -> None:
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into monitoring.skew values ({marks})", rows)  # noqa: S608 - marks only
        append_run(connection, run)

    with write_lake(lake, purpose=f"skew check {receipt.model}") as connection:
        run_transaction(connection, append)
