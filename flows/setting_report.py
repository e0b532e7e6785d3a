"""The settings that are in force, as an operator looks at them."""

from dataclasses import dataclass

from pydantic import SecretStr

from flows.report import Grid, Report
from flows.setting_sources import PREFIX
from flows.settings import read_with_sources

_MASK = "********"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting by the name of its variable, its value as text, masked if it is a secret, and where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class SettingsReceipt:
    """Every setting, in the order in which they are declared."""

    settings: tuple[ShownSetting, ...]


def read_shown() -> SettingsReceipt:
    """Read every setting; raises `BadData` as the commands do that need them."""
    settings, sources = read_with_sources()
    shown = (
        ShownSetting(f"{PREFIX}{name.upper()}", _word(getattr(settings, name)), source)
        for name, source in sources.items()
    )
    return SettingsReceipt(tuple(shown))


def build_report(receipt: SettingsReceipt) -> Report:
    """Build the report: what was set first, then what was not."""
    rows = sorted(receipt.settings, key=lambda one: one.source == "default")
    set_count = sum(one.source != "default" for one in rows)
    grid = Grid(("setting", "value", "from"), tuple((one.name, one.value, one.source) for one in rows))
    return Report(f"{set_count} of {len(rows)} settings are set", grids=(grid,))


def _word(value: object) -> str:
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
