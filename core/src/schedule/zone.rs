//! Time zones by their names.

use jiff::tz::TimeZone;

use crate::error::Result;

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// Upper and lower case do not count.
    pub(super) fn named(name: &str) -> Result<Self> {
        let unknown = || {
            super::invalid("there is no such time zone", "zone")
                .with("zone", name.chars().take(100).collect::<String>().escape_debug())
                .with_hint("give a name of the IANA database, such as UTC or Europe/Berlin")
        };
        let rules = TimeZone::get(name).map_err(|error| unknown().because(error))?;
        if rules.is_unknown() {
            return Err(unknown());
        }
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, rules })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rules(&self) -> &TimeZone {
        &self.rules
    }
}
