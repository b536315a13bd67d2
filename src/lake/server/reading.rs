//! What a PostgreSQL server has: its ledger, and the hashes of its rows.

use std::collections::BTreeMap;
use std::io::{self, Read};

use postgres::Client;

use super::super::copy::{EPOCH_DAYS, EPOCH_US, HEADER};
use super::super::listing::{LakeSender, LakeTable};
use super::{Server, place, quoted};
use crate::error::{Error, Result};
use crate::postgresql::{Access, Failure, text};
use crate::table::{CellHash, RowHash};

/// A segment, as the ledger says it, and what its rows are.
pub(in crate::lake) struct ReadSegment {
    pub(in crate::lake) store: String,
    pub(in crate::lake) number: i64,
    pub(in crate::lake) partition: Vec<String>,
    pub(in crate::lake) first: i64,
    pub(in crate::lake) until: i64,
    pub(in crate::lake) rows: u64,
    pub(in crate::lake) hash: String,
    /// Of the rows that the table has.
    pub(in crate::lake) there: RowHash,
}

/// What was read of a table.
#[derive(Default)]
pub(in crate::lake) struct ReadTable {
    pub(in crate::lake) segments: Vec<ReadSegment>,
    pub(in crate::lake) bytes: u64,
    /// Rows of segments that the ledger does not have.
    pub(in crate::lake) strange_rows: u64,
}

impl Server {
    /// Refuses a server that nobody has published to.
    fn has_ledger(&self, client: &mut Client) -> Result<(), Failure> {
        let sql = "SELECT to_regclass('siltstone_ledger.version') IS NOT NULL";
        match client.query_one(sql, &[])?.get(0) {
            true => super::check_version(client, self.address()),
            false => {
                let expected = "a server that a file has published to";
                let got = "one without the schema siltstone_ledger";
                Err(Error::invalid(self.address(), expected, got).into())
            }
        }
    }

    /// The tables, by the ledger alone.
    pub(in crate::lake) fn tables(&self) -> Result<Vec<LakeTable>> {
        self.pool.run(Access::Read, "reading its ledger", |client, _| {
            self.has_ledger(client)?;
            let sql = "SELECT p.name, p.store_id, p.commits, (extract(epoch FROM p.time) * 1000)::bigint, \
                coalesce(s.segments, 0), coalesce(s.rows, 0) FROM siltstone_ledger.published p LEFT JOIN \
                (SELECT store_id, name, count(*) AS segments, sum(rows)::bigint AS rows \
                FROM siltstone_ledger.segment GROUP BY 1, 2) s USING (store_id, name) WHERE p.commits > 0 ORDER BY 1, 2";
            let mut tables: Vec<LakeTable> = Vec::new();
            for row in client.query(sql, &[])? {
                let name: String = row.get(0);
                let (commits, segments, rows): (i64, i64, i64) = (row.get(2), row.get(4), row.get(5));
                let sender = LakeSender {
                    store_id: row.get(1),
                    commits,
                    last_ms: row.get(3),
                    rows: Some(rows as u64),
                    host: None,
                    file: None,
                };
                if tables.last().is_none_or(|table| table.name != name) {
                    let sql = "SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0)";
                    let bytes: i64 = client.query_one(sql, &[&place(&name)])?.get(0);
                    let (version, files, bytes, senders) = (0, 0, bytes as u64, Vec::new());
                    tables.push(LakeTable { name, version, files, rows: Some(0), bytes, senders });
                }
                let table = tables.last_mut().expect("it was just added");
                table.version += commits as u64;
                table.files += segments as u64;
                table.rows = table.rows.map(|known| known + rows as u64);
                table.senders.push(sender);
            }
            Ok(tables)
        })
    }

    /// Reads all rows of a table, in the snapshot in which its ledger is read.
    pub(in crate::lake) fn read(&self, name: &str) -> Result<ReadTable> {
        self.pool.run(Access::Read, "reading a table", |client, location| {
            let damaged = |what: String, why: String| Error::Corrupt {
                location: location.to_owned(),
                what,
                why,
            };
            let sql = "SELECT segment, store_id, number, partition, first, until, rows, hash \
                FROM siltstone_ledger.segment WHERE name = $1 ORDER BY store_id, partition, first";
            let (mut table, mut places) = (ReadTable::default(), BTreeMap::new());
            for row in client.query(sql, &[&name])? {
                let partition = serde_json::from_str(row.get(3));
                let what = || format!("the ledger of {name}");
                places.insert(row.get::<_, i64>(0), table.segments.len());
                table.segments.push(ReadSegment {
                    store: row.get(1),
                    number: row.get(2),
                    partition: partition.map_err(|error| damaged(what(), error.to_string()))?,
                    first: row.get(4),
                    until: row.get(5),
                    rows: row.get::<_, i64>(6) as u64,
                    hash: row.get(7),
                    there: RowHash::default(),
                });
            }
            let columns = columns(client, name)?;
            if columns.is_empty() {
                return Ok(table); // somebody removed it
            }
            let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
            let kinds: Vec<_> =
                columns.iter().map(|(name, kind)| (CellHash::of(name), kind.as_str())).collect();
            let sql = format!(
                "COPY (SELECT segment, {} FROM {}) TO STDOUT BINARY",
                names.join(", "),
                place(name)
            );
            let mut rows = Rows { from: client.copy_out(&sql)?, cell: Vec::new(), bytes: 0 };
            rows.begin().map_err(Failure::Stream)?;
            while let Some(segment) = rows.segment().map_err(Failure::Stream)? {
                let mut sum = 0u64;
                for (hash, kind) in &kinds {
                    if !rows.next().map_err(Failure::Stream)? {
                        continue;
                    }
                    let value = value(kind, &rows.cell);
                    let value = value
                        .ok_or_else(|| damaged(format!("a row of {name}"), format!("no {kind}")))?;
                    sum = sum.wrapping_add(hash.cell(&value));
                }
                match places.get(&segment) {
                    Some(at) => table.segments[*at].there.add_row(sum),
                    None => table.strange_rows += 1,
                }
            }
            table.bytes = rows.bytes;
            Ok(table)
        })
    }
}

/// The columns of a table that files publish, and their types.
fn columns(client: &mut Client, table: &str) -> Result<Vec<(String, String)>, Failure> {
    let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attname <> 'segment' ORDER BY attnum";
    let rows = client.query(sql, &[&place(table)])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A cell as it is hashed; `None` for what is no value of its type.
fn value(kind: &str, cell: &[u8]) -> Option<Vec<u8>> {
    let long = || Some(i64::from_be_bytes(cell.try_into().ok()?));
    let int = || Some(i32::from_be_bytes(cell.try_into().ok()?));
    Some(match kind {
        "bigint" => long()?.to_le_bytes().to_vec(),
        "integer" => i64::from(int()?).to_le_bytes().to_vec(),
        "date" => i64::from(int()?.wrapping_add(EPOCH_DAYS)).to_le_bytes().to_vec(),
        "timestamp with time zone" => long()?.wrapping_add(EPOCH_US).to_le_bytes().to_vec(),
        "double precision" => cell.iter().rev().copied().collect(),
        "text" => text::decode(std::str::from_utf8(cell).ok()?)?.as_bytes().to_vec(),
        "double precision[]" => {
            // Its dimensions and whether it has nulls, its type, and of the one dimension length and first index.
            let numbers = if cell.len() > 12 { cell.get(20..)? } else { &[] };
            numbers.chunks(12).flat_map(|number| number[4..].iter().rev().copied()).collect()
        }
        _ => cell.to_vec(),
    })
}

/// Rows as `COPY ... BINARY` gives them.
struct Rows<R> {
    from: R,
    /// The cell that was read last.
    cell: Vec<u8>,
    bytes: u64,
}

impl<R: Read> Rows<R> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.bytes += N as u64;
        Ok(bytes)
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut header = vec![0; HEADER.len()];
        self.from.read_exact(&mut header)?;
        if header == HEADER { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// The segment of the next row; `None` at the end.
    fn segment(&mut self) -> io::Result<Option<i64>> {
        if i16::from_be_bytes(self.take()?) < 0 {
            return Ok(None);
        }
        self.next()?;
        let segment = <[u8; 8]>::try_from(self.cell.as_slice());
        segment
            .map(|bytes| Some(i64::from_be_bytes(bytes)))
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Reads a cell; false if it is null.
    fn next(&mut self) -> io::Result<bool> {
        let length = i32::from_be_bytes(self.take()?);
        let Ok(length) = usize::try_from(length) else { return Ok(false) };
        self.cell.resize(length, 0);
        self.from.read_exact(&mut self.cell)?;
        self.bytes += length as u64;
        Ok(true)
    }
}
