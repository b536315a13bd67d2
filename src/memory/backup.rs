//! Backups beside the file, made when they are due.

use std::path::{Path, PathBuf};

use super::store::{MemoryStore, finite, now};
use crate::error::{Error, Result};
use crate::kernel::{BackupReport, create_folder, folder_of, restore};

impl MemoryStore {
    /// Copies the file as it is now, verified before the copy has its name, and writes the copy down in the file.
    ///
    /// Without a target it is `<stem>_backup_<seconds>.db` beside the file, with `_1` and so on after it if the second has
    /// one already; of these the `max_backups` that were made last stay, and no other file is touched. A target is not
    /// counted; one that is there is replaced if it is a backup of this store, as it was made, and refused otherwise.
    ///
    /// # Errors
    /// [`Error::Exists`], and as [`Database::backup`](crate::Database::backup); [`Error::Invalid`] if `max_backups` is 0.
    pub fn create_backup(&self, target: Option<&Path>, max_backups: usize) -> Result<BackupReport> {
        if max_backups == 0 {
            return Err(Error::invalid("max_backups", "1 or more", "0"));
        }
        self.create_tables()?;
        if let Some(target) = target {
            let folder = folder_of(target);
            create_folder(folder, true)?;
            let folder =
                folder.canonicalize().map_err(|e| Error::io(folder, "looking for it", &e))?;
            let name = target.file_name().ok_or_else(|| {
                Error::invalid("backup_path", "the name of a file", target.display().to_string())
            })?;
            return self.db.backup_recorded(&folder.join(name), true, None);
        }
        let path = self.db.path();
        let folder = folder_of(path).to_owned();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!("{stem}_backup_");
        let counts = |name: &str| name.starts_with(&prefix);
        let seconds = now() as u64;
        // No name of this second is given twice, also if retention has removed the file.
        let number_of = |path: &PathBuf| -> Option<u64> {
            let stem = path.file_stem()?.to_string_lossy().into_owned();
            match stem.strip_prefix(&prefix)?.strip_prefix(&seconds.to_string())? {
                "" => Some(0),
                rest => rest.strip_prefix('_')?.parse().ok(),
            }
        };
        let first = self.backups()?.iter().filter_map(number_of).max().map_or(0, |last| last + 1);
        for number in first.. {
            let name = match number {
                0 => format!("{prefix}{seconds}.db"),
                number => format!("{prefix}{seconds}_{number}.db"),
            };
            match self.db.backup_recorded(&folder.join(name), false, Some((max_backups, &counts))) {
                Err(Error::Exists { .. }) => {}
                done => return done,
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// When the last backup was made, or begun by [`backup_if_due`](Self::backup_if_due), or if there is none, when the
    /// store was: seconds since 1970-01-01 UTC. It is kept in the file, so that programs that run for a short time are
    /// backed up too.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn last_backup(&self) -> Result<f64> {
        let last = "SELECT max(created, backup_begun, \
            coalesce((SELECT max(created_ns) / 1e9 FROM siltstone_backup), 0.0)) FROM memory_info";
        let last = self.read(|tx| tx.query_one(last, [], |row| Ok(row.get(0)?)))?;
        Ok(last.unwrap_or_else(now))
    }

    /// Makes a backup if the last one is `interval` seconds old, or lies more than that in the future: then the clock was
    /// set back. Of several that ask at once, one makes it.
    ///
    /// # Errors
    /// As [`create_backup`](Self::create_backup); the next call tries again.
    pub fn backup_if_due(&self, interval: f64, max_backups: usize) -> Result<Option<BackupReport>> {
        finite("backup_interval", interval)?;
        let begun = self.write(move |tx| {
            let now = now();
            let sql = "UPDATE memory_info SET backup_begun = ?1, \
                row_sum = silt_row_sum(created, ?1) WHERE NOT EXISTS (SELECT 1 FROM \
                (SELECT created AS time FROM memory_info UNION ALL SELECT backup_begun FROM memory_info \
                 UNION ALL SELECT created_ns / 1e9 FROM siltstone_backup) \
                WHERE time > ?1 - ?2 AND time <= ?1 + ?2)";
            Ok(tx.execute(sql, (now, interval))? == 1)
        })?;
        if !begun {
            return Ok(None);
        }
        let made = self.create_backup(None, max_backups);
        if made.is_err() {
            self.write(|tx| {
                tx.execute("UPDATE memory_info SET backup_begun = 0", [])?;
                tx.seal("memory_info", "true", [])
            })?;
        }
        made.map(Some)
    }

    /// The backups that this file has written down, the newest first, whether they are still there or not. A copy of the
    /// file has none: those are the other's.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn backups(&self) -> Result<Vec<PathBuf>> {
        self.db.recorded_backups()
    }

    /// Puts a backup, verified first, in place of all that the file has, in one transaction: other handles and
    /// processes see the old or the new.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOurs`], [`Error::Corrupt`]: the file is as it was. [`Error::Closed`] inside a
    /// transaction.
    pub fn restore_backup(&self, backup: impl AsRef<Path>) -> Result<BackupReport> {
        self.db.flush()?;
        let report = restore(backup, self.db.path(), true)?;
        self.shared.concepts.forget();
        self.shared.episodes.forget();
        self.shared.sum_tree.forget();
        self.db.migrate(&super::MIGRATIONS)?;
        Ok(report)
    }
}
