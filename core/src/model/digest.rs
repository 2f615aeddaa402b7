//! Content digests, as the OCI image specification writes them (`descriptor.md`, "Digests").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use crate::error::{Error, Kind, Result};

/// An algorithm that content can be verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 64 lower-case hexadecimal digits.
    Sha256,
    /// SHA-512: 128 lower-case hexadecimal digits.
    Sha512,
}

/// A digest that can be verified: `sha256:` or `sha512:` and lower-case hexadecimal digits.
///
/// ```
/// use tidewaiter::model::digest::Digest;
/// let digest = Digest::of(b"{}");
/// assert_eq!(digest.as_str(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
/// assert_eq!(digest.as_str().parse::<Digest>()?, digest);
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Box<str>);

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The whole text, algorithm included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// A hasher of this digest's algorithm, to verify content as it streams by.
    pub fn hasher(&self) -> Hasher {
        Hasher::new(self.algorithm())
    }

    /// Whether `bytes` are what this digest names.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |message: &'static str| Err(Error::new(Kind::InvalidInput, message).with("digest", text.escape_debug()));
        let Some((algorithm, hex)) = text.split_once(':') else {
            return wrong("a digest is an algorithm, a colon and hexadecimal digits");
        };
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return wrong("this digest algorithm cannot be verified here: sha256 and sha512 can"),
        };
        if hex.len() != length || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return wrong("the digest does not have the right number of lower-case hexadecimal digits");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Nothing hashed yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::new())),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all the bytes taken.
    pub fn finish(self) -> Digest {
        fn text(algorithm: &str, bytes: &[u8]) -> Digest {
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
            let mut text = String::with_capacity(algorithm.len() + 1 + 2 * bytes.len());
            text.push_str(algorithm);
            text.push(':');
            text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
            Digest(text.into())
        }
        match self.0 {
            State::Sha256(hasher) => text("sha256", &hasher.finalize()),
            State::Sha512(hasher) => text("sha512", &hasher.finalize()),
        }
    }
}
