//! A folder of an object store, with calls that wait.

mod reading;

pub(super) use reading::plain;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::budget::{Budget, PART_BYTES};
use super::id::uuid;
use super::profile::with_profile;
use crate::error::{Error, Result};
use crate::kernel::{Temporary, create_folder, sync_name};

/// The folder of a lake in which its store is tested.
pub(super) const PROBES: &str = "_siltstone_probe";

/// A folder of an object store. Clones share its connections.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    root: Key,
    /// As it was given, without what stands behind `?`.
    address: String,
    /// Of a local folder: what is written is synced.
    folder: Option<PathBuf>,
    pub(super) budget: Budget,
    runtime: Arc<Runtime>,
}

/// An object that was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Below the folder.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) modified_ms: i64,
}

impl Objects {
    /// A folder by its address: a path, `file:///folder`, `s3://bucket/folder`, `gs://...`, `az://...`. Who may enter is found
    /// as the tools of these stores find it: in the environment, or from the machine's own identity.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is none, [`Error::Server`] for a store that cannot be set up.
    pub(super) fn open(address: &str) -> Result<Self> {
        Self::at(address, true)
    }

    fn at(address: &str, make_folder: bool) -> Result<Self> {
        let invalid = |got: String| {
            let expected = "a folder, file:///folder, s3://bucket/folder, gs://bucket/folder or az://container/folder";
            Error::invalid("the lake", expected, got)
        };
        if address.is_empty() {
            return Err(invalid("an empty text".into()));
        }
        if address.starts_with("postgres") && address.contains("://") {
            let got = "a PostgreSQL server, which is published to, and asked in SQL";
            return Err(invalid(got.into()));
        }
        if is_mistyped(address) {
            return Err(invalid(format!("{address:?}")));
        }
        let address = address.trim_end_matches('/');
        let url = match address.split_once("://") {
            None => {
                let path = std::path::absolute(address)
                    .map_err(|e| Error::io(address, "looking for it", &e))?;
                Url::from_file_path(&path).map_err(|()| invalid(format!("{address:?}")))?
            }
            Some(_) => Url::parse(address).map_err(|e| invalid(e.to_string()))?,
        };
        if url.password().is_some() || url.query().is_some() {
            let got = "an address with a password or a query in it";
            let expected = "secrets in the environment, where no list of processes shows them";
            return Err(Error::invalid("the lake", expected, got));
        }
        let failed = |error: object_store::Error| server(address, "setting it up", &error);
        let (mut folder, mut name) = (None, address.to_owned());
        let (store, root): (Arc<dyn ObjectStore>, &str) = match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| invalid(format!("{address:?}")))?;
                if make_folder {
                    create_folder(&path, true)?;
                } else if !path.is_dir() {
                    let location = path.parent().unwrap_or(&path).display().to_string();
                    return Err(Error::NotFound { what: "lake", name: address.into(), location });
                }
                let store = LocalFileSystem::new_with_prefix(&path).map_err(failed)?;
                // However it is spelled, it is one lake.
                let path =
                    path.canonicalize().map_err(|e| Error::io(&path, "looking for it", &e))?;
                name = path.display().to_string();
                folder = Some(path);
                (Arc::new(store), "")
            }
            "s3" | "s3a" => {
                let builder = AmazonS3Builder::from_env().with_url(url.as_str());
                let builder = with_profile(builder, &|name| std::env::var(name).ok())?;
                (Arc::new(builder.build().map_err(failed)?), url.path())
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
                (Arc::new(builder.build().map_err(failed)?), url.path())
            }
            "az" | "abfs" | "abfss" => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
                (Arc::new(builder.build().map_err(failed)?), url.path())
            }
            other => return Err(invalid(format!("{other}://"))),
        };
        let root = Key::from_url_path(root).map_err(|e| invalid(e.to_string()))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| Error::io(address, "starting a thread for it", &e))?;
        let (address, budget, runtime) = (name, Budget::default(), Arc::new(runtime));
        Ok(Objects { store, root, address, folder, budget, runtime })
    }

    /// The same folder, published to with so much in memory.
    pub(super) fn within(self, budget: Budget) -> Self {
        Objects { budget, ..self }
    }

    /// For tests: a store of their own.
    #[cfg(test)]
    pub(super) fn over(store: Arc<dyn ObjectStore>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (root, address, budget) = (Key::default(), "memory".to_owned(), Budget::default());
        Objects { store, root, address, folder: None, budget, runtime: Arc::new(runtime) }
    }

    /// The address, which has no secret.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A folder below this one.
    pub(super) fn folder(&self, name: &str) -> Self {
        Objects {
            root: self.root.clone().join(name),
            address: format!("{}/{name}", self.address),
            folder: self.folder.as_ref().map(|folder| folder.join(name)),
            ..self.clone()
        }
    }

    fn key(&self, name: &str) -> Key {
        // `folder` is in the root already; the local store begins at its own.
        name.split('/').fold(self.root.clone(), |key, part| key.join(part))
    }

    fn failed(&self, action: &'static str, error: &object_store::Error) -> Error {
        server(&self.address, action, error)
    }

    /// An object; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Server`], or [`Error::Io`] of a local folder; so below.
    pub(super) fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let key = self.key(name);
        let got = self.runtime.block_on(async { self.store.get(&key).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("reading it", &error)),
        }
    }

    /// The objects below a folder of this one, by name; only those behind the name `after`, if it is given.
    pub(super) fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Listed>> {
        let prefix = if folder.is_empty() { self.root.clone() } else { self.key(folder) };
        let listed = match after {
            None => self.store.list(Some(&prefix)),
            Some(name) => self.store.list_with_offset(Some(&prefix), &self.key(name)),
        };
        let listed = listed.map_ok(|found| {
            let name = found.location.prefix_match(&self.root).map(|parts| {
                parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
            });
            Listed {
                name: name.unwrap_or_default(),
                bytes: found.size,
                modified_ms: found.last_modified.timestamp_millis(),
            }
        });
        let listed: object_store::Result<Vec<Listed>> = self.runtime.block_on(listed.try_collect());
        match listed {
            Ok(mut listed) => {
                listed.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(listed)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(self.failed("listing it", &error)),
        }
    }

    /// What is known of an object; `None` if there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<Listed>> {
        let key = self.key(name);
        match self.runtime.block_on(self.store.head(&key)) {
            Ok(found) => Ok(Some(Listed {
                name: name.to_owned(),
                bytes: found.size,
                modified_ms: found.last_modified.timestamp_millis(),
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("looking for a file", &error)),
        }
    }

    /// Makes an object unless one has that name; whether it did. After an error of the network it may have been made.
    pub(super) fn create(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool> {
        let bytes: Bytes = bytes.into();
        if let Some(folder) = &self.folder {
            let path = folder.join(name);
            let temporary = on_disk(&path, &mut &bytes[..])?;
            let is_made = temporary.rename_new(&path)?;
            sync_name(&path)?;
            return Ok(is_made);
        }
        let options = PutOptions::from(PutMode::Create);
        let key = self.key(name);
        let put = self.store.put_opts(&key, bytes.into(), options);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(self.failed("writing to it", &error)),
        }
    }

    /// Makes or replaces an object.
    pub(super) fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let bytes: Bytes = bytes.into();
        if self.folder.is_some() {
            return self.put_on_disk(name, &mut &bytes[..]);
        }
        let put = self.runtime.block_on(self.store.put(&self.key(name), bytes.into()));
        put.map(drop).map_err(|error| self.failed("writing to it", &error))
    }

    /// A file of a local folder, which is on the disk before it has its name.
    fn put_on_disk(&self, name: &str, from: &mut dyn Read) -> Result<()> {
        let path = self.folder.as_ref().map_or_else(PathBuf::new, |folder| folder.join(name));
        on_disk(&path, from)?.rename(&path)?;
        sync_name(&path)
    }

    /// Sends a file, from where it is read now; a large one in parts, of which a few are in memory.
    pub(super) fn send(&self, name: &str, file: &mut File, bytes: u64) -> Result<()> {
        if self.folder.is_some() {
            return self.put_on_disk(name, file);
        }
        let read =
            |e: std::io::Error| Error::io(std::env::temp_dir(), "reading a file to publish", &e);
        if bytes <= PART_BYTES as u64 {
            let mut whole = Vec::with_capacity(bytes as usize);
            file.read_to_end(&mut whole).map_err(read)?;
            return self.put(name, whole);
        }
        let key = self.key(name);
        let action = "writing to it";
        let upload = self.runtime.block_on(self.store.put_multipart(&key));
        let upload = upload.map_err(|error| self.failed(action, &error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut part = vec![0; PART_BYTES];
        loop {
            let n = match file.read(&mut part) {
                Ok(n) => n,
                Err(error) => {
                    let _ = self.runtime.block_on(upload.abort()); // the reason is told, not what follows
                    return Err(read(error));
                }
            };
            if n == 0 {
                break;
            }
            let sent = self.runtime.block_on(async {
                upload.wait_for_capacity(self.budget.parts).await?;
                upload.write(&part[..n]);
                Ok(())
            });
            if let Err(error) = sent {
                let _ = self.runtime.block_on(upload.abort());
                return Err(self.failed(action, &error));
            }
        }
        let finished = self.runtime.block_on(upload.finish());
        finished.map(drop).map_err(|error| self.failed(action, &error))
    }

    /// Removes an object; nothing happens if there is none.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        match self.runtime.block_on(self.store.delete(&key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing a file", &error)),
        }
    }

    /// Whether of several writers of one name one wins and no more: what a log needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a store that lets two win.
    pub(super) fn probe(&self) -> Result<()> {
        let name = format!("{PROBES}/{}", uuid());
        let tries = [0u8, 1, 2, 3].map(|n| {
            let objects = self.clone();
            let name = name.clone();
            std::thread::spawn(move || objects.create(&name, vec![n]))
        });
        let mut won = 0;
        let mut failure = None;
        for attempt in tries {
            match attempt.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(is_made) => won += u32::from(is_made),
                Err(error) => failure = Some(error),
            }
        }
        // Once more, after all of them: a store that only delays is told from one that ignores the condition.
        let again = self.create(&name, vec![4]);
        let found = self.get(&name);
        self.remove(&name)?;
        if let Some(error) = failure {
            return Err(error);
        }
        won += u32::from(again?);
        // None, if the answer to the winner was lost: its second request met its own object.
        if won == 1 || (won == 0 && found?.is_some()) {
            return Ok(());
        }
        let expected = "a store that makes an object only if none has its name (put-if-absent)";
        let got = format!("{}, where {won} of 5 writers of one name won", self.address);
        Err(Error::invalid("the lake", expected, got))
    }
}

/// Whether an address looks like one of a store, and is none: it would become a folder here.
fn is_mistyped(address: &str) -> bool {
    let schemes = ["s3", "s3a", "gs", "az", "abfs", "abfss", "file", "http", "https"];
    let Some(scheme) = schemes.iter().find(|scheme| {
        address.strip_prefix(**scheme).is_some_and(|rest| rest.starts_with([':', '/']))
    }) else {
        return false;
    };
    match address[scheme.len()..].strip_prefix("://") {
        Some(rest) => *scheme != "file" && rest.trim_matches('/').is_empty(),
        None => {
            address[scheme.len()..].starts_with("//") || address[scheme.len()..].starts_with(':')
        }
    }
}

/// A file beside the one that it is going to be, with its bytes on the disk.
fn on_disk(path: &Path, from: &mut dyn Read) -> Result<Temporary> {
    create_folder(path.parent().unwrap_or(Path::new("")), true)?;
    let temporary = Temporary::file(path)?;
    let mut file = temporary.handle();
    let written = std::io::copy(from, &mut file).and_then(|_| file.sync_all());
    written.map_err(|e| Error::io(path, "writing it", &e))?;
    Ok(temporary)
}

/// What an object store said, as an error of ours; of a local folder as the system's.
fn server(address: &str, action: &'static str, error: &object_store::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if let Some(io) = io.filter(|io| io.raw_os_error().is_some() && is_of_files(io.kind())) {
            return Error::io(address, action, io);
        }
        cause = error.source();
    }
    let why = without_echo(&error.to_string());
    let why = match credentials(address).filter(|_| asks_the_machine(&why)) {
        Some(names) => format!(
            "no credentials were found: set {names}, or give the machine an identity that may write there ({why})"
        ),
        None => why,
    };
    Error::Server { location: address.to_owned(), action, why }
}

/// Whether a store asked the machine's own service who it is, which it does if nothing else says so; Azure wants a name first.
fn asks_the_machine(said: &str) -> bool {
    let signs = ["169.254.169.254", "metadata.google.internal", "Account must be specified"];
    signs.iter().any(|sign| said.contains(sign))
}

/// The variables of the environment that say who enters a store.
fn credentials(address: &str) -> Option<&'static str> {
    Some(match address.split_once("://")?.0 {
        "s3" | "s3a" => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS, the file of a service account's key",
        "az" | "abfs" | "abfss" => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        _ => return None,
    })
}

/// What a store said in XML, as its code and message alone: S3 repeats a token that is expired or not valid.
fn without_echo(said: &str) -> String {
    let part = |name: &str| {
        let (_, behind) = said.split_once(&format!("<{name}>"))?;
        behind.split_once(&format!("</{name}>")).map(|(text, _)| text)
    };
    let Some(at) = ["<?xml", "<Error"].into_iter().filter_map(|tag| said.find(tag)).min() else {
        return said.to_owned();
    };
    let behind = if said.contains("</Error") { said.rsplit_once('>') } else { None };
    let told: Vec<&str> = ["Code", "Message"].into_iter().filter_map(part).collect();
    format!("{}{}{}", &said[..at], told.join(": "), behind.map_or("", |(_, behind)| behind))
}

/// Whether the system refuses a file, and not what goes over a network.
fn is_of_files(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::NotFound
            | K::PermissionDenied
            | K::StorageFull
            | K::QuotaExceeded
            | K::FileTooLarge
            | K::ReadOnlyFilesystem
            | K::IsADirectory
            | K::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who has no credentials is told what to set, whichever the store, and an error of another kind stays as it is.
    #[test]
    fn missing_credentials_are_told_by_what_to_set() {
        let told = |address: &str, said: &str| {
            let error =
                object_store::Error::Generic { store: "S3", source: said.to_owned().into() };
            server(address, "listing it", &error).to_string()
        };
        let asked = "Error performing PUT http://169.254.169.254/latest/api/token in 3 s";
        for (address, name) in
            [("s3://b/l", "AWS_PROFILE"), ("gs://b/l", "GOOGLE_APP"), ("az://b/l", "ACCOUNT_KEY")]
        {
            let error = told(address, asked);
            assert!(error.contains(name) && error.contains(asked), "{error}");
            assert!(!told(address, "404 Not Found: NoSuchBucket").contains(name));
        }
    }

    /// Goal: code and message of a store's answer are told, and nothing else of it, whole or cut.
    #[test]
    fn an_answer_in_xml_is_told_without_what_it_repeats() {
        let body = "<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>It expired.</Message>\
            <Token-0>s3cret</Token-0></Error>";
        let said = |body: &str| without_echo(&format!("400 Bad Request: {body} of it"));
        assert_eq!(said(body), "400 Bad Request: ExpiredToken: It expired. of it");
        for end in 0..body.len() {
            assert!(!without_echo(&body[..end]).contains("s3c"), "cut at {end}");
        }
        assert_eq!(without_echo("a < b > c"), "a < b > c");
    }
}
