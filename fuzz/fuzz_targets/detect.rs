//! A file of any bytes and any ending: its kind is said, or why it is not, and the file stays as it is.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::ImportKind;
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(folder_in_memory);

const NAMES: [&str; 8] =
    ["file", "f.csv", "f.xlsx", "f.parquet", "f.db", "f.zip", "f.gz", "events.out.tfevents.1.host"];

fuzz_target!(
    init: plant("detect", seeds),
    |data: &[u8]| {
        let mut input = Input::new(data);
        let path = FOLDER.path().join(NAMES[usize::from(input.byte()) % NAMES.len()]);
        let bytes = input.rest();
        fs::write(&path, bytes).expect("a small file in memory");
        match ImportKind::detect(&path) {
            Ok(kind) => assert_eq!(kind.name().parse::<ImportKind>().expect("a name"), kind),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        assert!(fs::read(&path).is_ok_and(|now| now == bytes), "a file that was looked at changed");
        fs::remove_file(&path).expect("a file in memory");
    }
);

fn seeds() -> Vec<Seed> {
    let files: [(u8, &[u8]); 18] = [
        (0, b"<?xml version=\"1.0\"?>\n<!-- of <net/> -->\n<fcd-export>\n<timestep time=\"0\"/></fcd-export>"),
        (0, b"<net version=\"1\"/>"),
        (1, b"timestep_time;vehicle_id\n0;a\n"),
        (1, b"cpu,host=a usage=0.5 1715201400000000000\n"),
        (1, b"#datatype,string,long,dateTime:RFC3339,double\n#group,false\n#default,_result\n"),
        (1, b"\"TOA5\",\"site\",\"CR1000\"\n\"TIMESTAMP\",\"RECORD\"\n\"TS\",\"RN\"\n\"\",\"\"\n"),
        (1, b"\"Plot Title: pond\"\n\"#\",\"Date Time, GMT+01:00\",\"Temp\"\n"),
        (1, b"\"BehaviorSpace results (NetLogo 6.4.0)\",\"Table version 2.0\"\n"),
        (1, b"<DATE>\t<TIME>\t<BID>\t<ASK>\n2024.03.01\t10:00:00.123\t1.1\t1.2\n"),
        (1, b"20240301 100000123,1.1,1.2,0\n"),
        (1, b"\xef\xbb\xbftime,flow\n2024-01-01,1\n"),
        (1, b"\xff\xfet\0i\0m\0e\0"),
        (2, b"PK\x03\x04 [Content_Types].xml PK\x03\x04 xl/workbook.xml"),
        (3, b"PAR1\x15\x04\x15\0\0\0PAR1"),
        (4, b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"),
        (6, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0"),
        (0, b"\x59\x71\xc3\x1e\x62\x4e\0\0"),
        (7, b"\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22\x09\0\0\xc0"),
    ];
    files.into_iter().map(|(name, file)| Seed::default().byte(name).rest(file)).collect()
}
