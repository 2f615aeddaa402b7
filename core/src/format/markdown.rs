//! The report as Markdown (GitHub's, which GitLab, Gitea and others read too), for comments and summaries of jobs. Several reports stand
//! one below another.
//!
//! A comment on GitHub has at most 65,536 characters, so the findings are listed, the worst first, as far as there is room, and a
//! line says how many there are beyond. Text of an image stands as code: it makes no link, mentions nobody and is no HTML.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};

use super::Format;
use super::table;
use super::text::{self, cut, plain};
use crate::error::Result;
use crate::model::finding::{Finding, Status};
use crate::model::report::Report;

/// The format.
pub static FORMAT: Format = Format { id: "markdown", extensions: &["md", "markdown"], write };

/// The bytes of all reports together, their last lines aside.
const ROOM: usize = 60_000;
/// The most characters of a cell.
const CELL: usize = 60;
/// The most characters of a line.
const LINE: usize = 300;

fn write(reports: &[&Report], output: &mut dyn Write) -> Result<()> {
    let mut output = BufWriter::new(output);
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            output.write_all(b"\n")?;
        }
        output.write_all(one(report, ROOM / reports.len()).as_bytes())?;
    }
    output.flush()?;
    Ok(())
}

fn one(report: &Report, room: usize) -> String {
    let subject = &report.subject;
    let mut page = format!("## {}\n\n", code(&cut(&subject.reference, LINE)));
    let distro = text::distro(report).map_or_else(|| "no distribution".to_owned(), |distro| code(&cut(&distro, CELL)));
    let (layers, packages) =
        (text::count(report.layers.len(), "layer"), text::count(report.inventory.len(), "package"));
    let platform = code(&cut(&subject.platform.to_string(), CELL));
    let _ = writeln!(page, "{platform}, {distro}, {layers}, {packages}, {}\n", code(subject.digest.as_str()));
    let _ = writeln!(page, "**{}**", table::summary(report));
    if !report.findings.is_empty() {
        // A third is kept for problems.
        findings(report, &mut page, room - room / 3);
    }
    if report.stats.owned_findings > 0 {
        let _ = writeln!(
            page,
            "\n{} more concern files that a package of the distribution owns, and are left to it.",
            report.stats.owned_findings
        );
    }
    if !report.problems.is_empty() {
        let _ = writeln!(page, "\n### {}\n", text::count(report.problems.len(), "problem"));
        let lines = report.problems.iter().map(|problem| format!("- {}\n", code(&cut(&text::problem(problem), LINE))));
        fill(&mut page, room, report.problems.len(), lines);
    }
    page
}

fn findings(report: &Report, page: &mut String, room: usize) {
    page.push_str(
        "\n| severity | finding | package | version | type | fixed in |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let rows = text::worst_first(report).into_iter().map(|finding| row(report, finding));
    fill(page, room, report.findings.len(), rows);
}

/// Adds lines as long as there is room, and says how many of them are left out.
fn fill(page: &mut String, room: usize, all: usize, lines: impl Iterator<Item = String>) {
    for (shown, line) in lines.enumerate() {
        if page.len() + line.len() > room {
            let _ = writeln!(page, "\n{} more are not shown here.", all - shown);
            return;
        }
        page.push_str(&line);
    }
}

fn row(report: &Report, finding: &Finding) -> String {
    let package = text::package(report, finding);
    let id = code(&cut(&finding.id, CELL));
    let id = text::page(&finding.id).map_or_else(|| id.clone(), |page| format!("[{id}]({page})"));
    let fixed = match (finding.status, finding.fixed.first()) {
        (Status::Indeterminate, _) => format!("? {}", code(&cut(&finding.evidence.event, CELL))),
        (_, Some(version)) => code(&cut(version, CELL)),
        (_, None) => "-".to_owned(),
    };
    let (name, version) = (code(&cut(&package.name, CELL)), code(&cut(&package.version, CELL)));
    format!("| {} | {id} | {name} | {version} | {} | {fixed} |\n", finding.severity.rating, package.kind)
}

/// Text as code. Most of it can stand between backticks, more of them than it has in a row; where one of its characters could end the
/// cell of a table or be taken for HTML, all but letters and digits are written as numbers.
pub(super) fn code(text: &str) -> String {
    let text = plain(text);
    if text.is_empty() {
        return String::new();
    }
    if !text.contains(['|', '<', '>', '&', '$']) && text.trim() == text {
        let most = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(most + 1);
        let space = if most > 0 { " " } else { "" };
        return format!("{fence}{space}{text}{space}{fence}");
    }
    let mut escaped = "<code>".to_owned();
    for character in text.chars() {
        if character.is_alphanumeric() || character == ' ' {
            escaped.push(character);
        } else {
            let _ = write!(escaped, "&#{};", u32::from(character));
        }
    }
    escaped + "</code>"
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn text_does_not_end_the_code_that_it_stands_in() {
        for (text, expected) in [
            ("@acme/cart", "`@acme/cart`"),
            ("a `b` c", "`` a `b` c ``"),
            ("``", "``` `` ```"),
            ("a|b", "<code>a&#124;b</code>"),
            ("<b>", "<code>&#60;b&#62;</code>"),
            (" a", "<code> a</code>"),
            ("a\n", "`a\\x0a`"),
            ("", ""),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
