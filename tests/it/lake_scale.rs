//! A table of many segments: its log, its checkpoints and what they cost.

use std::path::Path;
use std::time::Instant;

use regex_lite::Regex;
use siltstone::Handle;
use siltstone::lake::{PublishOptions, publish, tables, verify};
use siltstone::memory::{MemoryStore, NewLearningEvent};

/// Segments of the table; `SILTSTONE_LAKE_SEGMENTS=10000` sets others, and the times are printed.
const SEGMENTS: usize = 300;
/// They are published in so many turns: more commits than there are between two checkpoints.
const TURNS: usize = 25;

fn send(db: &Handle, lake: &Path) -> u64 {
    let options = PublishOptions::default();
    let report = publish(db, lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    report.tables.values().map(|table| table.segments).sum()
}

/// Goal: a table of very many segments is published, listed and verified by its checkpoint, which says what its commits say; one
/// new row sends one segment.
#[test]
fn a_table_of_many_segments_is_known_by_its_checkpoint() {
    let asked = std::env::var("SILTSTONE_LAKE_SEGMENTS").ok();
    let segments = asked.as_ref().map_or(SEGMENTS, |n| n.parse().unwrap()) / TURNS * TURNS;
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        if asked.is_some() {
            println!("{what}: {:.3} s", start.elapsed().as_secs_f64());
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let address = lake.to_str().unwrap();
    let db = siltstone::open(folder.path().join("agent.db")).unwrap();
    let memory: MemoryStore = db.memory().unwrap();
    memory.store_learning_event(NewLearningEvent::new("maze", 0.5, "explore")).unwrap();
    let Handle::File(file) = &db else { panic!("it is a file") };
    // A row a segment: ids are a segment's keys apart.
    let add = |ids: std::ops::Range<usize>| {
        file.transaction(|| {
            for id in ids {
                let sql = format!(
                    "INSERT INTO learning_events (id, task_type, performance_delta, strategy_used, timestamp) \
                     VALUES ({}, 'maze', 0.5, 'explore', 0)",
                    (id << 20) + 7
                );
                file.execute(&sql, &[])?;
            }
            Ok(())
        })
        .unwrap();
    };
    timed("all turns", &mut || {
        for turn in 0..TURNS {
            let n = segments / TURNS;
            add(turn * n + 1..(turn + 1) * n + 1);
            send(&db, &lake);
        }
    });
    timed("nothing new", &mut || assert_eq!(send(&db, &lake), 0));
    add(segments + 1..segments + 2);
    timed("one row more", &mut || assert_eq!(send(&db, &lake), 1));
    let rows = segments as u64 + 2;

    let log = lake.join("learning_events/_delta_log");
    let last = std::fs::read_to_string(log.join("_last_checkpoint")).unwrap();
    let said = Regex::new("\"version\":(\\d+)").unwrap().captures(&last).unwrap()[1].to_owned();
    let checkpoint = log.join(format!("{:0>20}.checkpoint.parquet", said));
    if asked.is_some() {
        let bytes = checkpoint.metadata().unwrap().len();
        println!("checkpoint of version {said}: {bytes} bytes, of {rows} rows; {last}");
    }
    let listed = || {
        let all = tables(address).unwrap();
        assert_eq!((all[0].files, all[0].rows), (rows, Some(rows)));
        all
    };
    let mut by_checkpoint = Vec::new();
    timed("ls", &mut || by_checkpoint = listed());
    timed("verify with the file", &mut || {
        let report = verify(address, Some(&db), &mut |_, _| Ok(())).unwrap();
        assert_eq!((report.findings.len(), report.tables["learning_events"].rows), (0, rows));
    });
    // Without its commits before it the checkpoint stands for them; without checkpoints they say the same.
    let early = log.join(format!("{:020}.json", 3));
    let text = std::fs::read(&early).unwrap();
    std::fs::remove_file(&early).unwrap();
    assert_eq!(listed(), by_checkpoint);
    std::fs::write(&early, text).unwrap();
    for entry in std::fs::read_dir(&log).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("checkpoint") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    timed("ls by all commits", &mut || assert_eq!(listed(), by_checkpoint));
}
