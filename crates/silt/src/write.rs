//! An existing file, opened for writing.

use std::path::Path;

use siltstone::simulation::{Options, SimulationDatabase};

use crate::console::Console;
use crate::exit::Outcome;

/// Opens a file that must be there already: a mistyped name creates nothing.
pub(crate) fn open(path: &Path, console: &Console) -> Outcome<SimulationDatabase> {
    let known = SimulationDatabase::open_read_only(path)?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'siltstone_schema'";
    let is_ours = known.database().sql(sql)?.rows == [[siltstone::Value::Integer(1)]];
    if !is_ours {
        let file = path.display();
        console.note(&format!(
            "{file} is of movici: tables of ours are added, after a backup beside it"
        ));
    }
    // A reader keeps the writer from putting its log away.
    drop(known);
    // These commands build keyframes only when asked.
    let options = Options { no_keyframes: true, ..Options::default() };
    Ok(SimulationDatabase::open_with(path, options)?)
}
