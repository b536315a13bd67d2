//! SUMO's floating car data, into a database.

use std::io::Write;

use siltstone::simulation::FileOptions;

use crate::simulation_files::World;

const FCD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>

<!-- generated on 2024-01-01 by Eclipse SUMO sumo Version 1.20.0
<configuration/>
-->

<fcd-export xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <timestep time="0.00">
        <vehicle id="0" x="5.10" y="-1.60" angle="90.00" type="1" speed="0.00" pos="5.10" lane="e1_0" slope="0.00"/>
        <person id="p&lt;&#233;" x="1" y="2" angle="0.00" speed="1.20" pos="3.00" edge="7" slope="0.00"/>
    </timestep>
    <timestep time="0.10">
        <vehicle id="0" x="6.70" y="-1.60" angle="90.00" type="1" speed="1.60" pos="6.70" lane="e1_0" slope="0.00"></vehicle>
        <vehicle id="../veh&amp;1" x="0.50" y="4" angle="0.00" type="bus" speed="0.30" pos="0.50" lane="e2_1" slope="0.00" z="3.5"/>
    </timestep>
    <timestep time="0.20">
        <vehicle id="../veh&amp;1" x="0.90" y="4" angle="0.00" type="bus" speed="0.40" pos="0.90" lane="e2_1" slope="0.00" z="3.5"/>
    </timestep>
    <timestep time="0.30"/>
</fcd-export>
"#;

/// Goal: every value of SUMO's XML comes back; names are numbered and kept, and who leaves is undefined from then on.
#[test]
fn fcd_output_is_read() {
    let world = World::new();
    let path = world.file("fcd.xml", FCD);
    let report = world.import(&path, &FileOptions::sumo());
    assert_eq!((report.rows, report.updates), (5, 4));
    assert!(
        report.taken_for.starts_with(
            "fcd output of SUMO, XML: 5 rows, 4 timestamps 0 to 300 in units of 0.001"
        )
    );
    assert_eq!(world.db.timestamps("traffic").unwrap(), [0, 100, 200, 300]);
    assert_eq!(world.floats("vehicles", "x", 0), [Some(5.1), None]);
    assert_eq!(world.floats("vehicles", "x", 100), [Some(6.7), Some(0.5)]);
    assert_eq!(world.floats("vehicles", "x", 200), [None, Some(0.9)]);
    assert_eq!(world.floats("vehicles", "z", 200), [None, Some(3.5)]);
    assert_eq!(world.floats("vehicles", "y", 100), [Some(-1.6), Some(4.0)]);
    assert_eq!(world.floats("vehicles", "speed", 300), [None, None]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(world.texts("vehicles", "name", 300), [text("0"), text("../veh&1")]);
    assert_eq!(world.texts("vehicles", "type", 100), [text("1"), text("bus")]);
    assert_eq!(world.texts("vehicles", "lane", 200), [None, text("e2_1")]);
    assert_eq!(world.texts("persons", "name", 0), [text("p<é")]);
    assert_eq!(world.texts("persons", "edge", 0), [text("7")]);
    assert_eq!(world.floats("persons", "x", 100), [None]);
    assert_eq!(world.import(&path, &FileOptions::sumo()).unchanged, 4);
    assert!(world.db.database().verify().unwrap().is_ok());
}

/// Goal: times as SUMO writes them for people are the seconds that they are, in XML and tables; others are named.
#[test]
fn human_readable_times_of_sumo_are_seconds() {
    let world = World::new();
    let step = |time: &str| {
        format!("<timestep time=\"{time}\"><vehicle id=\"a\" x=\"1\" y=\"2\"/></timestep>")
    };
    let times = ["00:00:00", "00:01:05.50", "23:59:59", "1:00:00:00", "12:02:03:04.25"];
    let xml = format!("<fcd-export>{}</fcd-export>", times.map(step).concat());
    world.import(&world.file("fcd.xml", &xml), &FileOptions::sumo());
    let seconds = [0, 65_500, 86_399_000, 86_400_000, 1_044_184_250];
    assert_eq!(world.db.timestamps("traffic").unwrap(), seconds);
    let rows = times.map(|time| format!("{time};a;1;2\n")).concat();
    let table = format!("timestep_time;vehicle_id;vehicle_x;vehicle_y\n{rows}");
    assert_eq!(world.import(&world.file("fcd.csv", &table), &FileOptions::sumo()).unchanged, 5);
    for time in [
        "24:00:00",
        "00:60:00",
        "00:00:60",
        "1:2",
        "a:00:00:00",
        "1:1:00:00:00",
        "00:00:-1",
        ":00:00",
    ] {
        let text = format!("<fcd-export>{}</fcd-export>", step(time));
        let refusal = World::new().refusal("bad.xml", &text, &FileOptions::sumo());
        assert!(refusal.contains(&format!("time: expected a number, got {time:?}")), "{refusal}");
    }
}

/// Goal: a column twice is refused, and not one of them taken.
#[test]
fn a_column_twice_in_a_table_of_sumo_is_refused() {
    let table = "timestep_time;vehicle_id;vehicle_x;vehicle_x\n0;a;1;2\n";
    let refusal = World::new().refusal("fcd.csv", table, &FileOptions::sumo());
    assert!(
        refusal.contains("expected each column once, got \"x\" of a vehicle twice"),
        "{refusal}"
    );
}

/// Goal: the table of xml2csv gives what the XML gives.
#[test]
fn the_table_of_xml2csv_is_the_xml() {
    let (xml, csv) = (World::new(), World::new());
    xml.import(&xml.file("fcd.xml", FCD), &FileOptions::sumo());
    let table = "timestep_time;person_angle;person_edge;person_id;person_pos;person_slope;person_speed;person_x;person_y;\
        vehicle_angle;vehicle_id;vehicle_lane;vehicle_pos;vehicle_slope;vehicle_speed;vehicle_type;vehicle_x;vehicle_y;vehicle_z\n\
        0.00;;;;;;;;;90.00;0;e1_0;5.10;0.00;0.00;1;5.10;-1.60;\n\
        0.00;0.00;7;p<é;3.00;0.00;1.20;1;2;;;;;;;;;;\n\
        0.10;;;;;;;;;90.00;0;e1_0;6.70;0.00;1.60;1;6.70;-1.60;\n\
        0.10;;;;;;;;;0.00;../veh&1;e2_1;0.50;0.00;0.30;bus;0.50;4;3.5\n\
        0.20;;;;;;;;;0.00;../veh&1;e2_1;0.90;0.00;0.40;bus;0.90;4;3.5\n\
        0.30;;;;;;;;;;;;;;;;;;\n";
    let report = csv.import(&csv.file("fcd.csv", table), &FileOptions::sumo());
    assert_eq!((report.rows, report.updates), (5, 4));
    // A last line without an end may be cut: it and its timestep are left out.
    let fourth = table.find("\n0.20;").unwrap() + 1;
    for (end, updates) in [(table.len() - 1, 3), (fourth + 40, 2), (fourth + 2, 1)] {
        let cut = World::new();
        let path = cut.file("fcd.csv", &table[..end]);
        let report = cut.try_import(&path, &FileOptions::sumo()).unwrap();
        assert_eq!((report.updates, report.ends_early), (updates, true), "{report:?}");
    }
    let cut = World::new();
    let options = FileOptions { finished: true, ..FileOptions::sumo() };
    assert_eq!(cut.import(&cut.file("fcd.csv", &table[..table.len() - 1]), &options).updates, 4);
    for group in ["vehicles", "persons"] {
        for time in [0, 100, 200, 300] {
            let (mut one, mut other) = (xml.state(group, time), csv.state(group, time));
            one.columns.sort_by(|a, b| a.name.cmp(&b.name));
            other.columns.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(one, other, "{group} at {time}");
        }
    }
}

/// Goal: of a file that is still written, cut anywhere, packed or not, the whole timesteps are stored and that is said; the same
/// call goes on, and at the end all is as if it had been imported at once.
#[test]
fn fcd_output_that_is_still_written_is_followed() {
    let (world, whole) = (World::new(), World::new());
    whole.import(&whole.file("fcd.xml", FCD), &FileOptions::sumo());
    let begin = FCD.find("<timestep").unwrap();
    for end in (begin + 600..FCD.len() - 14).step_by(11) {
        let path = world.file("fcd.xml", FCD.get(..end).unwrap_or(&FCD[..begin + 600]));
        let report = world.try_import(&path, &FileOptions::sumo()).unwrap();
        assert!(report.ends_early && report.conflicts.is_empty(), "{report:?}");
        let steps =
            FCD[..end].matches("</timestep>").count() + FCD[..end].matches("0.30\"/>").count();
        assert_eq!(report.updates + report.unchanged, steps as u64, "after {end} bytes");
    }
    world.import(&world.file("fcd.xml", FCD), &FileOptions::sumo());
    for time in [0, 100, 200, 300] {
        assert_eq!(world.state("vehicles", time), whole.state("vehicles", time));
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(FCD.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = world.file("fcd.xml.gz", &gzip[..gzip.len() - 9]);
    assert!(world.try_import(&cut, &FileOptions::sumo()).unwrap().ends_early);
    assert_eq!(world.import(&world.file("fcd.xml.gz", gzip), &FileOptions::sumo()).unchanged, 4);
}

/// Goal: XML that is none of SUMO, is malformed, or would take all memory is refused before anything is stored.
#[test]
fn hostile_xml_is_refused() {
    let world = World::new();
    let inside =
        |text: &str| format!("<fcd-export><timestep time=\"0\">{text}</timestep></fcd-export>");
    let vehicle = r#"<vehicle id="a" x="1"/>"#;
    let many: String = (0..300).map(|n| format!(" a{n}=\"1\"")).collect();
    for (text, expected) in [
        ("<netstate/>".to_owned(), "(<fcd-export>), got <netstate>"),
        (
            inside(&(vehicle.to_owned() + &"<a>".repeat(100_000))),
            "at most 8 elements in each other",
        ),
        (format!("<!DOCTYPE a [<!ENTITY b \"cc\">]>{}", inside(vehicle)), "a document type"),
        (inside("<vehicle id=\"a\" x=\"&b;\"/>"), "rows that can be read, got row 3"),
        (inside("<vehicle id=\"a\" x=\"1\" x=\"2\"/>"), "duplicate"),
        (inside(&format!("<vehicle id=\"a\"{many}/>")), "more than 256 attributes"),
        (inside("<vehicle id=\"a\" x=\"1\"></person>"), "the XML is damaged"),
        (
            inside(&format!("<vehicle id=\"{}\"/>", "a".repeat(20 << 20))),
            "more than 16777216 bytes",
        ),
        ("timestep;vehicle_id\n".to_owned(), "a column timestep_time"),
        ("timestep_time;what\n".to_owned(), "columns of vehicle_"),
        (" \n".to_owned(), "an empty file"),
    ] {
        let refusal = world.refusal("fcd.xml", text, &FileOptions::sumo());
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
    let text =
        inside(&format!(r#"{vehicle}<vehicle x="2"/><vehicle id="b" x="far"/><train id="c"/>"#));
    let report = world.try_import(&world.file("fcd.xml", text), &FileOptions::sumo()).unwrap();
    assert_eq!((report.rows, report.rows_skipped), (1, 3), "{report:?}");
}

/// Goal: a file all of whose rows are bad, which shows only by the types of its columns, leaves nothing in the file.
#[test]
fn a_file_of_bad_rows_stores_nothing() {
    let world = World::new();
    let text = "timestep_time;vehicle_id;vehicle_speed\n0.00;a;1,5\n1.00;a;2,5\n";
    let refused = world.refusal("fcd.csv", text, &FileOptions::sumo());
    assert!(
        refused.contains("rows that can be read, got row 2: \"1,5\" among values"),
        "{refused}"
    );
    world.import(&world.file("fcd.csv", text.replace(',', ".")), &FileOptions::sumo());
    assert_eq!(world.floats("vehicles", "speed", 1000), [Some(2.5)]);
}
