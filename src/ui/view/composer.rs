//! The rule above the composer, which names the keys that matter now, and its text.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{Activity, App, Popup, Selection};
use crate::ui::transcript::Entry;

use super::{field, line, rule};

/// Columns before the text.
const PROMPT_WIDTH: u16 = 2;

pub fn text_width(width: u16) -> u16 {
    // A column is left free for the cursor behind a full line.
    width.saturating_sub(PROMPT_WIDTH + 1).max(1)
}

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let mode = match app.composer().is_in_normal_mode() {
        Some(true) => "normal · ",
        Some(false) => "insert · ",
        None => "",
    };
    let hints = mode.to_owned() + &hints(app, area.width.saturating_sub(mode.width() as u16));
    line(frame, Rect { height: area.height.min(1), ..area }, &rule(area.width, &hints, theme), theme.border);
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let text = Rect { x: area.x + PROMPT_WIDTH, width: text_width(area.width), ..rows }.intersection(area);
    if rows.is_empty() || text.is_empty() {
        return;
    }
    let mark = match (app.composer().begins_above(), theme.ascii) {
        (false, false) => "› ",
        (false, true) => "> ",
        (true, false) => "↑ ",
        (true, true) => "^ ",
    };
    line(frame, rows, mark, theme.accent);
    app.composer().draw(text, frame.buffer_mut(), theme.accent);
    if matches!(app.popup(), Popup::Closed) && app.search().is_some() {
        // In what is searched for, in the rule.
        let column = 2 + searched(app, area.width.into()).1;
        frame.set_cursor_position(Position::new(area.x + column.min(area.width - 1), area.y));
    } else if matches!(app.popup(), Popup::Closed) && app.selection().is_none() {
        let (column, row) = app.composer().cursor();
        let x = text.x + column.min(text.width);
        frame.set_cursor_position(Position::new(x, (text.y + row).min(text.bottom() - 1)));
    }
}

/// What is searched for in the messages sent before, and the column of the cursor in it.
fn searched(app: &App, width: usize) -> (String, u16) {
    let room = width.saturating_sub(4);
    app.search().map_or_else(Default::default, |(words, ..)| field::shown("search: ", words, room))
}

/// The most helpful words that fit.
fn hints(app: &App, width: u16) -> String {
    let room = usize::from(width).saturating_sub(4);
    match state_hints(app) {
        Some(choices) => choices.into_iter().find(|words| words.width() <= room).unwrap_or_default(),
        None => activity_hints(app, room),
    }
}

/// What can be done with the message that is chosen or edited, from all of it to the least.
fn state_hints(app: &App) -> Option<Vec<String>> {
    if let Some(selection) = app.selection() {
        return Some(selection_hints(app, selection));
    }
    let number = app.edited_message()?;
    let editing = format!("editing message {number}");
    Some(vec![
        format!("{editing} · Enter sends it as a new branch · Esc gives it up"),
        format!("{editing} · Esc gives it up"),
        editing,
    ])
}

fn selection_hints(app: &App, selection: &Selection) -> Vec<String> {
    if selection.deletes_next {
        return vec![
            "d deletes it and all that follows it, on every branch · any other key keeps it".into(),
            "d deletes it and what follows · other keys keep it".into(),
            "d again deletes".into(),
        ];
    }
    if selection.is_found {
        let whole = "found · Shift-Tab chooses it, to copy it or ask again · Esc, or go on writing";
        return vec![whole.into(), "found · Shift-Tab chooses it · Esc".into(), "Esc".into()];
    }
    let entry = app.selected_entry();
    let has_siblings = entry.is_some_and(|entry| entry.siblings().count > 1);
    let (up, left) = if app.theme().ascii { ("Up/Down", "Left/Right") } else { ("↑↓", "←→") };
    let moves = [(has_siblings, left, "branch"), (selection.has_parts(), "Tab", "part")];
    let moves = moves.into_iter().filter(|(is_there, ..)| *is_there);
    let told: String = moves.clone().map(|(_, key, where_to)| format!(" · {key} {where_to}")).collect();
    let short = moves.fold(up.to_owned(), |keys, (_, key, _)| format!("{keys} {key}"));
    let edit = if matches!(entry, Some(Entry::Question(_))) { " · e edit" } else { "" };
    vec![
        format!("{up} message{told} · y copy{edit} · r again · f fork · d delete · Esc"),
        format!("{up}{told} · y copy{edit} · r again · f fork · d delete · Esc"),
        format!("{short} · y copy{edit} · r again · f fork · d delete · Esc"),
        format!("{short} · y copy{edit} · r again · d delete · Esc"),
        format!("y copy{edit} · r again · d delete · Esc"),
        "y copy · d delete · Esc".into(),
        "y copy · Esc".into(),
    ]
}

fn activity_hints(app: &App, room: usize) -> String {
    let fits = |words: &&str| words.width() <= room;
    if let Some((sought, place, count)) = app.search() {
        let searched = searched(app, room + 4).0;
        let words = match count {
            _ if sought.is_empty() => format!("{searched}words of a message you sent · Esc goes back"),
            0 => format!("{searched} · nothing sent has these words · Esc goes back"),
            _ => format!("{searched} · {place} of {count} · Enter takes it · Esc goes back"),
        };
        return if words.width() <= room { words } else { searched };
    }
    if app.is_prefixed() {
        let choices = ["Ctrl-X: E editor · O opens the paste · 1-9 takes back a message", "Ctrl-X"];
        return choices.into_iter().find(fits).unwrap_or_default().to_owned();
    }
    if let Some(label) = app.composer().token_at_cursor() {
        let words = format!("Ctrl-X O opens {label} · Backspace deletes it");
        if words.width() <= room {
            return words;
        }
    }
    let is_queued = app.queued().len() > 0;
    let choices: [&str; 3] = match app.activity() {
        _ if app.holds_queue() && !app.composer().is_empty() => [
            "Enter sends this, then what waits · Esc takes back the last · F1 keys",
            "Enter sends this, then what waits",
            "Enter sends",
        ],
        _ if app.holds_queue() => {
            ["Enter sends what waits · Esc takes back the last · F1 keys", "Enter sends what waits", "Enter sends"]
        }
        _ if app.is_answering() && is_queued => {
            ["Esc takes back the last message · Ctrl-C stops the answer · F1 keys", "Ctrl-C stops", "Ctrl-C stops"]
        }
        _ if app.is_answering() && app.has_draft() => {
            ["Enter sends it after the answer · Esc stops the answer · F1 keys", "Esc stops · F1 keys", "Esc stops"]
        }
        _ if app.is_answering() => {
            ["Esc stops the answer · PgUp/PgDn scroll · F1 keys", "Esc stops · F1 keys", "Esc stops"]
        }
        Activity::NoModel(_) if !app.awaits_model() => {
            ["F4 chooses a model · Ctrl-O chats · F1 keys", "F4 models · F1 keys", "F4 models"]
        }
        _ => ["Enter sends · Alt-Enter new line · Ctrl-O chats · F1 keys", "Enter sends · F1 keys", "F1 keys"],
    };
    choices.into_iter().find(fits).unwrap_or_default().to_owned()
}
