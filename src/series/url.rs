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
    #[cfg(feature = "postgresql")]
    if is_postgresql(url) {
        return Ok(Box::new(super::postgresql::PostgresBackend::open(url)?));
    }
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
        other => Err(unknown(&format!("the scheme {other:?}"))),
    }
}

/// As [`open`]; a server that wants a password that is nowhere gets what `ask` returns: see
/// [`PostgresBackend::open_asking`](super::PostgresBackend::open_asking).
///
/// # Errors
/// As [`open`], and those of `ask`.
#[cfg(feature = "postgresql")]
pub fn open_asking(
    url: &str,
    ask: impl FnMut(&str) -> Result<String>,
) -> Result<Box<dyn StorageBackend>> {
    match is_postgresql(url) {
        true => Ok(Box::new(super::postgresql::PostgresBackend::open_asking(url, ask)?)),
        false => open(url),
    }
}

#[cfg(feature = "postgresql")]
fn is_postgresql(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let scheme = scheme.and_then(|scheme| scheme.split('+').next());
    matches!(scheme, Some("postgresql" | "postgres"))
}

/// An address without the passwords in it: what may be kept, shown and sent to another process.
///
/// # Example
/// ```
/// use siltstone::series::without_password;
/// let address = without_password("postgresql://me:secret@server/plant?sslmode=require&password=secret");
/// assert_eq!(address, "postgresql://me@server/plant?sslmode=require");
/// ```
pub fn without_password(url: &str) -> String {
    let parts = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres"));
    let Some((scheme, rest)) = parts else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // An @ within a password is an error elsewhere; here nothing of it may stay.
    let (user, host) = match rest[..end].rsplit_once('@') {
        Some((user, host)) => (format!("{}@", user.split(':').next().unwrap_or_default()), host),
        None => (String::new(), &rest[..end]),
    };
    let (path, query) = rest[end..].split_once('?').unwrap_or((&rest[end..], ""));
    let is_secret = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        matches!(name, "password" | "sslpassword")
    };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.is_empty() && !is_secret(pair)).collect();
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    format!("{scheme}://{user}{host}{path}{query}")
}
