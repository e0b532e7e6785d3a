"""What requests and answers look like: the source of the OpenAPI document."""

from datetime import date, datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

MOST_TEXTS: Final = 1_000
MOST_CHARS: Final = 10_000

# As the contracts of the raw tables have it.
Identifier = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARS)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**15)]

_CHANNEL: Final = "UC_x5XG1OV2P6uZZ5FSM9Ttw"
_COMMENT: Final = "Ug4dQOW9faQJxmKTfN_4AaABAg"
_LINEAGE: Final[JsonDict] = {
    "model_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "service_digest": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    "feature_service": "sentiment_v1",
    "data_version": 41,
    "features_at": "2026-11-20T16:15:00Z",
    "code_version": "0.1.0+ce9af4e",
}
_PROBABILITIES: Final[JsonDict] = {"negative": 0.02, "neutral": 0.05, "positive": 0.93}
_WORD: Final[JsonDict] = {"name": "love", "kind": "word", "weight": 1.31}


class _Asked(BaseModel):
    """A request: what it does not know of is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextToScore(_Asked):
    """One text, and what is known of the comment it would be."""

    text: Text
    channel_id: Identifier | None = Field(None, description="Channel it stands on; nothing is known of it if null.")
    video_id: Identifier | None = Field(None, description="Video it stands below.")
    is_reply: bool = Field(False, description="Whether it answers another comment.")
    like_count: Count | None = Field(None, description="Likes when it was first seen.")
    earlier_reply_count_30d: Count | None = Field(
        None, description="Replies to the same comment in the 30 days before; 0 for what is no reply."
    )


class ScoreRequest(_Asked):
    """Texts to score by the champion."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"texts": [{"text": "I love this, thank you!", "channel_id": _CHANNEL}], "top_words": 5}
        }
    )

    texts: list[TextToScore] = Field(min_length=1, max_length=MOST_TEXTS)
    top_words: int = Field(5, ge=0, le=20, description="How many words and features that moved the label are told.")


class Word(BaseModel):
    """What moved a label, in log-odds of it."""

    name: str
    kind: Literal["word", "pair", "beginning", "feature"]
    weight: float


class Result(BaseModel):
    """What the champion says of a text."""

    label: str
    confidence: Share = Field(description="Probability of the label.")
    is_abstained: bool = Field(description="Whether the confidence is too low to act on the label.")
    probabilities: dict[str, Share]
    words: list[Word] = Field(description="What moved the label most, the greatest first.")


class Lineage(BaseModel):
    """What an answer rests on."""

    model_digest: str = Field(description="SHA-256 of the file of the model.")
    service_digest: str = Field(description="SHA-256 of the definition of its features.")
    feature_service: str
    data_version: int | None = Field(description="ingest_seq up to which the online store knows the data.")
    features_at: datetime | None = Field(description="Instant of its values; null if it was never filled.")
    code_version: str


class ScoreAnswer(BaseModel):
    """What the champion says of the texts, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "sentiment",
                "model_version": "3",
                "lineage": _LINEAGE,
                "results": [
                    {
                        "label": "positive",
                        "confidence": 0.93,
                        "is_abstained": False,
                        "probabilities": _PROBABILITIES,
                        "words": [_WORD],
                    }
                ],
            }
        }
    )

    model: str
    model_version: str
    lineage: Lineage
    results: list[Result]


class FeedbackRequest(_Asked):
    """A label that a person gives to a comment, which is named by its id or by its exact text."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"model": "sentiment", "label": "negative", "comment_id": _COMMENT, "source": "extension"}
        }
    )

    model: str
    label: str
    comment_id: Identifier | None = None
    text: Text | None = None
    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "rest"


class FeedbackAnswer(BaseModel):
    """That a label was kept, and for which comment; it is ingested with the next batch of labels."""

    feedback_id: str
    comment_id: str
    status: Literal["known", "waiting"] = Field(description="waiting: the comment is not in the lake (yet).")


class CommentScore(BaseModel):
    """A score in force."""

    model: str
    label: str
    confidence: Share
    is_abstained: bool
    probabilities: dict[str, Share]
    model_version: str
    feature_service: str
    data_version: int
    run_id: str
    scored_at: datetime
    channel_id: str | None
    video_id: str | None
    published_at: datetime | None
    text: str | None = Field(description="With explain=true, unless it has expired.")
    words: list[Word] = Field(description="With explain=true: what moved the label most.")


class CommentAnswer(BaseModel):
    """The scores of a comment that are in force, one per model."""

    comment_id: str
    scores: list[CommentScore]


class Channel(BaseModel):
    """A channel with scored comments."""

    channel_id: str
    title: str | None
    comment_count: int


class ChannelsAnswer(BaseModel):
    """The channels with the most scored comments."""

    channels: list[Channel]


class Day(BaseModel):
    """The scores in force of a channel's comments of a day (UTC)."""

    published_on: date
    comment_count: int
    labels: dict[str, int]


class DailyAnswer(BaseModel):
    """A channel's days with scored comments, the earliest first."""

    channel_id: str
    model: str
    days: list[Day]


class RefusedVersion(BaseModel):
    """A champion of the ledger that does not answer here."""

    version: str
    reason: str


class ServedModel(BaseModel):
    """A model at work."""

    model: str
    model_version: str
    classes: list[str]
    abstain_below: Share
    lineage: Lineage
    champion: str | None = Field(description="The ledger's; another than model_version only while it is being loaded.")
    refused: RefusedVersion | None


class ModelsAnswer(BaseModel):
    """The models at work, and how fresh what they know is."""

    models: list[ServedModel]
    newest_comment_at: datetime | None
    features_at: datetime | None
    data_version: int | None


class Health(BaseModel):
    """That it is well."""

    status: Literal["live", "ready"]


class Pointer(BaseModel):
    """A place in a request that is wrong."""

    pointer: str = Field(description="JSON pointer into the body, or the name of a parameter.")
    detail: str


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Too Many Requests",
                "status": 429,
                "detail": "more than 600 per 1 minute with this key; Retry-After says when to go on",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[Pointer] | None = None
