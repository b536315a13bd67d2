//! JSON of updates, initial data and schemas: whatever it is, it is read or refused; and what was
//! read is written to a text that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siltstone::simulation::json::{
    Initial, Schema, dump_update, file_name, parse_file_name, parse_initial, parse_update,
};
use siltstone_fuzz::{Seed, plant};

fuzz_target!(
    init: plant("json", seeds),
    |data: &[u8]| {
        // A schema, a NUL, a text; JSON holds no NUL. Without one the text has no schema.
        let (schema, text) = match data.iter().position(|byte| *byte == 0) {
            Some(at) => (&data[..at], &data[at + 1..]),
            None => (&b"[]"[..], data),
        };
        let Ok(schema) = Schema::parse(schema) else { return };
        assert_eq!(Schema::parse(&schema.to_json()).expect("our own text"), schema);
        let mut groups = Vec::new();
        if let Ok(update) = parse_update(text, "net", &schema) {
            groups.extend(update);
        }
        if let Ok(Initial::Entities(initial)) = parse_initial(text, "net", &schema) {
            groups.push((initial.name, initial.data));
        }
        for (dataset, data) in groups {
            if let Ok(name) = file_name(-1, 2, &dataset) {
                assert_eq!(parse_file_name(&name), Some((-1, 2, dataset.clone())));
            }
            for group in &data {
                for (name, attribute) in &group.attributes {
                    attribute.check(name).expect("what was read is of one piece");
                }
            }
            let first = dump_update(&dataset, &data, &schema).expect("what was read can be written");
            let again = parse_update(&first, &dataset, &schema).expect("what was written can be read");
            for (name, data) in again {
                let second = dump_update(&name, &data, &schema).expect("and written again");
                assert_eq!(text_of(&first), text_of(&second));
            }
        }
    }
);

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("JSON is UTF-8")
}

fn seeds() -> Vec<Seed> {
    let schema = r#"[{"name":"b","py_type":"bool"},{"name":"i","py_type":"int"},
        {"name":"f","py_type":"float"},{"name":"s","py_type":"str"},
        {"name":"p","py_type":"float","unit_shape":[2]},{"name":"c","py_type":"int","csr":true},
        {"name":"l","py_type":"float","unit_shape":[2],"csr":true}]"#;
    let texts = [
        r#"{"net":{"g":{"id":[1,2,3],"b":[true,null,false],"i":[1,null,-2147483648]}}}"#,
        r#"{"net":{"g":{"id":[1,2],"i":[4294967296,9223372036854775807],"f":[1e-300,-0.0]}}}"#,
        r#"{"net":{"g":{"id":[1,2],"s":["Z\u00fcrich \ud83d\udeb0",null],"t":["","_udf_"]}}}"#,
        r#"{"net":{"g":{"id":[1,2,3],"p":[[1,2.5],null,[null,3]],"c":[[1,2],[],null]}}}"#,
        r#"{"net":{"g":{"id":[1,2],"l":[[[1,2],[3,4]],[]],"x":[[1],[2,3]],"y":[null,null]}}}"#,
        r#"{"data":{"g":{"id":[]},"h":{"id":[18446744073709551615],"z":[18446744073709551615]}}}"#,
        r#"{"name":"n","type":"t","general":{"enum":{"k":["a","b"]},"special":{"g.i":-1}},"data":{"g":{"id":[1],"i":[0]}}}"#,
        r#"{"a":{"g":{"id":[1],"x":[1.5]}},"b":{"g":{"id":[1],"x":[[[1,2]]]}}}"#,
        r#"{"name":"tape","type":"tabular","data":{"time_series":[1,2]}}"#,
    ];
    let with = |text: &&str| Seed::default().rest(schema.as_bytes()).byte(0).rest(text.as_bytes());
    let without = |text: &&str| Seed::default().rest(text.as_bytes());
    texts.iter().map(with).chain(texts.iter().map(without)).collect()
}
