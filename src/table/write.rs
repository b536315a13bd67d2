//! A table into a file, whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::batches::from_arrow;
use super::text::{self, Texts};
use super::{Batches, Format, cell};
use crate::error::{Error, Result};
use crate::kernel::{Progress, Temporary, folder_of, sync_name};

/// Rows of a Parquet row group: what one reader holds at a time, and what the writer holds until it
/// is complete.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// How a table is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// The format of the file.
    pub format: Format,
    /// Replaces a file of that name.
    pub overwrite: bool,
    /// In CSV, puts a `'` before texts that a spreadsheet would run as formulas ([`without_formula`](super::without_formula)).
    /// They do not come back as they were; numbers do.
    pub escape_formulas: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a table to a file: under a temporary name first, and renamed when all of it is on the disk.
/// A reader sees the whole file or none. One batch (and a Parquet row group) is in memory at a time.
///
/// - `batches`: any Arrow reader; [`Batches`](super::Batches) of any store is one.
/// - `progress`: gets the rows written so far, and 0 in all, which nobody knows before the end.
///
/// # Errors
/// [`Error::Exists`] for a file that is there, [`Error::Io`] if the disk refuses, [`Error::Invalid`]
/// for a column that the format cannot hold, and the errors of `batches` and `progress`. The old
/// file, if any, is untouched then, and the temporary one removed. [`Error::DurabilityUnknown`]: the new file is there.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let db = siltstone::Database::builder(folder.path().join("run.db")).open()?;
/// use siltstone::table::{WriteOptions, write};
///
/// let answer = db.arrow("SELECT 6 * 7 AS answer, 0.1 AS tenth")?;
/// let path = folder.path().join("answer.parquet");
/// let written = write(&path, answer, &WriteOptions::default(), &mut |_, _| Ok(()))?;
/// assert_eq!(written.rows, 1);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn write(
    path: impl AsRef<Path>,
    batches: impl RecordBatchReader,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
) -> Result<Written> {
    let path = path.as_ref();
    let written = write_unsynced(path, batches, options, progress)?;
    sync_name(path)?;
    Ok(written)
}

/// As [`write`]; the file's name is the caller's to sync.
pub(crate) fn write_unsynced(
    path: &Path,
    batches: impl RecordBatchReader,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
) -> Result<Written> {
    let exists = || Error::Exists {
        what: format!("the file {:?}", path.file_name().unwrap_or_default().to_string_lossy()),
        location: folder_of(path).display().to_string(),
        hint: "choose another name, or pass overwrite (--overwrite) to replace it",
    };
    if !options.overwrite && path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let temporary = Temporary::file(path)?;
    let file = temporary.handle().try_clone();
    let file = file.map_err(|e| Error::io(path, "creating it", &e))?;
    let written = write_to(file, path, batches, options, progress)?;
    if options.overwrite {
        temporary.rename(path)?;
    } else if !temporary.rename_new(path)? {
        return Err(exists()); // it has come up meanwhile
    }
    Ok(written)
}

fn write_to(
    file: File,
    path: &Path,
    batches: impl RecordBatchReader,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
) -> Result<Written> {
    let (schema, format) = (batches.schema(), options.format);
    if matches!(format, Format::Csv | Format::Jsonl) {
        cell::check(&schema)?;
    }
    let refused = Arc::new(Mutex::new(None));
    // What the system refused comes out of a writer as an error of its format.
    let failed = |error: Failure| {
        let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.map_or(error, Failure::Io).at(path)
    };
    let file = BufWriter::new(Watched { file, refused: refused.clone() });
    let mut writer = FileWriter::new(options, file, schema).map_err(failed)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(|error| from_arrow("table", error))?;
        writer.write(&batch).map_err(failed)?;
        rows += batch.num_rows() as u64;
        progress(rows, 0)?;
    }
    let file = writer.finish().map_err(failed)?;
    let file = file.into_inner().map_err(|e| failed(Failure::Io(e.into_error())))?.file;
    let sync = file.sync_all().and_then(|()| file.metadata());
    let bytes = sync.map_err(|e| Error::io(path, "syncing it", &e))?.len();
    Ok(Written { rows, bytes })
}

/// A file that remembers why it refused to be written.
struct Watched {
    file: File,
    refused: Arc<Mutex<Option<io::Error>>>,
}

impl Watched {
    fn watch<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
        })
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.file.write(bytes);
        self.watch(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.file.flush();
        self.watch(done)
    }
}

/// A table as the bytes of a Parquet file.
pub(crate) fn to_parquet(batches: Batches) -> Result<Vec<u8>> {
    let failed = |error: Failure| error.at(Path::new("the table"));
    let schema = batches.schema().clone();
    let mut writer =
        FileWriter::new(&WriteOptions::default(), Vec::new(), schema).map_err(failed)?;
    for batch in batches {
        let batch = batch.map_err(|error| from_arrow("table", error))?;
        writer.write(&batch).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

/// The writer of each format.
enum FileWriter<W: Write + Send> {
    Parquet(ArrowWriter<W>),
    Arrow(arrow_ipc::writer::FileWriter<W>),
    Csv(W, Texts),
    Jsonl(W),
}

impl<W: Write + Send> FileWriter<W> {
    fn new(options: &WriteOptions, mut file: W, schema: SchemaRef) -> Result<Self, Failure> {
        Ok(match options.format {
            Format::Parquet => {
                // Strings repeat and so do many values of a run: dictionaries are on by default.
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .set_created_by(format!("siltstone {}", env!("CARGO_PKG_VERSION")))
                    .build();
                FileWriter::Parquet(ArrowWriter::try_new(file, schema, Some(properties))?)
            }
            Format::Arrow => {
                FileWriter::Arrow(arrow_ipc::writer::FileWriter::try_new(file, &schema)?)
            }
            Format::Csv => {
                let texts = Texts { without_formulas: options.escape_formulas };
                text::write_csv_header(&mut file, &schema, texts)?;
                FileWriter::Csv(file, texts)
            }
            Format::Jsonl => FileWriter::Jsonl(file),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            FileWriter::Parquet(writer) => writer.write(batch)?,
            FileWriter::Arrow(writer) => writer.write(batch)?,
            FileWriter::Csv(file, texts) => text::write_csv(file, batch, *texts)?,
            FileWriter::Jsonl(file) => text::write_jsonl(file, batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<W, Failure> {
        let mut file = match self {
            FileWriter::Parquet(writer) => writer.into_inner()?,
            FileWriter::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            FileWriter::Csv(file, _) | FileWriter::Jsonl(file) => file,
        };
        file.flush()?;
        Ok(file)
    }
}

/// What a writer says.
enum Failure {
    Io(io::Error),
    Arrow(ArrowError),
    Parquet(ParquetError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Failure::Arrow(error)
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Failure::Parquet(error)
    }
}

impl Failure {
    fn at(self, path: &Path) -> Error {
        match self {
            Failure::Io(error) => Error::io(path, "writing it", &error),
            Failure::Arrow(error) => from_arrow("table", error),
            Failure::Parquet(error) => {
                Error::invalid("table", "one that Parquet takes", error.to_string())
            }
        }
    }
}
