use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::error::Kind;
use crate::select::{Patterns, Syntax};

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn items() -> Vec<(u32, Item)> {
    let item = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [id, repo, path, name, kind, size, created, modified, updated, properties] = words[..] else {
            panic!("{line}")
        };
        let date = |text: &str| Some((if text == "-" { created } else { text }).parse().unwrap());
        let property = |text: &str| {
            let (key, value) = text.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        let item = Item {
            repo: repo.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
            kind: if kind == "folder" { ItemKind::Folder } else { ItemKind::File },
            size: size.parse().unwrap(),
            created: date(created),
            modified: date(modified),
            updated: date(updated),
            properties: properties.split(',').filter(|text| *text != "-").map(property).collect(),
            ..Item::default()
        };
        (id.parse().unwrap(), item)
    };
    lines(include_str!("items.txt")).map(item).collect()
}

fn matching(query: &Query) -> String {
    let found: Vec<_> =
        items().iter().filter(|(_, item)| query.matches(item, now())).map(|(id, _)| id.to_string()).collect();
    if found.is_empty() { "-".to_owned() } else { found.join(" ") }
}

#[test]
fn every_query_of_the_table() {
    assert_eq!(items().len(), 13);
    let (mut read, mut refused) = (0, 0);
    for line in lines(include_str!("queries.txt")) {
        let cells: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [expected, text, _] = cells[..] else { panic!("{line}") };
        match Query::new(text) {
            Ok(query) => {
                read += 1;
                assert_eq!(matching(&query), expected, "{text}");
                let written = query.to_string();
                let again = Query::new(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
                assert_eq!(again, query, "{text}");
                assert_eq!(again.to_string(), written);
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind().as_str(), expected, "{text}: {error}");
                assert!(error.hint().is_some(), "{text}: {error}");
            }
        }
    }
    assert!(read > 40 && refused > 40, "{read} {refused}");
}

#[test]
fn errors_say_where_and_what_to_do() {
    let error = Query::new(r#"items.find({"repo":"a",})"#).unwrap_err();
    assert_eq!(error.to_string(), r#"a name or a text in quotes is missing (position: 24, near: }))"#);
    for (text, hint) in [
        (r#"items.find({"created":{"$last":"12h"}})"#, "1d"),
        (r#"items.find({"created":{"$gt":"2026-01-01","$lt":"2026-02-01"}})"#, r#""created":{...},"created":{...}"#),
        (r#"items.find({"repo":"x"}).limit(5)"#, "newest"),
        (r#"items.find({"stat.downloads":{"$gt":"5"}})"#, "@key"),
    ] {
        let error = Query::new(text).unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
    let query = Query::new(r#"items.find({"$or":[{"repo":"a","name":"b"}]})"#).unwrap();
    assert!(query.warnings()[0].contains("$and"), "{:?}", query.warnings());
    assert!(Query::new(r#"items.find({"$or":[{"repo":"a"},{"name":"b"}]})"#).unwrap().warnings().is_empty());
}

#[test]
fn deep_long_and_many_are_errors() {
    let nested = |depth: usize| format!("{}{{\"repo\":\"x\"}}{}", "{\"$and\":[".repeat(depth), "]}".repeat(depth));
    assert!(Query::new(&nested(MAX_DEPTH - 1)).is_ok());
    for depth in [MAX_DEPTH, 500, 10_000, 1_000_000] {
        assert_eq!(Query::new(&nested(depth)).unwrap_err().kind(), Kind::LimitExceeded, "{depth}");
    }
    let many = vec!["{\"@a\":1}"; 700].join(",");
    assert!(Query::new(&many[..many.len().min(MAX_LENGTH)]).is_err());
    assert_eq!(Query::new(&"{\"@a\":1}".repeat(10_000)).unwrap_err().kind(), Kind::LimitExceeded);
    for text in ["{".repeat(5000), "[".repeat(5000), "\"".repeat(5000), "{\"$or\":".repeat(700), "{\"a\":{".repeat(900)]
    {
        assert!(Query::new(&text).is_err());
    }
}

fn patterns(include: &[&str], exclude: &[&str]) -> Patterns {
    Patterns::new(include, exclude, Syntax::Wildcard).unwrap()
}

#[test]
fn the_listing_of_everything() {
    let all = Listing::of("docker-local").tags(&patterns(&[], &[])).render(now()).unwrap();
    assert_eq!(
        all,
        concat!(
            r#"items.find({"$or":[{"repo":{"$eq":"docker-local"}},{"repo":{"$eq":"docker-local-cache"}}]},"#,
            r#"{"$or":[{"name":{"$eq":"manifest.json"}},{"name":{"$eq":"list.manifest.json"}}]},"#,
            r#"{"path":{"$nmatch":"*/sha256:*"}},{"path":{"$nmatch":"*/sha256__*"}})"#,
            r#".include("repo","path","name","modified","created","sha256","size")"#
        )
    );
    assert_eq!(matching(&Query::new(&all).unwrap()), "1 2 3 5 7 8");
    for key in ["", "a\"b", "a\nb"] {
        assert_eq!(Listing::of(key).render(now()).unwrap_err().kind(), Kind::InvalidInput);
        assert_eq!(Listing::of("a").image(key).render(now()).unwrap_err().kind(), Kind::InvalidInput);
    }
}

#[test]
fn the_listing_of_a_selection() {
    let criteria =
        Query::new(r#"items.find({"created":{"$before":"1d"},"$msp":[{"@a":"b"}],"@qa":"passed"})"#).unwrap();
    let tags = patterns(&["1.*", "2.?"], &["*-rc1", "v*"]);
    let listing = Listing::of("docker-local")
        .image("team/api")
        .criteria(Some(&criteria))
        .since(Some("2026-06-08T12:00:00.0005Z".parse().unwrap()))
        .tags(&tags);
    let text = listing.render(now()).unwrap();
    for part in [
        r#"{"path":{"$match":"team/api/*"}}"#,
        r#"{"$or":[{"path":{"$match":"team/api/1.*"}},{"path":{"$match":"team/api/2.?"}}]}"#,
        r#"{"$or":[{"modified":{"$gte":"2026-06-08T12:00:00.000Z"}},{"modified":{"$lt":"1990-01-01T00:00:00.000Z"}}]}"#,
        r#"{"path":{"$nmatch":"*/*-rc1"}}"#,
        r#"{"created":{"$lt":"2026-06-14T12:00:00.000Z"}}"#,
        r#"{"@qa":{"$eq":"passed"}}"#,
        r#""size","property.*")"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // `v*` would also match in the name of an image, and $msp is left to us.
    assert!(!text.contains("*/v*") && !text.contains("$msp"), "{text}");
}

#[test]
fn a_listing_that_would_be_too_long_asks_for_more() {
    let long: Vec<_> = (0..30).map(|n| format!("{}{n}", "x".repeat(250))).collect();
    let tags = Patterns::new(&long, &[""; 0], Syntax::Wildcard).unwrap();
    let text = Listing::of("docker-local").tags(&tags).render(now()).unwrap();
    assert!(text.len() < MAX_LENGTH && !text.contains("xxx"));
    let criteria = Query::new(&format!(r#"items.find({{"name":{{"$match":"{}"}}}})"#, "a".repeat(5800))).unwrap();
    let error = Listing::of("docker-local").criteria(Some(&criteria)).render(now()).unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c*?/]{0,5}", Just("*".to_owned()), "[ -!#-~]{0,8}".prop_map(|text| text.trim_start().to_owned())]
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        prop::sample::select(TextField::ALL).prop_map(|(field, _)| Field::Text(field)),
        "[a-c]{1,2}".prop_map(Field::Property),
        Just(Field::AnyProperty),
    ]
}

fn criterion() -> impl Strategy<Value = Criterion> {
    use Comparator::{Before, Eq, EqIc, Gt, Gte, Last, Lt, Lte, Match, MatchIc, Ne, Nmatch};
    let plain = || prop::sample::select(vec![Eq, Ne, Gt, Gte, Lt, Lte]);
    let texts = (field(), prop::sample::select(vec![Eq, Ne, Gt, Gte, Lt, Lte, Match, Nmatch, EqIc, MatchIc]), text())
        .prop_map(|(field, comparator, text)| (field, comparator, Value::Text(text)));
    let numbers = (prop::sample::select(vec![Field::Size, Field::Depth]), plain(), -3..6i64)
        .prop_map(|(field, comparator, number)| (field, comparator, Value::Number(number)));
    let date = || prop::sample::select(vec![Field::Created, Field::Modified, Field::Updated]);
    let instants = (date(), plain(), 1_700_000_000_000..1_800_000_000_000i64).prop_map(|(field, comparator, ms)| {
        (field, comparator, Value::Instant(Timestamp::from_millisecond(ms).unwrap()))
    });
    let periods = (
        date(),
        prop::sample::select(vec![Last, Before]),
        0..900u32,
        prop::sample::select(vec![Unit::Days, Unit::Months, Unit::Seconds]),
    )
        .prop_map(|(field, comparator, count, unit)| (field, comparator, Value::Period(Period { count, unit })));
    let nulls = (prop::sample::select(TextField::ALL), prop::sample::select(vec![Eq, Ne]))
        .prop_map(|((field, _), comparator)| (Field::Text(field), comparator, Value::Null));
    let types = prop::sample::select(vec!["file", "folder", "any"])
        .prop_map(|kind| (Field::Type, Eq, Value::Text(kind.to_owned())));
    prop_oneof![6 => texts, 1 => numbers, 2 => instants, 2 => periods, 1 => nulls, 1 => types]
        .prop_map(|(field, comparator, value)| Criterion { field, comparator, value })
}

fn query() -> impl Strategy<Value = Query> {
    let of_property = |criterion: &Criterion| matches!(criterion.field, Field::Property(_) | Field::AnyProperty);
    let leaf = prop_oneof![
        8 => criterion().prop_map(Node::Criterion),
        1 => prop::collection::vec(criterion().prop_filter("a property", of_property), 1..3).prop_map(Node::SameProperty),
    ];
    let node = leaf.prop_recursive(3, 12, 3, |inner| {
        let nodes = prop::collection::vec(inner, 1..4);
        prop_oneof![nodes.clone().prop_map(Node::And), nodes.prop_map(Node::Or)]
    });
    prop::collection::vec(node, 0..4).prop_map(Query::of)
}

fn item() -> impl Strategy<Value = Item> {
    let text = || "[a-c/]{0,4}";
    let time = || (1_700_000_000_000..1_800_000_000_000i64).prop_map(|ms| Timestamp::from_millisecond(ms).ok());
    let properties = prop::collection::vec(("[a-c]{1,2}", "[a-c/]{0,3}"), 0..4);
    (text(), text(), text(), any::<bool>(), 0..5u64, (time(), time(), time()), prop::option::of(text()), properties)
        .prop_map(|(repo, path, name, folder, size, (created, modified, updated), sha256, properties)| Item {
            repo,
            path,
            name,
            kind: if folder { ItemKind::Folder } else { ItemKind::File },
            size,
            created,
            modified,
            updated,
            sha256,
            properties,
            ..Item::default()
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(query in query()) {
        let written = query.to_string();
        let again = Query::new(&written).map_err(|error| TestCaseError::fail(format!("{written}: {error}")))?;
        prop_assert_eq!(again, query);
    }

    /// What the server is asked for never leaves out what is meant.
    #[test]
    fn the_server_is_asked_for_at_least_as_much(query in query(), item in item()) {
        let server = query.for_server(now());
        if query.matches(&item, now()) {
            prop_assert!(server.matches(&item, now()), "{query} but not {server}");
        }
        let text = server.to_string();
        let is_old = !["$msp", "$eqic", "$matchic", "$last", "$before"].iter().any(|word| text.contains(&format!("\"{word}\":")));
        prop_assert!(is_old, "{}", text);
    }

    #[test]
    fn no_text_panics(text in "(items\\.find\\()?[{}\\[\\]\",:$@a-z0-9 .()é-]{0,60}") {
        let _ = Query::new(&text);
    }

    /// What a query is narrowed by leaves out no row that could be meant.
    #[test]
    fn a_narrowed_listing_leaves_out_nothing_that_is_meant(
        rows in prop::collection::vec(("[ab](/[ab]{1,2})?", "[abv][a-c.]{0,2}", 0..30i64), 0..8),
        image in "[ab](/[ab]{1,2})?",
        tags in prop::collection::vec("[abv*?.]{1,3}", 0..2),
        exclude in prop::collection::vec("[abv*?]{1,2}", 0..2),
        since in prop::option::of(0..30i64),
    ) {
        let ago = |days: i64| Timestamp::from_second(now().as_second() - days * 86_400).unwrap();
        let patterns = Patterns::new(&tags, &exclude, Syntax::Wildcard).unwrap();
        let since = since.map(ago);
        let all = Listing::of("local").image(&image);
        let read = |listing: Listing<'_>| Query::new(&listing.render(now()).unwrap()).unwrap();
        let (wide, of_tags, of_dates) = (read(all), read(all.tags(&patterns)), read(all.since(since)));
        for (path, tag, days) in rows {
            // Some dates are those of a reproducible build.
            let modified = if days == 0 { "1980-01-01T00:00:00Z".parse().unwrap() } else { ago(days) };
            let item = Item {
                repo: "local".to_owned(),
                path: format!("{path}/{tag}"),
                name: "manifest.json".to_owned(),
                modified: Some(modified),
                ..Item::default()
            };
            let is_ours = path == image;
            prop_assert!(!is_ours || wide.matches(&item, now()));
            prop_assert!(!(is_ours && patterns.matches(&tag)) || of_tags.matches(&item, now()), "{tag} is left out by {of_tags}");
            let is_new = days == 0 || since.is_none_or(|since| modified >= since);
            prop_assert!(!(is_ours && is_new) || of_dates.matches(&item, now()), "{modified} is left out by {of_dates}");
        }
    }
}
