-- Version 4: an episode may come after its embedding. Who holds the embedding learns of it.
CREATE TRIGGER episodes_late AFTER INSERT ON episodes
WHEN EXISTS (SELECT 1 FROM episode_embeddings WHERE episode_id = NEW.id) BEGIN
    INSERT INTO memory_change (kind, row_id, stamp) VALUES (1, NEW.id, random());
END;
