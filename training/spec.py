"""What makes a model a model: its classes, features, split, search, slices and what the gate asks of it.

The values belong here, and finding a spec by its name. What a particular model asks for is said in its
module under `specs/`; how anything is fitted, measured or judged, elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from training import specs

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.valence import Lexicon


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows on which a model is also judged apart: `at_least <= column < below`, never where the column is null.

    The column is one of the training table, or derived in `slices`; where it is missing, there is no slice.
    """

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
        Non-inferiority margin: a challenger has to rule out that it loses as much against the champion.
    max_slice_loss
        On a slice, a challenger is refused if it surely loses more.
    level
        Of the tests that "ruled out" and "surely" stand for: one-sided, for all slices together after Holm.
    min_slice_rows
        Slices with fewer rows are reported and not judged.
    max_seconds_per_1000_rows, max_file_bytes
        What a version may cost, an order of magnitude above what the default models cost: processor time to predict
        1,000 rows from stored features, and the size of the file.

    The defaults follow from a simulation on real predictions (`docs/decisions/0015-the-gates-bounds.md`).
    """

    min_macro_f1: float
    max_ece: float = 0.15
    max_loss: float = 0.01
    max_slice_loss: float = 0.01
    level: float = 0.05
    min_slice_rows: int = 100
    max_seconds_per_1000_rows: float = 0.25
    max_file_bytes: int = 200_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a pipeline is fitted. A registered version keeps its own, so that it can be fitted again.

    Parameters
    ----------
    search
        Values to choose among for each setting of the pipeline, under scikit-learn's names for it; the choice is
        made by cross-validation inside the training side. A single value is no choice.
    label_shuffle_seed
        Shuffles the labels that are learned from: a model that must not pass the gate. None leaves them.
    """

    search: Mapping[str, tuple[Any, ...]]
    label_shuffle_seed: int | None = None

    def change(self, overrides: Mapping[str, Any]) -> "Recipe":
        """Build the recipe with some of its settings replaced, each by one value or a list of them.

        The end of a setting's name will do.

        >>> Recipe({"classes__estimator__C": (0.3, 1.0)}).change({"C": 0.0001}).search
        {'classes__estimator__C': (0.0001,)}
        """
        changes = dict(overrides)
        seed = changes.pop("label_shuffle_seed", self.label_shuffle_seed)
        return Recipe({**self.search, **{self._find(name): _list_values(changes[name]) for name in changes}}, seed)

    def fix(self, settings: Mapping[str, Any]) -> "Recipe":
        """Build the recipe with the choice already made."""
        return replace(self, search={name: (value,) for name, value in settings.items()})

    def to_json(self) -> dict[str, Any]:
        """Express the recipe in types that JSON has."""
        search = {name: list(values) for name, values in self.search.items()}
        return {"search": search, "label_shuffle_seed": self.label_shuffle_seed}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Recipe":
        """Build the recipe that `to_json` expressed."""
        # Versions of the first releases searched C alone.
        search = values["search"] if "search" in values else {"classes__estimator__C": values["c_values"]}
        return cls({name: tuple(found) for name, found in search.items()}, values["label_shuffle_seed"])

    def _find(self, name: str) -> str:
        found = [one for one in self.search if one == name or one.endswith(f"__{name}")]
        if len(found) != 1:
            known = ", ".join(["label_shuffle_seed", *self.search])
            raise BadData(f"a candidate is changed by {known}, or the end of such a name; found {name!r}")
        return found[0]


def _list_values(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list | tuple) else (values,)


PipelineBuilder = Callable[[], "Pipeline"]


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
        Builds the unfitted scikit-learn pipeline.
    recipe
        Which of its settings are searched.
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
    token_columns, token_dimension
        Lists of token ids, each below the dimension; the first holds the words in their order.
    read_lexicon
        Token column → lexicon whose valences are learned from beside the tokens; None for none.
    group_column
        Rows of one group are never on both sides of a split; a null makes the comment its own group.
    min_rows, min_class_rows
        Labelled rows it takes to train at all, and of each class on each side of the split.
    """

    name: str
    classes: tuple[str, ...]
    feature_service: str
    build_pipeline: PipelineBuilder
    recipe: Recipe
    gate: GateBounds
    slices: tuple[Slice, ...]
    abstain_below: float
    is_cross_group: bool = False
    folds: int = 5
    held_out_share: float = 0.2
    held_out_salt: str = "held out for ever"
    token_columns: tuple[str, ...] = ("token_ids_v1", "prefix_ids_v1")
    token_dimension: int = 1 << 20
    read_lexicon: "Callable[[str], Lexicon] | None" = None
    group_column: str = "video_id"
    min_rows: int = 200
    min_class_rows: int = 10

    @property
    def token_column(self) -> str:
        """The column that holds the words in their order; it is null where the text has expired."""
        return self.token_columns[0]


# The kinds of comment on which a text model is most likely to be unfair or lost.
TEXT_SLICES: Final = (
    Slice("short text", "text_chars", below=40),
    Slice("long text", "text_chars", at_least=300),
    Slice("mostly non-Latin", "non_latin_share", at_least=0.5),
    Slice("with emoji", "emoji_count", at_least=1),
    Slice("with a link", "url_count", at_least=1),
    Slice("shouting", "capital_share", at_least=0.5),
    Slice("Latin but not English", "is_other_latin", at_least=1),
    Slice("reply", "is_reply", at_least=1),
    Slice("small channel", "channel_subscriber_count", below=10_000),
    Slice("large channel", "channel_subscriber_count", at_least=1_000_000),
    Slice("quiet channel", "comment_count_30d", at_least=1, below=100),
    Slice("busy channel", "comment_count_30d", at_least=1_000),
    Slice("new channel", "is_channel_seen", below=1),
    Slice("seen channel", "is_channel_seen", at_least=1),
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
