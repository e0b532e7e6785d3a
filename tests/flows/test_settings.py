import logging
from pathlib import Path

import pytest

from feature_repo.errors import BadData
from flows.settings import read_settings


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
