//! How the name of a package is written in the index: the same for import and for look-up.

use std::borrow::Cow;

/// The longest name that is taken, with its ecosystem, in bytes.
const LONGEST: usize = 4096;
/// The longest key, in bytes.
pub(crate) const LONGEST_KEY: usize = LONGEST + 1;

/// The name of a package as the index of `ecosystem` (without release) spells it: PEP 503 for PyPI, in small letters where a world
/// does not tell them from capital ones, the address of a Swift package without what only a client needs, all others as written.
fn normalized<'a>(ecosystem: &str, name: &'a str) -> Cow<'a, str> {
    match ecosystem {
        "PyPI" => pep503(name),
        "NuGet" | "Packagist" => lower(name),
        "SwiftURL" => {
            let name = name.strip_prefix("https://").unwrap_or(name);
            lower(name.strip_suffix(".git").unwrap_or(name))
        }
        _ => Cow::Borrowed(name),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }
}

/// PEP 503, "Normalized Names".
fn pep503(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut separated = false;
    for letter in name.chars() {
        if matches!(letter, '-' | '_' | '.') {
            if !separated {
                out.push('-');
            }
            separated = true;
        } else {
            out.push(letter.to_ascii_lowercase());
            separated = false;
        }
    }
    Cow::Owned(out)
}

/// The key of a package in the index; none for names that no package can have.
pub(crate) fn key(ecosystem: &str, name: &str) -> Option<Vec<u8>> {
    let name = normalized(ecosystem, name);
    if ecosystem.is_empty() || name.is_empty() || ecosystem.len() + name.len() > LONGEST {
        return None;
    }
    if ecosystem.contains('\0') || name.contains('\0') {
        return None;
    }
    Some([ecosystem.as_bytes(), b"\0", name.as_bytes()].concat())
}

/// The ecosystem of a key.
pub(crate) fn ecosystem_of(key: &[u8]) -> &str {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or_default();
    key.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_names_as_their_world_does() {
        for (ecosystem, name, expected) in [
            ("PyPI", "Django", "django"),
            ("PyPI", "ruamel.yaml", "ruamel-yaml"),
            ("PyPI", "A__b.-c", "a-b-c"),
            ("npm", "JSONStream", "JSONStream"),
            ("NuGet", "Microsoft.NETCore.App.Runtime.linux-arm", "microsoft.netcore.app.runtime.linux-arm"),
            ("Packagist", "Symfony/HTTP-kernel", "symfony/http-kernel"),
            ("SwiftURL", "github.com/gRPC/grpc-swift", "github.com/grpc/grpc-swift"),
            ("SwiftURL", "https://github.com/vapor/vapor.git", "github.com/vapor/vapor"),
            ("Go", "github.com/Azure/go-autorest", "github.com/Azure/go-autorest"),
            ("Maven", "org.apache:Log4j_2", "org.apache:Log4j_2"),
        ] {
            assert_eq!(normalized(ecosystem, name), expected, "{ecosystem} {name}");
        }
    }

    #[test]
    fn keys_cannot_be_forged() {
        assert_eq!(key("npm", "a\0b"), None);
        assert_eq!(key("", "a"), None);
        assert_eq!(key("npm", &"a".repeat(5000)), None);
        assert_eq!(ecosystem_of(&key("Debian", "openssl").unwrap()), "Debian");
    }
}
