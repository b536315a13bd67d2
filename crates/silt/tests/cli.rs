//! The built command, driven as a user does.

#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/documentation.rs"]
mod documentation;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/influx.rs"]
mod influx;
#[path = "cli/inspect.rs"]
mod inspect;
#[path = "cli/kinds.rs"]
mod kinds;
#[cfg(feature = "lake")]
#[path = "cli/lake.rs"]
mod lake;
#[path = "cli/maintenance.rs"]
mod maintenance;
#[path = "cli/memory.rs"]
mod memory;
#[path = "cli/odd.rs"]
mod odd;
#[path = "cli/one_form.rs"]
mod one_form;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/real_data.rs"]
mod real_data;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/series.rs"]
mod series;
#[path = "cli/series_import.rs"]
mod series_import;
#[path = "cli/series_store.rs"]
mod series_store;
#[path = "cli/silt.rs"]
mod silt;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/ticks.rs"]
mod ticks;
#[path = "cli/view.rs"]
mod view;
