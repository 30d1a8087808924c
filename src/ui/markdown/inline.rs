//! The words of one paragraph, heading or table cell, each in its style, as they are collected.

use ratatui::style::Style;
use ratatui::text::Span;

use super::wrap::Row;
use crate::ui::links::{self, Links};
use crate::ui::theme::Theme;

/// Collects styled text between the starts and ends of emphasis, links and so on.
pub struct Inline {
    pieces: Vec<Piece>,
    /// Where in the source the collected text begins.
    start: Option<usize>,
    /// The styles that are open, each with those before it applied.
    styles: Vec<Style>,
    links: Vec<OpenLink>,
    /// Images whose description is being collected. What is marked up in there is words only.
    images: usize,
    /// Nothing but the marker of an item has come.
    is_only_marker: bool,
}

struct Piece {
    span: Span<'static>,
    /// Written as words, in which addresses may stand.
    is_prose: bool,
}

/// A link or image whose text is being collected.
struct OpenLink {
    /// Where its text begins among the pieces.
    first_piece: usize,
    address: String,
    /// What marks the cells that lead to the address.
    tag: Style,
}

impl Inline {
    pub fn new(style: Style) -> Self {
        Self {
            pieces: Vec::new(),
            start: None,
            styles: vec![style],
            links: Vec::new(),
            images: 0,
            is_only_marker: false,
        }
    }

    /// Notes where the text begins, unless it has begun.
    pub fn begin(&mut self, start: usize) {
        self.start.get_or_insert(start);
    }

    /// What was collected, and where it began. Addresses in prose have become links.
    pub fn take(&mut self, links: &mut Links, theme: &Theme) -> (Row, Option<usize>) {
        let mut row = Row::new();
        self.is_only_marker = false;
        for piece in std::mem::take(&mut self.pieces) {
            if piece.is_prose {
                push_prose(piece.span, links, theme, &mut row);
            } else {
                row.push(piece.span);
            }
        }
        (row, self.start.take())
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn is_only_marker(&self) -> bool {
        self.is_only_marker
    }

    /// The marker of an item before its words.
    pub fn marker(&mut self, marker: &str, style: Style) {
        let is_only_marker = self.pieces.is_empty() || self.is_only_marker;
        self.styled(marker, style);
        self.is_only_marker = is_only_marker;
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

    /// Words. Those of one style are one piece, however many pieces they come in.
    pub fn text(&mut self, text: &str) {
        self.is_only_marker = false;
        let (style, is_prose) = (self.style(), self.links.is_empty());
        match self.pieces.last_mut() {
            Some(last) if last.is_prose && is_prose && last.span.style == style => {
                last.span.content.to_mut().push_str(text)
            }
            _ => self.pieces.push(Piece { span: Span::styled(text.to_owned(), style), is_prose }),
        }
    }

    /// Text with a style of its own upon the open ones.
    pub fn styled(&mut self, text: &str, style: Style) {
        self.is_only_marker = false;
        let style = self.style().patch(style);
        self.pieces.push(Piece { span: Span::styled(text.to_owned(), style), is_prose: false });
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

    pub fn start_image(&mut self, address: String, links: &mut Links, theme: &Theme) {
        if self.images == 0 {
            self.text("image: ");
        }
        self.start_link(address, links, theme);
        self.images += 1;
    }

    pub fn end_image(&mut self, theme: &Theme) {
        self.images = self.images.saturating_sub(1);
        self.end_link(theme);
    }

    pub fn start_link(&mut self, address: String, links: &mut Links, theme: &Theme) {
        if self.images > 0 {
            self.push_style(Style::new());
            return;
        }
        let tag = links.tag(&address);
        self.links.push(OpenLink { first_piece: self.pieces.len(), address, tag });
        self.push_style(theme.link.patch(tag));
    }

    /// Ends the link and adds its address, if the text does not show that already.
    pub fn end_link(&mut self, theme: &Theme) {
        self.pop_style();
        if self.images > 0 {
            return;
        }
        let Some(OpenLink { first_piece, address, tag }) = self.links.pop() else { return };
        let pieces = self.pieces.get(first_piece..).unwrap_or_default();
        let shown: String = pieces.iter().map(|piece| piece.span.content.as_ref()).collect();
        if !address.is_empty() && shown != address && format!("mailto:{shown}") != address {
            let space = if shown.is_empty() { "" } else { " " };
            self.styled(&format!("{space}({address})"), theme.dim.patch(tag));
        }
    }
}

/// Adds words to `row`, and the addresses among them as links.
fn push_prose(span: Span<'static>, links: &mut Links, theme: &Theme, row: &mut Row) {
    let found = links::addresses(&span.content);
    if found.is_empty() {
        row.push(span);
        return;
    }
    let mut end = 0;
    let piece = |text: &str, style: Style| Span::styled(text.to_owned(), style);
    for range in found {
        if end < range.start {
            row.push(piece(&span.content[end..range.start], span.style));
        }
        let address = &span.content[range.clone()];
        let style = span.style.patch(theme.link).patch(links.tag(address));
        row.push(piece(address, style));
        end = range.end;
    }
    if end < span.content.len() {
        row.push(piece(&span.content[end..], span.style));
    }
}
