//! The conversation, or what to do while there is none.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{Activity, App};
use crate::ui::transcript::Entry;

use super::{erase, line, row};

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    let visible = app.transcript().visible();
    // Not as a paragraph, which would copy the lines, for each frame.
    for (place, line) in area.rows().zip(visible) {
        row::draw(line, place, frame.buffer_mut());
    }
    let has_conversation = app.transcript().entries().iter().any(|entry| !matches!(entry, Entry::Note(_)));
    if !has_conversation {
        draw_welcome(app, area, visible.len() as u16, frame);
    }
    draw_place(app, area, frame);
}

fn draw_welcome(app: &App, area: Rect, used: u16, frame: &mut Frame) {
    let theme = app.theme();
    let about = match app.activity() {
        Activity::NoModel(_) if app.awaits_model() => "You can write while the model comes.",
        Activity::NoModel(_) => "A model comes first.",
        Activity::Loading(_) | Activity::Trying(_) => "The model is being loaded. You can write already.",
        _ => "Write something and press Enter.",
    };
    let saved = if app.is_saved() { "Chats are saved." } else { "This chat is not saved." };
    let lines = vec![
        Line::styled("tuichat", theme.heading),
        Line::default(),
        Line::raw(about),
        Line::raw(saved),
        Line::styled("Type / for all commands.", theme.dim),
    ];
    let height = lines.len() as u16;
    let free = area.height.saturating_sub(used);
    let top = area.y + used + free.saturating_sub(height) / 2;
    let place = Rect { x: area.x, y: top, width: area.width, height }.intersection(area);
    let indented = Rect { x: place.x + 2, width: place.width.saturating_sub(2), ..place };
    frame.render_widget(Paragraph::new(lines), indented.intersection(area));
}

/// Says at the lower right edge that there is more below.
fn draw_place(app: &App, area: Rect, frame: &mut Frame) {
    if app.transcript().follows_end() || area.height < 2 {
        return;
    }
    let words = match (app.transcript().has_unseen_text(), app.theme().ascii) {
        (true, false) => " ↓ new text (Ctrl-End) ",
        (true, true) => " v new text (Ctrl-End) ",
        (false, false) => " ↓ more (Ctrl-End) ",
        (false, true) => " v more (Ctrl-End) ",
    };
    let width = (words.width() as u16).min(area.width);
    let place = Rect { x: area.right() - width, y: area.bottom() - 1, width, height: 1 };
    erase(place, app.theme(), frame);
    line(frame, place, words, app.theme().selection);
}
