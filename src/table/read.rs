//! A table from a file that [`write`](super::write) made, or another program.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatchReader;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;

use super::batches::from_arrow;
use super::source::{Refused, Source};
use super::{Batches, Format};
use crate::error::{Error, Result};
use crate::kernel::open_file;

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 65_536;
/// The bytes around the footer of an Arrow file: its length before the last six.
const ARROW_TAIL: u64 = 10;
/// The most bytes of such a footer.
const MOST_FOOTER: u64 = 256 << 20;
/// The bytes that a packed part may become for each of its own, and those that any may.
const BYTES_A_BYTE: u64 = 512;
const SOME_BYTES: u64 = 256 << 20;
const MOST_BYTES: u64 = 4 << 30;

/// Opens a Parquet or Arrow file as a table that streams. The format is what the file's ending says.
///
/// # Errors
/// [`Error::Invalid`] for another ending: text does not keep types. [`Error::Io`] if the file cannot
/// be opened, [`Error::Corrupt`] if it is not what it says.
pub fn read(path: impl AsRef<Path>) -> Result<Batches> {
    let path = path.as_ref();
    let what = path.display().to_string();
    let refused = Refused::default();
    match Format::of_path(path) {
        Some(Format::Parquet) => {
            let file = Source::open(path, &refused)?;
            parquet(path, file, refused)
        }
        Some(Format::Arrow) => {
            check_blocks(path)?;
            let file = Source::open(path, &refused)?;
            let reader = arrow_ipc::reader::FileReader::try_new_buffered(file, None)
                .map_err(|e| refused.explain(path, damaged(path, e.to_string())))?;
            Ok(stream((path.to_owned(), refused), reader.schema(), reader))
        }
        _ => Err(Error::invalid(what, "a .parquet or .arrow file", "another ending")),
    }
}

pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Error {
    Error::Corrupt {
        location: path.display().to_string(),
        what: "the table".into(),
        why: why.into(),
    }
}

/// Looks whether the parts of an Arrow file lie in it: the reader takes memory for what the footer claims.
fn check_blocks(path: &Path) -> Result<()> {
    let mut file = open_file(path)?;
    let bytes = file.metadata().map_err(|e| Error::io(path, "opening it", &e))?.len();
    let mut read = |from: u64, most: u64| {
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.by_ref().take(most).read_to_end(&mut part))
            .map_err(|e| Error::io(path, "reading it", &e))?;
        Ok::<_, Error>(part)
    };
    let short = || damaged(path, "it ends too early");
    let end = bytes.checked_sub(ARROW_TAIL).ok_or_else(short)?;
    let tail = read(end, ARROW_TAIL)?;
    let length = tail.first_chunk().map(|n| u64::from(u32::from_le_bytes(*n)));
    let length = length.filter(|n| tail.ends_with(b"ARROW1") && *n <= MOST_FOOTER);
    let length = length.ok_or_else(|| damaged(path, "it does not end as an Arrow file does"))?;
    let footer = read(end.checked_sub(length).ok_or_else(short)?, length)?;
    let footer = arrow_ipc::root_as_footer(&footer).map_err(|e| damaged(path, e.to_string()))?;
    let blocks = footer.recordBatches().into_iter().chain(footer.dictionaries()).flatten();
    for block in blocks {
        let sizes = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()];
        let whole = sizes.iter().try_fold(0u64, |sum, n| sum.checked_add(u64::try_from(*n).ok()?));
        if sizes[1] < 8 || whole.is_none_or(|whole| whole > bytes) {
            return Err(damaged(path, "a part of it is said to lie outside of it"));
        }
        let [from, head, body] = sizes.map(|n| n.cast_unsigned());
        let message = read(from, head)?;
        // Of four bytes behind a mark, or by themselves as old files have it.
        let message = message.get(if message.starts_with(&[0xff; 4]) { 8 } else { 4 }..);
        let message = message.and_then(|bytes| arrow_ipc::root_as_message(bytes).ok());
        let message = message.ok_or_else(|| damaged(path, "a part of it is none of a table"))?;
        let batch = (message.header_as_record_batch())
            .or_else(|| message.header_as_dictionary_batch().and_then(|batch| batch.data()));
        let outside = || damaged(path, "a part of it is said to lie outside of it");
        let mut claimed = 0u64;
        for buffer in batch.into_iter().filter_map(|batch| batch.buffers()).flatten() {
            let place = [buffer.offset(), buffer.length()].map(|n| u64::try_from(n).ok());
            let [Some(at), Some(length)] = place else { return Err(outside()) };
            if at.checked_add(length).is_none_or(|end| end > body) {
                return Err(outside());
            }
            if length >= 8 && batch.is_some_and(|batch| batch.compression().is_some()) {
                let size = read(from + head + at, 8)?;
                let size = size.first_chunk().map_or(0, |size| i64::from_le_bytes(*size));
                claimed = claimed.saturating_add(u64::try_from(size).unwrap_or(0));
            }
        }
        let most = body.saturating_mul(BYTES_A_BYTE).saturating_add(SOME_BYTES).min(MOST_BYTES);
        if claimed > most {
            let (what, got) = (path.display().to_string(), claimed.to_string());
            let expected = format!("at most {most} bytes in a packed part of a table of this size");
            return Err(Error::invalid(what, expected, got));
        }
    }
    Ok(())
}

/// The table of a Parquet file that is in memory; `path` is where it came from.
pub(crate) fn read_parquet(path: &Path, bytes: Vec<u8>) -> Result<Batches> {
    parquet(path, Bytes::from(bytes), Refused::default())
}

/// The table of an open Parquet file; `path` is where it came from.
#[cfg(feature = "lake")]
pub(crate) fn read_parquet_file(path: &Path, file: std::fs::File) -> Result<Batches> {
    parquet(path, file, Refused::default())
}

fn parquet(path: &Path, file: impl ChunkReader + 'static, refused: Refused) -> Result<Batches> {
    let damaged =
        |e: parquet::errors::ParquetError| refused.explain(path, damaged(path, e.to_string()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    check_packing(path, builder.metadata())?;
    // The reader itself forgets the table's own metadata.
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(BATCH_ROWS).build();
    let reader = reader.map_err(damaged)?;
    Ok(stream((path.to_owned(), refused), schema, reader))
}

/// Refuses columns of which nothing says how much they become.
pub(super) fn check_packing(path: &Path, known: &ParquetMetaData) -> Result<()> {
    let columns = known.row_groups().iter().flat_map(|group| group.columns());
    let other = columns.map(|column| column.compression()).find(|packing| {
        !matches!(packing, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
    });
    let Some(other) = other else { return Ok(()) };
    let expected = "a table packed by zstd or snappy, or not at all";
    let name = other.to_string().to_lowercase();
    let got = format!("columns packed by {}", name.split(['(', '_']).next().unwrap_or_default());
    Err(Error::invalid(path.display().to_string(), expected, got))
}

/// What ends a Parquet file: the length of the metadata before it, and `PAR1`.
const TAIL: usize = 8;

/// How many bytes the footer has, by the tail of a file.
fn footer_size(tail: &[u8]) -> Option<usize> {
    let size: [u8; 4] = tail.strip_suffix(b"PAR1")?.last_chunk().copied()?;
    (u32::from_le_bytes(size) as usize).checked_add(TAIL)
}

/// The footer of a Parquet file that is in memory.
pub(crate) fn parquet_footer(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(bytes.len().checked_sub(footer_size(bytes)?)?..)
}

/// The footer of a Parquet file, without the rest of it.
pub(crate) fn read_parquet_footer(path: &Path) -> Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let mut read = || -> std::io::Result<Option<Vec<u8>>> {
        let length = file.metadata()?.len();
        let mut tail = [0; TAIL];
        if length < TAIL as u64 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-(TAIL as i64)))?;
        file.read_exact(&mut tail)?;
        // Not more than there is, whatever the tail says.
        let Some(size) = footer_size(&tail).filter(|size| *size as u64 <= length) else {
            return Ok(None);
        };
        let mut footer = vec![0; size];
        file.seek(SeekFrom::End(-(size as i64)))?;
        file.read_exact(&mut footer)?;
        Ok(Some(footer))
    };
    let footer = read().map_err(|e| Error::io(path, "reading it", &e))?;
    footer.ok_or_else(|| damaged(path, "it has not the end of a Parquet file"))
}

/// The columns of a Parquet file, by its footer.
pub(crate) fn schema_of_footer(path: &Path, footer: &[u8]) -> Result<SchemaRef> {
    let metadata = &footer[..footer.len().saturating_sub(TAIL)];
    let metadata = ParquetMetaDataReader::decode_metadata(metadata);
    let known = metadata.and_then(|known| {
        ArrowReaderMetadata::try_new(Arc::new(known), ArrowReaderOptions::default())
    });
    Ok(known.map_err(|e| damaged(path, e.to_string()))?.schema().clone())
}

fn stream(
    (path, refused): (PathBuf, Refused),
    schema: SchemaRef,
    mut reader: impl RecordBatchReader + Send + 'static,
) -> Batches {
    let what = path.display().to_string();
    Batches::new(schema.clone(), move || {
        let batch = reader.next().transpose();
        let batch = batch.and_then(|b| b.map(|b| b.with_schema(schema.clone())).transpose());
        batch.map_err(|error| match from_arrow(&what, error) {
            Error::Invalid { got, .. } => {
                let (location, what) = (what.clone(), "the table".into());
                refused.explain(&path, Error::Corrupt { location, what, why: got })
            }
            own => own,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions};

    use super::*;

    /// Goal: packed tables of Arrow are read, as pandas writes Feather; one whose packed part claims more than it can hold, or whose
    /// buffer lies elsewhere, is refused before it is unpacked.
    #[test]
    fn packed_tables_of_arrow_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.arrow");
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..10_000).map(|n| n / 7)));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        for packed in [Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD), None] {
            let options = IpcWriteOptions::default().try_with_compression(packed).unwrap();
            let mut file = Vec::new();
            let mut writer =
                FileWriter::try_new_with_options(&mut file, &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            drop(writer);
            std::fs::write(&path, &file).unwrap();
            let read: Vec<_> = super::read(&path).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, std::slice::from_ref(&batch));
            let size = 80_000i64.to_le_bytes();
            let places = (0..file.len() - 8).filter(|at| file[*at..*at + 8] == size);
            let places: Vec<usize> = places.collect();
            if packed.is_none() {
                // Of the buffer and of the part: a lie is an error, and no panic.
                let mut refused = 0;
                for (at, lie) in
                    places.iter().flat_map(|at| [-1i64, 1 << 60, i64::MAX].map(|lie| (*at, lie)))
                {
                    let mut lying = file.clone();
                    lying[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                    std::fs::write(&path, &lying).unwrap();
                    let read = super::read(&path)
                        .map(|batches| batches.collect::<std::result::Result<Vec<_>, _>>());
                    // What lies there may say nothing that is used.
                    let is_right =
                        read.is_ok_and(|read| read.is_ok_and(|read| read == [batch.clone()]));
                    refused += usize::from(!is_right);
                }
                assert!(refused >= 6, "{refused} of {places:?}");
                continue;
            }
            let at = places[0];
            for lie in [1i64 << 60, i64::MAX] {
                file[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                std::fs::write(&path, &file).unwrap();
                let refused = super::read(&path).err().unwrap().to_string();
                assert!(refused.contains("bytes in a packed part"), "{refused}");
            }
        }
    }
}
