//! Names that nobody else has.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A random UUID (version 4). The system's randomness is in it twice.
pub(super) fn uuid() -> String {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    let bits = (half() << 64 | half()) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    /// Goal: no two are alike, and each says its version.
    #[test]
    fn names_differ_and_say_their_version() {
        let names: std::collections::BTreeSet<String> = (0..1_000).map(|_| super::uuid()).collect();
        assert_eq!(names.len(), 1_000);
        let is_one = |name: &String| {
            name.len() == 36 && &name[14..15] == "4" && "89ab".contains(&name[19..20])
        };
        assert!(names.iter().all(is_one));
    }
}
