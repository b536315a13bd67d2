-- Version 3: rows carry checksums. That an update gets one is no change of what it says.
DROP TRIGGER simulation_update_changed;
CREATE TRIGGER simulation_update_changed
AFTER UPDATE OF timestamp, iteration, dataset_name, origin ON "update" BEGIN
    DELETE FROM simulation_keyframe WHERE dataset_name IN (old.dataset_name, new.dataset_name);
    UPDATE simulation_run SET value = value + 1 WHERE key = 'keyframe_epoch';
END;
