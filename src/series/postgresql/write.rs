//! Changes as rows, in the transaction of their commit.

use sha2::{Digest, Sha256};

use postgres::Client;

use super::copy::{self, Kind};
use super::read::{Extent, Found, find, load};
use crate::array::block::types::type_name;
use crate::error::Result;
use crate::postgresql::{Failure, text};
use crate::series::backend::{Change, SeriesInfo, expect, in_use, last_label, not_found};
use crate::series::data::{Metadata, Series};
use crate::series::index::IndexRange;

/// What the unique index holds of a key: a text of any length has none.
pub(super) fn digest(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}

pub(super) fn apply(client: &mut Client, change: &Change, location: &str) -> Result<(), Failure> {
    match change {
        Change::Save { key, series, metadata } => {
            remove(client, key)?;
            insert(client, key, series, metadata)
        }
        Change::Append { key, series } => match find(client, key, true)? {
            None => insert(client, key, series, &Metadata::new()),
            Some(found) => match found.info.fit(series)? {
                Some(points) => append(client, found, &points),
                None => {
                    let stored = load(client, key, &IndexRange::all())?;
                    let (own, metadata) = stored.ok_or_else(|| not_found(key, location))?;
                    let whole = own.concat(series)?;
                    remove(client, key)?;
                    insert(client, key, &whole, &metadata)
                }
            },
        },
        Change::Expect { key, info } => {
            if info.is_none() {
                // There is no row to lock: who else expects none waits here, and sees the series then.
                let lock = i64::from_le_bytes(digest(key)[..8].try_into().expect("eight bytes"));
                client.execute("SELECT pg_advisory_xact_lock($1)", &[&lock])?;
            }
            let now = find(client, key, true)?.map(|found| found.info);
            Ok(expect(key, info.as_deref(), now.as_ref())?)
        }
        Change::SetMetadata { key, metadata } => {
            let sql = "UPDATE siltstone_series SET metadata = $2 WHERE digest = $1";
            let changed = client.execute(sql, &[&digest(key), &json(metadata)])?;
            there(changed, key, location)
        }
        Change::SetIndexMetadata { key, index } => {
            let mut found = must_find(client, key, location)?;
            found.info.head.index = index.clone();
            let sql = "UPDATE siltstone_series SET head = $2 WHERE id = $1";
            client.execute(sql, &[&found.id, &json(&found.info.head)])?;
            Ok(())
        }
        Change::Delete { key } => {
            let removed = remove(client, key)?;
            there(removed, key, location)
        }
        Change::Rename { from, to } => {
            let found = must_find(client, from, location)?;
            is_free(client, to, location)?;
            let sql = "UPDATE siltstone_series SET key = $2, digest = $3 WHERE id = $1";
            client.execute(sql, &[&found.id, &&*text::encode(to), &digest(to)])?;
            Ok(())
        }
        Change::Copy { from, to } => {
            let found = must_find(client, from, location)?;
            is_free(client, to, location)?;
            let columns = "length, index_type, value_type, extent, is_sorted, head, metadata";
            let sql = format!(
                "INSERT INTO siltstone_series (digest, key, {columns}) \
                 SELECT $2, $3, {columns} FROM siltstone_series WHERE id = $1 RETURNING id"
            );
            let row = client.query_one(&sql, &[&found.id, &digest(to), &&*text::encode(to)])?;
            let columns = "row, index_int, index_float, index_text, value_int, value_float, \
                value_real, value_bool, value_text, value_bytes";
            let sql = format!(
                "INSERT INTO siltstone_point (series_id, {columns}) \
                 SELECT $2, {columns} FROM siltstone_point WHERE series_id = $1"
            );
            client.execute(&sql, &[&found.id, &row.get::<_, i64>(0)])?;
            Ok(())
        }
        Change::Record { name, record: Some(record) } => {
            let sql = "INSERT INTO siltstone_record (digest, name, record) VALUES ($1, $2, $3) \
                ON CONFLICT (digest) DO UPDATE SET record = excluded.record";
            client.execute(sql, &[&digest(name), &&*text::encode(name), &json(record)])?;
            Ok(())
        }
        Change::Record { name, record: None } => {
            client.execute("DELETE FROM siltstone_record WHERE digest = $1", &[&digest(name)])?;
            Ok(())
        }
    }
}

/// JSON has no raw control character: NUL is written as an escape.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}

fn there(changed: u64, key: &str, location: &str) -> Result<(), Failure> {
    if changed == 0 { Err(not_found(key, location).into()) } else { Ok(()) }
}

fn must_find(client: &mut Client, key: &str, location: &str) -> Result<Found, Failure> {
    find(client, key, true)?.ok_or_else(|| not_found(key, location).into())
}

fn is_free(client: &mut Client, key: &str, location: &str) -> Result<(), Failure> {
    match find(client, key, false)? {
        Some(_) => Err(in_use(key, location).into()),
        None => Ok(()),
    }
}

fn remove(client: &mut Client, key: &str) -> Result<u64, Failure> {
    let sql = "DELETE FROM siltstone_series WHERE digest = $1 RETURNING id";
    let rows = client.query(sql, &[&digest(key)])?;
    for row in &rows {
        let id: i64 = row.get(0);
        client.execute("DELETE FROM siltstone_point WHERE series_id = $1", &[&id])?;
    }
    Ok(rows.len() as u64)
}

fn insert(
    client: &mut Client,
    key: &str,
    series: &Series,
    metadata: &Metadata,
) -> Result<(), Failure> {
    let info = SeriesInfo::of(key, series, metadata)?;
    let extent = Extent::new(info.extent.clone(), last_label(series)?);
    let sql = "INSERT INTO siltstone_series (digest, key, length, index_type, value_type, extent, \
        is_sorted, head, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let row = client.query_one(
        sql,
        &[
            &digest(key),
            &&*text::encode(key),
            &(series.len() as i64),
            &type_name(&info.index_type)?,
            &type_name(&info.value_type)?,
            &json(&extent),
            &info.is_sorted,
            &json(&info.head),
            &json(metadata),
        ],
    )?;
    put(client, row.get(0), 0, series)
}

/// Writes points as rows from this one on.
fn put(client: &mut Client, id: i64, first: i64, series: &Series) -> Result<(), Failure> {
    if series.is_empty() {
        return Ok(());
    }
    let index = Kind::of_index(series.index().data_type()).column("index");
    let value = Kind::of(series.values().data_type()).column("value");
    let sql = format!("COPY siltstone_point (series_id, row, {index}, {value}) FROM STDIN BINARY");
    let mut writer = client.copy_in(&sql)?;
    copy::write(&mut writer, id, first, series).map_err(Failure::Stream)?;
    writer.finish()?;
    Ok(())
}

fn append(client: &mut Client, found: Found, series: &Series) -> Result<(), Failure> {
    let first = found.info.length as i64;
    let (info, last) = found.info.extended(found.last, series)?;
    let sql = "UPDATE siltstone_series SET length = length + $2, extent = $3, is_sorted = $4, \
        head = $5 WHERE id = $1";
    client.execute(
        sql,
        &[
            &found.id,
            &(series.len() as i64),
            &json(&Extent::new(info.extent, last)),
            &info.is_sorted,
            &json(&info.head),
        ],
    )?;
    put(client, found.id, first, series)
}
