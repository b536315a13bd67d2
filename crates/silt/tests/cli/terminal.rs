//! What a file says reaches neither the terminal nor a spreadsheet as a command.

use std::process::Command;

use siltstone::Database;
use siltstone_needs::needs;

use crate::silt::{silt, silt_with};

/// A title for the terminal's window, C1 codes, a text that is hidden, one that is written backwards.
const HOSTILE: &str = "SELECT 'a' || char(27) || ']0;t' || char(7) || char(155) || '2Jb' || char(127) || char(133) || \
    char(8238) || char(27) || '[8mc' AS \"n\u{1b}[2J\"";

/// Goal: on a terminal no format lets a control character of a value or a name through; into a pipe CSV and TSV are as they
/// are, and JSON says the same without one.
#[needs(script)]
#[test]
#[cfg(target_os = "linux")]
fn no_value_steers_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Database::builder(here.join("a.db")).open().unwrap().close().unwrap();
    let steers = |text: &str| {
        text.chars().any(|c| c.is_control() && !"\r\n\t".contains(c) || c == '\u{202e}')
    };
    for format in ["table", "csv", "tsv", "json", "jsonl"] {
        let line = format!("query a.db --color never --format {format}");
        let piped = silt_with(here, &line, HOSTILE).ok();
        assert_eq!(steers(&piped), ["csv", "tsv"].contains(&format), "{format}: {piped:?}");
        let shown = format!("'{}' {line} \"$SQL\"", env!("CARGO_BIN_EXE_silt"));
        let mut script = Command::new("script");
        script.args(["-qec", &shown, "typescript"]).current_dir(here).env("SQL", HOSTILE);
        let output = script.stdin(std::process::Stdio::null()).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && shown.contains('c'), "{format}: {shown:?}");
        assert!(!steers(&shown), "{format}: {shown:?}");
    }
    let json = silt_with(here, "query a.db --format json", HOSTILE).json();
    assert!(json[0].to_string().len() > 10);
    assert!(json[0].as_object().unwrap().keys().eq(["n\u{1b}[2J"]), "{json}");
    let wrong = silt(here, "query a.db \u{1b}[2J --json");
    assert!(wrong.code == 2 && !wrong.err.contains('\u{1b}'), "{wrong:?}");
    let usage = silt(here, "--\u{1b}[2Jwrong");
    assert!(usage.code == 2 && !usage.err.contains('\u{1b}'), "{usage:?}");
    let missing = silt(here, "info \u{1b}[2J.db");
    assert!(missing.code == 2 && !missing.err.contains('\u{1b}'), "{missing:?}");
}

/// Goal: asked for, CSV has no text that a spreadsheet would run; numbers, and texts that are numbers, are as they were, and
/// so is everything unless asked for.
#[test]
fn a_spreadsheet_runs_no_cell() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Database::builder(here.join("a.db")).open().unwrap().close().unwrap();
    let sql = "SELECT '=1+1' AS \"@name\", '-2+3' AS b, '-5' AS c, -5.5 AS d, 'x' AS e";
    let plain = "@name,b,c,d,e\n=1+1,-2+3,-5,-5.5,x\n";
    let escaped = "'@name,b,c,d,e\n'=1+1,'-2+3,-5,-5.5,x\n";
    assert_eq!(silt_with(here, "query a.db --format csv", sql).ok(), plain);
    assert_eq!(silt_with(here, "query a.db --format csv --escape-formulas", sql).ok(), escaped);
    let tabs = silt_with(here, "query a.db --format tsv --escape-formulas", sql).ok();
    assert_eq!(tabs, escaped.replace(',', "\t"));
    silt_with(here, "query a.db --output plain.csv", sql).ok();
    silt_with(here, "query a.db --output escaped.csv --escape-formulas", sql).ok();
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap();
    assert_eq!((read("plain.csv"), read("escaped.csv")), (plain.to_owned(), escaped.to_owned()));
    let json = silt_with(here, "query a.db --json --escape-formulas", sql).json();
    assert_eq!(json[0]["b"], "-2+3");
}
