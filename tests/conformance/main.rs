//! Behaviour suites over every implementation. What stands in for a vendor is an imitation, written from its documented contract:
//! one readable file each.

mod acr;
mod artifactory;
mod aws;
mod debian;
mod docker;
#[path = "../support/docker_registry.rs"]
mod docker_registry;
mod dockerhub;
mod ecr;
mod ecr_public;
mod faults;
mod ghcr;
mod gitea;
mod gitlab;
mod google;
mod harbor;
mod imitation;
mod lapses;
mod moto;
mod msr;
mod nexus;
mod openshift;
mod postgres;
mod postgres_races;
mod push_down;
mod quay;
mod samples;
mod sources;
mod stores;
mod tokens;
mod zot;

use std::sync::Arc;

use tidewaiter::registry::{Connection, Connector, Registry, vendor};
use tidewaiter::{Context, Result};

/// The connector of a registry.
async fn connector(registry: &Registry) -> Result<Arc<dyn Connector>> {
    let connection = Connection::open(registry, None, &Context::new()).await?;
    vendor::of(&registry.kind)?.connect(registry, connection)
}
