//! What is done with what was written: sent, read as a command, filled with files.

use std::time::Instant;

use super::App;
use crate::ui::composer::{Part, sent, split_attached};
use crate::ui::msg::Effect;
use crate::ui::slash::{self, Written};

impl App {
    /// Enter: what was written is a command, or a message.
    pub(super) fn send(&mut self, now: Instant) -> Vec<Effect> {
        match self.composer.command_line().map(slash::read) {
            Some(Written::Mistake(sentence)) => {
                self.notice(sentence);
                Vec::new()
            }
            Some(Written::Command(command)) => {
                self.notices.clear();
                self.composer.take_command();
                self.look_ahead(now);
                self.command(command, now)
            }
            Some(Written::Message(_)) | None => self.send_written(now),
        }
    }

    /// What would be sent to the model of what is in the composer; nothing of a command.
    pub fn draft(&self) -> String {
        if self.has_draft() { message(&self.composer.parts()) } else { String::new() }
    }

    /// Whether something is written that would be sent to the model.
    pub fn has_draft(&self) -> bool {
        let is_command =
            self.composer.command_line().is_some_and(|line| !matches!(slash::read(line), Written::Message(_)));
        !self.composer.is_empty() && !is_command
    }

    /// A file was read that is to be attached, or a sentence says why not.
    pub(super) fn attached(&mut self, read: Result<Part, String>) {
        let attached = read.and_then(|part| {
            self.composer.attach(&part)?;
            Ok(matches!(part, Part::Image(_)))
        });
        match attached {
            Ok(true) => self.notice("the models here cannot see pictures: they are told the name only"),
            Ok(false) => {}
            Err(sentence) => self.notice(sentence),
        }
    }

    pub(super) fn detach(&mut self, name: Option<&str>) {
        let sentence = match (self.composer.detach(name), name) {
            (Some(_), _) => return,
            (None, Some(name)) => {
                format!("no file `{}` is attached; `/drop` takes out the last one", crate::text::escape_line(name))
            }
            (None, None) => "no file is attached; `/attach PATH` attaches one".into(),
        };
        self.notice(sentence);
    }

    pub(super) fn open_token(&mut self) {
        if let Err(sentence) = self.composer.open_token() {
            self.notice(sentence);
        }
    }
}

/// What the model is told of what was written. A slash that makes a message of a command is left out.
pub(super) fn message(parts: &[Part]) -> String {
    let (mut attached, rest) = split_attached(parts);
    let written = sent(&rest);
    let written = match slash::read(&written) {
        Written::Message(message) => message,
        Written::Command(_) | Written::Mistake(_) => written,
    };
    attached.push(Part::Text(written));
    sent(&attached)
}
