//! The Delta log of a table: what it says, and how a commit is added to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::action::{Action, Add, MetaData, Protocol, Remove, Txn, checkpoint_schema};
use super::objects::Objects;
use crate::error::{Error, Result};
use crate::kernel::{now_ns, pause};
use crate::table::{json_rows_of_parquet, json_rows_to_parquet};

/// What a commit is called, in its `commitInfo`.
const PLAN: &str = "siltstonePlan";
pub(super) const FOLDER: &str = "_delta_log";
const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";
/// Commits from one checkpoint to the next.
const CHECKPOINT_EVERY: u64 = 20;
/// How often a commit that is there and cannot be read is asked for, a tenth of a second apart.
const MOST_TRIES: u32 = 30;
/// How long a file that was removed stays in checkpoints, for those who clean up.
pub(super) const REMOVED_FOR_MS: i64 = 7 * 86_400_000;
/// What this code reads and writes.
const READER: i32 = 1;
const WRITER: i32 = 2;

/// The log of a table.
pub(super) struct Log {
    objects: Objects,
}

/// A table as its log says it is.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Of the last commit; `None` without one.
    pub(super) version: Option<u64>,
    protocol: Option<Protocol>,
    pub(super) metadata: Option<MetaData>,
    /// The last commit of each writer.
    pub(super) writers: BTreeMap<String, Txn>,
    /// What that commit was called, where the log still says it.
    plans: BTreeMap<String, String>,
    /// The table's files, by their path.
    pub(super) files: BTreeMap<String, Add>,
    pub(super) removed: BTreeMap<String, Remove>,
}

impl State {
    /// The files whose rows are a file's own, by their path.
    pub(super) fn files_of(&self, store: &str) -> BTreeMap<&str, &Add> {
        let is_own = |add: &&Add| {
            let value = add.partition_values.get("store_id");
            value.and_then(Option::as_deref) == Some(store)
        };
        self.files.values().filter(is_own).map(|add| (add.path.as_str(), add)).collect()
    }

    /// How many commits of a writer it has.
    pub(super) fn commits_of(&self, writer: &str) -> i64 {
        self.writers.get(writer).map_or(0, |txn| txn.version)
    }

    /// Applies a commit.
    fn apply_all(&mut self, commit: impl IntoIterator<Item = Action>) {
        let (mut plan, mut writer) = (None, None);
        for action in commit {
            let info = action.commit_info.as_ref();
            let said = info.and_then(|info| info.get(PLAN)).and_then(|plan| plan.as_str());
            plan = said.map(str::to_owned).or(plan);
            writer = action.txn.as_ref().map(|txn| txn.app_id.clone()).or(writer);
            self.apply(action);
        }
        if let (Some(writer), Some(plan)) = (writer, plan) {
            self.plans.insert(writer, plan);
        }
    }

    fn apply(&mut self, action: Action) {
        if let Some(add) = action.add {
            self.removed.remove(&add.path);
            self.files.insert(add.path.clone(), add);
        }
        if let Some(remove) = action.remove {
            self.files.remove(&remove.path);
            self.removed.insert(remove.path.clone(), remove);
        }
        if let Some(txn) = action.txn {
            self.writers.insert(txn.app_id.clone(), txn);
        }
        self.protocol = action.protocol.or(self.protocol.take());
        self.metadata = action.meta_data.or(self.metadata.take());
    }

    fn actions(&self) -> Vec<Action> {
        let since = now_ns() / 1_000_000 - REMOVED_FOR_MS;
        let is_new = |remove: &&Remove| remove.deletion_timestamp.is_none_or(|ms| ms >= since);
        let one = Action::default;
        let first = [
            Action { protocol: self.protocol.clone(), ..one() },
            Action { meta_data: self.metadata.clone(), ..one() },
        ];
        let writers = self.writers.values().map(|txn| Action { txn: Some(txn.clone()), ..one() });
        let files = self
            .files
            .values()
            .map(|add| Action { add: Some(Add { data_change: false, ..add.clone() }), ..one() });
        let removed = self.removed.values().filter(is_new);
        let removed = removed.map(|remove| Action { remove: Some(remove.clone()), ..one() });
        first.into_iter().chain(writers).chain(files).chain(removed).collect()
    }
}

/// A commit of a writer: the how manieth, and what it is called.
pub(super) struct Own<'a> {
    pub(super) writer: &'a str,
    pub(super) number: i64,
    pub(super) plan: &'a str,
}

/// What came of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// It is in the log.
    Done,
    /// The log had it before.
    WasThere,
}

impl Log {
    /// The log of the table in this folder.
    pub(super) fn new(objects: Objects) -> Self {
        Log { objects }
    }

    fn location(&self, name: &str) -> String {
        format!("{}/{name}", self.objects.address())
    }

    fn damaged(&self, name: &str, why: impl Into<String>) -> Error {
        Error::Corrupt {
            location: self.location(name),
            what: "the log of the table".into(),
            why: why.into(),
        }
    }

    /// Reads the table, from its last checkpoint on.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a log that lacks a commit or has one that is none; [`Error::Invalid`] for one that asks for
    /// more than this code knows; what the store says.
    pub(super) fn load(&self) -> Result<State> {
        match self.last_checkpoint()? {
            None | Some(0) => self.load_from(None),
            Some(version) => match self.load_from(Some(version)) {
                Err(Error::Corrupt { .. }) => self.load_from(None), // an older checkpoint, or all commits, say the same
                loaded => loaded,
            },
        }
    }

    /// Reads the table from a checkpoint that is not before `version`: then what is older is not listed.
    fn load_from(&self, version: Option<u64>) -> Result<State> {
        let before = version.map(|version| commit_name(version - 1));
        let listed = self.objects.list(FOLDER, before.as_deref())?;
        let names = || listed.iter().filter_map(|object| object.name.rsplit('/').next());
        let mut checkpoints: Vec<u64> = names()
            .filter_map(|name| version_of(name.strip_suffix(".checkpoint.parquet")?))
            .collect();
        let (mut state, mut damage) = (State::default(), None);
        while let Some(version) = checkpoints.pop() {
            match self.read_checkpoint(version) {
                Ok(found) => {
                    state = found;
                    break;
                }
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::warn!(%error, "a checkpoint of the lake cannot be read");
                    damage = damage.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        if state.version.is_none() && version.is_some() {
            return Err(
                damage.unwrap_or_else(|| self.damaged(FOLDER, "its last checkpoint is missing"))
            );
        }
        let first = state.version.map_or(0, |version| version + 1);
        let commits = names().filter_map(|name| version_of(name.strip_suffix(".json")?));
        let later = commits.filter(|version| *version >= first);
        if let Some((expected, version)) = (first..).zip(later).find(|(a, b)| a != b) {
            let why = format!("version {expected} is missing, and version {version} is there");
            return Err(damage.unwrap_or_else(|| self.damaged(FOLDER, why)));
        }
        self.advance(&mut state)?;
        Ok(state)
    }

    /// The version of the last checkpoint, as its writer says.
    fn last_checkpoint(&self) -> Result<Option<u64>> {
        #[derive(Deserialize)]
        struct Last {
            version: u64,
        }
        let text = self.objects.get(LAST_CHECKPOINT)?;
        Ok(text
            .and_then(|text| serde_json::from_slice::<Last>(&text).ok())
            .map(|last| last.version))
    }

    fn read_checkpoint(&self, version: u64) -> Result<State> {
        let name = checkpoint_name(version);
        let bytes = self.objects.get(&name)?;
        let bytes = bytes.ok_or_else(|| self.damaged(&name, "it went away while it was read"))?;
        let damaged = |why: String| self.damaged(&name, why);
        let mut state = State { version: Some(version), ..State::default() };
        for row in json_rows_of_parquet(bytes).map_err(|e| damaged(e.to_string()))? {
            state.apply(serde_json::from_value(row).map_err(|e| damaged(e.to_string()))?);
        }
        if state.protocol.is_none() || state.metadata.is_none() {
            return Err(damaged("it does not say what the table is".into()));
        }
        Ok(state)
    }

    /// Reads the commits that came since.
    pub(super) fn advance(&self, state: &mut State) -> Result<()> {
        loop {
            let version = state.version.map_or(0, |version| version + 1);
            let name = commit_name(version);
            let Some(bytes) = self.objects.get(&name)? else { return self.check(state) };
            let damaged = |why: String| self.damaged(&name, why);
            let text =
                std::str::from_utf8(&bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
            let mut actions = Vec::new();
            for (n, line) in text.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let action = serde_json::from_str(line);
                let action = action.map_err(|e| damaged(format!("line {}: {e}", n + 1)))?;
                actions.push(action);
            }
            if actions.is_empty() {
                return Err(damaged("it is empty".into()));
            }
            state.apply_all(actions);
            state.version = Some(version);
        }
    }

    /// Refuses a table of a newer protocol.
    fn check(&self, state: &State) -> Result<()> {
        let Some(protocol) = &state.protocol else {
            return match state.version {
                None => Ok(()),
                Some(_) => Err(self.damaged(FOLDER, "it says nothing of its protocol")),
            };
        };
        let Protocol { min_reader_version: reader, min_writer_version: writer } = *protocol;
        if reader <= READER && writer <= WRITER {
            return Ok(());
        }
        let expected =
            format!("a Delta log of reader version {READER} and writer version {WRITER}");
        let got = format!(
            "reader version {reader} and writer version {writer}, to which another program has raised it"
        );
        Err(Error::invalid(self.objects.address(), expected, got))
    }

    /// Whether a writer's last commit is the one of this name; true where the log does not say it any more.
    fn is_last(&self, state: &State, commit: &Own<'_>) -> bool {
        state.plans.get(commit.writer).is_none_or(|plan| plan == commit.plan)
    }

    /// Adds the commit `number` of a writer, exactly once: if another writer is in between, behind that; if the log has it, not
    /// at all. `table` gives what the table needs before: its protocol and columns, where they are not there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the log has more or fewer commits of this writer, or lacks a file that is removed; those of `table`; what the store says. After an
    /// error of the network it may be in the log: the next call with the same number finds out.
    pub(super) fn commit(
        &self,
        state: &mut State,
        own: &Own<'_>,
        actions: &[Action],
        table: &dyn Fn(&State) -> Result<Vec<Action>>,
    ) -> Result<Commit> {
        let mut tries = 0;
        loop {
            let Own { writer, number, plan } = *own;
            let there = state.commits_of(writer);
            if there == number && self.is_last(state, own) {
                return Ok(Commit::WasThere);
            }
            if there != number - 1 {
                let expected = format!("{} commits of this file", number - 1);
                return Err(Error::invalid(self.objects.address(), expected, format!("{there}")));
            }
            let removed = actions.iter().filter_map(|action| action.remove.as_ref());
            if let Some(gone) =
                removed.map(|r| &r.path).find(|path| !state.files.contains_key(*path))
            {
                return Err(changed_by_another(self.objects.address(), gone));
            }
            let now_ms = now_ns() / 1_000_000;
            let txn = Txn { app_id: writer.into(), version: number, last_updated: Some(now_ms) };
            let mut all = table(state)?;
            all.push(Action { txn: Some(txn), ..Action::default() });
            all.extend(actions.iter().cloned());
            let info = serde_json::json!({
                "timestamp": now_ms,
                "operation": "WRITE",
                "engineInfo": format!("siltstone/{}", env!("CARGO_PKG_VERSION")),
                PLAN: plan,
            });
            let info = Action { commit_info: Some(info), ..Action::default() };
            let mut text = String::new();
            for action in std::iter::once(&info).chain(&all) {
                let line = serde_json::to_string(action);
                text.push_str(&line.map_err(|e| self.damaged(FOLDER, e.to_string()))?);
                text.push('\n');
            }
            let version = state.version.map_or(0, |version| version + 1);
            if self.objects.create(&commit_name(version), text)? {
                state.apply_all(std::iter::once(info).chain(all));
                state.version = Some(version);
                self.checkpoint_sometimes(state);
                return Ok(Commit::Done);
            }
            let before = state.version;
            self.advance(state)?;
            // A store may say that the commit is there before it gives it.
            tries = if state.version == before { tries + 1 } else { 0 };
            if tries > MOST_TRIES {
                let name = commit_name(version);
                return Err(self.damaged(&name, "it is there, and cannot be read"));
            }
            if tries > 0 {
                pause(Duration::from_millis(100), "waiting for a commit of the lake")?;
            }
        }
    }

    /// A checkpoint saves readers time and nothing else: if it cannot be written, the next one is.
    fn checkpoint_sometimes(&self, state: &State) {
        let due = state.version.filter(|v| *v > 0 && v.is_multiple_of(CHECKPOINT_EVERY));
        if let Some(version) = due
            && let Err(error) = self.checkpoint(state, version)
        {
            tracing::warn!(%error, "a checkpoint of the lake could not be written");
        }
    }

    fn checkpoint(&self, state: &State, version: u64) -> Result<()> {
        let actions = state.actions();
        let bytes: Bytes = json_rows_to_parquet(Arc::new(checkpoint_schema()), &actions)?.into();
        let last = serde_json::json!({"version": version, "size": actions.len(), "sizeInBytes": bytes.len()});
        self.objects.put(&checkpoint_name(version), bytes)?;
        if self.last_checkpoint()?.is_none_or(|known| known < version) {
            self.objects.put(LAST_CHECKPOINT, last.to_string())?;
        }
        Ok(())
    }
}

/// Of a table in which another program replaced or removed what this file had sent.
pub(super) fn changed_by_another(address: &str, file: &str) -> Error {
    let got = "another program replaced or removed it: let the table become what the file is (--rebuild-ledger)";
    Error::invalid(address, format!("{file}, which this file published"), got)
}

/// What makes a table: who may read it, and what it is.
pub(super) fn creation(metadata: MetaData) -> Vec<Action> {
    let protocol = Protocol { min_reader_version: READER, min_writer_version: WRITER };
    vec![
        Action { protocol: Some(protocol), ..Action::default() },
        Action { meta_data: Some(metadata), ..Action::default() },
    ]
}

fn commit_name(version: u64) -> String {
    format!("{FOLDER}/{version:020}.json")
}

fn checkpoint_name(version: u64) -> String {
    format!("{FOLDER}/{version:020}.checkpoint.parquet")
}

fn version_of(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
