"""What makes a model a model: its classes, features, split, search, slices and what the gate asks of it.

The values belong here, and finding a spec by its name. What a particular model asks for is said in its
module under `specs/`; how anything is fitted, measured or judged, elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_repo.errors import BadData
from training import specs

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ClassWeight = Literal["balanced"] | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows on which a model is also judged apart: `at_least <= column < below`, never where the column is null."""

    name: str
    column: str
    at_least: float = float("-inf")
    below: float = float("inf")


@dataclass(frozen=True, slots=True)
class GateBounds:
    """What the gate asks of a challenger. Losses are in points of macro-F1, 0 to 1.

    Parameters
    ----------
    min_macro_f1
        Floor, whatever the champion does.
    max_ece
        Greatest expected calibration error, 0 to 1. On 300 rows even a calibrated model shows about 0.05.
    max_loss
        How far the point estimate may lie below the champion's.
    max_slice_loss
        The same on one slice; wider, because a slice has fewer rows.
    min_slice_rows
        Slices with fewer rows are reported and not judged.
    """

    min_macro_f1: float
    max_ece: float = 0.15
    max_loss: float = 0.01
    max_slice_loss: float = 0.05
    min_slice_rows: int = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a pipeline is fitted. A registered version keeps its own, so that it can be fitted again.

    Parameters
    ----------
    c_values
        Inverse strengths of the L2 penalty to choose among, by cross-validation inside the training side.
    class_weight
        "balanced" weighs classes inversely to their rows.
    label_shuffle_seed
        Shuffles the labels that are learned from: a model that must not pass the gate. None leaves them.
    """

    c_values: tuple[float, ...] = (0.3, 1.0, 3.0)
    class_weight: ClassWeight = "balanced"
    label_shuffle_seed: int | None = None

    def change(self, overrides: Mapping[str, Any]) -> "Recipe":
        """Build the recipe with some of its settings replaced; `C` stands for a single value of `c_values`.

        >>> Recipe().change({"C": 0.0001}).c_values
        (0.0001,)
        """
        known = {"C", *self.__dataclass_fields__}
        unknown = sorted(overrides.keys() - known)
        if unknown:
            raise BadData(f"a candidate is changed by {', '.join(sorted(known))}; found {unknown[:5]}")
        changes: dict[str, Any] = dict(overrides)
        if "C" in changes:
            changes["c_values"] = [changes.pop("C")]
        changes["c_values"] = tuple(float(c) for c in changes.get("c_values", self.c_values))
        return replace(self, **changes)


PipelineBuilder = Callable[[float, ClassWeight], "Pipeline"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What one model predicts, from what, and how it is judged.

    Parameters
    ----------
    name
        Name of the model, and the task of its labels in `raw.labels`.
    classes
        In the order of its probabilities, everywhere.
    feature_service
        Feast feature service; its features but the tokens are the numeric columns.
    build_pipeline
        (C, class weight) → unfitted scikit-learn pipeline.
    gate
        What a version has to show before it is promoted.
    abstain_below
        Confidence under which a label is not to be acted on.
    is_cross_group
        For labels from few groups: nothing is held out, and models are judged out of fold, each refitted
        once per fold of groups.
    folds
        Folds of those refits at most; with as many groups or fewer, each group is a fold.
    held_out_share, held_out_salt
        Share of the groups that no version ever trains on, and the salt of the hash that picks them.
        Never change them: versions are compared on rows that neither has seen.
    token_column, token_dimension
        List of token ids, each below the dimension.
    group_column
        Rows of one group are never on both sides of a split; a null makes the comment its own group.
    min_rows, min_class_rows
        Labelled rows it takes to train at all, and of each class on each side of the split.
    """

    name: str
    classes: tuple[str, ...]
    feature_service: str
    build_pipeline: PipelineBuilder
    gate: GateBounds
    slices: tuple[Slice, ...]
    abstain_below: float
    recipe: Recipe = Recipe()
    is_cross_group: bool = False
    folds: int = 5
    held_out_share: float = 0.2
    held_out_salt: str = "held out for ever"
    token_column: str = "token_ids_v1"  # noqa: S105 - a column, no secret
    token_dimension: int = 1 << 20
    group_column: str = "video_id"
    min_rows: int = 200
    min_class_rows: int = 10


# The kinds of comment on which a text model is most likely to be unfair or lost.
TEXT_SLICES: Final = (
    Slice("short text", "text_chars", below=40),
    Slice("long text", "text_chars", at_least=300),
    Slice("mostly non-Latin", "non_latin_share", at_least=0.5),
    Slice("with emoji", "emoji_count", at_least=1),
    Slice("with a link", "url_count", at_least=1),
    Slice("shouting", "capital_share", at_least=0.5),
    Slice("reply", "is_reply", at_least=1),
)


def list_specs() -> tuple[str, ...]:
    """Names of the models there are, in alphabetical order."""
    return tuple(sorted(module.name for module in iter_modules(specs.__path__)))


def read_spec(name: str) -> ModelSpec:
    """Find a model's spec by the model's name.

    Raises
    ------
    BadData
        If no module under `specs/` has that name; the message lists those that exist.
    """
    if name not in list_specs():
        raise BadData(f"there is no model {name!r}; there are {', '.join(list_specs())} (training/specs/)")
    spec: ModelSpec = import_module(f"{specs.__name__}.{name}").SPEC
    return spec
