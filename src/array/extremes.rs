//! The least and the greatest of many numbers.

/// Where the least and the greatest number stand for the first time; missing ones, which are NaN, apart.
///
/// # Example
/// ```
/// use siltstone::array::extremes;
///
/// assert_eq!(extremes(&[2.0, f64::NAN, 3.0, 1.0, 3.0]), Some([3, 2]));
/// assert_eq!(extremes(&[f64::NAN]), None);
/// ```
pub fn extremes(numbers: &[f64]) -> Option<[usize; 2]> {
    // Each lane on its own, so that one instruction compares several. NaN is neither less nor greater.
    let (mut low, mut high) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    let mut compare = |lane: usize, x: f64| {
        low[lane] = if x < low[lane] { x } else { low[lane] };
        high[lane] = if x > high[lane] { x } else { high[lane] };
    };
    let (lanes, rest) = numbers.as_chunks::<8>();
    lanes.iter().for_each(|lane| lane.iter().enumerate().for_each(|(i, x)| compare(i, *x)));
    rest.iter().enumerate().for_each(|(i, x)| compare(i, *x));
    let least = low.into_iter().fold(f64::INFINITY, f64::min);
    let greatest = high.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let first = |wanted: f64| {
        let has = |lane: &[f64; 8]| lane.iter().fold(false, |found, x| found | (*x == wanted));
        let begin = 8 * lanes.iter().position(has).unwrap_or(lanes.len());
        Some(begin + numbers[begin..].iter().position(|number| *number == wanted)?)
    };
    Some([first(least)?, first(greatest)?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::extremes;

    proptest! {
        /// Goal: the places are those that comparing one after another finds, whatever is missing, infinite or equal.
        #[test]
        fn extremes_are_the_first_ones(
            numbers in prop::collection::vec(
                prop_oneof![
                    (-3i8..3).prop_map(f64::from),
                    any::<f64>(),
                    Just(f64::NAN), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY),
                ],
                0..40),
        ) {
            let mut wanted: Option<[usize; 2]> = None;
            for (i, x) in numbers.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                let [least, greatest] = wanted.get_or_insert([i, i]);
                *least = if *x < numbers[*least] { i } else { *least };
                *greatest = if *x > numbers[*greatest] { i } else { *greatest };
            }
            prop_assert_eq!(extremes(&numbers), wanted);
        }
    }
}
