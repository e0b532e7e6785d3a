"""The training set: which comments are labelled, what was known of them, and which are held out for ever.

The split belongs here, because nothing may choose its own held-out rows. Which columns become which cells of a
matrix is in `model`; what a feature is, in `feature_repo`.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_repo.errors import BadData, Unavailable
from feature_repo.expired import find_expired
from feature_repo.lake import read_lake
from feature_repo.retrieval import build_spine, describe_service, read_features
from training.digest import digest_rows
from training.model import MatrixSpec

if TYPE_CHECKING:
    from feature_repo.lake import Lake
    from feature_repo.retrieval import ServiceDefinition
    from training.spec import ModelSpec

_logger = logging.getLogger(__name__)

_SQL: Final = Path(__file__).with_name("dataset.sql")

# Which batch brought a row, and who labelled it, is no part of what the row says.
_NOT_CONTENT: Final = frozenset({"ingest_seq", "resolved_seq", "label_source", "labeller"})


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Labelled comments with the features they had when they were judged, ordered by comment_id.

    Parameters
    ----------
    table
        One row per labelled comment: the spine's columns, label, labelled_at, label_source, labeller, the service's
        features.
    labels
        Class codes, int64 (rows,): positions in the spec's classes.
    groups
        Name of the group of each row, (rows,).
    is_held_out
        Rows on which no version is ever trained, boolean (rows,). All false for a cross-group spec.
    matrix
        The columns of the service as a matrix.
    service
        The feature service as it was defined when the set was read.
    data_version, as_of
        What was known: rows with ingest_seq <= data_version, labels given up to as_of.
    digest
        SHA-256 of the content, in hex; the order of rows and the batch they came in do not matter.
    expired_ids
        Labelled comments that were in the set and are not any more, because their text has expired; sorted. With
        one or more of them, the digest is not the one of then.
    """

    table: pa.Table
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    is_held_out: NDArray[np.bool_]
    matrix: MatrixSpec
    service: "ServiceDefinition"
    data_version: int
    as_of: datetime
    digest: str
    expired_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """What a lake has for a training set: the rows whose text is there, and the comments whose text has expired."""

    table: pa.Table
    expired_ids: tuple[str, ...]
    service: "ServiceDefinition"

    @property
    def digest(self) -> str:
        """SHA-256 of what the rows say, in hex."""
        return digest_rows(select_content(self.table), key="comment_id")


def build_training_set(lake: "Lake", spec: "ModelSpec", *, data_version: int, as_of: datetime) -> TrainingSet:
    """Read the training set as it was at a data version: the same arguments give the same rows, whenever asked.

    But for those whose text has expired since: they are left out and named in `expired_ids`.

    Parameters
    ----------
    data_version
        Greatest ingest_seq of comments, labels and features that count.
    as_of
        Instant (aware) up to which labels count; the latest per comment wins, then the later batch.

    Raises
    ------
    BadData
        If there are too few labels, or labels of no class of the model.
    """
    service = describe_service(lake, spec.feature_service)
    rows = read_labelled_rows(lake, spec, service, data_version=data_version, as_of=as_of)
    if rows.expired_ids:
        _logger.warning("model=%s data_version=%d rows_expired=%d", spec.name, data_version, len(rows.expired_ids))
    known = split_table(rows.table, spec, service, data_version=data_version, as_of=as_of)
    return replace(known, expired_ids=rows.expired_ids)


def read_labelled_rows(
    lake: "Lake", spec: "ModelSpec", service: "ServiceDefinition", *, data_version: int, as_of: datetime
) -> LabelledRows:
    """Read the labelled comments with the features of a service, be it as it is now or as a version kept it."""
    query = build_query(spec.name, data_version=data_version, as_of=as_of)
    table = read_features(lake, service, query, data_version=data_version)
    with read_lake(lake) as connection:
        is_expired = find_expired(connection, table, spec.token_column)
    expired_ids = tuple(sorted(table.column("comment_id").filter(pa.array(is_expired)).to_pylist()))
    return LabelledRows(table.filter(pa.array(~is_expired)), expired_ids, service)


def select_content(table: pa.Table) -> pa.Table:
    """The columns of a feature table that say something, which the batch that brought a row does not."""
    return table.select(sorted(set(table.column_names) - _NOT_CONTENT))


def build_query(task: str, *, data_version: int, as_of: datetime) -> str:
    """Write the query for the labelled comments: columns of the spine, label, and when and by whom it was given.

    A label belongs to the latest text observed at or before it was given; if there is none, to the first.
    """
    if as_of.tzinfo is None:
        raise BadData(f"as_of must say its time zone, found {as_of.isoformat()}")
    return _SQL.read_text(encoding="utf-8").format(
        spine=build_spine(data_version=data_version),
        task=_quote_text(task),
        as_of=f"timestamptz {_quote_text(as_of.isoformat())}",
        data_version=data_version,
    )


def split_table(
    table: pa.Table, spec: "ModelSpec", service: "ServiceDefinition", *, data_version: int, as_of: datetime
) -> TrainingSet:
    """Check the labels of a feature table and split it by group.

    Raises
    ------
    BadData
        If labels are outside the classes, or either side of the split lacks rows of a class.
    Unavailable
        If labelled comments have no features yet.
    """
    _check_features(table, spec.token_columns)
    table = table.sort_by("comment_id")
    labels = encode_labels(table.column("label"), spec.classes)
    groups = read_groups(table, spec.group_column)
    is_held_out = hold_out_groups(
        groups, share=0 if spec.is_cross_group else spec.held_out_share, salt=spec.held_out_salt
    )
    _check_rows(spec, labels, groups, is_held_out)
    numeric = tuple(name for name in service.features if not pa.types.is_list(table.schema.field(name).type))
    lexicon = spec.read_lexicon(spec.token_column) if spec.read_lexicon else None
    return TrainingSet(
        table=table,
        labels=labels,
        groups=groups,
        is_held_out=is_held_out,
        matrix=MatrixSpec(spec.token_columns, spec.token_dimension, numeric, lexicon),
        service=service,
        data_version=data_version,
        as_of=as_of,
        digest=digest_rows(select_content(table), key="comment_id"),
    )


def encode_labels(labels: pa.ChunkedArray, classes: Sequence[str]) -> NDArray[np.int64]:
    """Positions of the labels in the classes.

    >>> encode_labels(pa.chunked_array([["spam", "ham"]]), ("ham", "spam")).tolist()
    [1, 0]
    """
    codes = pc.index_in(labels, value_set=pa.array(classes, labels.type))
    if codes.null_count:
        foreign = pc.value_counts(labels.filter(pc.is_null(codes))).to_pylist()
        examples = ", ".join(f"{one['values']!r} ({one['counts']})" for one in foreign[:5])
        raise BadData(
            f"labels must be one of {', '.join(classes)}; {codes.null_count} of {len(labels)} are not: {examples}. "
            "Correct them at their source, or take the batch back with `scorelake ingest --revert`."
        )
    encoded: NDArray[np.int64] = codes.to_numpy().astype(np.int64)
    return encoded


def read_groups(table: pa.Table, column: str) -> NDArray[np.str_]:
    """Name of each row's group; where it is null, the comment is its own group.

    >>> read_groups(pa.table({"comment_id": ["a", "b"], "video_id": ["v", None]}), "video_id").tolist()
    ['group v', 'comment b']
    """
    text = pa.string()
    named = pc.binary_join_element_wise("group", pc.cast(table.column(column), text), " ")
    alone = pc.binary_join_element_wise("comment", pc.cast(table.column("comment_id"), text), " ")
    groups: NDArray[np.str_] = np.asarray(pc.coalesce(named, alone).to_pylist(), dtype=np.str_)
    return groups


def hold_out_groups(groups: NDArray[np.str_], *, share: float, salt: str) -> NDArray[np.bool_]:
    """Which rows are held out: all rows of a group, or none.

    A group is held out if the first 8 bytes of SHA-256(salt + group), read as a fraction of 2^64, lie below the
    share. So the answer for a group never depends on what other data there is.
    """
    names, positions = np.unique(groups, return_inverse=True)
    fractions = [_hash_fraction(salt + name) for name in names]
    is_held_out: NDArray[np.bool_] = (np.asarray(fractions) < share)[positions]
    return is_held_out


def _hash_fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _check_features(table: pa.Table, columns: Sequence[str]) -> None:
    # A service of an earlier release may lack a column; whether it is needed is the matrix's to say.
    for column in (name for name in columns if name in table.column_names):
        if missing := table.column(column).null_count:
            raise Unavailable(
                f"{missing} of {len(table)} labelled comments have no {column} yet; run `scorelake apply`, then "
                "`scorelake materialize`, and try again"
            )


def _check_rows(
    spec: "ModelSpec", labels: NDArray[np.int64], groups: NDArray[np.str_], is_held_out: NDArray[np.bool_]
) -> None:
    hint = f"Bring more with `scorelake ingest labels PATH --task {spec.name}`."
    if len(labels) < spec.min_rows:
        raise BadData(f"{spec.name} needs {spec.min_rows} labelled comments; there are {len(labels)}. {hint}")
    if spec.is_cross_group and len(np.unique(groups)) < 2:  # noqa: PLR2004 - one to learn from, one to judge on
        raise BadData(f"{spec.name} is judged across groups ({spec.group_column}) and found only one. {hint}")
    sides = {"in all": ~is_held_out} if spec.is_cross_group else {"to train on": ~is_held_out, "held out": is_held_out}
    for side, is_in in sides.items():
        counts = np.bincount(labels[is_in], minlength=len(spec.classes))
        if counts.min() < spec.min_class_rows:
            found = ", ".join(f"{name} {count}" for name, count in zip(spec.classes, counts, strict=True))
            raise BadData(
                f"{spec.name} needs {spec.min_class_rows} comments of each class {side}; found {found}. {hint}"
            )


def _quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
