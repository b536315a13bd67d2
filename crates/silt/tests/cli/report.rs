//! `silt report`: one page without a server.

use std::path::{Path, PathBuf};

use serde_json::json;
use siltstone::experiment::{ExperimentDatabase, SimulationOptions};
use siltstone::series::{Series, StorageBackend};
use siltstone::ticks::{QueueFull, TickStore, TickStoreConfig};

use crate::silt::{names, silt, silt_with};

/// A name that a page must not take for markup.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'</script>";

/// A file with two series and three simulations, of which some have hostile names.
fn plant(folder: &Path) -> PathBuf {
    let path = folder.join("plant.db");
    let db = siltstone::open(&path).unwrap();
    let times: Vec<i64> =
        (0..50_000).map(|i| 1_709_510_400_000_000_000 + i * 10_000_000_000).collect();
    let mut values: Vec<f64> = (0..50_000).map(|i| f64::from(i % 1_000)).collect();
    values[20_000..21_000].fill(f64::NAN);
    values[33_333] = 7_777.0;
    let flow = Series::from_times_ns(&times, &values).unwrap();
    let store = db.series().unwrap();
    store.save("flow", &flow, &Default::default()).unwrap();
    let small = Series::from_times_ns(&[0, 10, 20], &[1.0, f64::INFINITY, 3.0]).unwrap();
    store.save(HOSTILE, &small, &Default::default()).unwrap();
    db.close().unwrap();
    let experiments = ExperimentDatabase::open(&path, HOSTILE).unwrap();
    for (i, id) in ["run_0", "run_1", HOSTILE].iter().enumerate() {
        let parameters = json!({ "rate": i, HOSTILE: HOSTILE });
        let options = SimulationOptions::default().parameters(&parameters).unwrap();
        let context = experiments.create_simulation_context(id, options).unwrap();
        for step in 0..100 {
            context.log_metric(HOSTILE, (step * i as i64) as f64, Some(step)).unwrap();
        }
        context.complete().unwrap();
    }
    experiments.close().unwrap();
    path
}

/// Every tag of a page, without its attributes.
fn tags(html: &str) -> Vec<&str> {
    let begins = html.split('<').skip(1);
    begins
        .map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!').next().unwrap()
        })
        .collect()
}

/// Goal: one file that runs nothing and loads nothing, in light and dark, with what the file has; and names stay text.
#[test]
fn a_report_is_one_page_of_text_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let ran = silt(folder.path(), "report plant.db -o report.html");
    assert!(ran.out.contains("report.html: 3 pictures in "), "{ran:?}");
    ran.ok();
    let html = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    for tag in tags(&html) {
        let known = [
            "!doctype", "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p",
            "small", "section", "dl", "dt", "dd", "div", "table", "thead", "tbody", "tr", "th",
            "td", "bdi", "svg", "path", "text", "ul", "li", "i", "code", "footer",
        ];
        assert!(known.contains(&tag.trim_start_matches('/')), "the tag {tag:?} came from a name");
    }
    for outside in ["http:", "https:", "//", "url(", "@import", " src=", " href=", "javascript:"] {
        let within = html.replace("&lt;img src=x", "");
        assert!(!within.contains(outside), "{outside}");
    }
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&lt;/script&gt;"));
    assert!(html.contains("light-dark(") && html.contains("default-src 'none'"));
    assert!(
        html.contains("50,000")
            && html.contains("points, min and max kept")
            && html.contains("7777")
    );
    // The gap is one: its curve begins again behind it, and its points are on the ground.
    let flow = html.split("<h2><bdi>flow</bdi>").nth(1).unwrap();
    let path = flow.split("class=\"line c1\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(path.matches('M').count(), 2, "{path}");
    assert!(flow.split("</section>").next().unwrap().contains("class=\"missing c1\""));
    // All three simulations are in one picture.
    assert!(html.contains("line c3"));
    assert!(html.len() < 300_000, "{} bytes", html.len());
}

/// Goal: the parts that were asked for and no others, and a part that is none is named.
#[test]
fn parts_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let ran =
        silt(folder.path(), "report plant.db -o one.html --include series=flow,run=run_0 --json");
    assert_eq!(ran.json()["pictures"], json!(2), "{ran:?}");
    let html = std::fs::read_to_string(folder.path().join("one.html")).unwrap();
    assert!(html.contains("run_0") && !html.contains("run_1") && !html.contains("Overview"));
    for (parts, word) in [
        ("series=nothing", "nothing"),
        ("run=run_9", "run_9"),
        ("ticks=EURUSD", "folder of ticks"),
        ("pictures", "expected overview, series=KEY"),
        ("overview,serie=flow", "overview,serie=flow"),
        ("run=1,run=2,run=3,run=4,run=5,run=6,run=7,run=8", "at most 7"),
    ] {
        let ran = silt_with(folder.path(), "report plant.db -o none.html --include", parts);
        assert_eq!(ran.code, 2, "{parts}: {ran:?}");
        assert!(ran.err.contains(word), "{parts}: {}", ran.err);
        assert!(!folder.path().join("none.html").exists(), "{parts}");
    }
}

/// Goal: a file that is there stays unless the user says so, and what is read is never written.
#[test]
fn nothing_is_overwritten_without_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let path = plant(folder.path());
    std::fs::write(folder.path().join("report.html"), "mine").unwrap();
    let refused = silt(folder.path(), "report plant.db -o report.html");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--overwrite"), "{}", refused.err);
    assert_eq!(std::fs::read_to_string(folder.path().join("report.html")).unwrap(), "mine");
    silt(folder.path(), "report plant.db -o report.html --overwrite").ok();
    assert!(std::fs::metadata(folder.path().join("report.html")).unwrap().len() > 1_000);
    let before = std::fs::read(&path).unwrap();
    let refused = silt(folder.path(), "report plant.db -o ./plant.db --overwrite");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let broken = silt(folder.path(), "report plant.db -o missing/report.html");
    assert_eq!(broken.code, 2, "{broken:?}");
    assert_eq!(names(folder.path()), ["plant.db", "report.html"]);
}

/// Goal: a folder of ticks has its symbols as candles that count every tick.
#[test]
fn a_folder_of_ticks_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let config = TickStoreConfig {
        sqlite_base_path: folder.path().join("ticks"),
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production("test")
    };
    let store = TickStore::new(config).unwrap();
    for i in 0..5_000 {
        let time = 1_709_510_400_000_000_000 + i * 1_000_000_000;
        for symbol in ["EURUSD", "A&B"] {
            let _ = store.store_tick(symbol, 1.0 + (i % 7) as f64, 9.0, 1.0, "lp", time).unwrap();
        }
    }
    store.stop().unwrap();
    silt(folder.path(), "report ticks -o ticks.html").ok();
    let html = std::fs::read_to_string(folder.path().join("ticks.html")).unwrap();
    assert!(html.contains("A&amp;B") && html.contains("10,000") && html.contains("class=\"rose\""));
    assert!(html.contains("<dt>Ticks</dt><dd>5,000</dd>"), "{html}");
    let empty = folder.path().join("empty.db");
    siltstone::open(&empty).unwrap().close().unwrap();
    silt(folder.path(), "report empty.db -o empty.html").ok();
    let html = std::fs::read_to_string(folder.path().join("empty.html")).unwrap();
    assert!(html.contains("No store has data"), "{html}");
}
