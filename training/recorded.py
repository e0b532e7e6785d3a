"""A version as it was recorded beside what there is now, thing by thing, and differences in words.

Pure: descriptors in, comparisons and sentences out. Rebuilding a version is in `reproduce`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_OUTCOMES: Final = {
    "settings": "settings chosen",
    "parameters_digest": "digest of the fitted parameters",
    "predictions_digest": "digest of the judged probabilities",
}
_CIRCUMSTANCES: Final = {
    "lock": "lock file",
    "code": "code of training",
    "service": "feature service",
    "spec": "spec",
    "python": "Python",
    "machine": "machine",
    "blas": "linear algebra",
    "git_commit": "git commit",
    "git_dirty": "git tree has changes",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing as it was recorded and as it is now.

    Parameters
    ----------
    is_outcome
        Whether it has to be the same; else it is a circumstance, that may explain why an outcome is not.
    """

    name: str
    recorded: str
    now: str
    is_outcome: bool = True

    @property
    def is_same(self) -> bool:
        """Whether nothing has changed, to the last bit."""
        return self.recorded == self.now


def compare_outcomes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[Comparison]:
    """Compare what came of a fit: choice, parameters, probabilities, every metric with all its digits.

    What was not recorded, by a release that did not do so yet, is left out.
    """
    found = [
        Comparison(title, str(recorded[name]), str(now[name])) for name, title in _OUTCOMES.items() if name in recorded
    ]
    metrics = recorded["metrics"]
    return [*found, *(Comparison(name, repr(metrics[name]), repr(now["metrics"].get(name))) for name in metrics)]


def compare_circumstances(recorded: Mapping[str, Any], now: Mapping[str, str]) -> list[Comparison]:
    """Compare what a fit was made with and by: dependencies, code, definitions, machine."""
    then = {**recorded.get("inputs", {}), **recorded.get("provenance", {})}
    return [
        Comparison(title, str(then.get(name, "not recorded")), now[name], is_outcome=False)
        for name, title in _CIRCUMSTANCES.items()
    ]


def name_setting_changes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which settings of a spec are others than those that were recorded, and so restored.

    >>> name_setting_changes({"folds": 5}, {"folds": 3, "min_rows": 10})
    ['the spec has folds 3, recorded was 5']
    """
    names = [name for name in recorded if name in now and recorded[name] != now[name]]
    return [f"the spec has {name} {now[name]}, recorded was {recorded[name]}" for name in names]


def name_definition_changes(recorded: Mapping[str, Any], now: Mapping[str, Any] | None) -> list[str]:
    """Say what has become of a feature service since its definition was recorded; None if it is gone."""
    if now is None:
        return [f"there is no feature service {recorded['service']} any more; its views were asked"]
    then, present = ({view["view"]: view for view in one["views"]} for one in (recorded, now))
    return [
        f"feature service {recorded['service']}: {change}"
        for name in dict.fromkeys([*then, *present])
        for change in _name_view_changes(name, then.get(name), present.get(name))
    ]


def _name_view_changes(name: str, then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[str]:
    if then is None or now is None:
        yield f"view {name} {'is new' if then is None else 'is gone'}"
        return
    types, types_now = ({one["name"]: one["type"] for one in view["features"]} for view in (then, now))
    for feature in dict.fromkeys([*types, *types_now]):
        if feature not in types_now:
            yield f"{name}.{feature} is gone"
        elif feature not in types:
            yield f"{name}.{feature} is new"
        elif types[feature] != types_now[feature]:
            yield f"{name}.{feature} was {types[feature]}, is {types_now[feature]}"
    for part in ("keys", "source", "ttl_seconds"):
        if then[part] != now[part]:
            yield f"{name}: {part} was {then[part]}, is {now[part]}"
