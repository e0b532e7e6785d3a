"""The one way to features: the spine, the services, and the retrieval as a table or as SQL.

Feast is imported inside the functions that need it (seconds), and its errors end here. What a feature is belongs
in `definitions`; which row of it counts at an instant, in `point_in_time`.
"""

import copy
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final, cast

from feature_repo.databases import build_url
from feature_repo.errors import BadData
from feature_repo.feature_registry import locate_registry, read_registry
from feature_repo.history import Window
from feature_repo.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureService, FeatureStore, FeatureView
    from feast.feature_view_projection import FeatureViewProjection
    from feast.repo_contents import RepoContents

    from feature_repo.offline_source import DuckLakeSource
    from feature_repo.retrieval_job import DuckLakeRetrievalJob

_CONFIG: Final = Path(__file__).with_name("feature_store.yaml")
_SPINE: Final = Path(__file__).with_name("spine.sql")


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """What a feature service stands for, as the registry has it.

    Parameters
    ----------
    name
        Name of the service.
    features
        Columns that a retrieval adds to the spine, in their order.
    definition
        All that decides a value: per view its table, keys, time columns, ttl, and its features with their types.
        JSON-able, in a stable order; words for people (descriptions, owners) are left out.
    digest
        SHA-256 of the definition as canonical JSON, in hex.
    """

    name: str
    features: tuple[str, ...]
    definition: dict[str, Any]
    digest: str

    @classmethod
    def from_json(cls, definition: dict[str, Any]) -> "ServiceDefinition":
        """Build the service that a definition describes, such as one that was kept."""
        features = tuple(feature["name"] for view in definition["views"] for feature in view["features"])
        digest = hashlib.sha256(_write_canonical(definition)).hexdigest()
        return cls(definition["service"], features, definition, digest)

    @property
    def references(self) -> list[str]:
        """Its features as Feast refers to them without a service: `view:feature`."""
        return [
            f"{view['view']}:{feature['name']}" for view in self.definition["views"] for feature in view["features"]
        ]


def build_spine(*, data_version: int, above: int = 0, is_ordered: bool = True) -> str:
    """The query for the spine: one row per (comment_id, text_id) with above < ingest_seq <= data_version.

    Columns: comment_id, text_id, channel_id (of the video, as first observed up to that data version; the
    comment's own if no video tells), video_id, published_at, event_timestamp (when this text was first observed),
    ingest_seq, resolved_seq (the batch from which on its channel is known as well). channel_id, video_id and
    published_at may be null. Ordered by ingest_seq, comment_id, text_id, so that a set is rebuilt row by row, unless
    nobody minds.

    >>> "ingest_seq > 3 and comments.ingest_seq <= 7" in build_spine(data_version=7, above=3)
    True
    """
    spine = _SPINE.read_text(encoding="utf-8").format(data_version=data_version, above=above).rstrip()
    return f"{spine}\norder by comments.ingest_seq, comments.comment_id, comments.text_id" if is_ordered else spine


def open_store(lake: Lake, *, data_version: int | None = None, window: Window | None = None) -> "FeatureStore":
    """Feast's store on a lake, as of a data version (all rows if None), for spines of a window (None: for any).

    Raises
    ------
    Unavailable
        If the definitions were never applied to this lake.
    """
    config = _read_config(lake, data_version)
    config["offline_store"]["window"] = asdict(window) if window else None
    read_registry(lake)
    return _build_store(config)


def apply_definitions(lake: Lake) -> tuple[str, ...]:
    """Register what `definitions` holds, exactly as `feast apply` does; safe to repeat.

    Returns the sorted names of all entities, views and services in the registry. Whatever it held beyond the
    definitions is deleted. The caller holds the writer lock: Feast takes none.
    """
    from feast.repo_operations import apply_total_with_repo_instance  # noqa: PLC0415 - Feast takes seconds

    config = _read_config(lake, None)
    locate_registry(lake).parent.mkdir(parents=True, exist_ok=True)
    with translate_errors(), redirect_stdout(StringIO()):
        store = _build_store(config)
        contents = _read_contents(config)
        apply_total_with_repo_instance(store, store.project, store.registry, contents, skip_source_validation=False)
        entities, views, services = store.list_entities(), store.list_feature_views(), store.list_feature_services()
    names = [
        *(entity.name for entity in entities),
        *(view.name for view in views),
        *(service.name for service in services),
    ]
    return tuple(sorted(names))


def describe_service(lake: Lake, service: str) -> ServiceDefinition:
    """What a service stands for, and a digest by which a model version can tell that it still does.

    Raises
    ------
    BadData
        If there is no such service; the message names those there are.
    """
    with translate_errors():
        store = open_store(lake)
        found = read_service(store, service)
        views = [_describe_view(store.get_feature_view(one.name), one) for one in found.feature_view_projections]
    return ServiceDefinition.from_json({"service": service, "views": views})


def read_features(lake: Lake, service: str | ServiceDefinition, spine: str, *, data_version: int) -> "pa.Table":
    """The columns of the spine and the features of the service: one row per row of the spine, in its order.

    Parameters
    ----------
    service
        Name of the service as it is now; or a definition that was kept, whose features are then asked of the views
        one by one, whatever became of the service.
    spine
        Trusted SQL, as `build_spine` gives it, perhaps narrowed or joined with labels. It needs the keys of the
        service and `event_timestamp`.
    data_version
        Features are read as they were at this data version, each as known at the row's instant.
    """
    with translate_errors():
        return _plan_retrieval(lake, service, spine, data_version=data_version).to_arrow()


def compile_features(lake: Lake, service: str, spine: str, *, data_version: int, window: Window | None = None) -> str:
    """The query behind `read_features`; it runs on any connection of `read_lake`, without Feast.

    Parameters
    ----------
    window
        What is promised of the spine, so that files of other times are left out.
    """
    with translate_errors():
        return _plan_retrieval(lake, service, spine, data_version=data_version, window=window).to_sql()


def _plan_retrieval(
    lake: Lake, service: str | ServiceDefinition, spine: str, *, data_version: int, window: Window | None = None
) -> "DuckLakeRetrievalJob":
    store = open_store(lake, data_version=data_version, window=window)
    features = read_service(store, service) if isinstance(service, str) else service.references
    job = store.get_historical_features(entity_df=spine, features=features, filter_by_created_timestamp=True)
    return cast("DuckLakeRetrievalJob", job)


def read_service(store: "FeatureStore", name: str) -> "FeatureService":
    """The service of that name; raises `BadData` naming those there are."""
    services = {service.name: service for service in store.list_feature_services()}
    if name not in services:
        raise BadData(f"no feature service {name!r}; there are {', '.join(sorted(services)) or 'none'}")
    return services[name]


def read_source(view: "FeatureView") -> "DuckLakeSource":
    """The table of the lake behind a feature view."""
    from feature_repo.offline_source import check_source  # noqa: PLC0415 - imports Feast

    return check_source(view.batch_source)


def _describe_view(view: "FeatureView", projection: "FeatureViewProjection") -> dict[str, Any]:
    return {
        "view": view.name,
        "keys": {key: projection.join_key_map.get(key, key) for key in view.join_keys},
        "source": cast("DuckLakeSource", view.batch_source).describe(),
        "ttl_seconds": view.ttl.total_seconds() if view.ttl else 0,
        "features": [{"name": field.name, "type": str(field.dtype)} for field in projection.features],
    }


def _write_canonical(definition: dict[str, Any]) -> bytes:
    return json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()


def _read_config(lake: Lake, data_version: int | None) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - needed with Feast only

    quoted = str(lake.home).replace("'", "''")  # the file puts its paths into single quotes
    config: dict[str, Any] = yaml.safe_load(
        Template(_CONFIG.read_text(encoding="utf-8")).substitute(SCORELAKE_HOME=quoted)
    )
    config["offline_store"] |= {"data_version": data_version, "memory_limit": lake.memory_limit, "lake": lake}
    if lake.registry_address:
        config["registry"] = {"registry_type": "sql", "path": build_url(lake.registry_address, "psycopg")}
    if lake.redis:
        # Its check of timestamps would keep out a row that was corrected; the lake's one writer makes it needless.
        config["online_store"] = {"type": "redis", "connection_string": lake.redis, "skip_dedup": True}
    return config


def _build_store(config: dict[str, Any]) -> "FeatureStore":
    from feast import FeatureStore, RepoConfig  # noqa: PLC0415 - Feast takes seconds

    return FeatureStore(config=RepoConfig(**config))


def _read_contents(config: dict[str, Any]) -> "RepoContents":
    """What Feast's command line finds in `definitions`, in the order in which it is written there."""
    import feast.feature_view  # noqa: PLC0415 - Feast takes seconds
    from feast.repo_contents import RepoContents  # noqa: PLC0415

    from feature_repo import definitions  # noqa: PLC0415

    kinds = (feast.Entity, feast.FeatureView, feast.FeatureService)
    found = [thing for thing in vars(definitions).values() if isinstance(thing, kinds)]
    # Copied, because Feast writes times and versions into what it registers, and there may be a second lake.
    found = copy.deepcopy(found)
    views = [thing for thing in found if isinstance(thing, feast.FeatureView)]
    return RepoContents(
        projects=[feast.Project(name=config["project"], description=config["project_description"])],
        data_sources=[view.batch_source for view in views if view.batch_source],
        feature_views=views,
        on_demand_feature_views=[],
        stream_feature_views=[],
        label_views=[],
        entities=[*(thing for thing in found if isinstance(thing, feast.Entity)), feast.feature_view.DUMMY_ENTITY],
        feature_services=[thing for thing in found if isinstance(thing, feast.FeatureService)],
        permissions=[],
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Give errors of Feast our names."""
    from feast.errors import FeastError  # noqa: PLC0415 - Feast takes seconds

    try:
        yield
    except FeastError as error:
        raise BadData(f"Feast refused: {error}") from error
