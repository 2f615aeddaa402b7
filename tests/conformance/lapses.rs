//! What happens to every product in the middle of a run: it wants to be asked more slowly, its password is changed, a right is missing.

use std::io::Write as _;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use tidewaiter::model::record::{ImageDate, ImageRecord};
use tidewaiter::registry::{Registry, Secret, StepName, Wanted, check};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Imitation};

/// A password that is changed, in a file as a definition names it.
pub struct Password {
    file: tempfile::NamedTempFile,
    changes: Mutex<usize>,
}

impl Password {
    pub fn new() -> Self {
        let password = Self { file: tempfile::NamedTempFile::new().unwrap(), changes: Mutex::new(0) };
        password.change();
        password
    }

    /// From now on another one is good, and stands in the file.
    pub fn change(&self) {
        let mut changes = self.changes.lock().unwrap();
        *changes += 1;
        let mut file = std::fs::File::create(self.file.path()).unwrap();
        write!(file, "planted-s3cret-{changes}").unwrap();
    }

    /// Where a definition finds it.
    pub fn secret(&self) -> Secret {
        Secret::file(self.file.path())
    }

    /// A request as an imitation sees it that knows `good` alone: it is in the place of the password that is good now.
    pub fn seen(&self, asked: &Asked, good: &str) -> Asked {
        let now = format!("planted-s3cret-{}", self.changes.lock().unwrap());
        let known = |sent: &str| match sent {
            sent if sent == now => good.to_owned(),
            sent if sent.starts_with("planted-s3cret-") => "changed".to_owned(),
            // The token of a token server.
            sent => sent.to_owned(),
        };
        let mut headers = asked.headers.clone();
        let authorization = match (asked.basic(), asked.bearer()) {
            (Some((user, password)), _) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", known(&password)))))
            }
            (None, Some(token)) => Some(format!("Bearer {}", known(token))),
            (None, None) => None,
        };
        headers.extend(authorization.map(|value| ("authorization".to_owned(), value)));
        if let Some(token) = headers.get_mut("private-token") {
            *token = known(token);
        }
        Asked { headers, ..asked.clone() }
    }
}

/// A product, and where its answers can be spoiled: an imitation, and a part of what it is asked for.
pub struct Product<'a> {
    /// It finds its password where [`Password::secret`] says.
    pub registry: Registry,
    pub password: &'a Password,
    /// Where tags come from with their dates.
    pub dates: (&'a Imitation, &'a str),
    /// Where tags come from otherwise.
    pub tags: (&'a Imitation, &'a str),
    /// The challenge of a token that has ended, for products that give tokens.
    pub challenge: Option<String>,
}

/// That nothing is lost and nothing is hidden, of an image that has dates.
pub async fn suite(product: Product<'_>, repository: &str) {
    let connector = connector(&product.registry).await.unwrap();
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    let list = async || connector.images(repository, &wanted, &context).await;
    let tags = |images: &[ImageRecord]| -> Vec<_> {
        images.iter().map(|image| (image.digest.clone(), image.tags.clone())).collect()
    };
    let all = list().await.unwrap();
    assert!(!all.is_empty() && all.iter().all(|image| image.date != ImageDate::none()), "{all:?}");

    let (server, part) = product.dates;
    server.fault(part, 2, Answer::too_many());
    assert_eq!(list().await.unwrap(), all, "throttled");
    server.fault(part, 1, Answer::new(429, "application/json", "{}").with("retry-after", "3600"));
    let error = list().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after().map(|delay| delay.as_secs())), (Kind::RateLimited, Some(3600)));

    product.password.change();
    if let Some(challenge) = &product.challenge {
        let ended = Answer::refused(401, "UNAUTHORIZED", "token has ended").with("www-authenticate", challenge);
        server.fault(part, 1, ended);
    }
    assert_eq!(list().await.unwrap(), all, "the password was changed");

    let refused = || Answer::refused(403, "DENIED", "no");
    server.fault(part, 1, refused());
    let without = list().await.unwrap();
    assert_eq!(tags(&without), tags(&all), "without the right to dates");
    assert!(without.iter().all(|image| image.date == ImageDate::none()), "{without:?}");

    server.fault(part, 1, refused());
    product.tags.0.fault(product.tags.1, 1, refused());
    let error = list().await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

/// A wrong password lists nothing, also where everybody may read a part, and the check says that it is wrong.
pub async fn a_wrong_password_lists_nothing(wrong: &Registry) {
    let (wanted, context) = (Wanted::default(), Context::new());
    let lists = connector(wrong).await.unwrap();
    let error = lists.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
    let error = lists.images("team/app", &wanted, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
    let done = check(wrong, None, &context).await.unwrap();
    assert_eq!(done.failed().map(|step| step.step), Some(StepName::Authenticate), "{done:?}");
}
