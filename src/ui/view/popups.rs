//! What lies over the chat: the help (`help`), the list of chats, the models to choose among (`picker`), and what the context
//! holds (`context`).

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Padding, Paragraph};
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{App, ChatList, Popup};
use crate::ui::theme::Theme;

use super::{confirm, context, erase, fitted, help, palette, picker, words};

const MOST_WIDTH: u16 = 90;
/// Below so many columns a chat is its title alone.
const NARROW: u16 = 30;
/// Rows and columns that a box leaves free round itself, and those of its border.
const MARGIN: u16 = 2;
const BORDER: u16 = 2;

pub fn draw(app: &App, screen: Rect, frame: &mut Frame) {
    match app.popup() {
        Popup::Closed => {}
        Popup::Help { top, filter } => help::draw(app, *top, filter, screen, frame),
        Popup::Chats(list) => draw_chats(app, list, screen, frame),
        Popup::Models(list) => picker::draw(app, list, screen, frame),
        Popup::Confirm(question) => confirm::draw(app.theme(), question, screen, frame),
        Popup::Palette(palette) => palette::draw(app, palette, screen, frame),
        Popup::Words(words) => words::draw(app.theme(), words, screen, frame),
        Popup::Context { top } => context::draw(app, *top, screen, frame),
    }
}

/// On a screen as small as this there is no room for a border and a margin: what lies over the chat takes all of it.
fn is_tiny(screen: Rect) -> bool {
    screen.width < 32 || screen.height < 9
}

/// Columns inside of a box.
pub(super) fn inner_width(screen: Rect) -> usize {
    if is_tiny(screen) {
        return screen.width.into();
    }
    usize::from(screen.width.saturating_sub(MARGIN).min(MOST_WIDTH).saturating_sub(BORDER + 2))
}

/// An empty box with a border in the middle of the screen; returns its inside.
pub(super) fn open_box(title: &str, bottom: &str, rows: usize, theme: &Theme, screen: Rect, frame: &mut Frame) -> Rect {
    if is_tiny(screen) {
        let [head, inside] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(screen);
        erase(screen, theme, frame);
        let words = fitted(&format!("{title}: {bottom}"), screen.width.into(), theme.ascii);
        frame.render_widget(Paragraph::new(words).style(theme.heading), head);
        return inside;
    }
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
    erase(place, theme, frame);
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

/// How far the text over the chat can be scrolled on this screen.
pub fn most_scroll(app: &App, screen: Rect) -> u16 {
    let lines = match app.popup() {
        Popup::Help { filter, .. } => help::height(app, filter, screen),
        Popup::Context { .. } => context::height(app),
        Popup::Words(words) => words::height(words, screen),
        Popup::Confirm(question) => confirm::height(question, screen),
        Popup::Closed | Popup::Chats(_) | Popup::Models(_) | Popup::Palette(_) => 0,
    };
    let room = if is_tiny(screen) { screen.height - 1 } else { screen.height.saturating_sub(MARGIN + BORDER) };
    lines.min(u16::MAX.into()).saturating_sub(room.into()) as u16
}

fn draw_chats(app: &App, list: &ChatList, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
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
            let when = match row.is_open_elsewhere {
                _ if app.open_chat_id() == Some(row.id) => "open here",
                true => "in another window",
                false => &row.age,
            };
            let about = match (below.width, when) {
                (NARROW.., _) => format!("  {when}, {count}"),
                (_, "open here") => " *".into(),
                _ => String::new(),
            };
            let room = usize::from(below.width).saturating_sub(mark.len() + about.width());
            let title = fitted(&row.title, room, theme.ascii);
            let gap = " ".repeat(room.saturating_sub(title.width()));
            let line = Line::raw(format!("{mark}{title}{gap}{about}"));
            if is_chosen { line.style(theme.selection) } else { line }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), below);
}
