//! Stored bytes of arrays: whatever they are, they decode or are refused; and what is encoded
//! comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siltstone::{Array, Codec, DType};
use siltstone_fuzz::{Input, Seed, plant};

const NAMES: [&str; 7] = ["", "raw", "lz4", "lz4-shuffle", "zstd", "zstd-shuffle", "pco"];
const DTYPES: [&str; 16] = [
    "|b1",
    "|i1",
    "<i2",
    "<i4",
    ">i8",
    "|u1",
    "<u8",
    "<f2",
    "<f4",
    "<f8",
    ">f8",
    "<c16",
    "|S5",
    "<U3",
    "<M8[ns]",
    "<m8[25us]",
];

fuzz_target!(
    init: plant("blob", seeds),
    |data: &[u8]| {
        let mut input = Input::new(data);
        let name = NAMES.get(usize::from(input.byte())).copied().unwrap_or("other");
        let Ok(dtype) = input.text().parse::<DType>() else { return };
        assert_eq!(dtype.to_string().parse::<DType>().unwrap(), dtype);
        let dimensions = input.byte() % 5;
        let shape: Vec<usize> = (0..dimensions).map(|_| input.number() as usize).collect();
        let stored = input.rest();
        if let Ok(array) = Codec::decode(Some(name).filter(|n| !n.is_empty()), dtype, &shape, stored) {
            assert_eq!((array.dtype(), array.shape()), (dtype, &shape[..]));
            let size = shape.iter().product::<usize>() * dtype.item_size();
            assert_eq!(array.data().len(), size);
            read_all(&array);
        }
        // The same bytes as items.
        let items = stored.len().checked_div(dtype.item_size()).unwrap_or(0);
        let bytes = stored[..items * dtype.item_size()].to_vec();
        let array = Array::new(dtype, vec![items], bytes).expect("whole items");
        read_all(&array);
        for codec in Codec::ALL {
            let (name, stored) = codec.encode(&array);
            let back = Codec::decode(name, dtype, array.shape(), &stored);
            assert_eq!(back.expect("what was encoded decodes"), array, "{codec}");
        }
    }
);

/// Every reading of an array, none of which may panic.
fn read_all(array: &Array) {
    if array.data().len() > 1 << 20 {
        return; // large ones are slow to look at, and nothing else
    }
    let _ = (array.to_i64s(), array.to_strings(), array.to_vec::<f64>(), array.to_vec::<bool>());
    assert_eq!(array.to_little_endian().data().len(), array.data().len());
}

fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for text in DTYPES {
        let dtype: DType = text.parse().expect("a dtype of ours");
        // Smooth, so that every codec has something to do.
        let bytes: Vec<u8> = (0..64 * dtype.item_size()).map(|i| (i / 24 % 3) as u8).collect();
        for shape in [vec![64], vec![8, 8], vec![64, 1, 1]] {
            let array = Array::new(dtype, shape.clone(), bytes.clone()).expect("64 items");
            for codec in Codec::ALL {
                let (name, stored) = codec.encode(&array);
                let form =
                    NAMES.iter().position(|n| *n == name.unwrap_or("")).expect("a known form");
                let head =
                    Seed::default().byte(form as u8).piece(text.as_bytes()).byte(shape.len() as u8);
                let head = shape.iter().fold(head, |seed, n| seed.number(*n as u64));
                seeds.push(head.rest(&stored));
            }
        }
    }
    seeds
}
