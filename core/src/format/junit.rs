//! The report as JUnit XML, which every CI system shows. Several reports are several suites.
//!
//! A finding is a test that failed: its class is the type and the name of the package, its name the advisory and the version. One more
//! test of a suite says whether the image was looked at completely, so that a suite without findings is not empty, and one of an image
//! that could not be read is not green. There is no official schema: what is written is what Surefire, Jenkins and GitLab have in common.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};

use super::Format;
use super::text::{self, plain};
use crate::error::Result;
use crate::model::finding::Finding;
use crate::model::report::Report;

/// The format.
pub static FORMAT: Format = Format { id: "junit", extensions: &["junit.xml", "junit"], write };

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    let failures: usize = reports.iter().map(|report| report.findings.len()).sum();
    let errors = reports.iter().filter(|report| !report.is_complete()).count();
    let tests = failures + reports.len();
    writeln!(output, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(output, r#"<testsuites name="tidewaiter" tests="{tests}" failures="{failures}" errors="{errors}">"#)?;
    for report in reports {
        suite(report, &mut output)?;
    }
    writeln!(output, "</testsuites>")?;
    output.flush()?;
    Ok(())
}

fn suite(report: &Report, output: &mut dyn Write) -> Result<()> {
    let (failures, errors) = (report.findings.len(), usize::from(!report.is_complete()));
    let (image, tests) = (escape(&text::image(report)), failures + 1);
    writeln!(
        output,
        r#"  <testsuite name="{image}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="0">"#
    )?;
    let advisories = report.provenance.advisories.as_ref();
    let properties = [
        ("digest", Some(report.subject.digest.as_str().to_owned())),
        ("distribution", text::distro(report)),
        ("packages", Some(report.inventory.len().to_string())),
        ("advisories", advisories.map(|advisories| advisories.built.clone())),
    ];
    writeln!(output, "    <properties>")?;
    for (name, value) in properties {
        if let Some(value) = value {
            writeln!(output, r#"      <property name="{name}" value="{}"/>"#, escape(&value))?;
        }
    }
    writeln!(output, "    </properties>")?;
    complete(report, output)?;
    for finding in &report.findings {
        test(report, finding, output)?;
    }
    writeln!(output, "  </testsuite>")?;
    Ok(())
}

/// The test that an image was looked at completely.
fn complete(report: &Report, output: &mut dyn Write) -> Result<()> {
    let mut problems = String::new();
    for problem in &report.problems {
        let _ = writeln!(problems, "{}", escape(&text::problem(problem)));
    }
    let head = r#"    <testcase classname="image" name="was looked at completely""#;
    if !report.is_complete() {
        let message = "packages or advisories may be missing";
        writeln!(output, r#"{head}>"#)?;
        writeln!(output, r#"      <error type="incomplete" message="{message}">{problems}</error>"#)?;
    } else if problems.is_empty() {
        writeln!(output, "{head}/>")?;
        return Ok(());
    } else {
        writeln!(output, "{head}>")?;
        writeln!(output, "      <system-out>{problems}</system-out>")?;
    }
    writeln!(output, "    </testcase>")?;
    Ok(())
}

fn test(report: &Report, finding: &Finding, output: &mut dyn Write) -> Result<()> {
    let package = text::package(report, finding);
    let class = format!("{}.{}", package.kind, package.name);
    let mut name = format!("{} in {package}", plain(&finding.id));
    if !package.architecture.is_empty() {
        let _ = write!(name, " {}", package.architecture);
    }
    let rating = finding.severity.rating;
    let message = format!("{rating}: {}", text::verdict(report, finding));
    writeln!(output, r#"    <testcase classname="{}" name="{}">"#, escape(&class), escape(&name))?;
    write!(output, r#"      <failure type="{rating}" message="{}">"#, escape(&message))?;
    let mut lines = vec![format!("Severity {}.", text::severity(finding))];
    lines.push(text::fix(report, finding).unwrap_or_else(|| "No version is known in which it is fixed.".to_owned()));
    let others: Vec<_> = text::other_ids(finding).map(plain).collect();
    if !others.is_empty() {
        lines.push(format!("Also known as {}.", others.join(", ")));
    }
    lines.extend(text::locations(report, finding).map(|place| format!("Found in {}.", text::place(report, &place))));
    lines.extend(text::page(&finding.id));
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        write!(output, "{}", escape(line))?;
    }
    writeln!(output, "</failure>")?;
    writeln!(output, "    </testcase>")?;
    Ok(())
}

/// Text between tags and in quotes. What XML 1.0 cannot hold at all, [`plain`] has escaped before.
fn escape(text: &str) -> String {
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
