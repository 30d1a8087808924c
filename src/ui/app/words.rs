//! Something told in more words than a notice holds: rows over the chat, to be scrolled through and closed.

use super::{App, Ask, Popup};

/// What is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    /// What it is about, and what is said of it. A row that is about nothing is a sentence of its own.
    pub rows: Vec<(String, String)>,
    /// Scrolled down by so many lines.
    pub top: u16,
}

impl Words {
    pub(super) fn titled(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    pub(super) fn row(&mut self, about: &str, said: impl Into<String>) {
        self.rows.push((about.to_owned(), said.into()));
    }

    /// A sentence of its own.
    pub(super) fn say(&mut self, sentence: impl Into<String>) {
        self.rows.push((String::new(), sentence.into()));
    }
}

impl App {
    /// Who writes has read what is told over the chat, and does not want what is asked there.
    pub(super) fn close_words(&mut self) {
        if let Popup::Ask(Ask { question, .. }) = &self.popup {
            let question = question.clone();
            self.popup = Popup::Closed;
            self.leave_what_was_asked(&question);
            return;
        }
        match self.popup {
            Popup::Words(_) | Popup::Context { .. } => self.popup = Popup::Closed,
            Popup::Confirm(_) => {
                self.popup = Popup::Closed;
                self.notice("nothing is downloaded; F4 lists the models when you want one");
            }
            _ => {}
        }
    }

    pub(super) fn show_words(&mut self, words: Words) {
        self.popup = Popup::Words(words);
    }
}
