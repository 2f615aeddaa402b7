//! The shapes of JSON that the header tells are those that are given.

use std::collections::BTreeSet;

use serde_json::Value;
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;

use super::*;
use crate::advisories::*;
use crate::inventory::*;
use crate::jobs::*;
use crate::listing::*;
use crate::registries::*;
use crate::store::*;
use crate::work::*;

const HEADER: &str = include_str!("../../../../include/tidewaiter.h");

/// The fields that are there only where they say something.
const SOMETIMES: [(&str, &str); 2] = [("tw_scanner_images", "note"), ("tw_job_run", "error")];

/// What the header says about a function, in one line.
fn about(function: &str) -> String {
    let (before, _) = HEADER.split_once(&format!(" {function}(")).unwrap();
    let lines: Vec<_> = before.lines().rev().skip(1).map_while(|line| line.strip_prefix("// ")).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" ")
}

/// The fields of the first object behind `marker`, without those of the objects in it.
fn told(function: &str, marker: &str) -> BTreeSet<String> {
    let about = about(function);
    let (_, shape) = about.split_once(marker).unwrap_or_else(|| panic!("{function}: {about}"));
    let shape = shape.get(shape.find('{').unwrap()..).unwrap();
    let (mut fields, mut depth, mut rest) = (BTreeSet::new(), 0, shape);
    while let Some(at) = rest.find(['{', '[', '}', ']', '"']) {
        let (sign, before) = (rest.as_bytes()[at], rest[..at].trim_end());
        rest = &rest[at + 1..];
        match sign {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return fields,
            b'}' | b']' => depth -= 1,
            _ => {
                let (text, behind) = rest.split_once('"').unwrap();
                // A value stands behind a colon.
                if depth == 1 && (before.is_empty() || before.ends_with(',')) {
                    fields.insert(text.to_owned());
                }
                rest = behind;
            }
        }
    }
    panic!("{function}: the shape has no end: {shape}")
}

fn given(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().cloned().collect()
}

#[track_caller]
fn same(function: &str, marker: &str, value: &Value) {
    let (mut told, given) = (told(function, marker), given(value));
    told.retain(|field| given.contains(field) || !SOMETIMES.contains(&(function, field)));
    assert_eq!(told, given, "{function}");
}

/// The first line of a listing, which is freed.
fn first(open: impl FnOnce(*mut *mut tw_listing, *mut *mut tw_error) -> tw_status) -> Value {
    let (mut listing, mut error) = (null_mut(), null_mut());
    assert_eq!(open(&raw mut listing, &raw mut error), tw_status::TW_OK);
    // SAFETY: the listing is live until it is freed here.
    unsafe {
        let line = answer(|json, error| tw_listing_next(listing, None, null_mut(), null(), json, error)).unwrap();
        tw_listing_free(listing);
        line
    }
}

#[test]
fn the_header_tells_what_is_given() {
    let registry = TestRegistry::start().unwrap();
    registry.push("app", "1.0", &ImageBuilder::new().layer(Layer::new().file("a", "b")).build());
    let definition = serde_json::json!({"url": registry.url(), "credential": {"anonymous": {}}});
    let text = |value: &Value| CString::new(value.to_string()).unwrap();
    let plain = text(&definition);
    let place = Place::new("shapes");
    let scanner = place.open();
    // SAFETY: the texts and the places are ours, the scanner is live until the end.
    unsafe {
        let check = answer(|json, error| {
            tw_scanner_check(scanner, plain.as_ptr(), null(), None, null_mut(), null(), json, error)
        });
        same("tw_scanner_check", "gets", &check.unwrap());
        let line = first(|listing, error| tw_scanner_repositories(scanner, plain.as_ptr(), null(), listing, error));
        same("tw_scanner_repositories", "Each line of the listing is", &line);
        let recent = cr#"{"pushed": 7}"#.as_ptr();
        let line = first(|listing, error| tw_scanner_images(scanner, plain.as_ptr(), recent, listing, error));
        same("tw_scanner_images", "Each line is", &line);
        assert_eq!(line["note"], "no-date");
        let line = first(|listing, error| tw_scanner_explain(scanner, plain.as_ptr(), null(), listing, error));
        same("tw_scanner_images", "Each line is", &line);
        let status = answer(|json, error| tw_advisories_status(scanner, json, error)).unwrap();
        same("tw_advisories_status", "gets", &status);

        let put = text(&serde_json::json!({"name": "prod", "registry": definition}));
        let saved = answer(|json, error| tw_registry_put(scanner, put.as_ptr(), null(), json, error)).unwrap();
        same("tw_registry_show", "gets", &saved);
        let put = cr#"{"job": {"name": "all", "registry": "prod"}}"#;
        let job = answer(|json, error| tw_job_put(scanner, put.as_ptr(), null(), json, error)).unwrap();
        let mut details = given(&job);
        assert!(details.insert("summary".to_owned()) && details.insert("holds".to_owned()));
        assert_eq!(told("tw_job_show", "gets"), details, "without its last two fields");
        let request = cr#"{"job": "all"}"#.as_ptr();
        let run = answer(|json, error| tw_job_run(scanner, request, None, null_mut(), null(), json, error)).unwrap();
        same("tw_job_run", "gets", &run);
        let show = answer(|json, error| tw_job_show(scanner, c"all".as_ptr(), null(), json, error)).unwrap();
        same("tw_job_show", "gets", &show);
        let number = show["run"].as_i64().unwrap();
        let plan = answer(|json, error| tw_run_plan(scanner, number, None, null_mut(), null(), json, error)).unwrap();
        same("tw_run_plan", "gets", &plan);

        let line = first(|listing, error| tw_inventory(scanner, null(), listing, error));
        same("tw_inventory", "Each line is", &line);
        let summary = answer(|json, error| tw_inventory_summary(scanner, null(), null(), json, error)).unwrap();
        same("tw_inventory_summary", "gets", &summary[0]);
        let status = answer(|json, error| tw_store_status(scanner, null(), json, error)).unwrap();
        same("tw_store_status", "gets", &status);
        let pruned = answer(|json, error| tw_store_prune(scanner, null(), null(), json, error)).unwrap();
        same("tw_store_prune", "gets", &pruned);
        let names = cr#"{"names": ["all"]}"#.as_ptr();
        let deleted = answer(|json, error| tw_job_delete(scanner, names, null(), json, error)).unwrap();
        same("tw_registry_remove", "gets", &deleted[0]);
        tw_scanner_free(scanner);
    }
}
