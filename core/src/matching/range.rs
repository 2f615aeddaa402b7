//! Whether a version lies in a range. Nothing is sorted: the event that counts is the greatest one that the version has
//! reached, so events may come in any order and an order that contradicts itself cannot do harm.

use std::cmp::Ordering;

use crate::advisory::{Event, Range};
use crate::model::finding::Evidence;

/// How two versions compare; none if one of them is no version.
pub(super) type Compare = fn(&str, &str) -> Option<Ordering>;

/// How many versions with a fix are told.
const FIXES: usize = 16;

/// What a range says of a version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Affected(Evidence),
    NotAffected,
    /// It cannot be told, and why.
    Unknown(Evidence),
}

/// Evaluates `range` for `version`. `compare` is none for an ecosystem whose order is not known.
pub(super) fn evaluate(range: &Range, version: &str, compare: Option<Compare>) -> Verdict {
    let order = Order { compare };
    match order.evaluate(range, version) {
        Ok(None) => Verdict::NotAffected,
        Ok(Some(begin)) => {
            let end = order.end(range, version);
            let kind = range.kind.as_str();
            let text = end.map_or_else(|| format!("{kind} {begin}"), |end| format!("{kind} {begin}, {end}"));
            let event = end.unwrap_or(begin).to_string();
            Verdict::Affected(Evidence { record: String::new(), range: text, event })
        }
        Err(Incomparable(other)) => {
            let event = match compare {
                None => "the order of versions of this ecosystem is not known".to_owned(),
                Some(_) => format!("{} and {} cannot be compared", version.escape_debug(), other.escape_debug()),
            };
            Verdict::Unknown(Evidence { record: String::new(), range: range.kind.as_str().to_owned(), event })
        }
    }
}

/// Whether `version` is listed: as it is written, or as an equal version.
pub(super) fn listed(versions: &[String], version: &str, compare: Option<Compare>) -> Option<Evidence> {
    let equal = |listed: &&String| compare.is_some_and(|compare| compare(version, listed) == Some(Ordering::Equal));
    let same = versions.iter().find(|listed| *listed == version).or_else(|| versions.iter().find(equal))?;
    Some(Evidence { record: String::new(), range: "versions".into(), event: format!("listed {same}") })
}

/// Adds the fixes of `range` after `version` to `fixes`, which is kept in order.
pub(super) fn fixes_after(range: &Range, version: &str, compare: Option<Compare>, fixes: &mut Vec<String>) {
    for event in &range.events {
        let Event::Fixed(fix) = event else { continue };
        // What cannot be compared may still be told.
        let after = compare.and_then(|compare| compare(fix, version)).is_none_or(Ordering::is_gt);
        if after {
            insert_nearest(fixes, fix, compare);
        }
    }
}

/// Puts `fix` into its place among `fixes`; what is further away than the nearest [`FIXES`] falls off.
pub(super) fn insert_nearest(fixes: &mut Vec<String>, fix: &str, compare: Option<Compare>) {
    if fixes.iter().any(|known| known == fix) {
        return;
    }
    let before = |known: &String| compare.and_then(|compare| compare(fix, known)).is_some_and(Ordering::is_lt);
    let place = fixes.iter().position(before).unwrap_or(fixes.len());
    fixes.insert(place, fix.to_owned());
    fixes.truncate(FIXES);
}

/// The version that could not be compared.
struct Incomparable<'a>(&'a str);

#[derive(Clone, Copy)]
struct Order {
    compare: Option<Compare>,
}

impl Order {
    fn versions<'a>(self, a: &str, b: &'a str) -> Result<Ordering, Incomparable<'a>> {
        self.compare.and_then(|compare| compare(a, b)).ok_or(Incomparable(b))
    }

    /// Where two events lie: 0 before everything, the end of `last_affected` just behind its version.
    fn events<'a>(self, a: &Event, b: &'a Event) -> Result<Ordering, Incomparable<'a>> {
        match (is_start(a), is_start(b)) {
            (false, false) => {
                let behind = |event: &Event| matches!(event, Event::LastAffected(_));
                Ok(self.versions(a.version(), b.version())?.then(behind(a).cmp(&behind(b))))
            }
            (a, b) => Ok(b.cmp(&a)),
        }
    }

    /// The event that makes `version` affected, if it is.
    fn evaluate<'a>(self, range: &'a Range, version: &str) -> Result<Option<&'a Event>, Incomparable<'a>> {
        if !self.within_limits(range, version)? {
            return Ok(None);
        }
        // Of the events that the version has reached: the greatest, and all that lie at the same place.
        let mut greatest: Vec<&Event> = Vec::new();
        for event in &range.events {
            if !self.reached(event, version)? {
                continue;
            }
            let place = greatest.first().map_or(Ok(Ordering::Greater), |first| self.events(event, first))?;
            if place.is_gt() {
                greatest.clear();
            }
            if place.is_ge() {
                greatest.push(event);
            }
        }
        let begins = |event: &Event| matches!(event, Event::Introduced(_));
        let Some(begin) = greatest.iter().copied().find(|event| begins(event)) else { return Ok(None) };
        let (Some(first), Some(last)) = (greatest.first(), greatest.last()) else { return Ok(None) };
        if greatest.iter().all(|event| begins(event)) {
            return Ok(Some(begin));
        }
        // Fixed and introduced at one version: the fix comes last, unless the record ends a range there and begins the
        // next one.
        let again = !begins(first) && begins(last) && self.affected_before(range, version, begin)?;
        Ok(again.then_some(begin))
    }

    /// Whether the events before `place` leave the version affected.
    fn affected_before<'a>(self, range: &'a Range, version: &str, place: &'a Event) -> Result<bool, Incomparable<'a>> {
        let mut greatest: Option<(&Event, bool)> = None;
        for event in &range.events {
            if !self.reached(event, version)? || !self.events(event, place)?.is_lt() {
                continue;
            }
            let begins = matches!(event, Event::Introduced(_));
            let order = greatest.map_or(Ok(Ordering::Greater), |(known, _)| self.events(event, known))?;
            greatest = match (order, greatest) {
                (Ordering::Equal, Some((known, affected))) => Some((known, affected && begins)),
                (Ordering::Less, known) => known,
                _ => Some((event, begins)),
            };
        }
        Ok(greatest.is_some_and(|(_, affected)| affected))
    }

    fn reached<'a>(self, event: &'a Event, version: &str) -> Result<bool, Incomparable<'a>> {
        Ok(match event {
            Event::Limit(_) => false,
            _ if is_start(event) => true,
            Event::LastAffected(last) => self.versions(version, last)?.is_gt(),
            Event::Introduced(at) | Event::Fixed(at) => self.versions(version, at)?.is_ge(),
        })
    }

    fn within_limits<'a>(self, range: &'a Range, version: &str) -> Result<bool, Incomparable<'a>> {
        let mut limited = false;
        for event in &range.events {
            let Event::Limit(limit) = event else { continue };
            if limit == "*" || self.versions(version, limit)?.is_lt() {
                return Ok(true);
            }
            limited = true;
        }
        Ok(!limited)
    }

    /// The nearest event that ends the range behind `version`.
    fn end<'a>(self, range: &'a Range, version: &str) -> Option<&'a Event> {
        let ends = range.events.iter().filter(|event| {
            matches!(event, Event::Fixed(_) | Event::LastAffected(_))
                && self.reached(event, version).is_ok_and(|yes| !yes)
        });
        ends.reduce(
            |nearest, event| {
                if self.events(event, nearest).is_ok_and(Ordering::is_lt) { event } else { nearest }
            },
        )
    }
}

/// Whether an event is the beginning of all versions.
fn is_start(event: &Event) -> bool {
    matches!(event, Event::Introduced(version) if version == "0")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::advisory::RangeKind;

    fn numbers(a: &str, b: &str) -> Option<Ordering> {
        Some(a.parse::<u32>().ok()?.cmp(&b.parse::<u32>().ok()?))
    }

    /// `i0 f5 l7 x*`: introduced, fixed, last_affected, limit.
    fn range(text: &str) -> Range {
        let event = |word: &str| {
            let version = word[1..].to_owned();
            match &word[..1] {
                "i" => Event::Introduced(version),
                "f" => Event::Fixed(version),
                "l" => Event::LastAffected(version),
                _ => Event::Limit(version),
            }
        };
        Range { kind: RangeKind::Ecosystem, events: text.split_whitespace().map(event).collect() }
    }

    fn affected(events: &str, version: &str) -> Option<bool> {
        match evaluate(&range(events), version, Some(numbers)) {
            Verdict::Affected(_) => Some(true),
            Verdict::NotAffected => Some(false),
            Verdict::Unknown(_) => None,
        }
    }

    #[test]
    fn follows_the_rules_of_osv() {
        for (events, version, expected) in [
            ("i0", "0", Some(true)),
            ("i0", "anything", Some(true)),
            ("", "1", Some(false)),
            ("i0 f5", "4", Some(true)),
            ("i0 f5", "5", Some(false)),
            ("f5 i0", "4", Some(true)),
            ("f5 i0", "5", Some(false)),
            ("i2 f5 i7 f9", "1", Some(false)),
            ("i7 f9 i2 f5", "8", Some(true)),
            ("i2 f5 i7 f9", "6", Some(false)),
            ("i2 f5 i7 f9", "9", Some(false)),
            ("i0 l5", "5", Some(true)),
            ("i0 l5", "6", Some(false)),
            ("l5 i5", "5", Some(true)),
            ("l5 i5", "6", Some(false)),
            // One version both introduces and fixes.
            ("i2 f2", "2", Some(false)),
            ("f2 i2", "2", Some(false)),
            ("i0 f2 i2", "2", Some(true)),
            ("i0 f2 i2 f3", "3", Some(false)),
            ("i0 i2 f2", "2", Some(false)),
            ("f5", "1", Some(false)),
            ("f5", "6", Some(false)),
            // Limits.
            ("i0 x5", "4", Some(true)),
            ("i0 x5", "5", Some(false)),
            ("i0 x5 x9", "8", Some(true)),
            ("i0 x*", "8", Some(true)),
            ("i0 f3 x*", "8", Some(false)),
            // What is no version.
            ("i0 f5", "five", None),
            ("i0 ffive", "5", None),
            ("i0 xfive", "5", None),
        ] {
            assert_eq!(affected(events, version), expected, "{events} of {version}");
        }
    }

    #[test]
    fn says_which_events_decided() {
        let Verdict::Affected(evidence) = evaluate(&range("i7 f9 i2 f5 f6"), "3", Some(numbers)) else {
            panic!("affected")
        };
        assert_eq!((evidence.range.as_str(), evidence.event.as_str()), ("ECOSYSTEM introduced 2, fixed 5", "fixed 5"));
        let Verdict::Unknown(evidence) = evaluate(&range("i0 f5"), "a\n", Some(numbers)) else { panic!("unknown") };
        assert_eq!(evidence.event, "a\\n and 5 cannot be compared");
        let Verdict::Unknown(evidence) = evaluate(&range("i0 f5"), "1", None) else { panic!("unknown") };
        assert_eq!(evidence.event, "the order of versions of this ecosystem is not known");
    }

    #[test]
    fn tells_the_nearest_fixes_first() {
        let mut fixes = Vec::new();
        fixes_after(&range("i0 f9 f2 f5 f5 i1 f12"), "4", Some(numbers), &mut fixes);
        assert_eq!(fixes, ["5", "9", "12"]);
        let many: Vec<_> = (5..500).rev().map(|n| format!("f{n}")).collect();
        let mut fixes = Vec::new();
        fixes_after(&range(&many.join(" ")), "4", Some(numbers), &mut fixes);
        assert_eq!((fixes.len(), fixes[0].as_str(), fixes[15].as_str()), (FIXES, "5", "20"));
    }

    #[test]
    fn lists_match_as_written_and_as_equal() {
        let versions = ["01".to_owned(), "x".to_owned()];
        assert!(listed(&versions, "x", None).is_some());
        assert!(listed(&versions, "1", Some(numbers)).is_some());
        assert!(listed(&versions, "1", None).is_none());
        assert!(listed(&versions, "2", Some(numbers)).is_none());
    }

    /// The evaluation as the schema writes it: sort, and run through.
    fn naive(events: &[(u8, u32)], version: u32) -> bool {
        let mut sorted = events.to_vec();
        sorted.sort_by_key(|(kind, at)| (*at, *kind == 2, *kind));
        let mut vulnerable = false;
        for (kind, at) in sorted {
            match kind {
                0 if version >= at => vulnerable = true,
                1 if version >= at => vulnerable = false,
                2 if version > at => vulnerable = false,
                _ => {}
            }
        }
        vulnerable
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_evaluation(
            at in proptest::sample::subsequence((0u32..12).collect::<Vec<_>>(), 0..8).prop_shuffle(),
            kinds in proptest::collection::vec(0u8..3, 8),
            version in 0u32..13,
        ) {
            let events: Vec<_> = kinds.into_iter().zip(at).collect();
            let words: Vec<_> = events.iter().map(|(kind, at)| format!("{}{at}", ["i", "f", "l"][usize::from(*kind)])).collect();
            prop_assert_eq!(affected(&words.join(" "), &version.to_string()), Some(naive(&events, version)));
        }

        #[test]
        fn takes_any_events(words in proptest::collection::vec("[iflx][0-9a*]{0,2}", 0..12), version in "[0-9a]{0,2}") {
            affected(&words.join(" "), &version);
        }
    }
}
