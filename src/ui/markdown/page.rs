//! The lines of one piece of Markdown as they are drawn: beside quotes and list items stands a margin, and between
//! blocks an empty line where one is wanted.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::wrap::{Row, width};
use crate::ui::theme::Theme;

/// Quotes and lists nest no deeper on the screen than leaves this much room for their text.
const NARROWEST_CONTENT_COLUMNS: usize = 4;

/// What stands left of the lines inside a quote or list item.
struct Margin {
    /// Before the first line, until that is drawn.
    first: Option<Span<'static>>,
    rest: Span<'static>,
    columns: usize,
}

/// What holds blocks.
pub enum Container {
    Quote,
    List {
        /// Where in the source it begins.
        start: usize,
        /// The number of the next item, in a numbered list.
        next: Option<u64>,
    },
    Item {
        start: usize,
    },
}

/// Where the next line goes.
#[derive(Default)]
struct State {
    lines: Vec<Line<'static>>,
    containers: Vec<Container>,
    margins: Vec<Margin>,
    /// Something stands above in the same container, so that the next block may need an empty line before it.
    below_something: bool,
    /// The same for the containers outside.
    outer_below_something: Vec<bool>,
    /// An empty line is due before the next line that is drawn, beside so many of the margins.
    gap: Option<usize>,
}

/// The lines drawn so far, and the quotes and lists that are open.
pub struct Page<'a> {
    source: &'a str,
    theme: &'a Theme,
    width: usize,
    state: State,
    /// What goes on when the note that is being drawn has ended.
    outside: Vec<State>,
}

impl<'a> Page<'a> {
    pub fn new(source: &'a str, theme: &'a Theme, width: usize) -> Self {
        Self { source, theme, width: width.max(1), state: State::default(), outside: Vec::new() }
    }

    pub fn into_lines(self) -> Vec<Line<'static>> {
        self.state.lines
    }

    /// The columns left for text inside the open quotes and lists.
    pub fn content_width(&self) -> usize {
        let margins: usize = self.state.margins.iter().map(|margin| margin.columns).sum();
        self.width.saturating_sub(margins).max(1)
    }

    /// Whether there is room for a margin of so many columns.
    fn has_room_for(&self, columns: usize) -> bool {
        self.content_width() >= columns + NARROWEST_CONTENT_COLUMNS
    }

    /// Asks for an empty line if what starts at `start` wants one. Inside of lists the author decides that.
    pub fn separate(&mut self, start: usize) {
        let wanted = match self.state.containers.last() {
            None | Some(Container::Quote) => true,
            Some(&Container::List { start: outer, .. } | &Container::Item { start: outer }) => {
                self.follows_empty_line(outer, start)
            }
        };
        if self.state.below_something && wanted {
            self.state.gap = Some(self.state.margins.len());
        }
    }

    /// Whether the line above `start` is empty and belongs to what begins at `outer`.
    fn follows_empty_line(&self, outer: usize, start: usize) -> bool {
        let mut lines_above = self.source.get(outer..start).unwrap_or_default().rsplit('\n').skip(1);
        lines_above.next().is_some_and(is_empty)
    }

    /// Draws lines with the margins of the open quotes and items.
    pub fn emit(&mut self, rows: Vec<Row>) {
        let state = &mut self.state;
        for row in rows {
            if let Some(depth) = state.gap.take() {
                let margins = state.margins.iter().take(depth);
                state.lines.push(trimmed(margins.map(|margin| margin.rest.clone()).collect()));
            }
            let is_empty = row.is_empty();
            let margins = state.margins.iter_mut();
            let mut spans: Row =
                margins.map(|margin| margin.first.take().unwrap_or_else(|| margin.rest.clone())).collect();
            spans.extend(row);
            state.lines.push(if is_empty { trimmed(spans) } else { Line::from(spans) });
            state.below_something = true;
        }
    }

    /// Draws what stands right above the first block inside.
    pub fn emit_title(&mut self, rows: Vec<Row>) {
        self.emit(rows);
        self.state.below_something = false;
        self.state.outer_below_something.fill(true);
    }

    pub fn open_list(&mut self, start: usize, next: Option<u64>) {
        self.state.containers.push(Container::List { start, next });
    }

    pub fn close_list(&mut self) {
        self.state.containers.pop();
    }

    /// The quote or item that begins here.
    pub fn enter(&mut self, container: Container) {
        self.state.containers.push(container);
        let above = std::mem::take(&mut self.state.below_something);
        self.state.outer_below_something.push(above);
    }

    /// What was drawn inside stands above the rest of the container outside.
    pub fn leave(&mut self) {
        let state = &mut self.state;
        state.containers.pop();
        state.margins.pop();
        state.below_something |= state.outer_below_something.pop().unwrap_or_default();
        state.gap = state.gap.map(|depth| depth.min(state.margins.len()));
    }

    /// A bar beside all that comes until the quote is left.
    pub fn push_bar(&mut self, style: Style) {
        let bar = Span::styled(if self.theme.ascii { "| " } else { "▌ " }, style);
        let columns = if self.has_room_for(2) { 2 } else { 0 };
        let rest = if columns > 0 { bar } else { Span::default() };
        self.state.margins.push(Margin { first: None, rest, columns });
    }

    /// What stands before the next item of the list: its number and `delimiter`, or a bullet.
    pub fn next_marker(&mut self, delimiter: char) -> String {
        let lists = self.state.containers.iter().filter(|container| matches!(container, Container::List { .. }));
        let depth = lists.count();
        match self.state.containers.last_mut() {
            Some(Container::List { next: Some(number), .. }) => {
                let marker = format!("{number}{delimiter} ");
                *number = number.saturating_add(1);
                marker
            }
            _ if self.theme.ascii => "* ".to_owned(),
            _ => ["• ", "◦ ", "▪ "][depth.saturating_sub(1) % 3].to_owned(),
        }
    }

    /// Puts the marker into the margin; gives it back where there is no room for one.
    pub fn push_marker(&mut self, marker: String) -> Option<String> {
        let columns = width(&marker);
        if self.has_room_for(columns) {
            let first = Some(Span::styled(marker, self.theme.accent));
            self.state.margins.push(Margin { first, rest: Span::raw(" ".repeat(columns)), columns });
            None
        } else {
            self.state.margins.push(Margin { first: None, rest: Span::default(), columns: 0 });
            Some(marker)
        }
    }

    /// Whether a marker waits for the line that it stands before.
    pub fn has_waiting_marker(&self) -> bool {
        self.state.margins.last().is_some_and(|margin| margin.first.is_some())
    }

    /// Another marker in place of the one that waits.
    pub fn replace_marker(&mut self, marker: String) -> Option<String> {
        self.state.margins.pop();
        self.push_marker(marker)
    }

    /// What comes until [`end_aside`](Self::end_aside) is drawn apart, outside of all quotes and lists.
    pub fn begin_aside(&mut self) {
        self.outside.push(std::mem::take(&mut self.state));
    }

    /// The lines drawn since [`begin_aside`](Self::begin_aside).
    pub fn end_aside(&mut self) -> Vec<Line<'static>> {
        let outside = self.outside.pop().unwrap_or_default();
        std::mem::replace(&mut self.state, outside).lines
    }

    /// Adds lines that were drawn apart, below an empty one.
    pub fn append(&mut self, lines: Vec<Line<'static>>) {
        if !lines.is_empty() && !self.state.lines.is_empty() {
            self.state.lines.push(Line::from(Row::new()));
        }
        self.state.lines.extend(lines);
    }
}

/// Whether a line, in a quote or not, holds nothing.
pub fn is_empty(line: &str) -> bool {
    line.trim_matches(|mark: char| mark == '>' || mark.is_whitespace()).is_empty()
}

/// A line without the spaces that would stand at its end.
fn trimmed(mut spans: Row) -> Line<'static> {
    while let Some(last) = spans.last_mut() {
        let kept = last.content.trim_end().len();
        if kept > 0 {
            last.content.to_mut().truncate(kept);
            break;
        }
        spans.pop();
    }
    Line::from(spans)
}
