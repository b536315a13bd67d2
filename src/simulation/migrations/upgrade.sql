-- Brings a file of movici to version 1. Its tables stay; columns of ours are added at their ends.
CREATE TABLE IF NOT EXISTS metadata (id INTEGER PRIMARY KEY, version TEXT NOT NULL);
INSERT OR IGNORE INTO metadata (id, version) VALUES (1, 'v1');
ALTER TABLE numpy_array ADD COLUMN codec TEXT;
ALTER TABLE numpy_array ADD COLUMN checksum BLOB;
ALTER TABLE attribute_data ADD COLUMN mask_id INTEGER REFERENCES numpy_array (id) ON DELETE CASCADE;
CREATE TABLE IF NOT EXISTS initial_dataset (
    id INTEGER PRIMARY KEY, dataset_name TEXT NOT NULL UNIQUE, format TEXT NOT NULL, data BLOB
);
CREATE TABLE IF NOT EXISTS initial_dataset_attribute (
    initial_dataset_id INTEGER NOT NULL REFERENCES initial_dataset (id) ON DELETE CASCADE,
    attribute_data_id  INTEGER NOT NULL REFERENCES attribute_data (id) ON DELETE CASCADE,
    PRIMARY KEY (initial_dataset_id, attribute_data_id)
);
ALTER TABLE initial_dataset ADD COLUMN codec TEXT;
ALTER TABLE initial_dataset_attribute ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE update_attribute ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX IF NOT EXISTS siltstone_update_key ON "update" (dataset_name, timestamp, iteration);
