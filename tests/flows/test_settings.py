import json
import logging
from pathlib import Path

import pytest

from feature_repo.errors import BadData
from flows.settings import read_settings, read_with_sources
from tests.flows.commands import run_command


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SCORELAKE_HOME", str(tmp_path / "home"))
    return monkeypatch


def test_a_relative_home_becomes_absolute(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.chdir(tmp_path)
    environment.setenv("SCORELAKE_HOME", "here")
    assert read_settings().lake.home == tmp_path / "here"


def test_an_unknown_setting_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORELAKE_WORKRES", "3")
    with pytest.raises(BadData, match=r"unknown settings \['SCORELAKE_WORKRES'\]; known are .*'SCORELAKE_WORKERS'"):
        read_settings()


def test_a_wrong_value_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORELAKE_WORKERS", "0")
    with pytest.raises(
        BadData, match="settings are wrong: SCORELAKE_WORKERS: Input should be greater than or equal to 1"
    ):
        read_settings()


@pytest.mark.parametrize(
    ("told", "sources"), [(None, ("youtube",)), ("youtube, archive", ("youtube", "archive")), ("", ())]
)
def test_retained_sources_are_names_between_commas(
    environment: pytest.MonkeyPatch, told: str | None, sources: tuple[str, ...]
) -> None:
    if told is not None:
        environment.setenv("SCORELAKE_RETAINED_SOURCES", told)
    assert read_settings().retained_sources == sources


def test_the_author_key_is_made_once_readable_by_its_owner_only(environment: pytest.MonkeyPatch) -> None:
    first = read_settings().read_author_key()
    assert len(first) == 64
    assert read_settings().read_author_key() == first
    file = read_settings().home / "scorelake.env"
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_environment_wins_over_the_file(environment: pytest.MonkeyPatch) -> None:
    read_settings().read_author_key()
    environment.setenv("SCORELAKE_AUTHOR_KEY", "mine")
    assert read_settings().read_author_key() == b"mine"


def test_the_key_is_masked_wherever_settings_are_shown(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv("SCORELAKE_AUTHOR_KEY", "very secret")
    logging.getLogger("test").warning("settings=%s", read_settings())
    assert "very secret" not in caplog.text + repr(read_settings()) + str(read_settings().model_dump())


def write_file(tmp_path: Path, name: str, **values: str) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    lines = (f"SCORELAKE_{setting}={value}\n" for setting, value in values.items())
    (tmp_path / "home" / name).write_text("".join(lines))


def test_an_overlay_wins_over_the_file_and_a_variable_over_both(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_file(tmp_path, "scorelake.env", ENVIRONMENT="staging", WORKERS="3", SNAPSHOT_DAYS="3", RETRIES="3")
    write_file(tmp_path, "scorelake.staging.env", WORKERS="4", SNAPSHOT_DAYS="4")
    write_file(tmp_path, "scorelake.prod.env", WORKERS="9")
    environment.setenv("SCORELAKE_SNAPSHOT_DAYS", "5")
    settings, sources = read_with_sources()
    assert (settings.retries, settings.workers, settings.snapshot_days, settings.engine) == (3, 4, 5, "local")
    assert {name: sources[name] for name in ("retries", "workers", "snapshot_days", "engine")} == {
        "retries": "scorelake.env",
        "workers": "scorelake.staging.env",
        "snapshot_days": "environment",
        "engine": "default",
    }
    environment.setenv("SCORELAKE_ENVIRONMENT", "prod")
    assert read_settings().workers == 9


def test_an_environment_that_is_none_and_a_wrong_name_in_a_file_are_told(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("SCORELAKE_ENVIRONMENT", "production")
    with pytest.raises(BadData, match="SCORELAKE_ENVIRONMENT is one of dev, staging, prod, found 'production'"):
        read_settings()
    environment.setenv("SCORELAKE_ENVIRONMENT", "prod")
    write_file(tmp_path, "scorelake.prod.env", WORKRES="9")
    with pytest.raises(BadData, match=r"unknown settings \['SCORELAKE_WORKRES'\] in .*scorelake\.prod\.env; known are"):
        read_settings()


def test_the_profile_of_a_team_says_at_once_all_that_lacks(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("PREFECT_API_URL", raising=False)
    write_file(tmp_path, "scorelake.env", PROFILE="team", REDIS="127.0.0.1:6379", AUTHOR_KEY="k")
    with pytest.raises(BadData, match="profile team lacks 5 settings") as told:
        read_settings()
    for name in ("CATALOG", "DATA", "FEATURE_REGISTRY", "MLFLOW", "PREFECT"):
        assert f"\n  SCORELAKE_{name}: " in str(told.value)
    environment.setenv("PREFECT_API_URL", "http://prefect.internal:4200/api")
    with pytest.raises(BadData, match="profile team lacks 4 settings"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CATALOG", "hunter2 is my password", "SCORELAKE_CATALOG: .*no address of PostgreSQL; expected postgres://"),
        ("DATA", "gs://bucket/prefix", "SCORELAKE_DATA: .*lie at s3://bucket/prefix, found 'gs://bucket/prefix'"),
    ],
)
def test_an_address_of_the_wrong_kind_is_told(
    environment: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    environment.setenv(f"SCORELAKE_{name}", value)
    with pytest.raises(BadData, match=words) as told:
        read_settings()
    assert "hunter2" not in str(told.value)


def test_the_key_to_a_bucket_may_stand_under_the_names_that_amazons_tools_know(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SCORELAKE_DATA", "s3://bucket/prefix")
    environment.setenv("AWS_ACCESS_KEY_ID", "theirs")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    environment.setenv("SCORELAKE_S3_REGION", "eu-central-1")
    bucket = read_settings().lake.bucket
    assert bucket is not None
    assert (bucket.key_id, bucket.secret_key, bucket.region) == ("theirs", "secret", "eu-central-1")
    assert read_with_sources()[1]["s3_access_key_id"] == "environment, AWS_ACCESS_KEY_ID"


def test_settings_are_shown_with_their_sources_and_no_secret(tmp_path: Path) -> None:
    address = "postgres://me:hunter2@db.internal/lake"
    environment = {"SCORELAKE_HOME": str(tmp_path), "SCORELAKE_CATALOG": address, "SCORELAKE_WORKERS": "7"}
    done = run_command("settings", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    shown = {one["name"]: (one["value"], one["source"]) for one in json.loads(done.stdout)["settings"]}
    assert shown["SCORELAKE_CATALOG"] == ("********", "environment")
    assert shown["SCORELAKE_WORKERS"] == ("7", "environment")
    assert shown["SCORELAKE_RETENTION_DAYS"] == ("30", "default")
    assert shown["SCORELAKE_HOME"] == (str(tmp_path), "environment")
    table = run_command("settings", environment=environment)
    assert "3 of " in table.stdout
    assert "hunter2" not in done.stdout + table.stdout


@pytest.mark.parametrize("name", ["what?", "100%25"])
def test_a_home_whose_name_would_be_read_as_an_address_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    environment.setenv("SCORELAKE_HOME", str(tmp_path / name))
    with pytest.raises(BadData, match=r"SCORELAKE_HOME.*a path without [?%] is needed"):
        read_settings()
