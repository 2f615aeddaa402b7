//! The words of a command, as a POSIX shell splits them: quotes and backslashes, and nothing that is looked up or run.

use tidewaiter::{Error, Kind, Result};

/// Splits at blanks outside of quotes. In single quotes everything stands for itself; in double quotes a backslash keeps `"`, `\`,
/// `$` and the back quote; elsewhere it keeps any character. On Windows a backslash is part of a path, unless a quote follows.
pub(crate) fn split(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => {
                let is_kept = |next: char| match quote {
                    Some(_) => matches!(next, '"' | '\\' | '$' | '`'),
                    None => !cfg!(windows) || matches!(next, '"' | '\''),
                };
                let kept = rest.next_if(|next| is_kept(*next));
                if kept.is_none() && quote.is_none() && rest.peek().is_none() && !cfg!(windows) {
                    return Err(wrong("a command ends in a backslash"));
                }
                word.get_or_insert_default().push(kept.unwrap_or('\\'));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match (quote, words.first()) {
        (Some(_), _) => Err(wrong("a quote of a command is not closed")),
        (None, None) => Err(wrong("a command is missing")),
        (None, Some(_)) => Ok(words),
    }
}

fn wrong(message: &'static str) -> Error {
    // The command is not shown: it may hold a secret.
    Error::new(Kind::InvalidInput, message)
        .with("option", "--credential-command")
        .with_hint("put words with blanks in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(windows))]
    fn splits_as_a_shell_does() {
        for (text, expected) in [
            ("pass show registry", &["pass", "show", "registry"][..]),
            ("  a\t b ", &["a", "b"]),
            ("sh -c 'echo \"a b\"'", &["sh", "-c", "echo \"a b\""]),
            ("a\"b c\"d ''", &["ab cd", ""]),
            (r#"a\ b "c\"d\e" 'f\g'"#, &["a b", r#"c"d\e"#, r"f\g"]),
            ("é 'ü ö'", &["é", "ü ö"]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        for text in ["", " ", "a 'b", "a \"b", r"a\"] {
            assert_eq!(split(text).unwrap_err().kind(), Kind::InvalidInput, "{text}");
        }
    }
}
