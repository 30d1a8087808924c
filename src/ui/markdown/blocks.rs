//! Whole blocks of Markdown to lines of the screen.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code::{Memory, indented_rows};
use super::fence;
use super::inline::Inline;
use super::source::visible;
use super::table::Table;
use super::wrap::{Row, width, wrap_words};
use crate::ui::theme::Theme;

/// Quotes and lists nest no deeper on the screen than leaves this much room for their text.
const NARROWEST_CONTENT_COLUMNS: usize = 4;

/// What models write. Mathematics is recognised so that it is left as it is.
pub fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_MATH
}

/// What stands left of the lines inside a quote or list item.
struct Margin {
    /// Before the first line, until that is drawn.
    first: Option<Span<'static>>,
    rest: Span<'static>,
    columns: usize,
}

enum Container {
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

/// Draws the blocks of one piece of Markdown.
pub struct Layout<'a> {
    source: &'a str,
    theme: &'a Theme,
    width: usize,
    memory: &'a mut Memory,
    lines: Vec<Line<'static>>,
    containers: Vec<Container>,
    margins: Vec<Margin>,
    /// Something stands above in the same container, so that the next block may need an empty line before it.
    below_something: bool,
    /// The same for the containers outside.
    outer_below_something: Vec<bool>,
    /// An empty line is due before the next line that is drawn, beside so many of the margins.
    gap: Option<usize>,
    inline: Inline,
    table: Option<Table>,
    /// Info and text of the code block being collected.
    code: Option<(String, String)>,
    html: Option<String>,
}

/// The lines for `source`, which is clean and whole blocks.
pub fn lay_out(source: &str, width: usize, theme: &Theme, memory: &mut Memory) -> Vec<Line<'static>> {
    let mut layout = Layout {
        source,
        theme,
        width: width.max(1),
        memory,
        lines: Vec::new(),
        containers: Vec::new(),
        margins: Vec::new(),
        below_something: false,
        outer_below_something: Vec::new(),
        gap: None,
        inline: Inline::new(theme.text),
        table: None,
        code: None,
        html: None,
    };
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        layout.event(event, range);
    }
    layout.lines
}

impl Layout<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        let is_word = self.code.is_none() && self.html.is_none() && !matches!(event, Event::Start(_) | Event::End(_));
        if is_word {
            self.inline.begin(range.start);
        }
        match event {
            Event::Start(tag) => self.start(tag, &range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&visible(&text)),
            Event::Code(code) => self.inline.styled(&visible(&code), self.theme.code),
            Event::InlineMath(math) => self.inline.styled(&format!("${}$", visible(&math)), Style::new()),
            Event::DisplayMath(math) => self.inline.styled(&format!("$${}$$", visible(&math)), Style::new()),
            Event::Html(html) => self.text(&visible(&html)),
            Event::InlineHtml(html) => self.inline.html(&visible(&html), self.theme),
            Event::FootnoteReference(label) => self.text(&format!("[^{}]", visible(&label))),
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.text("\n"),
            Event::Rule => self.rule(range.start),
            Event::TaskListMarker(done) => self.task_marker(done),
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Paragraph => self.begin_block(range.start),
            Tag::Heading { level, .. } => {
                self.begin_block(range.start);
                self.inline.push_style(heading_style(level, self.theme));
            }
            Tag::BlockQuote(_) => self.start_quote(range.start),
            Tag::CodeBlock(kind) => {
                self.begin_block(range.start);
                let info = match kind {
                    CodeBlockKind::Fenced(info) => fence::info(&info),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((info, String::new()));
            }
            Tag::HtmlBlock => {
                self.begin_block(range.start);
                self.html = Some(String::new());
            }
            Tag::List(next) => {
                self.begin_block(range.start);
                self.containers.push(Container::List { start: range.start, next });
            }
            Tag::Item => self.start_item(range.start),
            Tag::Table(alignments) => {
                self.begin_block(range.start);
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead => {
                self.start_table_row();
                self.inline.push_style(self.theme.strong);
            }
            Tag::TableRow => self.start_table_row(),
            Tag::Emphasis => self.inline.push_style(self.theme.emphasis),
            Tag::Strong => self.inline.push_style(self.theme.strong),
            Tag::Strikethrough => self.inline.push_style(self.theme.strikethrough),
            Tag::Link { dest_url, .. } => {
                self.inline.begin(range.start);
                self.inline.start_link(visible(&dest_url), self.theme);
            }
            Tag::Image { dest_url, .. } => {
                self.inline.begin(range.start);
                self.inline.text("image: ");
                self.inline.start_link(visible(&dest_url), self.theme);
            }
            // The other extensions are not switched on.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush_inline(),
            TagEnd::Heading(_) => {
                self.flush_inline();
                self.inline.pop_style();
            }
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => self.end_html(),
            TagEnd::List(_) => {
                self.containers.pop();
            }
            TagEnd::Item => self.end_item(),
            TagEnd::Table => self.end_table(),
            TagEnd::TableHead => {
                self.inline.pop_style();
            }
            TagEnd::TableCell => self.end_cell(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.inline.pop_style();
            }
            TagEnd::Link | TagEnd::Image => self.inline.end_link(self.theme),
            _ => {}
        }
    }

    /// Text belongs to the code or HTML that is open, or else to the words.
    fn text(&mut self, text: &str) {
        match (&mut self.code, &mut self.html) {
            (Some((_, code)), _) => code.push_str(text),
            (None, Some(html)) => html.push_str(text),
            (None, None) => self.inline.text(text),
        }
    }

    /// The columns left for text inside the open quotes and lists.
    fn content_width(&self) -> usize {
        let margins: usize = self.margins.iter().map(|margin| margin.columns).sum();
        self.width.saturating_sub(margins).max(1)
    }

    /// Whether there is room for a margin of so many columns.
    fn has_room_for(&self, columns: usize) -> bool {
        self.content_width() >= columns + NARROWEST_CONTENT_COLUMNS
    }

    /// Draws what is collected before the block that starts at `start`.
    fn begin_block(&mut self, start: usize) {
        self.flush_inline();
        self.separate(start);
    }

    /// Asks for an empty line if what starts at `start` wants one. Inside of lists the author decides that.
    fn separate(&mut self, start: usize) {
        let wanted = match self.containers.last() {
            None | Some(Container::Quote) => true,
            Some(&Container::List { start: outer, .. } | &Container::Item { start: outer }) => {
                self.follows_empty_line(outer, start)
            }
        };
        if self.below_something && wanted {
            self.gap = Some(self.margins.len());
        }
    }

    /// Whether the line above `start` is empty and belongs to what begins at `outer`.
    fn follows_empty_line(&self, outer: usize, start: usize) -> bool {
        let mut lines_above = self.source.get(outer..start).unwrap_or_default().rsplit('\n').skip(1);
        let is_empty = |line: &str| line.trim_matches(|mark: char| mark == '>' || mark.is_whitespace()).is_empty();
        lines_above.next().is_some_and(is_empty)
    }

    /// Draws the words collected so far.
    fn flush_inline(&mut self) {
        let (spans, start) = self.inline.take();
        if spans.is_empty() {
            return;
        }
        if let Some(start) = start {
            self.separate(start);
        }
        let rows = wrap_words(&spans, self.content_width());
        self.emit(rows);
    }

    /// Draws lines with the margins of the open quotes and items.
    fn emit(&mut self, rows: Vec<Row>) {
        for row in rows {
            if let Some(depth) = self.gap.take() {
                let margins = self.margins.iter().take(depth);
                self.lines.push(trimmed(margins.map(|margin| margin.rest.clone()).collect()));
            }
            let is_empty = row.is_empty();
            let margins = self.margins.iter_mut();
            let mut spans: Row =
                margins.map(|margin| margin.first.take().unwrap_or_else(|| margin.rest.clone())).collect();
            spans.extend(row);
            self.lines.push(if is_empty { trimmed(spans) } else { Line::from(spans) });
            self.below_something = true;
        }
    }

    fn enter_container(&mut self, container: Container) {
        self.containers.push(container);
        self.outer_below_something.push(std::mem::take(&mut self.below_something));
    }

    /// What was drawn inside stands above the rest of the container outside.
    fn leave_container(&mut self) {
        self.containers.pop();
        self.margins.pop();
        self.below_something |= self.outer_below_something.pop().unwrap_or_default();
        self.gap = self.gap.map(|depth| depth.min(self.margins.len()));
    }

    fn start_quote(&mut self, start: usize) {
        self.begin_block(start);
        let bar = Span::styled(if self.theme.ascii { "| " } else { "▌ " }, self.theme.border);
        let columns = if self.has_room_for(2) { 2 } else { 0 };
        let rest = if columns > 0 { bar } else { Span::default() };
        self.margins.push(Margin { first: None, rest, columns });
        self.enter_container(Container::Quote);
        self.inline.push_style(self.theme.quote);
    }

    fn end_quote(&mut self) {
        self.flush_inline();
        self.inline.pop_style();
        self.leave_container();
    }

    fn start_item(&mut self, start: usize) {
        self.begin_block(start);
        let depth = self.containers.iter().filter(|container| matches!(container, Container::List { .. })).count();
        let marker = match self.containers.last_mut() {
            Some(Container::List { next: Some(number), .. }) => {
                let marker = format!("{number}{} ", delimiter(self.source, start));
                *number = number.saturating_add(1);
                marker
            }
            _ if self.theme.ascii => "* ".to_owned(),
            _ => ["• ", "◦ ", "▪ "][depth.saturating_sub(1) % 3].to_owned(),
        };
        self.enter_container(Container::Item { start });
        self.push_marker(marker);
    }

    /// Puts the marker into the margin, or before the text where there is no room for a margin.
    fn push_marker(&mut self, marker: String) {
        let columns = width(&marker);
        let marker = Span::styled(marker, self.theme.accent);
        if self.has_room_for(columns) {
            self.margins.push(Margin { first: Some(marker), rest: Span::raw(" ".repeat(columns)), columns });
        } else {
            self.margins.push(Margin { first: None, rest: Span::default(), columns: 0 });
            self.inline.styled(&marker.content, self.theme.accent);
        }
    }

    /// A box in place of the bullet.
    fn task_marker(&mut self, done: bool) {
        let marker = if done { "[x] " } else { "[ ] " };
        if self.margins.last().is_some_and(|margin| margin.first.is_some()) {
            self.margins.pop();
            self.push_marker(marker.to_owned());
        } else {
            self.inline.styled(marker, self.theme.accent);
        }
    }

    fn end_item(&mut self) {
        self.flush_inline();
        if self.margins.last().is_some_and(|margin| margin.first.is_some()) {
            self.emit(vec![Row::new()]);
        }
        self.leave_container();
    }

    fn end_code(&mut self) {
        if let Some((info, text)) = self.code.take() {
            let rows = self.memory.rows(&info, &text, self.content_width(), self.theme);
            self.emit(rows);
        }
    }

    fn end_html(&mut self) {
        if let Some(html) = self.html.take() {
            let width = self.content_width();
            let rows =
                html.lines().flat_map(|line| indented_rows(&[Span::styled(line, self.theme.dim)], width, self.theme));
            self.emit(rows.collect());
        }
    }

    fn rule(&mut self, start: usize) {
        self.begin_block(start);
        let line = if self.theme.ascii { "-" } else { "─" };
        self.emit(vec![vec![Span::styled(line.repeat(self.content_width()), self.theme.border)]]);
    }

    fn start_table_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.rows.push(Vec::new());
        }
    }

    fn end_cell(&mut self) {
        let (cell, _) = self.inline.take();
        if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
            row.push(cell);
        }
    }

    fn end_table(&mut self) {
        if let Some(table) = self.table.take() {
            let rows = table.rows(self.content_width(), self.theme);
            self.emit(rows);
        }
    }
}

/// The main heading is underlined and the small ones slanted, so that levels differ without colour or size.
fn heading_style(level: HeadingLevel, theme: &Theme) -> Style {
    match level {
        HeadingLevel::H1 => theme.heading.add_modifier(Modifier::UNDERLINED),
        HeadingLevel::H2 => theme.heading,
        _ => theme.heading.patch(theme.emphasis),
    }
}

/// What follows the number of the item at `start`: `.` or `)`.
fn delimiter(source: &str, start: usize) -> char {
    let item = source.get(start..).unwrap_or_default();
    let after = item.trim_start().trim_start_matches(|digit: char| digit.is_ascii_digit()).chars().next();
    after.filter(|&character| character == ')').unwrap_or('.')
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
