//! Integration tests, one binary.

mod advisories;
mod advisory_update;
mod alone;
mod big;
mod catalogs;
mod corpus;
#[path = "../support/docker_registry.rs"]
mod docker_registry;
mod examples;
mod faults;
mod foreign;
mod formats;
mod hostile;
mod images;
mod jobs;
mod layering;
mod listing;
mod memory;
mod modules;
mod overlay;
mod parity;
mod proxy;
mod registry;
mod rpm_log;
mod rpmdb;
mod schedules;
mod secrets;
mod sources;
mod versions;
