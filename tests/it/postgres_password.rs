//! The password of a PostgreSQL server: from the environment, from a file, from who is asked, and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use siltstone::Error;
use siltstone::series::{PostgresBackend, StorageBackend};
use siltstone_needs::needs;

use crate::child;
use crate::postgres_server::Server;

/// A server that wants the password `hunter2` of `me`, and the address without it.
fn server() -> (Server, String) {
    let server = Server::start("", &[]);
    server.sql("CREATE ROLE me LOGIN PASSWORD 'hunter2'");
    let rules = server.sql("SHOW hba_file");
    std::fs::write(rules, "local all siltstone trust\nlocal all all scram-sha-256\n").unwrap();
    server.sql("SELECT pg_reload_conf()");
    let url = server.url("public").replace("siltstone:hunter2@", "me@");
    (server, url)
}

/// Opens the address that stands in place of a file, and says what came of it.
#[test]
#[ignore = "started by other tests"]
fn child_opens_an_address() {
    let Some((url, _)) = child::mission() else { return };
    match siltstone::series::open(url.to_str().unwrap()) {
        Ok(backend) => {
            println!("opened {} {:?}", backend.location(), backend.list_keys("").unwrap())
        }
        Err(error) => println!("refused {error}"),
    }
}

/// What a process with these variables says.
fn said(url: &str, variables: &[(&str, &Path)]) -> String {
    let mut command =
        child::command("postgres_password::child_opens_an_address", Path::new(url), "");
    command.env_remove("PGPASSWORD").env_remove("PGPASSFILE").env("HOME", "/nowhere");
    command.envs(variables.iter().copied());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Goal: the password comes from the variable, from the file that is named, or from that at home, and a file that others may
/// read is passed over in words.
#[needs(postgresql)]
#[test]
fn a_password_need_not_be_in_the_address() {
    let (_server, url) = server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, "else:*:*:*:wrong\n*:*:postgres:me:hunter2\n").unwrap();
    let allow = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(0o600);
    let with_file = format!("{url}&passfile={}", file.display());
    for (url, variables) in [
        (&url, &[("PGPASSWORD", Path::new("hunter2"))][..]),
        (&url, &[("PGPASSFILE", &file)]),
        (&url, &[("HOME", folder.path())]),
        (&with_file, &[]),
    ] {
        let said = said(url, variables);
        assert!(said.contains("opened") && !said.contains("hunter2"), "{variables:?}: {said}");
    }
    let nothing = said(&url, &[]);
    assert!(nothing.contains("password missing; PGPASSWORD or ~/.pgpass"), "{nothing}");
    allow(0o644);
    let open = said(&url, &[("HOME", folder.path())]);
    assert!(open.contains("0600") && open.contains(".pgpass"), "{open}");
    let wrong = said(&url, &[("PGPASSWORD", Path::new("hunter3"))]);
    assert!(wrong.contains("refused") && !wrong.contains("hunter3"), "{wrong}");
}

/// Goal: who is asked gives the password of a server that wants one, is told its address without a secret, and is not asked
/// by one that wants none.
#[needs(postgresql)]
#[test]
fn who_is_asked_gives_the_password() {
    let (server, url) = server();
    let mut asked = Vec::new();
    let backend = PostgresBackend::open_asking(&url, |location| {
        asked.push(location.to_owned());
        Ok("hunter2".to_owned())
    });
    assert!(backend.unwrap().list_keys("").unwrap().is_empty());
    assert!(asked.len() == 1 && asked[0].starts_with("postgresql://"), "{asked:?}");
    let stop = |_: &str| Err(Error::Interrupted { action: "asking" });
    let stopped = PostgresBackend::open_asking(&url, stop);
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    PostgresBackend::open_asking(&server.url("public"), stop).unwrap();
}
