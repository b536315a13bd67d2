//! A PostgreSQL server of the tests' own, from the system's package: on a socket in a folder of its own, and gone with
//! the tests.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use siltstone::series::PostgresBackend;

/// The server runs until the end of input, which comes with the end of the tests, whatever ends them.
const SCRIPT: &str = r#"
    set -e
    "$BIN/initdb" -D "$DIR/data" -U siltstone -A trust -E UTF8 --locale=C --no-sync >"$DIR/log" 2>&1
    start() {
        "$BIN/postgres" -D "$DIR/data" -k "$DIR" -c listen_addresses= -c fsync=off $OPTIONS >>"$DIR/log" 2>&1 &
        pid=$!
    }
    start
    set +e
    while read -r word; do
        case $word in
            crash) kill -QUIT $pid; wait $pid ;;
            start) start ;;
        esac
    done
    kill -INT $pid; wait $pid
    rm -rf "$DIR"
"#;

pub(crate) struct Server {
    folder: PathBuf,
    bin: PathBuf,
    port: u16,
    words: Mutex<ChildStdin>,
    _shell: Child,
}

/// The server that the tests share.
static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start("", &[]));

/// The shared server, for a test that has `#[needs(postgresql)]`.
pub(crate) fn shared() -> &'static Server {
    &SHARED
}

/// The newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let debian = versions.map(|entry| entry.path()).max_by_key(|path| version(path));
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    let mut all = debian.map(|path| path.join("bin")).into_iter().chain(on_path);
    all.find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// A user who is not root, if we are: the server refuses to run as root.
fn other_user() -> Option<(u32, u32)> {
    // SAFETY: it only asks who we are.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("there is a list of users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("there is another user"))
}

impl Server {
    /// Starts a server with these options more, and these files above its folder of data.
    pub(crate) fn start(options: &str, files: &[(&str, &str)]) -> Self {
        Self::start_on(5432, options, files)
    }

    /// The same, for one that listens on this port.
    pub(crate) fn start_on(port: u16, options: &str, files: &[(&str, &str)]) -> Self {
        let bin = programs().expect("PostgreSQL is installed (make postgresql)");
        // A name of its own for each; short, for the path of a socket is.
        let folder = tempfile::Builder::new().prefix("silt-pg").tempdir().unwrap().keep();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
            let only_ours = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(folder.join(name), only_ours).unwrap();
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(SCRIPT).current_dir("/").stdin(Stdio::piped());
        shell.env("BIN", &bin).env("DIR", &folder).env("OPTIONS", options);
        if let Some((user, group)) = other_user() {
            let own =
                |path: &Path| std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            own(&folder);
            files.iter().for_each(|(name, _)| own(&folder.join(name)));
            shell.uid(user).gid(group);
        }
        let mut shell = shell.spawn().unwrap();
        let words = Mutex::new(shell.stdin.take().unwrap());
        let server = Server { folder, bin, port, words, _shell: shell };
        server.wait();
        server
    }

    /// Waits until it answers.
    fn wait(&self) {
        let begun = Instant::now();
        while let Err(error) = PostgresBackend::open(&self.url("public")) {
            if begun.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("the server does not answer: {error}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of a schema of it.
    pub(crate) fn url(&self, schema: &str) -> String {
        let host = self.folder.display();
        format!(
            "postgresql://siltstone:hunter2@/postgres?host={host}&port={}&options=-csearch_path%3D{schema}",
            self.port
        )
    }

    /// A backend of an empty schema.
    pub(crate) fn backend(&self, schema: &str) -> PostgresBackend {
        self.sql(&format!("CREATE SCHEMA {schema}"));
        PostgresBackend::open(&self.url(schema)).unwrap()
    }

    /// The address of a new, empty database of it.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql(&format!("CREATE DATABASE {name}"));
        self.url("public").replace("/postgres?", &format!("/{name}?")).replace(":hunter2", "")
    }

    /// What `psql` says: rows of fields with `|` in between.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// The same of a database.
    pub(crate) fn sql_in(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "siltstone",
            "-d",
            database,
        ]);
        let done = psql.arg("-h").arg(&self.folder).arg("-c").arg(sql).output().unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    fn say(&self, word: &str) {
        writeln!(self.words.lock().unwrap(), "{word}").unwrap();
    }

    /// All its processes end at once, as in a loss of power.
    pub(crate) fn crash(&self) {
        self.say("crash");
    }

    /// It begins anew after a crash, and recovers.
    pub(crate) fn start_again(&self) {
        self.say("start");
        self.wait();
    }
}
