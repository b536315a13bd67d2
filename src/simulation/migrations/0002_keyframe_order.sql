-- Version 2. The triggers look for the keyframes of one dataset from a time on: with an index in that order,
-- or each update goes through all that the dataset has.
CREATE INDEX simulation_keyframe_order ON simulation_keyframe (dataset_name, timestamp, iteration);
DROP TRIGGER simulation_update_added;
CREATE TRIGGER simulation_update_added AFTER INSERT ON "update" BEGIN
    DELETE FROM simulation_keyframe
    WHERE dataset_name = new.dataset_name AND (timestamp, iteration) >= (new.timestamp, new.iteration);
END;
DROP TRIGGER simulation_update_removed;
CREATE TRIGGER simulation_update_removed AFTER DELETE ON "update" BEGIN
    DELETE FROM simulation_keyframe
    WHERE dataset_name = old.dataset_name AND (timestamp, iteration) >= (old.timestamp, old.iteration);
    UPDATE simulation_run SET value = value + 1 WHERE key = 'keyframe_epoch';
END;
