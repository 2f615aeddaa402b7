//! What runs with each host: so many requests at once, and so many a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::retry;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How many hosts are remembered before those where nothing runs are forgotten.
const HOSTS: usize = 64;

/// What one host is asked at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Requests at once; a body that is still read counts.
    pub concurrency: usize,
    /// The time from the start of one request to that of the next; none where they may start as they come.
    pub interval: Option<Duration>,
}

impl Default for Bound {
    fn default() -> Self {
        Self { concurrency: 8, interval: None }
    }
}

/// What runs with each host. Cheap to clone; whatever shares one keeps to its bounds together.
#[derive(Clone, Default)]
pub struct Traffic(Arc<Mutex<Vec<Host>>>);

/// A host, as those see it who have the same bound for it.
struct Host {
    name: String,
    port: Option<u16>,
    bound: Bound,
    permits: Arc<Semaphore>,
    /// When the next request may start, where there is an interval.
    next: Instant,
}

impl Traffic {
    /// Waits until a request to the host of `url` may start. It counts as running until the permit is dropped.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub async fn enter(&self, url: &Url, bound: Bound, context: &Context) -> Result<OwnedSemaphorePermit> {
        let permits = self.with(url, bound, |host| Arc::clone(&host.permits));
        // Who comes while others wait gets none here, and waits behind them.
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let closed = |_| Error::new(Kind::Internal, "the limit of a host was closed");
                context.run(async { permits.acquire_owned().await.map_err(closed) }).await?
            }
        };
        if let Some(interval) = bound.interval {
            let wait = self.with(url, bound, |host| turn(&mut host.next, interval, Instant::now()));
            if !wait.is_zero() {
                retry::pause(wait, context).await?;
            }
        }
        Ok(permit)
    }

    fn with<T>(&self, url: &Url, bound: Bound, then: impl FnOnce(&mut Host) -> T) -> T {
        let (name, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |host: &Host| host.port == port && host.name == name && host.bound == bound;
        if let Some(host) = hosts.iter_mut().find(|host| is_it(host)) {
            return then(host);
        }
        if hosts.len() >= HOSTS {
            // Hosts that redirects led to once.
            let now = Instant::now();
            hosts.retain(|host| Arc::strong_count(&host.permits) > 1 || host.next > now);
        }
        let permits = Arc::new(Semaphore::new(bound.concurrency.clamp(1, 1024)));
        let mut host = Host { name: name.to_owned(), port, bound, permits, next: Instant::now() };
        let done = then(&mut host);
        hosts.push(host);
        done
    }
}

/// How long to wait for one's turn, and the turn of whoever comes next. What was not used before is not caught up on.
fn turn(next: &mut Instant, interval: Duration, now: Instant) -> Duration {
    let mine = (*next).max(now);
    // So far away that there is no such time: nobody waits that long.
    *next = mine.checked_add(interval).unwrap_or(mine);
    mine.duration_since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_start_an_interval_apart() {
        let (start, interval) = (Instant::now(), Duration::from_millis(100));
        let mut next = start;
        let mut turn = |now: u64| turn(&mut next, interval, start + Duration::from_millis(now)).as_millis();
        // Four at once, one that comes in between, one after a pause: it goes at once, and only it.
        assert_eq!([turn(0), turn(0), turn(0), turn(10)], [0, 100, 200, 290]);
        assert_eq!([turn(350), turn(5000), turn(5000)], [50, 0, 100]);
    }

    #[tokio::test]
    async fn bounds_hold_for_a_host_and_not_for_others() {
        let traffic = Traffic::default();
        let bound = Bound { concurrency: 1, interval: Some(Duration::from_secs(3600)) };
        let context = Context::new().deadline(Duration::from_millis(50));
        let enter = async |url: &str, bound| traffic.enter(&Url::parse(url).unwrap(), bound, &context).await;
        let held = enter("https://a.example/x", bound).await.unwrap();
        for (url, bound) in [
            ("https://b.example/x", bound),
            ("https://a.example:8443/x", bound),
            ("https://a.example/x", Bound::default()),
        ] {
            drop(enter(url, bound).await.unwrap());
        }
        drop(held);
        assert_eq!(enter("https://a.example/y", bound).await.unwrap_err().kind(), Kind::Canceled);
    }

    #[tokio::test]
    async fn forgets_hosts_where_nothing_runs() {
        let (traffic, context) = (Traffic::default(), Context::new());
        let bound = Bound { concurrency: 1, interval: Some(Duration::from_secs(3600)) };
        let url = |host: u32| Url::parse(&format!("https://h{host}.example")).unwrap();
        let held = traffic.enter(&url(0), Bound::default(), &context).await.unwrap();
        drop(traffic.enter(&url(1), bound, &context).await.unwrap());
        for host in 2..1000 {
            drop(traffic.enter(&url(host), Bound::default(), &context).await.unwrap());
        }
        let hosts = traffic.0.lock().unwrap();
        assert!(hosts.len() <= HOSTS && hosts[0].name == "h0.example" && hosts[1].name == "h1.example");
        drop(held);
    }
}
