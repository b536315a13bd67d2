//! What is there, and whether something was written.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value as Json, json};
use siltstone::experiment::{TableSize, Which};
use siltstone::{FileInfo, Handle, Info, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, json_body, read};
use crate::table::document;

/// The most failed and crashed simulations that are named.
const MOST_FAILED: usize = 20;

/// `GET /api/overview`: what the file or the folder holds, store by store.
pub(crate) async fn overview(State(shared): State<Shared>) -> Answer {
    let path = shared.source.path().display().to_string();
    let mut found = read(&shared, LONGEST, of).await?;
    found["path"] = json!(path);
    Ok(document(&found))
}

/// What there is.
///
/// # Errors
/// As [`Handle::info`].
pub(crate) fn of(handle: &Handle) -> Result<Json> {
    match handle.info()? {
        Info::File(info) => file(handle, *info),
        Info::Ticks(info) => Ok(json!({ "kind": "ticks", "ticks": info })),
        _ => Ok(json!({})),
    }
}

fn file(handle: &Handle, mut info: FileInfo) -> Result<Json> {
    // Of ten thousand simulations nobody reads the size of each table.
    let tables = by_table(&std::mem::take(&mut info.experiments.tables));
    let ended = ["failed", "crashed"].map(|status| info.experiments.simulations.get(status));
    let failed = if ended.iter().flatten().any(|n| **n > 0) { failed(handle)? } else { Vec::new() };
    let mut file = json!(info);
    file["experiments"]["tables"] = tables;
    file["experiments"]["failed"] = json!(failed);
    Ok(json!({ "kind": "file", "file": file }))
}

/// Rows and bytes of each table, over all simulations.
fn by_table(sizes: &[TableSize]) -> Json {
    let mut tables: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for size in sizes {
        let [rows, bytes] = tables.entry(&size.table).or_default();
        *rows += size.rows;
        *bytes += size.bytes;
    }
    let table = |(name, [rows, bytes]): (&str, [u64; 2])| json!({ "table": name, "rows": rows, "bytes": bytes });
    tables.into_iter().map(table).collect()
}

/// The last simulations that failed or crashed, and why.
fn failed(handle: &Handle) -> Result<Vec<Json>> {
    let filter = Which::Filter("status IN ('failed', 'crashed')");
    let simulations = handle.experiment(None)?.simulations(filter)?;
    let last = simulations.iter().rev().take(MOST_FAILED);
    let of = last.map(|one| {
        json!({ "simulation_id": one.simulation_id, "status": one.status, "error": one.error })
    });
    Ok(of.collect())
}

/// `GET /api/changes`: another version means that something was written; nothing is opened for it.
pub(crate) async fn changes(State(shared): State<Shared>) -> Answer {
    let look = shared.source.look()?;
    let version = format!("{:016x}", look.version);
    let document =
        json!({ "version": version, "bytes": look.bytes, "modified_ms": look.modified_ms });
    Ok(json_body(&document).into_response())
}
