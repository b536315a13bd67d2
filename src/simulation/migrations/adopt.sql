-- Brings a file of the described system to version 1. Its tables stay; columns of ours are added at their ends.
CREATE TABLE IF NOT EXISTS metadata (id INTEGER PRIMARY KEY, version TEXT NOT NULL);
INSERT OR IGNORE INTO metadata (id, version) VALUES (1, 'v1');
ALTER TABLE numpy_array ADD COLUMN codec TEXT;
ALTER TABLE numpy_array ADD COLUMN checksum BLOB;
ALTER TABLE attribute_data ADD COLUMN mask_id INTEGER REFERENCES numpy_array (id) ON DELETE CASCADE;
CREATE UNIQUE INDEX IF NOT EXISTS siltstone_update_key ON "update" (dataset_name, timestamp, iteration);
