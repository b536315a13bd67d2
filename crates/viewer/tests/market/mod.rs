//! Routes of the page Market.

use serde_json::json;
use siltstone::ticks::{QueueFull, TickStore, TickStoreConfig};

use super::server::serve;

/// A symbol has no `<`, and may look like the text of one.
const HOSTILE_SYMBOL: &str = "A&lt/#&gt=1";

/// Goal: times without a tick are those of the library's search, and quotes that cannot be are counted by what is odd.
#[test]
fn gaps_and_odd_ticks_are_found() {
    const SECOND: i64 = 1_000_000_000;
    let start: i64 = 1_709_510_400 * SECOND;
    let folder = tempfile::tempdir().unwrap();
    let config = TickStoreConfig {
        sqlite_base_path: folder.path().join("ticks"),
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production("test")
    };
    let store = TickStore::new(config).unwrap();
    for i in (0..1_000).chain(2_000..3_000) {
        let (bid, ask) = match i {
            500 => (2.0, 1.9),         // crossed, its spread negative
            501 | 2_500 => (2.0, 2.0), // locked
            _ => (2.0, 2.1),
        };
        let _ = store
            .store_tick(HOSTILE_SYMBOL, bid, ask, ask - bid, "lp", start + i * SECOND)
            .unwrap();
    }
    store.stop().unwrap();
    let server = serve(folder, "ticks", &[]);
    let symbol = HOSTILE_SYMBOL.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let ask = |route: &str| server.get(&format!("/api/ticks/{route}&symbol={symbol}")).json();
    let found = ask("gaps?width=300");
    assert_eq!(found["rows"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["rows"][0][2], json!(1_001 * SECOND));
    // Of a picture in which it would be no three pixels wide it is none.
    assert_eq!(ask("gaps?width=3")["rows"], json!([]));
    assert_eq!(ask("gaps?min=999999999")["rows"].as_array().unwrap().len(), 1_999);
    // A gap that begins, ends, or does both beyond the window.
    for (from, until) in [(0, 1_000), (1_000, 1_500), (1_200, 1_800), (1_500, 2_500)] {
        let (from, until) = (start + from * SECOND, start + until * SECOND);
        let found = ask(&format!("gaps?width=300&from={from}&until={until}"));
        assert_eq!(found["rows"].as_array().unwrap().len(), 1, "{from} {until}: {found}");
        assert_eq!(found["rows"][0][2], json!(1_001 * SECOND));
    }
    let until = start + 999 * SECOND;
    assert_eq!(ask(&format!("gaps?width=300&until={until}"))["rows"], json!([]));
    let found = ask("flags?width=300");
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &found["odd"], &found["points"]),
        (2, &json!(3), &json!(2_000)),
        "{found}"
    );
    assert_eq!((&rows[0][1], &rows[0][2]), (&json!(0b1_1100), &json!(2)));
    let counts: Vec<(i64, i64)> = found["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| (count["bit"].as_i64().unwrap(), count["ticks"].as_i64().unwrap()))
        .collect();
    assert_eq!(counts, [(2, 1), (3, 2), (4, 1)]);
    assert_eq!(ask("flags?")["rows"].as_array().unwrap().len(), 3);
}
