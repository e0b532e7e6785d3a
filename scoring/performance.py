"""How right the scores were, as labels that came later say: by version, week and slice.

Kernel: figures of the rows of one version and week. Step: the last weeks are counted anew, into
`monitoring.performance`. What a version promised is in its descriptor; what an alarm is, in `alarm`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.lake import Lake, quote_name, read_lake, run_transaction, write_lake
from feature_repo.tables.features import COMMENT_FEATURES
from scoring.alarm import Alarm, AlarmRule, WindowVerdict, judge_windows
from training.metrics import Metrics, estimate_metrics, tally_groups
from training.promotions import read_standing
from training.resolved import resolve_again
from training.slices import mark_slice
from training.spec import ModelSpec, Slice

if TYPE_CHECKING:
    import duckdb

_LATE_LABELS: Final = Path(__file__).with_name("late_labels.sql")
_WEEKS: Final = 4  # labels come late, and are corrected: so many weeks are counted anew
ALL: Final = "all"
MIN_LABELS: Final = 50  # below, one bad video would be a verdict
MIN_GROUPS: Final = 10


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of one version on the labels of one week, on all of them or on a slice."""

    model_version: str
    week_on: date
    slice_name: str
    metrics: Metrics
    promised_accuracy: float

    @property
    def is_judged(self) -> bool:
        """Whether there are enough labels and videos for a verdict."""
        return self.metrics.rows >= MIN_LABELS and self.metrics.groups >= MIN_GROUPS

    @property
    def is_violated(self) -> bool:
        """Whether even the upper end of the accuracy's interval is below what was promised."""
        return self.is_judged and self.metrics.values["accuracy"].high < self.promised_accuracy


def measure_performance(lake: Lake, spec: ModelSpec, *, run_id: str, now: datetime, rule: AlarmRule) -> Alarm:
    """Count the last weeks' late labels into `monitoring.performance`, and judge the champion's weeks.

    Weeks with too few labels are no windows. Without late labels nothing is written.
    """
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=today.weekday(), weeks=_WEEKS - 1)
    with read_lake(lake) as connection:
        rows = _read_late_labels(connection, spec, since=datetime.combine(first, time(), UTC), now=now)
    if rows.num_rows:
        versions = pc.unique(rows.column("model_version")).to_pylist()
        promised = {name: _read_promise(lake, spec, name) for name in versions}
        found = list(measure_weeks(rows, spec, promised))
        with write_lake(lake, purpose=f"measure {spec.name}") as connection:
            run_transaction(
                connection, lambda connection: _replace(connection, spec.name, first, found, run_id=run_id, now=now)
            )
    with read_lake(lake) as connection:
        return judge_windows(read_week_verdicts(connection, spec.name), rule)


def measure_weeks(rows: pa.Table, spec: ModelSpec, promised: dict[str, float]) -> Iterator[Performance]:
    """Figures by version and week, on all rows and on each slice that has any.

    Parameters
    ----------
    rows
        One per labelled comment: label, model_version, week_on, group_id, `p_<class>`, columns of slices.
    promised
        Accuracy by version.
    """
    rows = rows.filter(pc.is_in(rows.column("label"), value_set=pa.array(spec.classes)))
    keys = rows.group_by(["model_version", "week_on"]).aggregate([]).sort_by([("week_on", "ascending")])
    for key in keys.to_pylist():
        version, week = key["model_version"], key["week_on"]
        own = pc.and_(pc.equal(rows.column("model_version"), version), pc.equal(rows.column("week_on"), week))
        some = rows.filter(own)
        yield Performance(version, week, ALL, measure(some, spec.classes), promised[version])
        for one in _list_slices(spec):
            part = some.filter(pa.array(mark_slice(some, one)))
            if part.num_rows:
                yield Performance(version, week, one.name, measure(part, spec.classes), promised[version])


def measure(rows: pa.Table, classes: tuple[str, ...]) -> Metrics:
    """Figures of some labelled scores, with intervals over resampled videos."""
    labels = pc.index_in(rows.column("label"), value_set=pa.array(classes)).to_numpy().astype(np.int64)
    probabilities = np.column_stack([rows.column(f"p_{name}").to_numpy() for name in classes])
    names, groups = np.unique(rows.column("group_id").to_numpy(), return_inverse=True)
    return estimate_metrics(tally_groups(labels, probabilities, groups.astype(np.int64), len(names)), classes)


def _read_promise(lake: Lake, spec: ModelSpec, version: str) -> float:
    return float(resolve_again(lake, spec.name, version).descriptor["metrics"]["accuracy"])


def _list_slices(spec: ModelSpec) -> list[Slice]:
    return [one for one in spec.slices if one.column in COMMENT_FEATURES.columns]


def _read_late_labels(
    connection: "duckdb.DuckDBPyConnection", spec: ModelSpec, *, since: datetime, now: datetime
) -> pa.Table:
    sliced = dict.fromkeys(one.column for one in _list_slices(spec))
    columns = [f"matched.{quote_name(f'p_{name}')}" for name in spec.classes]
    columns += [f"features.{quote_name(name)}" for name in sliced]
    sql = _LATE_LABELS.read_text().format(history=quote_name(f"scores.{spec.name}"), columns=", ".join(columns))
    return connection.execute(sql, {"model": spec.name, "since": since, "now": now}).to_arrow_table()


def _replace(
    connection: "duckdb.DuckDBPyConnection",
    model: str,
    first: date,
    found: list[Performance],
    *,
    run_id: str,
    now: datetime,
) -> None:
    connection.execute("delete from monitoring.performance where model = ? and week_on >= ?", [model, first])
    for one in found:
        accuracy, macro_f1 = one.metrics.values["accuracy"], one.metrics.values["macro_f1"]
        row = [
            run_id, model, one.model_version, one.week_on, one.slice_name, one.metrics.rows, one.metrics.groups,
            accuracy.value, accuracy.low, accuracy.high, macro_f1.value, macro_f1.low, macro_f1.high,
            one.promised_accuracy, one.is_judged, one.is_violated, now,
        ]  # fmt: skip
        marks = ", ".join("?" for _ in row)
        connection.execute(f"insert into monitoring.performance values ({marks})", row)  # noqa: S608 - marks only


def read_week_verdicts(connection: "duckdb.DuckDBPyConnection", model: str) -> list[WindowVerdict]:
    """Read what late labels said of the champion's weeks that have enough of them."""
    rows = connection.execute(
        "select week_on, is_violated from monitoring.performance "
        "where model = ? and model_version = ? and slice = ? and is_judged",
        [model, read_standing(connection, model).champion, ALL],
    ).fetchall()
    begins = [(datetime.combine(week_on, time(), UTC), is_violated) for week_on, is_violated in rows]
    return [WindowVerdict(begin + timedelta(weeks=1), begin, is_violated) for begin, is_violated in begins]
