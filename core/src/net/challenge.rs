//! `WWW-Authenticate`: a superset of RFC 9110, section 11, that takes what registries really send.

/// The longest header lines, together, that are looked at. What is longer is no challenge.
pub const MAX_BYTES: usize = 16 << 10;

/// One challenge: a scheme and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `bearer`, `basic`, `negotiate`.
    pub scheme: String,
    /// The parameters in order, their names in lower case.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter; none where it is missing.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The scopes, of which there may be several between blanks; an empty `scope` is none.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.param("scope").unwrap_or_default().split_ascii_whitespace()
    }

    /// Whether it can be answered with a token: a bearer challenge that names a realm.
    pub fn is_bearer(&self) -> bool {
        self.scheme == "bearer" && self.param("realm").is_some_and(|realm| !realm.is_empty())
    }

    /// Whether it can be answered with a user name and a password.
    pub fn is_basic(&self) -> bool {
        self.scheme == "basic"
    }
}

/// All challenges of the header lines, in order. Nonsense is skipped.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut left = MAX_BYTES;
    for line in lines {
        let Some(rest) = left.checked_sub(line.len()) else { break };
        left = rest;
        parse_line(&String::from_utf8_lossy(line), &mut found);
    }
    found
}

fn parse_line(line: &str, found: &mut Vec<Challenge>) {
    let mut rest = Cursor(line);
    // Whether a word without `=` behind it can be a scheme: at the start and behind a comma.
    let mut fresh = true;
    let mut open = false;
    loop {
        rest.skip(|c| c.is_ascii_whitespace());
        if rest.0.is_empty() {
            return;
        }
        if rest.take(",") {
            fresh = true;
            continue;
        }
        let word = rest.word();
        if word.is_empty() {
            // Not a token: junk up to the next comma.
            rest.skip(|c| c != ',');
            continue;
        }
        let before = rest.0;
        rest.skip(|c| c.is_ascii_whitespace());
        let is_param = open && rest.0.starts_with('=') && !is_padding(before);
        if is_param {
            rest.take("=");
            rest.skip(|c| c.is_ascii_whitespace());
            let value = if rest.take("\"") { rest.quoted() } else { rest.loose() };
            if let Some(challenge) = found.last_mut() {
                challenge.params.push((word.to_ascii_lowercase(), value));
            }
            fresh = false;
        } else if fresh {
            found.push(Challenge { scheme: word.to_ascii_lowercase(), params: Vec::new() });
            open = true;
            fresh = false;
        } else {
            // A token68, or the rest of an unquoted value with blanks.
            rest.skip(|c| c != ',');
        }
    }
}

/// Whether what follows a word is the padding of a token68 (`YII==`) and not a parameter's `=`.
fn is_padding(rest: &str) -> bool {
    let unpadded = rest.trim_start_matches('=');
    unpadded.len() < rest.len()
        && rest.len() - unpadded.len() > 1
        && (unpadded.trim_start().is_empty() || unpadded.trim_start().starts_with(','))
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip(&mut self, matches: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(matches);
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.0.strip_prefix(prefix) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A token of RFC 9110, and the characters of a token68.
    fn word(&mut self) -> &'a str {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
        let (word, rest) = self.0.split_at(self.0.find(|c| !is_word(c)).unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }

    /// The value behind an opening quote; a missing end is the end of the line.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut characters = self.0.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next()),
                other => value.push(other),
            }
        }
        self.0 = characters.as_str();
        value
    }

    /// An unquoted value: up to a blank or a comma. Real ones hold whole URLs.
    fn loose(&mut self) -> String {
        let end = self.0.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(self.0.len());
        let (value, rest) = self.0.split_at(end);
        self.0 = rest;
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `scheme name=[value] …`, challenges between ` | `.
    fn shown(lines: &[&str]) -> String {
        let challenges = parse(lines.iter().map(|line| line.as_bytes())).into_iter().map(|challenge| {
            let params: Vec<_> = challenge.params.iter().map(|(name, value)| format!(" {name}=[{value}]")).collect();
            format!("{}{}", challenge.scheme, params.concat())
        });
        challenges.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    #[rustfmt::skip]
    fn reads_what_registries_send() {
        let table: &[(&[&str], &str)] = &[
            (&[r#"Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push""#],
                "bearer realm=[https://auth.example/token] service=[reg.example] scope=[repository:a/b:pull,push]"),
            (&[r#"Bearer realm="https://git.example/v2/token""#, "Basic"],
                "bearer realm=[https://git.example/v2/token] | basic"),
            (&[r#"Negotiate, Basic realm="x, y", Bearer realm="https://a/t", service="s""#],
                "negotiate | basic realm=[x, y] | bearer realm=[https://a/t] service=[s]"),
            (&[r#"Basic realm=openshift,error="access denied""#],
                "basic realm=[openshift] error=[access denied]"),
            (&[r#"BASIC realm="Sonatype Nexus Repository Manager""#],
                "basic realm=[Sonatype Nexus Repository Manager]"),
            (&["bearer realm=https://auth.example/token"],
                "bearer realm=[https://auth.example/token]"),
            (&[r#"Bearer realm="https://z/t",service="z",scope="""#],
                "bearer realm=[https://z/t] service=[z] scope=[]"),
            (&[r#"Bearer realm="/service/token",service=x"#],
                "bearer realm=[/service/token] service=[x]"),
            (&[r#"Bearer realm="http://127.0.0.1:9/token",service="svc",scope="repository:a/b:pull,push repository:c/d:pull""#],
                "bearer realm=[http://127.0.0.1:9/token] service=[svc] scope=[repository:a/b:pull,push repository:c/d:pull]"),
            (&[r#"Bearer realm="https://a/t",service="s",scope="registry:catalog:*",error="insufficient_scope""#],
                "bearer realm=[https://a/t] service=[s] scope=[registry:catalog:*] error=[insufficient_scope]"),
            (&[r#"Negotiate YII==, Bearer realm="https://a/t""#],
                "negotiate | bearer realm=[https://a/t]"),
            (&[r#"Bearer realm="a\"b""#],
                "bearer realm=[a\"b]"),
            (&["basic realm="],
                "basic realm=[]"),
            (&["basic realm=My Registry"],
                "basic realm=[My]"),
            (&[""], ""),
            (&["Bearer"], "bearer"),
            // Empty elements, blanks around the equals sign, no end of a quote.
            (&[r#",, Bearer  realm = "https://a/t" ,, service = s , Basic realm="x"#],
                "bearer realm=[https://a/t] service=[s] | basic realm=[x]"),
        ];
        for (lines, expected) in table {
            assert_eq!(shown(lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn a_challenge_without_realm_is_no_bearer() {
        assert!(!parse([b"Bearer".as_slice()])[0].is_bearer());
        assert_eq!(parse([br#"Bearer realm="https://z/t",scope="""#.as_slice()])[0].scopes().count(), 0);
    }

    #[test]
    fn is_bounded() {
        let long = format!("Bearer realm=\"{}\"", "x".repeat(MAX_BYTES));
        assert!(parse([long.as_bytes()]).is_empty());
    }

    proptest! {
        #[test]
        fn takes_anything(line in ".*") {
            parse([line.as_bytes()]);
        }
    }
}
