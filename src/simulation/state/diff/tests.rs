//! What counts as a change, and that the changes are all there is to know.

use proptest::prelude::*;

use super::*;

fn group(columns: Vec<(&str, Attribute)>) -> EntityData {
    let attributes = columns.into_iter().map(|(name, a)| (name.to_owned(), a)).collect();
    vec![Group { name: "g".into(), attributes }]
}

fn ids(ids: &[i64]) -> (&'static str, Attribute) {
    ("id", Attribute::new(Array::from_slice(ids)))
}

fn floats(ids_of: &[i64], values: &[f64]) -> EntityData {
    group(vec![ids(ids_of), ("x", Attribute::new(Array::from_slice(values)))])
}

fn column<'a>(data: &'a EntityData, name: &str) -> &'a Attribute {
    &data[0].attributes.iter().find(|(known, _)| known == name).unwrap().1
}

/// Goal: the first value counts, then every change of a bit, and nothing else.
#[test]
fn every_bit_counts() {
    let mut tracked = TrackedState::default();
    let mut receive = |values: &[f64]| tracked.receive("d", floats(&[7, 8], values), None).unwrap();
    assert_eq!(receive(&[0.0, 1.0]), floats(&[7, 8], &[0.0, 1.0]));
    assert_eq!(receive(&[0.0, 1.0]), []);
    assert_eq!(receive(&[0.0, 1.0 + 1e-15]), floats(&[8], &[1.0 + 1e-15]));
    assert_eq!(receive(&[-0.0, 1.0 + 1e-15]), floats(&[7], &[-0.0]));
    // NaN says nothing: the value stays.
    assert_eq!(receive(&[f64::NAN, 1.0 + 1e-15]), []);
    assert_eq!(receive(&[-0.0, 5.0]), floats(&[8], &[5.0]));
}

/// Goal: small steps within a tolerance do not add up unseen.
#[test]
fn a_tolerance_does_not_drift() {
    let tolerance = Some(Tolerance { relative: 0.0, absolute: 0.5 });
    let mut tracked = TrackedState::default();
    let mut stored = Vec::new();
    for step in 0..10 {
        let value = f64::from(step) * 0.2;
        let changes = tracked.receive("d", floats(&[1], &[value]), tolerance).unwrap();
        if !changes.is_empty() {
            stored.push(step);
        }
    }
    assert_eq!(stored, [0, 3, 6, 9]);
    let infinite = tracked.receive("d", floats(&[1], &[f64::INFINITY]), tolerance).unwrap();
    assert_eq!(infinite, floats(&[1], &[f64::INFINITY]));
}

/// Goal: integers keep their eight bytes and text its length, also beside cells that did not change.
#[test]
fn types_survive_partial_changes() {
    let data = |count: [i64; 2], text: [&str; 2]| {
        let count = Attribute::new(Array::from_slice(&count));
        group(vec![ids(&[1, 2]), ("n", count), ("s", Attribute::new(Array::from_strs(&text)))])
    };
    let mut tracked = TrackedState::default();
    tracked.receive("d", data([3_000_000_000, 1], ["a", "b"]), None).unwrap();
    let changes =
        tracked.receive("d", data([3_000_000_000, -1], ["a long label", "b"]), None).unwrap();
    let n = column(&changes, "n");
    assert_eq!((n.data.dtype(), n.data.to_i64s().unwrap()), (DType::I64, vec![0, -1]));
    // An i8 has no sentinel for "not given": a mask says it. Text has one.
    assert_eq!(n.mask.as_ref().unwrap().data(), [NOT_GIVEN, GIVEN]);
    let s = column(&changes, "s");
    assert_eq!(
        (s.data.to_strings().unwrap(), &s.mask),
        (vec!["a long label".into(), "_udf_".into()], &None)
    );
    let state = tracked.state("g", 0).unwrap();
    assert_eq!(
        state.column("s").unwrap().attribute.data.to_strings().unwrap(),
        ["a long label", "b"]
    );
    let short =
        tracked.receive("d", data([3_000_000_000, -2], ["a long label", "c"]), None).unwrap();
    assert_eq!(column(&short, "s").data.to_strings().unwrap(), ["c"]);
}

/// Goal: narrow text is made wide enough for the sentinel, so that a reader without masks sees it.
#[test]
fn narrow_text_has_room_for_the_sentinel() {
    let data = |count: [f64; 2], text: [&str; 2]| {
        let count = Attribute::new(Array::from_slice(&count));
        group(vec![ids(&[1, 2]), ("n", count), ("s", Attribute::new(Array::from_strs(&text)))])
    };
    let mut tracked = TrackedState::default();
    tracked.receive("d", data([1.0, 1.0], ["a", "b"]), None).unwrap();
    let changes = tracked.receive("d", data([2.0, 1.0], ["a", "c"]), None).unwrap();
    let s = column(&changes, "s");
    assert_eq!((s.data.to_strings().unwrap(), &s.mask), (vec!["_udf_".into(), "c".into()], &None));
}

/// Goal: "becomes undefined" is reported once, with a mask.
#[test]
fn clearing_is_a_change() {
    let mut tracked = TrackedState::default();
    tracked.receive("d", floats(&[1, 2], &[1.0, 2.0]), None).unwrap();
    let clear = || {
        let x = Attribute::new(Array::from_slice(&[9.0, 9.0])).with_mask(&[CLEARED, NOT_GIVEN]);
        group(vec![ids(&[1, 2]), ("x", x)])
    };
    let changes = tracked.receive("d", clear(), None).unwrap();
    assert_eq!(column(&changes, "id").data.to_i64s().unwrap(), [1]);
    assert_eq!(column(&changes, "x").mask.as_ref().unwrap().data(), [CLEARED]);
    assert_eq!(tracked.receive("d", clear(), None).unwrap(), []);
}

/// Goal: data that do not fit change nothing, also in the groups before them.
#[test]
fn a_refused_update_is_not_applied() {
    let mut tracked = TrackedState::default();
    tracked.receive("d", floats(&[1], &[1.0]), None).unwrap();
    let text = || ("x", Attribute::new(Array::from_strs(&["one"])));
    let number = |x: f64| ("y", Attribute::new(Array::from_slice(&[x])));
    for wrong in [
        group(vec![ids(&[1]), number(5.0), text()]),
        group(vec![number(5.0)]),
        group(vec![ids(&[1, 1]), ("y", Attribute::new(Array::from_slice(&[5.0, 6.0])))]),
        group(vec![ids(&[1, 2]), number(5.0)]),
        group(vec![ids(&[1]), number(5.0), number(6.0)]),
        [floats(&[1], &[5.0]), floats(&[1], &[5.0])].concat(),
    ] {
        let error = tracked.receive("d", wrong, None).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    let state = tracked.state("g", 0).unwrap();
    assert_eq!((state.ids, state.columns.len()), (vec![1], 1));
    assert_eq!(state.columns[0].attribute.data.to_vec::<f64>().unwrap(), [1.0]);
}

/// What an update says of one entity in one attribute.
#[derive(Debug, Clone)]
enum Said {
    Nothing,
    Clear,
    Value(i64),
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => Just(Said::Nothing),
        1 => Just(Said::Clear),
        4 => (-3i64..4).prop_map(Said::Value),
        1 => prop_oneof![Just(i64::from(i32::MIN)), Just(1i64 << 40)].prop_map(Said::Value),
    ]
}

/// One attribute of a kind of its own, from what is said.
fn attribute(kind: usize, said: &[Said]) -> Attribute {
    let value = |s: &Said| if let Said::Value(v) = s { *v } else { 0 };
    let values: Vec<i64> = said.iter().map(value).collect();
    let attribute = match kind {
        0 => Attribute::new(Array::from_slice(&values)),
        1 => {
            Attribute::new(Array::from_slice(&values.iter().map(|v| *v as i32).collect::<Vec<_>>()))
        }
        2 => {
            Attribute::new(Array::from_slice(&values.iter().map(|v| *v as f64).collect::<Vec<_>>()))
        }
        3 => {
            Attribute::new(Array::from_strs(&values.iter().map(i64::to_string).collect::<Vec<_>>()))
        }
        4 => {
            let pairs: Vec<f32> = values.iter().flat_map(|v| [*v as f32, f32::NAN]).collect();
            Attribute::new(Array::from_slice(&pairs).reshape(vec![values.len(), 2]).unwrap())
        }
        _ => {
            let (mut items, mut ends) = (Vec::new(), vec![0i64]);
            for value in &values {
                items.extend(std::iter::repeat_n(*value, value.rem_euclid(4) as usize));
                ends.push(items.len() as i64);
            }
            Attribute::ragged(Array::from_slice(&items), Array::from_slice(&ends))
        }
    };
    let flag = |s: &Said| match s {
        Said::Nothing => NOT_GIVEN,
        Said::Clear => CLEARED,
        Said::Value(_) => GIVEN,
    };
    attribute.with_mask(&said.iter().map(flag).collect::<Vec<_>>())
}

fn updates() -> impl Strategy<Value = Vec<EntityData>> {
    let one = (
        prop::sample::subsequence((1..7i64).collect::<Vec<_>>(), 1..6).prop_shuffle(),
        prop::collection::vec(prop::option::of(prop::collection::vec(said(), 6)), 6),
    );
    let one = one.prop_map(|(entities, columns)| {
        let mut all = vec![ids(&entities)];
        for (kind, column) in columns.iter().enumerate() {
            if let Some(said) = column {
                let name = ["long", "int", "float", "text", "pair", "list"][kind];
                all.push((name, attribute(kind, &said[..entities.len()])));
            }
        }
        group(all)
    });
    prop::collection::vec(one, 1..12)
}

/// Values and definedness by entity and attribute, whatever the order.
fn plain(state: &GroupState) -> Vec<(i64, String, String)> {
    let mut all = Vec::new();
    for column in &state.columns {
        let values = crate::simulation::json::row_values(&column.attribute, None).unwrap();
        for (row, id) in state.ids.iter().enumerate().filter(|(row, _)| column.is_defined(*row)) {
            all.push((*id, column.name.clone(), values[row].to_string()));
        }
    }
    all.sort();
    all
}

proptest! {
    /// Goal: the stored changes, replayed, lead to the state that all updates lead to, whether
    /// each is stored or several together; and what is stored is never empty or said before.
    #[test]
    fn replayed_changes_give_the_same_state(updates in updates(), span in 1usize..4) {
        let (mut whole, mut each, mut together) =
            (Building::default(), Building::default(), Building::default());
        let (mut tracked, mut in_spans) = (TrackedState::default(), TrackedState::default());
        for (n, update) in updates.iter().enumerate() {
            whole.apply(&update[0])?;
            for changes in tracked.receive("d", update.clone(), None)? {
                let before = plain(&each.to_state(0));
                each.apply(&changes)?;
                prop_assert_ne!(plain(&each.to_state(0)), before);
            }
            prop_assert_eq!(tracked.receive("d", update.clone(), None)?, vec![]);
            in_spans.receive_in_span("d", update.clone())?;
            if n % span == 0 {
                in_spans.end_span(None).iter().try_for_each(|group| together.apply(group))?;
            }
        }
        in_spans.end_span(None).iter().try_for_each(|group| together.apply(group))?;
        prop_assert_eq!(in_spans.end_span(None), vec![]);
        let expected = plain(&whole.to_state(0));
        prop_assert_eq!(plain(&each.to_state(0)), expected.clone());
        prop_assert_eq!(plain(&together.to_state(0)), expected.clone());
        prop_assert_eq!(plain(&tracked.state("g", 0).unwrap()), expected);
    }
}
