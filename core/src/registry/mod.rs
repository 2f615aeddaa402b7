//! Registries: what a user says about one, who we are there, what is in it. One file a vendor; bytes are pulled elsewhere (`source`).

pub mod connection;
pub mod credential;
pub mod definition;
pub mod docker_config;
pub mod secret;

pub use connection::Connection;
pub use credential::Credential;
pub use definition::Registry;
pub use secret::Secret;
