//! Microsoft's cloud: who we are there.

mod credential;
mod entra;
#[cfg(test)]
mod tests;

pub use credential::AzureCredential;
pub(super) use entra::{Cloud, Entra};
