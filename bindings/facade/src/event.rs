//! Events as JSON, the record that every language gets.

use serde_json::{Value, json};
use tidewaiter::model::event::Event;

/// One event as an object; `event` says which. They and their fields stand in `docs/events.md`.
pub fn to_json(event: &Event) -> Value {
    match event {
        Event::ImageResolved { image, digest, layers } => json!({
            "event": "image-resolved",
            "image": image,
            "digest": digest.as_str(),
            "layers": layers
                .iter()
                .map(|(digest, size)| json!({"digest": digest.as_str(), "size": size}))
                .collect::<Vec<_>>(),
        }),
        Event::LayerProgress { digest, bytes, total } => {
            json!({"event": "layer-progress", "digest": digest.as_str(), "bytes": bytes, "total": total})
        }
        Event::LayerDone { digest, cached } => {
            json!({"event": "layer-done", "digest": digest.as_str(), "cached": cached})
        }
        Event::ImageDone { image, packages, findings } => {
            json!({"event": "image-done", "image": image, "packages": packages, "findings": findings})
        }
        Event::RepositoryListed { repository, images } => {
            json!({"event": "repository-listed", "repository": repository, "images": images})
        }
        Event::RepositoryFailed { repository, message } => {
            json!({"event": "repository-failed", "repository": repository, "message": message})
        }
        Event::Problem(problem) => json!({
            "event": "problem",
            "kind": problem.kind.as_str(),
            "message": problem.message,
            "path": problem.path,
            "layer": problem.layer,
        }),
        Event::AdvisoriesProgress { ecosystem, done, total } => {
            json!({"event": "advisories-progress", "ecosystem": ecosystem, "done": done, "total": total})
        }
        Event::RunBegun { job, run } => json!({"event": "run-begun", "job": job, "run": run}),
        Event::RunPlanned { job, run, listed, selected, items } => json!({
            "event": "run-planned", "job": job, "run": run, "listed": listed, "selected": selected, "items": items,
        }),
        Event::RunEnded {
            job,
            run,
            state,
            scanned,
            rematched,
            failed,
            incomplete,
            unmatched,
            new_findings,
            fixed_findings,
            error,
        } => json!({
            "event": "run-ended", "job": job, "run": run, "state": state, "scanned": scanned, "rematched": rematched,
            "failed": failed, "incomplete": incomplete, "unmatched": unmatched, "new_findings": new_findings,
            "fixed_findings": fixed_findings, "error": error,
        }),
        Event::ImageCommitted { registry, repository, digest, outcome, error } => json!({
            "event": "image-committed", "registry": registry, "repository": repository, "digest": digest.as_str(),
            "outcome": outcome, "error": error,
        }),
        Event::FindingsChanged { registry, repository, digest, new, fixed } => json!({
            "event": "findings-changed", "registry": registry, "repository": repository, "digest": digest.as_str(),
            "new": new, "fixed": fixed,
        }),
        Event::RematchProgress { images } => json!({"event": "rematch-progress", "images": images}),
        Event::Notice { message, hint } => json!({"event": "notice", "message": message, "hint": hint}),
        // A kind of event that is newer than this binding: known to be there, and nothing else.
        _ => json!({"event": "other"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of this file with their fields, as the documentation has to have them.
    #[test]
    fn every_event_is_documented_with_its_fields() {
        let (code, _) = include_str!("event.rs").split_once("#[cfg(test)]").unwrap();
        let documented = include_str!("../../../docs/events.md");
        let kinds: Vec<_> = code.split("\"event\": \"").skip(1).map(|rest| rest.split_once('"').unwrap()).collect();
        assert!(kinds.len() > 10, "{kinds:?}");
        for (kind, rest) in kinds {
            let row = documented.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
            let row = row.unwrap_or_else(|| panic!("{kind} is not documented"));
            let fields = rest.split("Event::").next().unwrap().split('"').skip(1).step_by(2);
            for field in fields.filter(|field| *field != "event") {
                assert!(
                    row.contains(&format!("`{field}`")) || row.contains(&format!("\"{field}\"")),
                    "{kind}: {field}"
                );
            }
        }
    }

    #[test]
    fn a_notice_is_an_object() {
        let notice = Event::Notice { message: "a".to_owned(), hint: "b".to_owned() };
        assert_eq!(to_json(&notice), json!({"event": "notice", "message": "a", "hint": "b"}));
    }
}
