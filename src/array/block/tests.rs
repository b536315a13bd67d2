use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::DataType;
use arrow_select::concat::concat;
use proptest::prelude::*;

use super::kind::Form;
use super::*;
use crate::error::Result;

/// The rows of a block of one column.
fn column(bytes: &[u8], data_type: &DataType, n: usize) -> Result<ArrayRef> {
    Block::of_types(bytes, std::slice::from_ref(data_type), n)?.array(0, Some(data_type))
}

/// Columns of each kind, whole and with rows that are missing.
fn sample(n: usize) -> Vec<ArrayRef> {
    let some = |i: usize| !i.is_multiple_of(7);
    let words = ["idle", "", "ß", "moving"];
    let mut binary = BinaryBuilder::new();
    let mut fixed = FixedSizeBinaryBuilder::new(3);
    for i in 0..n {
        binary.append_value(vec![b'x'; i % 5]);
        fixed.append_value([i as u8, 0, 255]).unwrap();
    }
    let cents =
        |i: usize| if i.is_multiple_of(11) { f64::NAN } else { (i * 7 % 113) as f64 / 100.0 };
    vec![
        Arc::new(Int64Array::from_iter_values((0..n as i64).map(|i| i * 500 - 7))),
        Arc::new(Int64Array::from_iter((0..n).map(|i| some(i).then_some((i * i % 1009) as i64)))),
        Arc::new(Float64Array::from_iter_values((0..n).map(cents))),
        Arc::new(Float64Array::from_iter((0..n).map(|i| some(i).then(|| (i as f64).sin())))),
        Arc::new(Float64Array::from(vec![f64::NAN; n])),
        Arc::new(Float32Array::from_iter_values((0..n).map(|i| i as f32 / 3.0))),
        Arc::new(UInt64Array::from_iter_values((0..n as u64).map(|i| u64::MAX - i % 3))),
        Arc::new(Int8Array::from_iter_values((0..n).map(|i| (i % 5) as i8 - 2))),
        Arc::new(BooleanArray::from_iter((0..n).map(|i| some(i).then_some(i.is_multiple_of(3))))),
        Arc::new(StringArray::from_iter_values((0..n).map(|i| words[i % 4]))),
        Arc::new(StringArray::from_iter((0..n).map(|i| some(i).then(|| format!("row {i}"))))),
        Arc::new(binary.finish()),
        Arc::new(fixed.finish()),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            (0..n as i64).map(|i| 1_700_000_000_000 + i * i % 977),
        )),
    ]
}

/// Goal: the block on the page of the file's format is the one that is written, byte by byte.
#[test]
fn the_page_shows_a_block() {
    let level = |i: i64| match i {
        7 => None,
        9 => Some(f64::NAN),
        _ => Some(i as f64 / 4.0),
    };
    let states = (0..20).map(|i| if i % 3 == 1 { "moving" } else { "idle" });
    let columns: [ArrayRef; 3] = [
        Arc::new(Int64Array::from_iter_values((0..20).map(|i| 1000 + 7 * i * i))),
        Arc::new(Float64Array::from_iter((0..20).map(level))),
        Arc::new(StringArray::from_iter_values(states)),
    ];
    let bytes = encode(&columns, Effort::Fast).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let page =
        include_str!("../../../docs/format.md").split_once("BLOCK = bytes.fromhex(\n").unwrap().1;
    let shown: String = page.split_once("\n)").unwrap().0.split(['"', ' ', '\n']).collect();
    assert_eq!(shown, hex);
}

fn read(
    block: &Block<'_>,
    column: usize,
    data_type: &DataType,
    rows: std::ops::Range<usize>,
) -> ArrayRef {
    let mut growing = Growing::new(data_type).unwrap();
    block.append(column, rows, &mut growing).unwrap();
    growing.finish().unwrap()
}

/// Goal: each kind of column returns, all of it and any range of it, by either effort, of one piece and of several.
#[test]
fn every_column_returns_in_whole_and_in_part() {
    for n in [1, 300, PIECE_ROWS, 2 * PIECE_ROWS + 300] {
        for effort in [Effort::Fast, Effort::Compact, Effort::Whole] {
            let columns = sample(n);
            let bytes = encode(&columns, effort).unwrap();
            let block = Block::of_rows(&bytes, n).unwrap();
            assert_eq!((block.rows(), block.columns()), (n, columns.len()));
            block.verify().unwrap();
            for (i, column) in columns.iter().enumerate() {
                let data_type = column.data_type();
                let all = block.array(i, Some(data_type)).unwrap();
                assert_eq!(all.to_data(), column.to_data(), "column {i} of {n} rows");
                for rows in [0..1, n - 1..n, n / 3..n - n / 4, n / 2..n / 2] {
                    let part = read(&block, i, data_type, rows.clone());
                    let expected = column.slice(rows.start, rows.len());
                    assert_eq!(&part, &expected, "{rows:?} of column {i} of {n} rows");
                }
            }
        }
    }
}

/// Goal: texts and bytes of more than 2^20 bytes a piece come back, whichever form is the smallest; of earlier versions too, which wrote
/// more than one chunk for them.
#[test]
fn long_bytes_return() {
    let wave = |i: usize| (127.0 + 100.0 * (i as f64 / 37.0).sin() + (i * 7919 % 5) as f64) as u8;
    let all: Vec<u8> = (0..3 << 20).map(wave).collect();
    let mut rows = BinaryBuilder::new();
    all.chunks(all.len() / 4096).for_each(|row| rows.append_value(row));
    let rows: ArrayRef = Arc::new(rows.finish());
    let bytes = encode(std::slice::from_ref(&rows), Effort::Compact).unwrap();
    assert!(bytes.len() < all.len());
    assert_eq!(&Block::open(&bytes).unwrap().array(0, None).unwrap(), &rows);

    let config = pco::ChunkConfig::default()
        .with_enable_8_bit(true)
        .with_paging_spec(pco::PagingSpec::EqualPagesUpTo(MAX_ROWS));
    let chunks = pco::standalone::simple_compress(&all, &config).unwrap();
    let mut read = Vec::new();
    numbers::decode::<u8>(kind::Form::Pco, &chunks, all.len(), &mut read).unwrap();
    assert!(read == all);
    let fewer = numbers::decode::<u8>(kind::Form::Pco, &chunks, all.len() - 1, &mut Vec::new());
    let more = numbers::decode::<u8>(kind::Form::Pco, &chunks, all.len() + 1, &mut Vec::new());
    assert!(fewer.is_err() && more.is_err(), "{fewer:?} {more:?}");
}

/// Goal: blocks one behind the other are the arrays one behind the other, wherever rows are missing.
#[test]
fn columns_grow_by_blocks() {
    let parts = [sample(13), sample(2), sample(70)];
    for i in 0..parts[0].len() {
        let mut growing = Growing::new(parts[0][i].data_type()).unwrap();
        for part in &parts {
            let bytes = encode(&part[i..=i], Effort::Compact).unwrap();
            Block::open(&bytes).unwrap().append(0, 0..part[i].len(), &mut growing).unwrap();
        }
        let whole = concat(&parts.each_ref().map(|part| part[i].as_ref())).unwrap();
        assert_eq!(&growing.finish().unwrap(), &whole);
    }
}

/// Goal: the header finds the pieces of a range of times, a piece is read alone, and a column that is small is not cut.
#[test]
fn pieces_are_found_by_their_range() {
    let n = 4 * PIECE_ROWS;
    let chance = |i: i64| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    let uneven = |i: i64| i * 2_000 + (chance(i) ^ chance(i / 3)) as i64;
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from_iter_values((0..n as i64).map(uneven))),
        Arc::new(Int64Array::from_iter_values((0..n as i64).map(|i| i / 3_000))),
    ];
    let bytes = encode(&columns, Effort::Compact).unwrap();
    let block = Block::open(&bytes).unwrap();
    assert_eq!(block.range(0).unwrap(), Some((0, uneven(n as i64 - 1))));
    let (from, to) = (uneven(PIECE_ROWS as i64 + 5), uneven(2 * PIECE_ROWS as i64 - 5));
    assert_eq!(block.rows_between(0, from, to).unwrap(), PIECE_ROWS..2 * PIECE_ROWS);
    assert_eq!(block.rows_between(0, from, from).unwrap(), PIECE_ROWS..2 * PIECE_ROWS);
    assert_eq!(block.rows_between(0, -9, -1).unwrap(), 0..0);
    assert_eq!(block.rows_between(1, 1, 1).unwrap(), 0..n, "so small a column is one piece");
    // Whatever lies in the other pieces is not looked at.
    let mut bytes = bytes.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let block = Block::open(&bytes).unwrap();
    let mut times: Vec<i64> = vec![7];
    block.read(0, 3..5, &mut times).unwrap();
    assert_eq!(times, [7, uneven(3), uneven(4)]);
    assert!(block.read(1, 3..5, &mut times).is_err());
    assert!(block.read(0, 3..5, &mut Vec::<f64>::new()).is_err(), "a column of another type");
}

/// Goal: what the header says of a piece is what its values are, and a header that says otherwise is found.
#[test]
fn a_header_says_what_is_in_it() {
    let columns: [ArrayRef; 1] = [Arc::new(Float64Array::from(vec![
        Some(1.5),
        None,
        Some(f64::NAN),
        Some(-0.25),
        Some(4.0),
    ]))];
    let bytes = encode(&columns, Effort::Compact).unwrap();
    let piece = &bytes[HEAD + ENTRY..][..PIECE];
    assert_eq!((piece[1], number(&piece[12..])), (7, 3));
    let float = |at: usize| f64::from_le_bytes(piece[at..at + 8].try_into().unwrap());
    assert_eq!([float(16), float(24), float(32)], [-0.25, 4.0, 5.25]);
    let mut lies = bytes.clone();
    lies[HEAD + ENTRY + 16..][..8].copy_from_slice(&0.0_f64.to_le_bytes());
    seal(&mut lies);
    let why = Block::open(&lies).unwrap().verify().unwrap_err().to_string();
    assert!(why.contains("not those that its header says"), "{why}");
}

/// Gives the header the checksum that it should have.
fn seal(bytes: &mut [u8]) {
    let header = number(&bytes[12..]) as usize;
    if let Some(end) = header.checked_sub(CHECKSUM).filter(|_| header <= bytes.len()) {
        let sum = checksum(&bytes[..end]);
        bytes[end..header].copy_from_slice(&sum);
    }
}

fn read_all(bytes: &[u8]) -> Result<()> {
    let block = Block::open(bytes)?;
    (0..block.columns()).try_for_each(|column| block.array(column, None).map(drop))
}

/// Goal: a flipped bit anywhere is seen, and so is a block that was cut.
#[test]
fn damage_is_seen() {
    let bytes = encode(&sample(40), Effort::Compact).unwrap();
    read_all(&bytes).unwrap();
    let header = number(&bytes[12..]) as usize;
    for bit in 0..header * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Block::open(&bad).is_err(), "bit {bit}");
    }
    for at in header..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(read_all(&bad).is_err(), "byte {at}");
    }
    assert!((0..bytes.len()).all(|n| Block::open(&bytes[..n]).is_err()));
}

/// Goal: changed bytes with checksums that fit them are an error or values, never a panic or a large allocation.
#[test]
fn hostile_bytes_never_panic() {
    for effort in [Effort::Fast, Effort::Compact, Effort::Whole] {
        let columns = sample(20);
        let bytes = encode(&columns, effort).unwrap();
        let header = number(&bytes[12..]) as usize;
        for bit in 0..header * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            seal(&mut bad);
            let _ = read_all(&bad);
        }
        let mut start = header;
        let mut entry = HEAD;
        for column in 0..columns.len() {
            let size = number(&bytes[entry + ENTRY + 4..]) as usize;
            for bit in 0..size * 8 {
                let mut bad = bytes.clone();
                bad[start + bit / 8] ^= 1 << (bit % 8);
                let sum = super::column::sum_of(&bad[start..start + size]);
                bad[entry + ENTRY + 8..][..4].copy_from_slice(&sum.to_le_bytes());
                seal(&mut bad);
                let _ = Block::open(&bad).unwrap().array(column, None);
            }
            start += size;
            entry += ENTRY + PIECE;
        }
    }
}

/// Goal: what makes no block is refused before anything is made.
#[test]
fn columns_that_do_not_fit_are_refused() {
    let ints = |n: usize| -> ArrayRef { Arc::new(Int64Array::from(vec![1; n])) };
    let null: ArrayRef = Arc::new(arrow_array::NullArray::new(1));
    for columns in [&[][..], &[ints(0)], &[ints(1), ints(2)], &[null]] {
        assert!(encode(columns, Effort::Fast).is_err());
    }
}

/// Goal: few bytes that claim to be many rows or long texts are refused before there is memory for them.
#[test]
fn few_bytes_are_not_many() {
    let long = "a".repeat(MOST_TEXT / 2 + 1);
    let two: ArrayRef = Arc::new(StringArray::from(vec![&*long, &*long]));
    let error = Block::open(&encode(&[two], Effort::Compact).unwrap()).unwrap().array(0, None);
    assert!(error.unwrap_err().to_string().contains("bytes of texts"));
    let array: ArrayRef = Arc::new(StringArray::from(vec![&*long, &*long, "b"]));
    assert_eq!((fit(&array, 9), fit(&array.slice(1, 2), 9), fit(&array, 1)), (1, 2, 1));
    let error = item::read_some::<u8>(kind::Form::Constant, &[1], 1 << 30, 0..1, &mut vec![]);
    assert!(error.unwrap_err().contains("cannot hold"));
    let seven: ArrayRef = Arc::new(Int64Array::from(vec![7; 1 << 20]));
    let bytes = encode(&[seven], Effort::Fast).unwrap();
    assert!(bytes.len() < 100, "it is one number, so many times");
    assert!(column(&bytes, &DataType::Int64, 10).is_err(), "it has other rows");
    assert!(column(&bytes, &DataType::Float64, 1 << 20).is_err(), "of another type");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: every number returns bit for bit: NaN payloads, -0.0, subnormals; and every word with its row.
    #[test]
    fn decode_inverts_encode(
        rows in prop::collection::vec((any::<i64>(), any::<u64>(), 0_usize..4, any::<bool>()), 1..700),
        narrow in any::<bool>(),
        effort in prop_oneof![Just(Effort::Fast), Just(Effort::Compact)],
    ) {
        let times: Vec<i64> = rows.iter().map(|r| if narrow { r.0 >> 40 } else { r.0 }).collect();
        let special = [f64::NAN, -0.0, 0.0, f64::MIN_POSITIVE / 8.0];
        let real = |r: &(i64, u64, usize, bool)| if narrow { special[r.2] } else { f64::from_bits(r.1) };
        let reals: Vec<f64> = rows.iter().map(real).collect();
        let words = ["a", "b", "longer word", ""];
        let keys = Int32Array::from_iter_values(rows.iter().map(|r| r.2 as i32));
        let texts = Arc::new(StringArray::from(words.to_vec()));
        let columns: [ArrayRef; 4] = [
            Arc::new(Int64Array::from(times.clone())),
            Arc::new(Float64Array::from(reals.clone())),
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, texts).unwrap()),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.3)))),
        ];
        let bytes = encode(&columns, effort)?;
        let block = Block::open(&bytes)?;
        let (mut t, mut r) = (Vec::<i64>::new(), Vec::<f64>::new());
        block.read(0, 0..rows.len(), &mut t)?;
        block.read(1, 0..rows.len(), &mut r)?;
        prop_assert_eq!(t, times);
        let bits = |items: &[f64]| items.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&r), bits(&reals));
        let found = block.words(2, 0..rows.len())?;
        for (code, row) in found.codes.iter().zip(&rows) {
            prop_assert_eq!(&found.words[*code as usize], words[row.2]);
        }
        prop_assert_eq!(&block.array(3, None)?, &columns[3]);
    }
}

/// Goal: numbers that repeat from far lie in a Zstandard frame, shuffled where that is smaller, and return; bytes are not shuffled.
#[test]
fn what_repeats_from_far_is_small() {
    let noise = |i: usize| ((i * i * 7919) as f64).sin();
    for (form, numbers) in [
        (
            Form::Zstd,
            (0..9_000)
                .map(|i| noise(i / 4 * 48_271 % 65_537 % 200 * 4 + i % 4))
                .collect::<Vec<_>>(),
        ),
        (
            Form::ZstdShuffle,
            (0..9_000)
                .map(|i| f64::from_bits(noise(i % 3_000).to_bits() ^ (i / 3_000) as u64))
                .collect(),
        ),
    ] {
        let column: ArrayRef = Arc::new(Float64Array::from(numbers));
        let bytes = encode(std::slice::from_ref(&column), Effort::Whole).unwrap();
        assert!(bytes.len() < 9_000 * 8 / 2, "{form:?}: {}", bytes.len());
        assert_eq!(bytes[HEAD + ENTRY], form as u8);
        let block = Block::open(&bytes).unwrap();
        block.verify().unwrap();
        assert_eq!(&block.array(0, None).unwrap(), &column);
    }
    let frame = zstd::bulk::compress(&[7; 100], 3).unwrap();
    let mut out = Vec::new();
    numbers::decode::<u16>(Form::ZstdShuffle, &frame, 50, &mut out).unwrap();
    assert!(numbers::decode::<u8>(Form::ZstdShuffle, &frame, 100, &mut Vec::new()).is_err());
}
