-- Experiments and their simulations; documented names and columns, ours at the end.
CREATE TABLE experiments (
    experiment_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    hypothesis TEXT,
    creation_date TEXT,
    last_updated TEXT,
    status TEXT NOT NULL DEFAULT 'planned',
    tags TEXT,
    variables TEXT,
    results_summary TEXT,
    notes TEXT
) STRICT;

-- A process that has, or had, simulations open for writing.
CREATE TABLE experiment_process (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    closed_ms INTEGER
) STRICT;

CREATE TABLE simulations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    simulation_id TEXT NOT NULL UNIQUE,
    experiment_id TEXT REFERENCES experiments (experiment_id),
    start_time TEXT,
    end_time TEXT,
    status TEXT NOT NULL DEFAULT 'pending',
    parameters TEXT NOT NULL DEFAULT '{}',
    results_summary TEXT,
    simulation_db_path TEXT NOT NULL,
    error TEXT,
    safe_step INTEGER,
    provenance TEXT,
    process_id INTEGER REFERENCES experiment_process (id)
) STRICT;
CREATE INDEX simulations_experiment ON simulations (experiment_id);
CREATE INDEX simulations_open ON simulations (process_id) WHERE status = 'running';

-- Names that rows of a simulation speak of by number: agents, resources, kinds of action.
CREATE TABLE simulation_name (
    simulation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (simulation, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX simulation_name_name ON simulation_name (simulation, name);

-- The tables of records that the file has. `definition` is JSON.
CREATE TABLE record_table (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL
) STRICT;

-- What is known of the records of one simulation in one table without reading them.
CREATE TABLE record_summary (
    simulation INTEGER NOT NULL,
    record_table INTEGER NOT NULL,
    next_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    last_step INTEGER,
    sums BLOB,
    PRIMARY KEY (simulation, record_table)
) STRICT, WITHOUT ROWID;

-- Compacted records: some thousand of one simulation and table, in their order; `data` has a blob a column.
CREATE TABLE record_block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    simulation INTEGER NOT NULL,
    record_table INTEGER NOT NULL,
    first_step INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX record_block_steps ON record_block (simulation, record_table, first_step);

-- Arrays that a simulation logged, in the form of the arrays of Siltstone.
CREATE TABLE simulation_array (
    simulation INTEGER NOT NULL,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    dtype TEXT NOT NULL,
    shape TEXT NOT NULL,
    codec TEXT,
    checksum BLOB NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (simulation, name, step)
) STRICT;
CREATE VIEW simulation_arrays AS
    SELECT s.simulation_id, a.name, a.step AS step_number, a.dtype, a.shape, a.codec, a.checksum, a.data
    FROM simulation_array a JOIN simulations s ON s.id = a.simulation;
