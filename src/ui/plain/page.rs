//! What is written in plain mode: whole lines, one after the other, and never a sequence that commands the terminal.

use crate::text::escape;

/// What stands on the line where the cursor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A prompt, behind which the person types.
    Prompt,
    /// A part of an answer.
    Text,
    /// What the terminal shows of its own.
    Foreign,
}

/// What is to be written, and where the cursor will be then.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    open: Open,
}

impl Page {
    /// Says something on lines of its own.
    pub fn say(&mut self, words: &str) {
        self.end_line();
        self.text.push_str(&escape(words));
        self.text.push('\n');
    }

    pub fn say_if(&mut self, words: Option<String>) {
        if let Some(words) = words {
            self.say(&words);
        }
    }

    /// Goes on with a text that comes in pieces.
    pub fn add(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        if matches!(self.open, Open::Prompt | Open::Foreign) {
            self.end_line();
        }
        self.text.push_str(&escape(piece));
        self.open = if piece.ends_with('\n') { Open::Nothing } else { Open::Text };
    }

    pub fn end_line(&mut self) {
        if self.open != Open::Nothing {
            self.text.push('\n');
            self.open = Open::Nothing;
        }
    }

    /// Asks for a line.
    pub fn prompt(&mut self, words: &str) {
        if self.open != Open::Prompt {
            self.end_line();
            self.text.push_str(words);
            self.open = Open::Prompt;
        }
    }

    /// The person has typed a line, which the terminal shows.
    pub fn typed(&mut self) {
        self.open = Open::Nothing;
    }

    /// A line has come that no terminal shows.
    pub fn show(&mut self, line: &str) {
        self.text.push_str(&escape(line));
        self.text.push('\n');
        self.open = Open::Nothing;
    }

    /// The terminal has shown something of its own, as for Ctrl-C.
    pub fn was_written_on(&mut self) {
        self.open = Open::Foreign;
    }

    pub fn is_at_line_start(&self) -> bool {
        self.open == Open::Nothing
    }

    /// What is to be written now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// The program's words as a sentence.
pub fn sentence(words: &str) -> String {
    let words = words.trim();
    let mut characters = words.chars();
    let first = characters.next().map_or(String::new(), |first| first.to_uppercase().collect());
    let end = if words.ends_with(['.', '!', '?', ':']) || words.is_empty() { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_on_lines_of_its_own() {
        let mut page = Page::default();
        page.add("An answer");
        page.say("A sentence.");
        page.prompt("You: ");
        page.prompt("You: ");
        page.say("It goes on.");
        page.prompt("You: ");
        page.typed();
        page.add("Next ");
        page.add("one\n");
        page.end_line();
        page.was_written_on();
        page.add("more");
        page.say("Stopped.");
        let expected = "An answer\nA sentence.\nYou: \nIt goes on.\nYou: Next one\n\nmore\nStopped.\n";
        assert_eq!(page.take(), expected);
        assert_eq!(page.take(), "");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let mut page = Page::default();
        page.add("\x1b[31mred\x07");
        page.say("\x1b]0;title\x07\r\u{202e}");
        page.show("\x1b[2J");
        let text = page.take();
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
    }

    #[test]
    fn words_become_sentences() {
        assert_eq!(sentence("no model is here"), "No model is here.");
        assert_eq!(sentence("`x` answers"), "`x` answers.");
        assert_eq!(sentence("Ready."), "Ready.");
        assert_eq!(sentence(""), "");
    }
}
