//! Columns of text in tables of states: when they are numbers, and what is said of those that are none.

use siltstone::simulation::{FileFormat, FileOptions, Layout, Missing, StatesOptions};

use crate::simulation_files::{World, long, states};

fn of(marks: (Option<char>, Option<char>)) -> FileOptions {
    let (decimal, thousands) = marks;
    let missing = Some(Missing::Keep);
    let states =
        StatesOptions { decimal, thousands, missing, ..states(Layout::Long("car".into())) };
    let (format, time_unit) = (FileFormat::States(states), Some(0.5));
    FileOptions { format, time_unit, dataset: "traffic".into(), ..FileOptions::epanet() }
}

/// Goal: numbers that may have other marks are no texts in silence, also beside a text: the marks are asked for.
#[test]
fn marks_of_numbers_are_asked_for() {
    let world = World::new();
    let head = "t;car;speed\n";
    for rows in
        ["0;a;1,5\n0;b;2\n", "0;a;2\n0;b;1.234,5\n", "0;a;1,5\n0;b;n/a\n", "0;a;1,234.5\n0;b;2\n"]
    {
        let refused = world.refusal("asked.csv", format!("{head}{rows}"), &of((None, None)));
        let expected = "the marks of its numbers (--decimal , or --thousands ,), or --decimal . if they are texts";
        assert!(refused.contains(expected), "{refused}");
        assert!(refused.contains(" for speed in line "), "{refused}");
    }
    let refused =
        world.refusal("b.csv", format!("{head}0;a;1,5\n0;b;1.234,5\n"), &of((Some(','), None)));
    assert!(refused.contains(
        "between the thousands of its numbers (--thousands), got \"1.234,5\" for speed in line 3"
    ));
    for (marks, why) in [
        ((Some('x'), None), "the decimal mark: expected . or ,"),
        ((None, Some('.')), "between thousands"),
    ] {
        assert!(world.refusal("c.csv", "t;car;speed\n0;a;1\n", &of(marks)).contains(why));
    }
    let times = "t;car;speed\n0;a;1\n0,5;a;2\n";
    let refused = world.refusal("d.csv", times, &of((None, None)));
    assert!(refused.contains("times: expected the marks of its numbers (--decimal ,"), "{refused}");
    // Versions are no numbers with points between thousands.
    let versions = World::new();
    versions
        .import(&versions.file("v.csv", "t;car;v\n0,0;a;1.5\n0,5;a;2.0\n"), &of((Some(','), None)));
    assert_eq!(versions.texts("cars", "v", 1), [Some("2.0".to_owned())]);
    // A mark that is told separates nothing.
    let world = World::new();
    let header = "t;speed,1;speed,2\n0;1,5;2\n";
    let wide = StatesOptions { decimal: Some(','), ..states(Layout::Wide("speed".into())) };
    let wide = FileOptions { format: FileFormat::States(wide), ..of((None, None)) };
    world.import(&world.file("wide.csv", header), &wide);
    assert_eq!(world.floats("cars", "speed", 0), [Some(1.5), Some(2.0)]);
    let world = World::new();
    // Texts, if that is what they are.
    world.import(
        &world.file("texts.csv", format!("{head}0;a;1,5\n0;b;2\n")),
        &of((Some('.'), None)),
    );
    assert_eq!(world.texts("cars", "speed", 0), ["1,5", "2"].map(|text| Some(text.to_owned())));
}

/// Goal: numbers and times are read by the marks that are told, texts stay as they are, and no row is lost for a column of texts.
#[test]
fn numbers_are_read_by_the_marks_that_are_told() {
    let world = World::new();
    let text = "t;car;speed;note;laps\n0,0;1.0;1,5;1,2;1.234\n0,0;b;2;1,2,3;7\n0,5;1.0;-1.234,25;1.5;8\n0,5;b;,25;31.12.2024;-1.000.000\n";
    let report = world.import(&world.file("cars.csv", text), &of((Some(','), Some('.'))));
    let said = "speed (<f8), note (text), laps (<i8)";
    assert!(report.taken_for.starts_with("text with ';' between fields and decimal commas: "));
    assert!(report.taken_for.ends_with(said), "{}", report.taken_for);
    let named = |names: [&str; 2]| names.map(|name| Some(name.to_owned()));
    assert_eq!(world.texts("cars", "car", 1), named(["1.0", "b"]));
    assert_eq!(world.texts("cars", "note", 0), named(["1,2", "1,2,3"]));
    assert_eq!(world.texts("cars", "note", 1), named(["1.5", "31.12.2024"]));
    assert_eq!(world.floats("cars", "speed", 1), [Some(-1234.25), Some(0.25)]);
    assert_eq!(world.state("cars", 0).values::<i64>("laps").unwrap(), [1234, 7]);
    assert_eq!(world.state("cars", 1).values::<i64>("laps").unwrap(), [8, -1_000_000]);
    // A wide table has them too.
    let world = World::new();
    let wide = StatesOptions { decimal: Some(','), ..states(Layout::Wide("speed".into())) };
    let wide = FileOptions { format: FileFormat::States(wide), ..of((None, None)) };
    world.import(&world.file("wide.csv", "t;a;b\n0,0;1,5;2\n0,5;2,5;3\n"), &wide);
    assert_eq!(world.floats("cars", "speed", 1), [Some(2.5), Some(3.0)]);
}

/// Goal: once a column has numbers, a text in it is a row that is skipped and named; once it has texts, numbers are texts.
#[test]
fn a_column_stays_what_it_was() {
    let world = World::new();
    let (first, more) = ("t,car,speed,note\n0,a,1.5,x\n0,b,2,y\n", "1,a,n/a,7\n1,b,3,8\n");
    let path = world.file("cars.csv", first);
    world.import(&path, &long(Some(Missing::Keep)));
    std::fs::write(&path, format!("{first}{more}")).unwrap();
    let report = world.try_import(&path, &long(Some(Missing::Keep))).unwrap();
    assert_eq!((report.updates, report.unchanged, report.rows_skipped), (1, 1, 1));
    let why = report.skipped[0].to_string();
    assert!(why.contains("row 4: \"n/a\" among values of another type"), "{why}");
    assert!(why.contains("; an entity without a row at a time keeps what it had"), "{why}");
    assert_eq!(world.floats("cars", "speed", 1), [Some(1.5), Some(3.0)]);
    assert_eq!(world.texts("cars", "note", 1)[1].as_deref(), Some("8"));
    assert!(report.taken_for.ends_with("speed (<f8), note (text)"), "{}", report.taken_for);
    // Integers that get decimals and a text.
    let world = World::new();
    let path = world.file("cars.csv", "t,car,speed\n0,a,1\n0,b,2\n");
    world.import(&path, &long(Some(Missing::Keep)));
    std::fs::write(&path, "t,car,speed\n0,a,1\n0,b,2\n1,a,3.5\n1,b,n/a\n").unwrap();
    let report = world.try_import(&path, &long(Some(Missing::Keep))).unwrap();
    assert_eq!((report.updates, report.rows_skipped), (1, 1), "{:?}", report.skipped);
    assert_eq!(world.floats("cars", "speed", 1), [Some(3.5), Some(2.0)]);
}

/// Goal: a column of numbers that a text makes one of texts is said to be so, with the text and its line; one of texts is not.
#[test]
fn a_text_among_numbers_is_named() {
    let world = World::new();
    let text = "t,car,speed,plate\n0,a,1.5,X1\n0,b,n/a,12\n1,a,2,Y2\n1,b,3,Z\n";
    let report = world.import(&world.file("cars.csv", text), &long(None));
    let said = "speed (text, for \"n/a\" in line 3 is no number), plate (text)";
    assert!(report.taken_for.ends_with(said), "{}", report.taken_for);
    assert_eq!(world.texts("cars", "speed", 0), ["1.5", "n/a"].map(|text| Some(text.to_owned())));
}
