//! Addresses in definitions: how they are read, and that no user and no password is kept in one.

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::net::redact;

/// Reads an address, which is https where it has no scheme, or http where `plain_http` says so.
///
/// # Errors
/// [`Kind::InvalidInput`] naming the field, for what is no address of a registry or holds a user.
pub(super) fn read(text: &str, plain_http: bool, field: &'static str) -> Result<Url> {
    let wrong = |message: &'static str| {
        Error::new(Kind::InvalidInput, message)
            .with("field", field)
            .with_hint("an address is https://host:port, or host:port")
    };
    without_user(text, field)?;
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{}://{text}", if plain_http { "http" } else { "https" })
    };
    let url = Url::parse(&text).map_err(|error| wrong("this is no address of http or https").because(error))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("this is no address of http or https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an address has no query here"));
    }
    Ok(url)
}

/// That no user and no password stands in an address as somebody wrote it: it is shown, and saved.
///
/// # Errors
/// [`Kind::InvalidInput`] naming the field.
pub(super) fn without_user(text: &str, field: &'static str) -> Result<()> {
    if text.contains('@') {
        return Err(Error::new(Kind::InvalidInput, "an address holds no user and no password")
            .with("field", field)
            .with_hint("put them into the credential"));
    }
    Ok(())
}

/// The error of an address whose host says another place than a field: one would be listed, and the other pulled from.
pub(super) fn contradicts(url: &Url, field: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "the address and a field name different places")
        .with("url", redact::url(url))
        .with("field", field)
        .with_hint("leave out one of them")
}

/// An address of a credential, as [`without_user`] has it.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(source)?;
    text.as_deref().map_or(Ok(()), |text| without_user(text, "address")).map_err(serde::de::Error::custom)?;
    Ok(text)
}

/// An address, unless it holds a user: that stays in memory, like any secret in plain text.
pub(super) fn serialize<S: Serializer>(address: &Option<String>, target: S) -> Result<S::Ok, S::Error> {
    if address.as_deref().is_some_and(|text| text.contains('@')) {
        return Err(serde::ser::Error::custom(
            "a user and a password in an address are never written down: those of a proxy may stand in HTTPS_PROXY, others in the credential",
        ));
    }
    address.serialize(target)
}

/// An address as it may be shown.
pub(super) fn shown(address: &Option<String>) -> Option<String> {
    address.as_deref().map(redact::address)
}
