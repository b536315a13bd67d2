//! Products of one vector with many: the inner loops of a search.
//!
//! Each loop is compiled twice, for any processor and for those with AVX2, and chosen when it runs.

/// Products of a query of 16 bits with each row of 8 bits, exact.
pub(super) fn coded_products(rows: &[i8], query: &[i16], out: &mut Vec<i32>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { coded_products_avx2(rows, query, out) };
    }
    coded_products_any(rows, query, out);
}

/// The sum of the squares of a row.
pub(super) fn square(row: &[f32]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { square_avx2(row) };
    }
    square_any(row)
}

/// Writes a row with 8 bits an item; the size of a step, and the length of what was lost.
pub(super) fn code(row: &[f32], out: &mut Vec<i8>) -> (f32, f32) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { code_avx2(row, out) };
    }
    code_any(row, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn coded_products_avx2(rows: &[i8], query: &[i16], out: &mut Vec<i32>) {
    coded_products_any(rows, query, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn code_avx2(row: &[f32], out: &mut Vec<i8>) -> (f32, f32) {
    code_any(row, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn square_avx2(row: &[f32]) -> f64 {
    square_any(row)
}

#[inline(always)]
fn square_any(row: &[f32]) -> f64 {
    let mut sums = [0f64; 16];
    let mut chunks = row.chunks_exact(16);
    for chunk in &mut chunks {
        for i in 0..16 {
            sums[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
        }
    }
    sums.iter().sum::<f64>() + chunks.remainder().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
}

#[inline(always)]
fn coded_products_any(rows: &[i8], query: &[i16], out: &mut Vec<i32>) {
    for row in rows.chunks_exact(query.len()) {
        out.push(row.iter().zip(query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum());
    }
}

#[inline(always)]
fn code_any(row: &[f32], out: &mut Vec<i8>) -> (f32, f32) {
    let mut most = [0f32; 16];
    let whole = row.len() / 16 * 16;
    for chunk in row[..whole].chunks_exact(16) {
        for i in 0..16 {
            most[i] = if chunk[i].abs() > most[i] { chunk[i].abs() } else { most[i] };
        }
    }
    let largest = most.iter().chain(row[whole..].iter()).fold(0f32, |most, x| most.max(x.abs()));
    let step = largest / 127.0;
    if step == 0.0 || !(1.0 / step).is_finite() {
        out.resize(out.len() + row.len(), 0);
        return (0.0, square_any(row).sqrt() as f32);
    }
    /// Added to a number below 2^22, it leaves no bits for what comes after the point.
    const ROUND: f32 = 12_582_912.0;
    let inverse = 1.0 / step;
    let start = out.len();
    out.resize(start + row.len(), 0);
    let mut lost = [0f32; 16];
    let one = |x: f32, to: &mut i8, lost: &mut f32| {
        let scaled = x * inverse;
        let rounded = (scaled + ROUND) - ROUND;
        // At most 127.00001: it fits after the rounding.
        *to = rounded as i32 as i8;
        // In steps: the square of a small number would be 0.
        let rest = scaled - rounded;
        *lost += rest * rest;
    };
    let coded = &mut out[start..];
    for (chunk, to) in row[..whole].chunks_exact(16).zip(coded[..whole].chunks_exact_mut(16)) {
        for i in 0..16 {
            one(chunk[i], &mut to[i], &mut lost[i]);
        }
    }
    for (x, to) in row[whole..].iter().zip(&mut coded[whole..]) {
        one(*x, to, &mut lost[0]);
    }
    // A little more than it is: the sums are rounded.
    (step, (lost.iter().sum::<f32>() * 1.001).sqrt() * step + largest * 1e-6)
}

/// A query with 16 bits an item, small enough that no sum of `query.len()` products leaves 32 bits; the size of a step.
pub(super) fn code_query(query: &[f64]) -> (Vec<i16>, f64) {
    let largest = query.iter().fold(0f64, |most, x| most.max(x.abs()));
    let most = ((i32::MAX as usize) / 127 / query.len().max(1)).min(32_000) as f64;
    let step = if largest > 0.0 { largest / most } else { 1.0 };
    (query.iter().map(|x| (x / step).round() as i16).collect(), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// Goal: the loops that the processor chooses give what plain ones give, for lengths that no lane divides.
    #[test]
    fn the_loops_agree_with_plain_sums() {
        for dimension in [1, 7, 15, 16, 31, 32, 33, 100, 512] {
            let (rows, query) = (numbers(5 * dimension, 1), numbers(dimension, 2));
            let (mut coded, mut found_coded) = (Vec::new(), Vec::new());
            let wide: Vec<f64> = query.iter().map(|x| f64::from(*x)).collect();
            let (coded_query, query_step) = code_query(&wide);
            let steps: Vec<(f32, f32)> =
                rows.chunks_exact(dimension).map(|row| code(row, &mut coded)).collect();
            coded_products(&coded, &coded_query, &mut found_coded);
            for (i, row) in rows.chunks_exact(dimension).enumerate() {
                let exact: f64 = row.iter().zip(&wide).map(|(a, b)| f64::from(*a) * b).sum();
                let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                assert!((square(row) - squares).abs() <= squares * 1e-12);
                let (step, lost) = steps[i];
                let near = f64::from(found_coded[i]) * f64::from(step) * query_step;
                let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
                let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                let bound = f64::from(lost) * length(&wide)
                    + (length(&row) + f64::from(lost)) * query_step * (dimension as f64).sqrt();
                assert!((exact - near).abs() <= bound, "{dimension}: {exact} {near} {bound}");
                assert!(f64::from(lost) < 0.02 * length(&row) + 1e-6);
            }
        }
        let mut coded = Vec::new();
        assert_eq!(code(&[0.0, 0.0], &mut coded), (0.0, 0.0));
        let (step, lost) = code(&[1e-21, 3.03e-22], &mut coded);
        let rest = 3.03e-22 - f32::from(coded[3]) * step;
        assert!(lost >= rest.abs() && rest != 0.0, "{lost} {rest}");
        assert!(code(&[f32::MIN_POSITIVE / 4.0, 0.0], &mut coded).1 > 0.0);
    }
}
