//! Calls that would go on for ever, against a server that never answers, and their ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::future::Future;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tidewaiter::{Cancel, Kind, Selection};
use tidewaiter_facade::{CheckOptions, Config, ImportOptions, Observer, ScanOptions, Scanner, Silent, from_json};

/// Generous: a busy machine must not fail a test.
const SOON: Duration = Duration::from_secs(10);

/// A registry that takes connections and never answers, and how an image in it is called.
fn silent() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/app", server.local_addr().unwrap());
    (server, image)
}

fn scanner() -> Scanner {
    Scanner::open(Config { offline: true, cache: None, ..Config::default() }).unwrap()
}

fn options(more: &str) -> ScanOptions {
    from_json(&format!(r#"{{"plain_http": true, "credential": {{"anonymous": {{}}}}{more}}}"#), "the options").unwrap()
}

/// Runs `work`, which must not take long.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    done
}

#[test]
fn a_cancel_from_another_thread_ends_a_call() {
    let (_server, image) = silent();
    let (scanner, cancel) = (scanner(), Cancel::new());
    let pending = scanner.scan(&image, options(""), &cancel).unwrap();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        cancel.cancel();
    });
    assert_eq!(soon(|| pending.wait(&mut Silent)).unwrap_err().kind(), Kind::Canceled);
    other.join().unwrap();
}

#[test]
fn a_timeout_ends_a_call() {
    let (_server, image) = silent();
    let scanner = scanner();
    let pending = scanner.scan(&image, options(r#", "timeout": 0.1"#), &Cancel::new()).unwrap();
    assert_eq!(soon(|| pending.wait(&mut Silent)).unwrap_err().kind(), Kind::Canceled);
}

#[test]
fn a_timeout_ends_a_listing() {
    let (_server, image) = silent();
    let url = image.trim_end_matches("/app");
    let registry =
        from_json(&format!(r#"{{"url": "http://{url}", "credential": {{"anonymous": {{}}}}}}"#), "x").unwrap();
    let scanner = scanner();
    let listing = scanner.images(registry, Selection::new()).unwrap().timeout(Some(0.1)).unwrap();
    for _ in 0..2 {
        assert_eq!(soon(|| listing.next(&mut Silent, &Cancel::new())).unwrap_err().kind(), Kind::Canceled);
    }
    assert_eq!(listing.timeout(Some(0.0)).unwrap_err().kind(), Kind::InvalidInput);
}

#[test]
fn a_break_while_idle_ends_a_call() {
    struct Impatient(u32);
    impl Observer for Impatient {
        fn idle(&mut self) -> ControlFlow<()> {
            self.0 += 1;
            if self.0 == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn interval(&self) -> Option<Duration> {
            Some(Duration::from_millis(10))
        }
    }
    let (_server, image) = silent();
    let scanner = scanner();
    let pending = scanner.scan(&image, options(""), &Cancel::new()).unwrap();
    assert_eq!(soon(|| pending.wait(&mut Impatient(0))).unwrap_err().kind(), Kind::Canceled);
}

#[test]
fn closing_ends_what_runs_and_stays() {
    let (_server, image) = silent();
    let scanner = scanner();
    let pending = scanner.scan(&image, options(""), &Cancel::new()).unwrap();
    soon(|| scanner.close()).unwrap();
    assert_eq!(soon(|| pending.wait(&mut Silent)).unwrap_err().kind(), Kind::Canceled);
    scanner.close().unwrap();
    let refused = scanner.scan(&image, options(""), &Cancel::new()).err().unwrap();
    assert_eq!(refused.kind(), Kind::InvalidState);
}

#[test]
fn a_call_keeps_its_scanner() {
    let (_server, image) = silent();
    let cancel = Cancel::new();
    let pending = scanner().scan(&image, options(""), &cancel).unwrap();
    let other = thread::spawn(move || pending.wait(&mut Silent));
    thread::sleep(Duration::from_millis(100));
    assert!(!other.is_finished(), "the call ended with the handle that made it");
    cancel.cancel();
    assert_eq!(soon(|| other.join()).unwrap().unwrap_err().kind(), Kind::Canceled);
}

#[test]
fn dropping_a_call_cancels_it() {
    let (_server, image) = silent();
    let scanner = scanner();
    let pending = scanner.scan(&image, options(""), &Cancel::new()).unwrap();
    let cancel = pending.canceller();
    soon(|| drop(pending));
    assert!(cancel.is_canceled());
    soon(|| scanner.close()).unwrap();
}

#[test]
fn a_call_is_a_future_of_any_executor() {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let (_server, image) = silent();
    let scanner = scanner();
    let pending = scanner.scan(&image, options(""), &Cancel::new()).unwrap();
    let cancel = pending.canceller();
    let mut pending = pin!(pending);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    assert!(pending.as_mut().poll(&mut context).is_pending());
    thread::spawn(move || cancel.cancel());
    let ended = soon(|| {
        loop {
            match pending.as_mut().poll(&mut context) {
                Poll::Ready(ended) => return ended,
                Poll::Pending => thread::park_timeout(SOON),
            }
        }
    });
    assert_eq!(ended.unwrap_err().kind(), Kind::Canceled);
}

#[test]
fn calls_run_side_by_side() {
    let (_server, image) = silent();
    let scanner = scanner();
    let cancel = Cancel::new();
    let stuck = scanner.scan(&image, options(""), &cancel).unwrap();
    soon(|| scanner.advisories_status().unwrap().wait(&mut Silent)).unwrap();
    cancel.cancel();
    assert!(soon(|| stuck.wait(&mut Silent)).is_err());
}

#[test]
fn a_wrong_call_is_refused_before_any_work() {
    let scanner = scanner();
    let cancel = Cancel::new();
    for (target, more) in [("NO image", ""), ("app", r#", "timeout": 0"#)] {
        assert_eq!(scanner.scan(target, options(more), &cancel).err().unwrap().kind(), Kind::InvalidInput, "{target}");
    }
    let nothing = scanner.import_advisories(ImportOptions::default(), &cancel).err().unwrap();
    assert_eq!(nothing.kind(), Kind::InvalidInput);
    let wrong = Config { limits: [("nonsense".to_owned(), 1)].into(), ..Config::default() };
    assert_eq!(Scanner::open(wrong).unwrap_err().kind(), Kind::InvalidInput);
}

#[test]
fn a_check_can_be_canceled() {
    let (_server, image) = silent();
    let url = image.trim_end_matches("/app");
    let registry =
        from_json(&format!(r#"{{"url": "http://{url}", "credential": {{"anonymous": {{}}}}}}"#), "x").unwrap();
    let (scanner, cancel) = (scanner(), Cancel::new());
    cancel.cancel();
    let pending = scanner.check(registry, CheckOptions::default(), &cancel).unwrap();
    assert_eq!(soon(|| pending.wait(&mut Silent)).unwrap_err().kind(), Kind::Canceled);
}
