//! The RTX engine's table with its three indexes, one file a day, by `rusqlite` with care and nothing else.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::baseline::{Answer, Questions, Survives, TickBaseline};
use super::data::{DAY_NS, DAYS, FIRST_NS, LP, Rows};

pub(crate) struct Sqlite;

const SCHEMA: &str = "\
    CREATE TABLE IF NOT EXISTS ticks (id INTEGER PRIMARY KEY AUTOINCREMENT, symbol VARCHAR(20) NOT NULL, \
        timestamp INTEGER NOT NULL, bid REAL NOT NULL, ask REAL NOT NULL, spread REAL NOT NULL, \
        lp_source VARCHAR(50), created_at INTEGER DEFAULT (strftime('%s', 'now') * 1000)); \
    CREATE INDEX IF NOT EXISTS idx_ticks_symbol_timestamp ON ticks(symbol, timestamp DESC); \
    CREATE INDEX IF NOT EXISTS idx_ticks_timestamp ON ticks(timestamp DESC); \
    CREATE UNIQUE INDEX IF NOT EXISTS idx_ticks_unique ON ticks(symbol, timestamp);";
pub(crate) const INSERT: &str = "INSERT OR IGNORE INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

fn day_file(folder: &Path, time_ns: i64) -> PathBuf {
    folder.join(format!("ticks_{}.db", (time_ns - FIRST_NS).div_euclid(DAY_NS)))
}

/// A day's file with the RTX engine's settings; `Disk` is a sync a commit.
pub(crate) fn writer(path: &Path, how: Survives) -> Connection {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    let conn = Connection::open(path).expect("a file opens");
    let synchronous = if how == Survives::Disk { "FULL" } else { "NORMAL" };
    conn.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA cache_size=-64000; \
         PRAGMA busy_timeout=5000; {SCHEMA}"
    ))
    .expect("the table is made");
    conn
}

impl TickBaseline for Sqlite {
    fn name(&self) -> &'static str {
        "rusqlite, RTX schema"
    }

    fn ingest(&self, folder: &Path, rows: &Rows, range: Range<usize>, batch: usize, how: Survives) {
        let mut conn = writer(&day_file(folder, rows.time_ns[range.start]), how);
        for first in range.clone().step_by(batch) {
            let tx = conn.transaction().expect("a transaction begins");
            let mut insert = tx.prepare_cached(INSERT).expect("the statement prepares");
            for i in first..(first + batch).min(range.end) {
                let (bid, ask) = (rows.bid[i], rows.ask[i]);
                let symbol = rows.names[rows.symbol[i] as usize];
                insert
                    .execute((symbol, rows.time_ns[i] / 1_000_000, bid, ask, ask - bid, LP))
                    .expect("a row is stored");
            }
            drop(insert);
            tx.commit().expect("a batch is stored");
        }
    }

    fn bulk(&self, folder: &Path, rows: &Rows, range: Range<usize>) {
        self.ingest(folder, rows, range, 5_000, Survives::Disk);
    }

    fn open(&self, folder: &Path) -> Box<dyn Questions> {
        let days = (0..DAYS as i64)
            .map(|day| day_file(folder, FIRST_NS + day * DAY_NS))
            .filter(|path| path.exists())
            .map(|path| {
                let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                    .expect("a file opens");
                conn.execute_batch("PRAGMA cache_size=-64000").expect("a setting");
                conn
            })
            .collect();
        Box::new(Reader { days })
    }
}

struct Reader {
    days: Vec<Connection>,
}

fn ticks(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Answer {
    let mut answer = Answer::default();
    let mut statement = conn.prepare_cached(sql).expect("the query prepares");
    let mut rows = statement.query(params).expect("the query runs");
    // What a caller gets: all columns as vectors, as ours.
    let mut found: (Vec<i64>, Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
    while let Some(row) = rows.next().expect("a row") {
        found.0.push(row.get(0).expect("a time"));
        found.1.push(row.get(1).expect("a price"));
        found.2.push(row.get(2).expect("a price"));
        found.3.push(row.get(3).expect("a price"));
        let lp = row.get_ref(4).expect("a source").as_str().expect("a text");
        assert!(!lp.is_empty());
    }
    for i in 0..found.0.len() {
        answer.tick(found.0[i] * 1_000_000, found.1[i], found.2[i]);
    }
    answer
}

impl Questions for Reader {
    fn last(&self, symbol: &str, n: usize) -> Answer {
        let sql = "SELECT timestamp, bid, ask, spread, lp_source FROM ticks WHERE symbol = ?1 \
            ORDER BY timestamp DESC LIMIT ?2";
        ticks(self.days.last().expect("a day"), sql, (symbol, n as i64))
    }

    fn range(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Answer {
        let sql = "SELECT timestamp, bid, ask, spread, lp_source FROM ticks WHERE symbol = ?1 \
            AND timestamp BETWEEN ?2 AND ?3 ORDER BY timestamp";
        let day = ((from_ns - FIRST_NS) / DAY_NS) as usize;
        ticks(&self.days[day], sql, (symbol, from_ns / 1_000_000, to_ns / 1_000_000))
    }

    fn bars(&self, symbols: &[&str]) -> Answer {
        let mut answer = Answer::default();
        for conn in &self.days {
            for symbol in symbols {
                let sql =
                    "SELECT timestamp, bid, ask FROM ticks WHERE symbol = ?1 ORDER BY timestamp";
                let mut statement = conn.prepare_cached(sql).expect("the query prepares");
                let mut rows = statement.query([symbol]).expect("the query runs");
                let mut bar: Option<(i64, [f64; 5])> = None;
                while let Some(row) = rows.next().expect("a row") {
                    let ms: i64 = row.get(0).expect("a time");
                    let bid: f64 = row.get(1).expect("a price");
                    let ask: f64 = row.get(2).expect("a price");
                    let (minute, price) = (ms - ms.rem_euclid(60_000), (bid + ask) / 2.0);
                    match &mut bar {
                        Some((at, p)) if *at == minute => {
                            *p = [p[0], p[1].max(price), p[2].min(price), price, p[4] + 1.0];
                        }
                        _ => {
                            if let Some((at, prices)) = bar {
                                answer.row(at * 1_000_000, &prices);
                            }
                            bar = Some((minute, [price, price, price, price, 1.0]));
                        }
                    }
                }
                if let Some((at, prices)) = bar {
                    answer.row(at * 1_000_000, &prices);
                }
            }
        }
        answer
    }
}
