from typing import Any

import pytest

from training.recorded import Comparison, compare_circumstances, compare_outcomes, name_definition_changes

RECORDED = {
    "settings": {"C": 1.0},
    "parameters_digest": "aa",
    "predictions_digest": "bb",
    "metrics": {"accuracy": 0.1 + 0.2},
    "inputs": {
        "lock": "l1",
        "code": "c1",
        "service": "s1",
        "spec": "p1",
        "python": "3.11",
        "machine": "x",
        "blas": "openblas Haswell",
    },
    "provenance": {"git_commit": "g1", "git_dirty": "false"},
}
NOW = {name: value for part in ("inputs", "provenance") for name, value in RECORDED[part].items()}  # type: ignore[attr-defined]


def test_what_came_of_a_fit_is_compared_to_the_last_digit() -> None:
    now = RECORDED | {"metrics": {"accuracy": 0.3}}
    assert compare_outcomes(RECORDED, now) == [
        Comparison("settings chosen", "{'C': 1.0}", "{'C': 1.0}"),
        Comparison("digest of the fitted parameters", "aa", "aa"),
        Comparison("digest of the judged probabilities", "bb", "bb"),
        Comparison("accuracy", "0.30000000000000004", "0.3"),
    ]
    assert [one.is_same for one in compare_outcomes(RECORDED, now)] == [True, True, True, False]


def test_what_an_earlier_release_did_not_record_is_left_out() -> None:
    assert [one.name for one in compare_outcomes({"metrics": {"accuracy": 1.0}}, RECORDED)] == ["accuracy"]
    circumstances = compare_circumstances({}, NOW)
    assert {one.recorded for one in circumstances} == {"not recorded"}
    assert not any(one.is_outcome for one in circumstances)


def test_circumstances_are_named() -> None:
    changed = [one.name for one in compare_circumstances(RECORDED, NOW | {"lock": "l2", "git_commit": "g2"})]
    assert "lock file" in changed
    found = {one.name for one in compare_circumstances(RECORDED, NOW | {"lock": "l2"}) if not one.is_same}
    assert found == {"lock file"}
    assert all(one.is_same for one in compare_circumstances(RECORDED, NOW))


def build_view(name: str = "texts", **changes: Any) -> dict[str, Any]:
    features = [{"name": "chars", "type": "Int64"}, {"name": "share", "type": "Float64"}]
    return {
        "view": name,
        "keys": {"id": "id"},
        "source": {"table": "t"},
        "ttl_seconds": 0,
        "features": features,
    } | changes


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        ([build_view()], []),
        ([], ["view texts is gone"]),
        ([build_view(), build_view("more")], ["view more is new"]),
        (
            [build_view(features=[{"name": "chars", "type": "Int32"}])],
            ["texts.chars was Int64, is Int32", "texts.share is gone"],
        ),
        (
            [build_view(features=[*build_view()["features"], {"name": "emoji", "type": "Int64"}])],
            ["texts.emoji is new"],
        ),
        ([build_view(ttl_seconds=60)], ["texts: ttl_seconds was 0, is 60"]),
        ([build_view(source={"table": "u"})], ["texts: source was {'table': 't'}, is {'table': 'u'}"]),
    ],
    ids=["same", "gone", "new", "types", "more", "ttl", "source"],
)
def test_a_changed_definition_is_named(now: list[dict[str, Any]], changes: list[str]) -> None:
    recorded = {"service": "s_v1", "views": [build_view()]}
    told = name_definition_changes(recorded, {"service": "s_v1", "views": now})
    assert told == [f"feature service s_v1: {change}" for change in changes]


def test_a_service_that_is_gone_is_named() -> None:
    recorded = {"service": "s_v1", "views": []}
    assert name_definition_changes(recorded, None) == [
        "there is no feature service s_v1 any more; its views were asked"
    ]
