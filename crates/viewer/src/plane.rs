//! Which attributes of a group say where its entities are, by their names: proposals, which the page shows as such.

use serde_json::{Value as Json, json};
use siltstone::array::Kind;
use siltstone::simulation::AttributeInfo;

/// Attributes of movici that are lines or outlines, a list of points an entity.
const SHAPES: [&str; 5] = [
    "geometry.linestring_2d",
    "geometry.linestring_3d",
    "geometry.polygon",
    "geometry.polygon_2d",
    "geometry.polygon_3d",
];
/// Attributes of movici that name the entities at both ends.
const ENDS: [&str; 2] = ["topology.from_node_id", "topology.to_node_id"];
/// Endings of the names of x and y that go with an equal beginning.
const PAIRS: [[&str; 2]; 5] = [
    ["x", "y"],
    ["lon", "lat"],
    ["lng", "lat"],
    ["longitude", "latitude"],
    ["easting", "northing"],
];
/// Endings of the name of an attribute that is a point.
const POINTS: [&str; 5] = ["position", "pos", "location", "coordinates", "point"];

/// What a group can be drawn as, the likeliest first.
pub(crate) fn proposals(attributes: &[AttributeInfo]) -> Vec<Json> {
    let named = |name: &str| attributes.iter().find(|attribute| attribute.name == name);
    let shapes = SHAPES.iter().filter_map(|name| named(name)).filter(|of| is_shape(of));
    let mut found: Vec<Json> =
        shapes.map(|of| json!({ "kind": "shapes", "shape": of.name })).collect();
    for [x, y] in PAIRS {
        for of_x in attributes.iter().filter(|of| is_number(of)) {
            let Some(beginning) = beginning(&of_x.name, x) else { continue };
            let is_y = |of: &&AttributeInfo| self::beginning(&of.name, y) == Some(beginning);
            if let Some(of_y) = attributes.iter().filter(|of| is_number(of)).find(is_y) {
                found.push(json!({ "kind": "points", "x": of_x.name, "y": of_y.name }));
            }
        }
    }
    let points = attributes.iter().filter(|of| is_point(of));
    found.extend(
        points
            .filter(|of| POINTS.iter().any(|p| beginning(&of.name, p).is_some()))
            .map(|of| json!({ "kind": "points", "x": part(&of.name, 0), "y": part(&of.name, 1) })),
    );
    if let [Some(from), Some(to)] = ENDS.map(named) {
        found.push(json!({ "kind": "ends", "from": from.name, "to": to.name }));
    }
    found
}

/// The name of one part of an attribute that has several.
pub(crate) fn part(name: &str, i: usize) -> String {
    format!("{name}[{i}]")
}

/// What stands before an ending that is the whole name, or follows a separator. Case is nothing.
fn beginning<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(ending.len()).filter(|at| name.is_char_boundary(*at))?;
    let (before, after) = name.split_at(at);
    let is_word = before.is_empty() || before.ends_with(['.', '_', '-', '/', ' ']);
    (is_word && after.eq_ignore_ascii_case(ending)).then_some(before)
}

/// Whether an entity has one number.
fn is_number(of: &AttributeInfo) -> bool {
    let is_real = matches!(of.dtype.kind(), Kind::Int | Kind::UInt | Kind::Float);
    is_real && of.unit_shape.is_empty() && !of.is_ragged
}

/// Whether an entity has one point.
fn is_point(of: &AttributeInfo) -> bool {
    let is_real = matches!(of.dtype.kind(), Kind::Int | Kind::UInt | Kind::Float);
    is_real && matches!(of.unit_shape[..], [2 | 3]) && !of.is_ragged
}

/// Whether an entity has a list of points.
pub(crate) fn is_shape(of: &AttributeInfo) -> bool {
    let is_real = matches!(of.dtype.kind(), Kind::Int | Kind::UInt | Kind::Float);
    is_real && matches!(of.unit_shape[..], [2 | 3]) && of.is_ragged
}
