"""What a fit follows from, part by part: two runs with the same inputs give the same version.

The data count by their content, not by the batches that brought them. What the gate asks and who is champion decide a
verdict and no fit: they are no part of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from training.digest import digest_json
from training.provenance import digest_code, read_environment, read_provenance

if TYPE_CHECKING:
    from training.dataset import TrainingSet
    from training.spec import ModelSpec, Recipe

_VERDICT_ONLY: Final = frozenset({"gate"})
_APART: Final = frozenset({"recipe", "name"})
_PLAIN: Final = (str, int, float, bool)


def build_inputs(training_set: "TrainingSet", spec: "ModelSpec", recipe: "Recipe") -> dict[str, str]:
    """A digest of each part of what a fit follows from.

    Keys: data, service and matrix (which columns, in which order, with which lexicon), recipe, spec, code (of the
    training package), lock (of all dependencies), python, machine, blas.
    """
    return {
        "data": training_set.digest,
        "service": training_set.service.digest,
        "matrix": digest_json(training_set.matrix.to_json()),
        "recipe": digest_json(recipe.to_json()),
        "spec": digest_json(build_settings(spec)),
        "code": digest_code(),
        "lock": read_provenance()["lock_sha256"],
        **read_environment(),
    }


def build_settings(spec: "ModelSpec") -> dict[str, Any]:
    """Everything in a spec that a fit or its figures follow from, in types that JSON has; functions by their names."""
    names = [one.name for one in fields(spec) if one.name not in _VERDICT_ONLY | _APART]
    return {name: _express(getattr(spec, name)) for name in names}


def restore_settings(spec: "ModelSpec", settings: Mapping[str, Any]) -> "ModelSpec":
    """The spec with the plain settings that a version kept; functions and slices stay those of today."""
    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if hasattr(spec, name) and _is_plain(getattr(spec, name)) and _is_plain(value)
    }
    return replace(spec, **changes)


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, _PLAIN) for one in value)
    return isinstance(value, _PLAIN)


def _express(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_express(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _express(one) for name, one in asdict(value).items()}
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # JSON has no infinity
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    return value
