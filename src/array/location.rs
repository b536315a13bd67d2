//! An array that lies in a block with others.

/// The codec of such an array: in place of its bytes stands a [`BlockLocation`].
pub(crate) const BLOCK: &str = "block";

/// Where an array lies: 16 bytes in place of its own, both numbers low byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockLocation {
    /// Row of `array_block`.
    pub(crate) block: i64,
    /// Bytes from the beginning of the unpacked block.
    pub(crate) offset: u64,
}

impl BlockLocation {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.block.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (block, offset) = bytes.split_at_checked(8)?;
        let (block, offset) = (block.try_into().ok()?, offset.try_into().ok()?);
        Some(BlockLocation { block: i64::from_le_bytes(block), offset: u64::from_le_bytes(offset) })
    }
}
