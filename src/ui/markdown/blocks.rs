//! Whole blocks of Markdown to lines of the screen.

use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code::indented_rows;
use super::fence;
use super::inline::Inline;
use super::math::{self, Formula};
use super::notes::{self, Notes};
use super::page::{Container, Page};
use super::sheet::{Part, Sheet, options_for};
use super::source::visible;
use super::table::Table;
use super::wrap::{Row, wrap_words};
use crate::ui::theme::Theme;

/// Draws the blocks of one piece of Markdown.
pub struct Layout<'a> {
    source: &'a str,
    part: Part,
    sheet: Sheet<'a>,
    page: Page<'a>,
    formulas: Vec<Formula>,
    inline: Inline,
    table: Option<Table>,
    /// Info and text of the code block being collected.
    code: Option<(String, String)>,
    html: Option<String>,
    notes: Notes,
    /// The words to come stand below a formula of the same paragraph.
    goes_on: bool,
}

/// The lines for `source`, which is clean and whole blocks.
pub fn lay_out(source: &str, part: Part, sheet: Sheet<'_>) -> Vec<Line<'static>> {
    let marked = math::find(source);
    let (theme, width) = (sheet.theme, sheet.width);
    let mut layout = Layout {
        source,
        part,
        sheet,
        page: Page::new(source, theme, width),
        formulas: marked.formulas,
        inline: Inline::new(theme.text),
        table: None,
        code: None,
        html: None,
        notes: Notes::default(),
        goes_on: false,
    };
    for (event, range) in Parser::new_ext(&marked.text, options_for(part == Part::Whole)).into_offset_iter() {
        layout.event(event, range);
    }
    layout.finish()
}

impl Layout<'_> {
    fn finish(mut self) -> Vec<Line<'static>> {
        let notes = std::mem::take(&mut self.notes).into_lines();
        self.page.append(notes);
        if self.part == Part::Whole {
            let width = self.sheet.width;
            let style = self.sheet.theme.dim;
            let rows = |text: &str| wrap_words(&[Span::styled(visible(text), style)], width);
            let unused = notes::unused_definitions(self.source).into_iter().flat_map(rows).map(Line::from).collect();
            self.page.append(unused);
        }
        self.page.into_lines()
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        let is_word = self.code.is_none() && self.html.is_none() && !matches!(event, Event::Start(_) | Event::End(_));
        if is_word {
            self.inline.begin(range.start);
        }
        match event {
            Event::Start(tag) => self.start(tag, &range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.words(&text, range),
            Event::Code(code) => self.inline.styled(&visible(&code), self.sheet.theme.code),
            Event::Html(html) => self.text(&visible(&html)),
            Event::InlineHtml(html) => self.inline.html(&visible(&html), self.sheet.theme),
            Event::FootnoteReference(label) => {
                let number = self.notes.number(&label);
                self.inline.styled(&format!("[{number}]"), self.sheet.theme.accent);
            }
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.text("\n"),
            Event::Rule => self.rule(range.start),
            Event::TaskListMarker(done) => self.task_marker(done),
            // Formulas are found before; this extension is not switched on.
            Event::InlineMath(math) | Event::DisplayMath(math) => self.text(&visible(&math)),
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Paragraph if self.inline.is_only_marker() => {}
            Tag::Paragraph => self.begin_block(range.start),
            Tag::Heading { level, .. } => {
                self.begin_block(range.start);
                self.inline.push_style(heading_style(level, self.sheet.theme));
            }
            Tag::BlockQuote(kind) => self.start_quote(range.start, kind),
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
            Tag::List(next) => self.start_list(range.start, next),
            Tag::Item => self.start_item(range.start),
            Tag::FootnoteDefinition(label) => self.start_note(&label),
            Tag::Table(alignments) => {
                self.begin_block(range.start);
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead => {
                self.start_table_row();
                self.inline.push_style(self.sheet.theme.strong);
            }
            Tag::TableRow => self.start_table_row(),
            Tag::Emphasis => self.inline.push_style(self.sheet.theme.emphasis),
            Tag::Strong => self.inline.push_style(self.sheet.theme.strong),
            Tag::Strikethrough => self.inline.push_style(self.sheet.theme.strikethrough),
            Tag::Link { dest_url, .. } => {
                self.inline.begin(range.start);
                self.inline.start_link(visible(&dest_url), self.sheet.links, self.sheet.theme);
            }
            Tag::Image { dest_url, .. } => {
                self.inline.begin(range.start);
                self.inline.start_image(visible(&dest_url), self.sheet.links, self.sheet.theme);
            }
            // The other extensions are not switched on.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.flush_inline();
                self.goes_on = false;
            }
            TagEnd::Heading(_) => {
                self.flush_inline();
                self.inline.pop_style();
            }
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => self.end_html(),
            TagEnd::List(_) => self.page.close_list(),
            TagEnd::Item => self.end_item(),
            TagEnd::FootnoteDefinition => self.end_note(),
            TagEnd::Table => self.end_table(),
            TagEnd::TableHead => {
                self.inline.pop_style();
            }
            TagEnd::TableCell => self.end_cell(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.inline.pop_style();
            }
            TagEnd::Link => self.inline.end_link(self.sheet.theme),
            TagEnd::Image => self.inline.end_image(self.sheet.theme),
            _ => {}
        }
    }

    /// Text as Markdown has read it, with the formulas that stand in it.
    fn words(&mut self, text: &str, range: Range<usize>) {
        let first = self.formulas.partition_point(|formula| formula.range.end <= range.start);
        let formulas = self.formulas.get(first..).unwrap_or_default();
        let inside = formulas.iter().take_while(|formula| formula.range.end <= range.end);
        let formulas: Vec<Formula> = inside.filter(|formula| formula.range.start >= range.start).cloned().collect();
        if formulas.is_empty() || text.len() != range.len() {
            return self.text(&visible(text));
        }
        let mut end = range.start;
        for formula in formulas {
            self.prose(end..formula.range.start);
            end = formula.range.end;
            self.formula(&formula);
        }
        self.prose(end..range.end);
    }

    fn prose(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.text(&visible(self.source.get(range).unwrap_or_default()));
        }
    }

    /// A formula in Unicode, or as it is written where that is not possible.
    fn formula(&mut self, formula: &Formula) {
        let written = math::unquoted(self.source, formula);
        let stands_alone = formula.is_display && self.table.is_none() && self.code.is_none();
        if stands_alone {
            let width = self.page.content_width();
            let rows = math::display_rows(&written, width, self.sheet.theme);
            self.flush_inline();
            self.page.emit(rows);
            self.goes_on = true;
        } else {
            match math::inline(&written, self.sheet.theme) {
                Some(text) => self.inline.styled(&text, self.sheet.theme.math),
                None => self.inline.styled(&written.source, Style::new()),
            }
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

    /// Draws what is collected before the block that starts at `start`.
    fn begin_block(&mut self, start: usize) {
        self.flush_inline();
        self.goes_on = false;
        self.page.separate(start);
    }

    /// Draws the words collected so far.
    fn flush_inline(&mut self) {
        if self.inline.is_empty() {
            return;
        }
        let (spans, start) = self.inline.take(self.sheet.links, self.sheet.theme);
        if let Some(start) = start.filter(|_| !self.goes_on) {
            self.page.separate(start);
        }
        let rows = wrap_words(&spans, self.page.content_width());
        self.page.emit(rows);
    }

    /// A quote, or an alert: a quote with a name in a colour of its own.
    fn start_quote(&mut self, start: usize, kind: Option<BlockQuoteKind>) {
        self.begin_block(start);
        let theme = self.sheet.theme;
        let alert = kind.map(|kind| alert(kind, theme));
        self.page.push_bar(alert.map_or(theme.border, |(_, style)| style));
        self.page.enter(Container::Quote);
        match alert {
            Some((name, style)) => {
                let name = [Span::styled(name, style.patch(theme.strong))];
                let rows = wrap_words(&name, self.page.content_width());
                self.page.emit_title(rows);
                self.inline.push_style(Style::new());
            }
            None => self.inline.push_style(theme.quote),
        }
    }

    fn end_quote(&mut self) {
        self.flush_inline();
        self.inline.pop_style();
        self.page.leave();
    }

    fn start_list(&mut self, start: usize, next: Option<u64>) {
        self.begin_block(start);
        let next = match self.part {
            Part::ListGoesOn(number) => number,
            Part::Whole | Part::Blocks => next,
        };
        self.part = self.part.behind_list();
        self.page.open_list(start, next);
    }

    fn start_item(&mut self, start: usize) {
        self.begin_block(start);
        let marker = self.page.next_marker(delimiter(self.source, start));
        self.page.enter(Container::Item { start });
        let without_room = self.page.push_marker(marker);
        self.inline_marker(without_room);
    }

    /// Puts the marker before the text, where there is no room for a margin.
    fn inline_marker(&mut self, marker: Option<String>) {
        if let Some(marker) = marker {
            self.inline.marker(&marker, self.sheet.theme.accent);
        }
    }

    /// A box in place of the bullet.
    fn task_marker(&mut self, done: bool) {
        let marker = if done { "[x] " } else { "[ ] " };
        if self.page.has_waiting_marker() {
            let without_room = self.page.replace_marker(marker.to_owned());
            self.inline_marker(without_room);
        } else {
            self.inline.marker(marker, self.sheet.theme.accent);
        }
    }

    fn end_item(&mut self) {
        self.flush_inline();
        if self.page.has_waiting_marker() {
            self.page.emit(vec![Row::new()]);
        }
        self.page.leave();
    }

    /// A footnote is drawn apart, since it is shown at the end.
    fn start_note(&mut self, label: &str) {
        self.flush_inline();
        self.page.begin_aside();
        let number = self.notes.begin(label);
        self.page.enter(Container::Quote);
        let without_room = self.page.push_marker(format!("[{number}] "));
        self.inline_marker(without_room);
    }

    fn end_note(&mut self) {
        self.end_item();
        let lines = self.page.end_aside();
        self.notes.end(lines);
    }

    fn end_code(&mut self) {
        if let Some((info, text)) = self.code.take() {
            let rows = self.sheet.memory.rows(&info, &text, self.page.content_width(), self.sheet.theme);
            self.page.emit(rows);
        }
    }

    fn end_html(&mut self) {
        if let Some(html) = self.html.take() {
            let (width, theme) = (self.page.content_width(), self.sheet.theme);
            let rows = html.lines().flat_map(|line| indented_rows(&[Span::styled(line, theme.dim)], width, theme));
            self.page.emit(rows.collect());
        }
    }

    fn rule(&mut self, start: usize) {
        self.begin_block(start);
        let theme = self.sheet.theme;
        let line = if theme.ascii { "-" } else { "─" };
        self.page.emit(vec![vec![Span::styled(line.repeat(self.page.content_width()), theme.border)]]);
    }

    fn start_table_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.rows.push(Vec::new());
        }
    }

    fn end_cell(&mut self) {
        let (cell, _) = self.inline.take(self.sheet.links, self.sheet.theme);
        if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
            row.push(cell);
        }
    }

    fn end_table(&mut self) {
        if let Some(table) = self.table.take() {
            let rows = table.rows(self.page.content_width(), self.sheet.theme);
            self.page.emit(rows);
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

/// The name of an alert and its style.
fn alert(kind: BlockQuoteKind, theme: &Theme) -> (&'static str, Style) {
    match kind {
        BlockQuoteKind::Note => ("Note", theme.accent),
        BlockQuoteKind::Tip => ("Tip", theme.accent),
        BlockQuoteKind::Important => ("Important", theme.heading),
        BlockQuoteKind::Warning => ("Warning", theme.warning),
        BlockQuoteKind::Caution => ("Caution", theme.error),
    }
}

/// What follows the number of the item at `start`: `.` or `)`.
fn delimiter(source: &str, start: usize) -> char {
    let item = source.get(start..).unwrap_or_default();
    let after = item.trim_start().trim_start_matches(|digit: char| digit.is_ascii_digit()).chars().next();
    after.filter(|&character| character == ')').unwrap_or('.')
}
