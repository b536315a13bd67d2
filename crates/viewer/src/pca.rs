//! The two directions in which vectors differ most, and where each vector lies along them.

/// The most rounds of the iteration; a picture needs no more.
const ROUNDS: usize = 60;
/// Two rounds whose directions differ by less have ended.
const NEAR: f64 = 1e-12;

/// Vectors in their two principal directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Projection {
    /// Of each vector.
    pub(crate) places: Vec<[f64; 2]>,
    /// The part of all variance that lies in each direction.
    pub(crate) shares: [f64; 2],
}

/// Projects vectors of one dimension, one after another in `rows`, by orthogonal iteration from fixed vectors: the same
/// vectors give the same picture.
pub(crate) fn project(rows: &[f32], dimension: usize) -> Projection {
    let n = rows.len().checked_div(dimension).unwrap_or(0);
    let mut mean = vec![0.0; dimension];
    for row in rows.chunks_exact(dimension.max(1)) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / n as f64);
    }
    let centred = |row: &[f32], k: usize| f64::from(row[k]) - mean[k];
    let along = |row: &[f32], axis: &[f64]| (0..dimension).map(|k| centred(row, k) * axis[k]).sum();
    let mut axes = [start(dimension, 1), start(dimension, 2)];
    orthonormal(&mut axes);
    for _ in 0..ROUNDS {
        let mut next = [vec![0.0; dimension], vec![0.0; dimension]];
        for row in rows.chunks_exact(dimension.max(1)) {
            for (axis, next) in axes.iter().zip(&mut next) {
                let at: f64 = along(row, axis);
                (0..dimension).for_each(|k| next[k] += at * centred(row, k));
            }
        }
        orthonormal(&mut next);
        let moved = axes.iter().zip(&next).map(|(old, new)| 1.0 - dot(old, new).abs());
        let ended = moved.fold(0.0, f64::max) < NEAR;
        axes = next;
        if ended {
            break;
        }
    }
    // Of one sign, so that the picture does not flip when a vector comes in.
    for axis in &mut axes {
        let largest =
            axis.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        if largest < 0.0 {
            axis.iter_mut().for_each(|x| *x = -*x);
        }
    }
    let places: Vec<[f64; 2]> = rows
        .chunks_exact(dimension.max(1))
        .map(|row| [along(row, &axes[0]), along(row, &axes[1])])
        .collect();
    let all: f64 = rows
        .chunks_exact(dimension.max(1))
        .flat_map(|row| (0..dimension).map(move |k| centred(row, k).powi(2)))
        .sum();
    let share = |i: usize| match all > 0.0 {
        true => places.iter().map(|place| place[i].powi(2)).sum::<f64>() / all,
        false => 0.0,
    };
    Projection { shares: [share(0), share(1)], places }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Numbers without a pattern, the same each time.
fn start(dimension: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..dimension).map(|_| next()).collect()
}

/// Makes the second upright on the first, and both of length 1; what has no length stays so.
fn orthonormal([first, second]: &mut [Vec<f64>; 2]) {
    let scale = |of: &mut [f64]| {
        let length = dot(of, of).sqrt();
        let factor = if length > 1e-150 { 1.0 / length } else { 0.0 };
        of.iter_mut().for_each(|x| *x *= factor);
    };
    scale(first);
    // Twice: once leaves a part where both are nearly the same.
    for _ in 0..2 {
        let part = dot(first, second);
        second.iter_mut().zip(first.iter()).for_each(|(x, y)| *x -= part * y);
        scale(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: vectors that differ in two directions, whatever they have in common, lie where those directions say, the wider
    /// one first.
    #[test]
    fn the_widest_directions_are_found() {
        let (a, b) = ([0.6f32, 0.0, 0.8, 0.0], [0.0f32, 1.0, 0.0, 0.0]);
        let mut rows = Vec::new();
        for i in 0..100i16 {
            let (s, t) = (f32::from(i % 10) - 4.5, f32::from(i / 10) * 3.0 - 13.5);
            rows.extend((0..4).map(|k| 7.0 + s * a[k] + t * b[k]));
        }
        let found = project(&rows, 4);
        for (i, [x, y]) in found.places.iter().enumerate() {
            let (s, t) = ((i % 10) as f64 - 4.5, (i / 10) as f64 * 3.0 - 13.5);
            assert!((x - t).abs() < 1e-4 && (y - s).abs() < 1e-4, "{i}: {x} {y}, not {t} {s}");
        }
        assert!((found.shares[0] - 0.9).abs() < 1e-6, "{:?}", found.shares);
        assert!((found.shares[0] + found.shares[1] - 1.0).abs() < 1e-6);
    }

    /// Goal: no vector, one, equal ones, and those of one dimension have places, all of them numbers.
    #[test]
    fn few_vectors_have_places() {
        for (rows, dimension) in [
            (vec![], 0),
            (vec![], 3),
            (vec![1.0, 2.0, 3.0], 3),
            (vec![5.0; 12], 3),
            (vec![1.0, 2.0, 4.0], 1),
            (vec![1e30, 0.0, -1e30, 0.0], 2),
        ] {
            let found = project(&rows, dimension);
            assert_eq!(found.places.len(), rows.len().checked_div(dimension).unwrap_or(0));
            assert!(found.places.iter().flatten().all(|x| x.is_finite()), "{rows:?}: {found:?}");
        }
    }
}
