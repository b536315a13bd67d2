-- Version 3: what a search wants first of embeddings, copied into column blocks. A block is of the rows from one id to
-- another; blocks of the same rows differ in their dimension.
CREATE TABLE vector_block (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,  -- 0: concepts, 1: embeddings of episodes
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (kind, last_id, dimension)
) STRICT;
-- Without one of them the others would not have all vectors of their rows.
CREATE TRIGGER vector_block_deleted AFTER DELETE ON vector_block BEGIN
    DELETE FROM vector_block WHERE kind = OLD.kind AND last_id = OLD.last_id;
END;
-- Rows that are not what a block says of them: they are read themselves.
CREATE TABLE vector_stale (
    kind INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    PRIMARY KEY (kind, row_id)
) STRICT, WITHOUT ROWID;
-- A new row is behind all blocks: to see that is all that it costs.
CREATE TRIGGER concepts_block_inserted AFTER INSERT ON concepts
WHEN NEW.id <= (SELECT max(last_id) FROM vector_block WHERE kind = 0)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 0 AND row_id = NEW.id) BEGIN
    INSERT INTO vector_stale VALUES (0, NEW.id);
END;
CREATE TRIGGER concepts_block_updated AFTER UPDATE OF embedding ON concepts
WHEN NEW.embedding IS NOT OLD.embedding
AND NEW.id <= (SELECT max(last_id) FROM vector_block WHERE kind = 0)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 0 AND row_id = NEW.id) BEGIN
    INSERT INTO vector_stale VALUES (0, NEW.id);
END;
CREATE TRIGGER concepts_block_deleted AFTER DELETE ON concepts
WHEN OLD.id <= (SELECT max(last_id) FROM vector_block WHERE kind = 0)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 0 AND row_id = OLD.id) BEGIN
    INSERT INTO vector_stale VALUES (0, OLD.id);
END;
CREATE TRIGGER concepts_moved AFTER UPDATE ON concepts WHEN NEW.id <> OLD.id BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (0, OLD.id, random()), (0, NEW.id, random());
    INSERT INTO vector_stale SELECT 0, id FROM (SELECT OLD.id AS id UNION SELECT NEW.id)
    WHERE NOT EXISTS (SELECT 1 FROM vector_stale s WHERE s.kind = 0 AND s.row_id = id);
END;
CREATE TRIGGER embeddings_block_inserted AFTER INSERT ON episode_embeddings
WHEN NEW.episode_id <= (SELECT max(last_id) FROM vector_block WHERE kind = 1)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 1 AND row_id = NEW.episode_id) BEGIN
    INSERT INTO vector_stale VALUES (1, NEW.episode_id);
END;
CREATE TRIGGER embeddings_block_updated AFTER UPDATE OF embedding ON episode_embeddings
WHEN NEW.embedding IS NOT OLD.embedding
AND NEW.episode_id <= (SELECT max(last_id) FROM vector_block WHERE kind = 1)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 1 AND row_id = NEW.episode_id) BEGIN
    INSERT INTO vector_stale VALUES (1, NEW.episode_id);
END;
CREATE TRIGGER embeddings_block_deleted AFTER DELETE ON episode_embeddings
WHEN OLD.episode_id <= (SELECT max(last_id) FROM vector_block WHERE kind = 1)
AND NOT EXISTS (SELECT 1 FROM vector_stale WHERE kind = 1 AND row_id = OLD.episode_id) BEGIN
    INSERT INTO vector_stale VALUES (1, OLD.episode_id);
END;
CREATE TRIGGER embeddings_moved AFTER UPDATE ON episode_embeddings WHEN NEW.episode_id <> OLD.episode_id BEGIN
    INSERT INTO memory_change (kind, row_id, stamp)
    VALUES (1, OLD.episode_id, random()), (1, NEW.episode_id, random());
    INSERT INTO vector_stale SELECT 1, id FROM (SELECT OLD.episode_id AS id UNION SELECT NEW.episode_id)
    WHERE NOT EXISTS (SELECT 1 FROM vector_stale s WHERE s.kind = 1 AND s.row_id = id);
END;
