//! Behaviour suites over every implementation.
