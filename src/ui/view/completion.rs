//! The menu of what is being written may become, above the composer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{App, Completion};

use super::{erase, padded, rule};

const MOST_ROWS: u16 = 8;
/// What an item is about begins here at the latest.
const MOST_SHOWN: usize = 40;

/// How many rows it takes where there is room, its heading included.
pub fn rows(app: &App) -> u16 {
    let Some(completion) = app.completion().filter(|_| app.is_completing()) else { return 0 };
    completion.items.len().min(MOST_ROWS.into()) as u16 + 1
}

/// Draws the menu above `composer`.
pub fn draw(app: &App, composer: Rect, frame: &mut Frame) {
    let Some(completion) = app.completion().filter(|_| app.is_completing()) else { return };
    let theme = app.theme();
    let above = composer.y - frame.area().y;
    let rows = (completion.items.len().min(MOST_ROWS.into()) as u16).min(above.saturating_sub(1));
    if rows == 0 {
        return;
    }
    let area = Rect { y: composer.y - rows - 1, height: rows + 1, ..composer };
    let width = usize::from(area.width);
    let chosen = completion.chosen.unwrap_or(0);
    let first = (chosen + 1).saturating_sub(rows.into());
    let items = completion.items.iter().enumerate().skip(first).take(rows.into());
    let shown = completion.items.iter().map(|item| item.shown.width()).max().unwrap_or(0);
    let shown = if completion.items.iter().all(|item| item.about.is_empty() && item.key.is_none()) {
        width.saturating_sub(2)
    } else {
        shown.min(MOST_SHOWN).min(width / 2)
    };
    let mut lines = vec![Line::styled(rule(area.width, &hints(completion, rows.into()), theme), theme.border)];
    for (index, item) in items {
        let is_chosen = completion.chosen == Some(index);
        let mark = if is_chosen { "> " } else { "  " };
        let key = item.key.unwrap_or_default();
        let room = width.saturating_sub(mark.len() + shown + 4 + key.width());
        let style = |style| if is_chosen { theme.selection } else { style };
        lines.push(Line::from(vec![
            Span::styled(format!("{mark}{}  ", padded(&item.shown, shown, theme.ascii)), style(theme.text)),
            Span::styled(format!("{}  ", padded(&item.about, room, theme.ascii)), style(theme.dim)),
            Span::styled(key, style(theme.accent)),
        ]));
    }
    erase(area, theme, frame);
    frame.render_widget(Paragraph::new(lines), area);
}

fn hints(completion: &Completion, rows: usize) -> String {
    let keys = match completion.chosen {
        Some(_) => "Tab completes · Enter takes it · Up/Down · Esc closes",
        None => "Tab completes · Up/Down · Esc closes",
    };
    let count = completion.items.len();
    match completion.chosen {
        _ if count <= rows => keys.into(),
        Some(chosen) => format!("{keys} · {} of {count}", chosen + 1),
        None => format!("{keys} · {count} in all"),
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::examples::text;
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;
    use crate::ui::files::Folder;
    use crate::ui::msg::Msg;

    #[test]
    fn the_menu_of_commands_lies_above_the_composer() {
        let mut tester = Tester::ready();
        tester.send("Hi");
        tester.token("Hello, how can I help you?", 1);
        tester.finish(Ended::Stop);
        tester.type_text("/");
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.type_text("re");
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.use_ascii();
        assert!(text(&mut tester, 40, 10).contains("> /rename TITLE"));
    }

    #[test]
    fn the_menu_of_settings_tells_what_they_are_now() {
        let mut tester = Tester::ready();
        tester.type_text("/set ");
        insta::assert_snapshot!(text(&mut tester, 80, 24));
    }

    #[test]
    fn the_menu_of_files_has_room_for_their_paths() {
        let mut tester = Tester::ready();
        tester.type_text("explain @ma");
        let paths =
            ["src/main.rs", "Makefile", "evil\x1b[2Jmap", "docs/a/very/long/path/to/some/manual/that/goes/on.md"];
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        tester.update(Msg::Files { folder: Folder::of("ma"), paths });
        insta::assert_snapshot!(text(&mut tester, 80, 24));
    }
}
