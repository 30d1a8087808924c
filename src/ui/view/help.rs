//! The help over the chat, written from the tables of keys and of commands; what is typed narrows it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::App;
use crate::ui::composer::{Field, VI_KEYS};
use crate::ui::keys::{self, Mode};
use crate::ui::slash::{COMMANDS, Group};
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::field;
use super::popups::{inner_width, open_box};

/// What a row is about begins here at the latest.
const NAME_WIDTH: usize = 22;
const FILTER: &str = "filter: ";
const MODES: [(Mode, &str); 7] = [
    (Mode::Chat, "In the chat"),
    (Mode::Select, "With a message chosen"),
    (Mode::Completing, "In the menu of what is being written"),
    (Mode::Chats, "In the list of chats"),
    (Mode::SearchChats, "In the search of all chats"),
    (Mode::Models, "In the list of models"),
    (Mode::Settings, "In the list of settings"),
];

pub fn draw(app: &App, top: u16, filter: &Field, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let lines = lines(theme, has_vi(app), filter, inner_width(screen));
    let keys = "typing narrows, Up and Down scroll, Esc closes";
    let inside = open_box("Keys and commands", keys, lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((top, 0)), inside);
    if top == 0 && !filter.is_empty() {
        field::draw(FILTER, filter, theme.accent, inside, frame);
    }
}

/// How many lines there are to scroll through.
pub fn height(app: &App, filter: &Field, screen: Rect) -> usize {
    lines(&Theme::plain(), has_vi(app), filter, inner_width(screen)).len()
}

/// Whether messages are edited with the keys of vi.
fn has_vi(app: &App) -> bool {
    app.composer().is_in_normal_mode().is_some()
}

/// A part of the help: what its rows are about, with their names.
pub struct Section {
    pub heading: &'static str,
    pub rows: Vec<(String, String)>,
}

impl Section {
    /// What of it has all of these words; nothing if none does.
    pub fn about(self, words: &Field) -> Option<Self> {
        let Self { heading, mut rows } = self;
        let words = words.text().to_lowercase();
        rows.retain(|(name, about)| {
            let text = format!("{heading} {name} {about}").to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        });
        (!rows.is_empty()).then_some(Self { heading, rows })
    }
}

/// What can be written instead of a message, group by group.
pub fn commands() -> [Section; 5] {
    Group::ALL.map(|group| {
        let commands = COMMANDS.iter().filter(|command| command.group == group);
        let rows = commands.map(|command| (command.shown(), command.about.to_owned()));
        Section { heading: group.heading(), rows: rows.collect() }
    })
}

fn sections(has_vi: bool) -> Vec<Section> {
    let keys = MODES.map(|(mode, heading)| {
        let rows = keys::help(mode).map(|binding| (binding.shown.to_owned(), binding.about.to_owned()));
        Section { heading, rows: rows.collect() }
    });
    let mut sections: Vec<Section> = keys.into_iter().collect();
    if has_vi {
        let rows = VI_KEYS.iter().map(|(keys, about)| ((*keys).to_owned(), (*about).to_owned()));
        sections.insert(1, Section { heading: "Editing with the keys of vi", rows: rows.collect() });
    }
    sections.extend(Group::ALL.map(|group| {
        let commands = COMMANDS.iter().filter(|command| command.group == group);
        let rows = commands.map(|command| {
            let key = command.key().map_or(String::new(), |key| format!(" ({key})"));
            (command.shown(), format!("{}{key}", command.about))
        });
        Section { heading: group.heading(), rows: rows.collect() }
    }));
    let written = [
        ("@path", "attach a file; a menu opens with the first letters"),
        ("//name", "send a message that begins like a command"),
    ];
    let rows = written.map(|(name, about)| (name.to_owned(), about.to_owned()));
    sections.push(Section { heading: "Written in a message", rows: rows.into() });
    sections
}

fn lines(theme: &Theme, has_vi: bool, filter: &Field, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if !filter.is_empty() {
        lines.push(Line::styled(field::shown(FILTER, filter, width).0, theme.accent));
    }
    for Section { heading, rows } in sections(has_vi).into_iter().filter_map(|section| section.about(filter)) {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(heading, theme.strong));
        lines.extend(rows.iter().flat_map(|(name, about)| row(theme, name, about, width)));
    }
    if lines.len() == usize::from(!filter.is_empty()) {
        lines.push(Line::styled("no key and no command is about that", theme.dim));
    }
    lines
}

fn row(theme: &Theme, name: &str, about: &str, width: usize) -> Vec<Line<'static>> {
    let indent = 2 + NAME_WIDTH.min(width / 2);
    let is_long = name.width() + 3 > indent;
    let mut lines: Vec<Line> = is_long.then(|| Line::styled(format!("  {name}"), theme.accent)).into_iter().collect();
    for (index, part) in wrap(about, width.saturating_sub(indent).max(1)).into_iter().enumerate() {
        let name = if index == 0 && !is_long { name } else { "" };
        let name = format!("  {name:<width$}", width = indent - 2);
        lines.push(Line::from(vec![Span::styled(name, theme.accent), Span::raw(part)]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::examples::text;
    use crate::ui::app::tester::Tester;

    #[test]
    fn the_help_is_written_from_the_tables() {
        let mut tester = Tester::ready();
        tester.key(KeyCode::F(1), KeyModifiers::NONE);
        insta::assert_snapshot!(text(&mut tester, 90, 100));
    }

    #[test]
    fn the_keys_of_vi_are_in_it_for_those_who_use_them() {
        let mut tester = Tester::ready();
        tester.key(KeyCode::F(1), KeyModifiers::NONE);
        assert!(!text(&mut tester, 80, 200).contains("keys of vi"));
        let mut tester = Tester::with_vi();
        tester.key(KeyCode::F(1), KeyModifiers::NONE);
        tester.type_text("keys vi");
        let screen = text(&mut tester, 90, 24);
        assert!(screen.contains("Editing with the keys of vi") && screen.contains("d, c, y"), "{screen}");
    }

    #[test]
    fn typing_narrows_the_help() {
        let mut tester = Tester::ready();
        tester.send("/help");
        tester.type_text("new");
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.type_text("xyz");
        assert!(text(&mut tester, 80, 24).contains("no key and no command is about that"));
        for _ in 0.."newxyz".len() {
            tester.key(KeyCode::Backspace, KeyModifiers::NONE);
        }
        assert!(text(&mut tester, 80, 24).contains("send the message"));
    }
}
