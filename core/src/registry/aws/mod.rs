//! Amazon's cloud: who we are there, and how its APIs are spoken to.

mod api;
mod chain;
mod credential;
mod endpoint;
mod keys;
mod metadata;
mod profile;
mod sign;
mod sso;
mod sts;
#[cfg(test)]
mod tests;

pub(super) use api::Api;
pub(super) use chain::Chain;
pub use credential::AwsCredential;
pub(super) use endpoint::{Place, Variant, service_url};
