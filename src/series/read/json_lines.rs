//! A table of JSON lines: an object a line, a column a name.

use std::borrow::Cow;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::series::text::{Field, Row, bad_line};

/// The rows of a text of JSON lines that was looked at. Empty lines are passed over.
#[derive(Debug, Clone)]
pub(super) struct JsonRows<'a> {
    rest: &'a str,
    line: u64,
    names: Rc<[String]>,
}

impl<'a> JsonRows<'a> {
    /// Looks at all lines: the rows, and the names in the order in which they come first.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the line, for what is no object of numbers, texts, booleans and nulls.
    pub(super) fn of(text: &'a str, location: &str) -> Result<(Self, Vec<String>)> {
        let mut names: Vec<String> = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let mut own: Vec<Cow<'_, str>> = Vec::new();
            for (name, _) in
                object(line).map_err(|(expected, got)| bad_line(location, number, expected, got))?
            {
                if own.contains(&name) {
                    return Err(bad_line(location, number, "each name once", &name));
                }
                if !names.iter().any(|known| *known == name) {
                    names.push(name.clone().into_owned());
                }
                own.push(name);
            }
        }
        if names.is_empty() {
            let expected = "a JSON object a line";
            return Err(Error::invalid(location, expected, "none"));
        }
        Ok((JsonRows { rest: text, line: 0, names: names.clone().into() }, names))
    }
}

impl<'a> Iterator for JsonRows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            let cells = object(line).expect("all lines were looked at");
            if cells.is_empty() {
                continue;
            }
            let blank = Field { text: Cow::Borrowed(""), quoted: false };
            let mut fields = vec![blank; self.names.len()];
            for (i, (name, field)) in cells.into_iter().enumerate() {
                // As a rule the names come in one order.
                let at = match self.names.get(i).is_some_and(|known| *known == name) {
                    true => Some(i),
                    false => self.names.iter().position(|known| *known == name),
                };
                fields[at.expect("all names are known")] = field;
            }
            return Some(Row { line: self.line, open_quote: None, fields });
        }
    }
}

type Cells<'a> = Vec<(Cow<'a, str>, Field<'a>)>;

/// The names and values of a line; none of an empty one. Else what was expected, and what came.
fn object(line: &str) -> std::result::Result<Cells<'_>, (&'static str, &str)> {
    const OBJECT: &str = "a JSON object of numbers, texts, booleans and nulls";
    let mut rest = line.trim();
    let mut cells = Vec::new();
    if rest.is_empty() {
        return Ok(cells);
    }
    let refuse = |rest| Err((OBJECT, rest));
    let Some(inner) = rest.strip_prefix('{') else { return refuse(rest) };
    rest = inner.trim_start();
    while !rest.starts_with('}') {
        let Some((name, after)) = text(rest) else { return refuse(rest) };
        let Some(after) = after.trim_start().strip_prefix(':') else { return refuse(after) };
        let after = after.trim_start();
        let Some((field, after)) = value(after) else { return refuse(after) };
        cells.push((name, field));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) if after.trim_start().starts_with('"') => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            _ => return refuse(rest),
        }
    }
    match &rest[1..] {
        "" => Ok(cells),
        more => Err(("one JSON object a line", more)),
    }
}

/// A text in quotes, and what stands behind it.
fn text(rest: &str) -> Option<(Cow<'_, str>, &str)> {
    let inside = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    let (own, after) = (&inside[..end], &inside[end + 1..]);
    let is_plain = own.bytes().all(|byte| byte != b'\\' && byte >= b' ');
    let own = match is_plain {
        true => Cow::Borrowed(own),
        false => serde_json::from_str::<String>(&rest[..end + 2]).ok()?.into(),
    };
    Some((own, after))
}

/// A value as a field, and what stands behind it: a text is in quotes, and a null is missing.
fn value(rest: &str) -> Option<(Field<'_>, &str)> {
    if rest.starts_with('"') {
        let (text, after) = text(rest)?;
        return Some((Field { text, quoted: true }, after));
    }
    let end = rest.find([',', '}', ' ', '\t', '\r']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let is_number = || {
        let digits = word.strip_prefix('-').unwrap_or(word);
        digits.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok()
    };
    let text = match word {
        "null" => "",
        "true" | "false" | "NaN" | "Infinity" | "-Infinity" => word,
        _ if is_number() => word,
        _ => return None,
    };
    Some((Field { text: Cow::Borrowed(text), quoted: false }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: values are found by name, numbers as they are written; what is no flat object is named by its line.
    #[test]
    fn lines_are_rows() {
        let text = "{\"t\": 1, \"v\": -0.10, \"s\": \"a\\\"\\n\"}\n\n{\"s\":null,\"t\":2,\"b\":true}\r\n{ }\n";
        let (rows, names) = JsonRows::of(text, "a").unwrap();
        assert_eq!(names, ["t", "v", "s", "b"]);
        let rows: Vec<(u64, Vec<String>)> = rows
            .map(|row| (row.line, row.fields.iter().map(|field| field.text.to_string()).collect()))
            .collect();
        let fields = |fields: [&str; 4]| fields.map(str::to_owned).to_vec();
        assert_eq!(
            rows,
            [(1, fields(["1", "-0.10", "a\"\n", ""])), (3, fields(["2", "", "", "true"]))]
        );
        for (line, got) in [
            ("[1]", "[1]"),
            ("{\"t\":[1]}", "[1]"),
            ("{\"t\":{}}", "{}"),
            ("{\"t\":1,}", ",}"),
            ("{\"t\":1 2}", "2}"),
            ("{\"t\":01x}", "01x"),
            ("{\"t\":+1}", "+1"),
            ("{\"t\":inf}", "inf"),
            ("{\"t\":\"open}", "open"),
            ("{\"t\":1}{\"t\":2}", "{\\\"t\\\":2}"),
            ("{\"t\":1,\"t\":2}", "\"t\""),
            ("{\"t\":1", ""),
        ] {
            let error = JsonRows::of(&format!("{{\"t\":0}}\n{line}\n"), "a").unwrap_err();
            let error = error.to_string();
            assert!(error.contains("a, line 2") && error.contains(got), "{line}: {error}");
        }
    }
}
