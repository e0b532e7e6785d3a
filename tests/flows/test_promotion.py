"""`scorelake models`: every version with its standing, figures, age and data version."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.lake import Lake
from flows.promotion import build_models_report, read_models
from training.registry import resolve


def test_versions_are_listed_with_standing_figures_age_and_data_version(
    trained_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(trained_home))
    recorded = resolve(Lake(trained_home), "sentiment").descriptor
    trained_at = datetime.fromisoformat(recorded["as_of"])
    found = {one.model: one for one in read_models(now=trained_at + timedelta(days=3)).versions}
    assert sorted(found) == ["sentiment", "spam"]
    one = found["sentiment"]
    assert (one.version, one.standing, one.data_version) == ("1", "champion", recorded["data_version"])
    assert (one.accuracy, one.macro_f1) == (recorded["metrics"]["accuracy"], recorded["metrics"]["macro_f1"])
    assert (one.age_days, one.trained_as_of) == (3, recorded["as_of"])


@pytest.mark.parametrize(("hours", "age"), [(5, "5 hours"), (24, "24 hours"), (75, "3 days")])
def test_an_age_is_told_in_its_own_unit(
    trained_home: Path, monkeypatch: pytest.MonkeyPatch, hours: int, age: str
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(trained_home))
    trained_at = datetime.fromisoformat(resolve(Lake(trained_home), "spam").descriptor["as_of"])
    report = build_models_report(read_models(now=trained_at + timedelta(hours=hours)))
    assert age in report.grids[0].rows[0]
