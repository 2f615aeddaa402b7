//! Columns for people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidewaiter::model::severity::Rating;

use crate::console::printable;

/// Rows under a head, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| {
            // Not a width of `format!`, which ends at 65,535.
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(head);
    for row in &rows {
        text.push_str(&line(row.each_ref().map(String::as_str)));
    }
    text
}

/// A time to the second; `-` for none.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Counts by rating, the worst first; `-` for none.
pub(crate) fn ratings(counts: &BTreeMap<Rating, u64>) -> String {
    let counts = Rating::ALL.iter().filter_map(|rating| Some((rating, *counts.get(rating)?)));
    let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    counts.sort_by(|a, b| b.0.cmp(a.0));
    let texts: Vec<_> = counts.into_iter().map(|(rating, count)| format!("{count} {rating}")).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}

/// Bytes in the largest fitting unit.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["prod".to_owned(), "1\u{1b}".to_owned()], ["x".to_owned(), "200".to_owned()]];
        assert_eq!(columns(["NAME", "N"], &rows), "NAME  N\nprod  1\u{fffd}\nx     200\n");
        // As the values of a job that names thousands of repositories.
        let long = "a".repeat(70_000);
        assert_eq!(
            columns(["FIELD", "VALUE"], &[["x".to_owned(), long.clone()]]),
            format!("FIELD  VALUE\nx      {long}\n")
        );
        assert_eq!(ratings(&BTreeMap::from([(Rating::Low, 2), (Rating::Critical, 1)])), "1 critical, 2 low");
        assert_eq!(time("2026-11-24T17:00:00.123Z".parse().ok()), "2026-11-24T17:00:00Z");
    }
}
