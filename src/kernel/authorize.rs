//! What a user's own SQL may do: read.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Statement};

use super::schema;
use crate::error::{Error, Result};

/// Pragmas that report something, also of the table, index or number behind them.
const REPORTS: &[&str] = &[
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// Pragmas that report a setting, unless a value is behind them, which they would set.
const SETTINGS: &[&str] = &[
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "hard_heap_limit",
    "ignore_check_constraints",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "page_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "schema_version",
    "secure_delete",
    "soft_heap_limit",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "wal_autocheckpoint",
];
/// Bytes of a statement that its refusal repeats.
const SHOWN: usize = 60;

/// What SQLite asked about the statements of a connection.
#[derive(Default)]
struct Asked {
    refused: Option<String>,
    pragma: bool,
}

/// Watches over a connection whose statements may only read.
pub(super) struct OnlyReads(Arc<Mutex<Asked>>);

impl OnlyReads {
    /// From here on the connection opens no other file, sets nothing and loads no code.
    pub(super) fn of(conn: &Connection) -> Result<Self> {
        schema::check_names(conn)?;
        let asked = Arc::new(Mutex::new(Asked::default()));
        let own = asked.clone();
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            let mut asked = own.lock().unwrap_or_else(PoisonError::into_inner);
            asked.pragma |= matches!(context.action, AuthAction::Pragma { .. });
            match refusal(&context.action) {
                None => Authorization::Allow,
                Some(why) => {
                    asked.refused.get_or_insert(why);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(OnlyReads(asked))
    }

    /// Refuses a statement that would write, whatever it is called.
    pub(super) fn check(&self, statement: &Statement<'_>, sql: &str) -> Result<()> {
        // SQLite counts `PRAGMA journal_mode` as writing; of pragmas only those that read came so far.
        let pragma = self.0.lock().unwrap_or_else(PoisonError::into_inner).pragma;
        if statement.readonly() || pragma {
            return Ok(());
        }
        let sql = sql.trim();
        let shown = sql.char_indices().nth(SHOWN).map_or(sql, |(end, _)| &sql[..end]);
        let dots = if shown.len() < sql.len() { "..." } else { "" };
        Err(writes(format!("{shown:?}{dots}, which writes")))
    }

    /// The refusal, where an error came from one.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.take() {
            Some(why) => writes(why),
            None => error,
        }
    }
}

fn writes(got: String) -> Error {
    Error::invalid("the SQL statement", "one that only reads the file", got)
}

/// Why something may not be done. What writes rows is left to [`OnlyReads::check`]: a virtual table prepares
/// such statements also when it is only read.
fn refusal(action: &AuthAction<'_>) -> Option<String> {
    match action {
        AuthAction::Attach { filename: "" } => Some("VACUUM, which writes the file anew".into()),
        AuthAction::Attach { filename } => {
            Some(format!("ATTACH or VACUUM INTO, which opens another file, {filename:?}"))
        }
        AuthAction::Detach { database_name } => Some(format!("DETACH {database_name}")),
        AuthAction::Function { function_name } => function_name
            .eq_ignore_ascii_case("load_extension")
            .then(|| "load_extension(), which loads code".into()),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let is = |name: &&str| pragma_name.eq_ignore_ascii_case(name);
            match pragma_value {
                _ if REPORTS.iter().any(is) => None,
                None if SETTINGS.iter().any(is) => None,
                None => Some(format!("PRAGMA {pragma_name}, which is not known to only report")),
                Some(value) => {
                    Some(format!("PRAGMA {pragma_name} = {value}, which sets something"))
                }
            }
        }
        _ => None,
    }
}
