//! Which database of a connection a table of blocks is in.

use rusqlite::{Connection, Result};

/// The name of the database that has a table, as SQL: our connections have one file.
#[cfg(not(feature = "extension"))]
pub(super) fn schema_of(_: &Connection, _: &str) -> Result<&'static str> {
    Ok("main")
}

/// The name of the database that has a table, as SQL. Another program may have attached several: which of them the view is
/// in that calls the function SQLite does not say, and a block of another file would be a wrong answer.
#[cfg(feature = "extension")]
pub(super) fn schema_of(conn: &Connection, table: &str) -> Result<String> {
    let mut statement = conn.prepare("PRAGMA database_list")?;
    let names = statement.query_map([], |row| row.get::<_, String>(1))?;
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.retain(|name| name != "temp");
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    if names.len() > 1 {
        let mut found = Vec::new();
        for name in names {
            let sql = "SELECT 1 FROM {}.sqlite_schema WHERE name = ?1 AND type = 'table'";
            if conn.prepare(&sql.replace("{}", &quoted(&name)))?.exists([table])? {
                found.push(name);
            }
        }
        if found.len() > 1 {
            let mut filled = Vec::new();
            for name in &found {
                let sql = format!("SELECT 1 FROM {}.{} LIMIT 1", quoted(name), quoted(table));
                if conn.prepare(&sql)?.exists([])? {
                    filled.push(name.clone());
                }
            }
            found = filled;
        }
        if found.len() > 1 {
            return Err(rusqlite::Error::ModuleError(format!(
                "the table {table} is in several attached databases ({}): expected one of them to have rows in it",
                found.join(", ")
            )));
        }
        names = found;
    }
    Ok(quoted(names.first().map_or("main", String::as_str)))
}
