//! Pieces of a page. Names from a file are text: whatever they hold, they begin no tag and end no attribute.

use std::fmt::Write;

/// A text as it stands in a page, or in an attribute between quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // What no page may hold, and what would turn the text around it.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// A name from a file, apart from the direction in which the rest is written.
pub(super) fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// A table; its cells are pages already. A column whose title begins with `#` has numbers.
pub(super) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let class = |i: usize| match titles.get(i).is_some_and(|title| title.starts_with('#')) {
        true => " class=\"n\"",
        false => "",
    };
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr>");
    for (i, title) in titles.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(i), title.trim_start_matches('#'));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(i));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Names and what is said of them; the latter are pages already.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let mut out = String::from("<dl>");
    for (title, said) in facts {
        let _ = write!(out, "<dt>{}</dt><dd>{said}</dd>", escaped(title));
    }
    out.push_str("</dl>\n");
    out
}

/// A section with a heading, which is a page already.
pub(super) fn section(heading: &str, note: &str, body: &str) -> String {
    format!("<section>\n<h2>{heading} <small>{note}</small></h2>\n{body}</section>\n")
}

/// A number of things, its digits in threes.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes, roughly.
pub(super) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && size < 9.95);
    format!("{size:.digits$} {}", units[unit])
}

/// A value of JSON as a text: a text without its quotes, and of numbers twelve digits.
pub(super) fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(n) if n.is_f64() => {
            n.as_f64().map_or_else(|| n.to_string(), number)
        }
        other => other.to_string(),
    }
}

/// A number with twelve digits: none of the noise that sums of floats have.
pub(super) fn number(x: f64) -> String {
    let rounded: f64 = format!("{x:.11e}").parse().unwrap_or(x);
    match rounded == 0.0 || (1e-5..1e15).contains(&rounded.abs()) {
        true => rounded.to_string(),
        false => format!("{rounded:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whatever a name holds, it is text, and does not turn what stands around it.
    #[test]
    fn names_are_text() {
        let hostile = "</bdi><script>alert('1')</script>\" onload=\"x\u{202e}\u{0}&amp;";
        let escaped = escaped(hostile);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']), "{escaped}");
        assert!(escaped.contains("&amp;amp;"), "{escaped}");
        assert_eq!(name("a<b"), "<bdi>a&lt;b</bdi>");
    }

    /// Goal: numbers as people read them.
    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [9, 999, 1_000, 12_345, 10_000_000_000].map(size),
            ["9 B", "999 B", "1.0 kB", "12 kB", "10 GB"]
        );
        assert_eq!(
            [0.1 + 0.2, -0.0, 1e-9, 1e20, 3.0].map(number),
            ["0.3", "-0", "1e-9", "1e20", "3"]
        );
    }
}
