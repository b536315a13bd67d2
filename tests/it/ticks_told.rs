//! Files of ticks that can be read in two ways, which an option decides.

use siltstone::ticks::{QuoteOptions, ShownTwice};

use crate::ticks_files::{World, ns, of};

/// Goal: prices with decimal commas are read if told, and a line says how else; a time that clocks show twice is the one that is
/// told, and else skipped with the option that decides it.
#[test]
fn a_comma_and_a_second_hour_are_read_if_told() {
    let world = World::new();
    let text = "t;b;a\n2024-10-27 02:30:00;1,25;1,5\n2024-10-27 12:00:00;1,5;2\n2024-10-27 12:00:01;1.234,5;2.000\n2024-03-31 02:30:00;1,5;2\n";
    let path = world.file("c.csv", text);
    let told = QuoteOptions { time_zone: Some("Europe/Berlin".into()), ..of("time=t,bid=b,ask=a") };
    let plain = world.import(&world.file("plain.csv", text), told.clone());
    assert_eq!((plain.ticks_migrated, plain.ticks_bad), (0, 4));
    let why = plain.skipped[0].to_string();
    assert!(why.contains("got \"1,25\" (--decimal and --thousands say its marks)"), "{why}");
    let commas = QuoteOptions { decimal: Some(','), ..told };
    let report = world.import(&path, commas.clone());
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 3));
    let why = report.skipped[0].to_string();
    assert!(why.contains("show once (--ambiguous says which of two)"), "{why}");
    assert!(why.contains("got \"1.234,5\" (--decimal and --thousands say its marks)"), "{why}");
    assert!(why.contains("show (they skip this hour)"), "{why}");
    for (ambiguous, hour) in [(ShownTwice::Earliest, "00"), (ShownTwice::Latest, "01")] {
        let world = World::new();
        let path = world.file("c.csv", text);
        let german = QuoteOptions { ambiguous, thousands: Some('.'), ..commas.clone() };
        assert_eq!(world.import(&path, german).ticks_bad, 1, "the hour that is skipped");
        let ticks = world.read("X");
        assert_eq!(ticks.time_ns[0], ns(&format!("2024-10-27T{hour}:30:00Z")));
        assert_eq!((ticks.bid, ticks.ask), (vec![1.25, 1.5, 1234.5], vec![1.5, 2.0, 2000.0]));
    }
    let wrong = world.try_import(&[path], QuoteOptions { decimal: Some(';'), ..commas });
    assert!(wrong.unwrap_err().to_string().contains("the decimal mark: expected . or ,"));
}
