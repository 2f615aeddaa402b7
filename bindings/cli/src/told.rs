//! Selections and schedules in words, for people: in JSON they are what they are.

use tidewaiter::schedule::{Definition, Schedule};
use tidewaiter::select::{Selection, Undated};

/// When a job runs, such as `every day at 02:30 Europe/Berlin`.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    let Some(Definition { every, at, weekday, zone, .. }) = Option::from(schedule.clone()) else {
        return "on demand".to_owned();
    };
    let mut text = match (every, weekday) {
        (1, _) => "every day".to_owned(),
        (_, Some(weekday)) => format!("every {weekday}"),
        (every, None) => format!("every {every} days"),
    };
    if let Some(at) = at {
        text.push_str(&format!(" at {at}"));
    }
    if let Some(zone) = zone {
        text.push_str(&format!(" {zone}"));
    }
    text
}

/// Which images are meant, such as `repositories team/*; tags v*; the newest 3`.
pub(crate) fn selection(selection: &Selection) -> String {
    let mut parts = Vec::new();
    for (what, patterns) in [
        ("repositories", &selection.repositories),
        ("not the repositories", &selection.exclude_repositories),
        ("tags", &selection.tags),
        ("not the tags", &selection.exclude_tags),
        ("platforms", &selection.platforms),
    ] {
        if !patterns.is_empty() {
            parts.push(format!("{what} {}", patterns.join(", ")));
        }
    }
    if !selection.pushed.is_all() {
        parts.push(format!("pushed {} {}", selection.pushed, selection.zone.name()));
    }
    if selection.undated != Undated::default() {
        parts.push(format!("undated {}", selection.undated));
    }
    if let Some(newest) = selection.newest {
        parts.push(format!("the newest {newest} of each repository"));
    }
    if let Some(cap) = selection.cap {
        parts.push(format!("at most {cap}"));
    }
    if let Some(aql) = &selection.aql {
        parts.push(format!("AQL {aql}"));
    }
    if parts.is_empty() { "all images".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_schedules_and_selections_in_words() {
        assert_eq!(schedule(&Schedule::on_demand()), "on demand");
        let daily = Definition {
            every: 1,
            at: Some("02:30".to_owned()),
            zone: Some("Europe/Berlin".to_owned()),
            ..Definition::default()
        };
        assert_eq!(schedule(&daily.try_into().unwrap()), "every day at 02:30 Europe/Berlin");
        let weekly = Definition { every: 7, weekday: Some("monday".to_owned()), ..Definition::default() };
        assert!(schedule(&weekly.try_into().unwrap()).starts_with("every monday"));
        assert_eq!(selection(&Selection::new()), "all images");
        let some = Selection::new().repositories(["team/*"]).unwrap().tags(["v*"]).unwrap();
        assert_eq!(selection(&some), "repositories team/*; tags v*");
    }
}
