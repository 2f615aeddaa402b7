//! Answers whose bytes come one by one, never so late that the connection stands still: each is given up or done without.

use std::time::{Duration, Instant};

use tidewaiter::net::client::{Client, Options};
use tidewaiter::net::retry::Policy;
use tidewaiter::{Context, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers with this status and a body that never ends, until the test does.
async fn dripping(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = client.read(&mut [0; 4096]).await;
                let mut next = client.write_all(format!("HTTP/1.1 {status} x\r\n\r\nexpired token").as_bytes()).await;
                while next.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    next = client.write_all(b".").await;
                }
            });
        }
    });
    url
}

fn client() -> Client {
    // Two time-outs are more than a refusal gets.
    Client::new(&Options { timeout: Duration::from_secs(3), retry: Policy::once(), ..Options::default() }).unwrap()
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let (url, context, began) = (dripping(200).await, Context::new(), Instant::now());
    let reading = async {
        let response = client().get(&url, &[], &context).await.unwrap();
        response.bytes(1 << 20, &context).await
    };
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await.expect("it ends");
    let error = read.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.hint().is_some(), "{error:?}");
    assert!(error.to_string().contains("1 KiB a second") && began.elapsed() >= Duration::from_secs(6), "{error}");
}

#[tokio::test]
async fn a_refusal_that_drips_is_told_without_its_end() {
    for (status, kind) in [(404, Kind::NotFound), (403, Kind::PermissionDenied)] {
        let (url, context, began) = (dripping(status).await, Context::new(), Instant::now());
        let reading = async {
            let mut response = client().get(&url, &[], &context).await.unwrap();
            assert_eq!(response.says_expired(&context).await.unwrap(), status == 403);
            response.refused(&context).await
        };
        let error = tokio::time::timeout(Duration::from_secs(30), reading).await.expect("it ends");
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains("expired token") && began.elapsed() < Duration::from_secs(20), "{error}");
    }
}
