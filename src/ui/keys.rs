//! The one table of keys. Keys become messages here, where it is known what is on the screen, and the help popup is
//! written from the same table.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::{App, Popup, Select, Sibling};
use super::composer;
use super::msg::{Command, Msg, Scroll};

/// What is on the screen, as far as keys are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Chat,
    /// The menu of what is being written is open; other keys are those of the chat.
    Completing,
    /// Ctrl-X was pressed.
    Prefixed,
    /// A message is chosen.
    Select,
    /// What was sent before is searched.
    Search,
    /// The list of chats is open.
    Chats,
    /// A chat of it is given another title.
    Renaming,
    /// The messages of all chats are searched.
    SearchChats,
    /// The list of models is open.
    Models,
    /// It is asked whether to download one, or to run a command.
    Confirm,
    Help,
    /// What the context holds is shown.
    Context,
    /// Something is told in many words.
    Words,
    /// Commands, chats, models and texts are listed.
    Palette,
    /// All settings are listed.
    Settings,
    /// A value is written for one of them.
    Value,
}

const EVERYWHERE: &[Mode] = &[
    Mode::Chat,
    Mode::Prefixed,
    Mode::Select,
    Mode::Search,
    Mode::Chats,
    Mode::Renaming,
    Mode::SearchChats,
    Mode::Models,
    Mode::Confirm,
    Mode::Help,
    Mode::Context,
    Mode::Words,
    Mode::Palette,
    Mode::Settings,
    Mode::Value,
];
const CHAT: &[Mode] = &[Mode::Chat];
const CHAT_OR_SELECT: &[Mode] = &[Mode::Chat, Mode::Select];
const SELECT: &[Mode] = &[Mode::Select];
const COMPLETING: &[Mode] = &[Mode::Completing];
const PREFIXED: &[Mode] = &[Mode::Prefixed];
const SEARCH: &[Mode] = &[Mode::Search];
const CHATS: &[Mode] = &[Mode::Chats];
const RENAMING: &[Mode] = &[Mode::Renaming];
const SEARCH_CHATS: &[Mode] = &[Mode::SearchChats];
const MODELS: &[Mode] = &[Mode::Models];
const CONFIRM: &[Mode] = &[Mode::Confirm];
const PALETTE: &[Mode] = &[Mode::Palette];
const SETTINGS: &[Mode] = &[Mode::Settings];
const VALUE: &[Mode] = &[Mode::Value];
const POPUPS: &[Mode] = &[
    Mode::Chats,
    Mode::SearchChats,
    Mode::Models,
    Mode::Confirm,
    Mode::Help,
    Mode::Context,
    Mode::Words,
    Mode::Palette,
    Mode::Settings,
];
const CLOSED_BY_ESCAPE: &[Mode] = &[
    Mode::Chats,
    Mode::SearchChats,
    Mode::Models,
    Mode::Help,
    Mode::Context,
    Mode::Words,
    Mode::Palette,
    Mode::Settings,
];
const TEXTS: &[Mode] = &[Mode::Help, Mode::Context, Mode::Words];

type Key = (KeyCode, KeyModifiers);

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

/// A key, or several, and what it does.
pub struct Binding {
    pub modes: &'static [Mode],
    keys: &'static [Key],
    /// Only while nothing is written.
    when_empty: bool,
    /// The keys in words.
    pub shown: &'static str,
    pub about: &'static str,
    command: Command,
}

const fn bind(
    modes: &'static [Mode],
    keys: &'static [Key],
    shown: &'static str,
    about: &'static str,
    command: Command,
) -> Binding {
    binding(modes, keys, false, shown, about, command)
}

const fn select(step: Select) -> Command {
    Command::Select(step)
}

const fn bind_when_empty(
    modes: &'static [Mode],
    keys: &'static [Key],
    shown: &'static str,
    about: &'static str,
    command: Command,
) -> Binding {
    binding(modes, keys, true, shown, about, command)
}

const fn binding(
    modes: &'static [Mode],
    keys: &'static [Key],
    when_empty: bool,
    shown: &'static str,
    about: &'static str,
    command: Command,
) -> Binding {
    Binding { modes, keys, when_empty, shown, about, command }
}

use KeyCode::{BackTab, Char, Delete, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Tab, Up};

/// Every key beside those that edit text. The first that fits counts.
pub static BINDINGS: &[Binding] = &[
    bind(CHAT, &[(Enter, NONE)], "Enter", "send the message", Command::Send),
    bind(
        CHAT,
        &[(Enter, ALT), (Enter, SHIFT), (Char('j'), CTRL)],
        "Alt-Enter, Ctrl-J",
        "begin a new line (in some terminals Shift-Enter)",
        Command::Newline,
    ),
    bind(CHAT, &[(Esc, NONE)], "Esc", "stop the answer, or a download; take back a waiting message", Command::Stop),
    bind(
        EVERYWHERE,
        &[(Char('c'), CTRL)],
        "Ctrl-C",
        "stop the answer or clear the text; twice to leave",
        Command::Interrupt,
    ),
    bind_when_empty(CHAT, &[(Char('d'), CTRL)], "Ctrl-D", "leave, while nothing is written", Command::Quit),
    bind(EVERYWHERE, &[(Char('z'), CTRL)], "Ctrl-Z", "go to the shell; `fg` comes back", Command::Suspend),
    bind(
        CHAT,
        &[(Char('k'), CTRL), (Char('p'), CTRL)],
        "Ctrl-K, Ctrl-P",
        "find commands, chats, models and texts",
        Command::Palette,
    ),
    bind(CHAT, &[(Char('g'), CTRL)], "Ctrl-G", "go on with the last answer", Command::Continue),
    bind(CHAT, &[(Char('n'), CTRL)], "Ctrl-N", "begin a new chat", Command::NewChat),
    bind(CHAT, &[(Char('o'), CTRL), (F(2), NONE)], "Ctrl-O, F2", "list the chats", Command::Chats),
    bind(CHAT, &[(F(3), NONE)], "F3", "show what the context holds, and what has left it", Command::Context),
    bind(CHAT, &[(F(4), NONE)], "F4", "choose another model, or get one", Command::Models),
    bind(CHAT, &[(F(5), NONE)], "F5", "search the messages of all chats", Command::SearchChats(None)),
    bind(CHAT, &[(F(6), NONE)], "F6", "show and change the settings of config.toml", Command::Panel(None)),
    bind(
        CHAT_OR_SELECT,
        &[(Char('t'), CTRL)],
        "Ctrl-T",
        "show or fold thoughts, pastes, files and recalls",
        Command::ShowThinking,
    ),
    bind(
        CHAT,
        &[(BackTab, NONE), (BackTab, SHIFT), (Up, CTRL)],
        "Shift-Tab, Ctrl-Up",
        "choose a message, to copy it, edit it or ask again",
        Command::Select(Select::Begin),
    ),
    bind(CHAT_OR_SELECT, &[(PageUp, NONE)], "PgUp", "a page up", Command::Scroll(Scroll::PageUp)),
    bind(CHAT_OR_SELECT, &[(PageDown, NONE)], "PgDn", "a page down", Command::Scroll(Scroll::PageDown)),
    bind(
        CHAT,
        &[(Up, ALT), (Up, SHIFT)],
        "Alt-Up, Shift-Up",
        "a line up (also the wheel)",
        Command::Scroll(Scroll::Lines(-1)),
    ),
    bind(
        CHAT,
        &[(Down, ALT), (Down, SHIFT)],
        "Alt-Down, Shift-Down",
        "a line down (also the wheel)",
        Command::Scroll(Scroll::Lines(1)),
    ),
    bind(CHAT, &[(Home, CTRL)], "Ctrl-Home", "to the beginning", Command::Scroll(Scroll::Top)),
    bind(CHAT, &[(End, CTRL)], "Ctrl-End", "to the end, and follow new text", Command::Scroll(Scroll::Bottom)),
    bind(CHAT, &[(Char('/'), CTRL), (Char('7'), CTRL), (Char('_'), CTRL)], "Ctrl-/", "undo in the text", Command::Undo),
    bind(CHAT, &[(Char('/'), ALT), (Char('_'), ALT)], "Alt-/", "redo in the text", Command::Redo),
    bind(CHAT, &[(Char('u'), CTRL)], "Ctrl-U", "delete to the line's beginning", Command::DeleteToLineStart),
    bind(CHAT, &[], "Ctrl-A, Ctrl-E", "to the line's beginning, to its end (also Home, End)", Command::Undo),
    bind(CHAT, &[], "Alt-B, Alt-F", "a word back, a word on (also Ctrl-Left, Ctrl-Right)", Command::Undo),
    bind(CHAT, &[], "Ctrl-W, Alt-D", "delete the word before, the word behind", Command::Undo),
    bind(CHAT, &[], "Alt-K, Ctrl-Y", "delete to the line's end; bring back what was deleted", Command::Undo),
    bind(CHAT, &[], "Up, Down", "on the first and last row: messages sent before, in all chats", Command::Search),
    bind(CHAT, &[(Char('r'), CTRL)], "Ctrl-R", "search the messages sent before", Command::Search),
    bind(SEARCH, &[(Char('r'), CTRL)], "", "", Command::Search),
    bind(SEARCH, &[(Up, NONE)], "", "", Command::Move(1)),
    bind(SEARCH, &[(Down, NONE), (Char('s'), CTRL)], "", "", Command::Move(-1)),
    bind(SEARCH, &[(Enter, NONE)], "", "", Command::TakeFound),
    bind(SEARCH, &[(Esc, NONE), (Char('g'), CTRL)], "", "", Command::CloseSearch),
    bind(CHAT, &[], "Ctrl-X Ctrl-E", "write in $VISUAL or $EDITOR", Command::EditOutside),
    bind(PREFIXED, &[(Char('e'), CTRL), (Char('e'), NONE)], "", "", Command::EditOutside),
    bind(CHAT, &[(Char('x'), CTRL)], "Ctrl-X O", "open the large paste beside the cursor", Command::Prefix),
    bind(PREFIXED, &[(Char('o'), NONE), (Char('o'), CTRL)], "", "", Command::OpenToken),
    bind(CHAT, &[], "Ctrl-X 1-9", "take back that message of those that wait", Command::TakeBack(1)),
    bind(EVERYWHERE, &[(Char('l'), CTRL)], "Ctrl-L", "draw the screen anew", Command::Redraw),
    bind(CHAT_OR_SELECT, &[(F(1), NONE)], "F1", "show these keys (also ? while nothing is written)", Command::Help),
    bind_when_empty(CHAT, &[(Char('?'), NONE)], "", "", Command::Help),
    bind(COMPLETING, &[(Tab, NONE)], "Tab", "write what is chosen", Command::TakeCompletion),
    bind(COMPLETING, &[(Enter, NONE)], "Enter", "do what is chosen, if nothing has to follow", Command::RunCompletion),
    bind(COMPLETING, &[(Esc, NONE)], "Esc", "close the menu", Command::CloseCompletion),
    bind(COMPLETING, &[(Up, NONE)], "", "", Command::MoveInCompletion(-1)),
    bind(COMPLETING, &[(Down, NONE)], "", "", Command::MoveInCompletion(1)),
    bind(PALETTE, &[(Enter, NONE)], "", "", Command::ChooseInPalette),
    bind(
        SETTINGS,
        &[(Enter, NONE)],
        "Enter",
        "change the chosen setting, or write a value for it",
        Command::ChangeChosen,
    ),
    bind(SETTINGS, &[(Left, NONE)], "Left, Right", "the word before or behind", Command::StepChosen(-1)),
    bind(SETTINGS, &[(Right, NONE)], "", "", Command::StepChosen(1)),
    bind(SETTINGS, &[(Delete, NONE)], "Del", "take it back to its default", Command::ResetChosen),
    bind(VALUE, &[(Enter, NONE)], "", "", Command::ChangeChosen),
    bind(VALUE, &[(Esc, NONE)], "", "", Command::ClosePopup),
    bind(PALETTE, &[(Char('k'), CTRL), (Char('p'), CTRL)], "", "", Command::ClosePopup),
    bind(
        SELECT,
        &[(Up, NONE), (Char('k'), NONE), (Up, CTRL)],
        "Up, Down",
        "the message above or below",
        select(Select::Above),
    ),
    bind(SELECT, &[(Down, NONE), (Char('j'), NONE), (Down, CTRL)], "", "", select(Select::Below)),
    bind(
        SELECT,
        &[(Home, NONE), (Char('g'), NONE)],
        "Home, End",
        "the first or the last message",
        select(Select::First),
    ),
    bind(SELECT, &[(End, NONE), (Char('G'), NONE)], "", "", select(Select::Last)),
    bind(SELECT, &[(Tab, NONE), (Char('n'), NONE)], "Tab, n", "its next code block or table", select(Select::NextPart)),
    bind(
        SELECT,
        &[(BackTab, NONE), (BackTab, SHIFT), (Char('p'), NONE)],
        "Shift-Tab, p",
        "the one before",
        select(Select::PartBefore),
    ),
    bind(
        SELECT,
        &[(Left, NONE), (Char('h'), NONE)],
        "Left, Right",
        "another branch, where one is marked like ‹\u{a0}1/2\u{a0}›",
        select(Select::Sibling(Sibling::Older)),
    ),
    bind(SELECT, &[(Right, NONE), (Char('l'), NONE)], "", "", select(Select::Sibling(Sibling::Newer))),
    bind(SELECT, &[(Char('y'), NONE), (Char('c'), NONE)], "y, c", "copy what is chosen", select(Select::Copy)),
    bind(SELECT, &[(Char('e'), NONE)], "e", "edit a question, and send it as a new branch", select(Select::Edit)),
    bind(SELECT, &[(Char('r'), NONE)], "r", "ask for another answer", select(Select::Retry)),
    bind(SELECT, &[(Char('f'), NONE)], "f", "copy the chat up to here into a new one", select(Select::Fork)),
    bind(
        SELECT,
        &[(Char('d'), NONE), (Delete, NONE)],
        "d",
        "delete the message and what follows it; twice",
        select(Select::Delete),
    ),
    bind(SELECT, &[(Char('u'), NONE)], "u", "undo a deletion: bring back what was deleted last", Command::RedoExchange),
    bind(SELECT, &[(Esc, NONE), (Enter, NONE), (Char('q'), NONE)], "Esc", "go on writing", select(Select::Leave)),
    bind(CHATS, &[(Enter, NONE)], "Enter", "open the chosen chat", Command::OpenChosen),
    bind(CHATS, &[(Delete, NONE)], "Del", "delete the chosen chat", Command::DeleteChosen),
    bind_when_empty(
        CHATS,
        &[(Char('u'), CTRL)],
        "Ctrl-U",
        "bring back what was deleted last, until you leave",
        Command::RestoreChat,
    ),
    bind(RENAMING, &[(Enter, NONE)], "", "", Command::OpenChosen),
    bind(RENAMING, &[(Esc, NONE)], "", "", Command::ClosePopup),
    bind(CHATS, &[(Char('r'), CTRL)], "Ctrl-R", "give the chosen chat another title", Command::RenameChosen),
    bind(CHATS, &[(Char('a'), CTRL)], "Ctrl-A", "put the chosen chat away, or take it back", Command::ArchiveChosen),
    bind(CHATS, &[(Char('t'), CTRL)], "Ctrl-T", "list what was put away, or the others", Command::ShowArchived),
    bind(CHATS, &[(Tab, NONE)], "Tab", "look for what is typed in the messages of all chats", Command::SearchTyped),
    bind(SEARCH_CHATS, &[(Enter, NONE)], "Enter", "go to the message", Command::OpenFound),
    bind(MODELS, &[(Enter, NONE)], "Enter", "load the chosen model; get it first if need be", Command::ChooseModel),
    bind(MODELS, &[(Delete, NONE)], "Del", "stop the download; what came of it is kept", Command::StopDownload),
    bind(CONFIRM, &[(Enter, NONE), (Char('y'), NONE)], "", "", Command::Confirm),
    bind(CONFIRM, &[(Tab, NONE)], "", "", Command::TakeSmallest),
    bind(CONFIRM, &[(Esc, NONE), (Char('n'), NONE), (F(4), NONE)], "", "", Command::Refuse),
    bind(POPUPS, &[(Up, NONE)], "", "", Command::Move(-1)),
    bind(POPUPS, &[(Down, NONE)], "", "", Command::Move(1)),
    bind(POPUPS, &[(PageUp, NONE)], "", "", Command::Move(-10)),
    bind(POPUPS, &[(PageDown, NONE)], "", "", Command::Move(10)),
    bind(CLOSED_BY_ESCAPE, &[(Esc, NONE)], "", "", Command::ClosePopup),
    // The key that opened it; that of another list goes there.
    bind(&[Mode::Help], &[(F(1), NONE)], "", "", Command::ClosePopup),
    bind(CHATS, &[(Char('o'), CTRL), (F(2), NONE)], "", "", Command::ClosePopup),
    bind(&[Mode::Context], &[(F(3), NONE)], "", "", Command::ClosePopup),
    bind(MODELS, &[(F(4), NONE)], "", "", Command::ClosePopup),
    bind(SEARCH_CHATS, &[(F(5), NONE)], "", "", Command::ClosePopup),
    bind(SETTINGS, &[(F(6), NONE)], "", "", Command::ClosePopup),
    bind(TEXTS, &[(Enter, NONE)], "", "", Command::ClosePopup),
    bind(&[Mode::Help], &[(Char('?'), NONE)], "", "", Command::ClosePopup),
];

/// The bindings that the help shows for a mode.
pub fn help(mode: Mode) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.modes.first() == Some(&mode) && !binding.shown.is_empty())
}

/// The keys in the chat that do this, in words.
pub fn shown_for(command: &Command) -> Option<&'static str> {
    help(Mode::Chat).find(|binding| binding.command == *command).map(|binding| binding.shown)
}

/// What a key means now.
pub fn message(app: &App, event: KeyEvent) -> Option<Msg> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let mode = mode(app);
    let key = normal(event);
    let bound_in = |mode: Mode| {
        BINDINGS.iter().find(|binding| {
            binding.modes.contains(&mode)
                && binding.keys.contains(&key)
                && (!binding.when_empty || app.has_nothing_written())
        })
    };
    let opens_another = || {
        let is_of_a_list = matches!(key, (F(_), NONE) | (Char('o'), CTRL));
        let is_no_letter = matches!(key, (F(_), _) | (_, CTRL | ALT));
        let means_as_ever = match mode {
            Mode::Select => is_no_letter,
            _ => is_of_a_list && CLOSED_BY_ESCAPE.contains(&mode),
        };
        if means_as_ever { bound_in(Mode::Chat) } else { None }
    };
    let menu = if mode == Mode::Chat && app.is_completing() { bound_in(Mode::Completing) } else { None };
    if menu.is_none() && mode == Mode::Chat && app.composer().wants_first(key) {
        return Some(Msg::Edit(event));
    }
    // A message that was found is only shown: who types writes, whatever the letters do to a chosen one.
    let is_found = mode == Mode::Select && app.selection().is_some_and(|selection| selection.is_found);
    if is_found && matches!(key, (Char(_), NONE)) {
        return Some(Msg::Edit(event));
    }
    if let Some(binding) = menu.or_else(|| bound_in(mode)).or_else(opens_another) {
        return Some(Msg::Command(binding.command.clone()));
    }
    match (mode, key) {
        (Mode::Prefixed, (Char(place @ '1'..='9'), _)) => Some(Msg::Command(Command::TakeBack(place as u8 - b'0'))),
        (Mode::Chat | Mode::Completing | Mode::Prefixed, _) => Some(Msg::Edit(event)),
        (Mode::Select, (Char(_), NONE | SHIFT)) => Some(Msg::Command(select(Select::Nothing))),
        // Who types has read it.
        (Mode::Context | Mode::Words | Mode::Confirm, (Char(_), NONE)) => Some(Msg::Edit(event)),
        (
            Mode::Search
            | Mode::Chats
            | Mode::Renaming
            | Mode::SearchChats
            | Mode::Models
            | Mode::Palette
            | Mode::Settings
            | Mode::Value
            | Mode::Help,
            _,
        ) if composer::edits(event) => Some(Msg::Filter(event)),
        _ => None,
    }
}

/// What the wheel means now; `lines` is negative upwards.
pub fn wheel(app: &App, lines: i16) -> Msg {
    Msg::Command(match mode(app) {
        Mode::Chat | Mode::Completing | Mode::Prefixed | Mode::Search | Mode::Select => {
            Command::Scroll(Scroll::Lines(lines))
        }
        Mode::Chats
        | Mode::Renaming
        | Mode::SearchChats
        | Mode::Models
        | Mode::Confirm
        | Mode::Help
        | Mode::Context
        | Mode::Words
        | Mode::Palette
        | Mode::Settings
        | Mode::Value => Command::Move(lines.signum()),
    })
}

fn mode(app: &App) -> Mode {
    match app.popup() {
        Popup::Closed if app.search().is_some() => Mode::Search,
        Popup::Closed if app.is_prefixed() => Mode::Prefixed,
        Popup::Closed if app.selection().is_some() => Mode::Select,
        Popup::Closed => Mode::Chat,
        Popup::Help { .. } => Mode::Help,
        Popup::Chats(list) if list.renaming.is_some() => Mode::Renaming,
        Popup::Chats(_) => Mode::Chats,
        Popup::Search(_) => Mode::SearchChats,
        Popup::Models(_) => Mode::Models,
        Popup::Confirm(_) | Popup::Ask(_) => Mode::Confirm,
        Popup::Context { .. } => Mode::Context,
        Popup::Words(_) => Mode::Words,
        Popup::Palette(_) => Mode::Palette,
        Popup::Settings(panel) if panel.value.is_some() => Mode::Value,
        Popup::Settings(_) => Mode::Settings,
    }
}

/// Terminals differ in whether they report Shift with a character and whether Ctrl makes it a capital.
fn normal(event: KeyEvent) -> Key {
    let modifiers = event.modifiers & (CTRL | ALT | SHIFT);
    match event.code {
        Char(character) if modifiers.contains(CTRL) => (Char(character.to_ascii_lowercase()), modifiers - SHIFT),
        Char(_) => (event.code, modifiers - SHIFT),
        code => (code, modifiers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_in_a_mode() {
        for (index, binding) in BINDINGS.iter().enumerate() {
            for later in &BINDINGS[index + 1..] {
                let shares_mode = binding.modes.iter().any(|mode| later.modes.contains(mode));
                let shared = binding.keys.iter().find(|key| later.keys.contains(key));
                assert!(!shares_mode || shared.is_none(), "{shared:?} is bound twice");
            }
        }
    }

    #[test]
    fn every_binding_the_help_shows_is_described() {
        assert!(BINDINGS.iter().all(|binding| binding.shown.is_empty() == binding.about.is_empty()));
    }

    #[test]
    fn a_capital_with_ctrl_is_the_same_key() {
        assert_eq!(normal(KeyEvent::new(Char('C'), CTRL | SHIFT)), (Char('c'), CTRL));
        assert_eq!(normal(KeyEvent::new(Char('?'), SHIFT)), (Char('?'), NONE));
        assert_eq!(normal(KeyEvent::new(Enter, SHIFT)), (Enter, SHIFT));
    }
}
