//! The password of a server, where the address has none: from the environment or a file, by libpq's rules.

use std::path::{Path, PathBuf};

use postgres::Config;
use postgres::config::Host;

/// The port of a server that names none.
const PORT: u16 = 5432;
/// The folder of sockets that a file of passwords calls `localhost`.
#[cfg(unix)]
const SOCKETS: &str = "/var/run/postgresql";

/// A password, or why a file that may have one was not read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) password: Option<String>,
    pub(crate) passed_over: Option<String>,
}

/// The password of a server: `PGPASSWORD`; or the first entry that fits of the file that `passfile` or `PGPASSFILE` names,
/// or `~/.pgpass`, on Windows `%APPDATA%\postgresql\pgpass.conf`.
///
/// # Source
/// <https://www.postgresql.org/docs/current/libpq-pgpass.html>
pub(crate) fn find(
    config: &Config,
    passfile: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Found {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(password) = set("PGPASSWORD") {
        return Found { password: Some(password), passed_over: None };
    }
    let named = passfile.map(str::to_owned).or_else(|| set("PGPASSFILE")).map(PathBuf::from);
    let own = || match cfg!(windows) {
        true => set("APPDATA").map(|folder| Path::new(&folder).join("postgresql/pgpass.conf")),
        false => set("HOME").map(|home| Path::new(&home).join(".pgpass")),
    };
    let Some(path) = named.or_else(own) else { return Found::default() };
    match read(&path) {
        Ok(None) => Found::default(),
        Ok(Some(text)) => Found { password: entry_of(config, &text), passed_over: None },
        Err(why) => {
            let why = format!("the file of passwords {} was passed over: {why}", path.display());
            Found { password: None, passed_over: Some(why) }
        }
    }
}

/// The text of a file that nobody else may read; `None` if there is none.
fn read(path: &Path) -> Result<Option<String>, String> {
    let known = match std::fs::metadata(path) {
        Ok(known) => known,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !known.is_file() {
        return Err("it is not a plain file".into());
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&known.permissions()) & 0o077 != 0 {
        return Err("others may read or write it; its permissions should be 0600 or less".into());
    }
    std::fs::read_to_string(path).map(Some).map_err(|error| error.to_string())
}

/// The password of the first line that fits one of the hosts.
fn entry_of(config: &Config, text: &str) -> Option<String> {
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) if path == Path::new(SOCKETS) => "localhost".into(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let mut hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let ports = config.get_ports();
    hosts.iter().enumerate().find_map(|(i, host)| {
        let port = ports.get(i).or(ports.first()).unwrap_or(&PORT).to_string();
        text.lines().find_map(|line| password_of(line, [host, &port, database, user]))
    })
}

/// The password of a line `host:port:database:user:password`, if the rest fits.
fn password_of(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line.trim_end_matches('\r');
    for wanted in wanted {
        let (is_any, end) = (rest.starts_with("*:"), field_end(rest)?);
        if !is_any && plain(&rest[..end]) != wanted {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let end = field_end(rest).unwrap_or(rest.len());
    Some(plain(&rest[..end])).filter(|password| !password.is_empty())
}

/// Where a field ends: at a colon without a backslash.
fn field_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == ':' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// A field without its backslashes.
fn plain(field: &str) -> String {
    let mut chars = field.chars();
    let mut plain = String::with_capacity(field.len());
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# host:port:database:user:password\n\
        db.example.org:5432:plant:me:first\\:and\\\\last\n\
        db.example.org:*:plant:*:any\\ user\n\
        /run/a\\:b:5433:plant:me:socket\n\
        localhost:5432:plant:me:local\n\
        *:*:star:me:wild:what is behind is nothing\n\
        *:*:none:me:\n";

    fn found(url: &str) -> Option<String> {
        entry_of(&url.parse().unwrap(), FILE)
    }

    /// Goal: a file of passwords is read as libpq reads it: the first line that fits, wildcards, and backslashes.
    #[test]
    fn a_file_of_passwords_is_read_as_libpq_reads_it() {
        let some = |password: &str| Some(password.to_owned());
        assert_eq!(found("postgresql://me@db.example.org/plant"), some("first:and\\last"));
        assert_eq!(found("postgresql://me@db.example.org:1/plant"), some("any user"));
        assert_eq!(found("postgresql://you@db.example.org/plant"), some("any user"));
        assert_eq!(found("postgresql://me@/plant?host=/run/a:b&port=5433"), some("socket"));
        #[cfg(unix)]
        assert_eq!(found("postgresql://me@/plant?host=/var/run/postgresql"), some("local"));
        assert_eq!(found("postgresql://me@else/star"), some("wild"));
        assert_eq!(found("postgresql://me@else,db.example.org/plant"), some("first:and\\last"));
        assert_eq!(found("postgresql://me@else/none"), None);
        assert_eq!(found("postgresql://me@else/plant"), None);
    }

    /// Goal: the environment goes before the file, and a file that others may read is passed over with its reason.
    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_passed_over() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".pgpass");
        std::fs::write(&path, "*:*:*:*:secret\n").unwrap();
        let config: Config = "postgresql://me@host/db".parse().unwrap();
        let home = folder.path().display().to_string();
        let at_home = |name: &str| (name == "HOME").then(|| home.clone());
        let allow = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o644, 0o620] {
            allow(mode);
            let found = find(&config, None, &at_home);
            assert!(found.password.is_none(), "{mode:o}");
            let why = found.passed_over.unwrap();
            assert!(why.contains("0600") && !why.contains("secret"), "{why}");
        }
        allow(0o600);
        let secret = Found { password: Some("secret".into()), passed_over: None };
        assert_eq!(find(&config, None, &at_home), secret);
        assert_eq!(find(&config, Some(path.to_str().unwrap()), &|_| None), secret);
        let of_variable = |name: &str| (name == "PGPASSWORD").then(|| "variable".to_owned());
        assert_eq!(find(&config, None, &of_variable).password.as_deref(), Some("variable"));
        let folder = find(&config, Some(folder.path().to_str().unwrap()), &|_| None);
        assert!(folder.passed_over.unwrap().contains("plain file"));
        assert_eq!(find(&config, Some("/nowhere/at/all"), &|_| None), Found::default());
    }
}
