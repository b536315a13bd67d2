//! Floats that were decimal numbers of few digits, as integers.
//!
//! ```text
//! u8       digits behind the point, 0 to 15
//! u8       form of the integers: 0 raw, 1 pco, 3 constant, 4 arithmetic, 5 deltas
//! u16      zero
//! u32      number of exceptions
//! u32      bytes of the integers' data
//!          the integers' data
//! u32      for each exception, its position
//! u64      for each exception, the bits of the float
//! ```
//!
//! A float is its integer divided by that power of ten, in IEEE 754 double arithmetic: that it is so, bit for
//! bit, was looked at when it was written, and what is not so is an exception.

#[cfg(test)]
use super::item::Effort;
use super::item::Item;
use super::kind::Form;

/// Powers of ten that are floats without an error, and whose quotients of integers below 2^51 are of use.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Floats that are looked at before all are.
const SAMPLE: usize = 40;
/// One of so many may be an exception.
const EXCEPTIONS: usize = 8;
/// Digits that no float of full precision seems to have by chance, and the exceptions among as many floats as this.
const PLAIN_DIGITS: u8 = 9;
const PLAIN_EXCEPTIONS: usize = 64;
const HEAD: usize = 12;
/// 1.5 * 2^52: added to a number below 2^51 it leaves the nearest integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Floats as integers.
pub(super) struct Decimal {
    digits: u8,
    integers: Vec<i64>,
    exceptions: Vec<(u32, u64)>,
}

/// The integer nearest to a number below 2^51; anything for others.
fn nearest(x: f64) -> i64 {
    (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i64
}

/// The float of an integer below 2^51; anything for others.
fn float(integer: i64) -> f64 {
    f64::from_bits(ROUND.to_bits().wrapping_add(integer as u64)) - ROUND
}

/// Whether a float is this integer divided by this power of ten, on every machine: no NaN, whose bits a sum
/// may change.
fn is_exact(x: f64, integer: i64, power: f64) -> bool {
    integer.unsigned_abs() < 1 << 51 && (float(integer) / power).to_bits() == x.to_bits()
}

/// How many digits behind the point most of these floats have.
fn digits_of(items: &[f64]) -> Option<u8> {
    let step = items.len().div_ceil(SAMPLE);
    let (mut most, mut exact, mut others) = (0, 0, 0);
    for x in items.iter().step_by(step.max(1)).filter(|x| !x.is_nan()) {
        match POWERS.iter().position(|power| is_exact(*x, nearest(x * power), *power)) {
            Some(digits) => (most, exact) = (most.max(digits), exact + 1),
            None => others += 1,
        }
        if others * EXCEPTIONS > SAMPLE {
            return None;
        }
    }
    (exact > others * EXCEPTIONS).then_some(most as u8)
}

impl Decimal {
    /// The floats as integers, if most of them have few digits.
    pub(super) fn of(items: &[f64]) -> Option<Self> {
        let digits = digits_of(items)?;
        let power = POWERS[usize::from(digits)];
        let mut integers: Vec<i64> = items.iter().map(|x| nearest(x * power)).collect();
        let mut exceptions = Vec::new();
        for (position, (x, integer)) in items.iter().zip(&integers).enumerate() {
            if !is_exact(*x, *integer, power) {
                exceptions.push((position as u32, x.to_bits()));
            }
        }
        if exceptions.len() > items.len() / EXCEPTIONS {
            return None;
        }
        // What stands in place of an exception costs least if it equals its neighbour.
        let is_exception =
            |i: usize| exceptions.get(i).is_some_and(|(position, _)| *position as usize == i);
        let regular = (0..=exceptions.len()).find(|i| !is_exception(*i)).unwrap_or(0);
        let first = integers.get(regular).copied().unwrap_or(0);
        for (position, _) in &exceptions {
            let position = *position as usize;
            integers[position] = if position < regular { first } else { integers[position - 1] };
        }
        Some(Decimal { digits, integers, exceptions })
    }

    /// Whether they are decimal numbers and nothing else, so that no other form is smaller.
    pub(super) fn is_plain(&self) -> bool {
        self.digits <= PLAIN_DIGITS
            && self.exceptions.len() <= self.integers.len() / PLAIN_EXCEPTIONS
    }

    /// The integers.
    pub(super) fn integers(&self) -> &[i64] {
        &self.integers
    }

    /// Everything, with the integers packed so.
    pub(super) fn bytes(&self, form: Form, integers: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + integers.len() + self.exceptions.len() * 12);
        out.extend_from_slice(&[self.digits, form as u8, 0, 0]);
        out.extend_from_slice(&(self.exceptions.len() as u32).to_le_bytes());
        out.extend_from_slice(&(integers.len() as u32).to_le_bytes());
        out.extend_from_slice(integers);
        self.exceptions
            .iter()
            .for_each(|(position, _)| out.extend_from_slice(&position.to_le_bytes()));
        self.exceptions.iter().for_each(|(_, bits)| out.extend_from_slice(&bits.to_le_bytes()));
        out
    }
}

/// Appends the `n` floats.
pub(super) fn decode(stored: &[u8], n: usize, out: &mut Vec<f64>) -> Result<(), String> {
    let short = || "decimal floats end too early".to_owned();
    let (head, rest) = stored.split_at_checked(HEAD).ok_or_else(short)?;
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let power = POWERS.get(usize::from(head[0]));
    let power = *power.ok_or_else(|| format!("decimal floats cannot have {} digits", head[0]))?;
    let (exceptions, size) = (number(4) as usize, number(8) as usize);
    let (data, rest) = rest.split_at_checked(size).ok_or_else(short)?;
    if rest.len() != exceptions.saturating_mul(12) {
        return Err(format!("{} bytes do not make {exceptions} exceptions", rest.len()));
    }
    let mut integers = Vec::new();
    i64::read(Form::of(head[1])?, data, n, &mut integers)?;
    super::numbers::grow(out, n)?;
    let start = out.len();
    out.extend(integers.iter().map(|integer| float(*integer) / power));
    let (positions, bits) = rest.split_at(exceptions * 4);
    for (position, bits) in positions.chunks_exact(4).zip(bits.chunks_exact(8)) {
        let position = u32::from_le_bytes(position.try_into().expect("four bytes")) as usize;
        let x =
            out[start..].get_mut(position).ok_or_else(|| format!("it has no place {position}"))?;
        *x = f64::from_bits(u64::from_le_bytes(bits.try_into().expect("eight bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(items: &[f64]) -> Vec<u64> {
        items.iter().map(|x| x.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Goal: decimal numbers come back by their bits, whatever stands between them.
        #[test]
        fn decode_inverts_encode(
            rows in prop::collection::vec((-10_000_000_i64..10_000_000, 0_u32..30, any::<u64>()), 1..600),
            digits in 0_usize..16,
        ) {
            let strange = |kind: u32, any: u64| match kind {
                0 => Some(f64::from_bits(any)),
                1 => Some(-0.0),
                2 => Some(f64::NAN),
                _ => None,
            };
            let items: Vec<f64> = rows
                .iter()
                .map(|(n, kind, any)| strange(*kind, *any).unwrap_or(*n as f64 / POWERS[digits]))
                .collect();
            if let Some(decimal) = Decimal::of(&items) {
                for effort in [Effort::Fast, Effort::Compact] {
                    let mut integers = Vec::new();
                    let form = i64::pack(decimal.integers(), effort, &mut integers);
                    let mut back = vec![7.0];
                    decode(&decimal.bytes(form, &integers), items.len(), &mut back).unwrap();
                    prop_assert_eq!(bits(&back[1..]), bits(&items));
                }
            }
        }
    }

    /// Goal: numbers of a few digits are seen, and those of full precision cost no more than a check.
    #[test]
    fn few_digits_are_seen() {
        let items: Vec<f64> = (0..1_000).map(|i| f64::from(i * 37 % 1_001 - 500) / 1e3).collect();
        let decimal = Decimal::of(&items).unwrap();
        assert_eq!((decimal.digits, decimal.exceptions.len()), (3, 0));
        let full: Vec<f64> = items.iter().map(|x| x.sin()).collect();
        assert!(Decimal::of(&full).is_none_or(|decimal| decimal.digits > 12));
        let far = [1e300, 0.5, f64::INFINITY, 4.5e15, -0.25, 1.0];
        assert!(Decimal::of(&far).is_none(), "too many are no such numbers");
    }
}
