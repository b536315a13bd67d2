//! Points for a picture of so many pixels: of each column of pixels the first, the last, the least and the greatest.
//!
//! Lines through these points fill the same pixels as lines through all of them (M4: Jugel et al., VLDB 2014). Nothing is
//! sampled, so that no spike is lost.

use siltstone::array::extremes;
use siltstone::ticks::{Outline, Quote};

/// The most pixels of a picture: its columns are held in memory.
pub(crate) const MOST: usize = 1 << 20;

/// A value of an index: an integer (a time too) or a float.
pub(crate) trait Position: Copy + PartialOrd {
    /// The pixel that it is drawn at, of a picture whose first pixel is `from` and whose last one, of number `width`, is
    /// `until`: the nearest one. What lies outside belongs to the first or the last.
    fn pixel(self, from: Self, until: Self, width: usize) -> usize;
}

impl Position for i64 {
    fn pixel(self, from: Self, until: Self, width: usize) -> usize {
        let at = i128::from(self) - i128::from(from);
        let span = (i128::from(until) - i128::from(from)).max(1);
        let pixel = (2 * at * width as i128 + span).div_euclid(2 * span);
        pixel.clamp(0, width as i128) as usize
    }
}

impl Position for f64 {
    fn pixel(self, from: Self, until: Self, width: usize) -> usize {
        // By halves, since a span may overflow. A float as usize is clamped, and NaN is 0.
        let share = (self / 2.0 - from / 2.0) / (until / 2.0 - from / 2.0);
        ((share * width as f64 + 0.5) as usize).min(width)
    }
}

/// A point: where it stands, and a value of each line. NaN is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point<X, const LINES: usize> {
    /// Its number in the order of the file.
    pub(crate) row: u64,
    pub(crate) x: X,
    pub(crate) y: [f64; LINES],
}

/// Takes points in any order and keeps those that a picture needs.
pub(crate) struct M4<X, const LINES: usize> {
    from: X,
    until: X,
    points: u64,
    kept: Kept<X, LINES>,
}

enum Kept<X, const LINES: usize> {
    /// As many as come; with their limit.
    All(Vec<Point<X, LINES>>, usize),
    Columns(Vec<Option<Column<X, LINES>>>),
}

/// What is kept of one column of pixels.
#[derive(Clone, Copy)]
struct Column<X, const LINES: usize> {
    /// The first and the last point, missing or not: there a gap to the next column begins.
    ends: [Point<X, LINES>; 2],
    lines: [Option<Extremes<X, LINES>>; LINES],
}

impl<X: Copy, const LINES: usize> Column<X, LINES> {
    /// All that is kept; one may be there several times.
    fn points(self) -> impl Iterator<Item = Point<X, LINES>> {
        let lines = self.lines.into_iter().flatten();
        let lines = lines.flat_map(|e| [e.first, e.last, e.least, e.greatest]);
        self.ends.into_iter().chain(lines)
    }
}

/// The first, the last, the least and the greatest point that a line has in a column.
#[derive(Clone, Copy)]
struct Extremes<X, const LINES: usize> {
    first: Point<X, LINES>,
    last: Point<X, LINES>,
    least: Point<X, LINES>,
    greatest: Point<X, LINES>,
}

/// Points for a picture, rising.
pub(crate) struct Picture<X, const LINES: usize> {
    pub(crate) shown: Vec<Point<X, LINES>>,
    /// How many there are in the window.
    pub(crate) points: u64,
}

impl<X: Position, const LINES: usize> M4<X, LINES> {
    /// - `width`: pixels between `from` and `until`; `None` keeps every point.
    pub(crate) fn new(from: X, until: X, width: Option<usize>) -> Self {
        let limit = width.map_or(usize::MAX, |width| width.clamp(1, MOST) * 4);
        M4 { from, until, points: 0, kept: Kept::All(Vec::new(), limit) }
    }

    pub(crate) fn push(&mut self, x: X, y: [f64; LINES]) {
        let point = Point { row: self.points, x, y };
        self.points += 1;
        if let Kept::All(all, limit) = &mut self.kept
            && all.len() < *limit
        {
            return all.push(point);
        }
        self.reduce();
        self.put(point);
    }

    /// Takes points that rise. Which column a point is in, which costs more than all else, is asked for a few of them.
    pub(crate) fn extend(&mut self, xs: &[X], ys: [&[f64]; LINES]) {
        let y = |i: usize| ys.map(|ys| ys[i]);
        let mut i = 0;
        while i < xs.len() {
            if matches!(&self.kept, Kept::All(all, limit) if all.len() < *limit) {
                self.push(xs[i], y(i));
                i += 1;
                continue;
            }
            self.reduce();
            let Kept::Columns(columns) = &self.kept else { return };
            let (from, until, width) = (self.from, self.until, columns.len() - 1);
            let pixel = |x: &X| x.pixel(from, until, width);
            let at = pixel(&xs[i]);
            // Twice as far each time, then back.
            let mut step = 1;
            while xs.get(i + step).is_some_and(|x| pixel(x) == at) {
                step *= 2;
            }
            let (known, end) = (i + step / 2, (i + step).min(xs.len()));
            let end = known + xs[known..end].partition_point(|x| pixel(x) == at);
            // Of a column these alone can be kept.
            let mut chosen = vec![i, end - 1];
            for ys in ys {
                chosen.extend(landmarks(&ys[i..end]).into_iter().flatten().map(|at| i + at));
            }
            chosen.sort_unstable();
            chosen.dedup();
            for k in chosen {
                let row = self.points + (k - i) as u64;
                self.put_at(at, Point { row, x: xs[k], y: y(k) });
            }
            self.points += (end - i) as u64;
            i = end;
        }
    }

    /// Keeps columns from now on.
    fn reduce(&mut self) {
        let Kept::All(all, limit) = &mut self.kept else { return };
        let all = std::mem::take(all);
        self.kept = Kept::Columns(vec![None; *limit / 4 + 1]);
        all.into_iter().for_each(|point| self.put(point));
    }

    /// Takes what was made of later points, for a picture of the same window.
    pub(crate) fn append(&mut self, later: Self) {
        match later.kept {
            Kept::All(all, _) => all.into_iter().for_each(|point| self.push(point.x, point.y)),
            Kept::Columns(columns) => {
                self.reduce();
                for column in columns.into_iter().flatten() {
                    let mut points: Vec<_> = column.points().collect();
                    points.sort_by_key(|point| point.row);
                    for point in points {
                        self.put(Point { row: self.points + point.row, ..point });
                    }
                }
                self.points += later.points;
            }
        }
    }

    /// Puts a point into its column.
    fn put(&mut self, point: Point<X, LINES>) {
        let Kept::Columns(columns) = &self.kept else { return };
        let at = point.x.pixel(self.from, self.until, columns.len() - 1);
        self.put_at(at, point);
    }

    fn put_at(&mut self, at: usize, point: Point<X, LINES>) {
        let Kept::Columns(columns) = &mut self.kept else { return };
        let column = columns[at].get_or_insert(Column { ends: [point; 2], lines: [None; LINES] });
        if is_before(&point, &column.ends[0]) {
            column.ends[0] = point;
        }
        if is_before(&column.ends[1], &point) {
            column.ends[1] = point;
        }
        for (line, known) in
            column.lines.iter_mut().enumerate().filter(|(i, _)| !point.y[*i].is_nan())
        {
            let known = known.get_or_insert(Extremes {
                first: point,
                last: point,
                least: point,
                greatest: point,
            });
            if is_before(&point, &known.first) {
                known.first = point;
            }
            if is_before(&known.last, &point) {
                known.last = point;
            }
            if point.y[line] < known.least.y[line] {
                known.least = point;
            }
            if point.y[line] > known.greatest.y[line] {
                known.greatest = point;
            }
        }
    }

    pub(crate) fn finish(self) -> Picture<X, LINES> {
        let mut shown = match self.kept {
            Kept::All(all, _) => all,
            Kept::Columns(columns) => {
                columns.into_iter().flatten().flat_map(Column::points).collect()
            }
        };
        shown.sort_by(|a, b| {
            a.x.partial_cmp(&b.x).unwrap_or(std::cmp::Ordering::Equal).then(a.row.cmp(&b.row))
        });
        shown.dedup_by_key(|point| point.row);
        Picture { shown, points: self.points }
    }
}

impl M4<i64, 2> {
    /// Takes ticks that lie in one column, by their outline.
    pub(crate) fn push_outline(&mut self, outline: &Outline) {
        self.reduce();
        let mut quotes = [outline.ends, outline.bids, outline.asks].concat();
        quotes.sort_by_key(|quote| quote.number);
        for Quote { number, time_ns, bid, ask } in quotes {
            self.put(Point { row: self.points + u64::from(number), x: time_ns, y: [bid, ask] });
        }
        self.points += u64::from(outline.ticks);
    }
}

/// Where the first, the last, the least and the greatest value stand that is not missing, if there is one.
fn landmarks(values: &[f64]) -> Option<[usize; 4]> {
    let is_there = |value: &f64| !value.is_nan();
    let (first, last) = (values.iter().position(is_there)?, values.iter().rposition(is_there)?);
    let [least, greatest] = extremes(values)?;
    Some([first, last, least, greatest])
}

/// In the order of the picture; points of one place stand in the order of the file.
fn is_before<X: PartialOrd, const LINES: usize>(a: &Point<X, LINES>, b: &Point<X, LINES>) -> bool {
    a.x < b.x || (a.x == b.x && a.row < b.row)
}

impl<X, const LINES: usize> Picture<X, LINES> {
    pub(crate) fn is_exact(&self) -> bool {
        self.shown.len() as u64 == self.points
    }

    /// How much of it is shown, as a page says it.
    pub(crate) fn said(&self) -> String {
        match self.is_exact() {
            true => "exact".to_owned(),
            false => match (self.points as f64 / self.shown.len() as f64).round() {
                ..2.0 => "nearly all points, min and max kept".to_owned(),
                one_of => format!("1 of {one_of} points, min and max kept"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk with spikes of one point, falling times, equal times and missing values.
    fn walk(n: i64) -> Vec<(i64, f64)> {
        let mut state = 7u64;
        let mut y = 0.0;
        (0..n)
            .map(|i| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let r = (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
                y += r;
                let x = if i % 997 == 0 { i / 2 } else { i - i % 2 };
                match (i % 1013, (i / 5000) % 7) {
                    (0, _) => (x, y + 1e6 * r),
                    (_, 3) => (x, f64::NAN),
                    _ => (x, y),
                }
            })
            .collect()
    }

    fn picture(points: &[(i64, f64)], until: i64, width: usize) -> Picture<i64, 1> {
        let mut m4 = M4::new(0, until, Some(width));
        points.iter().for_each(|(x, y)| m4.push(*x, [*y]));
        m4.finish()
    }

    /// For each column of pixels: first, last, least, greatest of what is not missing, and whether its ends are missing.
    fn columns(points: &[(i64, f64)], until: i64, width: usize) -> Vec<Option<[f64; 6]>> {
        let mut sorted = points.to_vec();
        sorted.sort_by_key(|(x, _)| *x);
        let mut columns = vec![Vec::new(); width + 1];
        for (x, y) in sorted {
            columns[((2 * x * width as i64 + until) / (2 * until)) as usize].push(y);
        }
        let of = |ys: Vec<f64>| {
            let ends = [ys.first()?, ys.last()?].map(|y| f64::from(u8::from(y.is_nan())));
            let ys: Vec<f64> = ys.into_iter().filter(|y| !y.is_nan()).collect();
            let (Some(first), Some(last)) = (ys.first(), ys.last()) else {
                return Some([0.0, 0.0, 0.0, 0.0, ends[0], ends[1]]);
            };
            let least = ys.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = ys.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Some([*first, *last, least, greatest, ends[0], ends[1]])
        };
        columns.into_iter().map(of).collect()
    }

    /// Goal: a picture shows what all points would show: each column of pixels has the same ends, extremes and gaps.
    #[test]
    fn a_picture_has_the_extremes_of_all_points() {
        for (n, width) in [(100_000, 300), (100_000, 7), (6_000, 1_000), (100_000, 1)] {
            let points = walk(n);
            let picture = picture(&points, n, width);
            assert_eq!(picture.points, n as u64);
            assert!(picture.shown.len() < points.len() && picture.shown.len() <= 6 * (width + 1));
            let shown: Vec<(i64, f64)> = picture.shown.iter().map(|p| (p.x, p.y[0])).collect();
            assert!(shown.is_sorted_by_key(|(x, _)| *x), "{n} {width}");
            assert_eq!(columns(&shown, n, width), columns(&points, n, width), "{n} {width}");
        }
    }

    /// Goal: rising points that come by the slice, and in two parts, are the picture of points that come one by one.
    #[test]
    fn slices_and_parts_are_the_picture_of_points() {
        let mut points = walk(50_000);
        points.sort_by_key(|(x, _)| *x);
        let (xs, ys): (Vec<i64>, Vec<f64>) = points.iter().copied().unzip();
        for (width, size) in [(300, 4_096), (7, 100), (20_000, 1), (20_000, 333), (1, 50_000)] {
            let part = |range: std::ops::Range<usize>| {
                let mut m4 = M4::<i64, 1>::new(0, 50_000, Some(width));
                for (xs, ys) in xs[range.clone()].chunks(size).zip(ys[range].chunks(size)) {
                    m4.extend(xs, [ys]);
                }
                m4
            };
            let wanted = picture(&points, 50_000, width);
            let shown = |picture: &Picture<i64, 1>| {
                let of = |point: &Point<i64, 1>| (point.row, point.x, point.y[0].to_bits());
                (picture.points, picture.shown.iter().map(of).collect::<Vec<_>>())
            };
            assert_eq!(shown(&part(0..50_000).finish()), shown(&wanted), "{width} {size}");
            for middle in [0, 10, 20_000, 49_995] {
                let mut m4 = part(0..middle);
                m4.append(part(middle..50_000));
                assert_eq!(shown(&m4.finish()), shown(&wanted), "{width} {size} {middle}");
            }
        }
    }

    /// Goal: few points are all shown, in rising order, and this is said.
    #[test]
    fn few_points_are_exact() {
        let points = walk(400);
        let picture = picture(&points, 400, 100);
        assert_eq!((picture.shown.len(), picture.said().as_str()), (400, "exact"));
        assert!(picture.shown.is_sorted_by_key(|point| point.x));
    }

    /// Goal: how much was left out is said.
    #[test]
    fn a_reduced_picture_says_so() {
        let points: Vec<(i64, f64)> = (0..100_000).map(|i| (i, (i % 7) as f64)).collect();
        let said = picture(&points, 100_000, 25).said();
        assert!(
            said.starts_with("1 of 1") && said.ends_with(" points, min and max kept"),
            "{said}"
        );
    }

    /// Goal: the ends of what an index can hold lie in the first and the last column.
    #[test]
    fn the_widest_windows_do_not_overflow() {
        assert_eq!(i64::MIN.pixel(i64::MIN, i64::MAX, 10), 0);
        assert_eq!(i64::MAX.pixel(i64::MIN, i64::MAX, 10), 10);
        assert_eq!(0f64.pixel(f64::MIN, f64::MAX, 10), 5);
        assert_eq!(f64::MAX.pixel(f64::MIN, f64::MAX, 10), 10);
        assert_eq!(f64::NAN.pixel(0.0, 1.0, 10), 0);
        assert_eq!(3i64.pixel(3, 3, 10), 0);
        assert_eq!([4i64, 5, 14, 15].map(|x| x.pixel(0, 100, 10)), [0, 1, 1, 2]);
    }
}
