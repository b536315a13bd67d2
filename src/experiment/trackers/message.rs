//! Protocol buffers, read field by field: no schema is compiled, and what is not known is passed over.
//!
//! # Source
//! protobuf.dev, "Encoding".

/// A value on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        if let Value::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// A text; what is not UTF-8 has signs of replacement.
    pub(super) fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) fn int(self) -> i64 {
        if let Value::Varint(n) = self { n as i64 } else { 0 }
    }

    /// Of either width.
    pub(super) fn float(self) -> f64 {
        match self {
            Value::Fixed64(bits) => f64::from_bits(bits),
            Value::Fixed32(bits) => f64::from(f32::from_bits(bits)),
            _ => 0.0,
        }
    }
}

/// The fields of a message in their order; one that is no field ends it, and says so with `None`.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    /// The number of a field and its value; `None` where the bytes are no field.
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take_chunk()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.take_chunk()?)),
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok().filter(|number| *number > 0)?, value))
    }

    fn take_chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }
}

/// The next varint.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            *bytes = &bytes[i + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: fields come in order, whatever they are; a length beyond the end and a varint without end are noticed.
    #[test]
    fn fields_are_read_or_noticed() {
        let bytes = [
            0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F, 0x21, 0, 0, 0, 0, 0, 0,
            0xF0, 0xBF,
        ];
        let fields: Vec<_> = Fields(&bytes).map(Option::unwrap).collect();
        assert_eq!(fields[0], (1, Value::Varint(150)));
        assert_eq!(fields[1], (2, Value::Bytes(b"hi")));
        assert_eq!([fields[2].1.float(), fields[3].1.float()], [1.0, -1.0]);
        for wrong in [
            &[0x12, 200, 1][..],
            &[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            &[0x80; 12],
            &[0x0B],
            &[0x00, 1],
            &[0x0D, 1],
        ] {
            assert_eq!(Fields(wrong).last(), Some(None), "{wrong:?}");
        }
    }
}
