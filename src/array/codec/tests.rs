use proptest::prelude::*;

use super::form::Form;
use super::*;

const DTYPES: [&str; 28] = [
    "|b1",
    "|i1",
    "|u1",
    "<i2",
    ">i2",
    "<u2",
    "<i4",
    ">i4",
    "<u4",
    ">u4",
    "<i8",
    ">i8",
    "<u8",
    ">u8",
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<c8",
    ">c16",
    "|S5",
    "<U3",
    ">U2",
    "<M8[ns]",
    ">m8[25us]",
    "|S0",
];

/// Item bits that arithmetic would change: signalling and quiet NaN with a payload, infinities,
/// -0.0, subnormals, and the ends of the integers.
const SPECIAL: [u64; 10] = [
    0x7ff0_0000_0000_0001,
    0xfff8_0000_dead_beef,
    0x7fa0_0001_7f80_0001,
    0x7c01_fe01_7c01_fe01,
    0x7ff0_0000_0000_0000,
    0x8000_0000_0000_0000,
    1,
    0x800f_ffff_ffff_ffff,
    u64::MAX,
    0,
];

fn dtype(text: &str) -> DType {
    text.parse().unwrap()
}

/// Whole numbers as items of the dtype: little-endian bits, cut or repeated to its numbers, in its
/// byte order.
fn array_of_bits(dtype: DType, shape: Vec<usize>, bits: impl FnMut(usize) -> u64) -> Array {
    let n = byte_size(dtype, &shape).unwrap();
    let number = dtype.swap_size().clamp(1, 8);
    let mut data = (0..n.div_ceil(number))
        .map(bits)
        .flat_map(|bits| bits.to_le_bytes().into_iter().take(number))
        .collect::<Vec<_>>();
    data.truncate(n);
    if dtype.is_big_endian() {
        data.chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
    }
    Array::new(dtype, shape, data).unwrap()
}

/// A stream of bits that looks random and is the same each time.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Arrays of every dtype, of nought to three dimensions, from constant to random.
fn arrays() -> impl Strategy<Value = Array> {
    let shape = prop::collection::vec(0usize..14, 0..4);
    (prop::sample::select(&DTYPES[..]), shape, any::<u64>(), 0..5).prop_map(
        |(text, shape, seed, texture)| {
            let mut random = noise(seed);
            let dtype = dtype(text);
            array_of_bits(dtype, shape, |i| match (texture, dtype.swap_size()) {
                (0, _) => seed,
                (1, _) => seed.wrapping_add(i as u64 * 3),
                (2, _) => SPECIAL[(random() % 10) as usize] >> (random() % 2 * 32),
                (3, 4) => f32::to_bits((random() % 1000) as f32 * 0.01).into(),
                (3, _) => f64::to_bits((random() % 1000) as f64 * 0.01),
                _ => random(),
            })
        },
    )
}

fn decode_like(array: &Array, name: Option<&str>, stored: &[u8]) -> Result<Array> {
    Codec::decode(name, array.dtype(), array.shape(), stored)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Goal: every codec returns dtype, shape and each bit, and never makes bigger.
    #[test]
    fn every_codec_returns_every_bit(array in arrays()) {
        for codec in Codec::ALL {
            let (name, stored) = codec.encode(&array);
            prop_assert_eq!(&decode_like(&array, name, &stored).unwrap(), &array, "{}", codec);
            prop_assert!(stored.len() < array.data().len() || name.is_none(), "{} grew", codec);
            prop_assert_eq!(codec.encode(&array), (name, stored), "{} is not repeatable", codec);
        }
    }

    /// Goal: so does every form, where `encode` would have taken a smaller one.
    #[test]
    fn every_form_returns_every_bit(array in arrays()) {
        for form in Form::ALL {
            if let Some(stored) = form.encode(array.dtype(), array.data()) {
                prop_assert_eq!(&decode_like(&array, Some(form.name()), &stored).unwrap(), &array);
            }
        }
    }

    /// Goal: up to the size of the sample, auto is as small as the best; tiny arrays stay raw.
    #[test]
    fn auto_is_the_smallest(array in arrays()) {
        let (name, stored) = Codec::Auto.encode(&array);
        if array.data().len() < AUTO_MIN_BYTES {
            prop_assert_eq!(name, None);
        } else {
            let sizes = Codec::ALL.map(|codec| codec.encode(&array).1.len());
            prop_assert_eq!(Some(stored.len()), sizes.into_iter().min());
        }
    }

    /// Goal: a flipped bit, a cut or an addition gives an error or an array of the right size, and
    /// an addition always an error.
    #[test]
    fn damage_never_panics(array in arrays(), at in any::<prop::sample::Index>(), junk in any::<u8>()) {
        for form in Form::ALL {
            let Some(stored) = form.encode(array.dtype(), array.data()) else { continue };
            let decode = |stored: &[u8]| decode_like(&array, Some(form.name()), stored);
            let mut flipped = stored.clone();
            flipped[at.index(stored.len())] ^= 1 << (junk % 8);
            if let Ok(other) = decode(&flipped) {
                prop_assert_eq!(other.data().len(), array.data().len());
            }
            prop_assert!(decode(&stored[..at.index(stored.len())]).is_err(), "{:?} cut", form);
            prop_assert!(decode(&[&stored[..], &[junk]].concat()).is_err(), "{:?} longer", form);
            prop_assert!(decode(&stored.repeat(2)).is_err(), "{:?} twice", form);
        }
    }

    /// Goal: random bytes under any name, dtype and shape give an error or an array, never a panic.
    #[test]
    fn garbage_never_panics(
        text in prop::sample::select(&DTYPES[..]),
        shape in prop::collection::vec(prop_oneof![0usize..300, any::<usize>()], 0..3),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for (form, head) in [
            (Form::Lz4, &b""[..]), (Form::Lz4Shuffle, b""), (Form::Zstd, b"\x28\xb5\x2f\xfd"),
            (Form::ZstdShuffle, b"\x28\xb5\x2f\xfd"), (Form::Pco, b"pco!"), (Form::Pco, b"pco!\x02\x00\x04\x01"),
        ] {
            let stored = [head, &body].concat();
            let _ = Codec::decode(Some(form.name()), dtype(text), &shape, &stored);
        }
    }
}

/// Goal: what numbers of a decimal look give Pcodec to scale does not touch the odd bits among them.
#[test]
fn scaled_decimals_keep_their_odd_bits() {
    for text in ["<f4", "<f8", ">f8", ">c16", "<f2"] {
        let mut random = noise(7);
        let array = array_of_bits(dtype(text), vec![4096], |i| {
            let decimal = (random() % 5000) as f64 * 0.01 - 10.0;
            match (i % 50, dtype(text).swap_size()) {
                (0, _) => SPECIAL[i / 50 % 10],
                (_, 4) => (decimal as f32).to_bits().into(),
                (_, 2) => random() % 500 + 0x3c00,
                _ => decimal.to_bits(),
            }
        });
        let (name, stored) = Codec::Pco.encode(&array);
        assert_eq!(name, Some("pco"), "{text}");
        assert!(stored.len() < array.data().len() * 3 / 4, "{text}: {} bytes", stored.len());
        assert_eq!(decode_like(&array, name, &stored).unwrap(), array, "{text}");
    }
}

/// Goal: large arrays, of several chunks and of the highest ratio, stay within the bounds of
/// reading; the sample finds the form that suits the whole.
#[test]
fn large_arrays_come_back() {
    let mut random = noise(3);
    let n = (1 << 19) + 3;
    for array in [
        array_of_bits(dtype(">f8"), vec![n], |_| 0x3ff8_0000_0000_0000),
        array_of_bits(dtype("|u1"), vec![n, 1], |i| (i / 1000) as u64),
        array_of_bits(dtype("<c16"), vec![n / 3], |i| (i as f64 * 0.25).to_bits()),
        array_of_bits(dtype("<U3"), vec![n / 3], |i| 65 + i as u64 % 20),
        array_of_bits(dtype("<i8"), vec![n / 4], |_| random()),
    ] {
        for codec in Codec::ALL {
            let (name, stored) = codec.encode(&array);
            assert_eq!(decode_like(&array, name, &stored).unwrap(), array, "{codec} {array:?}");
        }
        let best = Codec::ALL.map(|codec| codec.encode(&array).1.len()).into_iter().min().unwrap();
        let auto = Codec::Auto.encode(&array).1.len();
        assert!(auto <= best + best / 20 + 512, "{array:?}: auto {auto}, best {best}");
    }
}

/// Goal: what the sample does not show, a chosen codec still finds: it encodes the whole.
#[test]
fn a_chosen_codec_does_not_give_up_on_the_sample() {
    let mut random = noise(5);
    let tile = (0..12_000).map(|_| random()).collect::<Vec<_>>();
    let array = array_of_bits(dtype("<u8"), vec![48_000], |i| tile[i % 12_000]);
    let (name, stored) = Codec::Zstd.encode(&array);
    assert_eq!(name, Some("zstd"));
    assert!(stored.len() < array.data().len() / 3);
}

/// Goal: the message of what a hostile row gives, and no memory for what its shape promises.
#[test]
fn hostile_shapes_are_refused_before_memory_is_taken() {
    let zeros = array_of_bits(DType::F64, vec![10_000], |_| 0);
    for form in Form::ALL {
        let stored = form.encode(DType::F64, zeros.data()).unwrap();
        let why = |shape: &[usize]| {
            Codec::decode(Some(form.name()), DType::F64, shape, &stored).unwrap_err().to_string()
        };
        let bomb = why(&[120_000_000]);
        assert!(bomb.contains("cannot hold"), "{bomb}");
        for shape in
            [&[1 << 27][..], &[1 << 37, 2], &[usize::MAX, 2], &[1 << 40], &[usize::MAX, 0, 9]]
        {
            assert!(why(shape).contains("asks for more than 10^9 bytes"), "{}", why(shape));
        }
        assert!(why(&[1; 65]).contains("has 65 dimensions"));
        for n in [0, 9_999, 10_001, 20_000] {
            let message = why(&[n]);
            if form == Form::Pco && n < 10_000 {
                assert!(message.contains("a chunk claims 10000 numbers"), "{message}");
            }
        }
    }
    let raw = Codec::decode(None, DType::F64, &[2], &[0; 15]).unwrap_err().to_string();
    assert_eq!(raw, "a stored array: <f8[2] as raw is damaged: there are 15 bytes where 16 belong");
}

/// Goal: a Pcodec header that makes its decoder allocate hundreds of megabytes is refused first.
#[test]
fn pcodec_headers_that_allocate_are_refused() {
    let ramp = array_of_bits(DType::I64, vec![300], |i| i as u64 * i as u64);
    let stored = Form::Pco.encode(DType::I64, ramp.data()).unwrap();
    // After the magic, the version, no type for all, the count in two bytes and the format in two.
    let chunk = 10;
    assert_eq!(stored[chunk], 4, "the chunk begins with the type of i64");
    let refused = |patch: &[u8]| {
        let mut stored = stored.clone();
        stored[chunk + 4..chunk + 4 + patch.len()].copy_from_slice(patch);
        decode_like(&ramp, Some("pco"), &stored).unwrap_err().to_string()
    };
    // Mode 4 is a dictionary, here of 2^25 entries; delta encoding 2 a lookback, here of 2^24.
    assert!(refused(&[0xf4, 0xff, 0xff, 0x01]).contains("a mode that is never written"));
    assert!(refused(&[0x20, 0x17]).contains("a lookback window larger"));
}

/// Goal: names are what the documentation says, and another one is answered with the list.
#[test]
fn names_are_read_and_printed() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse::<Codec>().unwrap(), codec);
    }
    assert_eq!(Codec::default(), Codec::Raw);
    assert_eq!(
        "gzip".parse::<Codec>().unwrap_err().to_string(),
        "codec: expected one of raw, zstd, lz4, pco, auto, got \"gzip\""
    );
    let array = Array::from_slice(&[1i64, 2]);
    assert_eq!(decode_like(&array, Some("raw"), array.data()).unwrap(), array);
    for name in ["auto", "", "ZSTD"] {
        let message = decode_like(&array, Some(name), array.data()).unwrap_err().to_string();
        assert!(
            message.contains("knows: raw, lz4, lz4-shuffle, zstd, zstd-shuffle, pco"),
            "{message}"
        );
    }
}

/// Goal: bytes that were written once stay readable: the stored forms are part of the file format.
#[test]
fn stored_forms_stay_as_they_are() {
    let ramp = array_of_bits(dtype("<i4"), vec![2, 4], |i| i as u64 * 1000);
    let complex = array_of_bits(dtype(">c8"), vec![4], |i| f32::to_bits(i as f32 * 0.5).into());
    for (name, array, hex) in [
        ("lz4", &ramp, "f01100000000e8030000d0070000b80b0000a00f00008813000070170000581b0000"),
        ("lz4-shuffle", &ramp, "f50200e8d0b8a08870580003070b0f13171b00010060000000000000"),
        (
            "zstd",
            &ramp,
            "28b52ffd202001010000000000e8030000d0070000b80b0000a00f00008813000070170000581b0000",
        ),
        ("zstd-shuffle", &ramp, "28b52ffd2020bd00008800e8d0b8a08870580003070b0f13171b0001003bb004"),
        (
            "pco",
            &ramp,
            "70636f2103000302040103070000001000000000006c0000007d401fdc05fa1027dcc5da00",
        ),
        (
            "pco",
            &complex,
            "70636f2103000302040105070000002300000000002060000080df0c2009020000040000100000280000\
             000000600000200100c00200",
        ),
    ] {
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        let stored = (0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>();
        assert_eq!(&decode_like(array, Some(name), &stored).unwrap(), array, "{name}");
    }
}
