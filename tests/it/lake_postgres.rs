//! Publishing to a PostgreSQL server: a real one, that the tests start.

use std::path::Path;
use std::time::Duration;

use siltstone::experiment::{Cell, ExperimentDatabase, RecordSchema};
use siltstone::lake::{PublishOptions, PublishReport, publish, tables, verify};
use siltstone::memory::{NewConcept, NewLearningEvent};
use siltstone::series::{Series, StorageBackend};
use siltstone::simulation::{Attribute, Group, SimulationDatabase};
use siltstone::{Array, Error};
use siltstone_needs::needs;

use crate::child::{self, Random, mission, say};
use crate::lake::{DAY, NOON, put};
use crate::postgres_server::{Server, shared};

fn send(
    file: &Path,
    address: &str,
    change: impl FnOnce(&mut PublishOptions),
) -> Result<PublishReport, Error> {
    let is_folder = file.is_dir();
    let handle = if is_folder { siltstone::open_read_only(file)? } else { siltstone::open(file)? };
    let mut options = PublishOptions::default();
    change(&mut options);
    publish(&handle, address, &options, &mut |_, _| Ok(()))
}

/// That the ticks on a server are `0..n`, each once.
fn assert_ticks(server: &Server, database: &str, n: u64) {
    let sql =
        "SELECT count(*), count(DISTINCT bid), coalesce(sum(bid), 0)::bigint FROM siltstone.ticks";
    let sum = n * n.saturating_sub(1) / 2;
    assert_eq!(server.sql_in(database, sql), format!("{n}|{n}|{sum}"));
}

/// Goal: what a file has is on the server in typed columns, is not sent twice, and goes when it is deleted.
#[needs(postgresql)]
#[test]
fn a_file_gets_to_a_server_in_typed_columns() {
    let (server, database) = (shared(), "lake_typed");
    let address = server.database(database);
    let sql = |sql: &str| server.sql_in(database, sql);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.db");
    let runs = ExperimentDatabase::open(&file, "exp").unwrap();
    let run = runs.create_simulation_context("a", Default::default()).unwrap();
    let columns = [("city", "text"), ("open", "bool"), ("n", "int64")];
    run.define_table(&RecordSchema::new("shops", &columns).unwrap()).unwrap();
    let cells =
        [("city", Cell::Text("\u{1}Z\0rich")), ("open", Cell::Int(1)), ("n", Cell::Int(i64::MIN))];
    run.log("shops", 3, &cells).unwrap();
    drop(run);
    runs.close().unwrap();
    let db = siltstone::open(&file).unwrap();
    let memory = db.memory().unwrap();
    memory.store_learning_event(NewLearningEvent::new("maze", 0.25, "explore")).unwrap();
    memory.store_concept(NewConcept::new("door", Array::from(vec![0.5, -1.5]))).unwrap();
    let points = Series::from_times_ns(&[-1, NOON], &[1.5, f64::NAN]).unwrap();
    db.series().unwrap().save("flow", &points, &Default::default()).unwrap();
    // Of every second year nothing.
    let times: Vec<i64> = (0..20).map(|n| n * 2 * 365 * DAY + 10 * DAY).collect();
    let sparse = Series::from_times_ns(&times, &[0.5; 20]).unwrap();
    db.series().unwrap().save("sparse", &sparse, &Default::default()).unwrap();
    db.close().unwrap();
    let report = send(&file, &address, |_| {}).unwrap();
    assert_eq!(report.failed, Default::default());
    assert_eq!(report.tables["shops"].rows, 1);
    assert_eq!(send(&file, &address, |_| {}).unwrap(), PublishReport::default());
    assert_eq!(found(&address, &file), [] as [&str; 0]);
    let shop =
        "SELECT simulation_id, step, city = E'\\x011Z\\x010rich', open, n FROM siltstone.shops";
    assert_eq!(sql(shop), format!("a|3|t|t|{}", i64::MIN));
    assert_eq!(sql("SELECT name, embedding FROM siltstone.concepts"), "door|{0.5,-1.5}");
    assert_eq!(sql("SELECT performance_delta FROM siltstone.learning_events"), "0.25");
    let times = "SELECT extract(epoch FROM time)::numeric(20, 6), index_integer, value FROM siltstone.series_points WHERE key = 'flow' ORDER BY time";
    let expected = format!("-0.000001|-1|1.5\n{}.000000|{NOON}|NaN", NOON / 1_000_000_000);
    assert_eq!(sql(times), expected);

    siltstone::open(&file).unwrap().series().unwrap().delete("flow").unwrap();
    let gone = send(&file, &address, |_| {}).unwrap();
    assert_eq!(gone.tables["series_points"].removed, 2, "two years");
    assert_eq!(sql("SELECT count(*) FROM siltstone.series_points"), "20");
    let kinds = "SELECT name, sum(rows) FROM siltstone_ledger.segment GROUP BY 1 ORDER BY 1";
    assert_eq!(
        sql(kinds),
        "concepts|1\nlearning_events|1\nruns|1\nseries|1\nseries_points|20\nshops|1"
    );

    // A table of another program's that has such a column of another type is refused, and the others are sent.
    sql("ALTER TABLE siltstone.concepts ALTER name TYPE varchar(9)");
    let db = siltstone::open(&file).unwrap();
    let memory = db.memory().unwrap();
    memory.store_learning_event(NewLearningEvent::new("maze", 0.5, "explore")).unwrap();
    memory.store_concept(NewConcept::new("key", Array::from(vec![0.5, 1.5]))).unwrap();
    db.close().unwrap();
    let report = send(&file, &address, |_| {}).unwrap();
    let why = &report.failed["concepts"];
    assert!(why.contains("name of type text") && why.contains("character varying"), "{why}");
    assert_eq!(report.tables["learning_events"].rows, 2);
    assert_eq!(sql("SELECT count(*) FROM siltstone.learning_events"), "2");

    // Rows that somebody removed are sent again, if that is asked for.
    sql("DROP TABLE siltstone.learning_events; DELETE FROM siltstone.runs");
    let why = &send(&file, &address, |_| {}).unwrap().failed["learning_events"];
    assert!(why.contains("--rebuild-ledger"), "{why}");
    send(&file, &address, |options| options.rebuild_ledger = true).unwrap();
    assert_eq!(sql("SELECT count(*) FROM siltstone.learning_events"), "2");
    assert_eq!(sql("SELECT count(*) FROM siltstone.runs"), "1");
    assert_eq!(sql("SELECT count(*) FROM siltstone.series_points"), "20");
}

/// What a verification of a server and a file finds, as lines.
fn found(address: &str, file: &Path) -> Vec<String> {
    let handle = siltstone::open_read_only(file).unwrap();
    let report = verify(address, Some(&handle), &mut |_, _| Ok(())).unwrap();
    assert!(report.tables.values().any(|table| table.compared > 0));
    report.findings.iter().map(|found| format!("{}: {}", found.location, found.what)).collect()
}

/// Goal: a server lists what files have published to it, and its rows are held against its ledger and against a file: what was
/// changed, removed or put there by others is named, and so is what is not published. Nothing is made by looking.
#[needs(postgresql)]
#[test]
fn a_server_is_listed_and_verified() {
    let (server, database) = (shared(), "lake_verified");
    let address = server.database(database);
    let sql = |sql: &str| server.sql_in(database, sql);
    let folder = tempfile::tempdir().unwrap();
    let (file, base) = (folder.path().join("run.db"), folder.path().join("db"));
    for refused in
        [tables(&address).unwrap_err(), verify(&address, None, &mut |_, _| Ok(())).unwrap_err()]
    {
        assert!(refused.to_string().contains("siltstone_ledger"), "{refused}");
    }
    assert_eq!(sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'silt%'"), "0");
    let db = SimulationDatabase::open(&file).unwrap();
    let lists = Attribute::ragged(Array::from([1.0, -0.0, f64::NAN]), Array::from([0i64, 0, 3]));
    let cells = Group::new("cells")
        .with("id", [1i64, 2])
        .with("hot", Attribute::new(Array::from_slice(&[true, false])).with_mask(&[0, 2]))
        .with("lists", lists)
        .with("name", Array::from_strs(&["\u{1}a", ""]))
        .with("heat", [f64::NEG_INFINITY, 0.1]);
    db.store_update(4, 0, "grid", vec![cells], Some("solver")).unwrap();
    db.close().unwrap();
    put(&base, NOON, 0..300);
    send(&file, &address, |options| options.states_every = Some(4)).unwrap();
    send(&base, &address, |_| {}).unwrap();
    let listed = tables(&address).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|table| (table.name.as_str(), table.version, table.rows, table.senders.len()))
        .collect();
    let expected = [
        ("simulation_states", 1, Some(7), 1),
        ("simulation_updates", 1, Some(8), 1),
        ("ticks", 1, Some(300), 1),
    ];
    assert_eq!(listed, expected);
    assert_eq!([found(&address, &file), found(&address, &base)], [[] as [&str; 0]; 2]);

    sql(
        "UPDATE siltstone.simulation_updates SET value_floats = '{1,0,NaN}' WHERE value_floats <> '{}'",
    );
    sql("DELETE FROM siltstone.simulation_states WHERE attribute = 'hot'");
    sql("INSERT INTO siltstone.ticks (segment, symbol) VALUES (0, 'other')");
    put(&base, NOON + DAY, 300..301);
    let of_file = found(&address, &file);
    assert_eq!(of_file.len(), 3, "{of_file:?}");
    assert!(
        of_file[0].contains("simulation_states, segment 1")
            && of_file[0].contains("6 rows on the server, 7 by its ledger")
    );
    assert!(
        of_file[1].contains("simulation_updates, segment 1") && of_file[1].contains("another hash")
    );
    assert!(of_file[2].contains("ticks: 1 row of segments that the ledger does not have"));
    let of_ticks = found(&address, &base);
    assert!(of_ticks[3].contains("1 row of the file not published"), "{of_ticks:?}");
}

/// Goal: several files publish to one server at the same moment, whoever makes its tables, and each row is there once.
#[needs(postgresql)]
#[test]
fn many_files_publish_to_a_server_at_once() {
    let (server, database) = (shared(), "lake_many");
    let address = server.database(database);
    let folder = tempfile::tempdir().unwrap();
    let bases: Vec<_> = (0..6).map(|n| folder.path().join(format!("db{n}"))).collect();
    for (n, base) in bases.iter().enumerate() {
        put(base, NOON, n as u64 * 100..(n as u64 + 1) * 100);
    }
    std::thread::scope(|scope| {
        for base in &bases {
            scope.spawn(|| send(base, &address, |_| {}).unwrap());
            scope.spawn(|| send(base, &address, |_| {}).unwrap());
        }
    });
    assert_ticks(server, database, 600);
    put(&bases[0], NOON - DAY, 600..601); // late
    let late = send(&bases[0], &address, |_| {}).unwrap().tables["ticks"];
    assert_eq!((late.segments, late.removed, late.rows), (1, 0, 1));
    put(&bases[0], NOON - DAY, 601..602);
    let late = send(&bases[0], &address, |_| {}).unwrap().tables["ticks"];
    assert_eq!((late.segments, late.commits), (1, 1));
    assert_ticks(server, database, 602);
}

/// Goal: a file that was restored, and rows that somebody took from the ledger of the server, are refused with a way out.
#[needs(postgresql)]
#[test]
fn a_server_refuses_a_restored_file_with_a_way_out() {
    let (server, database) = (shared(), "lake_restored");
    let address = server.database(database);
    let folder = tempfile::tempdir().unwrap();
    let (base, copy) = (folder.path().join("db"), folder.path().join("copy"));
    put(&base, NOON, 0..30);
    send(&base, &address, |_| {}).unwrap();
    siltstone::open_read_only(&base).unwrap().backup(&copy).unwrap();
    put(&base, NOON + DAY, 30..60);
    send(&base, &address, |_| {}).unwrap();
    put(&copy, NOON + DAY, 30..60);
    let refused = |base: &Path| send(base, &address, |_| {}).unwrap().failed["ticks"].clone();
    assert!(refused(&copy).contains("--rebuild-ledger"), "{}", refused(&copy));
    assert_ticks(server, database, 60);
    send(&copy, &address, |options| options.rebuild_ledger = true).unwrap();
    assert_ticks(server, database, 60);
    server.sql_in(database, "DELETE FROM siltstone_ledger.segment WHERE number = 1");
    assert!(refused(&copy).contains("--rebuild-ledger"), "{}", refused(&copy));
}

/// Goal: a sender that is killed at any instant leaves a server on which each row is once, when another has finished.
#[needs(postgresql)]
#[test]
fn a_killed_sender_to_a_server_loses_and_repeats_nothing() {
    let (server, database) = (shared(), "lake_killed");
    let address = server.database(database);
    let kills = std::env::var("SILTSTONE_LAKE_KILLS").map_or(8, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    let mut random = Random(11);
    for turn in 0..kills {
        put(&base, NOON + (turn % 3) as i64 * DAY, turn * 300..(turn + 1) * 300);
        let child = child::start("lake_postgres::sends_until_it_is_killed", &base, &address);
        std::thread::sleep(Duration::from_micros(random.below(150_000)));
        child.kill();
        if turn > 0
            && server.sql_in(database, "SELECT to_regclass('siltstone.ticks') IS NOT NULL") == "t"
        {
            let twice = "SELECT count(*) - count(DISTINCT bid) FROM siltstone.ticks";
            assert_eq!(server.sql_in(database, twice), "0", "turn {turn}");
        }
    }
    send(&base, &address, |_| {}).unwrap();
    assert_ticks(server, database, kills * 300);
}

#[test]
#[ignore = "the process that a test kills"]
fn sends_until_it_is_killed() {
    let Some((base, address)) = mission() else { return };
    send(&base, &address, |options| options.live = true).unwrap();
    say(format_args!("sent"));
}

/// Goal: a server that goes away is an error that names it and no secret; what was not sent is sent when it is back.
#[needs(postgresql)]
#[test]
fn a_server_that_goes_away_gets_the_rest_later() {
    let server = Server::start("", &[]);
    let address = server.database("lake_away");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    put(&base, NOON, 0..300);
    send(&base, &address, |_| {}).unwrap();
    put(&base, NOON + DAY, 300..600);
    let mut turn = 0;
    let away = siltstone::open_read_only(&base).unwrap();
    let options = PublishOptions::default();
    let lost = publish(&away, &address, &options, &mut |_, _| {
        turn += 1;
        if turn == 1 {
            server.crash();
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    });
    if let Err(error) = lost {
        assert!(matches!(error, Error::Server { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let refused = send(&base, &address, |_| {}).unwrap_err();
    assert!(matches!(refused, Error::Server { .. }), "{refused}");
    let refused = send(&base, "postgresql://me:hunter2@host/x", |_| {}).unwrap_err().to_string();
    assert!(refused.contains("PGPASSWORD") && !refused.contains("hunter2"), "{refused}");
    server.start_again();
    send(&base, &address, |_| {}).unwrap();
    assert_ticks(&server, "lake_away", 600);
}
