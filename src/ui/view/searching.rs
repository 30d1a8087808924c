//! The search of all chats over the chat: what was typed, the messages that were found, and of the chosen one more. What
//! was looked for is bold and underlined in them, so it is told apart without colour.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::chat::Role;
use crate::store::Excerpt;
use crate::text::escape_line;
use crate::ui::app::{App, ChatSearch};
use crate::ui::msg::FoundMessage;
use crate::ui::perform::MOST_FOUND;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::open_box;
use super::{field, padded, rule};

/// A message takes its title and what was found of it.
const ROWS: usize = 2;
/// Below so many rows nothing more is shown of the chosen message.
const ROWS_FOR_MORE: u16 = 12;
const MOST_MORE: u16 = 9;
/// Columns before what was found.
const INDENT: usize = 4;

pub fn draw(app: &App, search: &ChatSearch, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let keys = "Enter goes there, typing searches, Esc closes";
    // As high as it may become, so that it does not jump while one types.
    let inside = open_box("Search all chats", keys, usize::MAX, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    let more = if inside.height < ROWS_FOR_MORE { 0 } else { (inside.height / 3).min(MOST_MORE) };
    let [typed, list, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(more)]).areas(inside);
    draw_typed(search, typed, theme, frame);
    if search.found.is_empty() {
        let words = match (search.words.text().trim().is_empty(), search.is_answered()) {
            (true, _) => "words or parts of words; \"what stands in quotation marks\" is looked for as it is",
            (false, true) => "no message has all of these words",
            (false, false) => "",
        };
        let lines: Vec<Line> = wrap(words, list.width.into()).into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines).style(theme.dim), list);
        return;
    }
    let shown = usize::from(list.height / ROWS as u16).max(1);
    let first = (search.chosen + 1).saturating_sub(shown);
    let found = search.found.iter().enumerate().skip(first).take(shown);
    let width = usize::from(list.width);
    let lines: Vec<Line> =
        found.flat_map(|(index, found)| message(theme, found, index == search.chosen, width)).collect();
    frame.render_widget(Paragraph::new(lines), list);
    if let (Some(chosen), true) = (search.chosen_message(), more > 0) {
        draw_more(theme, chosen, below, frame);
    }
}

fn draw_typed(search: &ChatSearch, area: Rect, theme: &Theme, frame: &mut Frame) {
    let count = match (search.words.text().trim().is_empty(), search.is_answered(), search.found.len()) {
        (true, ..) => String::new(),
        (_, false, _) => "searching".into(),
        (_, _, 1) => "1 message".into(),
        (_, _, MOST_FOUND..) => format!("the newest {MOST_FOUND} messages"),
        (_, _, count) => format!("{count} messages"),
    };
    let room = usize::from(area.width).saturating_sub(count.width() + 1);
    let right = Rect { x: area.x + room as u16, width: area.width - room as u16, ..area };
    frame.render_widget(Paragraph::new(format!(" {count}")).style(theme.dim), right);
    field::draw("> ", &search.words, theme.accent, Rect { width: room as u16, ..area }, frame);
}

fn who(role: Role) -> &'static str {
    if role == Role::User { "you" } else { "the model" }
}

fn message(theme: &Theme, found: &FoundMessage, is_chosen: bool, width: usize) -> [Line<'static>; ROWS] {
    let archived = if found.hit.is_archived { ", archived" } else { "" };
    let about = format!("  {}, {}{archived}", who(found.hit.role), found.when);
    let mark = if is_chosen { "> " } else { "  " };
    let room = width.saturating_sub(mark.len() + about.width());
    let title = Line::raw(format!("{mark}{}{about}", padded(&found.hit.title, room, theme.ascii)));
    let title = if is_chosen { title.style(theme.selection) } else { title };
    let mut spans = vec![Span::raw(" ".repeat(INDENT))];
    spans.extend(around(&Shown::of(&found.hit.excerpt, theme.ascii), width.saturating_sub(INDENT), theme));
    [title, Line::from(spans)]
}

/// An excerpt as it can be shown: nothing in it is obeyed by a terminal.
struct Shown {
    text: String,
    marks: Vec<Range<usize>>,
}

impl Shown {
    fn of(excerpt: &Excerpt, ascii: bool) -> Self {
        let mut shown = Self { text: String::new(), marks: Vec::new() };
        let dots = if ascii { "..." } else { "…" };
        if excerpt.begins_before {
            shown.text.push_str(&format!("{dots} "));
        }
        for (piece, is_marked) in excerpt.pieces() {
            let start = shown.text.len();
            shown.text.push_str(&escape_line(piece));
            if is_marked {
                shown.marks.push(start..shown.text.len());
            }
        }
        if excerpt.goes_on {
            shown.text.push_str(&format!(" {dots}"));
        }
        shown
    }

    /// The spans of a part of the text.
    fn spans(&self, part: Range<usize>, theme: &Theme) -> Vec<Span<'static>> {
        let mut spans = Vec::new();
        let mut from = part.start;
        let inside = self.marks.iter().map(|mark| mark.start.max(part.start)..mark.end.min(part.end));
        for mark in inside.filter(|mark| mark.start < mark.end) {
            spans.push(Span::styled(self.text[from..mark.start].to_owned(), theme.dim));
            spans.push(Span::styled(self.text[mark.clone()].to_owned(), marked(theme)));
            from = mark.end;
        }
        spans.push(Span::styled(self.text[from..part.end].to_owned(), theme.dim));
        spans
    }
}

fn marked(theme: &Theme) -> Style {
    theme.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
}

/// What stands around the first mark, on one line of so many columns.
fn around(shown: &Shown, width: usize, theme: &Theme) -> Vec<Span<'static>> {
    let text = shown.text.as_str();
    if text.width() <= width {
        return shown.spans(0..text.len(), theme);
    }
    let dots = if theme.ascii { "..." } else { "…" };
    let first = shown.marks.first().map_or(0, |mark| mark.start);
    let start = columns(text[..first].grapheme_indices(true).rev(), width / 3).map_or(first, |(at, _)| at);
    // Not in the middle of a word, where there are words.
    let start = match text[start..first].find(' ') {
        Some(space) if start > 0 => start + space + 1,
        _ => start,
    };
    let room = width.saturating_sub(2 * (dots.width() + 1));
    let end = columns(text[start..].grapheme_indices(true), room);
    let end = end.map_or(start, |(at, grapheme)| start + at + grapheme.len());
    let mut spans = shown.spans(start..end, theme);
    if start > 0 {
        spans.insert(0, Span::styled(format!("{dots} "), theme.dim));
    }
    if end < text.len() {
        spans.push(Span::styled(format!(" {dots}"), theme.dim));
    }
    spans
}

/// The last of these that has room in so many columns.
fn columns<'a>(graphemes: impl Iterator<Item = (usize, &'a str)>, width: usize) -> Option<(usize, &'a str)> {
    let mut taken = 0;
    let fitting = graphemes.take_while(|(_, grapheme)| {
        taken += grapheme.width();
        taken <= width
    });
    fitting.last()
}

/// More of the chosen message, below a rule.
fn draw_more(theme: &Theme, found: &FoundMessage, area: Rect, frame: &mut Frame) {
    let shown = Shown::of(&found.hit.excerpt, theme.ascii);
    let about = format!("{}, {}", who(found.hit.role), found.when);
    let mut lines = vec![Line::styled(rule(area.width, &about, theme), theme.border)];
    let mut from = 0;
    for line in wrap(&shown.text, area.width.into()) {
        let line = line.trim_end();
        let Some(at) = shown.text[from..].find(line) else { break };
        let part = from + at..from + at + line.len();
        from = part.end;
        lines.push(Line::from(shown.spans(part, theme)));
    }
    lines.truncate(area.height.into());
    frame.render_widget(Paragraph::new(lines), area);
}
