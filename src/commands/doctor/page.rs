//! The examination as a page: for a terminal of any width, in words first and colours second, so that it can be read
//! out.

use unicode_width::UnicodeWidthStr;

use super::finding::{Finding, Level, Section};
use crate::text::wrapped::wrapped;
use crate::text::{counted, escape_line};

/// How the page is to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns.
    pub width: usize,
    pub colours: bool,
}

/// Columns of the names of facts.
const NAMES: usize = 14;
const INDENT: usize = 2;

/// Makes the page, with a line at its end that sums it up.
pub fn page(sections: &[Section], look: Look) -> String {
    let mut page = String::new();
    for section in sections {
        page.push_str(&heading(section, look));
        for (name, fact) in &section.facts {
            page.push_str(&entry(name, fact, None, look));
        }
        for finding in &section.findings {
            page.push_str(&entry(finding.level.word(), &finding.what, Some(finding.level), look));
            if let Some(remedy) = &finding.remedy {
                page.push_str(&entry("hint", remedy, None, look));
            }
        }
        page.push('\n');
    }
    page + &summary(sections, look) + "\n"
}

fn heading(section: &Section, look: Look) -> String {
    let level = section.level();
    let word = look.coloured(level.word(), colour(level));
    format!("{}: {word}\n", look.coloured(section.title, "1"))
}

fn summary(sections: &[Section], look: Look) -> String {
    let findings: Vec<&Finding> = sections.iter().flat_map(|section| &section.findings).collect();
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings, notes) = (count(Level::Problem), count(Level::Warning), count(Level::Note));
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let parts: Vec<String> = [(problems, "problem"), (warnings, "warning"), (notes, "note")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count as u64, noun))
        .collect();
    let text = match parts.is_empty() {
        true => "everything is as it should be".to_owned(),
        false => parts.join(", "),
    };
    format!("{}: {}", look.coloured("Summary", "1"), look.coloured(&text, colour(worst)))
}

/// The SGR codes of a level.
fn colour(level: Level) -> &'static str {
    match level {
        Level::Ok => "32",
        Level::Note => "36",
        Level::Warning => "33",
        Level::Problem => "1;31",
    }
}

impl Look {
    fn coloured(self, text: &str, codes: &str) -> String {
        if self.colours { format!("\x1b[{codes}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A name and its text, which goes on below itself.
fn entry(name: &str, text: &str, level: Option<Level>, look: Look) -> String {
    let begin = INDENT + NAMES;
    let room = look.width.saturating_sub(begin).max(20);
    let mut lines = String::new();
    for (number, line) in wrapped(&escape_line(text), room).iter().enumerate() {
        match number {
            0 => {
                let shown = look.coloured(name, level.map_or("2", colour));
                let gap = " ".repeat(NAMES.saturating_sub(name.width()).max(1));
                lines.push_str(&format!("{}{shown}{gap}{line}\n", " ".repeat(INDENT)));
            }
            _ => lines.push_str(&format!("{}{line}\n", " ".repeat(begin))),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { width: 60, colours: false };

    fn sections() -> Vec<Section> {
        let section =
            |name, title, facts, findings| Section { name, title, facts, findings, object: serde_json::Value::Null };
        vec![
            section(
                "processor",
                "Processor",
                vec![("name", "An Example\x1b[31m 9000".into()), ("cores", "4 of 4".into())],
                vec![Finding::warning(
                    "this build does without AVX-512, which the processor has and which is faster",
                    "in the folder of tuichat's source, type `make build` and take that",
                )],
            ),
            section("disk", "Disk", Vec::new(), vec![Finding::ok("there is room")]),
        ]
    }

    #[test]
    fn a_page_is_aligned_and_wrapped_and_says_levels_in_words() {
        insta::assert_snapshot!(page(&sections(), PLAIN), @r"
        Processor: warning
          name          An Example<U+001B>[31m 9000
          cores         4 of 4
          warning       this build does without AVX-512, which the
                        processor has and which is faster
          hint          in the folder of tuichat's source, type
                        `make build` and take that

        Disk: ok
          ok            there is room

        Summary: 1 warning
        ");
    }

    #[test]
    fn colours_change_nothing_but_the_looks_and_only_ours_are_there() {
        let coloured = page(&sections(), Look { colours: true, ..PLAIN });
        assert!(coloured.contains("\x1b[33mwarning\x1b[0m"), "{coloured}");
        let mut plain = coloured;
        for codes in ["0", "1", "2", "32", "33"] {
            plain = plain.replace(&format!("\x1b[{codes}m"), "");
        }
        assert_eq!(plain, page(&sections(), PLAIN));
        assert!(plain.contains("An Example<U+001B>[31m 9000"), "{plain}");
    }
}
