//! Retries, decided here and nowhere else: from the kind of the error, the step that failed, and `Retry-After`.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::failure::Step;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How often and how long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many times in all; 1 is no retry.
    pub attempts: u32,
    /// The upper bound of the first delay; it doubles each time.
    pub first: Duration,
    /// The upper bound of every delay of our own.
    pub most: Duration,
    /// The longest `Retry-After` that is waited for; a longer one is told to the caller instead.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(250),
            most: Duration::from_secs(30),
            patience: Duration::from_secs(120),
        }
    }
}

impl Policy {
    /// One attempt, no retry.
    pub fn once() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How long to wait before the next attempt, or none where there is to be no other. `attempt` counts from 1.
    pub fn delay(&self, error: &Error, step: Option<Step>, attempt: u32) -> Option<Duration> {
        let is_passing = match step {
            Some(step) => step.is_passing(),
            None => matches!(error.kind(), Kind::RateLimited | Kind::Unavailable),
        };
        if !is_passing || attempt >= self.attempts {
            return None;
        }
        match error.retry_after() {
            Some(asked) => (asked <= self.patience).then_some(asked),
            None => {
                let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
                Some(doubled.min(self.most).mul_f64(random()))
            }
        }
    }

    /// Waits before the next attempt, as long as [`Policy::delay`] says.
    ///
    /// # Errors
    /// The error itself where there is to be no other attempt; [`Kind::Canceled`].
    pub async fn wait(&self, error: Error, step: Option<Step>, attempt: u32, context: &Context) -> Result<()> {
        match self.delay(&error, step, attempt) {
            Some(delay) => pause(delay, context).await,
            None => Err(error),
        }
    }
}

/// Sleeps, unless the call is canceled meanwhile.
///
/// # Errors
/// [`Kind::Canceled`].
pub async fn pause(delay: Duration, context: &Context) -> Result<()> {
    let sleep = async {
        tokio::time::sleep(delay).await;
        Ok(())
    };
    context.run(sleep).await
}

/// The statuses that may pass: RFC 9110 and RFC 6585, and nothing that a second try would not change.
pub fn is_passing_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. A date in the past is no delay. So many seconds that they would
/// be decades are since 1970, as some write them.
pub fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        let since_1970 = u64::try_from(now.as_second()).unwrap_or_default();
        let is_time = seconds > 1_000_000_000;
        return Some(Duration::from_secs(if is_time { seconds.saturating_sub(since_1970) } else { seconds }));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// How long an answer asks to wait: `Retry-After`, or, where a limit is used up, what its headers say of its end. `header` gives a
/// header by its name.
///
/// The dialects: seconds from now (RFC 9110, and the draft of `RateLimit-Reset`), seconds since 1970 (GitHub, GitLab and Docker
/// Hub; the last in `X-Retry-After` too), the window of the limit alone (Docker Hub's pulls).
pub fn asked_delay<'a>(
    status: u16,
    header: impl Fn(&str) -> Option<&'a str>,
    now: jiff::Timestamp,
) -> Option<Duration> {
    let asked = ["retry-after", "x-retry-after"].iter().find_map(|name| retry_after(header(name)?, now));
    if asked.is_some() {
        return asked;
    }
    let is_none = |left: &&str| left.split(';').next().is_some_and(|left| left.trim() == "0");
    let used_up = ["x-ratelimit-remaining", "ratelimit-remaining"].iter().find_map(|name| header(name).filter(is_none));
    let used_up = used_up.filter(|_| matches!(status, 403 | 429))?;
    let end = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| retry_after(header(name)?, now));
    // Without its end, the limit holds for its window at the most.
    end.or_else(|| used_up.split_once(";w=")?.1.trim().parse().ok().map(Duration::from_secs))
}

/// A number in 0..1: full jitter needs no good randomness, only that clients differ.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Tue, 24 Nov 2026 12:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Tue, 24 Nov 2026 11:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    #[test]
    #[rustfmt::skip]
    fn reads_the_dialects_of_limits() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = (now.as_second() + 9).to_string();
        for (status, headers, expected) in [
            (429, &[("retry-after", "7"), ("x-ratelimit-reset", "1")][..], Some(7)),
            (429, &[("x-retry-after", at.as_str())], Some(9)),
            (429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", at.as_str())], Some(9)),
            (429, &[("ratelimit-remaining", "0;w=21600"), ("ratelimit-reset", "30")], Some(30)),
            (429, &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")], Some(21600)),
            (429, &[("ratelimit-remaining", "7;w=21600")], None),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", at.as_str())], Some(9)),
            (403, &[("x-ratelimit-remaining", "4999"), ("x-ratelimit-reset", at.as_str())], None),
            (403, &[], None),
            (429, &[], None),
        ] {
            let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            assert_eq!(asked_delay(status, header, now).map(|delay| delay.as_secs()), expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn retries_what_may_pass() {
        let policy = Policy::default();
        let error = |kind| Error::new(kind, "x");
        assert!(policy.delay(&error(Kind::Unavailable), None, 1).is_some_and(|delay| delay <= policy.first));
        assert!(policy.delay(&error(Kind::Unavailable), None, 5).is_none());
        assert!(policy.delay(&error(Kind::Unavailable), Some(Step::Tls), 1).is_none());
        assert!(policy.delay(&error(Kind::NotFound), None, 1).is_none());
        let asked = |seconds| error(Kind::RateLimited).with_retry_after(Duration::from_secs(seconds));
        assert_eq!(policy.delay(&asked(3), None, 1), Some(Duration::from_secs(3)));
        assert_eq!(policy.delay(&asked(3600), None, 1), None);
    }
}
