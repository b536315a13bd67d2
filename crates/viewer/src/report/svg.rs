//! A picture as SVG: curves or candles over one axis. The style sheet of the report has its colours, for light and dark.

use std::fmt::Write;

use super::axis::{self, Mark};
use super::html::escaped;

/// The size of a picture, in its own units: pixels where it is not scaled.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 300.0;
/// What the axes take at each side.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// Pixels between the axes, of which the server is asked for points.
pub(super) const PIXELS: usize = (WIDTH - LEFT - RIGHT) as usize;
/// Marks of the axes.
pub(super) const MARKS: usize = 8;
const VALUES: usize = 6;
/// Share of the height that the volume takes.
const VOLUME: f64 = 0.2;

/// A curve: shares of the axis and values, `None` where one is missing.
pub(super) struct Line {
    pub(super) points: Vec<(f64, Option<f64>)>,
    /// Its colour, from 1.
    pub(super) color: usize,
}

/// The prices of an interval.
pub(super) struct Candle {
    /// Its middle, as a share of the axis.
    pub(super) share: f64,
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: f64,
}

pub(super) enum Body {
    Lines(Vec<Line>),
    /// Candles, and the share of the axis that one takes.
    Candles(Vec<Candle>, f64),
}

pub(super) struct Picture<'a> {
    pub(super) marks: Vec<Mark>,
    /// Units of the values.
    pub(super) units: &'a str,
    pub(super) body: Body,
    /// What it shows, for who does not see it.
    pub(super) title: &'a str,
}

/// The range of values, and what a value's height is.
struct Scale {
    least: f64,
    greatest: f64,
}

impl Scale {
    /// A little wider than the values; of one value alone, around it.
    fn of(values: impl Iterator<Item = f64>, below: f64, above: f64) -> Self {
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (least, greatest) = (least.min(value), greatest.max(value));
        }
        if least > greatest {
            return Scale { least: 0.0, greatest: 1.0 };
        }
        // Halved, since the span of two floats may be none.
        let half = greatest / 2.0 - least / 2.0;
        // Of one value alone the axis is around it.
        let alone = if least == 0.0 { 20.0 } else { least.abs() * 0.4 };
        let span = if half > 0.0 { 2.0 * half } else { alone };
        let span = span.min(f64::MAX / 4.0);
        let wide = |x: f64, by: f64| (x + by).clamp(f64::MIN / 2.0, f64::MAX / 2.0);
        Scale { least: wide(least, -span * below), greatest: wide(greatest, span * above) }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value / 2.0 - self.least / 2.0) / (self.greatest / 2.0 - self.least / 2.0);
        TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
    }
}

fn x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

/// A number of a path.
fn short(n: f64) -> f64 {
    (n * 10.0).round() / 10.0
}

impl Picture<'_> {
    pub(super) fn write(&self, out: &mut String) {
        let scale = match &self.body {
            Body::Lines(lines) => {
                let values = lines.iter().flat_map(|line| &line.points);
                Scale::of(values.filter_map(|(_, y)| *y), 0.05, 0.05)
            }
            Body::Candles(candles, _) => {
                Scale::of(candles.iter().flat_map(|one| [one.low, one.high]), 0.28, 0.06)
            }
        };
        put(
            out,
            format_args!(
                "<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
                escaped(self.title)
            ),
        );
        self.axes(&scale, out);
        match &self.body {
            Body::Lines(lines) => lines.iter().for_each(|line| curve(line, &scale, out)),
            Body::Candles(candles, wide) => self::candles(candles, *wide, &scale, out),
        }
        out.push_str("</svg></div>\n");
    }

    fn axes(&self, scale: &Scale, out: &mut String) {
        let ground = HEIGHT - BOTTOM;
        for mark in axis::numbers(scale.least, scale.greatest, VALUES) {
            let y = short(ground - mark.share * (ground - TOP));
            put(
                out,
                format_args!(
                    "<path class=\"rule\" d=\"M{LEFT} {y}H{}\"/><text class=\"n\" x=\"{}\" y=\"{}\">{}</text>",
                    WIDTH - RIGHT,
                    LEFT - 8.0,
                    y + 4.0,
                    mark.label
                ),
            );
        }
        for mark in &self.marks {
            let at = short(x(mark.share));
            put(
                out,
                format_args!(
                    "<path class=\"rule\" d=\"M{at} {TOP}V{}\"/><text class=\"m\" x=\"{at}\" y=\"{}\">{}</text>",
                    ground + 5.0,
                    ground + 18.0,
                    mark.label
                ),
            );
            if let Some(under) = &mark.under {
                let y = ground + 33.0;
                put(out, format_args!("<text class=\"m\" x=\"{at}\" y=\"{y}\">{under}</text>"));
            }
        }
        if !self.units.is_empty() {
            let middle = (TOP + ground) / 2.0;
            put(
                out,
                format_args!(
                    "<text class=\"m\" transform=\"translate(12 {middle}) rotate(-90)\">{}</text>",
                    escaped(self.units)
                ),
            );
        }
    }
}

/// Formatting into a text cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// A curve with its gaps; a point between two gaps is a dot, and what is missing a stroke on the ground.
fn curve(line: &Line, scale: &Scale, out: &mut String) {
    let (mut path, mut missing) = (String::new(), String::new());
    let is_there = |at: usize| {
        line.points.get(at).is_some_and(|(x, y)| x.is_finite() && y.is_some_and(f64::is_finite))
    };
    for (i, (share, value)) in line.points.iter().enumerate() {
        if !share.is_finite() {
            continue; // an index value that is no number
        }
        let at = short(x(*share));
        let Some(value) = value.filter(|value| value.is_finite()) else {
            put(&mut missing, format_args!("M{at} {}v4", HEIGHT - BOTTOM - 5.0));
            continue;
        };
        let begins = i == 0 || !is_there(i - 1);
        let y = short(scale.y(value));
        put(&mut path, format_args!("{}{at} {y}", if begins { "M" } else { "L" }));
        if begins && !is_there(i + 1) {
            path.push_str("h0.1"); // alone: the round end of a line is its dot
        }
    }
    put(out, format_args!("<path class=\"line c{}\" d=\"{path}\"/>", line.color));
    if !missing.is_empty() {
        put(out, format_args!("<path class=\"missing c{}\" d=\"{missing}\"/>", line.color));
    }
}

/// Candles, hollow where the price rose, over bars of their volume.
fn candles(candles: &[Candle], wide: f64, scale: &Scale, out: &mut String) {
    let ground = HEIGHT - BOTTOM;
    let wide = short((wide * PIXELS as f64 * 0.7).max(1.0));
    let most = candles.iter().map(|one| one.volume).fold(1.0, f64::max);
    let (mut volume, mut rose, mut fell) = (String::new(), String::new(), String::new());
    for one in candles {
        let (middle, left) = (short(x(one.share)), short(x(one.share) - wide / 2.0));
        let high = short(one.volume / most * VOLUME * (ground - TOP));
        put(&mut volume, format_args!("M{left} {ground}v-{high}h{wide}v{high}z"));
        let [top, bottom] = [one.open.max(one.close), one.open.min(one.close)].map(|y| scale.y(y));
        let tall = short((bottom - top).max(0.6));
        let (top, bottom) = (short(top), short(bottom));
        let path = if one.close >= one.open { &mut rose } else { &mut fell };
        put(path, format_args!("M{middle} {}V{top}", short(scale.y(one.high))));
        put(path, format_args!("M{middle} {bottom}V{}", short(scale.y(one.low))));
        put(path, format_args!("M{left} {top}h{wide}v{tall}h-{wide}z"));
    }
    for (class, path) in [("volume", volume), ("rose", rose), ("fell", fell)] {
        put(out, format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
    }
}
