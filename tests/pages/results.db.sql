CREATE TABLE metadata (id INTEGER NOT NULL PRIMARY KEY, version VARCHAR(16) NOT NULL);
CREATE TABLE numpy_array (id INTEGER NOT NULL PRIMARY KEY, dtype VARCHAR(20) NOT NULL, shape VARCHAR NOT NULL, data BLOB NOT NULL);
CREATE TABLE "update" (id INTEGER NOT NULL PRIMARY KEY, timestamp INTEGER NOT NULL, iteration INTEGER NOT NULL,
  dataset_name VARCHAR NOT NULL, origin VARCHAR, UNIQUE (timestamp, iteration, dataset_name));
CREATE TABLE initial_dataset (id INTEGER NOT NULL PRIMARY KEY, dataset_name VARCHAR NOT NULL UNIQUE, format VARCHAR(12) NOT NULL, data BLOB);
CREATE TABLE attribute_data (id INTEGER NOT NULL PRIMARY KEY, entity_group VARCHAR NOT NULL, attribute_name VARCHAR NOT NULL,
  data_id INTEGER NOT NULL REFERENCES numpy_array (id) ON DELETE CASCADE, indptr_id INTEGER REFERENCES numpy_array (id) ON DELETE CASCADE,
  min_val FLOAT, max_val FLOAT);
CREATE TABLE update_attribute (update_id INTEGER NOT NULL REFERENCES "update" (id) ON DELETE CASCADE,
  attribute_data_id INTEGER NOT NULL REFERENCES attribute_data (id) ON DELETE CASCADE, PRIMARY KEY (update_id, attribute_data_id));
CREATE TABLE initial_dataset_attribute (initial_dataset_id INTEGER NOT NULL REFERENCES initial_dataset (id) ON DELETE CASCADE,
  attribute_data_id INTEGER NOT NULL REFERENCES attribute_data (id) ON DELETE CASCADE, PRIMARY KEY (initial_dataset_id, attribute_data_id));
INSERT INTO metadata VALUES (1, 'v1');
INSERT INTO initial_dataset VALUES (1, 'town', 'UNSTRUCTURED', CAST('{"name": "town", "type": "water_network", "general": {"enum": {"kind": ["pump", "valve"]}}, "data": {"pipes": {"id": [1, 2, 3], "kind": [0, 0, 1], "flow": [null, null, null], "open": [true, true, false]}}}' AS BLOB));
INSERT INTO "update" VALUES (1, 0, 0, 'town', 'hydraulics');
INSERT INTO numpy_array VALUES (1, '<i4', '[3]', x'010000000200000003000000');
INSERT INTO attribute_data VALUES (1, 'pipes', 'id', 1, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (1, 1);
INSERT INTO numpy_array VALUES (2, '<f8', '[3]', x'000000000000e03f000000000000f43f0000000000000000');
INSERT INTO attribute_data VALUES (2, 'pipes', 'flow', 2, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (1, 2);
INSERT INTO "update" VALUES (2, 0, 1, 'town', 'hydraulics');
INSERT INTO numpy_array VALUES (3, '<i4', '[1]', x'03000000');
INSERT INTO attribute_data VALUES (3, 'pipes', 'id', 3, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (2, 3);
INSERT INTO numpy_array VALUES (4, '|i1', '[1]', x'01');
INSERT INTO attribute_data VALUES (4, 'pipes', 'open', 4, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (2, 4);
INSERT INTO "update" VALUES (3, 600, 0, 'town', 'hydraulics');
INSERT INTO numpy_array VALUES (5, '<i4', '[2]', x'0200000003000000');
INSERT INTO attribute_data VALUES (5, 'pipes', 'id', 5, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (3, 5);
INSERT INTO numpy_array VALUES (6, '<f8', '[2]', x'000000000000f83f000000000000e83f');
INSERT INTO attribute_data VALUES (6, 'pipes', 'flow', 6, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (3, 6);
INSERT INTO "update" VALUES (4, 1200, 0, 'town', 'hydraulics');
INSERT INTO numpy_array VALUES (7, '<i4', '[1]', x'01000000');
INSERT INTO attribute_data VALUES (7, 'pipes', 'id', 7, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (4, 7);
INSERT INTO numpy_array VALUES (8, '<f8', '[1]', x'000000000000f87f');
INSERT INTO attribute_data VALUES (8, 'pipes', 'flow', 8, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (4, 8);
INSERT INTO numpy_array VALUES (9, '|i1', '[1]', x'00');
INSERT INTO attribute_data VALUES (9, 'pipes', 'open', 9, NULL, NULL, NULL);
INSERT INTO update_attribute VALUES (4, 9);
