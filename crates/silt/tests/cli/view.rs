//! `silt view`: its address, and that it answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::silt::{command, silt, small_run};

/// Ends the server with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Goal: the first line on stdout is the address, alone, and with its token the data are there.
#[test]
fn the_address_is_printed_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    for format in [&[][..], &["--json"]] {
        let mut command = command(folder.path());
        command.arg("view").arg(&path).args(["--no-browser", "--port", "0"]).args(format);
        let mut child = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = match format.is_empty() {
            true => line.trim().to_owned(),
            false => {
                let document: serde_json::Value = serde_json::from_str(&line).unwrap();
                document["address"].as_str().unwrap().to_owned()
            }
        };
        let (host, token) =
            address.strip_prefix("http://").unwrap().split_once("/#token=").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!(
            "GET /api/overview HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""kind":"file""#), "{answer}");
    }
}

/// Goal: Ctrl-C is the end of a server, not a failure, and leaves no log, index or file with the token there, however
/// much was read and a browser opened.
#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn ctrl_c_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    use std::time::{Duration, Instant};
    let path = small_run(folder.path());
    // In place of a browser, a program that keeps the name of the file that it was handed.
    let temporary = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let opener = programs.path().join("xdg-open");
    std::fs::write(&opener, "#!/bin/sh\necho \"$1\" > \"$0.opened\"\n").unwrap();
    std::fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let search = format!("{}:/usr/bin:/bin", programs.path().display());
    let mut command = command(folder.path());
    command.arg("view").arg(&path).env("TMPDIR", temporary.path());
    command.env("PATH", search).env("DISPLAY", ":none");
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let opened = programs.path().join("xdg-open.opened");
    let end = Instant::now() + Duration::from_secs(20);
    while !opened.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(opened.exists(), "no browser was asked for");
    let leading = std::fs::read_dir(temporary.path()).unwrap().count();
    assert_eq!(leading, 1, "the file that leads the browser here is in a folder of its own");
    // A reader of the data makes an index beside them.
    let (host, token) =
        line.trim().strip_prefix("http://").unwrap().split_once("/#token=").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "GET /api/overview HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let id = child.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(child.0.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the token is still there");
    for ending in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(ending);
        assert!(!std::path::Path::new(&beside).exists(), "{ending} is still there");
    }
}

/// Goal: what cannot be shown is refused before an address is printed.
#[test]
fn what_cannot_be_shown_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let missing = silt(folder.path(), "view missing.db --no-browser");
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    assert!(missing.err.contains("missing.db"), "{}", missing.err);
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let refused =
        silt(folder.path(), &format!("view {} --no-browser --port {port}", path.display()));
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert!(refused.err.contains(&port.to_string()), "{}", refused.err);
    assert!(!folder.path().join("missing.db").exists());
}
