//! Another answer to a question: a sibling of those it has. It may be sampled at another temperature, or be another
//! model's, which is loaded first and stays.

use std::time::Instant;

use super::tree::NodeId;
use super::{Activity, App, Outbox};
use crate::engine::protocol::GenerateOptions;
use crate::models::offers::{Offer, Place};
use crate::text::escape_line;
use crate::ui::msg::{Effect, Retry, Scroll};
use crate::ui::transcript::{End, Entry, Sending};

/// How the answer that comes next differs from others.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// For this answer only.
    temperature: Option<f32>,
    /// What was shown before, which comes back if no word of another answer comes.
    back: Option<Vec<NodeId>>,
    /// This model is to answer this question, as soon as it is known how to load it.
    wanted: Option<(String, NodeId)>,
    /// This question is answered as soon as the model is there that was chosen for it.
    when_ready: Option<NodeId>,
}

impl App {
    /// Answers the last question once more, as it was asked for.
    pub(super) fn retry(&mut self, how: Retry, now: Instant) -> Vec<Effect> {
        let last = self.branches.path().len().checked_sub(1);
        let Some(last) = last else {
            self.notice("there is no question yet to answer again");
            return Vec::new();
        };
        match how {
            Retry::Same => self.retry_at(last, now),
            Retry::Temperature(temperature) => self.retry_with(last, Some(temperature), now),
            Retry::Model(name) => self.retry_with_model(&name, last, now),
        }
    }

    /// Answers the question at this place of the branch once more, or that of the answer there.
    pub(super) fn retry_at(&mut self, message: usize, now: Instant) -> Vec<Effect> {
        self.retry_with(message, None, now)
    }

    fn retry_with(&mut self, message: usize, temperature: Option<f32>, now: Instant) -> Vec<Effect> {
        if !self.can_branch() {
            return Vec::new();
        }
        if let Some(refusal) = self.refusal() {
            self.notice(refusal);
            return Vec::new();
        }
        let Some(question) = self.question_at(message) else {
            self.notice("there is no question above this answer to answer again");
            return Vec::new();
        };
        self.again = Again { temperature, ..Again::default() };
        self.begin_again(question, now);
        self.answer_if_possible()
    }

    /// The place of the question that is, or is answered by, the message at this place.
    fn question_at(&self, message: usize) -> Option<usize> {
        let entries = self.transcript.entries();
        let messages = self.transcript.messages().enumerate().take(message + 1);
        let questions = messages
            .filter(|(_, place)| matches!(entries.get(*place), Some(Entry::Question(_))))
            .map(|(index, _)| index);
        questions.last().filter(|question| message - question <= 1)
    }

    /// Cuts the conversation behind a question, which then waits for its answer.
    fn begin_again(&mut self, question: usize, now: Instant) {
        self.stop_selecting();
        self.stop_editing();
        let back = self.branches.path().to_vec();
        let is_answered = question + 1 < back.len();
        // A question without an answer is in the composer, to be sent again; this is that.
        if self.unanswered_text().is_some_and(|text| self.is_written(&text)) {
            self.composer.take();
        }
        self.again.back = is_answered.then_some(back);
        self.cut(question + 1);
        self.notices.clear();
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        self.outbox = Some(Outbox::Ready);
        let waits = self.activity != Activity::Idle;
        self.mark_last_question(if waits { Sending::Waits } else { Sending::Sent });
        self.look_ahead(now);
    }

    /// A question that was answered before waits to be answered again.
    pub(super) fn answers_again(&self) -> bool {
        self.again.back.is_some()
    }

    /// How the answer is generated that begins now.
    pub(super) fn options_of_next_answer(&mut self) -> GenerateOptions {
        let mut options = self.options.clone();
        if let Some(temperature) = self.again.temperature.take() {
            options.sampling.temperature = temperature;
        }
        options
    }

    /// If no word of another answer came, what was shown before comes back.
    pub(super) fn settle_again(&mut self, end: &End, now: Instant) -> Vec<Effect> {
        let Some(back) = self.again.back.take() else { return Vec::new() };
        if self.transcript.last_answer_mut().is_none_or(|answer| answer.has_text()) {
            return Vec::new();
        }
        let reason = match end {
            End::Failed(sentence) => sentence.clone(),
            _ => "no word of another answer came".into(),
        };
        self.notice(format!("{reason}; the answer of before is back"));
        self.show_branch(&back, now)
    }

    /// A question that waits is not answered once more after all: what was shown before comes back. Tells whether
    /// there was anything. On disk the chat never went elsewhere.
    pub(super) fn take_again_back(&mut self) -> bool {
        let Again { back, .. } = std::mem::take(&mut self.again);
        let Some(back) = back else { return false };
        self.branches.show(&back, &mut self.transcript);
        true
    }

    fn retry_with_model(&mut self, name: &str, message: usize, now: Instant) -> Vec<Effect> {
        if is_called(self.model_name(), name) {
            return self.retry_at(message, now);
        }
        if !self.can_branch() {
            return Vec::new();
        }
        let Some(question) = self.question_at(message) else {
            self.notice("there is no question above this answer to answer again");
            return Vec::new();
        };
        let node = self.branches.path().get(question).copied();
        self.again.wanted = node.map(|node| (name.to_owned(), node));
        vec![Effect::ListModels]
    }

    /// It is known what models there are: the one that was asked for is loaded.
    pub(super) fn get_model_for_retry(&mut self, offers: &[Offer], now: Instant) -> Vec<Effect> {
        let Some((name, node)) = self.again.wanted.take() else { return Vec::new() };
        let shown = escape_line(&name);
        let here = offers.iter().filter(|offer| !matches!(offer.place, Place::Download { .. }));
        let exact = here.clone().find(|offer| is_called(&offer.name, &name));
        let similar: Vec<&Offer> =
            here.filter(|offer| offer.name.to_lowercase().contains(&name.to_lowercase())).collect();
        let offer = match (exact, &similar[..]) {
            (Some(offer), _) => offer.clone(),
            (None, &[offer]) => offer.clone(),
            (None, []) => {
                self.notice(format!("no model on this machine is called `{shown}`; F4 lists those there are"));
                return Vec::new();
            }
            (None, several) => {
                let names: Vec<String> =
                    several.iter().take(4).map(|offer| format!("`{}`", escape_line(&offer.name))).collect();
                self.notice(format!("`{shown}` may be {}; write more of the name", names.join(", ")));
                return Vec::new();
            }
        };
        if self.is_in_use(&offer) {
            let message = self.branches.path().iter().position(|other| *other == node);
            return message.map(|message| self.retry_at(message, now)).unwrap_or_default();
        }
        let effects = self.get(offer);
        self.again.when_ready = Some(node);
        effects
    }

    /// The model is there that was chosen for another answer.
    pub(super) fn begin_wanted_again(&mut self, now: Instant) {
        let Some(node) = self.again.when_ready.take() else { return };
        let question = self.branches.path().iter().position(|other| *other == node);
        if let (Some(question), None) = (question, self.reason_not_to_branch()) {
            self.begin_again(question, now);
        }
    }

    /// Nothing waits any more to be answered again.
    pub(super) fn forget_retry(&mut self) {
        self.again.wanted = None;
        self.again.when_ready = None;
    }
}

fn is_called(full: &str, name: &str) -> bool {
    full.eq_ignore_ascii_case(name)
}
