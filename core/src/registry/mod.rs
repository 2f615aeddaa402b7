//! Registries: what a user says about one, who we are there, what is in it. One file a vendor; bytes are pulled elsewhere (`source`).

mod artifactory;
pub mod check;
pub mod connection;
pub mod connector;
pub mod credential;
pub mod definition;
mod docker;
pub mod docker_config;
mod gitea;
mod gitlab;
mod harbor;
mod listing;
mod msr;
mod nexus;
mod openshift;
mod plain;
mod quay;
pub mod secret;
pub mod v2;
pub mod vendor;
mod zot;

pub use artifactory::{ArtifactoryAccess, ArtifactorySettings};
pub use check::{Check, Step, StepName, check};
pub use connection::Connection;
pub use connector::{Capabilities, Connector, Wanted};
pub use credential::Credential;
pub use definition::Registry;
pub use gitlab::GitlabSettings;
pub use harbor::HarborSettings;
pub use nexus::NexusSettings;
pub use openshift::OpenshiftSettings;
pub use quay::QuaySettings;
pub use secret::Secret;
pub use vendor::Vendor;
