//! A dataset of a backend in the layout that meteaudata reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::layout::file_name;
use super::plain::plain;
use super::{json_of, yaml};
use crate::array::{per_second, span_text};
use crate::error::{Error, Result};
use crate::kernel::{Temporary, folder_of, sync_folder, sync_name};
use crate::series::backend::StorageBackend;
use crate::series::data::{Metadata, Series};
use crate::series::period::Periods;
use crate::series::process::{Clock, Frequency};
use crate::series::tree::{dataset_record, escape, of_key, signal_record, unpack};
use crate::series::widen::type_name;
use crate::table::Written;

/// How a dataset is written.
#[derive(Debug, Clone, Default)]
pub struct WriteDatasetOptions {
    /// Replaces a zip of that name. A folder is never replaced.
    pub overwrite: bool,
    /// Writes this signal alone, in the layout of one.
    pub signal: Option<String>,
    /// What stands between index and value, a comma if none is given. meteaudata reads commas alone.
    pub separator: Option<char>,
    /// The head of the index, in place of its name.
    pub index_name: Option<String>,
    /// The heads of the values by the full name of the series, in place of that.
    pub value_names: BTreeMap<String, String>,
}

/// Writes a dataset in meteaudata's layout: a zip if the path ends in `.zip`, else a folder.
///
/// It is written under another name and renamed when all of it is on the disk, so that there is the whole or nothing.
/// Names that a file cannot have are written with `%XX`; floats are written so that they are read as the same.
/// The rows and bytes that are returned are the points and the bytes of the CSV files. A zip is made in memory.
///
/// # Errors
/// [`Error::NotFound`] for a dataset that is not there; [`Error::Exists`] for a path that is; [`Error::Invalid`] for
/// values that text cannot hold; [`Error::Io`] if the disk refuses. Nothing remains then.
/// [`Error::DurabilityUnknown`]: the dataset is there.
pub fn write_dataset(
    backend: &dyn StorageBackend,
    dataset: &str,
    path: impl AsRef<Path>,
    options: &WriteDatasetOptions,
) -> Result<Written> {
    let path = path.as_ref();
    let is_zip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    let exists = || Error::Exists {
        what: format!("{:?}", path.file_name().unwrap_or_default()),
        location: folder_of(path).display().to_string(),
        hint: "choose another name, or pass overwrite (--overwrite) to replace a zip",
    };
    let is_free = || match fs::symlink_metadata(path) {
        Ok(there) => options.overwrite && is_zip && there.is_file(),
        Err(_) => true,
    };
    if !is_free() {
        return Err(exists());
    }
    let temporary = if is_zip { Temporary::file(path) } else { Temporary::folder(path) }?;
    let mut output = Output::new(&temporary, is_zip);
    let written = write(backend, dataset, options, &mut output)?;
    output.finish(&temporary)?;
    if is_zip && !options.overwrite {
        if !temporary.rename_new(path)? {
            return Err(exists()); // it has come up meanwhile
        }
    } else if is_free() {
        temporary.rename(path)?;
    } else {
        return Err(exists());
    }
    sync_name(path)?;
    Ok(written)
}

fn write(
    backend: &dyn StorageBackend,
    dataset: &str,
    options: &WriteDatasetOptions,
    output: &mut Output,
) -> Result<Written> {
    if let Some(separator) = options.separator.filter(|s| ![',', ';', '\t', '|'].contains(s)) {
        let expected = "a comma, a semicolon, a tab or a vertical bar";
        return Err(Error::invalid("the separator", expected, format!("{separator:?}")));
    }
    let record = backend.record(&dataset_record(dataset))?;
    let mut keys = backend.list_keys(&format!("{}/", escape(dataset)))?;
    keys.retain(|key| of_key(dataset, key).is_some());
    let known = match (record, keys.is_empty()) {
        (Some(record), _) => record,
        (None, false) => json_of(&crate::series::tree::DatasetRecord::new(dataset)),
        (None, true) => {
            let (name, location) = (dataset.to_owned(), backend.location());
            return Err(Error::NotFound { what: "the dataset", name, location });
        }
    };
    let stem = file_name(dataset);
    let prefix = format!("signal/{}/", escape(dataset));
    let mut signals = Metadata::new();
    let blank = |signals: &mut Metadata, name: &str| -> Result<()> {
        if !signals.contains_key(name) {
            let record = backend.record(&signal_record(dataset, name))?;
            let own = || json_of(&crate::series::tree::SignalRecord::new(name, "unit"));
            let mut record = record.unwrap_or_else(own);
            record.insert("time_series".into(), json!({}));
            tag_times(&mut record);
            signals.insert(name.to_owned(), Value::Object(record));
        }
        Ok(())
    };
    let is_meant = |signal: &str| options.signal.as_deref().is_none_or(|meant| meant == signal);
    for name in backend.list_records(&prefix)? {
        let signal = crate::series::tree::unescape(&name[prefix.len()..]);
        if is_meant(&signal) {
            blank(&mut signals, &signal)?;
        }
    }
    let mut written = Written::default();
    for key in keys {
        let Some((signal, name)) = of_key(dataset, &key) else { continue };
        if !is_meant(&signal) {
            continue;
        }
        blank(&mut signals, &signal)?;
        let (series, metadata) = backend.load(&key)?;
        let text = csv(&series, &name, options)?;
        written.rows += series.len() as u64;
        written.bytes += text.len() as u64;
        let folder = match options.signal {
            Some(_) => format!("{}_data", file_name(&signal)),
            None => format!("{stem}_data/{}_data", file_name(&signal)),
        };
        output.file(&format!("{folder}/{}.csv", file_name(&name)), text.as_bytes())?;
        let record = unpack(metadata, &key, &mut |name| backend.record(name))?;
        let mut known = json_of(&record);
        known.insert("index_metadata".into(), index_metadata(&series));
        known.insert("values_dtype".into(), dtype_of(&series).into());
        signals[&signal]["time_series"][&name] = Value::Object(known);
    }
    if let (Some(signal), true) = (&options.signal, signals.is_empty()) {
        let location = format!("the dataset {dataset:?}");
        return Err(Error::NotFound { what: "the signal", name: signal.clone(), location });
    }
    let Value::Object(signals) = plain(Value::Object(signals)) else { unreachable!("it was one") };
    for (name, signal) in &signals {
        let file = format!("{}_metadata.yaml", file_name(name));
        let file = if options.signal.is_some() { file } else { format!("{stem}_data/{file}") };
        output.file(&file, yaml::write(signal).as_bytes())?;
    }
    if options.signal.is_some() {
        return Ok(written);
    }
    let mut known = match plain(Value::Object(known)) {
        Value::Object(known) => known,
        _ => unreachable!("it was one"),
    };
    known.insert("signals".into(), Value::Object(signals));
    tag_times(&mut known);
    let text = yaml::write(&Value::Object(known));
    output.file(&format!("{stem}_metadata.yaml"), text.as_bytes())?;
    Ok(written)
}

/// Makes times of YAML of those that meteaudata takes as texts in one form only.
fn tag_times(record: &mut Metadata) {
    for name in ["created_on", "last_updated"] {
        if let Some(text @ Value::String(_)) = record.get_mut(name) {
            *text = json!({"$silt": "time", "value": text.take()});
        }
    }
}

/// What is known of the index.
///
/// meteaudata makes an index of times anew out of a frequency, without its zone: only one that it would make equal has a
/// frequency there. [`super::record`] reads the other name.
fn index_metadata(series: &Series) -> Value {
    let known = series.index_metadata();
    let mut written = serde_json::to_value(known).unwrap_or_default();
    match (known.kind.as_str(), &known.frequency, &known.dtype) {
        ("DatetimeIndex", Some(frequency), _) if !is_regular(series, frequency) => {
            written["frequency_hint"] = written["frequency"].take();
        }
        ("PeriodIndex", _, Some(dtype)) => {
            let name = dtype.strip_prefix("period[").and_then(|name| name.strip_suffix(']'));
            written["frequency"] = name.map_or(Value::Null, Value::from);
        }
        _ => {}
    }
    written
}

/// Whether these are times without a zone at the distance that a frequency says.
fn is_regular(series: &Series, frequency: &str) -> bool {
    let DataType::Timestamp(unit, None) = series.index().data_type() else { return false };
    let size = 1_000_000_000 / i128::from(per_second(*unit));
    let step = Frequency::parse(frequency).ok().and_then(|frequency| frequency.ns());
    let Ok(times) = cast(series.index(), &DataType::Int64) else { return false };
    let times = times.as_primitive::<Int64Type>().values();
    !times.is_empty()
        && times
            .windows(2)
            .all(|two| Some((i128::from(two[1]) - i128::from(two[0])) * size) == step)
}

/// The dtype of the values as pandas writes it.
fn dtype_of(series: &Series) -> String {
    if let Some(dtype) = series.dtype() {
        return match dtype {
            dtype if dtype.starts_with("category:") => "category".into(),
            // A storage that pandas does not take in this name.
            dtype if dtype.starts_with("str[") => "str".into(),
            dtype if dtype.starts_with("arrow:") || dtype.starts_with("polars:") => {
                plain_dtype(series)
            }
            dtype => dtype.to_owned(),
        };
    }
    plain_dtype(series)
}

/// The dtype of pandas that holds values of this type.
fn plain_dtype(series: &Series) -> String {
    match series.values().data_type() {
        DataType::Boolean if series.values().null_count() > 0 => "boolean".into(),
        DataType::Utf8 => "object".into(),
        // A missing number that is not NaN: a dtype that knows both.
        number if number.is_numeric() && series.values().null_count() > 0 => number.to_string(),
        other => type_name(other),
    }
}

/// Index and values as CSV below a header.
fn csv(series: &Series, name: &str, options: &WriteDatasetOptions) -> Result<String> {
    let index = labels(series.index(), series)?;
    let values = match series.dtype().and_then(|dtype| dtype.strip_prefix("category:")) {
        Some(known) => named(series.values(), serde_json::from_str(known).unwrap_or_default()),
        None => texts(series.values())?,
    };
    let separator = options.separator.unwrap_or(',');
    let field = |text: &str| quoted(text, separator);
    let head = options.index_name.as_deref().or(series.index_metadata().name.as_deref());
    let head = head.filter(|head| !head.is_empty()).map_or(String::new(), field);
    let name = options.value_names.get(name).map_or(name, String::as_str);
    let mut out = format!("{head}{separator}{}\n", field(name));
    for (index, value) in index.iter().zip(&values) {
        let index = field(index.as_deref().unwrap_or_default());
        let value = value.as_deref().map_or(String::new(), field);
        out.push_str(&format!("{index}{separator}{value}\n"));
    }
    Ok(out)
}

/// A field that is there: in quotes where a reader would take it for something else.
fn quoted(text: &str, separator: char) -> String {
    let special = [',', '"', '\n', '\r', ';', '\t', '|', separator];
    let plain = !text.is_empty() && !text.contains(special);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn labels(index: &ArrayRef, series: &Series) -> Result<Vec<Option<String>>> {
    let known = series.index_metadata();
    if known.kind == "CategoricalIndex" && known.categories.is_some() {
        return Ok(named(index, json!({ "categories": known.categories })));
    }
    let periods = known.dtype.as_deref().filter(|_| known.kind == "PeriodIndex");
    if let Some(periods) = periods {
        let unknown = || Error::invalid("the index", "periods of a known frequency", periods);
        let numbers = index.as_primitive_opt::<Int64Type>().ok_or_else(unknown)?;
        let periods = Periods::of(periods).ok_or_else(unknown)?;
        return numbers.iter().map(|n| n.map(|n| periods.write(n)).transpose()).collect();
    }
    if known.dtype.as_deref() == Some("bool") {
        return texts(&cast(index, &DataType::Boolean).map_err(|e| failed(&e))?);
    }
    texts(index)
}

/// Codes as the categories that they stand for.
fn named(codes: &ArrayRef, known: Value) -> Vec<Option<String>> {
    let Some(codes) = codes.as_primitive_opt::<Int32Type>() else { return Vec::new() };
    let name = |code: i32| {
        let value = &known["categories"][usize::try_from(code).ok()?];
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    codes.iter().map(|code| code.and_then(name)).collect()
}

/// Values as texts that are read as the same; `None` for a missing one, and for NaN.
fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let i64s = || cast(array, &DataType::Int64).map_err(|e| failed(&e));
    match array.data_type() {
        DataType::Float64 => {
            let items = array.as_primitive::<Float64Type>().iter();
            Ok(items.map(|x| x.filter(|x| !x.is_nan()).map(|x| format!("{x:?}"))).collect())
        }
        DataType::Float32 => {
            let items = array.as_primitive::<Float32Type>().iter();
            Ok(items.map(|x| x.filter(|x| !x.is_nan()).map(|x| format!("{x:?}"))).collect())
        }
        DataType::Boolean => {
            let items = array.as_boolean().iter();
            Ok(items.map(|bit| bit.map(|bit| if bit { "True" } else { "False" }.into())).collect())
        }
        DataType::Timestamp(unit, zone) => {
            // In UTC, and each with as many digits as any: what other readers take for times of one form.
            let zone = zone.as_deref().map(|_| "UTC");
            let (clock, whole, unit) = (Clock::of(zone)?, i64s()?, per_second(*unit));
            let items = whole.as_primitive::<Int64Type>();
            let has_parts = items.iter().flatten().any(|t| t.rem_euclid(unit) != 0);
            let one = |t: i64| {
                let mut text = clock.write(t.div_euclid(unit), 1)?;
                if has_parts {
                    let at = text.len() - zone.map_or(0, |_| "+00:00".len());
                    let digits = unit.ilog10() as usize;
                    text.insert_str(at, &format!(".{:0digits$}", t.rem_euclid(unit)));
                }
                Ok(text)
            };
            items.iter().map(|t| t.map(one).transpose()).collect()
        }
        DataType::Duration(unit) => {
            let (whole, size) = (i64s()?, 1_000_000_000 / i128::from(per_second(*unit)));
            let items = whole.as_primitive::<Int64Type>().iter();
            Ok(items.map(|t| t.map(|t| span_text(i128::from(t) * size))).collect())
        }
        DataType::Binary | DataType::FixedSizeBinary(_) => {
            let expected = "numbers, booleans, texts, times or time spans";
            Err(Error::invalid("the values", expected, type_name(array.data_type())))
        }
        _ => {
            let texts = cast(array, &DataType::Utf8).map_err(|e| failed(&e))?;
            Ok(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
        }
    }
}

fn failed(error: &arrow_schema::ArrowError) -> Error {
    Error::invalid("a series", "values that have a text", error.to_string())
}

/// Where the files go.
enum Output {
    /// In memory: a writer of a zip that its file refuses writes on when it is dropped, and may panic.
    Zip(Box<zip::ZipWriter<std::io::Cursor<Vec<u8>>>>),
    Folder(std::path::PathBuf),
}

impl Output {
    fn new(temporary: &Temporary, is_zip: bool) -> Self {
        match is_zip {
            true => Output::Zip(Box::new(zip::ZipWriter::new(std::io::Cursor::new(Vec::new())))),
            false => Output::Folder(temporary.path().to_owned()),
        }
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Output::Zip(zip) => {
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated)
                    .large_file(bytes.len() as u64 >= u64::from(u32::MAX) / 2);
                let begun = zip.start_file(name, options).map_err(std::io::Error::from);
                begun.and_then(|()| zip.write_all(bytes))
            }
            Output::Folder(folder) => {
                let path = folder.join(name); // of parts that are safe names
                fs::create_dir_all(folder_of(&path)).and_then(|()| {
                    let mut file = File::create_new(&path)?;
                    file.write_all(bytes)?;
                    file.sync_all()
                })
            }
        }
        .map_err(|e| Error::io(name, "writing it", &e))
    }

    fn finish(self, temporary: &Temporary) -> Result<()> {
        match self {
            Output::Zip(zip) => {
                let write = || -> std::io::Result<()> {
                    let bytes = zip.finish()?.into_inner();
                    let mut file = temporary.handle();
                    file.write_all(&bytes)?;
                    file.sync_all()
                };
                write().map_err(|e| Error::io(temporary.path(), "writing it", &e))
            }
            Output::Folder(folder) => sync_folders(&folder),
        }
    }
}

/// A folder and those in it, all of our own making.
fn sync_folders(folder: &Path) -> Result<()> {
    let listing = |e| Error::io(folder, "listing it", &e);
    for entry in fs::read_dir(folder).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync_folder(folder)
}
