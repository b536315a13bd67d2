//! Help, completions and the page of the command line.

use std::path::Path;

use crate::silt::{command, silt};

/// Goal: the page says what `--help` says.
#[test]
fn the_page_is_what_help_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/command-line.md");
    let said = silt(Path::new("."), "markdown-help").ok();
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    if let Some(line) = (1..).zip(said.lines().zip(written.lines())).find(|(_, (a, b))| a != b) {
        panic!(
            "docs/command-line.md line {}: {:?} where help says {:?}",
            line.0, line.1.1, line.1.0
        );
    }
    assert_eq!(
        said.lines().count(),
        written.lines().count(),
        "write docs/command-line.md again: cargo run -p siltstone-cli -- markdown-help > docs/command-line.md"
    );
}

/// The commands that `silt --help` names.
fn commands() -> Vec<String> {
    let help = silt(Path::new("."), "--help").ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Goal: a person sees all commands and options at once.
#[test]
fn the_help_fits_on_a_screen() {
    let help = command(Path::new(".")).arg("--help").env("COLUMNS", "80").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.lines().count() <= 50, "{} lines:\n{help}", help.lines().count());
    assert!(help.contains("130  interrupted"), "{help}");
}

/// Goal: each command shows by an example how it is used.
#[test]
fn each_command_has_an_example() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for name in commands.iter().filter(|name| *name != "help") {
        let line =
            if name == "import" { "import simulation --help" } else { &format!("{name} --help") };
        let help = silt(Path::new("."), line).ok();
        assert!(help.contains(&format!("\n  silt {name}")), "no example in\n{help}");
    }
}

/// Goal: the width of the terminal, or where the test runs, does not change the page.
#[test]
fn the_page_has_one_width() {
    let run = |columns: &str| {
        let mut command = command(Path::new("."));
        command.arg("markdown-help").env("COLUMNS", columns).output().unwrap().stdout
    };
    assert_eq!(run("40"), run("200"));
    let page = String::from_utf8(run("40")).unwrap();
    for line in page.lines() {
        assert!(line.chars().count() <= 104, "{line}");
    }
}

/// Goal: completions come for each shell and know the commands.
#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = silt(Path::new("."), &format!("completions {shell}")).ok();
        for name in commands() {
            assert!(text.contains(&name), "{shell} lacks {name}");
        }
        // The internal ones are nobody's business... as far as the generator lets us hide them.
        assert!(text.len() > 1000, "{shell}: {text}");
    }
}

/// Goal: wrong usage is exit code 2, with the reason on stderr, as JSON if so asked; help is 0.
#[test]
fn wrong_usage_is_two() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "",
        "nope",
        "info",
        "state a b",
        "backup a",
        "query f s --format x",
        "import simulation -o x",
    ] {
        let ran = silt(folder.path(), line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {ran:?}");
        assert!(!ran.err.is_empty(), "{line}");
    }
    let ran = silt(folder.path(), "info --json");
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["exit"], 2);
    assert!(error["error"].as_str().unwrap().contains("<FILE>"), "{error}");
    assert!(silt(folder.path(), "--version").ok().starts_with("silt "));
    assert!(silt(folder.path(), "help info").ok().contains("Usage: silt info"));
    assert_eq!(crate::silt::names(folder.path()), [""; 0], "wrong usage made a file");
}

/// Goal: what is said of a missing command names those that are for users, as help does.
#[test]
fn hidden_commands_stay_hidden() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["--json", "--quiet", "--json import"] {
        let ran = silt(folder.path(), line);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(!ran.err.contains("demo-record") && !ran.err.contains("markdown-help"), "{ran:?}");
    }
    let ran = silt(folder.path(), "--json");
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert!(error["error"].as_str().unwrap().contains("import, info"), "{error}");
}

/// Goal: `--json` makes one document of the result of every command, completions too.
#[test]
fn completions_as_json_are_a_document() {
    let plain = silt(Path::new("."), "completions bash").ok();
    let document = silt(Path::new("."), "completions bash --json").json();
    assert_eq!(document, serde_json::json!({ "shell": "bash", "script": plain }));
}
