use proptest::prelude::*;

use super::column::{Column, Kind, Words};
use super::{Block, checksum, encode};

fn bits(items: &[f64]) -> Vec<u64> {
    items.iter().map(|x| x.to_bits()).collect()
}

fn sample() -> Vec<u8> {
    let n = 300usize;
    let time: Vec<i64> = (0..n as i64).map(|i| 1_700_000_000_000 + i * 500).collect();
    let price: Vec<f64> = (0..n).map(|i| (108_500 + i * 7 % 13) as f64 / 1e5).collect();
    let codes: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    let flags: Vec<u8> = (0..n).map(|i| (i / 100) as u8).collect();
    let words = ["YOFX", "ß", ""];
    let columns = [
        Column::I64(&time),
        Column::F64(&price),
        Column::Text(&codes, &words),
        Column::U8(&flags),
        Column::F64(&[f64::NAN; 300]),
    ];
    encode(&columns).unwrap()
}

/// Goal: each type comes back, with its range, and a constant costs next to nothing.
#[test]
fn each_column_returns_with_its_range() {
    let bytes = sample();
    let block = Block::open(&bytes).unwrap();
    assert_eq!(block.rows(), 300);
    let kinds: Vec<_> = block.kinds().collect();
    assert_eq!(kinds, [Kind::I64, Kind::F64, Kind::Text, Kind::U8, Kind::F64]);
    assert_eq!(block.range_i64(0).unwrap(), (1_700_000_000_000, 1_700_000_149_500));
    assert_eq!(block.range_i64(3).unwrap(), (0, 2));
    let mut time = vec![7];
    block.read_i64(0, &mut time).unwrap();
    assert_eq!((time.len(), time[0], time[300]), (301, 7, 1_700_000_149_500));
    let text = block.text(2).unwrap();
    assert_eq!(text.words, ["YOFX", "ß", ""]);
    assert_eq!(text.codes[..4], [0, 1, 2, 0]);
    let mut nan = Vec::new();
    block.read_f64(4, &mut nan).unwrap();
    assert!(nan.iter().all(|x| x.is_nan()));
    assert!(block.read_i64(1, &mut time).is_err(), "a column of another type");
    assert!(block.read_u8(9, &mut Vec::new()).is_err(), "a column that is not there");
}

/// Goal: a flipped bit anywhere is seen, and so is a block that was cut.
#[test]
fn damage_is_seen() {
    let bytes = sample();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Block::open(&bad).is_err(), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|n| Block::open(&bytes[..n]).is_err()));
}

/// Goal: what makes no block is refused before anything is made.
#[test]
fn columns_that_do_not_fit_are_refused() {
    for columns in [
        &[][..],
        &[Column::I64(&[])],
        &[Column::I64(&[1]), Column::U8(&[1, 2])],
        &[Column::Text(&[1], &["only one"])],
    ] {
        assert!(encode(columns).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: every number returns bit for bit: NaN payloads, -0.0, subnormals.
    #[test]
    fn decode_inverts_encode(
        rows in prop::collection::vec((any::<i64>(), any::<u64>(), 0u32..4, any::<u8>()), 1..700),
        narrow in any::<bool>(),
    ) {
        let time: Vec<i64> =
            rows.iter().map(|r| if narrow { r.0 >> 40 } else { r.0 }).collect();
        let special = [f64::NAN, -0.0, 0.0, f64::MIN_POSITIVE / 8.0];
        let real: Vec<f64> = rows
            .iter()
            .map(|r| if narrow { special[r.2 as usize] } else { f64::from_bits(r.1) })
            .collect();
        let codes: Vec<u32> = rows.iter().map(|r| r.2).collect();
        let bytes: Vec<u8> = rows.iter().map(|r| if narrow { r.3 & 1 } else { r.3 }).collect();
        let words = ["a", "b", "a", "longer word"];
        let encoded = encode(&[
            Column::I64(&time),
            Column::F64(&real),
            Column::Text(&codes, &words),
            Column::U8(&bytes),
        ])?;
        let block = Block::open(&encoded)?;
        let (mut t, mut r, mut b) = (vec![], vec![], vec![]);
        block.read_i64(0, &mut t)?;
        block.read_f64(1, &mut r)?;
        block.read_u8(3, &mut b)?;
        prop_assert_eq!(t, time);
        prop_assert_eq!(bits(&r), bits(&real));
        prop_assert_eq!(b, bytes);
        let words = words.map(str::to_owned).to_vec();
        prop_assert_eq!(block.text(2)?, Words { codes, words });
    }

    /// Goal: hostile bytes behind a right checksum give an error or numbers, never a panic or a
    /// large allocation.
    #[test]
    fn hostile_bytes_never_panic(
        at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let mut bytes = sample();
        let body = bytes.len() - 16;
        let at = at.index(body);
        for (i, byte) in with.iter().enumerate().filter(|(i, _)| at + i < body) {
            bytes[at + i] = *byte;
        }
        let sum = checksum(&bytes[..body]);
        bytes[body..].copy_from_slice(&sum);
        if let Ok(block) = Block::open(&bytes) {
            for column in 0..block.kinds().len() {
                let _ = block.read_i64(column, &mut Vec::new());
                let _ = block.read_f64(column, &mut Vec::new());
                let _ = block.read_u8(column, &mut Vec::new());
                let _ = block.text(column);
            }
        }
    }
}
