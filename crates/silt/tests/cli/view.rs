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

/// Goal: Ctrl-C is the end of a server, not a failure.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    let mut command = command(folder.path());
    command.arg("view").arg(&path).args(["--no-browser", "--port", "0"]);
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let id = child.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(child.0.wait().unwrap().success());
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
