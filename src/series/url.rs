//! A backend by its address.

use super::backend::StorageBackend;
use super::in_memory::MemoryBackend;
use super::parquet_folder::ParquetBackend;
use super::sqlite::SqliteBackend;
use crate::error::{Error, Result};

/// Opens the backend of an address: `memory:`, `parquet:DIR`, `sqlite:FILE` (`sqlite:///FILE` too), or
/// `postgresql://...` with the feature of that name.
///
/// # Errors
/// [`Error::Invalid`] for another scheme; what the backend says. A secret in an address is never repeated.
///
/// # Example
/// ```
/// use siltstone::series::{self, Series};
/// let backend = series::open("memory:")?;
/// backend.save("line#1", &Series::from_times_ns(&[0], &[20.5])?, &Default::default())?;
/// assert!(backend.exists("line#1")?);
/// assert!(series::open("ftp://me:secret@host/").is_err_and(|e| !e.to_string().contains("secret")));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn open(url: &str) -> Result<Box<dyn StorageBackend>> {
    let unknown = |got: &str| {
        Error::invalid(
            "the address of a series store",
            "memory:, parquet:DIR, sqlite:FILE or postgresql://...",
            got.to_owned(),
        )
    };
    let (scheme, rest) =
        url.split_once(':').ok_or_else(|| unknown("an address without a scheme"))?;
    // Three slashes as SQLAlchemy writes it: `sqlite:///a.db` is relative, `sqlite:////a.db` absolute.
    let path = rest.strip_prefix("///").unwrap_or(rest);
    match scheme {
        "memory" if rest.is_empty() => Ok(Box::new(MemoryBackend::new())),
        "sqlite" if path == ":memory:" || rest == "//" => Ok(Box::new(MemoryBackend::new())),
        "parquet" | "sqlite" if path.is_empty() => Err(unknown("an address without a path")),
        "parquet" => Ok(Box::new(ParquetBackend::open(path)?)),
        "sqlite" => Ok(Box::new(SqliteBackend::open(path)?)),
        #[cfg(feature = "postgresql")]
        _ if matches!(scheme.split('+').next(), Some("postgresql" | "postgres")) => {
            Ok(Box::new(super::postgresql::PostgresBackend::open(url)?))
        }
        other => Err(unknown(&format!("the scheme {other:?}"))),
    }
}
