//! Who we are at a registry, and where that comes from: looked up when it is needed, and again when it ends or is refused.

use std::time::{Duration, Instant};

use base64::Engine as _;
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::Result;

/// Who we are, ready to be sent. `Debug` shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user name and a password.
    Basic {
        /// The name, without a colon.
        username: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that is sent as it is.
    Bearer(Zeroizing<String>),
    /// An identity token, which a token server exchanges; it goes to the realm only.
    Refresh(Zeroizing<String>),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
            Self::Refresh(_) => "Refresh(***)",
        })
    }
}

impl Identity {
    /// The value of an `Authorization` header with user name and password (RFC 7617).
    pub fn basic(&self) -> Option<Zeroizing<String>> {
        let Self::Basic { username, password } = self else { return None };
        let plain = Zeroizing::new(format!("{username}:{}", password.as_str()));
        Some(Zeroizing::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()))))
    }
}

/// An identity, and how long it holds.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Who we are.
    pub identity: Identity,
    /// When it is to be looked up again; none for one without an end.
    pub until: Option<Instant>,
}

impl Issued {
    /// An identity without an end.
    pub fn for_good(identity: Identity) -> Self {
        Self { identity, until: None }
    }

    /// An identity that holds for `life`, where its issuer says how long. It is looked up again `early` before its end, or after three
    /// quarters of a life that is shorter than four times that.
    pub fn lasting(identity: Identity, life: Option<Duration>, early: Duration) -> Self {
        // So far away that there is no such time is without an end.
        let until = life.and_then(|life| Instant::now().checked_add(life.saturating_sub(early.min(life / 4))));
        Self { identity, until }
    }
}

/// Where an identity comes from: a password in a file, a role of a cloud, docker's configuration.
///
/// It is asked before the first request, again when what it gave ends, and once more when what it gave is refused: a password
/// may have been changed meanwhile. It answers with what holds now, from no cache of its own.
pub trait IdentitySource: Send + Sync + std::fmt::Debug {
    /// Who we are now.
    ///
    /// # Errors
    /// Whatever keeps the source from knowing, with what to do about it.
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>>;
}

/// The same identity always.
impl IdentitySource for Identity {
    fn identity<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async { Ok(Issued::for_good(self.clone())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_looked_up_again_before_its_end() {
        let left = |life: u64| {
            let issued =
                Issued::lasting(Identity::Anonymous, Some(Duration::from_secs(life)), Duration::from_secs(300));
            issued.until.map(|until| until.duration_since(Instant::now()).as_secs_f64().round())
        };
        assert_eq!([left(3600), left(400), left(0)], [Some(3300.0), Some(300.0), Some(0.0)]);
        // A server may say any number.
        assert_eq!(left(u64::MAX), None);
        assert!(Issued::lasting(Identity::Anonymous, None, Duration::ZERO).until.is_none());
    }
}
