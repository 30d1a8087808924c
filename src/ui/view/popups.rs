//! What lies over the chat: the keys and the list of chats.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph};
use unicode_width::UnicodeWidthStr;

use crate::engine::protocol::Cost;
use crate::ui::app::{Activity, App, ChatList, Popup};
use crate::ui::keys::{self, Mode};
use crate::ui::theme::Theme;

use super::{duration, fitted};

const MOST_WIDTH: u16 = 90;
/// Rows and columns that a box leaves free round itself, and those of its border.
const MARGIN: u16 = 2;
const BORDER: u16 = 2;

pub fn draw(app: &App, screen: Rect, frame: &mut Frame) {
    match app.popup() {
        Popup::Closed => {}
        Popup::Help { top } => draw_help(app.theme(), *top, screen, frame),
        Popup::Chats(list) => draw_chats(app.theme(), list, screen, frame),
        Popup::Context { top } => draw_context(app, *top, screen, frame),
    }
}

/// An empty box with a border in the middle of the screen; returns its inside.
fn open_box(title: &str, bottom: &str, rows: usize, theme: &Theme, screen: Rect, frame: &mut Frame) -> Rect {
    let width = screen.width.saturating_sub(MARGIN).min(MOST_WIDTH);
    let height = screen.height.saturating_sub(MARGIN).min(rows.min(1000) as u16 + BORDER);
    let place =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    let room = usize::from(width).saturating_sub(4);
    let block = Block::bordered()
        .padding(Padding::horizontal(1))
        .border_set(if theme.ascii { ASCII_BORDER } else { border::ROUNDED })
        .border_style(theme.border)
        .title(Span::styled(format!(" {} ", fitted(title, room, theme.ascii)), theme.heading))
        .title_bottom(Span::styled(format!(" {} ", fitted(bottom, room, theme.ascii)), theme.dim));
    let inside = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    inside
}

const ASCII_BORDER: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn draw_help(theme: &Theme, top: u16, screen: Rect, frame: &mut Frame) {
    let lines = help_lines(theme);
    let inside = open_box("Keys", "Esc closes, Up and Down scroll", lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((top, 0)), inside);
}

/// How far the text over the chat can be scrolled on this screen.
pub fn most_scroll(app: &App, screen: Rect) -> u16 {
    let lines = match app.popup() {
        Popup::Help { .. } => help_lines(app.theme()).len(),
        Popup::Context { .. } => app.cost().map_or(0, context_rows),
        Popup::Closed | Popup::Chats(_) => 0,
    };
    let room = screen.height.saturating_sub(MARGIN + BORDER);
    lines.min(u16::MAX.into()).saturating_sub(room.into()) as u16
}

fn help_lines(theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (mode, heading) in [(Mode::Chat, "In the chat"), (Mode::Chats, "In the list of chats")] {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(heading, theme.strong));
        lines.extend(keys::help(mode).map(|binding| {
            Line::from(vec![Span::styled(format!("  {:<22}", binding.shown), theme.accent), Span::raw(binding.about)])
        }));
    }
    lines
}

fn draw_context(app: &App, top: u16, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let Some(cost) = app.cost() else {
        let inside = open_box("Context", "Esc closes", 1, theme, screen, frame);
        let words = match (app.model(), app.activity()) {
            (None, _) => "no model is loaded yet",
            (Some(_), Activity::Idle) => "counting",
            (Some(_), _) => "what the context holds is counted when the answer is done",
        };
        frame.render_widget(Paragraph::new(words).style(theme.dim), inside);
        return;
    };
    let rows = context_rows(cost);
    let inside = open_box("Context", "Esc closes, Up and Down scroll", rows, theme, screen, frame);
    let lines = context_lines(cost, theme, inside.width.into());
    frame.render_widget(Paragraph::new(lines).scroll((top, 0)), inside);
}

/// Lines of the breakdown: those of the messages, six others, and that of the thoughts if there are any.
fn context_rows(cost: &Cost) -> usize {
    cost.messages.len() + 6 + usize::from(cost.left_out_tokens > 0)
}

fn context_lines(cost: &Cost, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let row = |name: &str, tokens: &str, cached: &str, words: &str| {
        let head = format!("{name:<10}{tokens:>9}{cached:>9}  ");
        let room = width.saturating_sub(head.len());
        Line::raw(format!("{head}{}", fitted(words, room, theme.ascii)))
    };
    let number = |tokens: u32| tokens.to_string();
    let in_messages: u32 = cost.messages.iter().map(|message| message.tokens).sum();
    let cached_in_messages: u32 = cost.messages.iter().map(|message| message.cached_tokens).sum();
    let mut lines = vec![row("", "tokens", "cached", "").style(theme.dim)];
    lines.extend(cost.messages.iter().map(|message| {
        row(message.role.as_str(), &number(message.tokens), &number(message.cached_tokens), &message.beginning)
    }));
    let (template, cached_template) =
        (cost.prompt_tokens.saturating_sub(in_messages), cost.cached_tokens.saturating_sub(cached_in_messages));
    lines.push(row("template", &number(template), &number(cached_template), "what the model's chat template adds"));
    lines.push(row("in all", &number(cost.prompt_tokens), &number(cost.cached_tokens), "").style(theme.strong));
    let free = cost.cells.saturating_sub(cost.prompt_tokens);
    lines.push(row("free", &number(free), "", &format!("of {} for the answer and what follows", cost.cells)));
    if cost.left_out_tokens > 0 {
        lines.push(row("thoughts", &number(cost.left_out_tokens), "", "leave the context with the next message"));
    }
    lines.push(Line::default());
    lines.push(Line::raw(match cost.first_token_ms {
        Some(wait) => format!("The next answer begins in about {}.", duration(wait)),
        None => "How long the next answer takes to begin is known once something was computed.".into(),
    }));
    lines
}

fn draw_chats(theme: &Theme, list: &ChatList, screen: Rect, frame: &mut Frame) {
    let rows = list.matching();
    let keys = if list.deletes_next {
        "Del again deletes this chat for good, any other key keeps it"
    } else {
        "Enter opens, Del deletes, typing filters, Esc closes"
    };
    let inside = open_box("Chats", keys, rows.len().max(1) + 1, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    let filter = format!("filter: {}", list.filter);
    frame.render_widget(Paragraph::new(fitted(&filter, inside.width.into(), theme.ascii)).style(theme.accent), inside);
    let below = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    let height = usize::from(below.height);
    if rows.is_empty() {
        let words = match (list.is_read(), list.filter.is_empty()) {
            (false, _) => "reading the chats",
            (true, true) => "there are no saved chats yet",
            (true, false) => "no title matches",
        };
        frame.render_widget(Paragraph::new(words).style(theme.dim), below);
        return;
    }
    let first = (list.chosen + 1).saturating_sub(height);
    let lines: Vec<Line> = rows
        .iter()
        .enumerate()
        .skip(first)
        .take(height)
        .map(|(index, row)| {
            let is_chosen = index == list.chosen;
            let mark = if is_chosen { "> " } else { "  " };
            let count = if row.messages == 1 { "1 message".into() } else { format!("{} messages", row.messages) };
            let about = format!("  {}, {count}", row.age);
            let room = usize::from(below.width).saturating_sub(mark.len() + about.width());
            let title = fitted(&row.title, room, theme.ascii);
            let gap = " ".repeat(room.saturating_sub(title.width()));
            let line = Line::raw(format!("{mark}{title}{gap}{about}"));
            if is_chosen { line.style(theme.selection) } else { line }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), below);
}
