//! `#[needs(...)]`: a test that needs what not every machine has is counted as ignored where it is missing, with the
//! reason, and never as passed.
//!
//! It looks when the tests are compiled. A test that finds the thing gone when it runs fails.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro::TokenStream;

/// Ignores a test where one of these is missing: `shared` (the data beside the project), `cases` (the same with the
/// folder of cases), `postgresql`, `small_disk` (a file system of this process's own), `two_file_systems` (another one than
/// that of the temporary files), `root`, `script` (the program), `second_sqlite`, `extension` (the built SQLite extension, and
/// the system's `sqlite3` to load it).
#[proc_macro_attribute]
pub fn needs(what: TokenStream, test: TokenStream) -> TokenStream {
    let (is_there, why) = match what.to_string().as_str() {
        "shared" => (shared("data"), "no shared data beside the project or at SILTSTONE_SHARED"),
        "cases" => (shared("cases"), "no shared cases beside the project or at SILTSTONE_SHARED"),
        "postgresql" => (postgresql(), "PostgreSQL is not installed (make postgresql)"),
        "small_disk" => (small_disk(), "this process may not mount a small file system"),
        "two_file_systems" => (two_file_systems(), "there is one file system only"),
        "root" => (is_root(), "only root can make a file of another user"),
        "script" => (is_on_path("script"), "there is no script(1) to make a terminal"),
        "second_sqlite" => (second_sqlite(), "there is no libsqlite3.so.0"),
        "extension" => (extension(), "no sqlite3, or the extension is not built (make extension)"),
        other => panic!("needs({other}): see the documentation of the attribute"),
    };
    // What `#[test]` has taken before is run, whatever is added here.
    assert!(test.to_string().contains("[test]"), "needs({what}) comes before #[test]");
    // The compiler looks again when one of these has changed.
    let watch = "const _: [Option<&str>; 2] = [option_env!(\"SILTSTONE_SHARED\"), option_env!(\"SILTSTONE_EXTENSION\")];";
    let ignore = if is_there { String::new() } else { format!("#[ignore = {why:?}]") };
    let mut all: TokenStream = ignore.parse().expect("an attribute");
    all.extend(test);
    all.extend(watch.parse::<TokenStream>().expect("an item"));
    all
}

fn shared(folder: &str) -> bool {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("SILTSTONE_SHARED").map_or_else(beside, PathBuf::from).join(folder).is_dir()
}

fn postgresql() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = versions.map(|v| v.path().join("bin")).chain(std::env::split_paths(&on_path));
    all.any(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

fn extension() -> bool {
    let built =
        std::env::var_os("SILTSTONE_EXTENSION").is_some_and(|path| Path::new(&path).exists());
    built && is_on_path("sqlite3")
}

fn small_disk() -> bool {
    let at = std::env::temp_dir().join(format!("siltstone-needs-{}", std::process::id()));
    let run = |name: &str, args: &[&str]| {
        Command::new(name).args(args).arg(&at).output().is_ok_and(|output| output.status.success())
    };
    let mounts = std::fs::create_dir(&at).is_ok()
        && run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        && run("umount", &["-l"]);
    let _ = std::fs::remove_dir(&at);
    mounts
}

/// Device and owner of what is there.
#[cfg(unix)]
fn device_and_owner(path: &Path) -> Option<(u64, u32)> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|found| (found.dev(), found.uid()))
}

#[cfg(not(unix))]
fn device_and_owner(_: &Path) -> Option<(u64, u32)> {
    None
}

fn two_file_systems() -> bool {
    let device = |path: &Path| Some(device_and_owner(path)?.0);
    let here = device(&std::env::temp_dir());
    let others = ["/dev/shm", "/run", "/var/tmp"].map(Path::new);
    others.into_iter().filter_map(device).any(|there| Some(there) != here)
}

fn is_root() -> bool {
    device_and_owner(Path::new("/proc/self")).is_some_and(|(_, owner)| owner == 0)
}

fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).exists())
}

fn second_sqlite() -> bool {
    const NOW: c_int = 2;
    unsafe extern "C" {
        fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    }
    let name: &CStr = c"libsqlite3.so.0";
    // SAFETY: the name ends in NUL; the library of SQLite may be loaded into any process.
    cfg!(target_os = "linux") && !unsafe { dlopen(name.as_ptr(), NOW) }.is_null()
}
