//! The log of a run: records in pieces, in blocks of 32 KiB, as LevelDB's log has them.
//!
//! # Source
//! LevelDB, `doc/log_format.md`; the header of seven bytes and the plain CRC-32 are of wandb.

/// What a file begins with: `:W&B`, a number, a version.
pub(super) const HEADER: &[u8; 7] = b":W&B\xE1\xBE\x00";
const BLOCK: usize = 32 << 10;
/// The checksum, the length and the kind of a piece.
const HEAD: usize = 7;

/// How a log ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Places where bytes are not those that were written; the rest of their block was passed over.
    pub(super) damaged: u64,
    /// Where the first of them is.
    pub(super) first: usize,
    /// Whether a part of a record is at the end.
    pub(super) is_partial: bool,
}

/// Gives each record that is whole; `None` for what does not begin as a log does. A damaged length leads to the next block.
pub(super) fn each(bytes: &[u8], mut record: impl FnMut(&[u8])) -> Option<Ended> {
    if bytes.len() < HEADER.len() {
        return HEADER.starts_with(bytes).then(|| Ended { is_partial: true, ..Ended::default() });
    }
    if !bytes.starts_with(HEADER) {
        return None;
    }
    let (mut at, mut ended, mut begun) = (HEADER.len(), Ended::default(), None::<Vec<u8>>);
    while at < bytes.len() {
        let in_block = BLOCK - at % BLOCK;
        // Too few for a piece, or never written: zeros.
        if in_block < HEAD || bytes[at..].iter().take(HEAD).all(|byte| *byte == 0) {
            at += in_block;
            continue;
        }
        let Some((head, rest)) = bytes[at..].split_at_checked(HEAD) else {
            ended.is_partial = true;
            return Some(ended);
        };
        let sum = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
        let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let fits = length <= in_block - HEAD;
        if fits && length > rest.len() {
            ended.is_partial = true;
            return Some(ended);
        }
        let data = &rest[..length.min(rest.len())];
        if !fits || crc(head[6], data) != sum {
            ended.damaged += 1;
            ended.first = if ended.damaged == 1 { at } else { ended.first };
            begun = None;
            at += in_block;
            continue;
        }
        at += HEAD + length;
        match (head[6], begun.take()) {
            (1, _) => record(data),
            (2, _) => begun = Some(data.to_vec()),
            (3, Some(mut before)) => {
                before.extend_from_slice(data);
                begun = Some(before);
            }
            (4, Some(mut before)) => {
                before.extend_from_slice(data);
                record(&before);
            }
            _ => {} // what is left of a damaged record
        }
    }
    ended.is_partial = begun.is_some();
    Some(ended)
}

fn crc(kind: u8, data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(&[kind]);
    crc.update(data);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u16).to_le_bytes();
        [&crc(kind, data).to_le_bytes()[..], &length, &[kind], data].concat()
    }

    fn read(bytes: &[u8]) -> (Vec<usize>, Option<Ended>) {
        let mut lengths = Vec::new();
        let ended = each(bytes, |record| lengths.push(record.len()));
        (lengths, ended)
    }

    /// Goal: records come whole, over blocks too; a cut end and damage are noticed, and what follows the block is read.
    #[test]
    fn records_are_whole_or_noticed() {
        let first = BLOCK - HEADER.len() - HEAD;
        let whole = [
            HEADER.to_vec(),
            piece(2, &vec![1; first]),
            piece(3, &vec![2; BLOCK - HEAD]),
            piece(4, &[3; 5]),
            piece(1, &[4; 6]),
        ]
        .concat();
        assert_eq!(read(&whole), (vec![first + BLOCK - HEAD + 5, 6], Some(Ended::default())));
        for cut in 1..=HEAD + 5 {
            let (lengths, ended) = read(&whole[..whole.len() - cut]);
            assert_eq!((lengths.len(), ended.unwrap().is_partial), (1, true), "{cut}");
        }
        assert!(read(&whole[..3]).1.unwrap().is_partial);
        let mut bad = whole.clone();
        bad[100] ^= 1;
        let ended = Ended { damaged: 1, first: HEADER.len(), is_partial: false };
        assert_eq!(read(&bad), (vec![6], Some(ended)));
        assert_eq!(read(b"not a log at all").1, None);
        // A length beyond its block, and zeros to the end of one.
        let lie = [&HEADER[..], &[0, 0, 0, 1, 0xFF, 0xFF, 1]].concat();
        assert_eq!(read(&lie).1.unwrap().damaged, 1);
        let zeros = [&HEADER[..], &[0; 1 << 16]].concat();
        assert_eq!(read(&zeros), (vec![], Some(Ended::default())));
    }
}
