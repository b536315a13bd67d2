//! A simulation that is made in a folder which somebody else filled.

use std::fs;
use std::path::Path;
use std::process::Command;

use siltstone::experiment::{ExperimentDatabase, Which};

use crate::child::{self, Child, mission, say};

/// A program that leaves a mark.
#[cfg(unix)]
fn trap(path: &Path, mark: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho \"$0\" >> '{}'\n", mark.display())).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Goal: nothing that lies in a folder runs because a simulation is made there: no program that its configuration
/// names, no hook, no filter, no `git` of its own; and the commit is written down all the same.
#[test]
#[cfg(unix)]
fn nothing_in_a_hostile_folder_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (code, mark) = (folder.path().join("code"), folder.path().join("mark"));
    fs::create_dir(&code).unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(&code).args(["-c", "user.name=x", "-c", "user.email=x"]).args(args);
        git.output().map(|output| {
            assert!(output.status.success(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        })
    };
    if let Err(error) = git(&["init", "-q"]) {
        return eprintln!("skipped: git cannot be run: {error}");
    }
    fs::write(code.join("run.py"), "x = 1\n").unwrap();
    git(&["add", "."]).unwrap();
    git(&["commit", "-q", "-m", "one"]).unwrap();
    let commit = git(&["rev-parse", "HEAD"]).unwrap();
    let program = code.join("trap");
    trap(&program, &mark);
    trap(&code.join("git"), &mark);
    for hook in ["post-index-change", "fsmonitor-watchman", "pre-commit", "reference-transaction"] {
        trap(&code.join(".git/hooks").join(hook), &mark);
    }
    fs::write(code.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    let evil = format!(
        "[core]\n\tfsmonitor = {0}\n\tpager = {0}\n\teditor = {0}\n\tsshCommand = {0}\n\thooksPath = .git/hooks\n\
         [filter \"evil\"]\n\tclean = {0}\n\tsmudge = {0}\n\tprocess = {0}\n\trequired = true\n\
         [diff \"evil\"]\n\ttextconv = {0}\n\tcommand = {0}\n[diff]\n\texternal = {0}\n",
        program.display()
    );
    fs::write(code.join(".git/evil"), &evil).unwrap();
    let config = fs::read_to_string(code.join(".git/config")).unwrap();
    fs::write(code.join(".git/config"), format!("{config}{evil}[include]\n\tpath = evil\n"))
        .unwrap();
    fs::write(code.join("run.py"), "x = 2\n").unwrap();
    let mut made =
        child::command("experiment_git::makes_a_simulation_here", &folder.path().join("a.db"), "");
    let path = std::env::var("PATH").unwrap_or_default();
    made.current_dir(&code).env("PATH", format!(".:{path}"));
    let said = Child::from(made).finish();
    assert!(said.contains(&format!("commit {commit}")), "{said:?}");
    assert!(!mark.exists(), "these ran:\n{}", fs::read_to_string(&mark).unwrap());
}

#[test]
#[ignore = "run by nothing_in_a_hostile_folder_runs"]
fn makes_a_simulation_here() {
    let Some((file, _)) = mission() else { return };
    let db = ExperimentDatabase::open(file, "here").unwrap();
    db.create_simulation_context("one", Default::default()).unwrap().complete().unwrap();
    let found = db.simulations(Which::All).unwrap().remove(0);
    say(format_args!(
        "\ncommit {}",
        found.provenance["code"]["commit"].as_str().unwrap_or_default()
    ));
}
