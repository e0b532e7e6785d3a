"""Two versions on the same comments: where they disagree, how sure they are, and who is right where that is known.

Reads what both have scored, whoever ran it: a champion and its shadow, say. How it is drawn is in `compare_plot`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import stats

from feature_repo.contracts import read_sql_types
from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake
from feature_repo.tables.features import COMMENT_FEATURES
from training.metrics import Estimate, build_estimate, compute_confusion_metrics, resample_groups
from training.spec import ModelSpec, Slice

if TYPE_CHECKING:
    import duckdb

    from training.model import Floats
    from training.version import ModelVersion

BINS: Final = 20
_FOLDER: Final = Path(__file__).parent
_MIN_GROUPS: Final = 2


@dataclass(frozen=True, slots=True)
class SliceComparison:
    """The versions on one kind of text, or on all: how many rows, and the share on which their labels differ."""

    name: str
    rows: int
    disagreement: Estimate
    our_confidence: float
    their_confidence: float


@dataclass(frozen=True, slots=True)
class JudgedComparison:
    """The versions on rows with a label that came after both were trained; figures are ours minus theirs."""

    rows: int
    our_accuracy: float
    their_accuracy: float
    accuracy_gain: Estimate
    our_macro_f1: float
    their_macro_f1: float
    macro_f1_gain: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing our version with theirs.

    Parameters
    ----------
    overall, slices
        On all rows, and on each kind of text that has any.
    labels
        Rows by our label and theirs, most frequent first.
    our_abstained, their_abstained
        Shares of rows with too low a confidence to act on, 0 to 1.
    our_histogram, their_histogram
        Rows by confidence, in `BINS` equal bins from 0 to 1.
    judged
        None without such labels.
    """

    model: str
    ours: str
    theirs: str
    overall: SliceComparison
    labels: tuple[tuple[str, str, int], ...]
    our_abstained: float
    their_abstained: float
    our_histogram: tuple[int, ...]
    their_histogram: tuple[int, ...]
    slices: tuple[SliceComparison, ...]
    judged: JudgedComparison | None


def compare_versions(
    lake: Lake, spec: ModelSpec, ours: "ModelVersion", theirs: "ModelVersion", *, since: datetime | None = None
) -> Comparison:
    """Compare two versions on the comments that both have scored.

    Parameters
    ----------
    since
        Only comments written since then (UTC); None for all.

    Raises
    ------
    BadData
        If they have scored no comment in common.
    """
    slices = [one for one in spec.slices if one.column in read_sql_types(COMMENT_FEATURES)]
    with read_lake(lake) as connection:
        _create_compared(
            connection, spec.name, slices, {"ours": ours.version, "theirs": theirs.version, "since": since}
        )
        overall, *parts = (_compare_slice(connection, *one) for one in [("all", "true"), *_name_marks(slices)])
        if not overall.rows:
            raise BadData(
                f"versions {ours.version} and {theirs.version} of {spec.name} have scored no comment in common; run "
                f"`scorelake score {spec.name} --shadow {ours.version}`, or a backfill"
            )
        [(our_abstained, their_abstained)] = connection.execute(
            "select avg(is_ours_abstained::int), avg(is_theirs_abstained::int) from compared"
        ).fetchall()
        return Comparison(
            model=spec.name,
            ours=ours.version,
            theirs=theirs.version,
            overall=overall,
            labels=tuple(connection.execute(_LABELS).fetchall()),
            our_abstained=our_abstained,
            their_abstained=their_abstained,
            our_histogram=_count_bins(connection, "our_confidence"),
            their_histogram=_count_bins(connection, "their_confidence"),
            slices=tuple(one for one in parts if one.rows),
            judged=_judge(connection, spec, since=max(_read_cutoff(ours), _read_cutoff(theirs))),
        )


_LABELS: Final = "select our_label, their_label, count(*) as rows from compared group by all order by rows desc, 1"


def _create_compared(
    connection: "duckdb.DuckDBPyConnection", model: str, slices: Sequence[Slice], values: dict[str, Any]
) -> None:
    marks = [f"{_write_slice(one)} as {mark}" for one, (_, mark) in zip(slices, _name_marks(slices), strict=True)]
    written = ",\n    ".join(marks)
    connection.execute(_read_sql("compared").format(history=quote_name(f"scores.{model}"), slices=written), values)


def _write_slice(one: Slice) -> str:
    """The SQL condition that a row is in a slice; null where the column is."""
    column = f"cast({quote_name(one.column)} as double)"
    return f"{column} >= '{one.at_least!r}'::double and {column} < '{one.below!r}'::double"


def _name_marks(slices: Sequence[Slice]) -> list[tuple[str, str]]:
    """Name of each slice, and of the column that tells whether a row is in it."""
    return [(one.name, f"is_in_{number:d}") for number, one in enumerate(slices)]


def _compare_slice(connection: "duckdb.DuckDBPyConnection", name: str, mark: str) -> SliceComparison:
    [(rows, differing, our_confidence, their_confidence)] = connection.execute(
        "select count(*), count(*) filter (our_label <> their_label), avg(our_confidence), avg(their_confidence) "  # noqa: S608 - our own name
        f"from compared where {mark}"
    ).fetchall()
    return SliceComparison(name, rows, estimate_share(differing, rows), our_confidence or 0.0, their_confidence or 0.0)


def estimate_share(count: int, rows: int) -> Estimate:
    """A share and its 95 % interval after Wilson (*Journal of the American Statistical Association* 22, 1927)."""
    if not rows:
        return Estimate(0.0, 0.0, 1.0)
    interval = stats.binomtest(count, rows).proportion_ci(method="wilson")
    return Estimate(count / rows, float(interval.low), float(interval.high))


def _count_bins(connection: "duckdb.DuckDBPyConnection", column: str) -> tuple[int, ...]:
    rows = connection.execute(
        f"select least(floor({column} * {BINS:d}), {BINS - 1:d})::int, count(*) from compared group by all"  # noqa: S608 - our own name
    ).fetchall()
    counts = dict(rows)
    return tuple(counts.get(number, 0) for number in range(BINS))


def _read_cutoff(version: "ModelVersion") -> datetime:
    return datetime.fromisoformat(version.descriptor["as_of"])


def _judge(connection: "duckdb.DuckDBPyConnection", spec: ModelSpec, *, since: datetime) -> JudgedComparison | None:
    rows = connection.execute(_read_sql("compared_labels"), {"model": spec.name, "since": since}).fetchnumpy()
    groups, codes = np.unique(np.asarray(rows["group_id"], dtype=str), return_inverse=True)
    if len(groups) < _MIN_GROUPS:
        return None
    label, our, their = (
        np.array([spec.classes.index(one) for one in rows[name]], dtype=np.int64)
        for name in ("label", "our_label", "their_label")
    )
    tallies = [_tally_confusion(label, said, codes, len(groups), len(spec.classes)) for said in (our, their)]
    draws = resample_groups(np.hstack(tallies))  # drawn once for both: that is what pairs them
    gains = [_read_figures(half, spec.classes) for half in np.split(draws, 2, axis=1)]
    found = [_read_figures(tally.sum(axis=0), spec.classes) for tally in tallies]

    def estimate(name: str) -> Estimate:
        return build_estimate(float(found[0][name] - found[1][name]), gains[0][name] - gains[1][name])

    return JudgedComparison(
        rows=len(label),
        our_accuracy=float(found[0]["accuracy"]),
        their_accuracy=float(found[1]["accuracy"]),
        accuracy_gain=estimate("accuracy"),
        our_macro_f1=float(found[0]["macro_f1"]),
        their_macro_f1=float(found[1]["macro_f1"]),
        macro_f1_gain=estimate("macro_f1"),
    )


def _tally_confusion(label: Any, said: Any, groups: Any, group_count: int, classes: int) -> "Floats":
    cells = classes * classes
    counts = np.bincount(groups * cells + label * classes + said, minlength=group_count * cells)
    return counts.reshape(group_count, cells).astype(np.float64)


def _read_figures(sums: "Floats", classes: tuple[str, ...]) -> "dict[str, Floats]":
    return compute_confusion_metrics(sums.reshape(*sums.shape[:-1], len(classes), len(classes)), classes)


def _read_sql(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
