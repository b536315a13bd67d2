//! How much is in memory at once while a lake is published to.

use crate::error::{Error, Result};

/// What is sent in one request.
pub(super) const PART_BYTES: usize = 8 << 20;
/// What a segment takes: a row group that is written and the rows of a batch, and then the parts that are sent.
const SEGMENT_BYTES: u64 = 96 << 20;
const LEAST_BYTES: u64 = 64 << 20;

/// How much is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Segments that are made and sent.
    pub(super) segments: usize,
    /// Bytes of a row group.
    pub(super) group_bytes: usize,
    /// Parts of a segment that are on their way.
    pub(super) parts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { segments: 4, group_bytes: 32 << 20, parts: 4 }
    }
}

impl Budget {
    /// # Errors
    /// [`Error::Invalid`] for fewer bytes than publishing needs.
    pub(super) fn of(max_memory: Option<u64>) -> Result<Self> {
        let all = Budget::default();
        match max_memory {
            None => Ok(all),
            Some(bytes) if bytes < LEAST_BYTES => {
                let expected = format!("{LEAST_BYTES} bytes (64 MiB) or more");
                Err(Error::invalid("max_memory", expected, bytes.to_string()))
            }
            Some(bytes) if bytes < SEGMENT_BYTES => {
                Ok(Budget { segments: 1, group_bytes: 8 << 20, parts: 1 })
            }
            Some(bytes) => {
                Ok(Budget { segments: all.segments.min((bytes / SEGMENT_BYTES) as usize), ..all })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: as many segments are made at once as have room, one at least, and less room than that is refused.
    #[test]
    fn segments_are_as_many_as_have_room() {
        let of = |mebibytes: u64| Budget::of(Some(mebibytes << 20));
        assert_eq!([64, 96, 200, 4_096].map(|n| of(n).unwrap().segments), [1, 1, 2, 4]);
        assert_eq!(of(4_096).unwrap(), Budget::default());
        assert!(of(64).unwrap().group_bytes < of(96).unwrap().group_bytes);
        assert!(of(63).unwrap_err().to_string().contains("64 MiB"));
    }
}
