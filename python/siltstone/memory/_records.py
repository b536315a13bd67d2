"""What comes out of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from siltstone import _json, _repr, _siltstone
from siltstone._reports import Skipped
from siltstone.memory._errors import documented_errors

if TYPE_CHECKING:
    import numpy as np


def _object(text: str) -> Any:
    return {} if text == "{}" else _json.loads(text)


@dataclass(repr=False)
class Episode:
    """An experience, how well it went, and in what context.

    Attributes
    ----------
    id : int
        Its number, never used again.
    timestamp : float
        In seconds since 1970-01-01 UTC.
    experience_data : bytes
        The bytes of its payload; :attr:`data` is what they stand for.
    performance_score : float
        How well it went.
    context_hash : str
        In what context.
    metadata : dict
        What else is known of it.
    """

    id: int | None = None
    timestamp: float = 0.0
    experience_data: bytes = b""
    performance_score: float = 0.0
    context_hash: str = ""
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.metadata is None:
            self.metadata = {}

    __repr__ = _repr.record

    @property
    def data(self) -> Any:
        """The experience: an array, or what it was.

        Raises
        ------
        SQLiteStorageError
            For what is no payload: a pickle of another program.
        """
        return decode(self.experience_data)


@dataclass(repr=False)
class Concept:
    """A name, where it lies among others, and how often it was asked for.

    Attributes
    ----------
    id : int
        Its number, never used again.
    name : str
        Its name, which no other has.
    embedding : bytes
        The bytes of its payload; :attr:`vector` is the array.
    creation_time : float
        When it was stored first, in seconds since 1970-01-01 UTC.
    access_count : int
        How often it was asked for by name.
    last_accessed : float
        When it was asked for by name or stored again for the last time; 0 for never.
    metadata : dict
        What else is known of it.
    """

    id: int | None = None
    name: str = ""
    embedding: bytes = b""
    creation_time: float = 0.0
    access_count: int = 0
    last_accessed: float = 0.0
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.metadata is None:
            self.metadata = {}

    __repr__ = _repr.record

    @property
    def vector(self) -> np.ndarray[Any, Any]:
        """The embedding, with the dtype that it was stored with."""
        vector: np.ndarray[Any, Any] = decode(self.embedding)
        return vector


@dataclass(repr=False)
class LearningEvent:
    """Which strategy was used for what, and by how much it helped.

    Attributes
    ----------
    id : int
        Its number, never used again.
    task_type : str
        What was to be learned.
    performance_delta : float
        By how much it went better.
    strategy_used : str
        How it was gone about.
    timestamp : float
        In seconds since 1970-01-01 UTC.
    parameters : dict
        Of the strategy.
    """

    id: int | None = None
    task_type: str = ""
    performance_delta: float = 0.0
    strategy_used: str = ""
    timestamp: float = 0.0
    parameters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.parameters is None:
            self.parameters = {}

    __repr__ = _repr.record


class Hit(NamedTuple):
    """What a search found: the concept or episode, and how like it is."""

    item: Any
    score: float

    @property
    def id(self) -> int:
        """The id of the concept or episode."""
        return int(self.item.id)


class Recollection(NamedTuple):
    """An episode that came to mind, and why: the sum, and each term before it is weighed."""

    episode: Episode
    score: float
    recency: float
    importance: float
    relevance: float


class Sample(NamedTuple):
    """Sampled episodes.

    Attributes
    ----------
    episodes : list of Episode
        In the order of sampling.
    probabilities : numpy.ndarray
        float64, one an episode: how likely it was.
    weights : numpy.ndarray
        float64, one an episode: how much it counts, at most 1.
    """

    episodes: list[Episode]
    probabilities: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]


class GraphReport(NamedTuple):
    """What was built: concepts compared, relationships written, and such of the type that were removed first."""

    concepts: int
    relationships: int
    removed: int


class Pruned(NamedTuple):
    """What went of a context, or would go: episodes too old, too many, those that stay, and the bytes that go."""

    context_hash: str
    expired: int
    evicted: int
    kept: int
    bytes: int


class ImportReport(NamedTuple):
    """What was imported, and each row that was skipped."""

    episodes: int
    concepts: int
    learning_events: int
    concept_relationships: int
    skipped: list[Skipped]


@documented_errors
def decode(data: bytes) -> Any:
    """What the bytes of a payload stand for."""
    return _siltstone.memory_decode(bytes(data))


def episode(row: tuple[Any, ...]) -> Episode:
    """An episode from its row."""
    return Episode(*(*row[:5], _object(row[5])))


def concept(row: tuple[Any, ...]) -> Concept:
    """A concept from its row."""
    return Concept(*(*row[:6], _object(row[6])))


def event(row: tuple[Any, ...]) -> LearningEvent:
    """A learning event from its row."""
    return LearningEvent(*(*row[:5], _object(row[5])))
