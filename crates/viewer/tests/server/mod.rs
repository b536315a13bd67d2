//! A server of a test, and a client that says what a browser would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;
use siltstone_viewer::{Options, Server};
use tempfile::TempDir;

/// A server in a thread, which ends with the test's process.
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) token: String,
    /// The address for a frame.
    pub(crate) frame: Option<String>,
    folder: TempDir,
    name: &'static str,
}

/// Serves a file of a folder.
pub(crate) fn serve(folder: TempDir, name: &'static str, allow_hosts: &[&str]) -> Running {
    let allow_hosts = allow_hosts.iter().map(|host| (*host).to_owned()).collect();
    serve_with(folder, name, Options { allow_hosts, ..Options::default() })
}

/// Serves a file of a folder in another way.
pub(crate) fn serve_with(folder: TempDir, name: &'static str, options: Options) -> Running {
    let server = Server::bind(folder.path().join(name), options).unwrap();
    let frame = server.frame_address();
    let address = server.address();
    let (origin, token) = address.split_once("/#token=").unwrap();
    let port = origin.rsplit_once(':').unwrap().1.parse().unwrap();
    let token = token.to_owned();
    std::thread::spawn(move || server.run());
    Running { port, token, frame, folder, name }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

impl Running {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// GET with the token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// Any method, with the token.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let token = format!("Bearer {}", self.token);
        self.ask(method, path, &[("Authorization", &token)], body)
    }

    /// A request with these headers and no others but a host.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut bytes = Vec::new();
        self.open(method, path, headers, body).read_to_end(&mut bytes).unwrap();
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an end of the headers");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Answer { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    /// Sends a request with the token and does not wait for the answer.
    pub(crate) fn connect(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let token = format!("Bearer {}", self.token);
        self.open(method, path, &[headers, &[("Authorization", token.as_str())]].concat(), body)
    }

    fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        stream
    }
}
