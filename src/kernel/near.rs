//! Names that are near to one that is not there.

/// The most names that an error lists.
const MOST: usize = 5;

/// What an error says of a name that is not there: those that are near to it, or some of all.
pub(crate) fn hint(name: &str, known: &[String]) -> String {
    match (near(name, known), known.len()) {
        (Some(near), _) => format!("near it: {near}"),
        (None, 0) => "there is none".into(),
        (None, n) => {
            let more = if n > MOST { ", ..." } else { "" };
            format!("there are: {}{more}", known[..n.min(MOST)].join(", "))
        }
    }
}

/// The names that are near to one, the nearest first.
pub(crate) fn near(name: &str, known: &[String]) -> Option<String> {
    let mut near: Vec<(usize, &String)> =
        known.iter().filter_map(|other| Some((distance(name, other)?, other))).collect();
    near.sort();
    let names: Vec<&str> = near.iter().take(MOST).map(|(_, name)| name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// How far a name is from another, if it is near: in letters, small and capital ones the same, of the whole names or of
/// the last parts of paths.
fn distance(a: &str, b: &str) -> Option<usize> {
    let [a, b] = [a, b].map(|name| name.replace('"', "").to_lowercase());
    let parts = |name: &str| match name.rsplit_once(['.', '/']) {
        Some((space, last)) => (space.to_owned(), last.to_owned()),
        None => (String::new(), name.to_owned()),
    };
    let ((a_space, a_last), (b_space, b_last)) = (parts(&a), parts(&b));
    let near = |a: &str, b: &str| {
        let n = edits(a, b);
        (n <= 1 + b.chars().count() / 4).then_some(n)
    };
    let last = near(&a_last, &b_last).map(|n| n + usize::from(a_space != b_space));
    near(&a, &b).into_iter().chain(last).min()
}

/// How many letters are to be changed, added or removed.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an error names what was meant: a letter wrong, another case, a name without its namespace; else what there is.
    #[test]
    fn near_names_are_found() {
        let known = ["params.rate", "params.\"learning-rate\"", "params.N", "results.loss"];
        let known = known.map(str::to_owned);
        assert_eq!(hint("params.n", &known), "near it: params.N");
        assert_eq!(hint("rate", &known), "near it: params.rate");
        assert_eq!(hint("lerning-rate", &known), "near it: params.\"learning-rate\"");
        assert_eq!(hint("params.\"lerning-rate\"", &known), "near it: params.\"learning-rate\"");
        assert!(hint("unheard", &known).starts_with("there are: params.rate"));
        assert_eq!(hint("x", &[]), "there is none");
    }
}
