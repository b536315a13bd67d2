//! A file of another simulator, of any bytes: it is read, or refused in an error.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::simulation::{FileFormat, FileOptions, Layout, Missing, StatesOptions, import_file};
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(folder_in_memory);

fuzz_target!(
    init: plant("simulation_files", seeds),
    |bytes: &[u8]| {
        let mut input = Input::new(bytes);
        let options = options(input.byte());
        let path = FOLDER.path().join("file");
        fs::write(&path, input.rest()).expect("a small file");
        let _ = import_file(None, &path, &options, &mut |_, _| Ok(()));
    }
);

fn options(format: u8) -> FileOptions {
    let states = |layout| FileOptions {
        format: FileFormat::States(StatesOptions {
            time: "t".into(),
            layout,
            group: "g".into(),
            columns: vec![],
            missing: Some(Missing::Clear),
            decimal: None,
            thousands: None,
            separator: None,
        }),
        dataset: "d".into(),
        ..FileOptions::epanet()
    };
    match format % 4 {
        0 => FileOptions::epanet(),
        1 => FileOptions::sumo(),
        2 => states(Layout::Long("id".into())),
        _ => states(Layout::Wide("x".into())),
    }
}

fn seeds() -> Vec<Seed> {
    // One node, no link, one period.
    let head = [516_114_521i32, 20012, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3600, 0];
    let mut epanet: Vec<u8> = head.iter().flat_map(|n| n.to_le_bytes()).collect();
    epanet.resize(epanet.len() + 824 + 36 + 4 + 16 + 16, 0);
    epanet.extend([1, 0, 516_114_521].iter().flat_map(|n: &i32| n.to_le_bytes()));
    let xml =
        br#"<fcd-export><timestep time="0.1"><vehicle id="a" x="1.5"/></timestep></fcd-export>"#;
    let csv = b"timestep_time;vehicle_id;vehicle_x\n0.1;a;1.5\n";
    let (long, wide) = (b"t,id,x\n0,a,1.5\n1,\"b\",\n", b"t,a,b\n0,1,true\n1,2.5,\n");
    let files: [(u8, &[u8]); 5] = [(0, &epanet), (1, xml), (1, csv), (2, long), (3, wide)];
    files.into_iter().map(|(format, file)| Seed::default().byte(format).rest(file)).collect()
}
