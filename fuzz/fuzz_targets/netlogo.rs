//! A file of NetLogo's BehaviorSpace, of any bytes: it is read, or refused in an error, and gives no more than it has.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::experiment::trackers::{Kind, Options, inspect};
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = folder_in_memory();
    let path = folder.path().join("results.csv");
    (folder, path)
});

/// The six lines about an experiment.
const HEAD: &[u8] = b"\"BehaviorSpace results (NetLogo 6.4.0)\",\"Table version 2.0\"\n\"a.nlogo\"\n\"sweep\"\n\"now\"\n\"min-pxcor\"\n\"-17\"\n";

fuzz_target!(
    init: plant("netlogo", seeds),
    |data: &[u8]| {
        // 0: a file as it is; else one with the lines about an experiment.
        let mut input = Input::new(data);
        let head = if input.byte() == 0 { &[][..] } else { HEAD };
        let bytes = [head, input.rest()].concat();
        fs::write(&FILE.1, &bytes).expect("a small file in memory");
        if let Ok(report) = inspect(&FILE.1, &Options::new(Kind::Netlogo), &mut |_, _| Ok(())) {
            let found = report.found;
            assert!(found.points + found.texts + found.arrays <= bytes.len() as u64);
        }
    }
);

fn seeds() -> Vec<Seed> {
    let table = b"\"[run number]\",\"density\",\"[step]\",\"burned\",\"xs\"\n\
        \"2\",\"0.75\",\"0\",\"0\",\"[1 2]\"\n\"1\",\"low\",\"0\",\"1.5E-7\",\"true\"\n";
    let sheet = b"\"[run number]\",\"1\",\"1\",\"2\",\"2\"\n\"density\",\"57\",,\"0.75\",\n\
        \"[reporter]\",\"[step]\",\"burned\",\"[step]\",\"burned\"\n\"[final]\",\"1\",\"-3\",\"1\",\"4\"\n\
        \"[total steps]\",\"1\",,\"1\",\n\n\"[all run data]\",\"[step]\",\"burned\",\"[step]\",\"burned\"\n,\"0\",\"1\",\"0\",\"a\"\n";
    let whole = [HEAD, table].concat();
    let files: [(u8, &[u8]); 3] = [(1, table), (1, sheet), (0, &whole)];
    files.into_iter().map(|(kind, file)| Seed::default().byte(kind).rest(file)).collect()
}
