"""Settings: the one reader of the environment. Everything else is told what it needs.

Where values come from, and which wins, is in `setting_sources`.
"""

import os
import secrets
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from feature_repo.databases import parse_address
from feature_repo.errors import BadData, ScorelakeError
from feature_repo.lake import Lake
from feature_repo.storages.s3 import Bucket
from flows.setting_sources import PREFIX, find_home, read_given
from flows.transport import Transport
from scoring.alarm import AlarmRule
from scoring.healing import HealingPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

# What profile team cannot do without.
_TEAM: Final = ("author_key", "catalog", "data", "feature_registry", "mlflow", "prefect", "redis")


class Settings(BaseModel):
    """Everything that may be set, with its default; times in seconds, memory as DuckDB writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path(".scorelake"), description="Folder of the lake and of all state.")
    profile: Literal["local", "team"] = Field("local", description="What has to be set: nothing, or all of a team's.")
    environment: Literal["dev", "staging", "prod"] | None = Field(
        None, description="Which scorelake.<environment>.env in the home is laid over scorelake.env."
    )
    author_key: SecretStr | None = Field(None, description="Key of the hash of authors; made once if not set.")
    bad_row_share_limit: float = Field(0.2, ge=0, le=1, description="Share of bad rows above which a batch is refused.")
    lock_wait_seconds: float = Field(60, ge=0, description="How long a writer waits for the one before.")
    memory_limit: str | None = Field(None, description="DuckDB's memory limit per connection, such as 4GB.")
    partition_rows: int | None = Field(
        None, ge=1, description="Rows per scoring partition; as many as memory allows, up to 200000, if not set."
    )
    workers: int = Field(2, ge=1, description="Local scoring processes.")
    engine: Literal["local", "dask"] = Field("local", description="Who runs partitions: local processes, or Dask.")
    dask_scheduler: str | None = Field(
        None, description="Address of a Dask scheduler; a cluster of its own if not set."
    )
    unscored_share_limit: float = Field(
        0.01, ge=0, le=1, description="Share of comments at which a model may fail before its run is refused."
    )
    disk_reserve_mib: int = Field(512, ge=0, description="What scoring leaves free on the disk, or is refused, MiB.")
    drift_sample_rows: int = Field(4_000, ge=100, description="Rows sampled per window for drift checks.")
    monitor_memory_mib: int = Field(1_024, ge=256, description="What comparing windows may take of memory, MiB.")
    false_alarm_rate: float = Field(
        0.01, gt=0, le=0.2, description="Share of quiet windows in which drift or volume may seem to be odd."
    )
    alarm_windows: int = Field(3, ge=1, description="Windows that are looked at for an alarm, the newest included.")
    alarm_violations: int = Field(2, ge=1, description="How many of them must violate, the newest among them.")
    alert_block: str | None = Field(
        None, description="Prefect block that alerts go to, such as slack-webhook/ops; a Secret of Apprise URLs, too."
    )
    alert_urls: SecretStr | None = Field(None, description="Apprise URLs that alerts go to, separated by blanks.")
    freshness_hours: float = Field(48, gt=0, description="Without newer comments for so long, an alert is raised.")
    heal: bool = Field(True, description="Whether an alarm of drift or decay is acted on.")
    heal_cooldown_hours: float = Field(24, ge=0, description="At most one such act per model in so long.")
    fresh_days: float = Field(7, ge=0, description="For so long after its promotion a version may be rolled back.")
    youtube_api_key: SecretStr | None = Field(None, description="Key of the YouTube Data API.")
    youtube_api_key_block: str | None = Field(None, description="Prefect Secret block that holds the key instead.")
    youtube_daily_units: int = Field(10_000, ge=1, description="Units of YouTube's quota that a day's runs may use.")
    youtube_refresh_days: int = Field(7, ge=1, description="A video's comments are all listed again after so long.")
    youtube_base_url: str | None = Field(None, description="Address of the API if not Google's; it is sent the key.")
    redis: SecretStr | None = Field(
        None, description="Redis for online features, as Feast writes it: host:6379,password=...; a file if not set."
    )
    catalog: SecretStr | None = Field(
        None, description="PostgreSQL of the catalog: postgres://user:password@host:port/database; a file if not set."
    )
    data: str | None = Field(None, description="Place of the lake's files: s3://bucket/prefix; the home if not set.")
    s3_endpoint: str | None = Field(None, description="Server that speaks S3: http://host:port; Amazon's if not set.")
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    s3_access_key_id: SecretStr | None = Field(None, description="Key to the bucket; the machine's role if not set.")
    s3_secret_access_key: SecretStr | None = Field(None, description="The key's secret.")
    s3_session_token: SecretStr | None = Field(None, description="Token of a key that is for a time.")
    feature_registry: SecretStr | None = Field(
        None, description="PostgreSQL of Feast's registry, a database of its own; a file if not set."
    )
    mlflow: SecretStr | None = Field(
        None, description="PostgreSQL of MLflow's runs and versions, a database of its own; a file if not set."
    )
    prefect: SecretStr | None = Field(
        None, description="PostgreSQL of the Prefect server that commands start, its own database; a file if not set."
    )
    ca_file: Path | None = Field(
        None,
        description="Authorities that sign certificates of PostgreSQL, Redis and S3 (PEM); the system's if not set.",
    )
    plain_hosts: tuple[str, ...] = Field(
        (), description="Other hosts that are spoken to without TLS, separated by commas; else they are refused."
    )
    api_keys: SecretStr | None = Field(
        None, description="SHA-256 hashes of the service's keys, between blanks or commas; a key of its own if not set."
    )
    serve_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may ask the service, between commas: chrome-extension://..."
    )
    serve_rate: str = Field("600/minute", description="Requests to the service with one key, such as 20/second.")
    serve_seconds: float = Field(10, gt=0, description="When the service gives a request up, in seconds.")
    serve_threads: int = Field(2, ge=1, description="How many threads of the service score beside each other.")
    retention_days: int = Field(30, ge=1, description="Days after its last observation at which a text expires.")
    retained_sources: tuple[str, ...] = Field(
        ("youtube",), description="Sources whose texts expire, separated by commas; none if empty."
    )
    snapshot_days: int = Field(7, ge=1, description="Days for which the lake can be read as it was.")
    report_days: int = Field(90, ge=1, description="Days for which the pages and pictures below reports/ are kept.")
    retries: int = Field(0, ge=0, description="How often a step that found something unavailable is tried again.")

    @field_validator("retained_sources", "plain_hosts", "serve_origins", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names

    @field_validator("home", "ca_file")
    @classmethod
    def _make_absolute(cls, path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    @field_validator("home")
    @classmethod
    def _check_home(cls, home: Path) -> Path:
        # SQLAlchemy cuts an address at "?", and MLflow takes "%41" for "A": state would lie elsewhere.
        if found := sorted({*str(home)} & {"?", "%"}):
            raise ValueError(f"a path without {' or '.join(found)} is needed: addresses of databases are made of it")
        return home

    @field_validator("catalog", "feature_registry", "mlflow", "prefect")
    @classmethod
    def _check_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None:
            try:
                parse_address(address.get_secret_value())
            except ScorelakeError as error:
                raise ValueError(str(error)) from None
        return address

    @field_validator("data")
    @classmethod
    def _check_place(cls, address: str | None) -> str | None:
        if address is not None:
            try:
                Bucket(address)
            except BadData as error:
                raise ValueError(str(error)) from None
        return address

    @cached_property
    def alarm_rule(self) -> AlarmRule:
        """When windows that violate are an alarm; raises `BadData` if no number of them could be."""
        return AlarmRule(self.alarm_violations, self.alarm_windows)

    @cached_property
    def healing_policy(self) -> HealingPolicy:
        """For how long a version is fresh, and how long a model is left alone after an automatic act."""
        return HealingPolicy(timedelta(days=self.fresh_days), timedelta(hours=self.heal_cooldown_hours))

    @cached_property
    def lake(self) -> Lake:
        """The lake that all of this is about."""
        return Lake(
            self.home,
            memory_limit=self.memory_limit,
            lock_wait_seconds=self.lock_wait_seconds,
            redis=self.transport.secure_redis(self.redis.get_secret_value()) if self.redis else None,
            catalog_address=self._secure(self.catalog),
            registry_address=self._secure(self.feature_registry),
            mlflow_address=self._secure(self.mlflow),
            bucket=self._bucket,
        )

    @property
    def prefect_address(self) -> str | None:
        """Database of the Prefect server that commands start; a file in the home if None."""
        return self._secure(self.prefect)

    @cached_property
    def transport(self) -> Transport:
        """Whom servers are known by, and which are spoken to without TLS."""
        return Transport(self.ca_file, self.plain_hosts)

    def _secure(self, address: SecretStr | None) -> str | None:
        return self.transport.secure_database(address.get_secret_value()) if address else None

    @property
    def _bucket(self) -> Bucket | None:
        if self.data is None:
            return None
        return Bucket(
            self.data,
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            key_id=_reveal(self.s3_access_key_id),
            secret_key=_reveal(self.s3_secret_access_key),
            session_token=_reveal(self.s3_session_token),
            ca_file=str(self.ca_file) if self.ca_file else None,
        )

    def read_author_key(self) -> bytes:
        """Read the key of the author hash; the first call of a new lake makes one, readable by its owner only.

        Losing it means that the same author gets another id from then on.
        """
        if self.author_key is not None:
            return self.author_key.get_secret_value().encode()
        return _make_author_key(self.home / "scorelake.env").encode()


def read_settings() -> Settings:
    """Read the settings that are in force; raises `BadData` naming every one that is wrong or lacking."""
    return read_with_sources()[0]


def read_with_sources() -> tuple[Settings, dict[str, str]]:
    """Read the settings that are in force, and where each comes from; raises as `read_settings` does."""
    given = read_given(frozenset(Settings.model_fields))
    home = {"home": str(find_home())}
    try:
        settings = Settings.model_validate({name: one.text for name, one in given.items()} | home)
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{'.'.join(map(str, detail['loc'])).upper()}: {detail['msg']}" for detail in error.errors()
        )
        raise BadData(f"settings are wrong: {wrong}") from None
    _check_profile(settings)
    _check_transport(settings)
    sources = {name: given[name].source if name in given else "default" for name in Settings.model_fields}
    return settings, sources


def _check_profile(settings: Settings) -> None:
    """Check that all is set that the profile needs; raises `BadData` naming everything that is not, at once."""
    if settings.profile != "team":
        return
    lacking = [name for name in _TEAM if getattr(settings, name) is None]
    if "prefect" in lacking and os.environ.get("PREFECT_API_URL"):
        lacking.remove("prefect")  # another host keeps the server's state
    if lacking:
        said = "".join(f"\n  {PREFIX}{name.upper()}: {Settings.model_fields[name].description}" for name in lacking)
        raise BadData(
            f"profile team lacks {len(lacking)} settings. Set them as variables, or in {settings.home}/scorelake.env:"
            f"{said}"
        )


def _check_transport(settings: Settings) -> None:
    """Check that every address is spoken to as it should be; raises `BadData` naming all that are not."""
    transport, wrong = settings.transport, []
    checks: list[tuple[str, Callable[[], object]]] = [
        (name, partial(transport.secure_database, address))
        for name in ("catalog", "feature_registry", "mlflow", "prefect")
        if (address := _reveal(getattr(settings, name)))
    ]
    if redis := _reveal(settings.redis):
        checks.append(("redis", partial(transport.secure_redis, redis)))
    if settings.data and settings.s3_endpoint:
        checks.append(("s3_endpoint", partial(transport.check_endpoint, settings.s3_endpoint)))
    for name, check in (("ca_file", transport.check_ca_file), *checks):
        try:
            check()
        except BadData as error:
            wrong.append(f"{PREFIX}{name.upper()}: {error}")
    if wrong:
        raise BadData("settings are wrong: " + "\n  ".join(wrong))


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _make_author_key(file: Path) -> str:
    key = secrets.token_hex(32)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, mode=0o600)
    with os.fdopen(descriptor, "a") as target:
        target.write("# Key of the author hash. Keep it: without it an author cannot be found again.\n")
        target.write(f"{PREFIX}AUTHOR_KEY={key}\n")
    return key
