//! The palette over the chat: what was typed, and the rows that fit below their headings.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::{App, Palette, PaletteRow};
use crate::ui::theme::Theme;

use super::popups::{Extent, open_box};
use super::{field, padded};

/// What a row is about begins here at the latest.
const MOST_SHOWN: usize = 34;

pub fn draw(app: &App, palette: &Palette, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let groups = app.palette_groups(palette);
    let shown = groups.iter().flat_map(|group| &group.rows).map(|row| row.shown.width()).max().unwrap_or(0);
    let mut lines: Vec<Line> = Vec::new();
    let (mut at, mut index) = (0, 0);
    let width = super::popups::inner_width(screen);
    for group in &groups {
        lines.push(Line::styled(group.heading, theme.dim));
        for row in &group.rows {
            let is_chosen = index == palette.chosen;
            if is_chosen {
                at = lines.len();
            }
            lines.push(line(theme, row, shown.min(MOST_SHOWN).min(width / 2), width, is_chosen));
            index += 1;
        }
    }
    // A row for what is typed.
    let extent = Extent { rows: lines.len().max(1) + 1, columns: 0, hangs: true };
    let inside = open_box("Palette", "Enter does it, typing narrows, Esc closes", extent, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    field::draw("> ", &palette.filter, theme.accent, inside, frame);
    let below = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    if lines.is_empty() {
        frame.render_widget(Paragraph::new("nothing fits").style(theme.dim), below);
        return;
    }
    let top = (at + 2).saturating_sub(below.height.into()).min(lines.len().saturating_sub(below.height.into()));
    frame.render_widget(Paragraph::new(lines).scroll((top as u16, 0)), below);
}

fn line(theme: &Theme, row: &PaletteRow, shown: usize, width: usize, is_chosen: bool) -> Line<'static> {
    let mark = if is_chosen { "> " } else { "  " };
    let key = row.key.unwrap_or_default();
    let room = width.saturating_sub(mark.len() + shown + 4 + key.width());
    let parts = [padded(&row.shown, shown, theme.ascii), padded(&row.about, room, theme.ascii)];
    let line = Line::from(vec![
        Span::raw(format!("{mark}{}  ", parts[0])),
        Span::styled(format!("{}  ", parts[1]), if is_chosen { theme.selection } else { theme.dim }),
        Span::styled(key, if is_chosen { theme.selection } else { theme.accent }),
    ]);
    if is_chosen { line.style(theme.selection) } else { line }
}

#[cfg(test)]
mod tests {
    use super::super::examples::text;
    use crate::prompts::PromptText;
    use crate::ui::app::tester::{Tester, chat_row as row, download, here};
    use crate::ui::msg::{Command, Msg};

    #[test]
    fn the_palette_shows_groups_and_what_fits() {
        let mut tester = Tester::saving();
        tester.command(Command::Palette);
        tester.update(Msg::Chats(vec![row(4, "How to model a bridge"), row(9, "evil\x1b]0;x\x07")]));
        tester.update(Msg::Offers(vec![here("qwen2.5-0.5b-instruct", None), download("smollm2-135m-instruct")]));
        let texts = vec![PromptText {
            name: "review".into(),
            text: "Review the following code.\n".into(),
            ..PromptText::default()
        }];
        tester.update(Msg::Prompts { texts, problems: Vec::new() });
        tester.command(Command::Move(2));
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.command(Command::Move(100));
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.type_text("mod");
        insta::assert_snapshot!(text(&mut tester, 80, 24));
        tester.use_ascii();
        tester.type_text("xyz");
        assert!(text(&mut tester, 80, 24).contains("nothing fits"));
    }
}
