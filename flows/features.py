"""What features there are, told to people."""

from feature_repo.catalog import Catalog, read_catalog
from flows.report import Grid, Report
from flows.settings import read_settings


def read_features() -> Catalog:
    """Read the catalog of the lake's features; raises `Unavailable` if the definitions were never applied."""
    return read_catalog(read_settings().lake)


def build_report(catalog: Catalog) -> Report:
    """Build the report of the features: services, views with their freshness, features with their null shares."""
    services = Grid(("service", "what for", "features"), catalog.services, title="services")
    views = Grid(
        ("view", "keys", "rows", "newest (UTC)", "online"),
        tuple(
            (
                view.name,
                ", ".join(view.keys),
                view.rows,
                f"{view.newest_at:%Y-%m-%d %H:%M}" if view.newest_at else "none yet",
                "yes" if view.is_online else "no",
            )
            for view in catalog.views
        ),
        title="views",
    )
    return Report("Features", grids=(services, views, *(_list_features(catalog, view.name) for view in catalog.views)))


def _list_features(catalog: Catalog, view: str) -> Grid:
    rows = tuple(
        (
            feature.name,
            "not stored" if feature.null_share is None else f"{feature.null_share:.1%}",
            ", ".join(feature.services) or "nobody",
            feature.description,
        )
        for feature in catalog.features
        if feature.view == view
    )
    return Grid(("feature", "null", "used by", "meaning"), rows, title=view)
