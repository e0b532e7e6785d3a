"""The lookup on timelines that are read by eye; the rule itself is held by `test_point_in_time_oracle`."""

from datetime import datetime, timedelta

import pytest

from feature_repo.errors import BadData
from feature_repo.history import History, Spine
from feature_repo.point_in_time import build_latest, build_lookup, build_range
from tests.feature_repo.histories import BOTH_KEYS, MINUTES, SPINE, START, Ask, Row, build_history, open_rows

at = MINUTES.at

TIMELINE = [
    Row("a", "x", event=10, created=10, version=1),  # 0
    Row("a", "x", event=20, created=25, version=1),  # 1: known five minutes late
    Row("a", "x", event=10, created=30, version=2),  # 2: corrects row 0, overtaken by row 1 meanwhile
    Row("a", "x", event=20, created=25, version=3),  # 3: the same instants as row 1, from a later batch
    Row("a", "x", event=50, created=45, version=1),  # 4: foreseen, and better known than row 5 ...
    Row("a", "x", event=50, created=40, version=3),  # 5: ... which is no value though its batch is later
]


@pytest.mark.parametrize(
    ("minute", "data_version", "expected"),
    [
        (9, None, None),
        (10, None, 0),
        (24, None, 0),
        (25, None, 3),
        (25, 1, 1),
        (30, None, 3),
        (30, 2, 1),
        (49, None, 3),
        (50, None, 4),
        (99, 0, None),
    ],
)
def test_a_timeline_read_by_eye(minute: int, data_version: int | None, expected: int | None) -> None:
    sql = build_lookup(SPINE, [build_history(keys=BOTH_KEYS)], data_version=data_version)
    assert open_rows(TIMELINE, [Ask("a", "x", minute)]).execute(sql).fetchall()[0][-1] == expected


@pytest.mark.parametrize(("minute", "expected"), [(20, 0), (25, 3), (30, 3), (35, 3), (36, None)])
def test_a_value_lives_up_to_its_ttl_after_the_event(minute: int, expected: int | None) -> None:
    sql = build_lookup(SPINE, [build_history(keys=BOTH_KEYS, ttl=timedelta(minutes=15))])
    assert open_rows(TIMELINE, [Ask("a", "x", minute)]).execute(sql).fetchall()[0][-1] == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(None, None, [0, 1, 2, 3, 4, 5]), (11, 20, [1, 3]), (10, 10, [0, 2])]
)
def test_a_range_holds_every_row_within_inclusive_bounds(
    first: int | None, last: int | None, expected: list[int]
) -> None:
    sql = build_range(build_history(keys={"k": "k"}), first=at(first), last=at(last))
    assert sorted(row[1] for row in open_rows(TIMELINE).execute(sql).fetchall()) == expected


def test_bounds_without_a_zone_are_utc_and_others_are_converted() -> None:
    naive, elsewhere = datetime(2026, 1, 5, 12), datetime.fromisoformat("2026-01-05T14:00+02:00")  # noqa: DTZ001
    identity = build_history(keys={"k": "k"})
    assert build_range(identity, first=naive, last=None) == build_range(identity, first=elsewhere, last=None)


def test_the_spine_may_end_in_a_comment_or_a_semicolon_and_have_any_column_names() -> None:
    query = 'select a, b, t, 1 as "say ""hi""; {now}." from asked -- the end\n;'
    spine = Spine(query, ("a", "b", "t", 'say "hi"; {now}.'), "t")
    sql = build_lookup(spine, [build_history(keys=BOTH_KEYS)])
    result = open_rows(TIMELINE, [Ask("a", "x", 12)]).execute(sql)
    assert [column[0] for column in result.description] == ["a", "b", "t", 'say "hi"; {now}.', "x"]
    assert result.fetchall() == [("a", "x", at(12), 1, 0)]


def test_an_ordered_spine_keeps_its_order() -> None:
    spine = Spine("from asked order by t desc", ("a", "b", "t"), "t")
    sql = build_lookup(spine, [build_history(keys=BOTH_KEYS)])
    asks = [Ask("a", "x", minute) for minute in (26, 12, 9, 40)]
    assert [row[2:] for row in open_rows(TIMELINE, asks).execute(sql).fetchall()] == [
        (at(40), 3),
        (at(26), 3),
        (at(12), 0),
        (at(9), None),
    ]


def test_a_table_without_created_is_visible_from_its_events_on() -> None:
    bare = History(
        name="h", table="features.rows", keys={"k": "a"}, features={"x": "x"}, event="e", created=None, version="v"
    )
    sql = build_lookup(SPINE, [bare])
    assert open_rows(TIMELINE, [Ask("a", "x", 20)]).execute(sql).fetchall()[0][-1] == 3
    latest = build_latest(bare, first=START, last=START + timedelta(minutes=10))
    assert [row[-2] for row in open_rows(TIMELINE).execute(latest).fetchall()] == [2]


def aged(*, ttl: int = 0) -> History:
    return History(
        name="h",
        table="features.rows",
        keys={"k": "a"},
        features={"x": "x", "x_age_hours": "hours"},
        event="e",
        created="c",
        version="v",
        ttl=timedelta(minutes=ttl),
        age="x_age_hours",
    )


@pytest.mark.parametrize(
    ("minute", "ttl", "expected"),
    [
        (9, 0, (None, None)),
        (10, 0, (0, 0.0)),
        (13, 0, (0, 0.05)),
        (30, 0, (3, 10 / 60)),  # counted from the event, not from when it was known
        (80, 30, (4, 0.5)),
        (81, 30, (None, None)),
        (None, 0, (None, None)),
    ],
)
def test_a_value_tells_its_age_in_hours(minute: int | None, ttl: int, expected: tuple[int | None, ...]) -> None:
    sql = build_lookup(SPINE, [aged(ttl=ttl)])
    result = open_rows(TIMELINE, [Ask("a", "x", minute)]).execute(sql)
    assert [column[:2] for column in result.description][-1] == ("hours", "DOUBLE")
    assert result.fetchall()[0][-2:] == expected


def test_the_latest_is_as_old_as_at_the_end_and_a_row_of_a_range_is_new() -> None:
    latest = build_latest(aged(), first=START, last=START + timedelta(minutes=80))
    assert open_rows(TIMELINE).execute(latest).fetchall() == [("a", 4, 0.5, at(50), at(45))]
    result = open_rows(TIMELINE).execute(build_range(aged(), first=at(11), last=at(20)))
    assert [column[:2] for column in result.description][2] == ("x_age_hours", "DOUBLE")
    assert min(result.fetchall()) == ("a", 1, 0.0, at(20), at(25))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("b", "t"), r"h is looked up by \['a'\], which the spine lacks; it has \['b', 't'\]"),
        (("a", "b", "t", "X"), r"two columns named \['x'\]; rename the spine's, or ask for full feature names"),
    ],
)
def test_a_spine_that_does_not_fit_is_refused(columns: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadData, match=words):
        build_lookup(Spine("from asked", columns, "t"), [build_history(keys=BOTH_KEYS)])
