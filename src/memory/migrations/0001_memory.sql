-- What an agent remembers: documented tables and columns; the indexes are ours.
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL NOT NULL,
    experience_data BLOB NOT NULL,
    performance_score REAL NOT NULL,
    context_hash TEXT NOT NULL,
    metadata TEXT DEFAULT '{}',
    created_at REAL DEFAULT (julianday('now'))
);
CREATE INDEX idx_episodes_timestamp ON episodes (timestamp);
-- The latest of a context, above a score, without reading the rows that are passed over.
CREATE INDEX idx_episodes_context_hash ON episodes (context_hash, timestamp, id, performance_score);

CREATE TABLE concepts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    embedding BLOB NOT NULL,
    creation_time REAL NOT NULL,
    access_count INTEGER DEFAULT 0,
    last_accessed REAL DEFAULT 0,
    metadata TEXT DEFAULT '{}'
);
CREATE INDEX idx_concepts_access_count ON concepts (access_count DESC, creation_time DESC, id, name);

CREATE TABLE learning_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_type TEXT NOT NULL,
    performance_delta REAL NOT NULL,
    strategy_used TEXT NOT NULL,
    timestamp REAL NOT NULL,
    parameters TEXT DEFAULT '{}'
);
CREATE INDEX idx_learning_events_task_type
    ON learning_events (task_type, timestamp, id, performance_delta);
CREATE INDEX idx_learning_events_strategy
    ON learning_events (task_type, strategy_used, performance_delta);

CREATE TABLE concept_relationships (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_concept_id INTEGER NOT NULL,
    target_concept_id INTEGER NOT NULL,
    relationship_type TEXT NOT NULL,
    strength REAL DEFAULT 1.0,
    created_at REAL DEFAULT (julianday('now')),
    FOREIGN KEY (source_concept_id) REFERENCES concepts (id),
    FOREIGN KEY (target_concept_id) REFERENCES concepts (id),
    UNIQUE (source_concept_id, target_concept_id, relationship_type)
);
CREATE INDEX idx_concept_relationships_source ON concept_relationships
    (source_concept_id, strength DESC, target_concept_id, relationship_type);
CREATE INDEX idx_concept_relationships_target ON concept_relationships
    (target_concept_id, strength DESC, source_concept_id, relationship_type);

-- Where an episode lies among others: a payload, as concepts have it.
CREATE TABLE episode_embeddings (
    episode_id INTEGER PRIMARY KEY,
    embedding BLOB NOT NULL
);
-- How much is to be learned from an episode; 1 for one that is not here.
CREATE TABLE episode_priorities (
    episode_id INTEGER PRIMARY KEY,
    priority REAL NOT NULL
);

-- How far a reader in order has come; `context` is a c and the context, or empty for all.
CREATE TABLE memory_replay (
    reader TEXT NOT NULL,
    context TEXT NOT NULL,
    last_id INTEGER NOT NULL,
    PRIMARY KEY (reader, context)
) STRICT, WITHOUT ROWID;

-- How much of a context is kept; without a context: of each that has no row of its own.
CREATE TABLE memory_limit (
    context_hash TEXT UNIQUE,
    max_age REAL,        -- seconds
    capacity INTEGER,    -- episodes
    evict TEXT NOT NULL CHECK (evict IN ('oldest', 'lowest_priority'))
) STRICT;

-- One row; seconds since 1970-01-01 UTC.
CREATE TABLE memory_info (
    created REAL NOT NULL,
    backup_begun REAL NOT NULL  -- the last one that was due; 0 for none
) STRICT;
INSERT INTO memory_info VALUES ((julianday('now') - 2440587.5) * 86400.0, 0);

-- What has changed of that which is held in memory: whoever does reads on from where they were. Old entries go; who has
-- missed some reads all anew. `stamp` tells two histories apart. An episode without an embedding is not named when it is
-- stored: its id, larger than all before, says that it is new.
CREATE TABLE memory_change (
    seq INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,  -- 0: concepts, 1: embeddings of episodes, 2: what episodes are sampled by
    row_id INTEGER NOT NULL,
    stamp INTEGER NOT NULL
) STRICT;
CREATE TRIGGER memory_change_forgotten AFTER INSERT ON memory_change BEGIN
    DELETE FROM memory_change WHERE seq = NEW.seq - 65536;
END;
CREATE TRIGGER concepts_vector_inserted AFTER INSERT ON concepts BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (0, NEW.id, random());
END;
CREATE TRIGGER concepts_vector_updated
AFTER UPDATE OF embedding, metadata, creation_time ON concepts BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (0, NEW.id, random());
END;
CREATE TRIGGER concepts_vector_deleted AFTER DELETE ON concepts BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (0, OLD.id, random());
END;
CREATE TRIGGER episodes_vector_inserted AFTER INSERT ON episode_embeddings BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, NEW.episode_id, random());
END;
CREATE TRIGGER episodes_vector_updated AFTER UPDATE ON episode_embeddings BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, NEW.episode_id, random());
END;
CREATE TRIGGER episodes_vector_deleted AFTER DELETE ON episode_embeddings BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, OLD.episode_id, random());
END;
CREATE TRIGGER episodes_godly_ai
AFTER UPDATE OF timestamp, performance_score, context_hash, metadata ON episodes
WHEN EXISTS (SELECT 1 FROM episode_embeddings WHERE episode_id = NEW.id) BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, NEW.id, random());
END;
CREATE TRIGGER episodes_deleted AFTER DELETE ON episodes BEGIN
    DELETE FROM episode_embeddings WHERE episode_id = OLD.id;
    DELETE FROM episode_priorities WHERE episode_id = OLD.id;
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (2, OLD.id, random());
END;
CREATE TRIGGER episodes_moved AFTER UPDATE OF context_hash ON episodes
WHEN OLD.context_hash <> NEW.context_hash BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (2, NEW.id, random());
END;
CREATE TRIGGER episodes_priority_inserted AFTER INSERT ON episode_priorities BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (2, NEW.episode_id, random());
END;
CREATE TRIGGER episodes_priority_updated AFTER UPDATE ON episode_priorities BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (2, NEW.episode_id, random());
END;
