//! What of the conversation goes into the terminal's scrollback, where the chat has only a few lines at the bottom of the
//! screen: each message once, when it has come to its end.

use std::sync::Arc;

use ratatui::text::Line;

use super::app::{App, Popup};
use super::links::Targets;
use super::msg::Slot;
use super::transcript::{Entry, Told};
use super::view;
use crate::store::ChatId;
use crate::text::escape_line;

/// Of a chat that is opened so many messages are written; all can be scrolled through in the program.
const MOST_MESSAGES: usize = 20;

/// What was written there.
#[derive(Debug, Default)]
pub struct Scrollback {
    told: Told,
    /// The chat that was open.
    chat: Slot<ChatId>,
}

/// Whether what is on the screen needs all of it: lists, texts, and messages further up.
pub fn needs_all(app: &App) -> bool {
    !matches!(app.popup(), Popup::Closed) || app.selection().is_some() || !app.transcript().follows_end()
}

impl Scrollback {
    /// The lines of what has come to its end and was not written, and where their links lead; the transcript shows the
    /// rest.
    pub fn take(&mut self, app: &mut App, width: u16) -> (Vec<Line<'static>>, Targets) {
        let finished = finished(app);
        let is_other = !Arc::ptr_eq(&self.chat, app.chat_slot()) && !self.told.is_empty();
        self.chat = app.chat_slot().clone();
        let mut new = self.told.take_new(&app.transcript().entries()[..finished]);
        let earlier = new.len().saturating_sub(MOST_MESSAGES);
        new.drain(..earlier);
        let mut lines = Vec::new();
        if (is_other || earlier > 0) && !new.is_empty() {
            lines.extend(heading(app, width, earlier));
        }
        let mut targets = Targets::default();
        let (transcript, _, theme) = app.layout_parts();
        for entry in new {
            let (of_entry, links) = transcript.finished_lines(entry, width, theme);
            lines.extend(of_entry);
            targets.extend(links);
        }
        for line in &mut lines {
            line.style = theme.canvas().patch(line.style);
        }
        transcript.hide_before(finished);
        (lines, targets)
    }
}

/// How many entries have come to their end: a question has when its answer has.
fn finished(app: &App) -> usize {
    let entries = app.transcript().entries();
    let last = entries.iter().rposition(|entry| matches!(entry, Entry::Question(_)));
    match last {
        Some(question) if app.is_busy() => question,
        _ => entries.len(),
    }
}

/// What stands before the messages of a chat that was opened.
fn heading(app: &App, width: u16, earlier: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let title = app.title().map_or_else(|| "another chat".to_owned(), escape_line);
    let words = match earlier {
        0 => title,
        count => format!("{title} · {count} earlier messages, PgUp shows them"),
    };
    vec![Line::styled(view::rule(width, &words, theme), theme.border), Line::default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;

    fn taken(scrollback: &mut Scrollback, tester: &mut Tester) -> Vec<String> {
        let (lines, _) = scrollback.take(&mut tester.app, 40);
        let lines = lines.iter().map(ToString::to_string);
        lines.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn an_exchange_is_written_once_when_its_answer_has_ended() {
        let (mut tester, mut scrollback) = (Tester::ready(), Scrollback::default());
        tester.send("one");
        tester.token("first", 1);
        assert!(taken(&mut scrollback, &mut tester).is_empty());
        tester.finish(Ended::Stop);
        assert_eq!(taken(&mut scrollback, &mut tester), ["› one", "  first"]);
        assert!(taken(&mut scrollback, &mut tester).is_empty());
        tester.send("two");
        tester.token("second", 1);
        assert!(taken(&mut scrollback, &mut tester).is_empty());
        tester.finish(Ended::Cancelled);
        let lines = taken(&mut scrollback, &mut tester);
        assert_eq!(lines[..2], ["› two", "  second"]);
    }

    #[test]
    fn another_answer_is_written_with_its_question_again() {
        let (mut tester, mut scrollback) = (Tester::ready(), Scrollback::default());
        tester.send("one");
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        taken(&mut scrollback, &mut tester);
        tester.send("/retry");
        tester.token("other", 1);
        assert!(taken(&mut scrollback, &mut tester).is_empty());
        tester.finish(Ended::Stop);
        let lines = taken(&mut scrollback, &mut tester);
        assert!(lines[0].contains("one") && lines.iter().any(|line| line.contains("other")), "{lines:?}");
    }

    #[test]
    fn lists_and_messages_further_up_need_the_whole_screen() {
        let mut tester = Tester::ready();
        assert!(!needs_all(&tester.app));
        tester.send("/help");
        assert!(needs_all(&tester.app));
    }
}
