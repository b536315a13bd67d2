//! Against git itself, and against what git never writes.

use std::fs;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn known(folder: &Path) -> Option<(String, String)> {
    state(folder).map(|state| (state.branch, state.commit))
}

/// Goal: the commit is found where git keeps it: by itself, of a branch, packed, and of a second work tree.
#[test]
fn a_commit_is_found_wherever_git_keeps_it() {
    let line = format!("{COMMIT}\n");
    let packed = format!(
        "# pack-refs with: peeled\n{} refs/heads/old\n{COMMIT} refs/heads/a/b\n",
        "f".repeat(40)
    );
    let main = ("main".to_owned(), COMMIT.to_owned());
    let one = folder_of(&[
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/refs/heads/main", &line),
        ("a/b/c", ""),
    ]);
    assert_eq!(known(&one.path().join("a/b")), Some(main));
    let packed =
        folder_of(&[(".git/HEAD", "ref: refs/heads/a/b\n"), (".git/packed-refs", &packed)]);
    assert_eq!(known(packed.path()), Some(("a/b".into(), COMMIT.into())));
    let detached = folder_of(&[(".git/HEAD", &line)]);
    assert_eq!(known(detached.path()), Some(("HEAD".into(), COMMIT.into())));
    let two = folder_of(&[
        ("all/.git/HEAD", "ref: refs/heads/main\n"),
        ("all/.git/refs/heads/two", &line),
        ("all/.git/worktrees/w/HEAD", "ref: refs/heads/two\n"),
        ("all/.git/worktrees/w/commondir", "../..\n"),
        ("w/.git", "gitdir: ../all/.git/worktrees/w\n"),
    ]);
    assert_eq!(known(&two.path().join("w")), Some(("two".into(), COMMIT.into())));
    assert_eq!(known(&two.path().join("all")), None, "no commit yet");
}

/// Goal: a reference leads to no other file, in no circle, and to nothing but a hash.
#[test]
fn a_reference_leads_nowhere_else() {
    let line = format!("{COMMIT}\n");
    for head in [
        "ref: ../secret",
        "ref: refs/../../secret",
        "ref: refs/heads/x",
        "secret",
        "",
        "ref: refs/\u{1b}",
    ] {
        let folder = folder_of(&[
            (".git/HEAD", head),
            ("secret", &line),
            (".git/refs/heads/x", "ref: refs/heads/x"),
        ]);
        assert_eq!(known(folder.path()), None, "{head}");
    }
}

/// What git itself says in a folder; `None`, told in a line, where there is no git.
fn git(folder: &Path, args: &[&str]) -> Option<String> {
    let mut git = std::process::Command::new("git");
    git.arg("-C")
        .arg(folder)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"]
    {
        git.env(name, "somebody");
    }
    match git.output() {
        Ok(output) => {
            assert!(output.status.success(), "{args:?}: {output:?}");
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        }
        Err(error) => {
            eprintln!("skipped: git cannot be run: {error}");
            None
        }
    }
}

/// A file that is older than whatever is written next.
fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    fs::write(folder.join(name), text).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
}

/// Goal: what is told of the work of git itself is what git says: clean, changed, staged, removed; commits in packs and
/// by themselves, each version of the index; and where sizes and times do not tell it, nothing is claimed.
#[test]
fn the_state_is_the_one_that_git_tells() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if git(at, &["init", "-q", "-b", "main"]).is_none() {
        return;
    }
    for i in 0..40 {
        write(at, &format!("code/{}/file.py", "n".repeat(i + 1)), "x = 1\n");
    }
    let run = |args: &[&str]| git(at, args).unwrap();
    let clean = || {
        let found = state(at).unwrap();
        assert_eq!((found.commit, found.branch), (run(&["rev-parse", "HEAD"]), "main".into()));
        let said = run(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]);
        assert!(
            found.clean.is_none_or(|clean| clean == said.is_empty()),
            "{:?}: {said}",
            found.clean
        );
        found.clean
    };
    run(&["add", "."]);
    run(&["commit", "-q", "-m", "one"]);
    assert_eq!(clean(), Some(true));
    write(at, "code/n/file.py", "x = 10\n");
    assert_eq!(clean(), Some(false), "another size");
    run(&["add", "."]);
    assert_eq!(clean(), None, "staged: the index has no tree");
    run(&["write-tree"]);
    run(&["status"]);
    assert_ne!(clean(), Some(true), "staged");
    run(&["commit", "-q", "-m", "two"]);
    for version in ["2", "3", "4"] {
        run(&["update-index", "--index-version", version]);
        assert_eq!(clean(), Some(true), "index of version {version}");
    }
    write(at, "code/n/file.py", "x = 20\n");
    assert_eq!(clean(), None, "another time, the same size");
    run(&["checkout", "-q", "."]);
    // The file and the index are of one instant; written again, the index is later.
    std::thread::sleep(std::time::Duration::from_millis(30));
    run(&["update-index", "--index-version", "2"]);
    run(&["gc", "-q"]);
    assert!(!at.join(".git/refs/heads/main").exists(), "the branch is packed");
    assert_eq!(clean(), Some(true), "a commit in a pack");
    fs::remove_file(at.join("code/nn/file.py")).unwrap();
    assert_eq!(clean(), Some(false), "removed");
}

/// Goal: a file of git beyond its budget is not read, and an index of more files than the budget says nothing; at the
/// budget both do.
#[test]
fn files_of_git_have_a_budget() {
    let packed = format!("{COMMIT} refs/heads/main\n");
    let folder =
        folder_of(&[(".git/HEAD", "ref: refs/heads/main\n"), (".git/packed-refs", &packed)]);
    let at = folder.path();
    let grow = |bytes| {
        let file = fs::File::options().write(true).open(at.join(".git/packed-refs")).unwrap();
        file.set_len(bytes).unwrap(); // takes no room
    };
    grow(1 << 20);
    assert_eq!(known(at), Some(("main".into(), COMMIT.into())));
    grow((256 << 20) + 1);
    assert_eq!(known(at), None);
    grow(packed.len() as u64);
    for (count, clean) in [(200_000_u32, Some(false)), (200_001, None)] {
        let mut index = [&b"DIRC"[..], &2_u32.to_be_bytes(), &count.to_be_bytes()].concat();
        for n in 1..=count {
            // Nobody is to look at them, but for the last one, which is not there.
            let flags: u16 = if n == count { 1 } else { 0x8001 };
            index.extend([&[0_u8; 60][..], &flags.to_be_bytes(), b"a\0"].concat());
        }
        fs::write(at.join(".git/index"), index).unwrap();
        assert_eq!(state(at).unwrap().clean, clean, "{count} files");
    }
}

/// Goal: files of git that were cut off anywhere or changed are never a panic, and never a claim about files outside.
#[test]
fn damaged_files_of_git_are_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if git(at, &["init", "-q", "-b", "main"]).is_none() {
        return;
    }
    write(at, "a.py", "x = 1\n");
    write(at, "b/c.py", "y = 1\n");
    git(at, &["add", "."]);
    git(at, &["commit", "-q", "-m", "one"]);
    git(at, &["gc", "-q"]);
    let packs = fs::read_dir(at.join(".git/objects/pack")).unwrap();
    let mut files: Vec<PathBuf> = packs.map(|entry| entry.unwrap().path()).collect();
    files.push(at.join(".git/index"));
    for path in files {
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap(); // git makes some of them for reading alone
        for at_byte in (0..whole.len()).filter(|at| *at < 600 || at % 13 == 0) {
            fs::write(&path, &whole[..at_byte]).unwrap();
            state(at);
            let mut changed = whole.clone();
            changed[at_byte] ^= 0x81;
            fs::write(&path, changed).unwrap();
            state(at);
        }
        fs::write(&path, whole).unwrap();
    }
    let index = fs::read(at.join(".git/index")).unwrap();
    let position = index.windows(6).position(|bytes| bytes == b"b/c.py").unwrap();
    let mut outside = index.clone();
    outside[position..position + 6].copy_from_slice(b"../../");
    fs::write(at.join(".git/index"), outside).unwrap();
    assert_eq!(state(at).unwrap().clean, None);
}
