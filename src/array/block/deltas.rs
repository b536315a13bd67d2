//! Integers by their differences, each group of them in as few bits as it needs.
//!
//! ```text
//! i64      the first number
//!          for each group of 256 differences (the last may be shorter):
//! i64        the least of them
//! u8         bits of each: 0 to 56, or 64
//!          for each group: the differences less the least, one after another from the lowest bit on, to a whole byte
//! ```
//!
//! All sums wrap around.

const GROUP: usize = 256;
const HEAD: usize = 8;
const ENTRY: usize = 9;
/// The most bits of a number that can be read with one 64-bit load, wherever it begins.
const MOST_BITS: u32 = 56;

/// The bytes of at least one number, if they are fewer than `most`.
pub(super) fn encode(items: &[i64], most: usize) -> Option<Vec<u8>> {
    let (first, groups) = (*items.first()?, (items.len() - 1).div_ceil(GROUP));
    let mut out = Vec::with_capacity(HEAD + groups * ENTRY + items.len() * 2);
    out.extend_from_slice(&first.to_le_bytes());
    out.resize(HEAD + groups * ENTRY, 0);
    let mut differences = [0_i64; GROUP];
    for group in 0..groups {
        let own = &items[group * GROUP..items.len().min((group + 1) * GROUP + 1)];
        let differences = &mut differences[..own.len() - 1];
        for (difference, pair) in differences.iter_mut().zip(own.windows(2)) {
            *difference = pair[1].wrapping_sub(pair[0]);
        }
        let least = differences.iter().copied().min().unwrap_or(0);
        let all = differences.iter().fold(0, |all, item| all | item.wrapping_sub(least) as u64);
        let bits = match u64::BITS - all.leading_zeros() {
            bits if bits > MOST_BITS => u64::BITS,
            bits => bits,
        };
        let entry = &mut out[HEAD + group * ENTRY..][..ENTRY];
        entry[..8].copy_from_slice(&least.to_le_bytes());
        entry[8] = bits as u8;
        put(differences, least, bits, &mut out);
        if out.len() >= most {
            return None;
        }
    }
    (out.len() < most).then_some(out)
}

fn put(differences: &[i64], least: i64, bits: u32, out: &mut Vec<u8>) {
    let end = out.len() + (differences.len() * bits as usize).div_ceil(8);
    let (mut waiting, mut held) = (0_u128, 0);
    for item in differences {
        waiting |= u128::from(item.wrapping_sub(least) as u64) << held;
        held += bits;
        if held >= u64::BITS {
            out.extend_from_slice(&(waiting as u64).to_le_bytes());
            waiting >>= u64::BITS;
            held -= u64::BITS;
        }
    }
    out.extend_from_slice(&(waiting as u64).to_le_bytes());
    out.truncate(end);
}

/// Appends the `n` numbers.
pub(super) fn decode(stored: &[u8], n: usize, out: &mut Vec<i64>) -> Result<(), String> {
    let short = || "packed differences end too early".to_owned();
    let Some(differences) = n.checked_sub(1) else {
        return Err("packed differences have a first number".into());
    };
    let (first, rest) = stored.split_at_checked(HEAD).ok_or_else(short)?;
    let groups = differences.div_ceil(GROUP);
    let (entries, mut rest) = rest.split_at_checked(groups * ENTRY).ok_or_else(short)?;
    super::numbers::grow(out, n)?;
    let mut last = i64::from_le_bytes(first.try_into().expect("eight bytes"));
    out.push(last);
    let mut padded = [0; GROUP * 8 + 8];
    for (group, entry) in entries.chunks_exact(ENTRY).enumerate() {
        let least = i64::from_le_bytes(entry[..8].try_into().expect("eight bytes"));
        let (bits, count) = (entry[8] as usize, GROUP.min(differences - group * GROUP));
        if bits > MOST_BITS as usize && bits != 64 {
            return Err(format!("a difference cannot have {bits} bits"));
        }
        let (own, others) = rest.split_at_checked((count * bits).div_ceil(8)).ok_or_else(short)?;
        // A load reaches up to eight bytes beyond: into the next groups, or into zeros.
        let bytes = match rest.get(..own.len() + 8) {
            Some(bytes) => bytes,
            None => {
                padded[..own.len()].copy_from_slice(own);
                padded[own.len()..own.len() + 8].fill(0);
                &padded[..own.len() + 8]
            }
        };
        rest = others;
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        out.extend((0..count).map(|i| {
            let (byte, shift) = (i * bits / 8, i * bits % 8);
            let word: [u8; 8] = bytes[byte..byte + 8].try_into().expect("eight bytes");
            let item = u64::from_le_bytes(word) >> shift & mask;
            last = last.wrapping_add(least).wrapping_add(item as i64);
            last
        }));
    }
    if rest.is_empty() { Ok(()) } else { Err("bytes are left over after the differences".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Goal: integers of any size and in any number come back, and cut bytes are refused.
        #[test]
        fn decode_inverts_encode(
            items in prop::collection::vec(any::<i64>(), 1..700), bits in 0_u32..64,
        ) {
            let items: Vec<i64> = items.iter().map(|item| item >> bits).collect();
            let bytes = encode(&items, usize::MAX).unwrap();
            let mut back = vec![7];
            decode(&bytes, items.len(), &mut back).unwrap();
            prop_assert_eq!(&back[1..], &items);
            prop_assert!(decode(&bytes[..bytes.len() - 1], items.len(), &mut back).is_err());
            prop_assert!(encode(&items, bytes.len()).is_none());
        }
    }

    /// Goal: numbers that rise nearly evenly cost as many bits as their unevenness has.
    #[test]
    fn bits_are_few() {
        let items: Vec<i64> = (0..10_000).map(|i| i * 1_000_000_007 + i % 8).collect();
        let bytes = encode(&items, usize::MAX).unwrap();
        assert!(bytes.len() < 10_000 * 4 / 8 + 10_000 / 20, "{}", bytes.len());
    }
}
