//! How `silt series import` reads a table.

use clap::{ArgAction, ValueEnum};
use siltstone::series::{Ambiguous, BadCells, Encoding, Nonexistent, PointsOptions, TimeUnit};

/// What the file does not tell of itself.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// Column of the index (default: the first one)
    #[arg(long, value_name = "COLUMN")]
    index: Option<String>,

    /// Time zone of index times without an offset
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Sheet of an Excel workbook (default: the one that has cells)
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,

    /// Field separator (default: detected)
    #[arg(long, value_name = "CHAR")]
    separator: Option<char>,

    /// Lines to skip before the header
    #[arg(long, value_name = "N")]
    skip_lines: Option<u64>,

    /// The first line is a header (default: detected)
    #[arg(long, conflicts_with = "no_header")]
    header: bool,

    /// The first line is data; columns are named by their number
    #[arg(long)]
    no_header: bool,

    /// Text encoding: utf-8, utf-16, utf-16le, utf-16be or latin-1 (default: by byte order mark, or utf-8)
    #[arg(long)]
    encoding: Option<Encoding>,

    /// Decimal mark: . or , (default: decided over each column)
    #[arg(long, value_name = "CHAR")]
    decimal: Option<char>,

    /// Mark between thousands
    #[arg(long, value_name = "CHAR")]
    thousands: Option<char>,

    /// Text that means a missing value, beside the usual ones (can be repeated)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    missing: Vec<String>,

    /// Column to take as texts, whatever it looks like (can be repeated)
    #[arg(long, value_name = "COLUMN")]
    text: Vec<String>,

    /// Format of index times, as %d.%m.%Y %H:%M
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,

    /// In dates as 02/08/2022 the day stands first (default: decided over the column)
    #[arg(long, conflicts_with = "no_day_first")]
    day_first: bool,

    /// In dates as 02/08/2022 the month stands first
    #[arg(long)]
    no_day_first: bool,

    /// Unit of index numbers that count from 1970-01-01 UTC: s, ms, us or ns
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<TimeUnit>,

    /// Column of the date, to join with --time-column
    #[arg(long, value_name = "COLUMN")]
    date_column: Option<String>,

    /// Column of the time of day
    #[arg(long, value_name = "COLUMN", requires = "date_column")]
    time_column: Option<String>,

    /// Local times that clocks show twice
    #[arg(long, value_enum, default_value_t = Twice::Infer)]
    ambiguous: Twice,

    /// Local times that clocks skip
    #[arg(long, value_enum, default_value_t = Never::Refuse)]
    nonexistent: Never,

    /// Cells that are no number in a column of numbers
    #[arg(long, value_enum, default_value_t = Bad::Refuse)]
    bad_cells: Bad,

    /// Print what an import would do, and what each column is taken for, and store nothing
    #[arg(long, action = ArgAction::SetTrue)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Twice {
    /// The order of the rows tells which one is meant, or the file is refused
    Infer,
    /// The first one
    Earliest,
    /// The second one
    Latest,
    /// The file is refused
    Refuse,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Never {
    /// They become the instant of the change
    Shift,
    /// The file is refused
    Refuse,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bad {
    /// They are missing, counted and named
    Missing,
    /// The file is refused
    Refuse,
}

impl ReadArgs {
    /// The same for the library.
    pub(super) fn options(&self) -> PointsOptions {
        let flag = |yes: bool, no: bool| (yes || no).then_some(yes);
        PointsOptions {
            index: self.index.clone(),
            time_zone: self.tz.clone(),
            sheet: self.sheet.clone(),
            separator: self.separator,
            skip_lines: self.skip_lines,
            header: flag(self.header, self.no_header),
            encoding: self.encoding,
            decimal: self.decimal,
            thousands: self.thousands,
            missing: self.missing.clone(),
            text: self.text.clone(),
            time_format: self.time_format.clone(),
            day_first: flag(self.day_first, self.no_day_first),
            time_unit: self.time_unit,
            date_column: self.date_column.clone(),
            time_column: self.time_column.clone(),
            ambiguous: match self.ambiguous {
                Twice::Infer => Ambiguous::Infer,
                Twice::Earliest => Ambiguous::Earliest,
                Twice::Latest => Ambiguous::Latest,
                Twice::Refuse => Ambiguous::Refuse,
            },
            nonexistent: match self.nonexistent {
                Never::Shift => Nonexistent::Shift,
                Never::Refuse => Nonexistent::Refuse,
            },
            bad_cells: match self.bad_cells {
                Bad::Missing => BadCells::Missing,
                Bad::Refuse => BadCells::Refuse,
            },
        }
    }
}
