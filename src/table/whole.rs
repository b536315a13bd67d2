//! A table of a file as one batch in memory, if it does not become too large there.
//!
//! A few bytes of Parquet stand for as many rows as somebody likes: what they would take is counted before it is taken.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{AnyDictionaryArray, Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;

use super::Format;
use super::batches::from_arrow;
use super::read::{BATCH_ROWS, check_packing, damaged, read};
use crate::error::{Error, Result};
use crate::kernel::open_file;

/// The bytes in memory that the table of any file may become;
const SOME_BYTES: u64 = 256 << 20;
/// so many more for each byte of its file;
const BYTES_A_BYTE: u64 = 512;
/// and no table more than these.
const MOST_BYTES: u64 = 4 << 30;

/// Reads a Parquet or Arrow file whole.
///
/// # Errors
/// As [`read`]; [`Error::Invalid`] for one that would become too large in memory.
pub(crate) fn read_whole(path: impl AsRef<Path>) -> Result<RecordBatch> {
    let path = path.as_ref();
    let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "opening it", &e))?.len();
    let most = bytes.saturating_mul(BYTES_A_BYTE).saturating_add(SOME_BYTES).min(MOST_BYTES);
    let mut room = Room { path, most, left: most };
    let (schema, batches) = match Format::of_path(path) {
        Some(Format::Parquet) => parquet(path, &mut room)?,
        _ => {
            let table = read(path)?;
            let schema = table.schema().clone();
            let mut batches = Vec::new();
            for batch in table {
                let batch = batch.map_err(|e| from_arrow(&path.display().to_string(), e))?;
                room.take(batch.columns().iter().map(bytes_of).sum())?;
                batches.push(batch);
            }
            (schema, batches)
        }
    };
    arrow_select::concat::concat_batches(&schema, &batches)
        .map_err(|e| from_arrow(&path.display().to_string(), e))
}

/// What the table may still take.
struct Room<'a> {
    path: &'a Path,
    most: u64,
    left: u64,
}

impl Room<'_> {
    fn take(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> Error {
        let expected =
            format!("a table of at most {} bytes in memory for a file of this size", self.most);
        Error::invalid(self.path.display().to_string(), expected, "a larger one")
    }
}

fn parquet(path: &Path, room: &mut Room<'_>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let wrong = |e: parquet::errors::ParquetError| damaged(path, e.to_string());
    let file = open_file(path)?;
    let known = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(wrong)?;
    check_packing(path, known.metadata())?;
    if least_bytes(known.metadata()) > room.left {
        return Err(room.too_large());
    }
    let schema = known.schema().clone();
    // Texts are first looked at where they are packed: each once, however many rows have it.
    let views = Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(|field| as_view(field)).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ));
    let options = ArrowReaderOptions::new().with_schema(views);
    let known = ArrowReaderMetadata::try_new(known.metadata().clone(), options).map_err(wrong)?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, known);
    let reader = reader.with_batch_size(BATCH_ROWS).build().map_err(wrong)?;
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| damaged(path, e.to_string()))?;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (column, field) in batch.columns().iter().zip(schema.fields()) {
            room.take(bytes_of(column))?;
            columns.push(match column.data_type() == field.data_type() {
                true => column.clone(),
                false => {
                    cast(column, field.data_type()).map_err(|e| from_arrow(field.name(), e))?
                }
            });
        }
        let batch = RecordBatch::try_new(schema.clone(), columns);
        batches.push(batch.map_err(|e| from_arrow(&path.display().to_string(), e))?);
    }
    Ok((schema, batches))
}

/// What the columns of fixed width take, by the numbers of values that the file tells.
fn least_bytes(known: &ParquetMetaData) -> u64 {
    let columns = known.row_groups().iter().flat_map(|group| group.columns());
    let bytes = columns.map(|column| {
        let values = u64::try_from(column.num_values()).unwrap_or(0);
        match column.column_type() {
            Type::BOOLEAN => values / 8,
            Type::INT32 | Type::FLOAT => values.saturating_mul(4),
            Type::INT64 | Type::DOUBLE => values.saturating_mul(8),
            Type::INT96 => values.saturating_mul(12),
            // A text takes where it begins at least.
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => values.saturating_mul(4),
        }
    });
    bytes.fold(0, u64::saturating_add)
}

fn as_view(field: &Field) -> Field {
    let field = field.clone();
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => field.with_data_type(DataType::Utf8View),
        DataType::Binary | DataType::LargeBinary => field.with_data_type(DataType::BinaryView),
        _ => field,
    }
}

/// The bytes of a column in memory, each text counted as often as it is there.
fn bytes_of(column: &ArrayRef) -> u64 {
    // The low half of a view is the length of its text.
    let texts = |views: &[u128]| views.iter().map(|view| u64::from(*view as u32) + 8).sum();
    match column.data_type() {
        DataType::Utf8View => texts(column.as_string_view().views()),
        DataType::BinaryView => texts(column.as_binary_view().views()),
        DataType::Dictionary(..) => {
            column.get_array_memory_size() as u64 + unfolded(column.as_any_dictionary())
        }
        _ => column.get_array_memory_size() as u64,
    }
}

/// The bytes that the texts of a dictionary take where each row has its own.
fn unfolded(dictionary: &dyn AnyDictionaryArray) -> u64 {
    let values = dictionary.values();
    let size = |key: usize| match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_length(key) as u64,
        DataType::LargeUtf8 => values.as_string::<i64>().value_length(key) as u64,
        _ => 0,
    };
    if values.is_empty() { 0 } else { dictionary.normalized_keys().into_iter().map(size).sum() }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::{Float64Array, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;

    use super::*;
    use crate::table::{WriteOptions, write};

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn refused(path: &Path) -> String {
        let refused = read_whole(path).unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
        refused.to_string()
    }

    /// Goal: few bytes of Parquet that stand for many rows are refused before a row is read.
    #[test]
    fn a_row_bomb_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.parquet");
        let part = batch(vec![
            ("t", Arc::new(Int64Array::from(vec![7; 1 << 20]))),
            ("x", Arc::new(Float64Array::from(vec![0.5; 1 << 20]))),
        ]);
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), part.schema(), None).unwrap();
        (0..24).for_each(|_| writer.write(&part).unwrap());
        writer.close().unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(bytes < 200_000, "{bytes}");
        let why = refused(&path);
        assert!(why.contains("bomb.parquet") && why.contains("in memory"), "{why}");
    }

    /// Goal: a text that many rows share is counted for each of them before it is written out for each.
    #[test]
    fn a_text_bomb_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.parquet");
        let long = "x".repeat(20_000);
        let part = batch(vec![("s", Arc::new(StringArray::from(vec![long.as_str(); 2_048])))]);
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, part.schema(), options).unwrap();
        (0..16).for_each(|_| writer.write(&part).unwrap());
        writer.close().unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(bytes < 200_000, "{bytes}");
        refused(&path);
    }

    /// Goal: what is within the budget comes back with its types, whichever form texts have in the file.
    #[test]
    fn a_table_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let texts =
            || StringArray::from(vec![Some("a"), None, Some("long enough not to be inline")]);
        let large = cast(&texts(), &DataType::LargeUtf8).unwrap();
        let binary = cast(&texts(), &DataType::Binary).unwrap();
        let words = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        let words = cast(&texts(), &words).unwrap();
        let table = batch(vec![
            ("s", Arc::new(texts())),
            ("l", large),
            ("b", binary),
            ("w", words),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ]);
        for ending in ["parquet", "arrow"] {
            let path = folder.path().join(format!("a.{ending}"));
            let options =
                WriteOptions { format: ending.parse().unwrap(), ..WriteOptions::default() };
            let batches = crate::table::Batches::from_batches(table.schema(), vec![table.clone()]);
            write(&path, batches, &options, &mut |_, _| Ok(())).unwrap();
            let read = read_whole(&path).unwrap();
            assert_eq!(read.columns(), table.columns(), "{ending}");
        }
    }

    /// Goal: an Arrow file that claims parts which are not there takes no memory for them, and is no panic.
    #[test]
    fn claims_of_an_arrow_file_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.arrow");
        let table = batch(vec![("n", Arc::new(Int64Array::from(vec![1; 1_000])))]);
        let batches = crate::table::Batches::from_batches(table.schema(), vec![table]);
        let options = WriteOptions { format: Format::Arrow, ..WriteOptions::default() };
        write(&path, batches, &options, &mut |_, _| Ok(())).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let tail = whole.len() - 10;
        let length = u32::from_le_bytes(whole[tail..tail + 4].try_into().unwrap()) as usize;
        let start = tail - length;
        let footer = arrow_ipc::root_as_footer(&whole[start..tail]).unwrap();
        let block = footer.recordBatches().unwrap().get(0);
        let body = block.bodyLength().to_le_bytes();
        let at = start + whole[start..tail].windows(8).rposition(|bytes| bytes == body).unwrap();
        for claim in [1i64 << 40, -1, i64::MAX] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            std::fs::write(&path, bytes).unwrap();
            let refused = read(&path).unwrap_err();
            assert!(matches!(refused, Error::Corrupt { .. }), "{claim}: {refused}");
        }
        for end in [0, 5, 9, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(matches!(read(&path), Err(Error::Corrupt { .. })), "{end}");
        }
    }
}
