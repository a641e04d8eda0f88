//! Keys as LevelDB prints them, in dumps and properties.
//!
//! Thread rule: values without shared state.

use crate::format::internal_key::ParsedInternalKey;
use std::fmt::{Display, Formatter, Result, Write};

/// Bytes: printable ASCII as it is (a backslash too), others as `\xNN`.
pub struct DisplayBytes<'a>(pub &'a [u8]);

impl Display for DisplayBytes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|&byte| match byte {
            b' '..=b'~' => f.write_char(char::from(byte)),
            _ => write!(f, "\\x{byte:02x}"),
        })
    }
}

/// An internal key: `'user key' @ sequence : type`. A key of an unknown type is written whole, after `(bad)`.
pub struct DisplayKey<'a>(pub &'a [u8]);

impl Display for DisplayKey<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match ParsedInternalKey::parse(self.0) {
            Some(key) => {
                let (user_key, number) = (DisplayBytes(key.user_key), key.value_type as u8);
                write!(f, "'{user_key}' @ {} : {number}", key.sequence)
            }
            None => write!(f, "(bad){}", DisplayBytes(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printed_as_leveldb_prints_them() {
        assert_eq!(
            DisplayKey(b"a\\'\0\x7f\xff\x01\x09\0\0\0\0\0\0").to_string(),
            r"'a\'\x00\x7f\xff' @ 9 : 1"
        );
        assert_eq!(DisplayKey(b"short").to_string(), "(bad)short");
        assert_eq!(DisplayKey(b"k\x07\0\0\0\0\0\0\0").to_string(), r"(bad)k\x07\x00\x00\x00\x00\x00\x00\x00");
    }
}
