//! Something told in many words, over the chat: what it is about at the left, what is said of it beside it, folded.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::ui::app::Words;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::{inner_width, open_box};

const GAP: usize = 2;

pub fn draw(theme: &Theme, words: &Words, screen: Rect, frame: &mut Frame) {
    let lines = lines(theme, words, inner_width(screen));
    let inside = open_box(&words.title, "Esc closes, Up and Down scroll", lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((words.top, 0)), inside);
}

/// How many lines there are to scroll through.
pub fn height(words: &Words, screen: Rect) -> usize {
    lines(&Theme::plain(), words, inner_width(screen)).len()
}

fn lines(theme: &Theme, words: &Words, width: usize) -> Vec<Line<'static>> {
    let head = words.rows.iter().map(|(about, _)| about.width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (about, said) in &words.rows {
        if about.is_empty() {
            lines.extend(wrap(said, width.max(1)).into_iter().map(Line::raw));
            continue;
        }
        let indent = (GAP + head + GAP).min(width / 2);
        for (index, part) in wrap(said, width.saturating_sub(indent).max(1)).into_iter().enumerate() {
            let about = if index == 0 { about.as_str() } else { "" };
            let label = format!("{:GAP$}{about:<width$}", "", width = indent.saturating_sub(GAP));
            lines.push(Line::from(vec![Span::styled(label, theme.accent), Span::raw(part)]));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::examples::text;
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;

    #[test]
    fn settings_statistics_and_the_cache_are_told_in_rows() {
        for command in ["/set", "/kv", "/stats", "/system"] {
            let mut tester = Tester::ready();
            tester.send("Hi");
            tester.token("Hello", 1);
            tester.finish(Ended::Stop);
            tester.send("/set temp 0.2");
            tester.send(command);
            insta::assert_snapshot!(text(&mut tester, 80, 24));
        }
    }
}
