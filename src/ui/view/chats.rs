//! The list of chats over the chat: by their age, below headings.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{App, ChatList};
use crate::ui::msg::ChatRow;

use super::popups::{inner_width, open_box};
use super::{field, fitted};

/// Below so many columns a chat is its title alone.
const NARROW: usize = 30;
const CHOSEN: &str = "> ";

pub fn draw(app: &App, list: &ChatList, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let rows = list.matching();
    let width = inner_width(screen);
    let mut lines = Vec::new();
    let (mut day, mut at) = ("", 0);
    for (index, row) in rows.iter().enumerate() {
        if row.day != day {
            day = &row.day;
            lines.push(Line::styled(day.to_owned(), theme.dim));
        }
        if index == list.chosen {
            at = lines.len();
        }
        lines.push(line(app, list, row, index == list.chosen, width));
    }
    let title = if list.shows_archived { "Chats that were put away" } else { "Chats" };
    let inside = open_box(title, &bottom(list, width), lines.len().max(1) + 1, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    field::draw("filter: ", &list.filter, theme.accent, inside, frame);
    let below = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    if rows.is_empty() {
        let words = match (list.is_read(), list.filter.is_empty(), list.shows_archived) {
            (false, ..) => "reading the chats",
            (true, false, _) => "no title or tag matches; Tab looks in the messages",
            (true, true, true) => "no chat was put away",
            (true, true, false) => "there are no saved chats yet",
        };
        let words = fitted(words, below.width.into(), theme.ascii);
        frame.render_widget(Paragraph::new(words).style(theme.dim), below);
        return;
    }
    // The heading above the first chat is seen with it.
    let top = (at + 1).saturating_sub(below.height.into());
    let top = if at == 1 { 0 } else { top };
    frame.render_widget(Paragraph::new(lines).scroll((top as u16, 0)), below);
    if let Some(title) = &list.renaming {
        let column = field::shown(CHOSEN, title, width).1;
        frame.set_cursor_position((below.x + column, below.y + (at - top) as u16));
    }
}

/// What was done last, else what can be done.
fn bottom(list: &ChatList, width: usize) -> String {
    if let Some(told) = &list.told {
        return told.clone();
    }
    let keys = if list.renaming.is_some() {
        ["Enter gives it this title, Esc leaves it as it is"; 3]
    } else if list.shows_archived {
        [
            "Enter opens, Ctrl-A takes back, Ctrl-T, Esc closes",
            "Enter opens, Ctrl-A takes back, Ctrl-T, Esc closes",
            "Enter opens, Ctrl-A takes it back, Del deletes, Ctrl-T lists the others, Esc closes",
        ]
    } else {
        [
            "Enter opens, Del deletes, Tab searches, Esc closes",
            "Enter opens, Ctrl-R renames, Tab searches, Del deletes, Esc closes",
            "Enter opens, Tab searches messages, Ctrl-R renames, Ctrl-A puts away, Del deletes",
        ]
    };
    let longest = keys.iter().rfind(|words| words.width() <= width);
    longest.unwrap_or(&keys[0]).to_string()
}

fn line(app: &App, list: &ChatList, row: &ChatRow, is_chosen: bool, width: usize) -> Line<'static> {
    let theme = app.theme();
    let mark = if is_chosen { CHOSEN } else { "  " };
    if let Some(title) = list.renaming.as_ref().filter(|_| is_chosen) {
        return Line::styled(field::shown(mark, title, width).0, theme.accent);
    }
    let count = if row.messages == 1 { "1 message".into() } else { format!("{} messages", row.messages) };
    let when = match row.is_open_elsewhere {
        _ if app.open_chat_id() == Some(row.id) => "open here",
        true => "in another window",
        false => &row.age,
    };
    let about = match (width, when) {
        (NARROW.., _) => format!("  {when}, {count}"),
        (_, "open here") => " here".into(),
        _ => String::new(),
    };
    let room = width.saturating_sub(mark.len() + about.width());
    let title = fitted(&row.title, room, theme.ascii);
    let tags: String = row.tags.iter().map(|tag| format!("  #{tag}")).collect();
    let tags = match room.saturating_sub(title.width()) {
        // A word of a tag is no tag.
        left if left < tags.width().min(8) => String::new(),
        left => fitted(&tags, left, theme.ascii),
    };
    let gap = " ".repeat(room.saturating_sub(title.width() + tags.width()));
    let tags = Span::styled(tags, if is_chosen { theme.selection } else { theme.dim });
    let line = Line::from(vec![Span::raw(format!("{mark}{title}")), tags, Span::raw(format!("{gap}{about}"))]);
    if is_chosen { line.style(theme.selection) } else { line }
}
