//! What only those need who read a lake.

use std::fs::File;
use std::io::{Seek, Write};

use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;

use super::{Objects, server};
use crate::error::{Error, Result};

impl Objects {
    /// As [`open`](Self::open), but makes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a folder that is not there, and those of [`open`](Self::open).
    pub(in crate::lake) fn open_existing(address: &str) -> Result<Self> {
        Self::at(address, false)
    }

    /// The names of the folders right below this one, in order.
    pub(in crate::lake) fn folders(&self) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.root));
        let listed = match self.runtime.block_on(listed) {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed("listing it", &error))?,
        };
        let names = listed.common_prefixes.iter().filter_map(|folder| folder.filename());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// A data file by its path in a log, which is encoded as in a URL, as a file without a name, of which little is in memory
    /// meanwhile; `None` if there is none.
    pub(in crate::lake) fn fetch_logged(&self, path: &str) -> Result<Option<File>> {
        let found = self.fetch(path)?;
        let plain = plain(path);
        if found.is_some() || plain == path { Ok(found) } else { self.fetch(&plain) }
    }

    fn fetch(&self, name: &str) -> Result<Option<File>> {
        let spool = std::env::temp_dir();
        let io = |e: std::io::Error| Error::io(&spool, "writing a file of the lake", &e);
        let key = self.key(name);
        let failed = |error: object_store::Error| server(&self.address, "reading it", &error);
        let mut file = tempfile::tempfile().map_err(io)?;
        let mut parts = match self.runtime.block_on(self.store.get(&key)) {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(failed)?.into_stream(),
        };
        while let Some(part) = self.runtime.block_on(parts.try_next()).map_err(failed)? {
            file.write_all(&part).map_err(io)?;
        }
        file.rewind().map_err(io)?;
        Ok(Some(file))
    }
}

/// A path of a log without the encoding.
pub(in crate::lake) fn plain(path: &str) -> String {
    Key::from_url_path(path).map_or_else(|_| path.to_owned(), |key| key.to_string())
}
