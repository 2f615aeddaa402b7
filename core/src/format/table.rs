//! The report as a table for people. Several reports stand one below another, an empty line between them.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use super::Format;
use crate::error::Result;
use crate::model::finding::{Finding, Status};
use crate::model::path::show;
use crate::model::report::Report;
use crate::model::severity::Rating;

/// The format.
pub static FORMAT: Format = Format { id: "table", extensions: &["txt"], write };

/// The most characters of a cell; the last column is not cut.
const WIDEST: usize = 40;

const HEADS: [&str; 6] = ["SEVERITY", "FINDING", "PACKAGE", "VERSION", "TYPE", "FIXED IN"];

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        one(report, &mut output)?;
    }
    output.flush()?;
    Ok(())
}

fn one(report: &Report, output: &mut dyn Write) -> Result<()> {
    let subject = &report.subject;
    writeln!(output, "{}  {}", safe(&subject.reference), safe(&subject.platform.to_string()))?;
    writeln!(output, "{}", subject.digest)?;
    let distro = report.inventory.distro().map_or("no distribution", |distro| match distro.name.as_str() {
        "" => distro.id.as_str(),
        name => name,
    });
    let (layers, packages) = (report.layers.len(), report.inventory.len());
    writeln!(output, "{}, {}, {}", safe(distro), count(layers, "layer"), count(packages, "package"))?;
    writeln!(output, "{}", summary(report))?;
    if !report.findings.is_empty() {
        writeln!(output)?;
        findings(report, output)?;
    }
    if report.stats.owned_findings > 0 {
        let hidden = report.stats.owned_findings;
        writeln!(output)?;
        writeln!(output, "{hidden} more concern files that a package of the distribution owns, and are left to it")?;
    }
    if !report.problems.is_empty() {
        writeln!(output)?;
        writeln!(output, "{}:", count(report.problems.len(), "problem"))?;
        for problem in &report.problems {
            write!(output, "  {}: {}", problem.kind, safe(&problem.message))?;
            if let Some(path) = &problem.path {
                write!(output, " ({})", safe(path))?;
            }
            if let Some(layer) = problem.layer {
                write!(output, " in layer {layer}")?;
            }
            writeln!(output)?;
        }
    }
    Ok(())
}

/// How many findings there are of each rating, the worst first.
pub(super) fn summary(report: &Report) -> String {
    if report.findings.is_empty() {
        // Nothing found is not the same as nothing looked up.
        return match report.provenance.advisories {
            Some(_) => "no findings".to_owned(),
            None => "findings: not looked up, there are no advisories".to_owned(),
        };
    }
    let of = |rating: Rating| report.findings.iter().filter(|finding| finding.severity.rating == rating).count();
    let each: Vec<_> = Rating::ALL
        .iter()
        .map(|rating| (of(*rating), rating))
        .filter(|(number, _)| *number > 0)
        .map(|(number, rating)| format!("{number} {rating}"))
        .collect();
    format!("{}: {}", count(report.findings.len(), "finding"), each.join(", "))
}

fn findings(report: &Report, output: &mut dyn Write) -> Result<()> {
    let mut order: Vec<&Finding> = report.findings.iter().collect();
    // The sort is stable: within a rating they stay sorted by package and id.
    order.sort_by_key(|finding| std::cmp::Reverse(finding.severity.rating));
    let rows: Vec<[String; 6]> = order.into_iter().map(|finding| cells(report, finding)).collect();
    let mut widths = [0; 5];
    for row in std::iter::once(&HEADS.map(str::to_owned)).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(&HEADS, &widths, output)?;
    for row in &rows {
        line(&row.each_ref().map(String::as_str), &widths, output)?;
    }
    Ok(())
}

fn cells(report: &Report, finding: &Finding) -> [String; 6] {
    let package = report.inventory.package(finding.package_index);
    let (name, version, kind) = match package {
        Some(package) => (package.name(), package.version(), package.kind().as_str()),
        None => (finding.package.as_str(), "", ""),
    };
    let fixed = match finding.status {
        Status::Indeterminate => format!("? {}", safe(&finding.evidence.event)),
        _ => safe(finding.fixed_in()).into_owned(),
    };
    [finding.severity.rating.to_string(), cut(&finding.id), cut(name), cut(version), kind.to_owned(), fixed]
}

/// One line, each cell but the last as wide as its column. That one may be longer than any width that `format!` takes.
fn line(cells: &[&str; 6], widths: &[usize; 5], output: &mut dyn Write) -> Result<()> {
    let mut text = String::new();
    let [first @ .., last] = cells;
    for (cell, width) in first.iter().zip(widths) {
        text.push_str(&format!("{cell:width$}  "));
    }
    text.push_str(last);
    writeln!(output, "{}", text.trim_end())?;
    Ok(())
}

/// Names come from the image: a terminal must not obey them.
fn safe(text: &str) -> Cow<'_, str> {
    show(text.as_bytes())
}

fn cut(text: &str) -> String {
    let text = safe(text);
    if text.chars().count() <= WIDEST {
        return text.into_owned();
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    fn shown(reports: &[Report]) -> String {
        let mut out = Vec::new();
        FORMAT.write(reports, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shows_a_report() {
        let digest = sample::full().subject.digest;
        let wanted = format!(
            "\
registry.acme.io/team/app:1.0  linux/amd64
{digest}
Debian GNU/Linux 12 (bookworm), 1 layer, 2 packages
2 findings: 1 high, 1 low

SEVERITY  FINDING        PACKAGE  VERSION           TYPE  FIXED IN
high      CVE-2024-0002  libssl3  3.0.15-1~deb12u1  deb   3.0.16-1~deb12u1
low       CVE-2024-0001  libssl3  3.0.15-1~deb12u1  deb   3.0.16-1~deb12u1

1 problem:
  limit-exceeded: the file is larger than 16 MiB (usr/lib/x.jar) in layer 0
"
        );
        assert_eq!(shown(&[sample::full()]), wanted);
    }

    #[test]
    fn nothing_looked_up_is_not_nothing_found() {
        let mut report = sample::empty();
        assert!(shown(&[report.clone()]).contains("not looked up"));
        report.provenance.advisories = sample::full().provenance.advisories;
        assert!(shown(&[report]).contains("no findings"));
    }

    #[test]
    fn a_version_of_any_length_is_written() {
        let mut report = sample::full();
        report.findings[0].fixed = vec!["9".repeat(70_000)];
        let text = shown(&[report]);
        assert!(text.contains(&"9".repeat(70_000)) && text.lines().filter(|line| line.len() > 200).count() == 1);
    }

    #[test]
    fn hostile_text_neither_breaks_the_table_nor_reaches_the_terminal() {
        let mut report = sample::full();
        report.findings[0].id = format!("CVE-\u{1b}[31m{}", "x".repeat(5000));
        report.problems[0].message = "a\nb\u{9b}0m".into();
        let text = shown(&[report]);
        assert!(!text.contains(['\u{1b}', '\u{9b}']));
        assert!(text.lines().all(|line| line.chars().count() < 200), "{text}");
    }
}
