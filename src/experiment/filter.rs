//! Filters of simulations: SQL's `WHERE`, in which `params.<name>` and `results.<name>` are exact names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::record_table::quoted;
use crate::error::{Error, Result};
use crate::kernel::json::{find, stored_object};
use crate::kernel::{ReadTx, near};

const EXPECTED: &str =
    "SQL's WHERE over the columns of simulations, params.<name> and results.<name>";

/// The namespaces, and the columns of `simulations` that their names are in.
const SPACES: [(&str, &str); 2] = [("params", "parameters"), ("results", "results_summary")];

/// A piece of a filter.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name or word as it is written.
    Name(String),
    /// A name in quotes.
    Quoted(String),
    Dot,
    Open,
    Close,
    /// Texts, numbers, marks, blanks.
    Other,
}

/// The numbers and names of the simulations for which the filter holds.
pub(super) fn filtered(
    tx: &ReadTx<'_>,
    experiment: Option<&str>,
    filter: &str,
) -> Result<Vec<(i64, String)>> {
    if filter.trim().is_empty() {
        return Err(Error::invalid("the filter", EXPECTED, "an empty text"));
    }
    let known = Known::load(tx)?;
    let sql = format!(
        "SELECT id, simulation_id FROM simulations \
         WHERE (?1 IS NULL OR experiment_id = ?1) AND ({}\n) ORDER BY id",
        translate(filter, &known)?
    );
    let found = tx.query(&sql, [experiment], |row| Ok((row.get(0)?, row.get(1)?)));
    found.map_err(|error| match error {
        Error::Sqlite { why, .. } => match why.split_once("no such column: ") {
            Some((_, name)) => {
                // What SQLite says behind the name.
                let ends = [" - should this be", " in SELECT "].map(|end| name.find(end));
                let end = ends.into_iter().flatten().min().unwrap_or(name.len());
                known.unknown(&name[..end], filter)
            }
            None => Error::invalid("the filter", EXPECTED, format!("{filter:?}: {why}")),
        },
        other => other,
    })
}

/// The filter as SQL, in which names of the namespaces are values.
fn translate(filter: &str, known: &Known) -> Result<String> {
    let tokens = tokens(filter)?;
    check_parentheses(filter, &tokens)?;
    let mut sql = String::with_capacity(filter.len() + 64);
    let mut i = 0;
    while let Some((token, text)) = tokens.get(i) {
        let is = |at: usize, token: Token| tokens.get(at).is_some_and(|(t, _)| *t == token);
        let is_first = i == 0 || !is(i - 1, Token::Dot);
        i += 1;
        match token {
            Token::Name(name) if is_first && is(i, Token::Dot) => {
                let Some(space) = SPACES.iter().position(|(space, _)| space == name) else {
                    sql.push_str(text);
                    continue;
                };
                let mut path = Vec::new();
                while is(i, Token::Dot)
                    && let Some((Token::Name(key) | Token::Quoted(key), _)) = tokens.get(i + 1)
                {
                    path.push(key.clone());
                    i += 2;
                }
                sql.push_str(&known.value(space, &path)?);
            }
            // A parameter that is no word of SQL can stand for itself; a column comes first.
            Token::Quoted(name)
                if is_first
                    && !is(i, Token::Dot)
                    && !is(i, Token::Open)
                    && !known.is_column(name)
                    && known.has(0, std::slice::from_ref(name)) =>
            {
                sql.push_str(&known.value(0, std::slice::from_ref(name))?);
            }
            _ => sql.push_str(text),
        }
    }
    Ok(sql)
}

/// A filter that closes what it has not opened would end the condition that it is a part of.
fn check_parentheses(filter: &str, tokens: &[(Token, &str)]) -> Result<()> {
    let mut open = 0i64;
    for (token, _) in tokens {
        open += match token {
            Token::Open => 1,
            Token::Close => -1,
            _ => 0,
        };
        if open < 0 {
            break;
        }
    }
    match open {
        0 => Ok(()),
        _ => Err(Error::invalid("the filter", "parentheses in pairs", format!("{filter:?}"))),
    }
}

fn tokens(filter: &str) -> Result<Vec<(Token, &str)>> {
    let mut tokens = Vec::new();
    let mut rest = filter;
    while let Some(c) = rest.chars().next() {
        let (token, n) = match c {
            '\'' => (Token::Other, in_quotes(rest, '\'', filter)?.1),
            '"' | '`' => {
                let (name, n) = in_quotes(rest, c, filter)?;
                (Token::Quoted(name), n)
            }
            '[' => {
                let n = rest.find(']').ok_or_else(|| open_end(filter, c))?;
                (Token::Quoted(rest[1..n].to_owned()), n + 1)
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => (Token::Dot, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '-' if rest.starts_with("--") => (Token::Other, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                let n = rest[2..].find("*/").ok_or_else(|| open_end(filter, c))?;
                (Token::Other, n + 4)
            }
            c if c.is_ascii_digit() || c == '.' => {
                let end = |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_';
                let n = rest.find(end).unwrap_or(rest.len());
                check_integer(&rest[..n])?;
                (Token::Other, n)
            }
            c if is_letter(c) => {
                let end = |c: char| !is_letter(c) && !c.is_ascii_digit() && c != '$';
                let n = rest.find(end).unwrap_or(rest.len());
                (Token::Name(rest[..n].to_owned()), n)
            }
            c => (Token::Other, c.len_utf8()),
        };
        tokens.push((token, &rest[..n]));
        rest = &rest[n..];
    }
    Ok(tokens)
}

/// Refuses integers that SQLite would round to a float, which then equals its neighbours.
fn check_integer(number: &str) -> Result<()> {
    let is_integer = number.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer && number.parse::<i64>().is_err() {
        let expected =
            "integers of 64 bits with sign; a larger one with a decimal point, as a float";
        return Err(Error::invalid("the filter", expected, number));
    }
    Ok(())
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// What is between quotes, two of which stand for one; and how long it is with them.
fn in_quotes(text: &str, quote: char, filter: &str) -> Result<(String, usize)> {
    let mut from = 1;
    loop {
        let n = text[from..].find(quote).ok_or_else(|| open_end(filter, quote))? + from;
        if !text[n + 1..].starts_with(quote) {
            let twice = format!("{quote}{quote}");
            return Ok((text[1..n].replace(&twice, &quote.to_string()), n + 1));
        }
        from = n + 2;
    }
}

fn open_end(filter: &str, quote: char) -> Error {
    Error::invalid("the filter", format!("an end of what {quote} begins"), format!("{filter:?}"))
}

/// The names that a filter can have.
struct Known {
    columns: Vec<String>,
    /// Of each simulation, by [`SPACES`].
    objects: Vec<[Value; 2]>,
}

impl Known {
    fn load(tx: &ReadTx<'_>) -> Result<Self> {
        let sql = "SELECT name FROM pragma_table_info('simulations') WHERE name <> 'row_sum'";
        let columns = tx.query(sql, [], |row| Ok(row.get(0)?))?;
        let sql = "SELECT parameters, results_summary FROM simulations ORDER BY id";
        let object = |text: Option<String>| Value::Object(stored_object(text.as_deref()));
        let objects = tx.query(sql, [], |row| Ok([object(row.get(0)?), object(row.get(1)?)]))?;
        Ok(Known { columns, objects })
    }

    fn is_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.eq_ignore_ascii_case(name))
    }

    fn has(&self, space: usize, path: &[String]) -> bool {
        self.objects.iter().any(|objects| find(&objects[space], path).is_some())
    }

    /// The value of a name as SQL. Of a file without simulations every name can be one.
    fn value(&self, space: usize, path: &[String]) -> Result<String> {
        if !self.has(space, path) && !self.objects.is_empty() {
            return Err(self.unknown(&written(space, path), ""));
        }
        let mut sql = format!("silt_value(simulations.{}", SPACES[space].1);
        for key in path {
            sql.push_str(&format!(", '{}'", key.replace('\'', "''")));
        }
        Ok(sql + ")")
    }

    /// A name that is none; in double quotes behind an operator of the filter it is perhaps meant as a text.
    fn unknown(&self, name: &str, filter: &str) -> Error {
        let mut names = self.columns.clone();
        for (space, _) in SPACES.iter().enumerate() {
            let mut paths = BTreeSet::new();
            for objects in &self.objects {
                if let Value::Object(object) = &objects[space] {
                    add_paths(object, &mut Vec::new(), &mut paths);
                }
            }
            names.extend(paths.iter().map(|path| written(space, path)));
        }
        let plain = name.replace('"', "");
        let as_text = match filter.contains(&format!("\"{plain}\"")) {
            true => format!("; a text stands in single quotes, '{plain}'"),
            false => String::new(),
        };
        Error::invalid("a name of the filter", EXPECTED, {
            let name = if name.contains('"') { name.to_owned() } else { format!("{name:?}") };
            format!("{name}{as_text}; {}", near::hint(&plain, &names))
        })
    }
}

/// The paths of an object, those of objects in it too.
fn add_paths(object: &Map<String, Value>, to: &mut Vec<String>, all: &mut BTreeSet<Vec<String>>) {
    for (key, value) in object {
        to.push(key.clone());
        match value {
            Value::Object(inner) if !crate::kernel::json::is_number(value) && to.len() < 8 => {
                add_paths(inner, to, all);
            }
            _ => {
                all.insert(to.clone());
            }
        }
        to.pop();
    }
}

/// A path as it is written in a filter.
fn written(space: usize, path: &[String]) -> String {
    let mut text = SPACES[space].0.to_owned();
    for key in path {
        let plain =
            key.chars().all(|c| is_letter(c) || c.is_ascii_digit()) && key.starts_with(is_letter);
        text.push('.');
        text.push_str(&if plain { key.clone() } else { quoted(key) });
    }
    text
}
