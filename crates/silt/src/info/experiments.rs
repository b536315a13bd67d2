//! What `silt info` reports experiments.

use std::collections::BTreeMap;

use siltstone::experiment::{ExperimentsSummary, TableSize};

use crate::console::Console;
use crate::exit::Outcome;
use crate::human;
use crate::table::{Table, bold};
use crate::terminal::escaped;

/// The simulations that are reported; the rest are summed up.
const MOST: usize = 12;
/// So much free room is worth a vacuum.
const WORTH_A_VACUUM: u64 = 1 << 20;

pub(super) fn print(experiments: &ExperimentsSummary, console: &mut Console) -> Outcome<()> {
    if experiments.simulations.is_empty() {
        return Ok(());
    }
    console.line("")?;
    let all = experiments.simulations.values().sum();
    let mut statuses: Vec<_> = experiments.simulations.iter().collect();
    statuses.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let statuses: Vec<String> = (statuses.into_iter())
        .map(|(status, n)| format!("{} {}", human::count(*n), escaped(status.clone())))
        .collect();
    let heading = bold(format!("simulations {}", human::count(all)), console.color);
    console.line(format!("{heading}: {}", statuses.join(", ")))?;
    for experiment in &experiments.experiments {
        console.line(format!(
            "  experiment {}: {}",
            escaped(experiment.experiment_id.clone()),
            escaped(experiment.status.clone())
        ))?;
    }
    for (title, key) in [
        ("table", (|size: &TableSize| size.table.clone()) as fn(&TableSize) -> String),
        ("simulation", |size: &TableSize| size.simulation_id.clone()),
    ] {
        let mut sums: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        for size in &experiments.tables {
            let sum = sums.entry(key(size)).or_default();
            for (sum, n) in sum.iter_mut().zip([size.rows, size.compacted_rows, size.bytes]) {
                *sum += n;
            }
        }
        let mut sums: Vec<(String, [u64; 3])> = sums.into_iter().collect();
        sums.sort_by_key(|(_, [.., bytes])| std::cmp::Reverse(*bytes));
        let mut table =
            Table::new([title, "rows", "compacted", "size"]).width(console.table_width());
        table = table.bold_headers(console.color);
        let cells = |name: String, [rows, compacted, bytes]: [u64; 3]| {
            [name, human::count(rows), human::count(compacted), human::size(bytes)]
        };
        let rest = sums.split_off(sums.len().min(MOST));
        for (name, sum) in sums {
            table.row(cells(name, sum));
        }
        if !rest.is_empty() {
            let sum = rest
                .iter()
                .fold([0; 3], |sum, (_, own)| [sum[0] + own[0], sum[1] + own[1], sum[2] + own[2]]);
            table.row(cells(format!("{} more", rest.len()), sum));
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    if experiments.free_bytes >= WORTH_A_VACUUM {
        let free = human::size(experiments.free_bytes);
        console.note(&format!("{free} of the file are free: `silt vacuum` gives them back"));
    }
    Ok(())
}
