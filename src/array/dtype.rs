//! The numpy dtype string: parsed, checked, printed.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The family of a [`DType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `b`: one byte, 0 or 1.
    Bool,
    /// `i`: signed integer.
    Int,
    /// `u`: unsigned integer.
    UInt,
    /// `f`: IEEE 754 binary16, binary32 or binary64.
    Float,
    /// `c`: two floats.
    Complex,
    /// `S`: bytes of fixed length, padded with NUL.
    Bytes,
    /// `U`: text of fixed length in UCS-4, padded with NUL.
    Str,
    /// `M`: a date and time as a count of units since 1970-01-01 UTC.
    DateTime,
    /// `m`: a length of time as a count of units.
    TimeDelta,
}

/// The units of numpy's `datetime64` and `timedelta64`, as numpy writes them.
const TIME_UNITS: [&str; 13] =
    ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"];

/// A numpy dtype of fixed width: kind, size, byte order and, for times, the unit.
///
/// Parses and prints numpy's own strings: `<f8`, `>i4`, `|b1`, `|S5`, `<U8`, `<M8[ns]`.
/// Object, void and structured dtypes are refused.
///
/// # Source
/// The array interface protocol of numpy, `typestr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DType {
    kind: Kind,
    item_size: u32,
    big_endian: bool,
    /// Index into [`TIME_UNITS`] and the multiple, as in `[25us]`; `None` for a time without unit.
    unit: Option<(u8, u32)>,
}

impl DType {
    /// `|b1`
    pub const BOOL: Self = Self::of(Kind::Bool, 1);
    /// `|i1`
    pub const I8: Self = Self::of(Kind::Int, 1);
    /// `<i4`
    pub const I32: Self = Self::of(Kind::Int, 4);
    /// `<i8`
    pub const I64: Self = Self::of(Kind::Int, 8);
    /// `|u1`
    pub const U8: Self = Self::of(Kind::UInt, 1);
    /// `<f8`
    pub const F64: Self = Self::of(Kind::Float, 8);

    /// A little-endian dtype from its kind and size in bytes. For crate-internal constants.
    pub(crate) const fn of(kind: Kind, item_size: u32) -> Self {
        DType { kind, item_size, big_endian: false, unit: None }
    }

    /// Text of `chars` characters: `<U{chars}`.
    pub fn text(chars: usize) -> Self {
        DType::of(Kind::Str, 4 * chars as u32)
    }

    /// The family.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Bytes per item. Zero for `S0` and `U0`.
    pub fn item_size(self) -> usize {
        self.item_size as usize
    }

    /// Whether multi-byte numbers are stored with the high byte first.
    pub fn is_big_endian(self) -> bool {
        self.big_endian
    }

    /// The same dtype with the low byte first.
    pub fn to_little_endian(self) -> Self {
        DType { big_endian: false, ..self }
    }

    /// The bytes that are reversed as one when the byte order changes: a number, half a complex, a
    /// UCS-4 character.
    pub fn swap_size(self) -> usize {
        match self.kind {
            Kind::Bytes | Kind::Bool => 1,
            Kind::Str => 4,
            Kind::Complex => self.item_size() / 2,
            _ => self.item_size(),
        }
    }

    /// Whether the items are real or complex numbers, booleans included.
    pub fn is_number(self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Int | Kind::UInt | Kind::Float | Kind::Complex)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.swap_size() {
            1 => '|',
            _ if self.big_endian => '>',
            _ => '<',
        };
        let size = self.item_size;
        match self.kind {
            Kind::Bool => write!(f, "|b1"),
            Kind::Int => write!(f, "{order}i{size}"),
            Kind::UInt => write!(f, "{order}u{size}"),
            Kind::Float => write!(f, "{order}f{size}"),
            Kind::Complex => write!(f, "{order}c{size}"),
            Kind::Bytes => write!(f, "|S{size}"),
            Kind::Str => write!(f, "{order}U{}", size / 4),
            Kind::DateTime | Kind::TimeDelta => {
                let letter = if self.kind == Kind::DateTime { 'M' } else { 'm' };
                write!(f, "{order}{letter}8")?;
                match self.unit {
                    None => Ok(()),
                    Some((unit, 1)) => write!(f, "[{}]", TIME_UNITS[unit as usize]),
                    Some((unit, n)) => write!(f, "[{n}{}]", TIME_UNITS[unit as usize]),
                }
            }
        }
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::invalid(
                "dtype",
                "a numpy dtype of fixed width: b1, i1-i8, u1-u8, f2-f8, c8, c16, S, U, M8, m8",
                format!("{text:?}"),
            )
        })
    }
}

fn parse(text: &str) -> Option<DType> {
    let (big_endian, rest) = match text.as_bytes().first()? {
        b'<' | b'|' => (false, &text[1..]),
        b'=' => (cfg!(target_endian = "big"), &text[1..]),
        b'>' => (true, &text[1..]),
        _ => (false, text),
    };
    let letter = *rest.as_bytes().first()?;
    let after = rest.get(1..)?;
    let (digits, unit) = match after.split_once('[') {
        Some((digits, unit)) => (digits, Some(parse_unit(unit.strip_suffix(']')?)?)),
        None => (after, None),
    };
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size: u32 = digits.parse().ok()?;
    let (kind, sizes): (Kind, &[u32]) = match letter {
        b'b' => (Kind::Bool, &[1]),
        b'i' => (Kind::Int, &[1, 2, 4, 8]),
        b'u' => (Kind::UInt, &[1, 2, 4, 8]),
        b'f' => (Kind::Float, &[2, 4, 8]),
        b'c' => (Kind::Complex, &[8, 16]),
        b'S' => (Kind::Bytes, &[]),
        b'U' => (Kind::Str, &[]),
        b'M' => (Kind::DateTime, &[8]),
        b'm' => (Kind::TimeDelta, &[8]),
        _ => return None,
    };
    if !sizes.is_empty() && !sizes.contains(&size) {
        return None;
    }
    let item_size = if kind == Kind::Str { size.checked_mul(4)? } else { size };
    let unit = match (kind, unit) {
        (Kind::DateTime | Kind::TimeDelta, unit) => unit.flatten(),
        (_, None) => None,
        (_, Some(_)) => return None,
    };
    let dtype = DType { kind, item_size, big_endian, unit };
    // One byte has no order: `>i1` and `|i1` are the same dtype.
    Some(if dtype.swap_size() == 1 { dtype.to_little_endian() } else { dtype })
}

/// `ns` or `25us`; `generic` is numpy's word for no unit.
fn parse_unit(text: &str) -> Option<Option<(u8, u32)>> {
    if text == "generic" {
        return Some(None);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let multiple = if digits == 0 { 1 } else { text[..digits].parse().ok().filter(|n| *n > 0)? };
    let unit = TIME_UNITS.iter().position(|unit| *unit == &text[digits..])?;
    Some(Some((unit as u8, multiple)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what numpy prints as `dtype.str` is read and printed unchanged.
    #[test]
    fn numpy_strings_survive() {
        for text in [
            "|b1",
            "|i1",
            "<i2",
            ">i4",
            "<i8",
            "|u1",
            ">u8",
            "<f2",
            "<f4",
            ">f8",
            "<c8",
            ">c16",
            "|S0",
            "|S17",
            "<U0",
            ">U8",
            "<M8[ns]",
            "<m8[25us]",
            ">M8[D]",
            "<M8",
        ] {
            assert_eq!(text.parse::<DType>().unwrap().to_string(), text);
        }
    }

    /// Goal: what could run code, has no fixed meaning or a wild size is refused.
    #[test]
    fn other_strings_are_refused() {
        for text in [
            "",
            "O",
            "|O8",
            "|V8",
            "f16",
            "<f3",
            "<i16",
            "i",
            "<f8[ns]",
            "<M8[xs]",
            "<M8[0s]",
            "<U4294967295",
            "[('a','<f8')]",
            "<f-8",
            "é8",
            "<é8",
            "<U99999999999999999999",
        ] {
            assert!(text.parse::<DType>().is_err(), "{text} was accepted");
        }
    }
}
