//! `demo`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::silt::{command, names, silt, small_run};

const SMALL: &str = "demo --fast --days 75 --people 500";

/// Goal: the demo records, reads meanwhile, draws, and leaves one complete database.
#[test]
fn the_demo_shows_what_it_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let text = silt(folder.path(), SMALL).ok();
    for part in [
        "Process ",
        "recorded",
        "read meanwhile",
        "# infectious",
        "Siltmouth",
        "lockdown",
        "bytes a tick",
        "EURUSD",
        "ammonium#1_RESAMPLED#2",
        "bytes a point",
        "foragers_5",
        "bytes a state",
        "five nearest memories",
        "relevance",
        "What to try next",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour in a pipe:\n{text}");
    assert_eq!(names(folder.path()), ["demo-agent.db", "demo-sweep.db", "demo-ticks", "demo.db"]);
    let info = silt(folder.path(), "info demo.db --json").json();
    assert_eq!(info["run"]["status"], "complete");
    assert_eq!(info["datasets"][0]["timestamps"], 75);
    assert_eq!(
        (&info["series"]["count"], &info["series"]["datasets"]),
        (&json!(5), &json!(["demo plant"]))
    );
}

/// Goal: the commands that the demo names work as they stand, twice.
#[test]
#[cfg(unix)]
fn the_commands_to_try_next_work() {
    let folder = tempfile::tempdir().unwrap();
    let text = silt(folder.path(), &format!("{SMALL} --dir my.data")).ok();
    let commands: Vec<&str> = (text.lines().skip_while(|line| !line.starts_with("What to try")))
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert!(commands.len() >= 5, "{text}");
    for line in commands.iter().chain(&commands) {
        let output =
            Command::new("sh").args(["-c", line]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        assert!(!output.stdout.is_empty(), "{line}");
    }
}

/// Goal: with --view each file and the folder has a page after the demo, until Ctrl-C, which leaves nothing behind.
#[test]
#[cfg(unix)]
fn the_demo_can_be_viewed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.args(SMALL.split_whitespace()).args(["--view", "--json"]).env_remove("DISPLAY");
    command.env_remove("WAYLAND_DISPLAY");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let document: serde_json::Value = serde_json::from_str(&line).unwrap();
    let pages = document["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 4, "{document}");
    for page in pages {
        let host =
            page.as_str().unwrap().strip_prefix("http://").unwrap().split('/').next().unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("no browser was opened"), "{ended:?}");
    assert_eq!(names(folder.path()), ["demo-agent.db", "demo-sweep.db", "demo-ticks", "demo.db"]);
}

/// Goal: the same seed gives the same run, whatever the pace; as JSON too.
#[test]
fn a_seed_gives_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &str| {
        let line = format!("demo --overwrite --days 12 --people 300 --json {more}");
        silt(folder.path(), &line).json()
    };
    let (fast, slow) = (run("--fast"), run(""));
    assert_eq!(fast["infectious"], slow["infectious"]);
    assert_eq!(fast["infectious"].as_array().unwrap().len(), 13);
    assert!(slow["reads"].as_u64().unwrap() > 4, "{slow}");
    assert_ne!(run("--fast --seed 2")["infectious"], fast["infectious"]);
}

/// Goal: a file that is there, an earlier demo too, is replaced only when told.
#[test]
fn a_file_that_is_there_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    fs::rename(small_run(folder.path()), &path).unwrap();
    for content in [fs::read(&path).unwrap(), b"notes".to_vec(), vec![]] {
        fs::write(&path, &content).unwrap();
        let ran = silt(folder.path(), SMALL);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("demo.db is there"), "{ran:?}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    for line in [SMALL, "demo --fast --days 3 --people 50"] {
        silt(folder.path(), &format!("{line} --overwrite")).ok();
        assert_eq!(silt(folder.path(), line).code, 2);
    }
    let info = silt(folder.path(), "info demo.db --json").json();
    assert_eq!(info["datasets"][0]["timestamps"], 3);
}

/// Goal: the smallest and odd sizes draw too.
#[test]
fn few_people_and_days_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["--days 1 --people 1", "--days 2 --people 7", "--days 40 --people 3"] {
        for columns in ["1", "20", "300"] {
            let mut command = command(folder.path());
            command
                .args(["demo", "--fast", "--overwrite"])
                .args(line.split(' '))
                .env("COLUMNS", columns);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line} at {columns}: {said}");
        }
    }
}

/// Goal: Ctrl-C ends both processes; the file says that the run did not end well, and is whole.
#[test]
#[cfg(unix)]
fn an_interrupted_demo_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let child = command(folder.path())
        .args(["demo", "--people", "200"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let recorded = || silt(folder.path(), "info demo.db --json");
    let begun = |ran: &crate::silt::Ran| {
        ran.code == 0 && ran.json()["datasets"][0]["updates"].as_u64() > Some(2)
    };
    while !begun(&recorded()) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Only the process that the user sees: the other one must follow it.
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let info = recorded().json();
    assert_eq!(info["run"]["status"], json!("failed"));
    assert!(info["run"]["error"].as_str().unwrap().contains("interrupted"), "{info}");
    assert!(silt(folder.path(), "verify demo.db").ok().contains("all is well"));
}

/// Goal: memories of somebody else under the demo's name are left as they are, also such as have no episode.
#[test]
fn memories_of_others_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo-agent.db");
    let store = siltstone::memory::MemoryStore::open(&file).unwrap();
    let vector = siltstone::Array::from_slice(&[1.0]);
    store.store_concept(siltstone::memory::NewConcept::new("mine", vector)).unwrap();
    drop(store);
    let ran = silt(folder.path(), SMALL);
    assert!(ran.code != 0 && ran.err.contains("demo-agent.db"), "{ran:?}");
    let store = siltstone::memory::MemoryStore::open_read_only(&file).unwrap();
    assert_eq!(store.stats().unwrap().concepts, 1);
}
