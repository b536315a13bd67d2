//! Entity data between Python's dictionaries and the library's groups.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use siltstone::Array;
use siltstone::simulation::{
    Attribute, CLEARED, ColumnState, EntityData, GIVEN, Group, GroupState, NOT_GIVEN,
    ROW_PTR_NAMES, Update,
};

use crate::arrays_in::{to_bools, to_integer, to_stored_array};
use crate::arrays_out::Out;
use crate::errors::{invalid, wrong_type};

/// Groups, and the origin if the dictionary names one (as those that were read do).
pub(crate) struct Entities {
    pub(crate) data: EntityData,
    pub(crate) origin: Option<String>,
}

/// `{group: {attribute: {"data", "row_ptr", "mask", "cleared"}}}` as groups; `skip` are keys that
/// are not groups.
pub(crate) fn to_entities(
    dataset: &str,
    value: &Bound<'_, PyAny>,
    skip: &[&str],
) -> PyResult<Entities> {
    let mut entities = Entities { data: Vec::new(), origin: None };
    for (key, value) in items(dataset, "a dict of entity groups", value)?.iter() {
        let name = to_name(dataset, "text as the name of an entity group", &key)?;
        if skip.contains(&name.as_str()) {
            continue;
        }
        if name == "origin" && (value.is_none() || value.is_instance_of::<PyString>()) {
            entities.origin = value.extract()?;
            continue;
        }
        let what = format!("{dataset}/{name}");
        let mut attributes = Vec::new();
        for (key, value) in items(&what, "a dict of attributes", &value)?.iter() {
            let attribute = to_name(&what, "text as the name of an attribute", &key)?;
            let what = format!("{what}/{attribute}");
            let value = to_attribute(&what, &attribute, &value)?;
            attributes.push((attribute, value));
        }
        entities.data.push(Group { name, attributes });
    }
    Ok(entities)
}

fn items<'py>(
    what: &str,
    expected: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let is_state = || -> PyResult<bool> {
        let module = value.py().import(intern!(value.py(), "siltstone.simulation"))?;
        value.is_instance(&module.getattr(intern!(value.py(), "State"))?)
    };
    if !value.is_instance_of::<pyo3::types::PyMapping>() && !is_state()? {
        return Err(wrong_type(what, expected, value));
    }
    Ok(value.py().get_type::<PyDict>().call1((value,))?.cast_into()?)
}

fn to_name(what: &str, expected: &str, key: &Bound<'_, PyAny>) -> PyResult<String> {
    key.extract().map_err(|_| wrong_type(what, expected, key))
}

fn to_attribute(what: &str, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Attribute> {
    let Ok(parts) = value.cast::<PyDict>() else {
        return attribute_of(what, name, value, None, None, None);
    };
    let (mut data, mut row_ptr, mut mask, mut cleared) = (None, None, None, None);
    for (key, part) in parts.iter() {
        let key: String = to_name(what, "data, row_ptr, mask or cleared as keys", &key)?;
        let slot = match key.as_str() {
            "data" => &mut data,
            "mask" => &mut mask,
            "cleared" => &mut cleared,
            key if ROW_PTR_NAMES.contains(&key) => &mut row_ptr,
            key => {
                let expected =
                    "data, row_ptr (or indptr, ind_ptr, rowptr), mask and cleared as keys";
                return Err(invalid(what, expected, format!("{key:?}")));
            }
        };
        if part.is_none() && key != "data" {
            continue;
        }
        if slot.is_some() {
            let got = format!("{key:?} beside another one");
            return Err(invalid(what, "one of row_ptr, indptr, ind_ptr, rowptr", got));
        }
        *slot = Some(part);
    }
    let data = data.ok_or_else(|| invalid(what, "a dict with the key data", "none"))?;
    attribute_of(what, name, &data, row_ptr.as_ref(), mask.as_ref(), cleared.as_ref())
}

fn attribute_of(
    what: &str,
    name: &str,
    value: &Bound<'_, PyAny>,
    row_ptr: Option<&Bound<'_, PyAny>>,
    mask: Option<&Bound<'_, PyAny>>,
    cleared: Option<&Bound<'_, PyAny>>,
) -> PyResult<Attribute> {
    let mut data = to_stored_array(what, value)?;
    if name == "id" && data.shape() == [0] && value.cast::<numpy::PyUntypedArray>().is_err() {
        // An empty list is of floats to numpy.
        data = Array::from_slice::<i64>(&[]);
    }
    let row_ptr =
        row_ptr.map(|ptr| to_stored_array(&format!("{what}.row_ptr"), ptr)).transpose()?;
    let mut not_given = mask.map(|mask| to_bools(&format!("{what}.mask"), mask)).transpose()?;
    if let Some(masked) = masked_rows(what, value)? {
        let rule = "a mask beside the data, not inside it as well";
        if row_ptr.is_some() || not_given.is_some() {
            return Err(invalid(what, rule, "a numpy masked array with row_ptr or mask"));
        }
        // Ids are never missing: a masked array of them that masks none is a plain one.
        not_given = Some(masked).filter(|masked| name != "id" || masked.contains(&true));
    }
    let cleared =
        cleared.map(|cleared| to_bools(&format!("{what}.cleared"), cleared)).transpose()?;
    let mask = flags(what, not_given, cleared)?.map(|flags| Array::from_slice(&flags));
    Ok(Attribute { data, row_ptr, mask })
}

/// Two masks as the library's one.
fn flags(
    what: &str,
    not_given: Option<Vec<bool>>,
    cleared: Option<Vec<bool>>,
) -> PyResult<Option<Vec<u8>>> {
    let say = |not_given: bool| if not_given { NOT_GIVEN } else { GIVEN };
    let mut flags: Vec<u8> = match (&not_given, &cleared) {
        (None, None) => return Ok(None),
        (Some(not_given), _) => not_given.iter().map(|n| say(*n)).collect(),
        (None, Some(cleared)) => vec![GIVEN; cleared.len()],
    };
    if let Some(cleared) = cleared {
        if cleared.len() != flags.len() {
            let expected = format!("{} bools as in mask", flags.len());
            return Err(invalid(&format!("{what}.cleared"), &expected, cleared.len().to_string()));
        }
        flags.iter_mut().zip(cleared).filter(|(_, c)| *c).for_each(|(flag, _)| *flag = CLEARED);
    }
    Ok(Some(flags))
}

/// The rows that a numpy masked array masks; `None` if it is none.
fn masked_rows(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<bool>>> {
    let py = value.py();
    // Only a subclass of numpy's array is looked at further.
    if value.cast_exact::<numpy::PyUntypedArray>().is_ok()
        || value.cast::<numpy::PyUntypedArray>().is_err()
        || !value.hasattr(intern!(py, "mask"))?
    {
        return Ok(None);
    }
    let ma = py.import(intern!(py, "numpy.ma"))?;
    let mask = to_stored_array(what, &ma.call_method1(intern!(py, "getmaskarray"), (value,))?)?;
    let (rows, size) = (mask.rows(), mask.row_size());
    let mut masked = Vec::with_capacity(rows);
    for row in 0..rows {
        let cells = &mask.data()[row * size..(row + 1) * size];
        let any = cells.iter().any(|cell| *cell != 0);
        if any && cells.contains(&0) {
            let got = format!("row {row} that is masked in part");
            return Err(invalid(what, "rows that are masked as a whole", got));
        }
        masked.push(any);
    }
    Ok(Some(masked))
}

/// One update as Python hands it to the batch form: a tuple or a dictionary.
pub(crate) fn to_update(value: &Bound<'_, PyAny>) -> PyResult<Update> {
    let expected =
        "a tuple (timestamp, iteration, dataset_name, entity_data[, origin]) or a dict of these";
    if let Ok(tuple) = value.cast::<PyTuple>() {
        if !matches!(tuple.len(), 4 | 5) {
            return Err(invalid("update", expected, format!("a tuple of {}", tuple.len())));
        }
        let origin = tuple.get_item(4).ok();
        let at = |i| tuple.get_item(i);
        return update_of(&at(0)?, &at(1)?, &at(2)?, &at(3)?, &[], origin.as_ref());
    }
    let Ok(dict) = value.cast::<PyDict>() else {
        return Err(wrong_type("update", expected, value));
    };
    let need = |key: &str| {
        let missing = || invalid("update", expected, format!("a dict without {key:?}"));
        dict.get_item(key)?.ok_or_else(missing)
    };
    let (timestamp, iteration) = (need("timestamp")?, need("iteration")?);
    let (dataset, origin) = (need("dataset_name")?, dict.get_item("origin")?);
    match dict.get_item("entity_data")? {
        Some(data) => update_of(&timestamp, &iteration, &dataset, &data, &[], origin.as_ref()),
        // An update as it was read: the groups are beside the times.
        None => {
            let skip = ["timestamp", "iteration", "dataset_name"];
            update_of(&timestamp, &iteration, &dataset, value, &skip, None)
        }
    }
}

/// One update from its parts; an origin inside the data holds if none is said beside them.
pub(crate) fn update_of(
    timestamp: &Bound<'_, PyAny>,
    iteration: &Bound<'_, PyAny>,
    dataset: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
    skip: &[&str],
    origin: Option<&Bound<'_, PyAny>>,
) -> PyResult<Update> {
    let timestamp = to_integer("timestamp", timestamp)?;
    let iteration = to_integer("iteration", iteration)?;
    let dataset = to_name("dataset name", "text", dataset)?;
    let origin = match origin.filter(|origin| !origin.is_none()) {
        Some(origin) => Some(to_name("origin", "text or None", origin)?),
        None => None,
    };
    let entities = to_entities(&dataset, data, skip)?;
    Ok(Update {
        timestamp,
        iteration,
        dataset,
        origin: origin.or(entities.origin),
        data: entities.data,
    })
}

/// An update as the description shows it.
pub(crate) fn update_to_dict<'py>(
    out: &mut Out<'py>,
    update: Update,
) -> PyResult<Bound<'py, PyDict>> {
    let py = out.py();
    let dict = PyDict::new(py);
    dict.set_item(intern!(py, "timestamp"), update.timestamp)?;
    dict.set_item(intern!(py, "iteration"), update.iteration)?;
    if let Some(origin) = update.origin {
        dict.set_item(intern!(py, "origin"), out.name(&origin))?;
    }
    groups_to_dict(out, update.data, &dict)?;
    Ok(dict)
}

/// Groups as keys of `dict`.
pub(crate) fn groups_to_dict<'py>(
    out: &mut Out<'py>,
    groups: EntityData,
    dict: &Bound<'py, PyDict>,
) -> PyResult<()> {
    for group in groups {
        let attributes = PyDict::new(out.py());
        for (name, attribute) in group.attributes {
            let value = attribute_to_dict(out, attribute, NOT_GIVEN)?;
            attributes.set_item(out.name(&name), value)?;
        }
        dict.set_item(out.name(&group.name), attributes)?;
    }
    Ok(())
}

/// `{"data"[, "row_ptr"][, "mask"][, "cleared"]}`; `mask` is true where the flag is `flag`.
fn attribute_to_dict<'py>(
    out: &mut Out<'py>,
    attribute: Attribute,
    flag: u8,
) -> PyResult<Bound<'py, PyDict>> {
    let py = out.py();
    let dict = PyDict::new(py);
    dict.set_item(intern!(py, "data"), out.array(attribute.data)?)?;
    if let Some(row_ptr) = attribute.row_ptr {
        dict.set_item(intern!(py, "row_ptr"), out.array(row_ptr)?)?;
    }
    if let Some(mask) = attribute.mask {
        dict.set_item(intern!(py, "mask"), out.flags(&mask, flag)?)?;
        if flag != CLEARED && mask.data().contains(&CLEARED) {
            dict.set_item(intern!(py, "cleared"), out.flags(&mask, CLEARED)?)?;
        }
    }
    Ok(dict)
}

/// An attribute of a state; `mask` is true where a row is undefined.
pub(crate) fn state_column_to_dict<'py>(
    out: &mut Out<'py>,
    attribute: Attribute,
) -> PyResult<Bound<'py, PyDict>> {
    attribute_to_dict(out, attribute, CLEARED)
}

/// A state as a dictionary of attributes, `id` first; `mask` is true where a row is undefined.
pub(crate) fn state_to_dict<'py>(
    py: Python<'py>,
    state: GroupState,
) -> PyResult<Bound<'py, PyDict>> {
    let mut out = Out::new(py);
    let dict = PyDict::new(py);
    let ids = Attribute::new(Array::from_slice(&state.ids));
    dict.set_item(intern!(py, "id"), attribute_to_dict(&mut out, ids, CLEARED)?)?;
    for ColumnState { name, attribute } in state.columns {
        dict.set_item(out.name(&name), attribute_to_dict(&mut out, attribute, CLEARED)?)?;
    }
    Ok(dict)
}
