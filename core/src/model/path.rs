//! Paths inside an image: bytes, relative to the root, shown without loss.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The path of a tar entry, cleaned: no leading slash, no empty or `.` component; a `..` never climbs above the root.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let mut cleaned: Vec<u8> = Vec::with_capacity(path.len());
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => cleaned.truncate(cleaned.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            component => {
                if !cleaned.is_empty() {
                    cleaned.push(b'/');
                }
                cleaned.extend_from_slice(component);
            }
        }
    }
    cleaned
}

/// The path as text. What is not UTF-8, and control characters, are escaped as `\xNN`: never lost, never printed raw.
pub fn show(path: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => Cow::Borrowed(text),
        _ => {
            let mut shown = String::with_capacity(path.len() + 8);
            for chunk in path.utf8_chunks() {
                for character in chunk.valid().chars() {
                    if character.is_control() {
                        let mut buffer = [0; 4];
                        for byte in character.encode_utf8(&mut buffer).bytes() {
                            let _ = write!(shown, "\\x{byte:02x}");
                        }
                    } else {
                        shown.push(character);
                    }
                }
                for byte in chunk.invalid() {
                    let _ = write!(shown, "\\x{byte:02x}");
                }
            }
            Cow::Owned(shown)
        }
    }
}

/// The directory and the last component of a cleaned path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

/// The path of what a cleaned directory has under a name.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        for (path, cleaned) in [
            ("./usr//lib/", "usr/lib"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/b/../c", "a/c"),
            ("a/../../c", "c"),
            (".", ""),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes(), "{path}");
        }
    }

    #[test]
    fn shows_without_loss() {
        assert_eq!(show(b"usr/lib\xff\n"), "usr/lib\\xff\\x0a");
        assert_eq!(show("étc".as_bytes()), "étc");
    }
}
