-- Version 2: rows carry checksums. That a row gets one is no change of what it says.
DROP TRIGGER episodes_vector_updated;
CREATE TRIGGER episodes_vector_updated AFTER UPDATE OF embedding ON episode_embeddings BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, NEW.episode_id, random());
END;
DROP TRIGGER episodes_priority_updated;
CREATE TRIGGER episodes_priority_updated AFTER UPDATE OF priority ON episode_priorities BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (2, NEW.episode_id, random());
END;
