//! Publishing to a PostgreSQL server: a segment is rows that carry its number, sent by `COPY` in the transaction that notes it
//! in the ledger there.

mod reading;

use std::collections::{BTreeMap, BTreeSet};

use postgres::Client;

use super::copy::{Copy, sql_type};
use super::id::uuid;
use super::ledger::{Known, Ledger, Pending, Segment, Stage};
use super::report::TableReport;
use super::units::{Unit, next_number, refused, to_do};
use crate::error::{Error, Result};
use crate::kernel::Progress;
use crate::postgresql::{Access, Address, Failure, Pool};
use crate::table::{Cut, Published, PublishedTable, RowHash, Slice};

/// The version of the ledger's tables on a server.
const VERSION: i32 = 1;
/// The lock under which tables are made: any number, always the same.
const LOCK: i64 = 0x5349_4c54_4c41_4b45;
/// Segments of one transaction, at most.
const AT_ONCE: usize = 8;
/// Bytes of a name that the server does not cut off.
const MOST_OF_NAME: usize = 63;
/// Names of columns that each table of a server has.
const TAKEN: [&str; 7] = ["cmax", "cmin", "ctid", "segment", "tableoid", "xmax", "xmin"];
const ACTION: &str = "publishing to it";

/// A server that is published to.
pub(super) struct Server {
    pool: Pool,
}

/// What a server has of a table of a file.
#[derive(Debug, Default)]
struct There {
    commits: i64,
    /// What the last one was called.
    plan: String,
    segments: Vec<Segment>,
}

impl Server {
    /// Whether this is the address of a server.
    pub(super) fn is_meant(address: &str) -> bool {
        address.starts_with("postgresql:") || address.starts_with("postgres:")
    }

    /// A server that is looked at: nothing is made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that cannot be read, or has a password in it.
    pub(super) fn at(address: &str) -> Result<Self> {
        let authority = address.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) || address.contains("password=") {
            let expected =
                "a password in PGPASSWORD or ~/.pgpass, where no list of processes shows it";
            return Err(Error::invalid("the server", expected, "an address with a password in it"));
        }
        Ok(Server { pool: Pool::new(Address::parse(address)?) })
    }

    /// Connects, and makes the tables of the ledger if they are not there: many may try at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that cannot be read, [`Error::Server`], [`Error::TooNew`].
    pub(super) fn open(address: &str) -> Result<Self> {
        let server = Server::at(address)?;
        server.pool.run(Access::Write, "making its tables", |client, location| {
            client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
            let sql = "SELECT to_regclass('siltstone_ledger.version') IS NOT NULL";
            if !client.query_one(sql, &[])?.get::<_, bool>(0) {
                let sql =
                    "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'siltstone'";
                if client.query_one(sql, &[])?.get::<_, i64>(0) > 0 {
                    let got =
                        "tables in the schema siltstone, and no ledger of them: it was removed";
                    let expected = "none, or those of the schema siltstone_ledger";
                    return Err(Error::invalid(location, expected, got).into());
                }
                client.batch_execute(include_str!("server.sql"))?;
            }
            check_version(client, location)
        })?;
        Ok(server)
    }

    /// The address, which has no secret.
    pub(super) fn address(&self) -> &str {
        self.pool.location()
    }

    /// Makes a table, or gives it the columns that are new; whether it was made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is there with another type, and for one that a server has no type for.
    fn ensure(&self, table: &PublishedTable) -> Result<bool> {
        let names = table.schema.fields().iter().map(|field| field.name());
        if let Some(long) = names.chain([&table.name]).find(|name| name.len() > MOST_OF_NAME) {
            let what = format!("table {} of the server", table.name);
            return Err(Error::invalid(what, "names of at most 63 bytes", format!("{long:?}")));
        }
        let mut names = table.schema.fields().iter().map(|field| field.name());
        if let Some(taken) = names.find(|name| TAKEN.contains(&name.to_lowercase().as_str())) {
            let what = format!("table {} of the server", table.name);
            let expected = "columns with names that a server does not have itself";
            return Err(Error::invalid(what, expected, format!("{taken:?}")));
        }
        let columns = table.schema.fields().iter().map(|field| match sql_type(field.data_type()) {
            Some(kind) => Ok((field.name().as_str(), kind)),
            None => {
                let what = format!("table {}, column {}", table.name, field.name());
                Err(Error::invalid(
                    what,
                    "a type that PostgreSQL has",
                    field.data_type().to_string(),
                ))
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if columns.is_empty() {
            return Ok(false); // the file has it no more
        }
        self.pool.run(Access::Write, "making a table", |client, _| {
            client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
            let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
                WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
            let there = client.query(sql, &[&place(&table.name)])?;
            let there: Vec<(String, String)> =
                there.iter().map(|row| (row.get(0), row.get(1))).collect();
            let mut new = Vec::new();
            for (name, kind) in &columns {
                match there.iter().find(|(other, _)| other == name) {
                    None => new.push(format!("{} {kind}", quoted(name))),
                    Some((_, other)) if other == kind => {}
                    Some((_, other)) => {
                        let what = format!("table {} of the server", table.name);
                        let expected = format!("the column {name} of type {kind}, as in the file");
                        return Err(Error::invalid(what, expected, other).into());
                    }
                }
            }
            let place = place(&table.name);
            if there.is_empty() {
                client.batch_execute(&format!(
                    "CREATE TABLE {place} (segment bigint NOT NULL, {}); CREATE INDEX ON {place} USING brin (segment)",
                    new.join(", ")
                ))?;
            } else if !new.is_empty() {
                let new: Vec<_> = new.iter().map(|column| format!("ADD COLUMN {column}")).collect();
                client.batch_execute(&format!("ALTER TABLE {place} {}", new.join(", ")))?;
            }
            Ok(there.is_empty())
        })
    }

    /// What there is of a table. If rows are counted, a segment that lacks some has no hash.
    fn there(&self, store: &str, table: &str, is_counted: bool) -> Result<There> {
        self.pool.run(Access::Read, "reading its ledger", |client, location| {
            let sql = "SELECT commits, plan FROM siltstone_ledger.published WHERE store_id = $1 AND name = $2";
            let found = client.query_opt(sql, &[&store, &table])?;
            let Some(found) = found else { return Ok(There::default()) };
            let sql = "SELECT number, version, partition, first, until, rows, hash, segment FROM siltstone_ledger.segment \
                WHERE store_id = $1 AND name = $2 ORDER BY number";
            let rows = client.query(sql, &[&store, &table])?;
            let mut counts = BTreeMap::new();
            if is_counted {
                let sql = format!("SELECT segment, count(*) FROM {} GROUP BY 1", place(table));
                let rows = client.query(&sql, &[])?;
                counts.extend(rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))));
            }
            let segments = rows.iter().map(|row| {
                let is_whole = !is_counted || counts.get(&row.get(7)) == Some(&row.get(5));
                let partition: String = row.get(2);
                let partition = serde_json::from_str(&partition).map_err(|error| Error::Corrupt {
                    location: location.to_owned(),
                    what: format!("what was published of {table}"),
                    why: error.to_string(),
                })?;
                Ok(Segment {
                    number: row.get(0),
                    version: row.get(1),
                    stage: Stage::Confirmed,
                    slice: Slice { partition, first: row.get(3), until: row.get(4), signature: 0 },
                    rows: row.get::<_, i64>(5) as u64,
                    hash: if is_whole { row.get(6) } else { String::new() },
                    file: String::new(),
                    bytes: 0,
                    statistics: String::new(),
                })
            });
            let segments = segments.collect::<Result<_>>()?;
            Ok(There { commits: found.get(0), plan: found.get(1), segments })
        })
    }

    /// Waits for a transaction of a table that is not over yet, of a sender that is gone.
    fn wait(&self, store: &str, table: &str) -> Result<()> {
        self.pool.run(Access::Write, "waiting for its last transaction", |client, _| {
            let sql = "INSERT INTO siltstone_ledger.published (store_id, name, commits, plan) VALUES ($1, $2, 0, '') \
                ON CONFLICT DO NOTHING";
            client.execute(sql, &[&store, &table])?;
            let sql = "SELECT FROM siltstone_ledger.published WHERE store_id = $1 AND name = $2 FOR UPDATE";
            client.query(sql, &[&store, &table])?;
            Ok(())
        })
    }

    /// The tables that have something of a file.
    pub(super) fn tables_of(&self, store: &str) -> Result<Vec<String>> {
        self.pool.run(Access::Read, "reading its ledger", |client, _| {
            let sql = "SELECT name FROM siltstone_ledger.published WHERE store_id = $1 ORDER BY 1";
            let rows = client.query(sql, &[&store])?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    /// Publishes a table.
    ///
    /// # Errors
    /// As [`Publishing::begin`](super::publishing::Publishing::begin); what the server says.
    pub(super) fn publish(
        &self,
        (source, table): (&dyn Published, &PublishedTable),
        ledger: &Ledger,
        cut: Cut,
        is_rebuilding: bool,
        progress: &mut Progress<'_>,
    ) -> Result<TableReport> {
        let name = &table.name;
        let is_new = self.ensure(table)?;
        if ledger.known(name)?.pending.is_some() {
            self.wait(&ledger.store, name)?;
        }
        let there = self.there(&ledger.store, name, is_rebuilding)?;
        let own = ledger.known(name)?;
        if own.commits == 0 && own.pending.is_none() && there.commits > 0 {
            let of = |segment: &Segment| (segment.number, segment.version, segment.hash.clone());
            let logged: BTreeSet<_> = there.segments.iter().map(of).collect();
            ledger.copy_published(name, |other| {
                other.commits == there.commits
                    && other.confirmed().map(of).collect::<BTreeSet<_>>() == logged
            })?;
        }
        let known = self.known(table, ledger, there, is_rebuilding)?;
        if is_new && known.confirmed().next().is_some() && !is_rebuilding {
            let expected = "the rows that this file published";
            let got =
                "a table that somebody removed: let it become what the file is (--rebuild-ledger)";
            return Err(Error::invalid(format!("table {name} of the server"), expected, got));
        }
        let units = to_do(source, table, &known, cut, is_rebuilding)?;
        let all: u64 = units.iter().map(Unit::steps).sum();
        let (mut done, mut at, mut next) = (0, 0, next_number(&known));
        let mut commits = known.commits;
        let mut report = TableReport::default();
        while at < units.len() {
            let mut segments = 0;
            let few = units[at..].iter().take_while(|unit| {
                let fits = segments == 0 || segments + unit.add.len() <= AT_ONCE;
                segments += unit.add.len().max(1);
                fits
            });
            let group = &units[at..at + few.count()];
            let renewed = renewed(source, table, group)?;
            let renewed = &renewed;
            let sending = Sending { source, table, ledger, commits, group, renewed, is_rebuilding };
            let (pending, sent) = sending.send(&self.pool, &mut next)?;
            report.segments += sent.segments;
            report.rows += sent.rows;
            report.bytes += sent.bytes;
            report.removed += sent.removed;
            report.commits += sent.commits;
            report.kept += sent.kept;
            if let Some(pending) = pending {
                commits += 1;
                ledger.confirm(name, commits, pending)?;
            }
            at += group.len();
            done += group.iter().map(Unit::steps).sum::<u64>();
            progress(done, all)?;
        }
        Ok(report)
    }

    /// What the file knows of a table, after a transaction of which nothing was heard was looked for.
    fn known(
        &self,
        table: &PublishedTable,
        ledger: &Ledger,
        there: There,
        is_rebuilding: bool,
    ) -> Result<Known> {
        let (name, mut known) = (&table.name, ledger.known(&table.name)?);
        if is_rebuilding {
            ledger.replace(name, there.commits, there.segments)?;
            return ledger.known(name);
        }
        if let Some(pending) = known.pending.take() {
            if there.commits == known.commits + 1 && there.plan == pending.plan {
                ledger.confirm(name, there.commits, pending)?;
            } else if there.commits == known.commits {
                ledger.begin(
                    name,
                    known.commits,
                    &Pending { plan: uuid(), ..Pending::default() },
                )?;
            }
            known = ledger.known(name)?;
        }
        if there.commits != known.commits {
            return Err(refused(name, self.address(), known.commits, there.commits));
        }
        let of = |segment: &Segment| (segment.number, segment.version);
        let own: BTreeSet<_> = known.confirmed().map(of).collect();
        let logged: BTreeSet<_> = there.segments.iter().map(of).collect();
        if own != logged {
            let expected = format!("{} segments that this file published", own.len());
            let got = format!(
                "{} of them, and {} others: let the table become what the file is (--rebuild-ledger)",
                own.intersection(&logged).count(),
                logged.difference(&own).count()
            );
            return Err(Error::invalid(self.address(), expected, got));
        }
        Ok(known)
    }
}

/// The segments that have the rows that they had, whatever their signature: each with its new one.
fn renewed(source: &dyn Published, table: &PublishedTable, group: &[Unit]) -> Result<Vec<Segment>> {
    let mut renewed = Vec::new();
    for unit in group {
        for slice in &unit.add {
            let Some(old) = unit.replaced(slice) else { continue };
            let mut hash = RowHash::default();
            let mut rows = source.rows(table, slice)?;
            while let Some(batch) = rows.next_batch()? {
                hash.add(&batch)?;
            }
            if hash.text() == old.hash && hash.rows == old.rows {
                renewed.push(Segment { slice: slice.clone(), ..old.clone() });
            }
        }
    }
    Ok(renewed)
}

/// Segments of one transaction.
struct Sending<'a> {
    source: &'a dyn Published,
    table: &'a PublishedTable,
    ledger: &'a Ledger,
    commits: i64,
    group: &'a [Unit],
    renewed: &'a [Segment],
    is_rebuilding: bool,
}

impl Sending<'_> {
    /// Sends them, and says what was done; without a plan if there was nothing to do. New segments are numbered from `next`
    /// on, which moves.
    fn send(&self, pool: &Pool, next: &mut i64) -> Result<(Option<Pending>, TableReport)> {
        let first = *next;
        let mut done = (None, TableReport::default());
        pool.run(Access::Write, ACTION, |client, location| {
            *next = first; // it may be done again
            let mut pending = Pending { plan: uuid(), ..Pending::default() };
            let (mut report, mut made) = (TableReport::default(), Vec::new());
            self.note(client, location, &pending.plan)?;
            for unit in self.group {
                client.batch_execute("SAVEPOINT unit")?;
                let sent = self.unit(client, unit, next)?;
                let rows = sent.iter().map(|segment| segment.rows).sum();
                if !self.is_rebuilding && unit.stays(self.source, rows) {
                    client.batch_execute("ROLLBACK TO unit")?;
                    report.kept += if unit.add.is_empty() { 0 } else { unit.remove.len() as u64 };
                    made.extend(unit.add.iter().filter_map(|slice| {
                        Some(Segment { slice: slice.clone(), ..unit.replaced(slice)?.clone() })
                    }));
                    continue;
                }
                let is_renewed = |old: &Segment| {
                    sent.iter().any(|new| (new.number, new.version) == (old.number, old.version))
                };
                let removed = unit.remove.iter().filter(|old| !is_renewed(old));
                pending.removed.extend(removed.map(|old| (old.number, old.version)));
                for new in sent {
                    if new.stage == Stage::Sent {
                        report.segments += 1;
                        report.rows += new.rows;
                        report.bytes += new.bytes;
                        pending.added.push((new.number, new.version));
                    }
                    made.push(new);
                }
            }
            self.ledger.put(&self.table.name, made)?;
            if pending.added.is_empty() && pending.removed.is_empty() {
                done = (None, report);
                return Ok(client.batch_execute("ROLLBACK")?);
            }
            report.removed = pending.removed.len() as u64;
            report.commits = 1;
            // From now on the server may have it.
            self.ledger.begin(&self.table.name, self.commits, &pending)?;
            done = (Some(pending), report);
            Ok(())
        })?;
        Ok(done)
    }

    /// Puts the segments of a unit in place of those that it removes. One that has the rows that it had stays.
    fn unit(
        &self,
        client: &mut Client,
        unit: &Unit,
        next: &mut i64,
    ) -> Result<Vec<Segment>, Failure> {
        let renewed =
            |old: &&Segment| self.renewed.iter().find(|new| new.number == old.number).cloned();
        for old in unit.remove.iter().filter(|old| renewed(old).is_none()) {
            self.remove(client, old)?;
        }
        let mut sent = Vec::new();
        for slice in &unit.add {
            let old = unit.replaced(slice);
            if let Some(same) = old.as_ref().and_then(renewed) {
                sent.push(same);
                continue;
            }
            let (number, version) = match old {
                Some(old) => (old.number, old.version + 1),
                None => {
                    *next += 1;
                    (*next - 1, 1)
                }
            };
            sent.extend(self.add(client, slice, number, version)?);
        }
        Ok(sent)
    }

    /// Notes the transaction, so that no other one of this file is at work.
    fn note(&self, client: &mut Client, location: &str, plan: &str) -> Result<(), Failure> {
        let (store, name) = (&self.ledger.store, &self.table.name);
        let sql = "INSERT INTO siltstone_ledger.published (store_id, name, commits, plan) VALUES ($1, $2, 0, '') \
            ON CONFLICT DO NOTHING";
        client.execute(sql, &[store, name])?;
        let sql = "UPDATE siltstone_ledger.published SET commits = commits + 1, plan = $3, time = now() \
            WHERE store_id = $1 AND name = $2 RETURNING commits - 1";
        let there: i64 = client.query_one(sql, &[store, name, &plan])?.get(0);
        if there == self.commits {
            return Ok(());
        }
        Err(refused(name, location, self.commits, there).into())
    }

    fn remove(&self, client: &mut Client, old: &Segment) -> Result<(), Failure> {
        let sql = "DELETE FROM siltstone_ledger.segment WHERE store_id = $1 AND name = $2 AND number = $3 \
            RETURNING segment";
        let key: [&(dyn postgres::types::ToSql + Sync); 3] =
            [&self.ledger.store, &self.table.name, &old.number];
        if let Some(row) = client.query_opt(sql, &key)? {
            let sql = format!("DELETE FROM {} WHERE segment = $1", place(&self.table.name));
            client.execute(&sql, &[&row.get::<_, i64>(0)])?;
        }
        Ok(())
    }

    /// Sends the rows of a segment; `None` if there are none.
    fn add(
        &self,
        client: &mut Client,
        slice: &Slice,
        number: i64,
        version: i64,
    ) -> Result<Option<Segment>, Failure> {
        let table = self.table;
        let mut rows = self.source.rows(table, slice)?;
        let Some(mut batch) = rows.next_batch()? else { return Ok(None) };
        let segment: i64 =
            client.query_one("SELECT nextval('siltstone_ledger.segment_segment_seq')", &[])?.get(0);
        let columns: Vec<_> =
            table.schema.fields().iter().map(|field| quoted(field.name())).collect();
        let sql = format!(
            "COPY {} (segment, {}) FROM STDIN BINARY",
            place(&table.name),
            columns.join(", ")
        );
        let (mut copy, mut hash) = (Copy::new(segment), RowHash::default());
        let mut writer = client.copy_in(&sql)?;
        loop {
            hash.add(&batch)?;
            copy.rows(&batch, &mut writer)?.map_err(Failure::Stream)?;
            let Some(next) = rows.next_batch()? else { break };
            batch = next;
        }
        copy.end(&mut writer).map_err(Failure::Stream)?;
        writer.finish()?;
        if hash.rows == 0 {
            return Ok(None);
        }
        let partition = serde_json::to_string(&slice.partition).expect("texts are JSON");
        let sql = "INSERT INTO siltstone_ledger.segment (segment, store_id, name, number, version, partition, first, \
            until, rows, hash) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        client.execute(
            sql,
            &[
                &segment,
                &self.ledger.store,
                &table.name,
                &number,
                &version,
                &partition,
                &slice.first,
                &slice.until,
                &(hash.rows as i64),
                &hash.text(),
            ],
        )?;
        Ok(Some(Segment {
            number,
            version,
            stage: Stage::Sent,
            slice: slice.clone(),
            rows: hash.rows,
            hash: hash.text(),
            file: String::new(),
            bytes: copy.bytes,
            statistics: String::new(),
        }))
    }
}

/// Refuses a ledger that a newer version has made.
fn check_version(client: &mut Client, location: &str) -> Result<(), Failure> {
    let version = client.query_one("SELECT version FROM siltstone_ledger.version", &[])?;
    match version.get::<_, i32>(0) {
        newer if newer > VERSION => Err(Failure::Ours(Error::TooNew {
            path: location.into(),
            store: "publish".into(),
            file_version: newer.into(),
            known_version: VERSION.into(),
        })),
        _ => Ok(()),
    }
}

/// A name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The place of a table.
fn place(table: &str) -> String {
    format!("siltstone.{}", quoted(table))
}
