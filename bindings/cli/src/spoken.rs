//! The words of the command line: what the library calls the field of a definition is an option here.

use std::borrow::Cow;

/// Fields that stand in back quotes in a message or a hint, where their option is not the same word with two dashes.
const OTHER_WORDS: [(&str, &str); 2] = [("repository", "--gar-repository"), ("url", "the address")];

/// Fields of a registry that are options under their own name.
const FIELDS: [&str; 24] = [
    "access",
    "account",
    "alias",
    "api_url",
    "ca",
    "client_cert",
    "client_key",
    "cloud",
    "context",
    "dual_stack",
    "endpoint",
    "fips",
    "groups",
    "image_timeout",
    "location",
    "name",
    "namespaces",
    "owner",
    "plain_http",
    "private_addresses",
    "project",
    "projects",
    "region",
    "repository_key",
];

/// What is said without the name of a field.
const PHRASES: [(&str, &str); 4] = [
    ("leave out plain http", "leave --plain-http out, or write https:// in front of the host"),
    ("use plain http,", "use --plain-http,"),
    (
        "an environment variable, {\"env\": NAME}, a file, {\"file\": PATH}, or a command, {\"command\": [...]}",
        "an environment variable, --password-env or --token-env, a file, --password-file, or a command, --credential-command",
    ),
    ("or allow more time with the time-out", "or allow more time: --timeout of `registry add` and `set`"),
];

/// A text of the library for somebody at the shell.
pub(crate) fn in_options(text: &str) -> Cow<'_, str> {
    let mut spoken = Cow::Borrowed(text);
    let mut put = |said: &str, instead: &str| {
        if spoken.contains(said) {
            spoken = spoken.replace(said, instead).into();
        }
    };
    for (said, instead) in PHRASES {
        put(said, instead);
    }
    for (field, option) in OTHER_WORDS {
        put(&format!("`{field}`"), option);
    }
    for field in FIELDS {
        put(&format!("`{field}`"), &format!("--{}", field.replace('_', "-")));
    }
    spoken
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn fields_are_options() {
        for (said, told) in [
            ("give the CA certificate (PEM) with `ca`", "give the CA certificate (PEM) with --ca"),
            ("give `client_cert` and `client_key`", "give --client-cert and --client-key"),
            ("check `region`, `account`, the DNS", "check --region, --account, the DNS"),
            (
                "the port may speak https: leave out plain http",
                "the port may speak https: leave --plain-http out, or write https:// in front of the host",
            ),
            ("check `url` and `api_url`", "check the address and --api-url"),
            ("run `tidewaiter registry add`", "run `tidewaiter registry add`"),
            ("the right `read` in Artifactory", "the right `read` in Artifactory"),
        ] {
            assert_eq!(in_options(said), told);
        }
    }

    #[test]
    fn every_option_that_is_named_is_there() {
        let command = crate::Arguments::command();
        let add = command.find_subcommand("registry").unwrap().find_subcommand("add").unwrap();
        let known: Vec<_> = add.get_arguments().filter_map(|argument| argument.get_long()).collect();
        let phrases = PHRASES.iter().flat_map(|(_, instead)| instead.split([' ', ',', ':']));
        let named = phrases.filter(|word| word.starts_with("--")).map(str::to_owned);
        let fields = FIELDS.iter().map(|field| format!("--{}", field.replace('_', "-")));
        let others = OTHER_WORDS.iter().map(|(_, option)| (*option).to_owned()).filter(|word| word.starts_with("--"));
        for option in named.chain(fields).chain(others) {
            assert!(known.contains(&option.trim_start_matches("--")), "{option}");
        }
    }
}
