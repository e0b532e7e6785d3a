"""Feast's own UI shows what `scorelake features` lists: a real server, read as its pages read it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feature_repo.catalog import read_catalog
from feature_repo.lake import Lake
from feature_repo.retrieval import apply_definitions
from flows.server import end_process, find_free_port

ROOT = Path(__file__).parents[2]
FEAST = Path(sys.executable).with_name("feast")


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body


@pytest.fixture
def page(lake: Lake, tmp_path: Path) -> Iterator[str]:
    """The address of a Feast UI on the lake's registry."""
    pytest.importorskip("grpc", reason="Feast's UI needs the extra `ui`")
    apply_definitions(lake)
    address = f"http://127.0.0.1:{(port := find_free_port())}"
    environment = {**os.environ, "SCORELAKE_HOME": str(lake.home), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "ui.log").open("wb") as log:
        server = subprocess.Popen(
            [str(FEAST), "ui", "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT / "feature_repo",
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                read(address)
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (tmp_path / "ui.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "ui.log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        end_process(server)


def test_the_ui_shows_the_features_that_the_command_lists(page: str, lake: Lake) -> None:
    assert b"<!doctype html>" in read(page)
    views: list[dict[str, Any]] = json.loads(read(f"{page}/api/v1/feature_views?project=scorelake"))["featureViews"]
    shown = {
        (view["spec"]["name"], feature["name"]): feature["description"]
        for view in views
        for feature in view["spec"]["features"]
    }
    catalog = read_catalog(lake)
    assert shown == {(feature.view, feature.name): feature.description for feature in catalog.features}
    services = json.loads(read(f"{page}/api/v1/feature_services?project=scorelake"))["featureServices"]
    assert sorted(service["spec"]["name"] for service in services) == [name for name, _, _ in catalog.services]
