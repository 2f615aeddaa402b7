//! The only HTTP: client, TLS, redirects, retries, per-host limits, challenges, tokens, paging, redaction. No vendor is named here.

pub mod address;
pub mod answer;
pub mod api;
pub mod challenge;
pub mod client;
pub mod failure;
pub mod identity;
pub mod link;
mod parts;
pub mod redact;
mod resolve;
pub mod retry;
pub mod session;
pub mod tls;
pub mod token;
pub mod traffic;
pub mod way;
