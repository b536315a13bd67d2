//! Initial datasets: the state before the first update, and files that travel with a run.

use super::json::{self, Initial, Schema, parse_initial};
use super::prepare::{Prepared, prepare};
use super::read::{UpdateReader, Wanted};
use super::run;
use super::state::check_initial;
use super::tables::{Layout, MIGRATIONS};
use super::update::{EntityData, Group, Update};
use super::write::{Known, store_attribute};
use crate::array::{Array, Codec, DType};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, WriteTx};

/// What an initial dataset is made of, under the documented names.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InitialData {
    /// `UNSTRUCTURED`: a JSON object, kept byte for byte; `NaN` and `Infinity` in it are taken, as Python writes and reads
    /// them. What it holds is what [`parse_initial`] finds: entities, or anything else.
    Json(Vec<u8>),
    /// `BINARY`: any bytes.
    Binary(Vec<u8>),
    /// `ENTITY_BASED`: entity groups as arrays.
    Entities(EntityData),
}

impl InitialData {
    /// The documented name of the format.
    pub fn format(&self) -> &'static str {
        match self {
            InitialData::Json(_) => "UNSTRUCTURED",
            InitialData::Binary(_) => "BINARY",
            InitialData::Entities(_) => "ENTITY_BASED",
        }
    }
}

/// An initial dataset ready for the writer.
pub(super) struct PreparedInitial {
    name: String,
    format: &'static str,
    data: Option<Vec<u8>>,
    entities: Option<Prepared>,
}

pub(super) fn prepare_initial(name: &str, data: InitialData) -> Result<PreparedInitial> {
    let format = data.format();
    if let InitialData::Json(bytes) | InitialData::Binary(bytes) = &data {
        Array::check_stored(format_args!("initial dataset {name:?}"), bytes.len())?;
    }
    let (data, entities) = match data {
        InitialData::Json(text) => {
            if let Err(e) = json::check(&text) {
                let what = format!("initial dataset {name:?}");
                return Err(Error::invalid(what, "a JSON text", e.to_string()));
            }
            (Some(text), None)
        }
        InitialData::Binary(bytes) => (Some(bytes), None),
        InitialData::Entities(data) => {
            let update = Update { dataset: name.to_owned(), data, ..Update::default() };
            (None, Some(prepare(update)?))
        }
    };
    if name.is_empty() || name.contains('\0') {
        return Err(Error::invalid("dataset name", "some text without NUL", format!("{name:?}")));
    }
    Ok(PreparedInitial { name: name.to_owned(), format, data, entities })
}

/// Stores an initial dataset; its row id. One of the same name is refused or replaced.
pub(super) fn store(
    tx: &mut WriteTx<'_>,
    initial: &PreparedInitial,
    codec: Codec,
    replace: bool,
) -> Result<i64> {
    tx.ensure(&MIGRATIONS)?;
    let PreparedInitial { name, format, data, entities } = initial;
    let known = "SELECT 1 FROM initial_dataset WHERE dataset_name = ?1";
    if tx.query_one(known, [name], |_| Ok(()))?.is_some() {
        if !replace {
            return Err(Error::Exists {
                what: format!("the initial dataset {name:?}"),
                location: String::new(),
                hint: "ask for it to be replaced",
            });
        }
        tx.execute("DELETE FROM initial_dataset WHERE dataset_name = ?1", [name])?;
    }
    // Every keyframe of the dataset begins with the initial state.
    tx.execute("DELETE FROM simulation_keyframe WHERE dataset_name = ?1", [name])?;
    super::run::next_epoch(tx)?;
    let (packing, data) = match data {
        Some(data) if codec != Codec::Raw => pack(data, codec),
        _ => (None, data.clone()),
    };
    let sql = "INSERT INTO initial_dataset (dataset_name, format, data, codec, row_sum) \
         VALUES (?1, ?2, ?3, ?4, silt_row_sum(?1, ?2, ?3, ?4))";
    let id = tx.insert(sql, (name, format, data, packing))?;
    if let Some(entities) = entities {
        let mut known: Known = tx.take();
        for (position, attribute) in entities.attributes.iter().enumerate() {
            let attribute = store_attribute(tx, &mut known, attribute, codec)?;
            let sql = "INSERT INTO initial_dataset_attribute \
                (initial_dataset_id, attribute_data_id, position, row_sum) \
                VALUES (?1, ?2, ?3, silt_row_sum(?1, ?2, ?3))";
            tx.execute(sql, (id, attribute, position as i64))?;
        }
        tx.put(known);
    }
    // A text that cannot be read would be in the way of every state of the dataset.
    let stored = self::entities(tx, Layout::Ours, name).map_err(|error| {
        let expected = "entities that can be read, or \"format\": \"unstructured\" beside them";
        Error::invalid(format!("initial dataset {name:?}"), expected, error.to_string())
    })?;
    check_updates(tx, name, &stored)?;
    Ok(id)
}

/// Checks that the updates of a dataset, if there are any, go with its initial data.
fn check_updates(tx: &ReadTx<'_>, name: &str, initial: &EntityData) -> Result<()> {
    let sql = "SELECT 1 FROM \"update\" WHERE dataset_name = ?1 LIMIT 1";
    match tx.query_one(sql, [name], |_| Ok(()))? {
        Some(()) => check_initial(tx, name, initial),
        None => Ok(()),
    }
}

/// The name of the packing, and the length of the data (8 bytes, low first) before what it made.
fn pack(data: &[u8], codec: Codec) -> (Option<&'static str>, Option<Vec<u8>>) {
    let array = Array::from_slice(data);
    match codec.encode(&array) {
        (Some(name), packed) => {
            let length = (data.len() as u64).to_le_bytes();
            (Some(name), Some([&length[..], &packed].concat()))
        }
        (None, _) => (None, Some(data.to_vec())),
    }
}

fn unpack(codec: &str, stored: &[u8]) -> Result<Vec<u8>> {
    let damaged = |why: &str| Error::Corrupt {
        location: String::new(),
        what: "an initial dataset".into(),
        why: why.into(),
    };
    let (length, packed) = stored.split_at_checked(8).ok_or_else(|| damaged("it is too short"))?;
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    let length = usize::try_from(length).map_err(|_| damaged("its length is wild"))?;
    Ok(Codec::decode(Some(codec), DType::U8, &[length], packed)?.into_data().to_vec())
}

fn has_initial(tx: &ReadTx<'_>, layout: Layout) -> Result<bool> {
    Ok(layout != Layout::Empty && crate::kernel::table_exists(tx, "initial_dataset")?)
}

/// The names of all initial datasets, in the order they were stored.
pub(super) fn names(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    if !has_initial(tx, Layout::of(tx)?)? {
        return Ok(Vec::new());
    }
    tx.query("SELECT dataset_name FROM initial_dataset ORDER BY id", [], |row| Ok(row.get(0)?))
}

/// One initial dataset.
pub(super) fn read_one(tx: &ReadTx<'_>, layout: Layout, name: &str) -> Result<Option<InitialData>> {
    if !has_initial(tx, layout)? {
        return Ok(None);
    }
    let codec = if layout == Layout::Ours { "codec" } else { "NULL" };
    let whole = tx.whole("initial_dataset", "i")?;
    let sql = format!(
        "SELECT id, format, data, {codec} FROM initial_dataset i WHERE i.dataset_name IS ?1 AND {whole}"
    );
    let found = tx.query_one(&sql, [name], |row| {
        let id: i64 = row.get(0)?;
        let format: String = row.get(1)?;
        // movici stores JSON as a blob; others may have used text.
        let data = match row.get_ref(2)? {
            rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                bytes.to_vec()
            }
            _ => Vec::new(),
        };
        let data = match row.get::<_, Option<String>>(3)? {
            Some(codec) => unpack(&codec, &data)?,
            None => data,
        };
        Ok((id, format, data))
    })?;
    let Some((id, format, data)) = found else { return Ok(None) };
    Ok(Some(match format.as_str() {
        "UNSTRUCTURED" => InitialData::Json(data),
        "BINARY" => InitialData::Binary(data),
        "ENTITY_BASED" => {
            let mut reader = UpdateReader::initial(tx, layout)?;
            InitialData::Entities(reader.groups(id, Wanted::default())?)
        }
        other => {
            return Err(Error::Corrupt {
                location: String::new(),
                what: format!("initial dataset {name:?}"),
                why: format!("its format is {other:?}"),
            });
        }
    }))
}

/// Keeps the schema, in which every initial dataset must be readable that was so before.
pub(super) fn set_schema(tx: &mut WriteTx<'_>, schema: &Schema) -> Result<()> {
    tx.ensure(&MIGRATIONS)?;
    let text = String::from_utf8(schema.to_json()).expect("JSON text is UTF-8");
    if run::get::<String>(tx, "schema")?.as_ref() == Some(&text) {
        return Ok(());
    }
    let names = names(tx)?;
    let is_readable =
        |tx: &ReadTx<'_>, name: &String| entities(tx, Layout::Ours, name).map(drop).is_ok();
    let readable: Vec<_> = names.into_iter().filter(|name| is_readable(tx, name)).collect();
    run::set(tx, "schema", &text)?;
    for name in readable {
        let read = entities(tx, Layout::Ours, &name);
        read.and_then(|initial| check_updates(tx, &name, &initial)).map_err(|error| {
            let expected = format!("types that go with the initial dataset {name:?}");
            Error::invalid("attribute schema", expected, error.to_string())
        })?;
    }
    Ok(())
}

/// The schema that the file was given.
pub(super) fn schema(tx: &ReadTx<'_>, layout: Layout) -> Result<Schema> {
    if layout != Layout::Ours {
        return Ok(Schema::default());
    }
    match run::get::<String>(tx, "schema")? {
        Some(text) => Schema::parse(text.as_bytes()),
        None => Ok(Schema::default()),
    }
}

/// The initial state of a dataset, if it is one of entities.
pub(super) fn entities(tx: &ReadTx<'_>, layout: Layout, dataset: &str) -> Result<EntityData> {
    match read_one(tx, layout, dataset)? {
        Some(InitialData::Entities(data)) => Ok(data),
        Some(InitialData::Json(text)) => match parse_initial(&text, dataset, &schema(tx, layout)?)?
        {
            Initial::Entities(initial) => Ok(initial.data),
            Initial::Unstructured { .. } => Ok(EntityData::new()),
        },
        Some(InitialData::Binary(_)) | None => Ok(EntityData::new()),
    }
}

/// The initial state of one group.
pub(super) fn group(
    tx: &ReadTx<'_>,
    layout: Layout,
    dataset: &str,
    group: &str,
) -> Result<Option<Group>> {
    Ok(entities(tx, layout, dataset)?.into_iter().find(|g| g.name == group))
}
