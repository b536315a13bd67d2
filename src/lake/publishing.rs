//! Publishing: what a file has that a lake has not, sent and committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::action::{
    Action, Add, FILE, Format, HOST, MetaData, Remove, Texts, grown_schema, partitions,
    schema_string,
};
use super::id::uuid;
use super::ledger::{Known, Ledger, Pending, Segment, Stage};
use super::log::{Commit, Log, Own, State, changed_by_another, creation};
use super::objects::Objects;
use super::report::TableReport;
use super::units::{Unit, groups, next_number, refused, to_do};
use crate::error::{Error, Result};
use crate::kernel::{Progress, host, now_ns, together};
use crate::table::{Cut, Published, PublishedTable, SegmentFile, Slice};

/// Files of one commit, at most: what a reader sees at once.
const COMMIT_FILES: usize = 256;
/// How long finished files wait for others, before they are committed.
const COMMIT_EVERY: Duration = Duration::from_secs(20);
/// A file that was sent this short a time ago is used again: whoever cleans up waits longer.
const SENT_FOR_MS: i64 = 86_400_000;

/// A table on its way.
pub(super) struct Publishing<'a> {
    source: &'a dyn Published,
    table: &'a PublishedTable,
    ledger: &'a Ledger,
    objects: Objects,
    log: Log,
    state: State,
    known: Known,
    /// Of the next segment that is new.
    next_number: i64,
    /// What the lake has is made what the file has, in one commit.
    is_rebuilding: bool,
    report: TableReport,
}

impl<'a> Publishing<'a> {
    /// Begins with a table: what was under way is finished first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table that has other columns in the lake, or other files or commits of this file than the
    /// ledger says.
    pub(super) fn begin(
        source: &'a dyn Published,
        table: &'a PublishedTable,
        ledger: &'a Ledger,
        lake: &Objects,
        rebuild: bool,
    ) -> Result<Self> {
        let objects = lake.folder(&table.name);
        let log = Log::new(objects.clone());
        let state = log.load()?;
        before(&state, table)?;
        let mut known = ledger.known(&table.name)?;
        let there = state.commits_of(&ledger.store);
        if known.commits == 0 && known.pending.is_none() && there > 0 {
            let logged = state.files_of(&ledger.store);
            let is_same = |other: &Known| {
                let files: BTreeSet<&str> = other.confirmed().map(|s| s.file.as_str()).collect();
                other.commits == there && files.into_iter().eq(logged.keys().copied())
            };
            if ledger.copy_published(&table.name, is_same)? {
                known = ledger.known(&table.name)?;
            }
        }
        let next_number = next_number(&known);
        let report = TableReport::default();
        let mut own = Publishing {
            source,
            table,
            ledger,
            objects,
            log,
            state,
            known,
            next_number,
            is_rebuilding: rebuild,
            report,
        };
        if rebuild {
            own.rebuild()?;
        } else {
            own.finish_pending()?;
        }
        own.check_ledger()?;
        Ok(own)
    }

    /// Takes what the log has of this file as what was published. A commit that was under way is made anew if it is not there.
    fn rebuild(&mut self) -> Result<()> {
        let commits = self.state.commits_of(&self.ledger.store);
        let own = self.state.files_of(&self.ledger.store);
        let mut segments = Vec::new();
        let mut others = Vec::new();
        for add in own.values() {
            match add.tags.as_ref().is_some_and(|tags| tags.contains_key("siltstone_segment")) {
                true => segments.push(self.logged(add)?),
                false => others.push(*add),
            }
        }
        // A file that is gone is made again.
        for segment in &mut segments {
            let found = self.objects.find(&segment.file)?;
            if found.is_none_or(|found| found.bytes != segment.bytes) {
                segment.hash = String::new();
            }
        }
        let mut number = segments.iter().map(|segment| segment.number).max().unwrap_or(0);
        segments.extend(others.into_iter().map(|add| {
            number += 1;
            rewritten(self.table, add, number)
        }));
        self.ledger.replace(&self.table.name, commits, segments)?;
        self.known = self.ledger.known(&self.table.name)?;
        self.next_number = next_number(&self.known);
        Ok(())
    }

    /// Refuses a table that has other files of this file than the ledger says.
    fn check_ledger(&self) -> Result<()> {
        let there = self.state.commits_of(&self.ledger.store);
        if there != self.known.commits {
            return Err(refused(
                &self.table.name,
                self.objects.address(),
                self.known.commits,
                there,
            ));
        }
        let known: BTreeSet<&str> =
            self.known.confirmed().map(|segment| segment.file.as_str()).collect();
        let logged = self.state.files_of(&self.ledger.store);
        if let Some(gone) = known.iter().find(|file| !logged.contains_key(*file)) {
            return Err(changed_by_another(self.objects.address(), gone));
        }
        match logged.into_keys().find(|file| !known.contains(file)) {
            None => Ok(()),
            Some(file) => {
                let got = format!(
                    "{file}, which another program put among them: let the table become what the file is (--rebuild-ledger)"
                );
                Err(Error::invalid(self.objects.address(), "files that this file published", got))
            }
        }
    }

    /// The segment of a file of the log.
    fn logged(&self, add: &Add) -> Result<Segment> {
        let damaged = |what: &str| Error::Corrupt {
            location: self.objects.address().to_owned(),
            what: format!("the log's line of {}", add.path),
            why: format!("it has no {what}"),
        };
        let tag = |name: &str| {
            let tag = add.tags.as_ref().and_then(|tags| tags.get(name)).cloned().flatten();
            tag.ok_or_else(|| damaged(name))
        };
        let number = |name: &str| tag(name)?.parse::<i64>().map_err(|_| damaged(name));
        let value = |name: &str| {
            add.partition_values.get(name).cloned().flatten().ok_or_else(|| damaged(name))
        };
        let partition = self.table.partitions.iter().map(|(name, _)| value(name));
        Ok(Segment {
            number: number("siltstone_segment")?,
            version: number("siltstone_version")?,
            stage: Stage::Confirmed,
            slice: Slice {
                partition: partition.collect::<Result<_>>()?,
                first: number("siltstone_first")?,
                until: number("siltstone_until")?,
                signature: 0, // its rows are compared
            },
            rows: number("siltstone_rows")? as u64,
            hash: tag("siltstone_hash")?,
            file: add.path.clone(),
            bytes: add.size as u64,
            statistics: add.stats.clone().unwrap_or_default(),
        })
    }

    /// A commit of which nothing was heard is in the log, or goes there now.
    fn finish_pending(&mut self) -> Result<()> {
        let Some(pending) = self.known.pending.take() else { return Ok(()) };
        let adds = pending.actions.iter().filter_map(|action| action.add.as_ref());
        let is_there = self.state.commits_of(&self.ledger.store) > self.known.commits;
        for add in adds.filter(|_| !is_there) {
            if !self.is_sent(&add.path, add.size as u64)? {
                // It was too long ago. The log does not have it: what it would have said is made anew.
                let nothing = Pending { plan: uuid(), ..Pending::default() };
                return self.ledger.begin(&self.table.name, self.known.commits, &nothing);
            }
        }
        self.commit(&pending)
    }

    /// Whether the lake has a file, and will keep it until it is committed.
    fn is_sent(&self, file: &str, bytes: u64) -> Result<bool> {
        let since_ms = now_ns() / 1_000_000 - SENT_FOR_MS;
        let found = self.objects.find(file)?;
        Ok(found.is_some_and(|found| found.bytes == bytes && found.modified_ms >= since_ms))
    }

    fn commit(&mut self, pending: &Pending) -> Result<()> {
        let number = self.known.commits + 1;
        let table = self.table;
        let before = |state: &State| before(state, table);
        let own = Own { writer: &self.ledger.store, number, plan: &pending.plan };
        let commit = self.log.commit(&mut self.state, &own, &pending.actions, &before)?;
        self.report.commits += u64::from(commit == Commit::Done);
        self.ledger.confirm(&table.name, number, pending.clone())?;
        self.known = self.ledger.known(&table.name)?;
        Ok(())
    }

    /// Whether the lake has nothing of this table.
    pub(super) fn is_first(&self) -> bool {
        self.state.version.is_none()
    }

    /// Sends what is new. `progress` gets segments done and in all.
    pub(super) fn run(mut self, cut: Cut, progress: &mut Progress<'_>) -> Result<TableReport> {
        let units = to_do(self.source, self.table, &self.known, cut, self.is_rebuilding)?;
        let all: u64 = units.iter().map(Unit::steps).sum();
        let mut done = 0;
        let mut pending = Pending::default();
        let mut since = Instant::now();
        for group in groups(&units, self.objects.budget.segments) {
            self.send(group, &mut pending, &mut |n| progress(done + n, all))?;
            done += group.iter().map(Unit::steps).sum::<u64>();
            progress(done, all)?;
            let is_due = pending.actions.len() >= COMMIT_FILES || since.elapsed() >= COMMIT_EVERY;
            if is_due && !self.is_rebuilding {
                self.commit_all(&mut pending)?;
                since = Instant::now();
            }
        }
        self.commit_all(&mut pending)?;
        // What was sent before an interruption and is of no use any more.
        let stale = self.known.segments.iter().filter(|s| s.stage != Stage::Confirmed);
        let stale: Vec<_> = stale.map(|s| (s.number, s.version)).collect();
        if !stale.is_empty() {
            self.ledger.forget(&self.table.name, stale)?;
        }
        Ok(self.report)
    }

    fn commit_all(&mut self, pending: &mut Pending) -> Result<()> {
        let mut pending = std::mem::take(pending);
        if pending.actions.is_empty() {
            return Ok(());
        }
        pending.plan = uuid();
        self.ledger.begin(&self.table.name, self.known.commits, &pending)?;
        self.report.removed += pending.removed.len() as u64;
        self.commit(&pending)
    }

    /// Makes and sends the segments of some units, several at once, and notes what the log has to say of them.
    fn send(
        &mut self,
        units: &[Unit],
        pending: &mut Pending,
        each: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let mut work = Vec::new();
        for (i, unit) in units.iter().enumerate() {
            for slice in &unit.add {
                let (number, version) = self.numbered(slice, unit);
                work.push((i, slice, number, version));
            }
        }
        let mut made: Vec<Vec<Segment>> = units.iter().map(|_| Vec::new()).collect();
        let mut done = 0;
        for some in work.chunks(self.objects.budget.segments) {
            let results = together(some, 1, |(i, slice, number, version)| {
                self.segment(slice, *number, *version, units[*i].replaced(slice))
            });
            for ((i, ..), result) in some.iter().zip(results) {
                made[*i].extend(result?);
            }
            done += some.len() as u64;
            each(done)?;
        }
        let mut sent = Vec::new();
        for (unit, made) in units.iter().zip(made) {
            sent.extend(self.note(unit, made, pending)?);
        }
        self.ledger.put(&self.table.name, sent)
    }

    /// Notes what the log has to say of segments that were sent, and of those that they stand for; what the ledger has to say.
    fn note(
        &mut self,
        unit: &Unit,
        mut made: Vec<Segment>,
        pending: &mut Pending,
    ) -> Result<Vec<Segment>> {
        let rows = made.iter().map(|segment| segment.rows).sum();
        if !self.is_rebuilding && unit.stays(self.source, rows) {
            if unit.add.is_empty() {
                return Ok(Vec::new());
            }
            let seen = unit.add.iter().filter_map(|slice| {
                Some(Segment { slice: slice.clone(), ..unit.replaced(slice)?.clone() })
            });
            self.report.kept += unit.remove.len() as u64;
            return Ok(seen.collect());
        }
        // What has the rows that it had stays, whatever its signature.
        let mut removed: Vec<&Segment> = unit.remove.iter().collect();
        let mut renewed = Vec::new();
        made.retain(|segment| {
            let same =
                |old: &&Segment| old.slice.same_place(&segment.slice) && old.hash == segment.hash;
            let Some(at) = removed.iter().position(same) else { return true };
            let old = removed.swap_remove(at);
            renewed.push(Segment { slice: segment.slice.clone(), ..old.clone() });
            false
        });
        let now_ms = now_ns() / 1_000_000;
        for old in removed {
            let known = self.state.files.get(&old.file);
            let known =
                known.ok_or_else(|| changed_by_another(self.objects.address(), &old.file))?;
            let remove = Remove::of(known, now_ms);
            pending.actions.push(Action { remove: Some(remove), ..Action::default() });
            pending.removed.push((old.number, old.version));
        }
        for new in &made {
            self.report.segments += 1;
            self.report.rows += new.rows;
            self.report.bytes += new.bytes;
            let add = self.add(new, now_ms);
            pending.actions.push(Action { add: Some(add), ..Action::default() });
            pending.added.push((new.number, new.version));
        }
        made.extend(renewed);
        Ok(made)
    }

    /// The number and version that the segment of a slice gets.
    fn numbered(&mut self, slice: &Slice, unit: &Unit) -> (i64, i64) {
        if let Some(old) = unit.replaced(slice) {
            return (old.number, old.version + 1);
        }
        self.next_number += 1;
        (self.next_number - 1, 1)
    }

    /// Makes a segment and sends it; `None` if there are no rows.
    fn segment(
        &self,
        slice: &Slice,
        number: i64,
        version: i64,
        old: Option<&Segment>,
    ) -> Result<Option<Segment>> {
        let sent = self.known.segments.iter().find(|s| s.stage == Stage::Sent && s.slice == *slice);
        if let Some(sent) = sent
            && self.is_sent(&sent.file, sent.bytes)?
        {
            return Ok(Some(sent.clone()));
        }
        let rows = self.source.rows(self.table, slice)?;
        let Some(mut made) = SegmentFile::write(rows, self.objects.budget.group_bytes)? else {
            return Ok(None);
        };
        let hash = made.hash.text();
        let values = self.partition_values(slice);
        let folders = values.iter().map(|(name, value)| format!("{name}={value}/"));
        // The same rows get the same name: what is sent twice is one file. One that the log has is not touched: the same rows may
        // be other bytes.
        let folders: String = folders.collect();
        let mut file = format!("{folders}{number}-{hash}.parquet");
        if old.is_some_and(|old| old.file == file && old.hash != hash) {
            file = format!("{folders}{number}-{hash}-{version}.parquet"); // that one was lost
        }
        let is_there = old.is_some_and(|old| old.hash == hash && old.rows == made.hash.rows);
        if !is_there && !self.is_sent(&file, made.bytes)? {
            self.objects.send(&file, &mut made.file, made.bytes)?;
        }
        Ok(Some(Segment {
            number,
            version,
            stage: Stage::Sent,
            slice: slice.clone(),
            rows: made.hash.rows,
            hash,
            file,
            bytes: made.bytes,
            statistics: made.statistics.to_string(),
        }))
    }

    fn partition_values(&self, slice: &Slice) -> Vec<(&'static str, String)> {
        let store = std::iter::once(self.ledger.store.clone());
        let values = store.chain(slice.partition.iter().cloned());
        partitions(self.table).map(|(name, _)| name).zip(values).collect()
    }

    fn logged_partition(&self, slice: &Slice) -> Texts {
        let values = self.partition_values(slice).into_iter();
        values.map(|(name, value)| (name.to_owned(), Some(value))).collect()
    }

    fn add(&self, segment: &Segment, now_ms: i64) -> Add {
        let tags = [
            ("siltstone_segment", segment.number.to_string()),
            ("siltstone_version", segment.version.to_string()),
            ("siltstone_rows", segment.rows.to_string()),
            ("siltstone_hash", segment.hash.clone()),
            ("siltstone_first", segment.slice.first.to_string()),
            ("siltstone_until", segment.slice.until.to_string()),
            (HOST, host()),
            (FILE, self.ledger.file.clone()),
        ];
        Add {
            path: segment.file.clone(),
            partition_values: self.logged_partition(&segment.slice),
            size: segment.bytes as i64,
            modification_time: now_ms,
            data_change: true,
            stats: Some(segment.statistics.clone()),
            tags: Some(tags.into_iter().map(|(name, value)| (name.into(), Some(value))).collect()),
        }
    }
}

/// A file that another program made of some that were published: its rows are not known, and are replaced.
fn rewritten(table: &PublishedTable, add: &Add, number: i64) -> Segment {
    let value = |name: &str| add.partition_values.get(name).cloned().flatten().unwrap_or_default();
    Segment {
        number,
        version: 0,
        stage: Stage::Confirmed,
        slice: Slice {
            partition: table.partitions.iter().map(|(name, _)| value(name)).collect(),
            first: i64::MIN,
            until: i64::MAX,
            signature: 0,
        },
        rows: 0,
        hash: String::new(),
        file: add.path.clone(),
        bytes: add.size as u64,
        statistics: String::new(),
    }
}

/// What the log needs before rows of this table: the table itself, or columns that are new.
fn before(state: &State, table: &PublishedTable) -> Result<Vec<Action>> {
    match &state.metadata {
        None => Ok(creation(MetaData {
            id: uuid(),
            name: Some(table.name.clone()),
            format: Format { provider: "parquet".into(), options: BTreeMap::new() },
            schema_string: schema_string(table)?,
            partition_columns: partitions(table).map(|(name, _)| name.into()).collect(),
            configuration: BTreeMap::new(),
            created_time: Some(now_ns() / 1_000_000),
        })),
        Some(known) => Ok(grown_schema(known, table)?
            .map(|schema_string| Action {
                meta_data: Some(MetaData { schema_string, ..known.clone() }),
                ..Action::default()
            })
            .into_iter()
            .collect()),
    }
}
