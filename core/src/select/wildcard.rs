//! Text with `*` (any run of characters, also none, also across `/`) and `?` (exactly one), as AQL's `$match` reads it.

/// Whether the whole of `text` is what `pattern` describes. Steps: at most the product of the two lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on when what follows the latest star does not match: behind the star, one character further.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let text_here = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = text_here;
                retry = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("?", "é", true),
            ("a*c", "abbbc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("*a?c*", "xxabcabd", true),
            ("tool_x", "toolyx", false),
            ("**", "", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    /// The same by its definition, in exponential time.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', pattern)), _) => (0..=text.len()).any(|skip| slowly(pattern, &text[skip..])),
            (Some(('?', pattern)), Some((_, text))) => slowly(pattern, text),
            (Some((wanted, pattern)), Some((found, text))) => wanted == found && slowly(pattern, text),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (wanted, found): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), slowly(&wanted, &found));
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let (pattern, text) = ("*a".repeat(2000) + "b", "a".repeat(4000));
        assert!(!matches(&pattern, &text));
    }
}
