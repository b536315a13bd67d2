//! Pictures for the terminal: lines over an axis, points on a map, a row of bars.
//!
//! Pure: values in, text out. Dots are braille characters, two across and four down in each cell.
//! Whatever the values, a picture stays within its [`Canvas`] and ends without a newline.

mod screen;

use std::ops::Range;

use screen::Screen;

use crate::table::cells;
use crate::terminal::escaped;

/// A colour as the terminal counts them: the parameter of SGR, 0 for the terminal's own.
pub(crate) type Ink = u8;

/// Inks of the series, in order: yellow, red, cyan, green, magenta, blue.
const SERIES_INKS: [Ink; 6] = [33, 31, 36, 32, 35, 34];
/// Marks that tell series apart where there is no colour.
const SERIES_MARKS: [char; 8] = ['●', '▲', '■', '◆', '○', '△', '□', '◇'];
/// Columns from one mark of a series to its next.
const MARK_EVERY: usize = 16;
/// Bright black: axes.
const AXIS_INK: Ink = 90;
/// The bars of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How large a picture may be, in terminal cells, and whether it may use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Canvas {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Whether to write ANSI colours; the caller asks the terminal and `NO_COLOR`.
    pub(crate) color: bool,
}

/// A class of points on a [`map`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class<'a> {
    /// Its name in the legend.
    pub(crate) name: &'a str,
    /// What stands for it without colour.
    pub(crate) glyph: char,
    /// What stands for it with colour.
    pub(crate) ink: Ink,
    /// Where points share a cell, the highest rank shows.
    pub(crate) rank: u8,
}

/// Draws series as lines over one axis.
///
/// - `series`: name and values, evenly spaced; NaN and infinity are gaps.
/// - `x_labels`: the first stands under the first value, the last under the last, the others evenly
///   between. Every 2nd, 5th, 10th, ... is written, as many as fit.
/// - `bands`: ranges of values to mark on the axis, with a name.
pub(crate) fn lines<S: AsRef<str>, L: AsRef<str>>(
    series: &[(S, Vec<f64>)],
    x_labels: &[L],
    bands: &[(Range<usize>, &str)],
    canvas: Canvas,
) -> String {
    let Some(mut screen) = Screen::new(canvas) else { return String::new() };
    let legend_rows = usize::from(canvas.height >= 6 && !series.is_empty());
    let axis_rows = usize::from(canvas.height >= 4);
    let label_rows = usize::from(canvas.height >= 5 && !x_labels.is_empty());
    let rows = canvas.height - legend_rows - axis_rows - label_rows;
    let finite = series.iter().flat_map(|(_, values)| values).filter(|v| v.is_finite());
    let axis = Axis::over(finite.copied(), rows);
    let frame = axis.ticks.iter().map(|(_, label)| label.len() + 2).max().unwrap_or(0);
    let left = if frame + 10 <= canvas.width { frame } else { 0 };
    let values = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let plot = Plot { left, top: legend_rows, width: canvas.width - left, rows, values };
    if legend_rows == 1 {
        let entry = |(index, (name, _)): (usize, &(S, Vec<f64>))| {
            let mark = if canvas.color || series.len() == 1 { '━' } else { mark_of(index) };
            (mark, ink_of(index), name.as_ref().to_owned())
        };
        screen.legend(left, series.iter().enumerate().map(entry));
    }
    plot.draw_frame(&mut screen, &axis, axis_rows == 1);
    if axis_rows == 1 {
        bands.iter().for_each(|(range, name)| plot.draw_band(&mut screen, range, name));
    }
    if label_rows == 1 {
        plot.draw_x_labels(&mut screen, x_labels);
    }
    let mut marks = Vec::new();
    for (index, (_, values)) in series.iter().enumerate() {
        let rows = plot.draw_series(&mut screen, &axis, values, ink_of(index));
        if !canvas.color && series.len() > 1 {
            let seen = |(column, row): (usize, &Option<usize>)| row.map(|row| (column, row));
            let seen: Vec<_> = rows.iter().enumerate().filter_map(seen).collect();
            let turn = (2 * index + 1) * MARK_EVERY / (2 * series.len());
            let some = seen.iter().filter(|(column, _)| column % MARK_EVERY == turn);
            let some = some.chain(seen.last().filter(|_| seen.len() <= MARK_EVERY));
            marks.extend(some.map(|(column, row)| (*column, *row, mark_of(index))));
        }
    }
    // After all lines, so that none hides the marks of another.
    for (column, row, mark) in marks {
        screen.put(left + column, legend_rows + row, mark, 0);
    }
    if axis.ticks.is_empty() {
        screen.text_around(canvas.width / 2, legend_rows + rows / 2, "no values", 0);
    }
    screen.finish()
}

/// Draws one row of bars, the highest value as `█`, the lowest as `▁`.
///
/// More values than `width` share columns, each showing its highest; NaN and infinity are spaces.
/// Where all values are the same, they stand at half height.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    let columns = values.len().min(width);
    let highest = |column: usize| {
        let part = &values[column * values.len() / columns..(column + 1) * values.len() / columns];
        part.iter().copied().filter(|v| v.is_finite()).reduce(f64::max)
    };
    let highest: Vec<Option<f64>> = (0..columns).map(highest).collect();
    let (low, high) = bounds(highest.iter().flatten().copied()).unwrap_or((0.0, 0.0));
    let bar = |value: f64| match low < high {
        true => BARS[(share(value, low, high) * 7.0).round() as usize],
        false => BARS[3],
    };
    highest.into_iter().map(|value| value.map_or(' ', bar)).collect()
}

/// Draws points on a plane: `y` grows upward, and both axes have one scale, so that shapes stay.
///
/// - `points`: x, y and index into `classes`; one that is not finite or of no class is left out.
/// - `notes`: x, y and a name to write there, over the points.
pub(crate) fn map(
    points: &[(f64, f64, usize)],
    classes: &[Class<'_>],
    notes: &[(f64, f64, &str)],
    canvas: Canvas,
) -> String {
    let Some(mut screen) = Screen::new(canvas) else { return String::new() };
    let top = usize::from(canvas.height >= 3 && !classes.is_empty());
    let is_drawn = |(x, y, class): &&(f64, f64, usize)| {
        x.is_finite() && y.is_finite() && *class < classes.len()
    };
    let mut points: Vec<&(f64, f64, usize)> = points.iter().filter(is_drawn).collect();
    if top == 1 {
        let entry = |(index, class): (usize, &Class<'_>)| {
            let count = points.iter().filter(|point| point.2 == index).count();
            let mark = if canvas.color { '●' } else { class.glyph };
            (mark, class.ink, format!("{} {count}", class.name))
        };
        screen.legend(0, classes.iter().enumerate().map(entry));
    }
    let x = bounds(points.iter().map(|point| point.0));
    let y = bounds(points.iter().map(|point| point.1));
    let (Some(x), Some(y)) = (x, y) else {
        screen.text_around(canvas.width / 2, top + (canvas.height - top) / 2, "no points", 0);
        return screen.finish();
    };
    let plane = Plane::new([x, y], [canvas.width * 2 - 1, (canvas.height - top) * 4 - 1]);
    // In the order of rank, so that the highest is drawn last.
    points.sort_by_key(|point| classes[point.2].rank);
    for (x, y, class) in points {
        let ([x, y], class) = (plane.dot(*x, *y), classes[*class]);
        match canvas.color {
            true => screen.dot(x, top * 4 + y, class.ink),
            false => screen.put(x / 2, top + y / 4, class.glyph, 0),
        }
    }
    for (x, y, name) in notes.iter().filter(|(x, y, _)| x.is_finite() && y.is_finite()) {
        let [x, y] = plane.dot(*x, *y);
        screen.text_around(x / 2, top + y / 4, &format!(" {name} "), 0);
    }
    screen.finish()
}

fn ink_of(series: usize) -> Ink {
    SERIES_INKS[series % SERIES_INKS.len()]
}

fn mark_of(series: usize) -> char {
    SERIES_MARKS[series % SERIES_MARKS.len()]
}

/// The lowest and the highest of finite values.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, v| {
        let (low, high) = bounds.unwrap_or((v, v));
        Some((v.min(low), v.max(high)))
    })
}

/// Where `value` stands between `low` (0) and `high` (1). By halves, since a span may overflow.
fn share(value: f64, low: f64, high: f64) -> f64 {
    ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)).clamp(0.0, 1.0)
}

/// The y axis: its ends, and its ticks with their labels. Without values there are no ticks.
#[derive(Debug, Default)]
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over finite values for a plot of so many rows, from one tick to another.
    ///
    /// Ticks are 1, 2 or 5 times a power of ten apart. Values above zero start at zero, unless they
    /// all lie in the upper half.
    fn over(values: impl Iterator<Item = f64>, rows: usize) -> Self {
        // Beyond this a span would overflow.
        let values = values.map(|v| v.clamp(-1e300, 1e300));
        let Some((mut low, mut high)) = bounds(values) else { return Axis::default() };
        if low > 0.0 && low <= high / 2.0 {
            low = 0.0;
        }
        // Too close for ticks that differ: as if constant.
        let largest = low.abs().max(high.abs());
        if high - low <= (largest * 1e-12).max(1e-300) {
            let around = if largest > 1e-290 { largest * 0.1 } else { 1.0 };
            (low, high) = (low - around, high + around);
        }
        let rough = (high - low) / (rows as f64 / 4.0).clamp(1.0, 10.0);
        let power = 10f64.powi(rough.log10().floor() as i32);
        let nice = match rough / power {
            ..1.5 => 1.0,
            ..3.5 => 2.0,
            ..7.5 => 5.0,
            _ => 10.0,
        };
        let step = power * nice;
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let (low, high) = (first as f64 * step, last as f64 * step);
        let largest = low.abs().max(high.abs());
        let tick = |i| (i as f64 * step, tick_label(i as f64 * step, step, largest));
        Axis { low, high, ticks: (first..=last).map(tick).collect() }
    }
}

/// A tick's number, as exact as its step and with `k`, `M`, `G` or `T` where all are large.
fn tick_label(value: f64, step: f64, largest: f64) -> String {
    let decimals = |step: f64| (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    if largest >= 1e15 || step < 1e-6 {
        let digits = decimals(step / 10f64.powf(largest.log10().floor()));
        return if value == 0.0 { "0".into() } else { format!("{value:.digits$e}") };
    }
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let large = units.into_iter().find(|(unit, _)| largest >= 1e5 && largest >= *unit);
    let (unit, suffix) = large.unwrap_or((1.0, ""));
    let suffix = if value == 0.0 { "" } else { suffix };
    let digits =
        if value == 0.0 && suffix.is_empty() && unit > 1.0 { 0 } else { decimals(step / unit) };
    format!("{:.digits$}{suffix}", value / unit)
}

/// Where the lines stand on the screen, in cells, and how many values lie side by side.
struct Plot {
    left: usize,
    top: usize,
    width: usize,
    rows: usize,
    values: usize,
}

impl Plot {
    /// The column of dots, from the plot's left, of item `i` of `n` spread over the width.
    fn dot_x(&self, i: usize, n: usize) -> usize {
        let share = if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 };
        (share * (self.width * 2 - 1) as f64).round() as usize
    }

    /// The row of dots, from the plot's top, of a value.
    fn dot_y(&self, axis: &Axis, value: f64) -> usize {
        let share = 1.0 - share(value, axis.low, axis.high);
        (share * (self.rows * 4 - 1) as f64).round() as usize
    }

    fn draw_frame(&self, screen: &mut Screen, axis: &Axis, with_x_axis: bool) {
        let bottom = self.top + self.rows;
        if with_x_axis {
            (self.left..screen.canvas.width).for_each(|x| screen.put(x, bottom, '─', AXIS_INK));
        }
        let Some(line) = self.left.checked_sub(1) else { return };
        (self.top..bottom).for_each(|y| screen.put(line, y, '│', AXIS_INK));
        if with_x_axis {
            screen.put(line, bottom, '└', AXIS_INK);
        }
        let mut last_row = None;
        for (value, label) in &axis.ticks {
            let row = self.top + self.dot_y(axis, *value) / 4;
            if last_row.replace(row) != Some(row) {
                screen.put(line, row, '┤', AXIS_INK);
                screen.text((line - 1).saturating_sub(label.len()), row, label, 0);
            }
        }
    }

    fn draw_x_labels<L: AsRef<str>>(&self, screen: &mut Screen, labels: &[L]) {
        let (y, room) = (self.top + self.rows, screen.canvas.width);
        let label = |i: usize| {
            let text = escaped(labels[i].as_ref().to_owned());
            let column = self.left + self.dot_x(i, labels.len()) / 2;
            let length = cells(&text);
            let start = column.saturating_sub(length / 2).min(room.saturating_sub(length));
            (column, start, start + length, text)
        };
        let all: Vec<_> = (0..labels.len()).map(label).collect();
        let fits = |stride: &usize| {
            let chosen: Vec<_> = all.iter().step_by(*stride).collect();
            chosen.windows(2).all(|pair| pair[0].2 + 2 <= pair[1].1)
        };
        let strides = (0..18).flat_map(|power| [1, 2, 5].map(|n| n * 10usize.pow(power)));
        let stride = strides.into_iter().find(fits).unwrap_or(usize::MAX);
        for (column, start, _, text) in all.iter().step_by(stride) {
            match screen.cells[y * room + column] {
                ('━', ink) => screen.put(*column, y, '┯', ink),
                ('─', ink) => screen.put(*column, y, '┬', ink),
                // A band's name stays readable.
                _ => {}
            }
            screen.text(*start, y + 1, text, 0);
        }
    }

    fn draw_band(&self, screen: &mut Screen, range: &Range<usize>, name: &str) {
        let last = range.end.min(self.values).saturating_sub(1);
        if range.start > last || range.is_empty() {
            return;
        }
        let [from, to] = [range.start, last].map(|i| self.left + self.dot_x(i, self.values) / 2);
        let y = self.top + self.rows;
        (from..=to).for_each(|x| screen.put(x, y, '━', 0));
        let name = format!(" {} ", escaped(name.to_owned()));
        if cells(&name) > 2 && cells(&name) <= to - from {
            screen.text_around((from + to).div_ceil(2), y, &name, 0);
        }
    }

    /// Draws one line; returns for each column the last row of cells that it went through.
    fn draw_series(
        &self,
        screen: &mut Screen,
        axis: &Axis,
        values: &[f64],
        ink: Ink,
    ) -> Vec<Option<usize>> {
        let mut rows = vec![None; self.width];
        let mut before = None;
        for (i, value) in values.iter().enumerate() {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let here = [self.dot_x(i, self.values), self.dot_y(axis, *value)];
            for [x, y] in between(before.unwrap_or(here), here) {
                screen.dot(self.left * 2 + x, self.top * 4 + y, ink);
                rows[x / 2] = Some(y / 4);
            }
            before = Some(here);
        }
        rows
    }
}

/// The dots on the straight line between two, both included.
fn between(from: [usize; 2], to: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    let steps = from[0].abs_diff(to[0]).max(from[1].abs_diff(to[1]));
    (0..=steps).map(move |step| {
        let share = step as f64 / steps.max(1) as f64;
        let at = |a: usize, b: usize| (a as f64 + (b as f64 - a as f64) * share).round() as usize;
        [at(from[0], to[0]), at(from[1], to[1])]
    })
}

/// A plane of numbers laid over dots, with one scale for both directions.
struct Plane {
    bounds: [(f64, f64); 2],
    last_dot: [usize; 2],
    /// Half the distance that one dot stands for; 0 if all points are in one place.
    half_unit: f64,
}

impl Plane {
    fn new(bounds: [(f64, f64); 2], last_dot: [usize; 2]) -> Self {
        let need = |i: usize| (bounds[i].1 / 2.0 - bounds[i].0 / 2.0) / last_dot[i].max(1) as f64;
        Plane { bounds, last_dot, half_unit: need(0).max(need(1)) }
    }

    /// Column and row of dots from the upper left corner.
    fn dot(&self, x: f64, y: f64) -> [usize; 2] {
        let dot = |i: usize, value: f64| {
            let (low, high) = self.bounds[i];
            let dots = |distance: f64| if distance > 0.0 { distance / self.half_unit } else { 0.0 };
            let margin = (self.last_dot[i] as f64 - dots(high / 2.0 - low / 2.0)) / 2.0;
            let dot = (margin + dots(value / 2.0 - low / 2.0)).round();
            (dot.max(0.0) as usize).min(self.last_dot[i])
        };
        [dot(0, x), self.last_dot[1] - dot(1, y)]
    }
}

#[cfg(test)]
mod tests {
    use super::screen::WIDE_REST;
    use super::*;

    const NO_LABELS: [&str; 0] = [];
    const CLASSES: [Class<'_>; 2] = [
        Class { name: "low", glyph: '.', ink: 36, rank: 0 },
        Class { name: "high", glyph: '#', ink: 31, rank: 1 },
    ];

    fn canvas(width: usize, height: usize) -> Canvas {
        Canvas { width, height, color: false }
    }

    /// The text without its colours.
    fn plain(text: &str) -> String {
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap_or("").to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').expect("an SGR sequence").1)
    }

    /// Goal: no values and no size break a picture or leave its canvas, with colour or without.
    #[test]
    fn pictures_stay_within_their_canvas() {
        let all = [0.0, -0.0, 7.5, 1e308, -1e308, 5e-324, f64::NAN, f64::INFINITY, 1e-7];
        let cases: [&[f64]; 9] = [
            &[],
            &all[..1],
            &[f64::NAN; 3],
            &[4.0; 5],
            &[1e308; 2],
            &all,
            &[5e-324, 0.0],
            &[1e15, 1e15 + 1.0],
            &[-3.0, f64::NAN, -9.0],
        ];
        for (width, height) in (0..26).flat_map(|w| (0..9).map(move |h| (w, h))) {
            for (values, color) in cases.iter().flat_map(|v| [(v, false), (v, true)]) {
                let canvas = Canvas { width, height, color };
                let points: Vec<_> =
                    values.iter().enumerate().map(|(i, v)| (*v, -v, i % 3)).collect();
                let series = [("日本\n", values.to_vec()), ("b", vec![1.0]), ("c", vec![])];
                for text in [
                    lines(
                        &series,
                        &["first", "二", "last"],
                        &[(0..2, "band"), (Range { start: 7, end: 3 }, "")],
                        canvas,
                    ),
                    lines(&series[..1], &NO_LABELS, &[], canvas),
                    map(&points, &CLASSES, &[(0.0, 1e308, "町"), (f64::NAN, 0.0, "x")], canvas),
                    sparkline(values, width),
                ] {
                    let text = plain(&text);
                    assert!(text.lines().all(|line| cells(line) <= width), "{canvas:?}\n{text}");
                    assert!(text.lines().count() <= height.max(1), "{canvas:?}\n{text}");
                    assert!(!text.contains(WIDE_REST), "{canvas:?}\n{text}");
                }
            }
        }
    }

    /// Goal: a small chart, to the character.
    #[test]
    fn a_rising_line_rises() {
        let rising = [("n", (0..11).map(f64::from).collect())];
        let expected = [
            "    ━ n",
            "10 ┤        ⢀⠔⠊",
            "   │      ⡠⠔⠁",
            "   │   ⡠⠒⠉",
            " 0 ┤⣀⠔⠉",
            "   └┬────━━━━━┯",
            "    a         b",
        ];
        let labels = ["a", "b"];
        let text = lines(&rising, &labels, &[(5..11, "")], canvas(15, 7));
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "\n{text}");
    }

    /// Goal: ticks are round, differ from each other, embrace the values and keep zero in sight.
    #[test]
    fn ticks_are_round() {
        let labels = |values: &[f64], rows| {
            let axis = Axis::over(values.iter().copied(), rows);
            assert!(values.iter().all(|v| axis.low <= *v && *v <= axis.high), "{axis:?}");
            axis.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(&[3.0, 97.0], 20), "0 20 40 60 80 100");
        assert_eq!(labels(&[-0.31, 0.34], 12), "-0.4 -0.2 0.0 0.2 0.4");
        assert_eq!(labels(&[0.0, 4000.0], 16), "0 1000 2000 3000 4000");
        assert_eq!(labels(&[0.0, 2.2e6], 12), "0 0.5M 1.0M 1.5M 2.0M 2.5M");
        assert_eq!(labels(&[9_995.0, 10_005.0], 8), "9995 10000 10005");
        assert_eq!(labels(&[5.0], 8), "4.5 5.0 5.5");
        assert_eq!(labels(&[0.0], 8), "-1 0 1");
        assert_eq!(labels(&[0.0, 3e-9], 12), "0 1e-9 2e-9 3e-9");
        assert_eq!(labels(&[], 8), "");
    }

    /// Goal: a gap in the values is a gap in the line, and a value between gaps is still seen.
    #[test]
    fn nan_leaves_a_gap() {
        let values = vec![1.0, 1.0, f64::NAN, 1.0, f64::INFINITY, 1.0, 1.0];
        let text = lines(&[("", values)], &NO_LABELS, &[], canvas(7, 1));
        assert_eq!(text, "⠤⠄⠀⠠⠀⠠⠤".replace('⠀', " "), "{text}");
    }

    /// Goal: colour comes only when asked for and ends on its line; else marks tell series apart.
    #[test]
    fn colour_only_if_asked() {
        let series = [("up", vec![0.0, 1.0]), ("down", vec![1.0, 0.0])];
        let text = lines(&series, &NO_LABELS, &[], canvas(60, 12));
        assert!(!text.contains('\u{1b}'));
        assert!(text.matches('●').count() > 2 && text.matches('▲').count() > 2, "{text}");
        let text = lines(&series, &NO_LABELS, &[], Canvas { color: true, ..canvas(60, 12) });
        assert!(!text.contains('●'));
        for ink in ["\u{1b}[33m", "\u{1b}[31m", "\u{1b}[90m"] {
            assert!(text.contains(ink), "{text:?}");
        }
        let ends = |line: &str| line.rfind("\u{1b}[") == line.rfind("\u{1b}[0m");
        assert!(text.lines().all(ends), "{text:?}");
    }

    /// Goal: of many labels a round share is written, apart from each other, and a band is named.
    #[test]
    fn labels_and_bands_stand_on_the_axis() {
        let labels: Vec<String> = (0..=100).map(|day| format!("d{day}")).collect();
        let values = [("n", labels.iter().map(|label| label.len() as f64).collect())];
        let text = lines(&values, &labels, &[(40..61, "lockdown")], canvas(60, 8));
        let rows: Vec<&str> = text.lines().collect();
        let written: Vec<&str> = rows[7].split_whitespace().collect();
        assert_eq!(written, ["d0", "d20", "d40", "d60", "d80", "d100"]);
        assert!(rows[6].contains("lockdown"), "{text}");
    }

    /// Goal: bars follow the values, keep the peaks of a long series and skip what is missing.
    #[test]
    fn a_sparkline_follows_its_values() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.5, 7.0], 10), "▁▂▃▅█");
        assert_eq!(sparkline(&[2.0, f64::NAN, 2.0], 10), "▄ ▄");
        let mut long = vec![0.0; 1000];
        long[501] = 1.0;
        assert_eq!(sparkline(&long, 4), "▁▁█▁");
        assert_eq!((sparkline(&[], 5), sparkline(&[1.0], 0)), (String::new(), String::new()));
    }

    /// Goal: on a map up is up, a square stays square, and the highest rank of a cell shows.
    #[test]
    fn a_map_keeps_shapes_and_ranks() {
        let points =
            [(0.0, 0.0, 0), (10.0, 0.0, 0), (0.0, 10.0, 1), (10.0, 10.0, 0), (0.1, 9.9, 0)];
        let text = map(&points, &CLASSES, &[(5.0, 5.0, "mid")], canvas(30, 6));
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], ". low 4   # high 1");
        assert_eq!(rows[1].trim(), "#        .");
        assert_eq!(rows[3].trim(), "mid");
        assert_eq!(rows[5].trim(), ".        .");
        let one = map(&[(3.0, 4.0, 0)], &CLASSES, &[], canvas(20, 4));
        assert_eq!(one.lines().nth(2).map(str::trim), Some("."), "{one}");
    }
}
