"""A service compiled once: the same rows as Feast's own retrieval, without Feast, and never of another registry."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from feature_repo.compiled import ROWS, CompiledService, compile_service
from feature_repo.errors import BadData, Unavailable
from feature_repo.feature_registry import locate_registry
from feature_repo.features.materialize import materialize_features
from feature_repo.features.statements import write_instant
from feature_repo.lake import Lake, read_lake
from feature_repo.retrieval import apply_definitions, build_spine, describe_service, read_features
from tests.feature_repo.raw_rows import START, add_batch

# In another process, which tells whether it needed Feast.
AGAIN = """
import json, sys
from pathlib import Path
from feature_repo.compiled import compile_service
from feature_repo.lake import Lake
found = compile_service(Lake(Path(sys.argv[1])), "spam_v1")
print(json.dumps([found.digest, found.sql, "feast" in sys.modules]))
"""


@pytest.fixture
def applied(lake: Lake) -> Lake:
    for hours in (0, 5):
        posted = [{"comment_id": f"{hours}-{one}", "published_at": START + timedelta(hours=hours)} for one in range(3)]
        add_batch(lake, comments=posted)
    materialize_features(lake, run_id="m", now=START + timedelta(days=2))
    apply_definitions(lake)
    return lake


def ask_again(lake: Lake) -> tuple[CompiledService, bool]:
    done = subprocess.run([sys.executable, "-c", AGAIN, lake.home], capture_output=True, text=True, check=True)
    digest, sql, has_feast = json.loads(done.stdout)
    return CompiledService(digest, sql), has_feast


@pytest.mark.parametrize("service", ["sentiment_v1", "spam_v1"])
def test_it_finds_what_feast_finds(applied: Lake, service: str) -> None:
    compiled = compile_service(applied, service)
    assert compiled.digest == describe_service(applied, service).digest
    for data_version in (1, 2):
        check_same(applied, compiled, service, data_version)


def check_same(applied: Lake, compiled: CompiledService, service: str, data_version: int) -> None:
    spine = build_spine(data_version=data_version)
    variables = {
        "observed_since": write_instant(START),
        "observed_until": write_instant(START + timedelta(days=1)),
        "data_version": data_version,
    }
    with read_lake(applied) as connection:
        for name, value in variables.items():
            connection.execute(f"set variable {name} = {value}")
        connection.execute(f"create temporary view {ROWS} as {spine}")
        found = connection.execute(f"from ({compiled.sql}) order by ingest_seq, comment_id, text_id").to_arrow_table()
    assert found == read_features(applied, service, spine, data_version=data_version)
    assert len(found) == 3 * data_version


def test_it_is_compiled_once(applied: Lake) -> None:
    compiled = compile_service(applied, "spam_v1")
    assert ask_again(applied) == (compiled, False)


def test_another_registry_is_compiled_anew(applied: Lake) -> None:
    compile_service(applied, "spam_v1")
    apply_definitions(applied)  # writes the time of the apply
    _, has_feast = ask_again(applied)
    assert has_feast


def test_what_cannot_be_read_is_compiled_anew(applied: Lake) -> None:
    compiled = compile_service(applied, "spam_v1")
    [kept] = (locate_registry(applied).parent / "compiled").iterdir()
    for left in ("", "{", '{"stamp": "of another release"}'):
        kept.write_text(left)
        assert compile_service(applied, "spam_v1") == compiled
        assert json.loads(kept.read_text())["digest"] == compiled.digest


def test_a_service_that_is_not_there_is_told(applied: Lake) -> None:
    with pytest.raises(BadData, match="there are sentiment_v1, spam_v1"):
        compile_service(applied, "toxic_v1")
    with pytest.raises(Unavailable, match="scorelake apply"):
        compile_service(Lake(applied.home / "elsewhere"), "spam_v1")
