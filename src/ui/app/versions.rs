//! The other branches of the chat in words, and going to one by numbers: what Left and Right do at a chosen message.

use std::time::Instant;

use super::App;
use super::words::Words;
use crate::text::escape_line;
use crate::ui::folds;
use crate::ui::msg::{Branch, Effect};
use crate::ui::transcript::Entry;

/// Characters of a message that tell it from others.
const BEGINNING: usize = 60;

impl App {
    /// Tells the branches, or shows another one.
    pub(super) fn branch(&mut self, wanted: Branch, now: Instant) -> Vec<Effect> {
        let gone = match wanted {
            Branch::List => {
                self.list_branches();
                return Vec::new();
            }
            Branch::Next(number) => self.go_to_version(number, None, now),
            Branch::At(number, version) => self.go_to_version(number, Some(version), now),
        };
        gone.unwrap_or_else(|sentence| {
            self.notice(sentence);
            Vec::new()
        })
    }

    /// Shows another message in the place of this one: that of this number, counted from 1, else the next one.
    fn go_to_version(&mut self, number: u32, version: Option<u32>, now: Instant) -> Result<Vec<Effect>, String> {
        let message = self.message_of(Some(number))?;
        let node = *self.branches.path().get(message).ok_or("there is no such message")?;
        let siblings = self.branches.siblings(node);
        if siblings.len() < 2 {
            return Err(format!("message {number} has no other branch; `/branch` tells which have"));
        }
        let here = siblings.iter().position(|&other| other == node).unwrap_or_default();
        let there = match version {
            Some(version) => (version as usize).checked_sub(1).filter(|there| *there < siblings.len()),
            None => Some((here + 1) % siblings.len()),
        };
        let there = there.ok_or_else(|| format!("message {number} has {} branches", siblings.len()))?;
        if there == here {
            return Err(format!("branch {} of message {number} is the one that is shown", here + 1));
        }
        if let Some(reason) = self.reason_not_to_branch() {
            return Err(reason.into());
        }
        let branch = self.branches.branch_through(siblings[there]);
        Ok(self.show_branch(&branch, now))
    }

    fn list_branches(&mut self) {
        let all = self.branches.all(&self.transcript);
        let mut words = Words::titled("Branches");
        let mut first = None;
        for (message, &node) in self.branches.path().iter().enumerate() {
            let siblings = self.branches.siblings(node);
            if siblings.len() < 2 {
                continue;
            }
            let number = self.number_of(message);
            first.get_or_insert(number);
            for (index, sibling) in siblings.iter().enumerate() {
                let entry = all.iter().find(|(other, ..)| other == sibling).map(|(_, _, entry)| *entry);
                let shown = if *sibling == node { " (shown)" } else { "" };
                words.row(&format!("{number} {}{shown}", index + 1), entry.map(beginning).unwrap_or_default());
            }
        }
        let Some(message) = first else {
            self.notice("there are no other branches: `/edit` asks a question anew, `/retry` asks for another answer");
            return;
        };
        words.say("");
        words.say(format!(
            "`/branch {message} 1` shows the first branch of message {message}, `/branch {message}` the next one."
        ));
        self.show_words(words);
    }
}

/// How a message begins, on one line.
fn beginning(entry: &Entry) -> String {
    let text = match entry {
        Entry::Question(question) => {
            let text = question.text.text();
            folds::shown(text, question.folds(), text.len())
        }
        _ => entry.text().to_owned(),
    };
    let line = escape_line(text.trim());
    let cut: String = line.chars().take(BEGINNING).collect();
    if cut.len() < line.len() { format!("{}...", cut.trim_end()) } else { cut }
}

#[cfg(test)]
mod tests {
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;

    fn answered_twice() -> Tester {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        tester.send("/retry");
        tester.token("second", 1);
        tester.finish(Ended::Stop);
        tester
    }

    #[test]
    fn branches_are_told_with_numbers_that_lead_to_them() {
        let mut tester = answered_twice();
        tester.send("/branch");
        assert!(tester.words().starts_with("Branches\n2 1 first\n2 2 (shown) second\n"), "{}", tester.words());
        let last = |tester: &Tester| tester.app.transcript().entries().last().unwrap().text().to_owned();
        tester.send("/branch 2 1");
        assert_eq!(last(&tester), "first");
        tester.send("/branches 2");
        assert_eq!(last(&tester), "second");
        tester.send("/branch 2");
        assert_eq!(last(&tester), "first", "behind the last comes the first");
    }

    #[test]
    fn what_is_no_branch_is_a_sentence() {
        let mut tester = Tester::ready();
        tester.send("/branch");
        assert!(tester.app.notices()[0].starts_with("there are no other branches"));
        let mut tester = answered_twice();
        for (written, told) in [
            ("/branch 1", "message 1 has no other branch"),
            ("/branch 2 3", "message 2 has 2 branches"),
            ("/branch 2 0", "message 2 has 2 branches"),
            ("/branch 2 2", "is the one that is shown"),
            ("/branch 9", "there is no message 9"),
            ("/branch x", "it takes the number"),
        ] {
            tester.send(written);
            let notices = tester.app.take_notices();
            assert!(notices[0].contains(told), "{written}: {notices:?}");
            tester.app.composer.clear();
        }
    }
}
