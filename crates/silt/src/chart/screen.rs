//! A rectangle of terminal cells: characters, braille dots and text, each with an ink.

use super::{Canvas, Ink};
use crate::table::{cells, cells_of};
use crate::terminal::escaped;

/// The canvas with its characters, each with an ink.
pub(super) struct Screen {
    pub(super) canvas: Canvas,
    /// Row by row. [`WIDE_REST`] follows a character that takes two cells.
    pub(super) cells: Vec<(char, Ink)>,
}

/// The second cell of a wide character.
pub(super) const WIDE_REST: char = '\0';

impl Screen {
    /// An empty screen; `None` if it has no cell.
    pub(super) fn new(canvas: Canvas) -> Option<Self> {
        let size = canvas.width * canvas.height;
        (size > 0).then(|| Screen { canvas, cells: vec![(' ', 0); size] })
    }

    /// Writes a character; one beyond the edge is left out.
    pub(super) fn put(&mut self, x: usize, y: usize, c: char, ink: Ink) {
        let wide = cells_of(c) == 2;
        if x + usize::from(wide) >= self.canvas.width || y >= self.canvas.height {
            return;
        }
        let (row, at) = (y * self.canvas.width, y * self.canvas.width + x);
        // What remains of a wide character that is half covered is a space.
        if self.cells[at].0 == WIDE_REST && at > row {
            self.cells[at - 1].0 = ' ';
        }
        let end = at + usize::from(wide);
        if end + 1 < row + self.canvas.width && self.cells[end + 1].0 == WIDE_REST {
            self.cells[end + 1].0 = ' ';
        }
        self.cells[at] = (c, ink);
        if wide {
            self.cells[at + 1] = (WIDE_REST, ink);
        }
    }

    /// Sets one dot, in dots from the upper left; the cell takes on its ink.
    pub(super) fn dot(&mut self, x: usize, y: usize, ink: Ink) {
        const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let Some(cell) = self.cells.get(y / 4 * self.canvas.width + x / 2) else { return };
        let before = u32::from(cell.0);
        let dots = if before & !0xff == 0x2800 { before } else { 0x2800 };
        let c = char::from_u32(dots | BITS[y % 4][x % 2]).expect("braille is U+2800 to U+28FF");
        self.put(x / 2, y / 4, c, ink);
    }

    /// Writes text as far as there is room; marks that join the character before are left out.
    pub(super) fn text(&mut self, mut x: usize, y: usize, text: &str, ink: Ink) {
        for c in text.chars().filter(|c| cells_of(*c) > 0) {
            self.put(x, y, c, ink);
            x += cells_of(c);
        }
    }

    /// Writes text around a column, moved so that it fits.
    pub(super) fn text_around(&mut self, x: usize, y: usize, text: &str, ink: Ink) {
        let text = escaped(text.to_owned());
        let start = x.saturating_sub(cells(&text) / 2);
        let start = start.min(self.canvas.width.saturating_sub(cells(&text)));
        self.text(start, y, &text, ink);
    }

    /// Writes a legend into the first row, as many entries as fit, then `…`.
    pub(super) fn legend(
        &mut self,
        left: usize,
        entries: impl Iterator<Item = (char, Ink, String)>,
    ) {
        let mut x = left;
        for (mark, ink, name) in entries {
            let name = escaped(name);
            let end = x + 2 + cells(&name);
            if end > self.canvas.width {
                return self.put(x.min(self.canvas.width - 1), 0, '…', 0);
            }
            self.put(x, 0, mark, ink);
            self.text(x + 2, 0, &name, 0);
            x = end + 3;
        }
    }

    /// The rows as text, without spaces at their ends.
    pub(super) fn finish(self) -> String {
        let mut out = String::new();
        for (y, row) in self.cells.chunks(self.canvas.width).enumerate() {
            if y > 0 {
                out.push('\n');
            }
            let end = row.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
            let mut now = 0;
            for (c, ink) in row[..end].iter().filter(|(c, _)| *c != WIDE_REST) {
                // A space has no colour to change to.
                if self.canvas.color && *ink != now && *c != ' ' {
                    out.push_str(&format!("\u{1b}[{ink}m"));
                    now = *ink;
                }
                out.push(*c);
            }
            if now != 0 {
                out.push_str("\u{1b}[0m");
            }
        }
        out
    }
}
