//! Copying a message, a code block or a table to the clipboard: always by a sequence that the terminal understands,
//! over SSH too, and to the machine's own clipboard where there is one.

use super::App;
use crate::ui::clipboard::MOST_BYTES;
use crate::ui::markdown::parts::parts;
use crate::ui::msg::{CopyOf, Effect};
use crate::ui::transcript::Entry;

impl App {
    /// Copies what is chosen with the keyboard.
    pub(super) fn copy_selected(&mut self) -> Vec<Effect> {
        let Some((selection, entry)) = self.selection.as_ref().zip(self.selected_entry()) else { return Vec::new() };
        let (text, what) = match selection.part() {
            Some(part) => (part.text.clone(), format!("the {}", part.kind.name())),
            None => (entry.text().to_owned(), name(entry).to_owned()),
        };
        self.copy(text, what)
    }

    /// Copies what was named.
    pub(super) fn copy_named(&mut self, what: CopyOf) -> Vec<Effect> {
        match self.named(what) {
            Ok((text, what)) => self.copy(text, what),
            Err(sentence) => {
                self.notice(sentence);
                Vec::new()
            }
        }
    }

    fn named(&self, what: CopyOf) -> Result<(String, String), String> {
        let told = self.transcript.entries().iter().rev().filter(|entry| entry.is_told());
        match what {
            CopyOf::LastAnswer => {
                let answer = told.clone().find(|entry| matches!(entry, Entry::Answer(_)));
                let answer = answer.ok_or("there is no answer yet to copy; `/copy N` copies message N of /context")?;
                Ok((answer.text().to_owned(), "the last answer".into()))
            }
            CopyOf::LastPart(kind) => {
                let mut all = told.flat_map(|entry| parts(entry.text()).into_iter().rev());
                let part = all.find(|part| part.kind == kind);
                let part = part.ok_or_else(|| format!("there is no {} in this conversation", kind.name()))?;
                Ok((part.text, format!("the last {}", kind.name())))
            }
            CopyOf::Message(number) => {
                let message = self.message_of(Some(number))?;
                let entry = self.entry_of_message(message).and_then(|place| self.transcript.entries().get(place));
                Ok((entry.map(|entry| entry.text().to_owned()).unwrap_or_default(), format!("message {number}")))
            }
        }
    }

    fn copy(&mut self, text: String, what: String) -> Vec<Effect> {
        if text.is_empty() {
            self.notice(format!("{what} is empty, so nothing was copied"));
            return Vec::new();
        }
        if !self.copies_through_terminal {
            return vec![Effect::Copy { text, what }];
        }
        self.notice(if text.len() <= MOST_BYTES {
            format!("copied {what} ({}) through the terminal (OSC 52)", size(&text))
        } else {
            format!(
                "{what} ({}) is more than terminals take into the clipboard ({} KiB); copy its parts one by one",
                size(&text),
                MOST_BYTES / 1024,
            )
        });
        vec![Effect::Copy { text, what }]
    }

    /// The machine's own clipboard has it, too.
    pub(super) fn copied(&mut self, what: &str, bytes: usize) {
        if !self.copies_through_terminal {
            self.notice(format!("copied {what} ({}) to the clipboard", size_of(bytes)));
            return;
        }
        let is_about_it = |notice: &String| notice.contains(what);
        let (sent, how) = match bytes <= MOST_BYTES {
            true => (true, " and through the terminal (OSC 52)"),
            false => (false, "; it is too much for the terminal's own way (OSC 52)"),
        };
        if self.notices.iter().any(is_about_it) || !sent {
            self.notices.retain(|notice| !is_about_it(notice));
            self.notice(format!("copied {what} ({}) to the clipboard{how}", size_of(bytes)));
        }
    }
}

impl App {
    /// Where the terminal is not sent what is copied, there is nothing left to try.
    pub(super) fn not_copied(&mut self, what: &str) {
        if !self.copies_through_terminal {
            self.notice(format!(
                "{what} is not copied: there is no clipboard within reach; `/save FILE` writes the chat to a file"
            ));
        }
    }
}

fn name(entry: &Entry) -> &'static str {
    match entry {
        Entry::Question(_) => "the question",
        Entry::Answer(_) | Entry::Note(_) => "the answer",
    }
}

fn size(text: &str) -> String {
    size_of(text.len())
}

fn size_of(bytes: usize) -> String {
    match bytes {
        1 => "1 byte".into(),
        ..10_000 => format!("{bytes} bytes"),
        _ => format!("{} KiB", bytes.div_ceil(1024)),
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;

    #[test]
    fn an_empty_code_block_is_said_to_be_one() {
        let mut tester = Tester::ready();
        tester.send("show me nothing");
        tester.token("Here:\n\n```rust\n```\n", 5);
        tester.finish(Ended::Stop);
        assert!(tester.send("/copy code").is_empty());
        assert_eq!(tester.app.notices(), ["the last code block is empty, so nothing was copied"]);
        tester.send("/copy table");
        assert_eq!(tester.app.notices(), ["there is no table in this conversation"]);
    }
}
