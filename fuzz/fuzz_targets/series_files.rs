//! A file of a logger or of InfluxDB, or a workbook, of any bytes: it is read, or refused in an error; what was imported once
//! changes nothing.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::series::{InfluxOptions, MemoryBackend, TimeUnit, import_influx, read_points};
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(folder_in_memory);

fuzz_target!(
    init: plant("series_files", seeds),
    |bytes: &[u8]| {
        let mut input = Input::new(bytes);
        let kind = input.byte() % 4;
        let name = ["a.lp", "a.lp", "a.csv", "a.xlsx"][usize::from(kind)];
        let path = FOLDER.path().join(name);
        fs::write(&path, input.rest()).expect("a small file");
        if kind > 1 {
            let _ = read_points(&path, &Default::default());
            return;
        }
        let time_unit = (kind == 1).then_some(TimeUnit::Ns);
        let options = InfluxOptions { time_unit, ..Default::default() };
        let backend = MemoryBackend::new();
        let import = || import_influx(&backend, &path, &options, &mut |_, _| Ok(()));
        if let Ok(first) = import() {
            let again = import().expect("it was imported");
            assert_eq!((again.added, again.unchanged), (0, first.points));
        }
    }
);

fn seeds() -> Vec<Seed> {
    let lines = b"cpu,host=a\\ b usage=0.5,n=3i,u=1u,ok=t,note=\"a \\\" b\" 1715201400000000000\n\
        cpu usage=1e3 1715201400000000001\n";
    let tables = b"#datatype,string,long,dateTime:RFC3339,double,string,string\n\
        #group,false,false,false,false,true,true\n#default,_result,,,,,\n\
        ,result,table,_time,_value,_field,host\n,,0,2024-05-08T20:50:00Z,1.5,temp,A\n\n";
    let csv = b"time;flow\n13.08.2010 00:00;1,5\n13.08.2010 01:00;\n";
    let toa5 = b"\"TOA5\",\"ST12\"\n\"TIMESTAMP\",\"level\"\n\"TS\",\"m\"\n\"\",\"Avg\"\n\"2024-03-01 00:10:00\",0.4\n";
    let files: [(u8, &[u8]); 5] = [(1, lines), (0, lines), (0, tables), (2, csv), (2, toa5)];
    files.into_iter().map(|(kind, file)| Seed::default().byte(kind).rest(file)).collect()
}
