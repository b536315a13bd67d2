//! What a run was: the command, the machine, the code. Nothing of the environment is taken.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::git;
use crate::kernel::host;

/// What stands where a secret was.
const HIDDEN: &str = "***";
/// Parts of the name of an option whose value is a secret.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api-key",
    "api_key",
    "apikey",
    "credential",
    "private",
];

/// What can be known by itself; `own` are facts of the caller, and come before those found here.
pub(super) fn collect(own: Map<String, Value>) -> Map<String, Value> {
    let mut facts = Map::new();
    let args: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    facts.insert("command_line".into(), json!(args));
    facts.insert("host".into(), json!(host()));
    facts.insert("pid".into(), json!(std::process::id()));
    facts.insert(
        "platform".into(),
        json!(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
    );
    facts.insert("packages".into(), json!({"siltstone": env!("CARGO_PKG_VERSION")}));
    if let Ok(folder) = std::env::current_dir() {
        facts.insert("code".into(), code(&folder));
        facts.insert("folder".into(), json!(folder.display().to_string()));
    }
    facts.extend(own);
    if let Some(Value::Array(args)) = facts.get("command_line") {
        let args: Vec<String> = args
            .iter()
            .map(|arg| arg.as_str().map_or_else(|| arg.to_string(), str::to_owned))
            .collect();
        facts.insert("command_line".into(), json!(without_secrets(&args)));
    }
    facts
}

/// The arguments, the values of options that are named like secrets hidden, and passwords of addresses.
fn without_secrets(args: &[String]) -> Vec<String> {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRET.iter().any(|part| name.contains(part))
    };
    let mut is_next = false;
    let mut hide = |arg: &String| {
        if std::mem::take(&mut is_next) && !arg.starts_with('-') {
            return HIDDEN.to_owned();
        }
        match arg.split_once('=') {
            Some((name, _)) if is_secret(name) => return format!("{name}={HIDDEN}"),
            None if arg.starts_with('-') && is_secret(arg) => is_next = true,
            _ => {}
        }
        without_password(arg)
    };
    args.iter().map(&mut hide).collect()
}

/// `scheme://user:password@host` without the password.
fn without_password(arg: &str) -> String {
    let Some((scheme, rest)) = arg.split_once("://") else { return arg.to_owned() };
    let Some((user, host)) = rest.split_once('@') else { return arg.to_owned() };
    match user.split_once(':') {
        Some((user, _)) if !user.contains('/') => format!("{scheme}://{user}:{HIDDEN}@{host}"),
        _ => arg.to_owned(),
    }
}

/// The state of the code in a folder, from the files of git; null if it is not under git. Looked at once a folder and process.
fn code(folder: &Path) -> Value {
    static KNOWN: Mutex<Option<(std::path::PathBuf, Value)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        Some((of, value)) if of == folder => value.clone(),
        _ => {
            let value = json!(git::state(folder));
            *known = Some((folder.to_owned(), value.clone()));
            value
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a command line is kept, without what is named like a secret.
    #[test]
    fn secrets_of_the_command_line_are_hidden() {
        let args = [
            "run.py",
            "--lr",
            "0.1",
            "--api-key",
            "abc",
            "--token=def",
            "--password",
            "--seed",
            "3",
            "postgresql://me:ghi@host/db",
            "https://host/a:b@c",
        ];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let shown = without_secrets(&args);
        assert_eq!(shown[..3], args[..3]);
        assert_eq!(shown[3..6], ["--api-key", "***", "--token=***"]);
        assert_eq!(shown[6..9], ["--password", "--seed", "3"]);
        assert_eq!(shown[9], "postgresql://me:***@host/db");
        assert!(!shown.join(" ").contains("abc") && !shown.join(" ").contains("ghi"));
    }
}
