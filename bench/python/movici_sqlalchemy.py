"""movici's way: SQLAlchemy models of the documented tables, a transaction an update.

Written anew from the description. As movici does it: a session, a lock and a flush
a row on writing (1 + 3 statements an attribute); relationships loaded one by one on reading
(1 + updates x (1 + attributes) statements); SQLite as it comes, that is with a rollback journal
and an fsync a transaction.
"""

import threading

import numpy as np
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
)

from baseline import Baseline
from replay import replay


class Base(DeclarativeBase):
    pass


class NumpyArray(Base):
    __tablename__ = "numpy_array"
    id: Mapped[int] = mapped_column(primary_key=True)
    dtype: Mapped[str] = mapped_column(String(20))
    shape: Mapped[list] = mapped_column(JSON)
    data: Mapped[bytes] = mapped_column(LargeBinary)

    def to_numpy(self):
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


class AttributeData(Base):
    __tablename__ = "attribute_data"
    id: Mapped[int] = mapped_column(primary_key=True)
    entity_group: Mapped[str] = mapped_column(index=True)
    attribute_name: Mapped[str] = mapped_column(index=True)
    data_id: Mapped[int] = mapped_column(ForeignKey("numpy_array.id"))
    indptr_id: Mapped[int | None] = mapped_column(ForeignKey("numpy_array.id"))
    min_val: Mapped[float | None]
    max_val: Mapped[float | None]
    data: Mapped[NumpyArray] = relationship(foreign_keys=data_id)
    indptr: Mapped[NumpyArray | None] = relationship(foreign_keys=indptr_id)


update_attribute = Table(
    "update_attribute",
    Base.metadata,
    Column("update_id", ForeignKey("update.id"), primary_key=True),
    Column("attribute_data_id", ForeignKey("attribute_data.id"), primary_key=True),
)


class UpdateRow(Base):
    __tablename__ = "update"
    __table_args__ = (UniqueConstraint("timestamp", "iteration", "dataset_name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    timestamp: Mapped[int] = mapped_column(index=True)
    iteration: Mapped[int]
    dataset_name: Mapped[str] = mapped_column(index=True)
    origin: Mapped[str | None]
    attributes: Mapped[list[AttributeData]] = relationship(secondary=update_attribute)


configure_mappers()  # part of the import, which is not timed


class MoviciSqlalchemy(Baseline):
    durability = "disk"
    unfair = "waits for the disk at each update: compare its CPU time, not its wall time"

    def __init__(self, folder, *, write):
        self.folder = folder
        self.lock = threading.Lock()
        self.engine = create_engine(f"sqlite:///{folder / 'run.db'}")
        event.listen(self.engine, "connect", self.on_connect)
        if write:
            Base.metadata.create_all(self.engine)

    @staticmethod
    def on_connect(connection, _record):
        connection.execute("PRAGMA foreign_keys = ON")

    def write_each(self, updates):
        for update in updates:
            with self.lock, Session(self.engine) as session:
                self._store(session, update)
                session.commit()

    def _store(self, session, update):
        row = UpdateRow(
            timestamp=update.timestamp,
            iteration=update.iteration,
            dataset_name=update.dataset,
            origin=update.origin,
        )
        self._flush(session, row)
        for group, columns in update.data.items():
            for name, column in columns.items():
                array = column["data"]
                stored = NumpyArray(
                    dtype=array.dtype.str, shape=list(array.shape), data=array.tobytes()
                )
                self._flush(session, stored)
                attribute = AttributeData(
                    entity_group=group, attribute_name=name, data_id=stored.id
                )
                self._flush(session, attribute)
                link = {"update_id": row.id, "attribute_data_id": attribute.id}
                session.execute(insert(update_attribute).values(link))

    @staticmethod
    def _flush(session, row):
        session.add(row)
        session.flush()

    def read_all(self, dataset):
        query = select(UpdateRow).where(UpdateRow.dataset_name == dataset)
        query = query.order_by(UpdateRow.timestamp, UpdateRow.iteration)
        updates = []
        with Session(self.engine) as session:
            for row in session.scalars(query):
                update = {"timestamp": row.timestamp, "iteration": row.iteration}
                for attribute in row.attributes:
                    column = {"data": attribute.data.to_numpy()}
                    if attribute.indptr is not None:
                        column["row_ptr"] = attribute.indptr.to_numpy()
                    columns = update.setdefault(attribute.entity_group, {})
                    columns[attribute.attribute_name] = column
                updates.append(update)
        return updates

    def state_at(self, dataset, group, timestamp):
        return replay(self.read_all(dataset), group, timestamp)

    def close(self):
        self.engine.dispose()


class MoviciSqlalchemyWal(MoviciSqlalchemy):
    """With the journal that the description promises, and which its code does not set."""

    durability = "os"
    unfair = ""

    @staticmethod
    def on_connect(connection, _record):
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON"
        )
