//! The routes, asked as a browser asks them.

mod market;
mod pages;
mod runs;
mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array};
use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};
use server::{Running, serve, serve_with};
use siltstone::experiment::{ExperimentDatabase, SimulationOptions};
use siltstone::series::{Series, StorageBackend};
use siltstone::ticks::{QueueFull, TickStore, TickStoreConfig};
use siltstone_viewer::Options;

/// A name that a page must not take for markup.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";
/// Points of the series `walk`.
const POINTS: i64 = 100_000;

/// A walk with spikes of one point and a gap.
fn walk() -> Vec<f64> {
    let mut state = 1u64;
    let mut y = 0.0;
    let step = |i| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        y += (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
        match i {
            40_000..45_000 => f64::NAN,
            i if i % 9_973 == 0 => y + 1_000.0,
            _ => y,
        }
    };
    (0..POINTS).map(step).collect()
}

/// A file of series, served.
fn series() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = siltstone::open(&path).unwrap();
    let index: ArrayRef = Arc::new(Int64Array::from_iter_values(0..POINTS));
    let values: ArrayRef = Arc::new(Float64Array::from(walk()));
    let store = db.series().unwrap();
    store.save("walk", &Series::new(index, values).unwrap(), &Default::default()).unwrap();
    let small = Series::from_times_ns(&[0, 10, 20], &[1.0, f64::NAN, 3.0]).unwrap();
    store.save(HOSTILE, &small, &Default::default()).unwrap();
    db.close().unwrap();
    serve(folder, "run.db", &[])
}

/// Goal: data are for whoever has the token, as a header or as the cookie that it is exchanged for; the page's files are
/// for everybody on the machine.
#[test]
fn data_needs_the_token() {
    let server = series();
    for path in ["/api/overview", "/api/changes", "/api/series", "/api/session", "/api/nothing"] {
        let answer = server.ask("GET", path, &[], "");
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("token"), "{path}");
    }
    let wrong = format!("Bearer {}", "0".repeat(server.token.len()));
    for header in ["Bearer ", "Bearer x", &server.token, &wrong] {
        let answer = server.ask("GET", "/api/overview", &[("Authorization", header)], "");
        assert_eq!(answer.status, 401, "{header}");
    }
    let session = server.get("/api/session");
    assert_eq!(session.status, 204);
    let cookie = session.header("set-cookie").unwrap();
    assert!(cookie.contains("SameSite=Strict") && cookie.contains("HttpOnly"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    // Cookies know no port: a server beside this one has a name of its own for its.
    let name = format!("siltstone_{}", server.port);
    assert_eq!(cookie, format!("{name}={}", server.token));
    let foreign =
        format!("siltstone_{}={}; siltstone={}", server.port - 1, server.token, server.token);
    assert_eq!(server.ask("GET", "/api/overview", &[("Cookie", &foreign)], "").status, 401);
    let both = format!("siltstone_{}=x; {cookie}; {name}1=y", server.port - 1);
    assert_eq!(server.ask("GET", "/api/overview", &[("Cookie", &both)], "").status, 200);
    let cookie = format!("other=1; {cookie}");
    assert_eq!(server.ask("GET", "/api/overview", &[("Cookie", &cookie)], "").status, 200);
    for path in ["/", "/series", "/app.js", "/vendor/uPlot.esm.js"] {
        assert_eq!(server.ask("GET", path, &[], "").status, 200, "{path}");
    }
    assert_eq!(server.ask("GET", "/../Cargo.toml", &[], "").status, 404);
}

/// Goal: each address names the scripts that it needs, or they would be asked for one after another, and none that it does not.
#[test]
fn a_page_names_its_scripts() {
    let server = series();
    let get = |path: &str| {
        let answer = server.ask("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}");
        answer.text()
    };
    let named = |page: &str| {
        let links = page.split("rel=\"modulepreload\" href=\"").skip(1);
        links.map(|link| link.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let own = |name: &str| format!("/{}.js", if name.is_empty() { "overview" } else { name });
    let pages = ["", "simulation", "series", "runs", "market", "memory", "sql"];
    for name in pages {
        let scripts = named(&get(&format!("/{name}")));
        assert!(scripts.contains(&"/app.js".to_owned()) && scripts.contains(&own(name)), "{name}");
        let others = pages.iter().filter(|other| **other != name && scripts.contains(&own(other)));
        assert_eq!(others.count(), 0, "{name}: {scripts:?}");
        for script in &scripts {
            for line in get(script).lines().filter(|line| line.starts_with("import ")) {
                let needed = line.split('"').nth(1).unwrap().trim_start_matches('.').to_owned();
                assert!(scripts.contains(&needed), "{name}: {script} imports {needed}");
            }
        }
    }
}

/// Goal: a page of another origin, or a name that was made to point to this machine, gets nothing, not even the page.
#[test]
fn foreign_hosts_and_origins_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    siltstone::open(folder.path().join("run.db")).unwrap().close().unwrap();
    let server = serve(folder, "run.db", &["proxy.example"]);
    let token = format!("Bearer {}", server.token);
    let own = format!("http://127.0.0.1:{}", server.port);
    for (headers, status) in [
        (vec![("Host", "evil.example")], 403),
        (vec![("Host", "127.0.0.1.evil.example:80")], 403),
        (vec![("Host", "proxy.example")], 200),
        (vec![("Host", "proxy.example:8443"), ("Origin", "https://proxy.example:8443")], 200),
        (vec![("Host", "localhost:1")], 200),
        (vec![("Origin", &*own)], 200),
        (vec![("Origin", "null")], 403),
        (vec![("Origin", "http://127.0.0.1:1")], 403),
        (vec![("Origin", "http://evil.example")], 403),
        (vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")], 403),
        (vec![("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")], 403),
        (vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")], 200),
        (vec![("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")], 200),
    ] {
        for path in ["/", "/api/overview"] {
            let with_token = [&headers[..], &[("Authorization", token.as_str())]].concat();
            let answer = server.ask("GET", path, &with_token, "");
            assert_eq!(answer.status, status, "{path} {headers:?}");
            assert!(
                answer.header("content-security-policy").unwrap().contains("default-src 'self'")
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
}

/// Goal: no page may show this one in a frame, but one that knows the key of a server that was started for frames.
#[test]
fn only_a_page_with_the_key_may_frame_this_one() {
    let policy = |server: &Running, path: &str| {
        let answer = server.ask("GET", path, &[], "");
        answer.header("content-security-policy").unwrap().to_owned()
    };
    let folder = || {
        let folder = tempfile::tempdir().unwrap();
        siltstone::open(folder.path().join("run.db")).unwrap().close().unwrap();
        folder
    };
    let plain = serve(folder(), "run.db", &[]);
    assert_eq!(plain.frame, None);
    for path in ["/", "/?frame=", "/?frame=1"] {
        assert!(policy(&plain, path).contains("frame-ancestors 'none'"), "{path}");
    }
    let options = Options { frames: true, ..Options::default() };
    let framed = serve_with(folder(), "run.db", options);
    let address = framed.frame.clone().unwrap();
    let (path, token) = address.split_once("#token=").unwrap();
    let path = path.split_once(&format!(":{}", framed.port)).unwrap().1;
    assert_eq!(token, framed.token);
    let key = path.strip_prefix("/?frame=").unwrap();
    assert_ne!(key, framed.token, "the key shows in the address of a request");
    assert_eq!(policy(&framed, path), "default-src 'self'; base-uri 'none'");
    for path in ["/", "/?frame=", "/?frame=0", &format!("/?frame={key}0"), "/runs"] {
        assert!(policy(&framed, path).contains("frame-ancestors 'none'"), "{path}");
    }
    // The key opens no data.
    let with_key = format!("/api/overview?frame={key}");
    assert_eq!(framed.ask("GET", &with_key, &[], "").status, 401);
}

/// Goal: nothing but a statement is posted.
#[test]
fn only_get_is_answered() {
    let server = series();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/api/overview", "/api/series/window?key=walk"] {
            assert_eq!(server.send(method, path, "").status, 405, "{method} {path}");
        }
    }
    assert_eq!(server.send("GET", "/api/sql", "").status, 405);
}

fn sql(server: &Running, statement: &str) -> (u16, Value) {
    let answer = server.send("POST", "/api/sql", &json!({ "sql": statement }).to_string());
    (answer.status, answer.json())
}

/// Goal: a statement reads, up to a limit that is said; one that would do more is refused by name.
#[test]
fn statements_only_read() {
    let server = series();
    let (status, found) =
        sql(&server, "SELECT 9007199254740993 AS n, 'a' AS name, x'0102' AS b, 1e999");
    assert_eq!((status, &found["columns"][1]), (200, &json!("name")));
    assert_eq!(found["rows"], json!([[9_007_199_254_740_993_i64, "a", "x'0102'", "Infinity"]]));
    assert_eq!(found["more"], json!(false));

    let numbers =
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let (_, found) = sql(&server, numbers);
    let rows = found["rows"].as_array().unwrap().len();
    assert_eq!((rows, &found["more"], &found["limit"]), (10_000, &json!(true), &json!(10_000)));

    for (statement, word) in [
        ("DELETE FROM series", "writes"),
        ("ATTACH 'other.db' AS other", "ATTACH"),
        ("PRAGMA journal_mode = DELETE", "PRAGMA"),
        ("SELECT load_extension('x')", ""),
        ("SELECT 1; SELECT 2", ""),
        ("SELECT nothing", "nothing"),
    ] {
        let (status, refused) = sql(&server, statement);
        assert!(status >= 400, "{statement}: {refused}");
        assert!(refused["error"].as_str().unwrap().contains(word), "{statement}: {refused}");
    }
    assert_eq!(sql(&server, "SELECT count(*) FROM series").1["rows"], json!([[2]]));
    assert_eq!(server.send("POST", "/api/sql", "SELECT 1").status, 400);
}

/// Goal: an answer takes a bounded part of memory: what is long is cut row by row, and what is still too much is refused.
#[test]
fn an_answer_is_bounded() {
    let server = series();
    let numbers = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 20000)";
    let (status, found) =
        sql(&server, &format!("{numbers} SELECT zeroblob(1000000) FROM n LIMIT 2000"));
    assert_eq!((status, found["rows"].as_array().unwrap().len()), (200, 2_000));
    assert!(
        found["rows"][0][0].as_str().unwrap().ends_with("1000000 bytes"),
        "{}",
        found["rows"][0]
    );
    let texts: Vec<String> = (0..10).map(|_| "hex(zeroblob(2000))".to_owned()).collect();
    let (status, refused) = sql(&server, &format!("{numbers} SELECT {} FROM n", texts.join(", ")));
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().unwrap().contains("64 MB"), "{refused}");
}

/// Goal: a statement makes no value longer than an answer may be, not even on the way to a short one.
#[test]
fn a_value_of_a_statement_is_bounded() {
    let server = series();
    for statement in [
        "SELECT zeroblob(900000000)",
        "SELECT length(replace(hex(zeroblob(3000000)), '00', '0123456789012345678901234567890123456789'))",
        "SELECT length(group_concat(hex(zeroblob(30000000)))) FROM (VALUES (1), (2), (3))",
    ] {
        let (status, refused) = sql(&server, statement);
        assert_eq!(status, 400, "{statement}: {refused}");
        assert!(refused["error"].as_str().unwrap().contains("67108864 bytes"), "{refused}");
    }
    assert_eq!(sql(&server, "SELECT length(zeroblob(60000000))").1["rows"], json!([[60_000_000]]));
}

/// Goal: a browser that leaves stops what it asked for. All threads that read are kept busy without end, and free again.
#[test]
fn an_abandoned_statement_ends() {
    let server = series();
    let endless =
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let body = json!({ "sql": endless }).to_string();
    for _ in 0..8 {
        let mut stream = server.connect("POST", "/api/sql", &[], &body);
        stream.flush().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = Instant::now();
    assert_eq!(sql(&server, "SELECT 1").1["rows"], json!([[1]]));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// The rows of a window as numbers.
fn rows(document: &Value) -> Vec<(i64, Option<f64>)> {
    let rows = document["rows"].as_array().unwrap().iter();
    rows.map(|row| (row[0].as_i64().unwrap(), row[1].as_f64())).collect()
}

/// Of each column of pixels the least and the greatest value.
fn extremes(rows: &[(i64, Option<f64>)], width: i64) -> BTreeMap<i64, (f64, f64)> {
    let mut columns = BTreeMap::new();
    for (x, y) in rows.iter().filter_map(|(x, y)| Some((x, (*y)?))) {
        let (least, greatest) =
            columns.entry((2 * x * width + POINTS) / (2 * POINTS)).or_insert((y, y));
        (*least, *greatest) = (y.min(*least), y.max(*greatest));
    }
    columns
}

/// Goal: what is drawn has the extremes of what is stored in each column of pixels, and says how much of it is left out.
#[test]
fn a_window_keeps_the_extremes() {
    let server = series();
    let all = server.get("/api/series/window?key=walk").json();
    assert_eq!((rows(&all).len(), &all["said"]), (POINTS as usize, &json!("exact")));
    let drawn = server.get("/api/series/window?key=walk&width=200").json();
    assert!(rows(&drawn).len() <= 6 * 201);
    assert!(drawn["said"].as_str().unwrap().ends_with("points, min and max kept"), "{drawn}");
    assert_eq!(extremes(&rows(&drawn), 200), extremes(&rows(&all), 200));
    assert_eq!(drawn["points"], json!(POINTS));
    assert_eq!(drawn["statistics"]["missing"], json!(5_000));
    // The gap is there: a missing value where no other stands.
    assert!(rows(&drawn).iter().any(|(x, y)| y.is_none() && (40_000..45_000).contains(x)));

    let near = server.get("/api/series/window?key=walk&from=100&until=103&width=200").json();
    assert_eq!((rows(&near).len(), &near["said"]), (3, &json!("exact")));
    let edges =
        server.get("/api/series/window?key=walk&from=100&until=103&width=200&edges=true").json();
    let xs: Vec<i64> = rows(&edges).iter().map(|row| row.0).collect();
    assert_eq!((xs, &edges["points"]), (vec![99, 100, 101, 102, 103], &json!(3)));
}

/// Goal: the same window as Arrow, CSV and Parquet.
#[test]
fn a_window_has_each_format() {
    let server = series();
    let path = "/api/series/window?key=walk&from=0&until=10&format=";
    let arrow = server.get(&format!("{path}arrow"));
    let reader = StreamReader::try_new(&arrow.body[..], None).unwrap();
    assert!(reader.schema().metadata()["siltstone"].contains("exact"));
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
    let csv = server.get(&format!("{path}csv"));
    assert_eq!(csv.text().lines().count(), 11);
    assert!(csv.header("content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(&server.get(&format!("{path}parquet")).body[..4], b"PAR1");
    assert_eq!(server.get(&format!("{path}xml")).status, 400);
}

/// Goal: a query that cannot be answered says why.
#[test]
fn wrong_queries_are_refused_by_name() {
    let server = series();
    for (path, status, word) in [
        ("/api/series/window?key=nothing&width=9", 404, "nothing"),
        ("/api/series/info?key=nothing", 404, "nothing"),
        ("/api/series/window?key=walk&width=9&from=monday", 400, "from"),
        ("/api/series/window", 400, "key"),
        ("/api/ticks/bars?symbol=EURUSD", 400, "folder of ticks"),
        ("/api/nothing", 404, "/api/nothing"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(word), "{path}: {}", answer.text());
    }
}

/// Goal: a name is data: it comes as JSON, which no browser takes for a page.
#[test]
fn names_are_data() {
    let server = series();
    let list = server.get("/api/series");
    assert_eq!(list.header("content-type"), Some("application/json"));
    assert_eq!(list.json()["series"][0]["key"], json!(HOSTILE));
    let refused = server.get("/api/series/info?key=%3Cimg%3E");
    assert_eq!((refused.status, refused.header("content-type")), (404, Some("application/json")));
    assert!(refused.text().contains("<img>"), "{}", refused.text());
}

/// Goal: what is written shows in the next answers, and nothing shows when nothing was written.
#[test]
fn changes_are_seen() {
    let server = series();
    std::thread::sleep(Duration::from_millis(120)); // longer than a file's time is in doubt
    let version = || server.get("/api/changes").json()["version"].clone();
    let before = version();
    server.get("/api/series/window?key=walk&width=100");
    assert_eq!(version(), before);
    let db = siltstone::open(server.path()).unwrap();
    let more = Series::from_times_ns(&[30], &[4.0]).unwrap();
    db.series().unwrap().append(HOSTILE, &more).unwrap();
    assert_ne!(version(), before);
    assert_eq!(server.get("/api/series").json()["series"][0]["points"], json!(4));
}

/// Goal: a file that vanishes is named, and one that takes its place is shown.
#[test]
fn another_file_at_the_path_is_opened() {
    let server = series();
    assert_eq!(server.get("/api/overview").json()["file"]["series"]["count"], json!(2));
    let path = server.path();
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    for route in ["/api/overview", "/api/changes"] {
        let gone = server.get(route);
        assert!(gone.status >= 400 && gone.text().contains("run.db"), "{}", gone.text());
    }
    siltstone::open(&path).unwrap().close().unwrap();
    assert_eq!(server.get("/api/overview").json()["file"]["series"]["count"], json!(0));
    std::fs::write(&path, "no database").unwrap();
    let foreign = server.get("/api/overview");
    assert!(foreign.status >= 400 && foreign.text().contains("run.db"), "{}", foreign.text());
}

/// Goal: runs are those for which a filter holds, and a metric has the extremes of all its steps.
#[test]
fn runs_are_filtered_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = ExperimentDatabase::open(folder.path().join("run.db"), "sweep").unwrap();
    for rate in 0..3 {
        let options = SimulationOptions::default().parameters(&json!({ "rate": rate })).unwrap();
        let context =
            experiments.create_simulation_context(&format!("run_{rate}"), options).unwrap();
        for step in 0..5_000 {
            let value = if step == 3_333 { 1e6 } else { f64::from(step * rate) };
            context.log_metric("loss", value, Some(step.into())).unwrap();
        }
        context.complete().unwrap();
    }
    experiments.close().unwrap();
    let server = serve(folder, "run.db", &[]);
    assert_eq!(server.get("/api/runs").json()["runs"].as_array().unwrap().len(), 3);
    let found = server.get("/api/runs?where=params.rate%20%3E%200").json();
    assert_eq!(found["runs"].as_array().unwrap().len(), 2);
    assert_eq!(found["runs"][0]["parameters"], json!({ "rate": 1 }));
    // A list of many runs is small without its provenance; the rest is the same.
    let brief = server.get("/api/runs?where=params.rate%20%3E%200&brief=true").json();
    let mut whole = found["runs"].clone();
    for run in whole.as_array_mut().unwrap() {
        let provenance = run.as_object_mut().unwrap().remove("provenance");
        assert!(provenance.is_some_and(|one| one["host"].is_string()), "{run}");
    }
    assert_eq!(brief["runs"], whole);
    // A page shows the first ones while it waits for the others.
    let first = server.get("/api/runs?where=params.rate%20%3E%200&brief=true&first=1").json();
    assert_eq!(first, json!({ "count": 2, "runs": [whole[0]] }));
    let wrong = server.get("/api/runs?where=params.rat%20%3E%200");
    assert!(wrong.status == 400 && wrong.text().contains("params.rate"), "{}", wrong.text());
    assert_eq!(server.get("/api/runs/metrics?id=run_1").json()["metrics"], json!(["loss"]));
    let drawn = server.get("/api/runs/metric?id=run_1&metric=loss&width=50").json();
    let shown = rows(&drawn);
    assert!(shown.len() <= 6 * 51 && shown.contains(&(3_333, Some(1e6))), "{drawn}");
    assert_eq!(drawn["points"], json!(5_000));
    let near = "/api/runs/metric?id=run_1&metric=loss&width=50&from=100&until=103";
    assert_eq!(server.get(near).json()["points"], json!(3));
    let edges = rows(&server.get(&format!("{near}&edges=true")).json());
    assert_eq!(edges.iter().map(|row| row.0).collect::<Vec<_>>(), [99, 100, 101, 102, 103]);
    assert_eq!(server.get("/api/runs/metric?id=run_9&metric=loss").status, 404);
}

/// Goal: bars and quotes of a window count each tick once.
#[test]
fn ticks_are_bars_and_quotes() {
    const N: i64 = 20_000;
    const STEP: i64 = 250_000_000;
    let start: i64 = 1_709_510_400 * 1_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let ticks = folder.path().join("ticks");
    let config = TickStoreConfig {
        sqlite_base_path: ticks,
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production("test")
    };
    let store = TickStore::new(config.clone()).unwrap();
    for i in 0..N {
        let bid = 1.0 + (i % 100) as f64 * 1e-5 + if i == 7_777 { 1.0 } else { 0.0 };
        let _ = store.store_tick("EURUSD", bid, bid + 1e-5, 1e-5, "lp", start + i * STEP).unwrap();
    }
    store.stop().unwrap();
    let server = serve(folder, "ticks", &[]);
    assert_eq!(server.get("/api/overview").json()["ticks"]["ticks"], json!(N));

    let bars = server.get("/api/ticks/bars?symbol=EURUSD&width=700").json();
    let column =
        |name: &str| bars["columns"].as_array().unwrap().iter().position(|c| c == name).unwrap();
    let bar_rows = bars["rows"].as_array().unwrap();
    let volume: i64 = bar_rows.iter().map(|row| row[column("volume")].as_i64().unwrap()).sum();
    assert_eq!((volume, &bars["points"]), (N, &json!(N)));
    assert!((50..=101).contains(&bar_rows.len()), "{} bars", bar_rows.len());
    let high = bar_rows.iter().filter_map(|row| row[column("high")].as_f64()).fold(0.0, f64::max);
    assert!(high > 2.0, "{high}");

    let quotes = server.get("/api/ticks/quotes?symbol=EURUSD&width=100").json();
    assert_eq!(quotes["points"], json!(N));
    let bids = quotes["rows"].as_array().unwrap().iter().filter_map(|row| row[1].as_f64());
    assert!(bids.fold(0.0, f64::max) > 2.0, "the spike of one tick is lost");
    let (from, until) = (start + 10 * STEP, start + 13 * STEP);
    let near = format!("/api/ticks/quotes?symbol=EURUSD&width=100&from={from}&until={until}");
    assert_eq!(server.get(&near).json()["rows"].as_array().unwrap().len(), 3);
    let bars = server.get(&near.replace("quotes", "bars").replace("width=100", "width=7")).json();
    assert_eq!((&bars["points"], bars["rows"].as_array().unwrap().len()), (&json!(3), 2), "{bars}");
    let every = server.get(&near.replace("&width=100", "")).json();
    assert_eq!((every.get("points"), every["rows"].as_array().unwrap().len()), (None, 3));
    assert_eq!(
        server.get(&format!("{near}&edges=true")).json()["rows"].as_array().unwrap().len(),
        5
    );
    assert_eq!(server.get("/api/ticks/bars?symbol=NONE").status, 404);
    assert_eq!(server.get("/api/series").status, 400);
    let count = "SELECT count(*) FROM ticks WHERE symbol = 'EURUSD'";
    assert_eq!(sql(&server, count).1["rows"], json!([[N]]));

    // What was asked above wrote nothing: an idle folder stays as it is.
    std::thread::sleep(Duration::from_millis(120)); // longer than a file's time is in doubt
    let before = server.get("/api/changes").json()["version"].clone();
    for _ in 0..3 {
        server.get("/api/overview");
        assert_eq!(server.get("/api/changes").json()["version"], before);
    }

    // Another process goes on.
    let store = TickStore::new(config).unwrap();
    let _ = store.store_tick("EURUSD", 1.0, 1.1, 0.1, "lp", start + N * STEP).unwrap();
    let _ = store.store_tick("NEW", 1.0, 1.1, 0.1, "lp", start + N * STEP).unwrap();
    store.flush().unwrap();
    assert_ne!(server.get("/api/changes").json()["version"], before);
    assert_eq!(
        server.get("/api/ticks/quotes?symbol=EURUSD&width=9").json()["points"],
        json!(N + 1)
    );
    assert_eq!(server.get("/api/overview").json()["ticks"]["symbols"], json!(["EURUSD", "NEW"]));
    store.stop().unwrap();
}
