"""Fixtures of the service: a lake that has everything it serves, a service on it, and the extension in a browser."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.lake import Lake
from feature_repo.online import fill_online
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from tests.scoring.extension_browser import ORIGIN, Browser, Tab, copy_extension, open_browser
from tests.scoring.recorded_service import Recorder, serve_recorded
from tests.scoring.serving import Client, serve
from tests.scoring.watch_pages import COMMENTS, WatchPages, serve_pages

SERVED_AT = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def served_home(two_versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained lake, scored by both models, with its online store filled; spam has a second version."""
    home = Path(shutil.copytree(two_versions, tmp_path_factory.mktemp("served") / "home"))
    fill_online(Lake(home), run_id="online", now=SERVED_AT)
    options = ScoreOptions(100_000, LocalEngine(1))
    score_owed(Lake(home), ScoreRequest("sentiment"), run_id="score-sentiment-1", now=SERVED_AT, options=options)
    return home


@pytest.fixture(scope="module")
def client(served_home: Path) -> Iterator[Client]:
    with serve(Lake(served_home)) as client:
        yield client


@pytest.fixture(scope="session")
def recorded_home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("recorded") / "home"))


@pytest.fixture(scope="session")
def running(recorded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    settings = {"SCORELAKE_SERVE_ORIGINS": ORIGIN, "SCORELAKE_SERVE_RATE": "60/3 seconds"}
    with serve_recorded(recorded_home, tmp_path_factory.mktemp("service"), **settings) as recorder:
        yield recorder


@pytest.fixture
def service(running: Recorder) -> Recorder:
    """`scorelake serve` behind a door that writes down what comes through; nothing has come yet."""
    running.forget()
    return running


@pytest.fixture(scope="session")
def pages() -> Iterator[WatchPages]:
    with serve_pages() as pages:
        yield pages


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with the extension, and with a copy of it under another id. Not for the session: other modules have
    browsers of their own, and Playwright serves one at a time."""
    folder = tmp_path_factory.mktemp("browser")
    with open_browser(folder / "profile", copy_extension(folder / "copy")) as browser:
        yield browser


@pytest.fixture
def browser(opened: Browser, service: Recorder) -> Browser:
    """The extension knows the service."""
    opened.set_options(service.address, service.key)
    return opened


@pytest.fixture
def tab(browser: Browser, pages: WatchPages) -> Iterator[Tab]:
    """A watch page, and nothing has been clicked yet."""
    with browser.open(pages.add("watch", COMMENTS)) as tab:
        yield tab
