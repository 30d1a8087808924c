//! What lies over the chat on a screen, in words: texts are read out, lists are numbered, and questions are asked.

use crate::chat::Role;
use crate::engine::protocol::{Cost, Pin};
use crate::models::offers::{Offer, Place};
use crate::text::escape_line;
use crate::ui::app::{Activity, App, ChatList, ChatSearch, Confirm, Panel, Popup, Words};
use crate::ui::composer::Field;
use crate::ui::msg::ChatRow;
use crate::ui::view::{self, Facts, Section};

use super::keys::as_commands;
use super::page::sentence;

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is being looked for.
    NotYet,
    /// Lines to read, and nothing to answer.
    Words(Vec<String>),
    List(List),
    /// A question, and what answers there are.
    Question {
        lines: Vec<String>,
        prompt: &'static str,
    },
}

/// Rows with numbers, one of which is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What was done last in it.
    pub note: Option<String>,
    pub heading: String,
    pub rows: Vec<Row>,
    /// What can be typed.
    pub hint: &'static str,
}

#[derive(Clone, Debug, Eq)]
pub struct Row {
    pub number: u64,
    pub name: String,
    pub about: String,
}

/// What is said about a row may change while the row is the same.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.name == other.name
    }
}

impl Row {
    pub fn words(&self) -> String {
        let about = if self.about.is_empty() { String::new() } else { format!(" ({})", self.about) };
        format!("{}. {}{about}", self.number, escape_line(&self.name))
    }
}

/// No saved chat has a greater number.
const PRIVATE: u64 = 1_000_000_000;

/// What lies over the chat now; nothing if it is closed.
pub fn told(app: &App) -> Option<Told> {
    Some(match app.popup() {
        Popup::Closed => return None,
        Popup::Help { filter, .. } => Told::Words(help(filter)),
        Popup::Words(words) => Told::Words(rows_of(words)),
        Popup::Context { .. } => return Some(context(app)),
        Popup::Chats(list) if !list.is_read() => Told::NotYet,
        Popup::Chats(list) => Told::List(chats(app, list)),
        Popup::Search(search) if !search.is_answered() => Told::NotYet,
        Popup::Search(search) => Told::List(found(search)),
        Popup::Models(list) => match app.offers() {
            None => Told::NotYet,
            Some(offers) => {
                let rows = list.matching(offers).into_iter().zip(1..).map(|(offer, number)| model(app, offer, number));
                let rows: Vec<Row> = rows.collect();
                let heading = headed("Models", list.filter.text(), "there are none", rows.len());
                let hint = "Type the number of a model to use it, words to search for, or nothing to go back.";
                Told::List(List { note: None, heading, rows, hint })
            }
        },
        Popup::Confirm(confirm) => asked_before_download(confirm),
        Popup::Settings(panel) if !panel.is_read() => Told::NotYet,
        Popup::Settings(panel) => match panel.problem() {
            Some(problem) => Told::Words(vec![sentence(problem)]),
            None => Told::List(settings(panel)),
        },
        Popup::Ask(asked) => Told::Question {
            lines: vec![
                format!("{} {}", asked.question.title(), asked.question.subject()),
                asked.question.consequence().into(),
            ],
            prompt: "Yes or no: ",
        },
        Popup::Palette(_) if !app.has_prompts() => Told::NotYet,
        Popup::Palette(palette) => {
            let rows = app.palette_groups(palette).into_iter().flat_map(|group| group.rows);
            let rows = rows.zip(1..).map(|(row, number)| Row { number, name: row.shown, about: row.about });
            let rows: Vec<Row> = rows.collect();
            let heading = headed("Texts", palette.filter.text(), "there are none", rows.len());
            let hint = "Type the number of a text to write it, words to search for, or nothing to go back.";
            Told::List(List { note: None, heading, rows, hint })
        }
    })
}

fn headed(what: &str, filter: &str, none: &str, count: usize) -> String {
    let filter = escape_line(filter);
    match (count, filter.is_empty()) {
        (0, true) => format!("{what}: {none}."),
        (0, false) => format!("{what}: nothing has \"{filter}\" in it."),
        (_, true) => format!("{what}:"),
        (_, false) => format!("{what} with \"{filter}\":"),
    }
}

fn chats(app: &App, list: &ChatList) -> List {
    let matching = list.matching();
    let rows = matching.iter().map(|row| chat(app, row)).collect();
    let (what, none) = match list.shows_archived {
        true => ("Chats that were put away", "there are none"),
        false => ("Chats", "none is saved yet"),
    };
    let heading = headed(what, list.filter.text(), none, matching.len());
    let hint = "Type the number of a chat to open it, \"delete\", \"archive\" or \"rename\" and a number, \"archived\" for those \
        that were put away, words of a title to search for, or nothing to go back.";
    let note = list.told.as_ref().map(|note| with_words(note));
    List { note, heading, rows, hint }
}

/// Keys of the list, as the words that are typed for them here.
fn with_words(note: &str) -> String {
    let words = [("Ctrl-U", "\"undelete\""), ("Ctrl-T", "\"archived\"")];
    sentence(&words.iter().fold(note.to_owned(), |note, (key, word)| note.replace(key, word)))
}

fn chat(app: &App, row: &ChatRow) -> Row {
    let messages = if row.messages == 1 { "1 message".into() } else { format!("{} messages", row.messages) };
    let when = match row.is_open_elsewhere {
        _ if app.open_chat_id() == Some(row.id) => "open here",
        true => "in another window",
        false => &row.age,
    };
    let tags: String = row.tags.iter().map(|tag| format!(", #{}", escape_line(tag))).collect();
    // The number is that of `/resume`; private chats, which have none, are counted from far above.
    let number = u64::try_from(row.id.0).unwrap_or_else(|_| PRIVATE + row.id.0.unsigned_abs());
    Row { number, name: row.title.clone(), about: format!("{when}, {messages}{tags}") }
}

fn settings(panel: &Panel) -> List {
    let rows = panel.matching().into_iter().zip(1..).map(|(standing, number)| {
        let value = standing.shown();
        let about = match standing.is_default() {
            true => escape_line(value),
            false => format!("{}, by {}", escape_line(value), standing.from()),
        };
        Row { number, name: standing.about.key.clone(), about }
    });
    let rows: Vec<Row> = rows.collect();
    let heading = headed("Settings", panel.filter.text(), "there are none", rows.len());
    let hint = "Type the number of a setting to hear what it does, words to search for, or nothing to go back. \
        \"/settings\", the name of a setting and a value change it.";
    List { note: None, heading, rows, hint }
}

fn found(search: &ChatSearch) -> List {
    let rows = search.found.iter().zip(1..).map(|(found, number)| {
        let who = if found.hit.role == Role::User { "you" } else { found.hit.role.as_str() };
        let about = format!("{who}, {}, in \"{}\"", found.when, escape_line(&found.hit.title));
        Row { number, name: found.hit.excerpt.text.clone(), about }
    });
    let rows: Vec<Row> = rows.collect();
    let hint = match rows.is_empty() {
        true => "Type words to search the messages of all chats for, or nothing to go back.",
        false => "Type the number of a message to go to it, other words to search for, or nothing to go back.",
    };
    List {
        note: None,
        heading: headed("Messages", search.words.text(), "no words to search for yet", rows.len()),
        rows,
        hint,
    }
}

fn model(app: &App, offer: &Offer, number: u64) -> Row {
    let [place, verdict, speed] = view::cells(app, offer);
    let place = match offer.place {
        Place::Download { bytes: Some(_), .. } if place.ends_with('B') => format!("to download, {place}"),
        _ => place,
    };
    let recommended = if offer.is_recommended { "recommended" } else { "" };
    let about = [place.as_str(), &verdict, &speed, recommended, offer.note.trim_end_matches('.')];
    let about: Vec<String> = about.into_iter().filter(|part| !part.is_empty()).map(escape_line).collect();
    Row { number, name: offer.name.clone(), about: about.join(", ") }
}

fn asked_before_download(confirm: &Confirm) -> Told {
    let Facts { name, what, room, fit, smallest, .. } = view::facts(confirm);
    let mut lines = vec![format!("Download the model {name}? It is {what}")];
    lines.extend([room, fit].into_iter().filter(|line| !line.is_empty()));
    let prompt = match smallest {
        Some(smallest) => {
            lines.push(format!("\"smallest\" asks about the smallest one instead: {smallest}."));
            "Yes, no or smallest: "
        }
        None => "Yes or no: ",
    };
    Told::Question { lines, prompt }
}

fn help(filter: &Field) -> Vec<String> {
    let sections = view::commands().into_iter().filter_map(|section| section.about(filter));
    let commands = sections.flat_map(|Section { heading, rows }| {
        let rows = rows.into_iter().map(|(name, about)| format!("  {name}: {about}"));
        std::iter::once(format!("{heading}:")).chain(rows)
    });
    if !filter.is_empty() {
        let found: Vec<String> = commands.collect();
        let none = || vec!["No command is about that; `/help` alone tells all of them.".to_owned()];
        return if found.is_empty() { none() } else { found };
    }
    let mut lines = vec!["A line that you type is a message. Commands are written instead of one:".to_owned()];
    lines.extend(commands);
    let rest = [
        "Other things to type:",
        "  Ctrl-C: stop the answer; twice to leave",
        "  Ctrl-D on an empty line: leave",
        "  \"\"\": a line with three quotation marks begins a message of several lines, and another one ends and sends it",
        "  //name: send a message that begins like a command",
        "Several lines that are pasted at once wait for the next line, which is added to them and sends them.",
    ];
    lines.extend(rest.map(str::to_owned));
    lines
}

fn rows_of(words: &Words) -> Vec<String> {
    let rows = words.rows.iter().map(|(about, said)| match about.is_empty() {
        true => sentence(&as_commands(said)),
        false => format!("{about}: {}", as_commands(said)),
    });
    std::iter::once(format!("{}:", words.title)).chain(rows).collect()
}

/// What the context holds, message by message.
fn context(app: &App) -> Told {
    match (app.cost(), app.model(), app.activity()) {
        (Some(cost), ..) => Told::Words(costs(cost)),
        (None, None, _) => Told::Words(vec!["No model is loaded yet, so there is no context.".into()]),
        (None, Some(_), Activity::Idle) => Told::NotYet,
        (None, Some(_), _) => Told::Words(vec!["What the context holds is counted when the answer is done.".into()]),
    }
}

fn costs(cost: &Cost) -> Vec<String> {
    // A question at the end is the one that is being written, which has no number yet.
    let is_written = cost.messages.last().is_some_and(|message| message.role == Role::User);
    let sent = cost.messages.len() - usize::from(is_written);
    let taken = cost.prompt_tokens.saturating_sub(cost.evicted_tokens);
    let free = cost.cells.saturating_sub(taken);
    let mut lines = vec![format!(
        "The context holds {} messages in {taken} tokens; {free} of {} are free.",
        match sent {
            0 => "no".to_owned(),
            sent => sent.to_string(),
        },
        cost.cells
    )];
    for (index, message) in cost.messages.iter().enumerate().filter(|(index, it)| *index < sent || it.tokens > 0) {
        let number = if index < sent { format!("Message {}", index + 1) } else { "Being written".into() };
        let evicted = match message.evicted_tokens {
            0 => String::new(),
            tokens => format!(", {tokens} have left the context"),
        };
        let pinned = match message.pin {
            Pin::None => "",
            Pin::Kept => ", pinned",
            Pin::TooLong => ", pinned, but too long to be kept",
        };
        lines.push(format!(
            "{number}, {}, {} tokens, {} computed{evicted}{pinned}: {}",
            message.role.as_str(),
            message.tokens,
            message.cached_tokens,
            message.beginning
        ));
    }
    if let Some(wait) = cost.first_token_ms {
        lines.push(format!("The next answer begins in about {}.", view::duration(wait)));
    }
    lines
}
