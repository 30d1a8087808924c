//! What a line means that was typed: a message or a command in the chat, the number of something in a list, an answer to
//! a question.

use crate::ui::app::{App, Popup};
use crate::ui::msg::{Command, Msg};

use super::told::{List, Told};

/// What a line comes to.
#[derive(Clone, Debug)]
pub enum Heard {
    Messages(Vec<Msg>),
    /// It means nothing here, for this reason.
    Mistake(String),
    /// The next rows of the list are to be told.
    More,
}

/// What a line means while this is told over the chat.
pub fn heard(app: &App, told: Option<&Told>, line: &str) -> Heard {
    let words = line.trim();
    match told {
        None | Some(Told::Words(_) | Told::NotYet) => Heard::Messages(vec![Msg::Line(line.to_owned())]),
        // A command goes before what is asked.
        Some(_) if words.starts_with('/') => Heard::Messages(vec![closed(app), Msg::Line(line.to_owned())]),
        Some(Told::Question { prompt, .. }) => answer(app, prompt, &words.to_lowercase()),
        Some(Told::List(list)) => choice(app, list, words),
    }
}

fn closed(app: &App) -> Msg {
    Msg::Command(if matches!(app.popup(), Popup::Confirm(_)) { Command::Refuse } else { Command::ClosePopup })
}

fn answer(app: &App, prompt: &str, words: &str) -> Heard {
    let is_download = matches!(app.popup(), Popup::Confirm(_));
    let command = match words {
        "y" | "yes" if is_download => Command::Confirm,
        "y" | "yes" => Command::DeleteChosen,
        "s" | "smallest" if is_download => Command::TakeSmallest,
        "" | "n" | "no" if is_download => Command::Refuse,
        // To go nowhere takes the question back.
        "" | "n" | "no" => Command::Move(0),
        _ => return Heard::Mistake(format!("type {}", prompt.trim_end_matches(": ").to_lowercase())),
    };
    Heard::Messages(vec![Msg::Command(command)])
}

fn choice(app: &App, list: &List, words: &str) -> Heard {
    let is_of_chats = matches!(app.popup(), Popup::Chats(_));
    let chosen = words.strip_prefix("delete").filter(|_| is_of_chats).map(str::trim);
    let (number, command) = match (chosen, app.popup()) {
        (Some(number), _) => (number, Command::DeleteChosen),
        (None, Popup::Chats(_)) => (words, Command::OpenChosen),
        (None, Popup::Models(_)) => (words, Command::ChooseModel),
        (None, _) => (words, Command::ChooseInPalette),
    };
    if words.is_empty() {
        return Heard::Messages(vec![Msg::Command(Command::ClosePopup)]);
    }
    if words == "more" {
        return Heard::More;
    }
    match number.trim_start_matches('#').parse::<u64>() {
        Ok(number) => match list.rows.iter().position(|row| row.number == number) {
            Some(place) => {
                let by = place as i64 - chosen_place(app) as i64;
                let by = by.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                Heard::Messages(vec![Msg::Command(Command::Move(by)), Msg::Command(command)])
            }
            None => Heard::Mistake(format!("there is no number {number} in this list")),
        },
        Err(_) if chosen.is_some() => Heard::Mistake("type \"delete\" and the number of a chat".into()),
        Err(_) => Heard::Messages(searched(app, words)),
    }
}

fn chosen_place(app: &App) -> usize {
    match app.popup() {
        Popup::Chats(list) => list.chosen,
        Popup::Models(list) => list.chosen,
        Popup::Palette(palette) => palette.chosen,
        _ => 0,
    }
}

/// The list is narrowed by these words, and no others.
fn searched(app: &App, words: &str) -> Vec<Msg> {
    let before = match app.popup() {
        Popup::Chats(list) => list.filter.chars().count(),
        Popup::Models(list) => list.filter.chars().count(),
        Popup::Palette(palette) => palette.filter.chars().count(),
        _ => 0,
    };
    let forget = std::iter::repeat_n(Msg::Command(Command::DeleteFilterCharacter), before);
    forget.chain(words.chars().map(Msg::Filter)).collect()
}
