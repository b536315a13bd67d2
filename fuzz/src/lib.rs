//! What the fuzz targets share: reading an input, and the seeds that they begin with.
//!
//! A target plants its seeds when its corpus is empty, so that no bytes need to be kept with the
//! project: `cargo fuzz run -s none blob`.

use std::fs;
use std::path::Path;

/// An input, taken from the front: short inputs give zeros and empty texts.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The whole input.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A byte of length, and as many bytes.
    pub fn piece(&mut self) -> &'a [u8] {
        let n = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(n);
        self.0 = rest;
        piece
    }

    /// The next piece as text; what is not UTF-8 is empty.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.piece()).unwrap_or_default()
    }

    /// A number of up to eight bytes, low byte first.
    pub fn number(&mut self) -> u64 {
        let piece = self.piece();
        let mut bytes = [0; 8];
        let n = piece.len().min(8);
        bytes[..n].copy_from_slice(&piece[..n]);
        u64::from_le_bytes(bytes)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// An input, put together: the other side of [`Input`].
#[derive(Default)]
pub struct Seed(Vec<u8>);

impl Seed {
    /// Adds one byte.
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Adds a piece of at most 255 bytes.
    pub fn piece(self, piece: &[u8]) -> Self {
        let n = u8::try_from(piece.len()).expect("a piece has a byte of length");
        self.byte(n).rest(piece)
    }

    /// Adds a number as a piece.
    pub fn number(self, number: u64) -> Self {
        let bytes = number.to_le_bytes();
        let n = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.piece(&bytes[..n])
    }

    /// Adds bytes as they are.
    pub fn rest(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// A folder in memory where there is one.
pub fn folder_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    folder.expect("a temporary folder")
}

/// Writes a target's seeds into its corpus, if that is empty.
pub fn plant(target: &str, seeds: impl FnOnce() -> Vec<Seed>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus is ours to write");
    if fs::read_dir(&folder).expect("it was just made").next().is_some() {
        return;
    }
    for (i, seed) in seeds().into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{i:04}")), seed.0).expect("a small file");
    }
}
