//! What every backend of series can do.

use arrow_schema::DataType;

use super::data::{Head, Metadata, Series, check_joins, schema};
use super::index::{IndexMetadata, IndexRange, IndexValue, IndexValues};
use crate::error::{Error, Result};
use crate::kernel::VerifyReport;
use crate::kernel::json::plain_object;
use crate::table::Batches;

/// One change of what a backend keeps; see [`StorageBackend::commit`].
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A series and its metadata, in place of what has this key.
    Save {
        /// Its key.
        key: String,
        /// Its points.
        series: Series,
        /// What the user keeps beside it.
        metadata: Metadata,
    },
    /// Points behind those that are there; a series that is not there begins with them.
    Append {
        /// The key of the series.
        key: String,
        /// The points. Those of another type are converted, or the series is widened, as by [`Series::concat`].
        series: Series,
    },
    /// Changes nothing, and refuses the commit if a series is not any more as it was known: another writer has changed,
    /// made or removed it.
    Expect {
        /// The key of the series.
        key: String,
        /// What [`StorageBackend::info`] said of it; `None` if it was not there.
        info: Option<Box<SeriesInfo>>,
    },
    /// Other metadata for a series that stays as it is.
    SetMetadata {
        /// The key of the series.
        key: String,
        /// What the user keeps beside it from now on.
        metadata: Metadata,
    },
    /// What is known of the index of a series that stays as it is: a frequency that still holds after points were
    /// appended.
    SetIndexMetadata {
        /// The key of the series.
        key: String,
        /// What is known from now on.
        index: IndexMetadata,
    },
    /// A series is no longer there.
    Delete {
        /// Its key.
        key: String,
    },
    /// A series gets another key, under which there is none yet.
    Rename {
        /// Its key.
        from: String,
        /// The key it gets.
        to: String,
    },
    /// A series is there once more, under a key that is not in use yet.
    Copy {
        /// Its key.
        from: String,
        /// The key of the copy.
        to: String,
    },
    /// A record: JSON by name, beside the series and not one of them. `None` removes it.
    Record {
        /// Its name.
        name: String,
        /// What it holds.
        record: Option<Metadata>,
    },
}

/// What is known of a stored series without its points.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesInfo {
    /// Its key.
    pub key: String,
    /// The number of points.
    pub length: u64,
    /// The Arrow type of the index.
    pub index_type: DataType,
    /// The Arrow type of the values.
    pub value_type: DataType,
    /// The least and the greatest value of the index; `None` if there is none.
    pub extent: Option<(IndexValue, IndexValue)>,
    /// Whether no index value is less than the one before it.
    pub is_sorted: bool,
    /// What the user keeps beside it.
    pub metadata: Metadata,
    /// Name, dtype, what is known of the index.
    pub(crate) head: Head,
    /// Which save the points are of.
    pub(crate) revision: Revision,
}

/// A number that each save of a series in a store changes. Infos of different stores are equal without it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revision(pub(crate) u64);

impl PartialEq for Revision {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Whether a series is as it was: of the same save too.
pub(crate) fn is_unchanged(before: Option<&SeriesInfo>, now: Option<&SeriesInfo>) -> bool {
    let revision = |info: Option<&SeriesInfo>| info.map(|info| info.revision.0);
    before == now && revision(before) == revision(now)
}

/// [`Change::Expect`], in the transaction of its commit.
pub(crate) fn expect(
    key: &str,
    expected: Option<&SeriesInfo>,
    now: Option<&SeriesInfo>,
) -> Result<()> {
    if is_unchanged(expected, now) {
        return Ok(());
    }
    let expected = "what it was when it was read";
    Err(Error::invalid(format!("the series {key:?}"), expected, "what another writer made of it"))
}

impl SeriesInfo {
    /// The name of the series.
    pub fn name(&self) -> Option<&str> {
        self.head.name.as_deref()
    }

    /// The dtype of the values, as the user's library wrote it.
    pub fn dtype(&self) -> Option<&str> {
        self.head.dtype.as_deref()
    }

    /// The metadata for readers of plain JSON: times, arrays and numbers that JSON does not have are texts and lists, not the
    /// objects by which this store knows them again.
    pub fn plain_metadata(&self) -> Metadata {
        plain_object(super::meteaudata::plain_object(self.metadata.clone()))
    }

    /// What is known of the index.
    pub fn index_metadata(&self) -> &IndexMetadata {
        &self.head.index
    }

    /// The columns of its Arrow batches.
    pub fn schema(&self) -> arrow_schema::SchemaRef {
        schema(&self.head, &self.index_type, &self.value_type)
    }

    /// What is known once these points stand behind its own, and the index value of the last one; `last` is that of
    /// the last one so far, if there is one that others can follow.
    pub(crate) fn extended(
        &self,
        last: Option<IndexValue>,
        points: &Series,
    ) -> Result<(Self, Option<IndexValue>)> {
        check_joins(&self.head, &self.index_type, &self.value_type, points)?;
        let added = SeriesInfo::of(&self.key, points, &Metadata::new())?;
        let follows = match (&last, label_of_row(points, 0)?) {
            (_, None) => true,
            (None, Some(_)) => self.length == 0, // behind NaN nothing is in order
            (Some(last), Some(first)) => *last <= first,
        };
        let extent = match (self.extent.clone(), added.extent) {
            (Some((a, b)), Some((c, d))) => {
                Some((if c < a { c } else { a }, if d > b { d } else { b }))
            }
            (own, other) => own.or(other),
        };
        let last = if points.is_empty() { last } else { last_label(points)? };
        let info = SeriesInfo {
            length: self.length + added.length,
            extent,
            is_sorted: self.is_sorted && added.is_sorted && follows,
            head: self.head.clone().appended(),
            ..self.clone()
        };
        Ok((info, last))
    }

    /// What is known of a series that is in memory.
    pub fn of(key: &str, series: &Series, metadata: &Metadata) -> Result<Self> {
        let labels = super::index::IndexValues::of(series.index())?;
        Ok(SeriesInfo {
            key: key.to_owned(),
            length: series.len() as u64,
            index_type: series.index().data_type().clone(),
            value_type: series.values().data_type().clone(),
            extent: labels.extent(),
            is_sorted: labels.is_sorted(),
            metadata: metadata.clone(),
            head: series.head().clone(),
            revision: Revision(0),
        })
    }
}

/// The index value of a row, if there is such a row.
fn label_of_row(series: &Series, row: usize) -> Result<Option<IndexValue>> {
    if row >= series.len() {
        return Ok(None);
    }
    Ok(Some(IndexValues::of(series.slice(row, 1).index())?.get(0)))
}

/// The index value of the last point.
pub(crate) fn last_label(series: &Series) -> Result<Option<IndexValue>> {
    label_of_row(series, series.len().wrapping_sub(1))
}

/// A store that keeps series by key.
///
/// A key is any text: it is data and never a path. The points of a series keep the order in which they were
/// given, equal and falling index values too. A backend implements the seven calls without a body; everything
/// else stands on them, and a backend that can do better does.
///
/// # Errors
/// [`Error::NotFound`] for a key or record that is not there; [`Error::Invalid`] for points that cannot be
/// kept. After an error everything is as it was before the call.
///
/// # Example
/// ```
/// use siltstone::series::{MemoryBackend, Series, StorageBackend};
/// let backend = MemoryBackend::new();
/// let series = Series::from_times_ns(&[0, 1_000_000_000], &[20.5, 21.0])?;
/// backend.save("plant/line#1/RAW#1", &series, &Default::default())?;
/// assert_eq!(backend.load("plant/line#1/RAW#1")?.0, series);
/// assert_eq!(backend.list_keys("plant/")?, ["plant/line#1/RAW#1"]);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub trait StorageBackend: Send + Sync {
    /// Its kind: `memory`, `parquet`, `sqlite`, `postgresql`, or a user's own.
    fn backend_type(&self) -> &'static str;

    /// Where it is, for a message; without a secret.
    fn location(&self) -> String;

    /// Carries out all of these changes, in their order, or none of them.
    fn commit(&self, changes: &[Change]) -> Result<()>;

    /// The keys that begin with `prefix`, sorted by their bytes.
    fn list_keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// What is known of a series, without its points.
    fn info(&self, key: &str) -> Result<SeriesInfo>;

    /// The points of a series whose index lies in the range, in their order, as Arrow batches of bounded size.
    /// The schema is [`SeriesInfo::schema`]'s, and there is at least that much when there are no points.
    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches>;

    /// A record, if it is there.
    fn record(&self, name: &str) -> Result<Option<Metadata>>;

    /// The names of the records that begin with `prefix`, sorted by their bytes.
    fn list_records(&self, prefix: &str) -> Result<Vec<String>>;

    /// Saves a series and its metadata in place of what has this key.
    fn save(&self, key: &str, series: &Series, metadata: &Metadata) -> Result<()> {
        let (key, series, metadata) = (key.to_owned(), series.clone(), metadata.clone());
        self.commit(&[Change::Save { key, series, metadata }])
    }

    /// A series and its metadata.
    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        // The points first: if the series is replaced in between, the metadata are looked at again.
        let series = self.load_range(key, &IndexRange::all())?;
        Ok((series, self.info(key)?.metadata))
    }

    /// The points of a series whose index lies in the range.
    fn load_range(&self, key: &str, range: &IndexRange) -> Result<Series> {
        let batches = self.scan(key, range)?;
        let schema = batches.schema().clone();
        let batches = batches.collect_batches()?;
        let whole = arrow_select::concat::concat_batches(&schema, &batches)
            .map_err(|e| crate::table::from_arrow("a series", e))?;
        Series::from_batch(&whole)
    }

    /// Puts points behind those of a series; it begins with them if it is not there. The number of points that
    /// were added.
    fn append(&self, key: &str, series: &Series) -> Result<u64> {
        self.commit(&[Change::Append { key: key.to_owned(), series: series.clone() }])?;
        Ok(series.len() as u64)
    }

    /// Removes a series.
    fn delete(&self, key: &str) -> Result<()> {
        self.commit(&[Change::Delete { key: key.to_owned() }])
    }

    /// Whether there is a series of that key.
    fn exists(&self, key: &str) -> Result<bool> {
        match self.info(key) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a series another key, which must not be in use.
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.commit(&[Change::Rename { from: from.to_owned(), to: to.to_owned() }])
    }

    /// Keeps a series once more, under a key that must not be in use.
    fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.commit(&[Change::Copy { from: from.to_owned(), to: to.to_owned() }])
    }

    /// What the user keeps beside a series.
    fn metadata(&self, key: &str) -> Result<Metadata> {
        Ok(self.info(key)?.metadata)
    }

    /// Several series, in the order of the keys.
    fn load_many(&self, keys: &[&str]) -> Result<Vec<(Series, Metadata)>> {
        keys.iter().map(|key| self.load(key)).collect()
    }

    /// Checks what is stored against the checksums that it was stored with; a backend without any reads all of it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; damage is a finding, not an error.
    fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        for key in self.list_keys("")? {
            note_damage(&mut report, self.load(&key).map(drop))?;
        }
        Ok(report)
    }

    /// Removes every series and record of this backend, and nothing else.
    fn clear(&self) -> Result<()> {
        let deletes = self.list_keys("")?.into_iter().map(|key| Change::Delete { key });
        let records = self.list_records("")?.into_iter();
        let records = records.map(|name| Change::Record { name, record: None });
        self.commit(&deletes.chain(records).collect::<Vec<_>>())
    }
}

/// Notes the damage that a read met; a series that was removed meanwhile has none.
pub(crate) fn note_damage(report: &mut VerifyReport, read: Result<()>) -> Result<()> {
    match read {
        Err(Error::Corrupt { location, what, why }) => {
            report.find(location, format!("{what}: {why}"))
        }
        Err(Error::NotFound { .. }) => {}
        other => return other,
    }
    Ok(())
}

/// The error for a key that is not there.
pub(crate) fn not_found(key: &str, location: impl Into<String>) -> Error {
    Error::NotFound { what: "the series", name: key.to_owned(), location: location.into() }
}

/// The error for a key that is in use.
pub(crate) fn in_use(key: &str, location: impl Into<String>) -> Error {
    Error::Exists {
        what: format!("the series {key:?}"),
        location: location.into(),
        hint: "delete it first, or take another key",
    }
}
