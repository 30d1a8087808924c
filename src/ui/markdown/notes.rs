//! Footnotes, and definitions of links that nothing refers to: what is shown at the end of a message.

use std::collections::HashSet;

use pulldown_cmark::{Event, Parser, Tag};
use ratatui::text::Line;

use super::sheet::options_for;

/// The numbers of footnotes, in the order in which they are referred to, and their lines.
#[derive(Default)]
pub struct Notes {
    labels: Vec<String>,
    notes: Vec<(usize, Vec<Line<'static>>)>,
    current: usize,
}

impl Notes {
    /// The number of the footnote with this label.
    pub fn number(&mut self, label: &str) -> usize {
        let known = self.labels.iter().position(|known| known == label);
        known.unwrap_or_else(|| {
            self.labels.push(label.to_owned());
            self.labels.len() - 1
        }) + 1
    }

    /// Says which footnote is being drawn; gives its number.
    pub fn begin(&mut self, label: &str) -> usize {
        self.current = self.number(label);
        self.current
    }

    /// The lines of the footnote that was being drawn.
    pub fn end(&mut self, lines: Vec<Line<'static>>) {
        self.notes.push((self.current, lines));
    }

    /// All footnotes in the order of their numbers.
    pub fn into_lines(mut self) -> Vec<Line<'static>> {
        self.notes.sort_by_key(|(number, _)| *number);
        self.notes.into_iter().flat_map(|(_, lines)| lines).collect()
    }
}

/// Whether text defines links or footnotes, which may change what is drawn above them.
pub fn has_definitions(markdown: &str) -> bool {
    let parser = Parser::new_ext(markdown, options_for(true));
    parser.reference_definitions().iter().next().is_some()
        || parser.into_iter().any(|event| matches!(event, Event::Start(Tag::FootnoteDefinition(_))))
}

/// The definitions of links that nothing refers to, as they are written. Markdown would drop them.
pub fn unused_definitions(markdown: &str) -> Vec<&str> {
    let mut parser = Parser::new_ext(markdown, options_for(true));
    let mut used = HashSet::new();
    while let Some(event) = parser.next() {
        if let Event::Start(Tag::Link { id, .. } | Tag::Image { id, .. }) = event
            && let Some(definition) = parser.reference_definitions().get(&id)
        {
            used.insert(definition.span.start);
        }
    }
    let spans = parser.reference_definitions().iter().map(|(_, definition)| definition.span.clone());
    let mut unused: Vec<_> = spans.filter(|span| !used.contains(&span.start)).collect();
    unused.sort_by_key(|span| span.start);
    unused.into_iter().filter_map(|span| markdown.get(span)).map(str::trim).collect()
}
