//! A run as a page: one file that needs neither a network nor scripts, for screens light and dark, small and large, and
//! for paper.

use super::charts;
use super::facts::{self, Facts, Trust, Verdict};
use super::sections::{self, Section};
use crate::bench::record::Run;
use crate::bench::svg::{self, escape};

const STYLE: &str = include_str!("../../../assets/bench/report.css");
/// Rows beyond this are folded.
const MOST_ROWS: usize = 60;

pub fn render(run: &Run) -> String {
    let title = title(run);
    let charts: String =
        charts::of(run).iter().map(|drawing| format!("<figure>{}</figure>\n", drawing.inline())).collect();
    let charts = if charts.is_empty() { charts } else { format!("<div class=\"charts\">\n{charts}</div>\n") };
    let tables: String = sections::of(run).iter().map(section).collect();
    let facts: String = facts::of(run).iter().map(list).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n\
         <body>\n<header>\n<h1>{}</h1>\n<p>{}</p>\n</header>\n<main>\n{}{charts}{tables}\
         <section class=\"facts\">\n{facts}</section>\n</main>\n<footer>\n<p>{}</p>\n</footer>\n</body>\n</html>\n",
        escape(&title),
        svg::STYLE,
        escape(&title),
        escape(&subtitle(run)),
        trust(&facts::verdict(run)),
        LEGEND
    )
}

/// What the figures mean, for those who did not make them.
const LEGEND: &str = "Speeds are tokens per second: the mean of all repetitions ± their standard deviation, and the bounds \
     between which the mean lies with a probability of 95 %. pp512 is a prompt of 512 tokens that is read at once, tg128 \
     are 128 tokens written one by one, @ d1024 means behind 1024 tokens: the same as llama-bench measures.";

fn title(run: &Run) -> String {
    let models = run.models();
    match models.as_slice() {
        [] => format!("tuichat bench {}", run.head.suite),
        [one] => format!("{}: suite {}", one.trim_end_matches(".gguf"), run.head.suite),
        several => format!("{} models: suite {}", several.len(), run.head.suite),
    }
}

fn subtitle(run: &Run) -> String {
    let machine = run.head.machine.line();
    if run.head.started.as_second() == 0 { machine } else { format!("{machine} · {}", facts::started(run)) }
}

fn trust(verdict: &Verdict) -> String {
    let class = match verdict.trust {
        Trust::Valid => "valid",
        Trust::Doubtful => "doubtful",
        Trust::Partial | Trust::Unknown => "partial",
    };
    let doubts: String = verdict.doubts.iter().map(|doubt| format!("<li>{}</li>\n", escape(doubt))).collect();
    let doubts = if doubts.is_empty() { doubts } else { format!("<ul>\n{doubts}</ul>\n") };
    format!("<section class=\"trust {class}\">\n<p>{}</p>\n{doubts}</section>\n", sentence(&verdict.sentence))
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    escape(&format!("{first}{}.", characters.as_str()))
}

fn section(section: &Section) -> String {
    let (alike, section) = section.folded();
    let cell = |(column, text): (&sections::Column, &String), name: &str| {
        let class = if column.is_number { " class=\"number\"" } else { "" };
        let scope = if name == "th" { " scope=\"col\"" } else { "" };
        format!("<{name}{scope}{class}>{}</{name}>", escape(text))
    };
    let headings: String = section.columns.iter().map(|column| cell((column, &column.heading), "th")).collect();
    let row = |row: &Vec<String>| {
        let cells: String = section.columns.iter().zip(row).map(|pair| cell(pair, "td")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = section.rows.iter().map(row).collect();
    let alike = if alike.is_empty() { alike } else { format!("<br><small>{}</small>", escape(&alike)) };
    let table = format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\n<caption>{0}{alike}</caption>\n\
         <thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(&section.title)
    );
    if section.rows.len() > MOST_ROWS {
        let summary = format!("{}: {} rows", escape(&section.title), section.rows.len());
        return format!("<details><summary>{summary}</summary>\n{table}</details>\n");
    }
    table
}

fn list(facts: &Facts) -> String {
    let fact = |(name, fact): &(String, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(fact));
    let all: String = facts.of.iter().map(fact).collect();
    format!("<div><h2>{}</h2>\n<dl>\n{all}</dl></div>\n", facts.title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    /// Tags that are open at the end; elements without an end are none.
    fn unclosed(page: &str) -> Vec<String> {
        let mut open: Vec<String> = Vec::new();
        for tag in page.split('<').skip(1).filter(|tag| !tag.starts_with('!')) {
            let name: String =
                tag.chars().take_while(|character| character.is_alphanumeric() || *character == '/').collect();
            let is_whole = tag.split('>').next().unwrap().ends_with('/') || matches!(name.as_str(), "meta" | "br");
            match name.strip_prefix('/') {
                Some(end) => assert_eq!(open.pop().as_deref(), Some(end), "{page}"),
                None if !is_whole => open.push(name),
                None => {}
            }
        }
        open
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_is_whole() {
        let page = render(&examples::depth());
        assert_eq!(unclosed(&page), Vec::<String>::new());
        for word in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.matches("http").count() == page.matches("http://www.w3.org/2000/svg").count());
    }

    #[test]
    fn machine_settings_trust_figures_and_charts_are_on_the_page() {
        let page = render(&examples::depth());
        let parts = [
            "<h1>tiny-Q4_0: suite depth</h1>",
            "Orange Pi 5 Pro, 4 Cortex-A76 + 4 Cortex-A55, 8.0 GiB · 2026-11-27 09:31 UTC",
            "4 cases: nothing speaks against the figures.",
            "<dt>power.source</dt><dd>auto</dd>",
            "<td>tg128 @ d1024</td>",
            "Reading prompts: tokens per second by tokens before</title>",
        ];
        for part in parts {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let mut run = examples::depth();
        let bad = "<script>alert('x')</script>\u{202e}\u{1b}[31m\"";
        (run.head.suite, run.head.command) = (bad.into(), vec![bad.into()]);
        run.head.machine.board = Some(bad.into());
        run.head.settings.insert(bad.into(), bad.into());
        run.cases.iter_mut().for_each(|case| (case.test, case.model_filename) = (bad.into(), bad.replace('/', "|")));
        run.end.as_mut().unwrap().doubts = vec![bad.into()];
        let page = render(&run);
        assert!(!page.contains("<script") && !page.contains(['\u{202e}', '\u{1b}']), "{page}");
        assert_eq!(unclosed(&page), Vec::<String>::new());
    }

    #[test]
    fn hundreds_of_rows_are_folded() {
        let mut run = examples::depth();
        run.cases = (0..100).map(|_| run.cases[0].clone()).collect();
        assert!(render(&run).contains("<details><summary>Speed: 100 rows</summary>"));
    }
}
