"""Ingest: files of one kind become one batch of the lake.

What a batch goes through is in `batches`; rows from the platform's API come in elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from feature_repo.sources.authors import AuthorHasher, AuthorHider
from feature_repo.sources.batches import Batch, IngestReceipt, enter_batch
from feature_repo.sources.kinds import KINDS
from feature_repo.sources.mapping import ColumnSource, SourceMapping
from feature_repo.sources.readers import Source, open_sources, read_rows
from feature_repo.sources.staging import Progress

__all__ = ["IngestReceipt", "IngestRequest", "ingest_files"]


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What is to be ingested, and how.

    Parameters
    ----------
    kind
        comments, videos, channels or labels: what each row of the files is.
    paths
        Files ending in .csv, .jsonl, .ndjson or .parquet.
    source
        Name that the rows will bear.
    run_id
        Id of the run, and of the batch.
    now
        Start of the run (UTC); stands for times that nothing else tells.
    author_key
        Key of the authors' hashes.
    bad_row_share_limit
        The batch is refused if a greater share of its rows is bad.
    task
        Task of the labels whose source tells none.
    """

    kind: str
    paths: tuple[Path, ...]
    mapping: SourceMapping
    source: str
    run_id: str
    now: datetime
    author_key: bytes = field(repr=False)
    bad_row_share_limit: float = 0.2
    task: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadData(f"expected one of {', '.join(KINDS)}, found {self.kind!r}")
        if not self.author_key:
            raise BadData("expected a key to hash authors with, found none")
        if self.now.tzinfo is None:
            raise BadData(f"expected the start of the run with its zone, found {self.now.isoformat()}")


def ingest_files(lake: Lake, request: IngestRequest, *, on_progress: Progress | None = None) -> IngestReceipt:
    """Bring the rows of files into the lake as one batch; the receipt tells what became of each row.

    The lake's tables must be there already, see `lake.migrate_tables`.
    Above the limit of bad rows nothing is written but the quarantine and the run, and the receipt says
    `is_refused`. Files that were ingested before change nothing.

    Parameters
    ----------
    on_progress
        Called from time to time with the number of rows read so far.

    Raises
    ------
    BadData
        If a file cannot be read or lacks a column; then nothing at all is written.
    Unavailable
        If another writer holds the lake for too long.
    """
    columns = request.mapping.read_kind(request.kind)
    sources = check_files(request.kind, request.paths, request.mapping)
    hider = build_hider(columns, request.author_key)
    batch = Batch(
        run_id=request.run_id,
        kind=request.kind,
        mapping=request.mapping,
        source=request.source,
        now=request.now,
        task=request.task,
        bad_row_share_limit=request.bad_row_share_limit,
        files=tuple(source.name for source in sources),
        columns_ignored=find_ignored_columns(sources, columns.values()),
    )
    files = (
        (source.name, hider.hide_authors(read_rows(source), source.columns if source.has_header else None))
        for source in sources
    )
    return enter_batch(lake, batch, files, on_progress)


def check_files(kind: str, paths: tuple[Path, ...], mapping: SourceMapping) -> tuple[Source, ...]:
    """Open every file as far as its columns; raises `BadData` for the first that is not what its mapping needs."""
    columns = mapping.read_kind(kind)
    sources = open_sources(paths)
    for source in sources:
        check_columns(source, kind, columns)
    return sources


def build_hider(columns: Mapping[str, ColumnSource], author_key: bytes) -> AuthorHider:
    """The hider of authors for a mapping's columns."""
    author = columns.get("author_id")
    author_columns = frozenset(author.read_columns if author else ())
    others = {source.column for name, source in columns.items() if name != "author_id"}
    return AuthorHider(AuthorHasher(author_key), author_columns, frozenset(name for name in others if name is not None))


def check_columns(source: Source, kind: str, columns: Mapping[str, ColumnSource]) -> None:
    """Raise `BadData` if a file lacks a column that its mapping needs.

    In JSONL a key may be absent from any object, so that only the columns without which no row is good
    are looked for, in the first objects.
    """
    if not source.has_header:
        columns = {name: columns[name] for name in KINDS[kind].required_columns if source.columns}
    needed = {column for mapped in columns.values() if not mapped.is_optional for column in mapped.read_columns}
    missing = sorted(needed - set(source.columns))
    if missing:
        raise BadData(
            f"{source.name} lacks {_quote(missing)}; expected {_quote(sorted(needed))}, "
            f"found {_quote(source.columns)}. Name a mapping that fits, or rename the columns"
        )


def find_ignored_columns(sources: Iterable[Source], columns: Iterable[ColumnSource]) -> tuple[str, ...]:
    """Columns of the files that the mapping does not use."""
    used = {column for mapped in columns for column in mapped.read_columns}
    found = dict.fromkeys(column for source in sources for column in source.columns)
    return tuple(column for column in found if column not in used)


def _quote(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
