//! The question before a line of shell is run.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::ui::app::Ask;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::{inner_width, open_box};

pub fn draw(theme: &Theme, asked: &Ask, screen: Rect, frame: &mut Frame) {
    let lines = lines(theme, asked, inner_width(screen));
    let inside = open_box(asked.question.title(), asked.question.keys(), lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((asked.top, 0)), inside);
}

/// How many lines there are to scroll through.
pub fn height(asked: &Ask, screen: Rect) -> usize {
    lines(&Theme::plain(), asked, inner_width(screen)).len()
}

fn lines(theme: &Theme, asked: &Ask, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut say =
        |text: &str, style| lines.extend(wrap(text, width.max(1)).into_iter().map(|line| Line::styled(line, style)));
    say(&asked.question.subject(), theme.strong);
    say("", theme.text);
    say(asked.question.consequence(), theme.text);
    say("", theme.text);
    say(&format!("Enter  {}", asked.question.yes()), theme.text);
    say("Esc    go back", theme.text);
    lines
}
