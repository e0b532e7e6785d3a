"""The catalog of features: registered names beside figures of the lake."""

from datetime import timedelta

import pytest

from feature_repo.catalog import read_catalog
from feature_repo.errors import Unavailable
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake
from feature_repo.retrieval import apply_definitions
from tests.feature_repo.raw_rows import START, add_batch


def test_features_come_with_meaning_users_freshness_and_null_shares(lake: Lake) -> None:
    apply_definitions(lake)
    counts = [{"comment_id": "a", "observed_at": START, "like_count": 3}]
    add_batch(lake, comments=[{"comment_id": "a"}, {"comment_id": "b"}], counts=counts)
    materialize_features(lake, run_id="m", now=START + timedelta(hours=5))
    catalog = read_catalog(lake)
    assert [name for name, _, _ in catalog.services] == ["sentiment_v1", "spam_v1"]
    views = {view.name: view for view in catalog.views}
    assert (views["comment_features"].rows, views["comment_features"].newest_at) == (2, START)
    assert (views["video_statistics"].rows, views["video_statistics"].newest_at) == (0, None)
    assert (views["comment_features"].is_online, views["channel_features"].is_online) == (False, True)
    features = {feature.name: feature for feature in catalog.features}
    assert features["first_like_count"].null_share == 0.5
    assert features["first_like_count"].services == ("sentiment_v1",)
    assert features["word_count"].services == ("sentiment_v1", "spam_v1")
    assert features["spam_label_share"].services == ()
    assert features["video_view_count"].null_share is None
    assert features["channel_statistics_age_hours"].null_share is None
    assert [feature.name for feature in catalog.features if not feature.description] == []


def test_without_definitions_it_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(Unavailable, match=r"no feature registry at .*; run `scorelake apply`"):
        read_catalog(lake)
