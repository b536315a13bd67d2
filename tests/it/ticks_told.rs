//! Files of ticks that can be read in two ways, which an option decides.

use siltstone::ticks::{QuoteOptions, ShownTwice};

use crate::ticks_files::{World, ns, of};

/// Goal: prices with decimal commas are read if told, and a line says how else; a time that clocks show twice is the one that is
/// told, and else skipped with the option that decides it.
#[test]
fn a_comma_and_a_second_hour_are_read_if_told() {
    let world = World::new();
    let text = "t;b;a\n2024-10-27 02:30:00;1,25;1,5\n2024-10-27 12:00:00;1,5;2\n2024-10-27 12:00:01;1.5;2\n";
    let path = world.file("c.csv", text);
    let told = QuoteOptions { time_zone: Some("Europe/Berlin".into()), ..of("time=t,bid=b,ask=a") };
    let plain = world.import(&path, told.clone());
    assert_eq!((plain.ticks_migrated, plain.ticks_bad), (1, 2));
    let why = plain.skipped[0].to_string();
    assert!(why.contains("got \"1,5\" (--decimal , reads it)"), "{why}");
    let commas = QuoteOptions { decimal: Some(','), ..told };
    let report = world.import(&path, commas.clone());
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 2));
    let why = report.skipped[0].to_string();
    assert!(why.contains("(of two, --ambiguous says which)"), "{why}");
    assert!(
        why.contains("a number without a point (its decimal mark is a comma), got \"1.5\""),
        "{why}"
    );
    for (ambiguous, hour) in [(ShownTwice::Earliest, "00"), (ShownTwice::Latest, "01")] {
        let world = World::new();
        let path = world.file("c.csv", text);
        world.import(&path, QuoteOptions { ambiguous, ..commas.clone() });
        let ticks = world.read("X");
        assert_eq!(ticks.time_ns[0], ns(&format!("2024-10-27T{hour}:30:00Z")));
        assert_eq!((ticks.bid, ticks.ask), (vec![1.25, 1.5], vec![1.5, 2.0]));
    }
    let wrong = world.try_import(&[path], QuoteOptions { decimal: Some(';'), ..commas });
    assert!(wrong.unwrap_err().to_string().contains("(--decimal)"));
}
