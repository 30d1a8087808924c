//! The words of one paragraph, heading or table cell, each in its style, as they are collected.

use ratatui::style::Style;
use ratatui::text::Span;

use super::wrap::Row;
use crate::ui::theme::Theme;

/// Collects styled text between the starts and ends of emphasis, links and so on.
pub struct Inline {
    spans: Row,
    /// Where in the source the collected text begins.
    start: Option<usize>,
    /// The styles that are open, each with those before it applied.
    styles: Vec<Style>,
    links: Vec<OpenLink>,
}

/// A link or image whose text is being collected.
struct OpenLink {
    /// Where its text begins among the spans.
    first_span: usize,
    address: String,
}

impl Inline {
    pub fn new(style: Style) -> Self {
        Self { spans: Row::new(), start: None, styles: vec![style], links: Vec::new() }
    }

    /// Notes where the text begins, unless it has begun.
    pub fn begin(&mut self, start: usize) {
        self.start.get_or_insert(start);
    }

    /// What was collected, and where it began.
    pub fn take(&mut self) -> (Row, Option<usize>) {
        (std::mem::take(&mut self.spans), self.start.take())
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    pub fn push_style(&mut self, style: Style) {
        self.styles.push(self.style().patch(style));
    }

    pub fn pop_style(&mut self) {
        self.styles.pop();
    }

    pub fn text(&mut self, text: &str) {
        self.spans.push(Span::styled(text.to_owned(), self.style()));
    }

    /// Text with a style of its own upon the open ones.
    pub fn styled(&mut self, text: &str, style: Style) {
        self.spans.push(Span::styled(text.to_owned(), self.style().patch(style)));
    }

    /// Tags are shown, but for the line break that models use inside table cells.
    pub fn html(&mut self, tag: &str, theme: &Theme) {
        let name: String = tag.chars().filter(|character| !character.is_whitespace()).collect();
        if matches!(name.to_ascii_lowercase().as_str(), "<br>" | "<br/>") {
            self.text("\n");
        } else {
            self.styled(tag, theme.dim);
        }
    }

    pub fn start_link(&mut self, address: String, theme: &Theme) {
        self.links.push(OpenLink { first_span: self.spans.len(), address });
        self.push_style(theme.link);
    }

    /// Ends the link and adds its address, if the text does not show that already.
    pub fn end_link(&mut self, theme: &Theme) {
        self.pop_style();
        let Some(OpenLink { first_span, address }) = self.links.pop() else { return };
        let spans = self.spans.get(first_span..).unwrap_or_default();
        let shown: String = spans.iter().map(|span| span.content.as_ref()).collect();
        if !address.is_empty() && shown != address && format!("mailto:{shown}") != address {
            let space = if shown.is_empty() { "" } else { " " };
            self.styled(&format!("{space}({address})"), theme.dim);
        }
    }
}
