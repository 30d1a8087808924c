//! The question before a line of shell is run.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::text::escape_line;
use crate::ui::app::AskRun;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::{inner_width, open_box};

pub fn draw(theme: &Theme, asked: &AskRun, screen: Rect, frame: &mut Frame) {
    let lines = lines(theme, asked, inner_width(screen));
    let inside = open_box("Run this command?", "Enter runs it, Esc does not", lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((asked.top, 0)), inside);
}

/// How many lines there are to scroll through.
pub fn height(asked: &AskRun, screen: Rect) -> usize {
    lines(&Theme::plain(), asked, inner_width(screen)).len()
}

/// What comes of it, in a sentence.
pub fn consequence() -> &'static str {
    "It runs in a shell, without a terminal, for 60 seconds at most. What it says is attached to your message."
}

fn lines(theme: &Theme, asked: &AskRun, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut say =
        |text: &str, style| lines.extend(wrap(text, width.max(1)).into_iter().map(|line| Line::styled(line, style)));
    say(&escape_line(&asked.line), theme.strong);
    say("", theme.text);
    say(consequence(), theme.text);
    say("", theme.text);
    say("Enter  run it", theme.text);
    say("Esc    go back", theme.text);
    lines
}
