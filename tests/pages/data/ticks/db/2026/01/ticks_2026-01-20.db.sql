CREATE TABLE ticks (id INTEGER PRIMARY KEY AUTOINCREMENT, symbol VARCHAR(20) NOT NULL, timestamp INTEGER NOT NULL, bid REAL NOT NULL,
  ask REAL NOT NULL, spread REAL NOT NULL, lp_source VARCHAR(50), created_at INTEGER DEFAULT (strftime('%s', 'now') * 1000));
CREATE UNIQUE INDEX idx_ticks_unique ON ticks (symbol, timestamp);
INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('EURUSD', 1768867200000, 1.08600, 1.08620, 0.0002, 'YOFX');
INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('EURUSD', 1768867230000, 1.08601, 1.08621, 0.0002, 'YOFX');
INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('EURUSD', 1768867260000, 1.08602, 1.08622, 0.0002, 'YOFX');
INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('EURUSD', 1768867290000, 1.08603, 1.08623, 0.0002, 'YOFX');
INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('EURUSD', 1768867320000, 1.08604, 1.08624, 0.0002, 'YOFX');
