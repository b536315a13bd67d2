"""The memory store: episodes, concepts and learning events of an agent, in one file.

:class:`SQLiteStorage` has the documented calls; beside them search by vector, recall, replay and limits of growth.
Payloads are arrays and nests of them, with a checksum, and never pickles.
"""

from siltstone.memory._errors import SQLiteStorageError
from siltstone.memory._records import (
    Concept,
    Episode,
    GraphReport,
    Hit,
    ImportReport,
    LearningEvent,
    Pruned,
    Recollection,
    Sample,
)
from siltstone.memory._store import SQLiteStorage, import_godly_ai

__all__ = [
    "Concept",
    "Episode",
    "GraphReport",
    "Hit",
    "ImportReport",
    "LearningEvent",
    "Pruned",
    "Recollection",
    "SQLiteStorage",
    "SQLiteStorageError",
    "Sample",
    "import_godly_ai",
]
