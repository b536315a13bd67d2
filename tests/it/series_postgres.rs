//! Series in a PostgreSQL server: a real one, that the tests start.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use siltstone::Error;
use siltstone::series::{
    Change, IndexMetadata, IndexRange, MemoryBackend, PostgresBackend, Series, SqliteBackend,
    StorageBackend, conformance,
};
use siltstone_needs::needs;

use crate::postgres_server::{Server, shared};

fn schema() -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    format!("t{}", MADE.fetch_add(1, Ordering::Relaxed))
}

fn points(n: i64, value: f64) -> Series {
    let times: Vec<i64> = (0..n).map(|i| i * 1_000_000_000).collect();
    Series::from_times_ns(&times, &vec![value; n as usize]).unwrap()
}

/// Goal: a PostgreSQL server passes the suite that every backend passes.
#[needs(postgresql)]
#[test]
fn postgresql_does_what_a_backend_must() {
    let server = shared();
    conformance::check(&|| Box::new(server.backend(&schema())));
}

/// Goal: a series that was saved in a file is the same one in the server, and back.
#[needs(postgresql)]
#[test]
fn a_series_moves_between_a_file_and_the_server() {
    let server = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteBackend::open(folder.path().join("a.db")).unwrap();
    let there = server.backend(&schema());
    for (i, index) in conformance::indexes().into_iter().enumerate() {
        let values = Series::new(index.clone(), index).unwrap();
        let metadata = serde_json::from_str(r#"{"unit":"m","deep":[1,{"a":null}]}"#).unwrap();
        let key = format!("s{i}");
        file.save(&key, &values, &metadata).unwrap();
        let (series, found) = file.load(&key).unwrap();
        there.save(&key, &series, &found).unwrap();
        assert_eq!(there.load(&key).unwrap(), (values, metadata));
    }
}

/// Goal: the documented tables are there for any client, with numbers as numbers and times as texts.
#[needs(postgresql)]
#[test]
fn the_documented_sql_runs() {
    let server = shared();
    let schema = schema();
    let backend = server.backend(&schema);
    let times = [-1_500_000_000_i64, 0, 86_400_000_000_123];
    let values = [7.123456789, f64::NAN, -0.5];
    let metadata = serde_json::from_str(r#"{"unit": "mg/l"}"#).unwrap();
    backend.save("plant/a", &Series::from_times_ns(&times, &values).unwrap(), &metadata).unwrap();
    let numbers = arrow_array::UInt64Array::from(vec![Some(u64::MAX), None, Some(3)]);
    let index = arrow_array::Float64Array::from(vec![0.5, 1.5, f64::INFINITY]);
    let big = Series::new(std::sync::Arc::new(index), std::sync::Arc::new(numbers)).unwrap();
    backend.save("b", &big, &Default::default()).unwrap();
    let ask = |sql: &str| server.sql(&format!("SET search_path = {schema}; {sql}"));
    let rows = "SELECT key, index_value, value FROM time_series_data WHERE key = 'plant/a' ORDER BY index_value";
    assert_eq!(
        ask(rows),
        "plant/a|1969-12-31 23:59:58.500000|7.123456789\n\
         plant/a|1970-01-01 00:00:00|NaN\n\
         plant/a|1970-01-02 00:00:00.000000123|-0.5"
    );
    let some = "SELECT value FROM time_series_data WHERE key = 'plant/a' AND index_value >= '1970-01-01 12:00'";
    assert_eq!(ask(some), "-0.5");
    let big = "SELECT index_value, value FROM time_series_data WHERE key = 'b' ORDER BY row";
    assert_eq!(ask(big), "0.5|1.8446744073709552e+19\n1.5|\nInfinity|3");
    assert_eq!(
        ask("SELECT metadata_json FROM time_series_metadata WHERE key = 'plant/a'"),
        r#"{"unit":"mg/l"}"#
    );
}

/// Goal: SQL sees the value of a category and the text of a period, and not their numbers.
#[needs(postgresql)]
#[test]
fn sql_sees_what_numbers_stand_for() {
    let server = shared();
    let schema = schema();
    let backend = server.backend(&schema);
    let save = |key: &str, known: IndexMetadata, numbers: [i64; 2], categories: &str| {
        let codes = arrow_array::Int32Array::from(vec![Some(1), None]);
        let index = arrow_array::Int64Array::from(numbers.to_vec());
        let series = Series::new(std::sync::Arc::new(index), std::sync::Arc::new(codes)).unwrap();
        let dtype = Some(format!("category:{{\"categories\": {categories}}}"));
        let series = series.with_index_metadata(known).with_dtype(dtype);
        backend.save(key, &series, &Default::default()).unwrap();
        assert_eq!(backend.load(key).unwrap().0, series);
        let sql = "SELECT index_value, value, value_text FROM time_series_data WHERE key = ";
        server.sql(&format!("SET search_path = {schema}; {sql}'{key}' ORDER BY row"))
    };
    let period = |dtype: &str| IndexMetadata {
        kind: "PeriodIndex".into(),
        dtype: Some(dtype.into()),
        ..IndexMetadata::default()
    };
    for (dtype, numbers, texts) in [
        ("period[M]", [-1, 648], ["1969-12", "2024-01"]),
        ("period[Q-DEC]", [-1, 216], ["1969Q4", "2024Q1"]),
        ("period[Y-DEC]", [-1, 54], ["1969", "2024"]),
        ("period[D]", [-1, 19_723], ["1969-12-31", "2024-01-01"]),
        ("period[h]", [-1, 7], ["1969-12-31 23:00", "1970-01-01 07:00"]),
        ("period[B]", [-1, i64::MAX], ["-1", "9223372036854775807"]),
        ("period[M]", [i64::MIN, 0], ["-9223372036854775808", "1970-01"]),
    ] {
        let [first, second] = texts;
        let got = save("p", period(dtype), numbers, r#"["wet", "dry"]"#);
        assert_eq!(got, format!("{first}||dry\n{second}||"), "{dtype}");
    }
    let known = IndexMetadata {
        kind: "CategoricalIndex".into(),
        categories: Some(vec!["b".into(), 7.into()]),
        ..IndexMetadata::default()
    };
    assert_eq!(save("c", known, [1, 0], "[1, 0.5]"), "7|0.5|0.5\nb||");
}

/// Goal: six that open an empty database at once end with one set of tables, and all their series.
#[needs(postgresql)]
#[test]
fn six_clients_make_the_tables_once() {
    let server = shared();
    let schema = schema();
    server.sql(&format!("CREATE SCHEMA {schema}"));
    std::thread::scope(|scope| {
        for i in 0..6 {
            let url = server.url(&schema);
            scope.spawn(move || {
                let backend = PostgresBackend::open(&url).unwrap();
                backend.save(&format!("k{i}"), &points(3, 1.0), &Default::default()).unwrap();
            });
        }
    });
    let backend = PostgresBackend::open(&server.url(&schema)).unwrap();
    assert_eq!(backend.list_keys("k").unwrap().len(), 6);
}

/// Goal: several clients append to one series, replace another one and add new ones, and nothing is lost or
/// there twice.
#[needs(postgresql)]
#[test]
fn several_clients_write_one_series() {
    let server = shared();
    let backend = server.backend(&schema());
    std::thread::scope(|scope| {
        for client in 0..4 {
            let backend = backend.clone();
            scope.spawn(move || {
                for i in 0..25 {
                    backend.append("all", &points(4, f64::from(client * 100 + i))).unwrap();
                    backend
                        .save("one", &points(5, f64::from(client)), &Default::default())
                        .unwrap();
                    let found = backend.load("one").unwrap().0.to_f64s().unwrap();
                    assert!(found.len() == 5 && found.iter().all(|x| *x == found[0]), "{found:?}");
                }
            });
        }
    });
    let mut all = backend.load("all").unwrap().0.to_f64s().unwrap();
    assert_eq!(all.len(), 400);
    all.sort_by(f64::total_cmp);
    all.dedup();
    assert_eq!(all.len(), 100, "each append whole, once");
}

/// Goal: a server that dies in mid-copy and returns has the old or the new series, and the backend goes on.
#[needs(postgresql)]
#[test]
fn a_server_that_dies_has_the_old_or_the_new() {
    let server = Server::start("", &[]);
    let backend = server.backend("crash");
    let mut now = 0.0;
    backend.save("a", &points(50_000, now), &Default::default()).unwrap();
    let mut was_refused = 0;
    for turn in 0..4_u64 {
        let done = AtomicBool::new(false);
        let (reported, next) = std::thread::scope(|scope| {
            let write = scope.spawn(|| {
                let mut value = now;
                loop {
                    let reported =
                        backend.save("a", &points(50_000, value + 1.0), &Default::default());
                    match reported {
                        Ok(()) => value += 1.0,
                        Err(error) => return (error, value),
                    }
                    if done.load(Ordering::Relaxed) {
                        // The crash was between two saves: the next one is reported.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(120 + turn * 35));
            server.crash();
            done.store(true, Ordering::Relaxed);
            write.join().unwrap()
        });
        assert!(matches!(reported, Error::Server { .. }), "{reported}");
        assert!(!reported.to_string().contains("hunter2"), "{reported}");
        was_refused += 1;
        server.start_again();
        let found = backend.load("a").unwrap().0.to_f64s().unwrap();
        assert_eq!(found.len(), 50_000);
        assert!(found.iter().all(|x| *x == found[0]), "half of two");
        assert!(found[0] == next || found[0] == next + 1.0, "{} after {next}", found[0]);
        now = found[0];
    }
    assert_eq!(was_refused, 4);
}

/// Goal: a call that waits for another session is cancelled soon; nothing of it is there, and the next one goes well.
#[needs(postgresql)]
#[test]
fn a_call_that_waits_for_another_session_is_cancelled() {
    let server = shared();
    let schema = schema();
    let backend = server.backend(&schema);
    backend.save("a", &points(3, 1.0), &Default::default()).unwrap();
    let lock = "BEGIN; LOCK TABLE siltstone_series; SELECT pg_sleep(6); COMMIT";
    std::thread::scope(|scope| {
        let other = scope.spawn(|| server.sql(&format!("SET search_path = {schema}; {lock}")));
        std::thread::sleep(Duration::from_secs(2));
        let start = std::time::Instant::now();
        let stop = move || start.elapsed() > Duration::from_millis(200);
        let saved = siltstone::interruptible(stop, || {
            backend.save("b", &points(3, 2.0), &Default::default())
        });
        assert!(matches!(saved, Err(Error::Interrupted { .. })), "{saved:?}");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        other.join().unwrap();
    });
    assert_eq!(backend.list_keys("").unwrap(), ["a"]);
    backend.save("b", &points(3, 2.0), &Default::default()).unwrap();
    assert_eq!(backend.load("b").unwrap().0, points(3, 2.0));
}

/// Goal: a lock that another session keeps is waited for as long as the address says, 30 s where it says nothing; then the call is
/// an error in words, nothing of it is there, and the next one goes well.
#[needs(postgresql)]
#[test]
fn a_lock_that_another_session_keeps_is_not_waited_for_without_an_end() {
    let server = shared();
    let schema = schema();
    let backend = server.backend(&schema);
    backend.save("a", &points(3, 1.0), &Default::default()).unwrap();
    let soon = server.url(&schema) + "%20-clock_timeout%3D300ms";
    let hurried = PostgresBackend::open(&soon).unwrap();
    let (send, locked) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let table = format!("LOCK TABLE {schema}.siltstone_series");
            let sql = format!("BEGIN; {table}; SELECT pg_sleep(4); COMMIT");
            send.send(()).unwrap();
            server.sql(&sql)
        });
        locked.recv().unwrap();
        let held = format!(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
             AND relation = '{schema}.siltstone_series'::regclass"
        );
        while server.sql(&held) != "1" {
            std::thread::sleep(Duration::from_millis(20));
        }
        let begun = std::time::Instant::now();
        let saved = hurried.save("b", &points(3, 2.0), &Default::default());
        let error = saved.unwrap_err().to_string();
        assert!(error.contains("lock timeout"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    });
    assert_eq!(backend.list_keys("").unwrap(), ["a"]);
    hurried.save("b", &points(3, 2.0), &Default::default()).unwrap();
    // What a transaction of ours has, said by the server itself.
    server.sql(&format!(
        "CREATE FUNCTION {schema}.say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'it is %', current_setting('lock_timeout'); END $$; \
         CREATE TRIGGER say BEFORE INSERT ON {schema}.siltstone_series FOR EACH ROW EXECUTE FUNCTION {schema}.say()"
    ));
    for (backend, expected) in [(&backend, "it is 30s"), (&hurried, "it is 300ms")] {
        let error =
            backend.save("c", &points(3, 2.0), &Default::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Goal: an address that is wrong says what is wrong, and never its password.
#[needs(postgresql)]
#[test]
fn a_wrong_address_keeps_its_secret() {
    let server = shared();
    for url in [
        server.url("public").replace("/postgres?", "/nowhere?"),
        server.url("public").replace("host=/", "host=/not"),
        "postgresql://me:hunter2@localhost:1/db?connect_timeout=2".to_owned(),
        "postgresql+psycopg2://me:hunter2@localhost:1/db".to_owned(),
        server.url("public") + "&sslmode=require",
    ] {
        let error = siltstone::series::open(&url).err().unwrap_or_else(|| panic!("{url} opens"));
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Server { .. }) && !text.contains("hunter2"), "{text}");
    }
    let good = PostgresBackend::open(&server.url("public")).unwrap();
    assert!(!format!("{good:?} {}", good.location()).contains("hunter2"));
}

/// Goal: a range is asked of the server, which does not send what is outside of it.
#[needs(postgresql)]
#[test]
fn a_range_reads_its_rows_only() {
    let server = shared();
    let schema = schema();
    let backend = server.backend(&schema);
    backend.save("a", &points(20_000, 1.0), &Default::default()).unwrap();
    // Rows outside of the range that would be refused if they were sent.
    server.sql(&format!(
        "UPDATE {schema}.siltstone_point SET index_int = NULL WHERE row IN (100, 19000)"
    ));
    let second = 1_000_000_000;
    let range = IndexRange::half_open(5_000 * second, 6_000 * second);
    assert_eq!(backend.load_range("a", &range).unwrap().len(), 1_000);
    assert!(backend.load("a").is_err(), "the damage is seen by who meets it");
    server.sql(&format!("DELETE FROM {schema}.siltstone_point WHERE row = 10000"));
    let error = backend.load_range("a", &range).unwrap_err();
    assert!(error.to_string().contains("rows of it are missing"), "{error}");
}

/// Goal: each `sslmode` looks at the server's certificate as libpq says, and an error tells what is wrong with it and
/// no password.
#[needs(postgresql)]
#[test]
fn tls_is_what_the_address_says() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let root = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
    };
    let ((trusted, issuer), (stranger, _)) = (root("a root"), root("another root"));
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap().pem();
    // A port that is free now; nobody else of this machine is likely to take it in between.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = format!(
        "-c ssl=on -c ssl_cert_file=../server.crt -c ssl_key_file=../server.key \
         -c listen_addresses=127.0.0.1 -c port={port}"
    );
    let files = [("server.crt", own.as_str()), ("server.key", &key.serialize_pem())];
    let _server = Server::start_on(port, &options, &files);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        std::fs::write(folder.path().join(name), pem).unwrap();
        folder.path().join(name).display().to_string()
    };
    let (trusted, stranger) = (file("trusted.pem", &trusted), file("stranger.pem", &stranger));
    let open = |host: &str, tls: &str| {
        let url = format!("postgresql://siltstone:hunter2@{host}:{port}/postgres?{tls}");
        PostgresBackend::open(&url).map(|backend| backend.list_keys("").unwrap())
    };
    for (host, tls) in [
        ("localhost", "sslmode=disable".to_owned()),
        ("localhost", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("localhost", format!("sslmode=verify-full&sslrootcert={trusted}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={trusted}")),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={trusted}")),
    ] {
        open(host, &tls).unwrap_or_else(|e| panic!("{host} {tls}: {e}"));
    }
    for (host, tls) in [
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={trusted}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={stranger}")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={stranger}")),
        ("localhost", format!("sslmode=require&sslrootcert={stranger}")),
        ("localhost", "sslmode=verify-full".to_owned()),
    ] {
        let error = open(host, &tls).err().unwrap_or_else(|| panic!("{host} {tls} opens"));
        let text = error.to_string();
        assert!(text.contains("certificate") && !text.contains("hunter2"), "{tls}: {text}");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Save(u8, Vec<i64>),
    Append(u8, Vec<i64>),
    Delete(u8),
    Rename(u8, u8),
    Copy(u8, u8),
    Range(u8, i64, i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (key, points) = (0_u8..3, || proptest::collection::vec(-20_i64..20, 0..12));
    let act = prop_oneof![
        (key.clone(), points()).prop_map(|(k, p)| Act::Save(k, p)),
        (key.clone(), points()).prop_map(|(k, p)| Act::Append(k, p)),
        key.clone().prop_map(Act::Delete),
        (key.clone(), key.clone()).prop_map(|(a, b)| Act::Rename(a, b)),
        (key.clone(), key.clone()).prop_map(|(a, b)| Act::Copy(a, b)),
        (key, -25_i64..25, -25_i64..25).prop_map(|(k, a, b)| Act::Range(k, a, b)),
    ];
    proptest::collection::vec(act, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Goal: whatever is done to a server is what the same does to memory: ranges of points in order and not.
    #[needs(postgresql)]
    #[test]
    fn a_server_is_what_memory_is(acts in acts()) {
        let server = shared();
        let (there, model) = (server.backend(&schema()), MemoryBackend::new());
        let series = |points: &[i64]| {
            let values: Vec<f64> = points.iter().map(|x| *x as f64 / 3.0).collect();
            Series::from_times_ns(points, &values).unwrap()
        };
        let key = |n: u8| format!("k{n}");
        for act in &acts {
            let both = |change: Change| {
                let one = [change];
                (there.commit(&one).map_err(|e| e.to_string()), model.commit(&one))
            };
            let (ours, theirs) = match act {
                Act::Save(k, points) => both(Change::Save {
                    key: key(*k), series: series(points), metadata: Default::default(),
                }),
                Act::Append(k, points) => both(Change::Append { key: key(*k), series: series(points) }),
                Act::Delete(k) => both(Change::Delete { key: key(*k) }),
                Act::Rename(a, b) => both(Change::Rename { from: key(*a), to: key(*b) }),
                Act::Copy(a, b) => both(Change::Copy { from: key(*a), to: key(*b) }),
                Act::Range(k, from, to) => {
                    let range = IndexRange::half_open(*from, *to);
                    let (a, b) = (there.load_range(&key(*k), &range), model.load_range(&key(*k), &range));
                    prop_assert_eq!(a.ok(), b.ok());
                    continue;
                }
            };
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        }
        let keys = model.list_keys("").unwrap();
        prop_assert_eq!(&there.list_keys("").unwrap(), &keys);
        for key in keys {
            prop_assert_eq!(there.load(&key).unwrap(), model.load(&key).unwrap());
            prop_assert_eq!(there.info(&key).unwrap(), model.info(&key).unwrap());
        }
    }
}
