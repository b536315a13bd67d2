//! How far a long piece of work is.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{human, interrupt};

/// A bar on stderr, drawn once it is known how much there is to do.
pub(crate) struct Progress {
    doing: &'static str,
    unit: &'static str,
    is_hidden: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(doing: &'static str, unit: &'static str, is_hidden: bool) -> Self {
        Progress { doing, unit, is_hidden, bar: None }
    }

    /// So much is done, of so much; what the library calls between two steps.
    ///
    /// # Errors
    /// [`siltstone::Error::Interrupted`] after Ctrl-C.
    pub(crate) fn at(&mut self, done: u64, all: u64) -> siltstone::Result<()> {
        if !self.is_hidden && all > 0 {
            let bar = self.bar.get_or_insert_with(|| draw(self.doing, self.unit, all));
            bar.set_length(all);
            bar.set_position(done);
        }
        interrupt::check(self.doing)
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(doing: &str, unit: &str, all: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
    let template =
        format!("{{msg}} {{wide_bar}} {{done}} of {{all}} {unit}, {{rate}}/s, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("a fixed template");
    // A writer of text in memory does not fail.
    let style = style
        .with_key("done", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&human::count(state.pos()));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&human::count(state.len().unwrap_or(0)));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&human::count(state.per_sec() as u64));
        });
    bar.set_style(style);
    bar.set_message(doing.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
