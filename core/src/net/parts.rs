//! How many parts JSON has, counted before it is read: `[{},{},…]` of some megabytes would be hundreds of them in memory.

/// The most objects and lists: more than rows of a query have room in the longest answer.
const MAX_NESTED: usize = 250_000;
/// The most values: what is in so many rows.
const MAX_VALUES: usize = 2_000_000;

/// Whether these are more parts than any list that is read here has. What is no JSON is for its reader to tell.
pub(super) fn are_too_many(json: &[u8]) -> bool {
    // An object takes two bytes at least, a value too, with its comma.
    if json.len() < 2 * MAX_NESTED {
        return false;
    }
    let (mut nested, mut values, mut is_text, mut is_escaped) = (0, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => nested += 1,
            b',' => values += 1,
            _ => {}
        }
    }
    nested > MAX_NESTED || values > MAX_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_texts_does_not_count() {
        let list = |element: &str, count: usize| format!("[{element}{}]", format!(",{element}").repeat(count));
        for (json, many) in [
            (list("{}", MAX_NESTED + 1), true),
            (list("{}", MAX_NESTED - 2), false),
            (list("0", MAX_VALUES + 1), true),
            (list("0", MAX_VALUES - 1), false),
            (format!(r#"["\\\"{}"]"#, "{[,".repeat(MAX_VALUES)), false),
            (format!(r#"["\\"{}"]"#, ",{}".repeat(MAX_NESTED + 1)), true),
        ] {
            assert_eq!(are_too_many(json.as_bytes()), many, "{}", json.get(..20).unwrap());
        }
    }
}
