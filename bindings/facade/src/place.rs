//! Where in a JSON text something is wrong, as a path of fields: nobody counts the columns of what a program has written.

/// An object or an array that is open, with the key or the index of what is read in it.
enum Open {
    Object { key: String, is_key_next: bool },
    Array(usize),
}

/// The path of the value at an error of serde_json, such as `selection.tags[1]`; none at the top, and for a field that is missing, is one
/// too many or is unknown, which the error names itself.
pub(crate) fn of(text: &str, error: &serde_json::Error) -> Option<String> {
    let message = error.to_string();
    let names_it = ["unknown field", "missing field", "duplicate field"].iter().any(|start| message.starts_with(start));
    if names_it || !error.is_data() {
        return None;
    }
    let before: usize = text.split_inclusive('\n').take(error.line().checked_sub(1)?).map(str::len).sum();
    // The column is that of the last byte that was looked at, which may be the one behind a number.
    let read = text.get(before..)?.bytes().take(error.column().saturating_sub(1));
    let path = path(&text.bytes().take(before).chain(read).collect::<Vec<_>>());
    (!path.is_empty()).then_some(path)
}

/// The path of where a text that ends in the middle has come to.
fn path(read: &[u8]) -> String {
    let mut open: Vec<Open> = Vec::new();
    let mut rest = read.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' => open.push(Open::Object { key: String::new(), is_key_next: true }),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object { is_key_next, .. }) => *is_key_next = true,
                Some(Open::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let mut string = Vec::new();
                while let Some(byte) = rest.next().filter(|byte| *byte != b'"') {
                    string.push(byte);
                    if byte == b'\\' {
                        string.extend(rest.next());
                    }
                }
                if let Some(Open::Object { key, is_key_next }) = open.last_mut()
                    && std::mem::take(is_key_next)
                {
                    *key = String::from_utf8_lossy(&string).escape_debug().to_string();
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for open in &open {
        match open {
            Open::Array(index) => path.push_str(&format!("[{index}]")),
            Open::Object { key, .. } if path.is_empty() => path.push_str(key),
            Open::Object { key, .. } => path.push_str(&format!(".{key}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU64;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Shape {
        newest: Option<NonZeroU64>,
        tags: Option<Vec<String>>,
        inner: Option<BTreeMap<String, Vec<u8>>>,
    }

    #[test]
    fn tells_the_field_of_what_is_wrong() {
        for (json, expected) in [
            (r#"{"newest":0}"#, Some("newest")),
            (r#"{"tags": ["a"], "newest": "3"}"#, Some("newest")),
            ("{\n  \"tags\": \"a\"\n}", Some("tags")),
            (r#"{"tags": ["a", "b,\"]}", 7]}"#, Some("tags[2]")),
            (r#"{"inner": {"é": [1, 2], "b": [1, 256]}, "newest": 1}"#, Some("inner.b[1]")),
            (r#"{"newest": 1, "oldest": 2}"#, None),
            (r#"{"newest": 1, "newest": 2}"#, None),
            ("7", None),
            (r#"{"newest": "#, None),
        ] {
            let error = serde_json::from_str::<Shape>(json).unwrap_err();
            assert_eq!(of(json, &error).as_deref(), expected, "{json}: {error}");
        }
    }
}
