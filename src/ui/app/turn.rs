//! One turn of the conversation: a question is sent, saved and answered.
//!
//! A question whose answer ended without a word (refused, failed, stopped early) goes back to the composer and stays
//! in the transcript, with the reason, until something is sent; that replaces it. On disk it stays as a branch of its
//! own. So nothing is lost, and a model never sees two questions in a row, which many templates refuse.

use std::time::{Duration, Instant};

use super::composing::{message, written_again};
use super::{Activity, App, Outbox, Pace, Popup, Reading};
use crate::chat::{Ended, Message, Role, Stats};
use crate::engine::protocol::{Channel, ChatKey, EngineError, Finish, Piece, Prompt, Step};
use crate::store::MessageId;
use crate::text::escape_line;
use crate::ui::composer::Part;
use crate::ui::folds;
use crate::ui::msg::{Effect, Save, Scroll, Slot};
use crate::ui::transcript::{Answer, End, Entry, Question, Sending};

/// An answer in progress is written this often, or after so many tokens if they come faster.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY_TOKENS: u32 = 64;

/// The end of the answer in progress that is not written yet.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    message: Option<Slot<MessageId>>,
    text: String,
    thinking: String,
    since: Option<Instant>,
    tokens: u32,
    saved_tokens: u32,
}

impl Unsaved {
    pub(super) fn begin(message: Slot<MessageId>) -> Self {
        Self { message: Some(message), ..Self::default() }
    }

    fn push(&mut self, piece: &Piece, now: Instant) {
        if self.message.is_none() {
            return;
        }
        match piece.channel {
            Channel::Answer => self.text.push_str(&piece.text),
            Channel::Thinking => self.thinking.push_str(&piece.text),
        }
        self.tokens = piece.tokens;
        self.since.get_or_insert(now);
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        self.since.map(|since| since + SAVE_EVERY)
    }

    /// What is to be written now, if it is time.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Effect> {
        let many = self.tokens.saturating_sub(self.saved_tokens) >= SAVE_EVERY_TOKENS;
        if many || self.due_at().is_some_and(|due| now >= due) { self.take() } else { None }
    }

    fn take(&mut self) -> Option<Effect> {
        self.since.take()?;
        self.saved_tokens = self.tokens;
        let (text, thinking) = (std::mem::take(&mut self.text), std::mem::take(&mut self.thinking));
        let message = self.message.clone()?;
        Some(Effect::Save(Save::AnswerGrows { message, text, thinking }))
    }

    /// The rest, and the end.
    fn finish(&mut self, ended: Ended, stats: Stats, seed: Option<u32>) -> Vec<Effect> {
        let rest = self.take();
        let message = std::mem::take(self).message;
        let end = message.map(|message| Effect::Save(Save::AnswerEnds { message, ended, stats, seed }));
        rest.into_iter().chain(end).collect()
    }
}

impl App {
    /// An answer is in progress.
    pub fn is_answering(&self) -> bool {
        matches!(
            self.activity,
            Activity::Prefilling { .. } | Activity::Selecting { .. } | Activity::Answering(_) | Activity::Stopping
        )
    }

    /// There is no model, and none comes.
    pub(super) fn lacks_model(&self) -> bool {
        matches!(self.activity, Activity::NoModel(_)) && !self.awaits_model()
    }

    /// How long the model still reads before it answers; nothing while that is not known.
    pub fn reads_for(&self) -> Option<Duration> {
        self.reading.left()
    }

    /// Why nothing can be sent now. The text stays in the composer.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.activity {
            Activity::NoModel(reason) if !self.awaits_model() => Some(reason.clone()),
            _ if self.opening.is_some() || self.starting.is_some_and(|it| it.resumes) => {
                Some("the chat is still being read; send again in a moment".into())
            }
            _ => None,
        }
    }

    /// Puts a question into the conversation, and has it saved and answered.
    pub(super) fn ask(&mut self, parts: &[Part]) -> Vec<Effect> {
        let text = message(parts);
        let folds = folds::of(&text, parts);
        self.forget_retry();
        self.remove_unanswered();
        self.remember_sent(&text, &folds);
        let parent = self.last_saved();
        let mut question = Question::folding(text.clone(), folds.clone());
        if matches!(self.activity, Activity::NoModel(_) | Activity::Loading(_) | Activity::Trying(_)) {
            question.sending = Sending::Waits;
        }
        let message = question.saved.clone();
        self.push_message(Entry::Question(question));
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        if !self.saves {
            self.outbox = Some(Outbox::Ready);
            return self.answer_if_possible();
        }
        self.outbox = Some(Outbox::Saving);
        let mut effects: Vec<Effect> = self.forget_new_draft().into_iter().collect();
        effects.push(Effect::Save(Save::Question {
            chat: self.chat.clone(),
            title: self.title_for(&text),
            system: self.system.clone(),
            parent,
            message,
            text,
            folds,
        }));
        effects
    }

    pub(super) fn question_saved(&mut self) -> Vec<Effect> {
        // The word may be about an earlier question that was taken back meanwhile.
        let is_saved = self.transcript.last_question_mut().is_some_and(|question| question.saved.get().is_some());
        if is_saved && self.outbox == Some(Outbox::Saving) {
            self.outbox = Some(Outbox::Ready);
        }
        self.answer_if_possible()
    }

    pub(super) fn save_failed(&mut self, sentence: &str) -> Vec<Effect> {
        self.saves = false;
        self.unsaved = Unsaved::default();
        self.notice(format!("{sentence}; this chat goes on without being saved"));
        if self.outbox.is_some() {
            self.outbox = Some(Outbox::Ready);
        }
        self.answer_if_possible()
    }

    /// The store did not do what it was asked: nothing waits for it any more.
    pub(super) fn store_failed(&mut self, sentence: String) {
        self.opening = None;
        self.kept.opened();
        self.kept.was_read();
        self.stay_elsewhere();
        self.search_failed();
        if let Popup::Chats(list) = &mut self.popup {
            list.told = Some(sentence.clone());
        }
        self.notice(sentence);
    }

    /// Asks the engine once the question is safe and the model is there.
    pub(super) fn answer_if_possible(&mut self) -> Vec<Effect> {
        if self.outbox != Some(Outbox::Ready) || self.activity != Activity::Idle || self.is_switching() {
            return Vec::new();
        }
        if self.holds_back() {
            return Vec::new();
        }
        self.outbox = None;
        let prompt = self.conversation();
        let parent = self.transcript.last_question_mut().map(|question| {
            question.sending = Sending::Sent;
            question.saved.clone()
        });
        let answer = Answer::default();
        let message = answer.saved.clone();
        self.push_message(Entry::Answer(Box::new(answer)));
        self.activity = Activity::Prefilling { done: 0, total: 0 };
        self.reading = Reading::default();
        let mut effects: Vec<Effect> = self.stop_looking_ahead().into_iter().collect();
        let options = self.options_of_next_answer();
        let sampling = options.sampling.clone();
        self.most_tokens = options.max_tokens;
        effects.push(Effect::Generate(prompt, options));
        if let (true, Some(parent)) = (self.saves, parent) {
            self.unsaved = Unsaved::begin(message.clone());
            effects.push(Effect::Save(Save::AnswerBegins {
                chat: self.chat.clone(),
                parent,
                message,
                model: self.model_name().to_owned(),
                sampling,
            }));
        }
        effects
    }

    /// What the engine is asked: the system message and everything said so far.
    pub(super) fn conversation(&self) -> Prompt {
        let system = self.system.iter().map(|text| Message::new(Role::System, text.as_str()));
        let said = self.transcript.entries().iter().filter_map(Entry::message);
        let chat = self.chat.get().filter(|_| self.saves).map(|chat| ChatKey(chat.0));
        Prompt { chat, messages: system.chain(said).collect() }
    }

    /// The place on disk of the last message of the conversation.
    pub(super) fn last_saved(&self) -> Option<Slot<MessageId>> {
        self.transcript.entries().iter().rev().find_map(Entry::saved).cloned()
    }

    /// The last question, if no word was answered to it: its place in the transcript.
    fn unanswered(&self) -> Option<usize> {
        let entries = self.transcript.entries();
        let last = entries.iter().rposition(|entry| matches!(entry, Entry::Question(_)))?;
        let answered = entries[last..].iter().any(|entry| matches!(entry, Entry::Answer(answer) if answer.has_text()));
        (!answered).then_some(last)
    }

    pub(super) fn unanswered_text(&self) -> Option<String> {
        match self.transcript.entries().get(self.unanswered()?) {
            Some(Entry::Question(question)) => Some(question.text.text().to_owned()),
            _ => None,
        }
    }

    pub(super) fn remove_unanswered(&mut self) {
        let Some(entry) = self.unanswered() else { return };
        let message = self.transcript.messages().position(|place| place == entry);
        if let Some(message) = message {
            self.cut(message);
        }
    }

    /// Puts a question that got no word of an answer back to the composer.
    pub(super) fn give_back_unanswered(&mut self) {
        let was_sent = self.outbox.take().is_none();
        self.mark_last_question(Sending::Sent);
        if self.take_again_back() {
            return;
        }
        if !was_sent {
            self.mark_last_question(Sending::TakenBack);
        }
        if let Some(Entry::Question(question)) = self.unanswered().and_then(|last| self.transcript.entries().get(last))
        {
            let parts = written_again(question.text.text(), question.folds());
            self.composer.give_back(&parts);
        }
    }

    pub(super) fn mark_last_question(&mut self, sending: Sending) {
        if let Some(question) = self.transcript.last_question_mut() {
            question.sending = sending;
        }
    }

    /// Esc: takes back what waits, then stops the answer or a download.
    pub(super) fn stop(&mut self) -> Vec<Effect> {
        self.notices.clear();
        if self.stop_running() || (self.outbox.is_none() && !self.is_answering() && self.stop_editing()) {
            return Vec::new();
        }
        if self.take_back(None) { Vec::new() } else { self.stop_answer() }
    }

    pub(super) fn stop_answer(&mut self) -> Vec<Effect> {
        match self.activity {
            Activity::Prefilling { .. } | Activity::Selecting { .. } | Activity::Answering(_) => {
                self.activity = Activity::Stopping;
                vec![Effect::CancelAnswer]
            }
            _ => {
                if self.outbox.is_none() {
                    return self.ask_to_stop_download();
                }
                self.give_back_unanswered();
                Vec::new()
            }
        }
    }

    /// Ends the program; an answer in progress is written as far as it came.
    pub(super) fn leave(&mut self, ended: Ended) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_answering() {
            let (end, _) = self.settle_end(End::Ended(ended), None);
            effects.push(Effect::CancelAnswer);
            effects.extend(self.unsaved.finish(end.ended(), Stats::default(), None));
        }
        effects.extend(self.save_draft_now());
        effects.extend([Effect::Snapshot, Effect::Leave]);
        effects
    }

    pub(super) fn model_step(&mut self, step: Step, now: Instant) -> Vec<Effect> {
        match step {
            Step::Loading(part) => self.activity = Activity::Loading(part.clamp(0.0, 1.0)),
            Step::Trying(trial) => self.activity = Activity::Trying(trial),
            Step::Ready(info) => return self.model_ready(info, now),
            Step::Failed(error @ EngineError::NotEnoughMemory(_)) => {
                return self.load_failed(format!("{error}; F4 lists the models that have room"));
            }
            Step::Failed(error) => return self.load_failed(error.to_string()),
            Step::Cancelled | Step::Unloaded => return self.load_failed("no model is loaded; F4 chooses one".into()),
            // These belong to answers.
            Step::Prefilling { .. } | Step::Selecting { .. } | Step::Token(_) | Step::Finished(_) => {
                return self.answer_step(step, now);
            }
            Step::Recalled(_) | Step::Expected(_) | Step::Planned(_) => {}
            Step::Weighed(_) | Step::Rereading(_) | Step::Done => {}
            // The chat asks for no batch.
            Step::Lanes(_) | Step::Item(..) => {}
        }
        Vec::new()
    }

    pub(super) fn lose_model(&mut self, reason: String) {
        self.transcript.note(reason.clone(), true);
        self.activity = Activity::NoModel(reason);
        if self.outbox.is_some() {
            self.give_back_unanswered();
        }
        self.hold_queue();
    }

    /// The engine's thread is gone, with the model; another one may have taken its place.
    pub(super) fn engine_lost(&mut self, is_back: bool, now: Instant) -> Vec<Effect> {
        self.engine_is_lost = !is_back;
        let reason = match is_back {
            true => "the engine stopped unexpectedly; `/model` loads the model again, or another one",
            false => {
                "the engine stopped unexpectedly; leave with Ctrl-C twice and come back with `tuichat --resume last`"
            }
        };
        let effects = if self.is_answering() {
            self.end_answer(End::Failed(reason.into()), Stats::default(), None, now)
        } else {
            Vec::new()
        };
        self.lose_model(reason.into());
        effects
    }

    /// Tells that a graphics processor is there and not used, or not as it was meant.
    pub(super) fn note_device(&mut self) {
        if let Some(notice) = self.model.as_ref().and_then(|model| model.device.as_ref()?.notice.clone()) {
            self.notice(notice);
        }
    }

    /// Tells that what is written goes to another machine, and whether it could be read on its way.
    pub(super) fn note_server(&mut self) {
        let server = self.model.as_ref().and_then(|model| model.server.as_ref()).map(|server| server.server.clone());
        if let Some(server) = server.filter(|server| !server.is_on_this_machine()) {
            let open = if server.is_open_on_the_way() { ", unencrypted" } else { "" };
            let host = escape_line(server.host());
            self.notice(format!("what you write now goes to {host}{open}; F4 chooses a model of this machine"));
        }
    }

    /// Tells that the draft model that was asked for cannot be used.
    pub(super) fn note_draft_model(&mut self) {
        let draft = self.model.as_ref().and_then(|model| model.draft.as_ref());
        if let Some(problem) = draft.and_then(|draft| draft.problem.clone()) {
            self.notice(problem);
        }
    }

    /// Tells in place that a base model does not answer but goes on writing.
    pub(super) fn note_base_model(&mut self) {
        if self.model.as_ref().is_some_and(|model| !model.has_template) {
            self.transcript.note("this model has no chat template: it continues your text", false);
        }
    }

    pub(super) fn answer_step(&mut self, step: Step, now: Instant) -> Vec<Effect> {
        if !self.is_answering() {
            return Vec::new();
        }
        match step {
            Step::Prefilling { done, total, .. } => {
                self.hold_read(done);
                self.reading.gets_on(done, total, now);
                if matches!(self.activity, Activity::Prefilling { .. } | Activity::Selecting { .. }) {
                    self.activity = Activity::Prefilling { done, total };
                }
                Vec::new()
            }
            Step::Selecting { done, total } => {
                if matches!(self.activity, Activity::Prefilling { .. } | Activity::Selecting { .. }) {
                    self.activity = Activity::Selecting { done, total };
                }
                Vec::new()
            }
            Step::Weighed(_) => Vec::new(),
            Step::Token(piece) => self.token(&piece, now),
            Step::Recalled(passages) => {
                self.recalled(&passages);
                Vec::new()
            }
            Step::Rereading(rereading) => {
                self.notice(rereading.sentence("choose a smaller model with F4"));
                Vec::new()
            }
            Step::Finished(finish) => {
                let effects = self.end_answer(self.end_of(&finish), finish.stats, Some(finish.seed), now);
                self.hold_finished(&finish);
                effects
            }
            Step::Failed(error) => {
                self.getting.forget_lost(&error);
                self.end_answer(End::Failed(error.to_string()), Stats::default(), None, now)
            }
            Step::Loading(_) | Step::Trying(_) | Step::Ready(_) | Step::Expected(_) | Step::Planned(_) => Vec::new(),
            Step::Lanes(_) | Step::Item(..) | Step::Cancelled | Step::Done | Step::Unloaded => Vec::new(),
        }
    }

    /// How an answer ended; of one that reached a limit, which.
    fn end_of(&self, finish: &Finish) -> End {
        let end = End::from(finish);
        if end != End::Ended(Ended::Length) {
            return end;
        }
        let tokens = finish.stats.usage.completion_tokens;
        match (self.most_tokens, self.model.as_ref().and_then(|model| model.cells())) {
            (Some(most), _) if tokens >= most => End::AtMost(most),
            (None, Some(cells)) if tokens >= cells && self.evicts() => End::FillsCache(cells),
            (_, cells) => cells.map_or(end, End::Full),
        }
    }

    fn token(&mut self, piece: &Piece, now: Instant) -> Vec<Effect> {
        if let Some(answer) = self.transcript.last_answer_mut() {
            match piece.channel {
                Channel::Answer => answer.document.push_str(&piece.text),
                Channel::Thinking => answer.thinking.push_str(&piece.text),
            }
        }
        self.unsaved.push(piece, now);
        match self.activity {
            Activity::Answering(pace) => {
                self.hold_read(pace.prompt_tokens.saturating_add(piece.tokens));
                let seconds = now.saturating_duration_since(pace.first_at).as_secs_f64();
                let tokens = piece.tokens.saturating_sub(pace.first_tokens);
                if seconds > 0.0 && tokens > 0 {
                    self.tokens_per_second = Some(f64::from(tokens) / seconds);
                }
            }
            Activity::Prefilling { total, .. } => {
                self.tokens_per_second = None;
                self.hold_read(total.saturating_add(piece.tokens));
                self.activity =
                    Activity::Answering(Pace { first_at: now, first_tokens: piece.tokens, prompt_tokens: total });
            }
            _ => {}
        }
        self.unsaved.take_due(now).into_iter().collect()
    }

    fn end_answer(&mut self, end: End, stats: Stats, seed: Option<u32>, now: Instant) -> Vec<Effect> {
        let (end, seed) = self.settle_end(end, seed);
        let ended = end.ended();
        let mut effects = self.unsaved.finish(ended, stats, seed);
        self.tokens_per_second = stats.decode_tokens_per_second().or(self.tokens_per_second);
        self.last_answer = Some(stats);
        self.spent.add(&stats);
        self.activity = Activity::Idle;
        if let Some(answer) = self.transcript.last_answer_mut() {
            answer.finish(end.clone());
        }
        effects.extend(self.settle_again(&end, now));
        effects.extend(self.name_by_answer());
        self.give_back_unanswered();
        self.keep_later(now);
        // What was just stopped is not computed behind the person's back.
        if ended != Ended::Cancelled {
            self.look_ahead(now);
        }
        effects.extend(self.load_next());
        let is_unanswered = self.unanswered_text().is_some();
        if is_unanswered || matches!(ended, Ended::Cancelled | Ended::Interrupted | Ended::Error) {
            self.hold_queue();
        }
        effects.extend(self.send_next());
        effects
    }

    /// Closes what lies over the chat, if the chat can be left for another now.
    pub(super) fn can_change_chat(&mut self) -> bool {
        if self.is_answering() || self.outbox.is_some() {
            self.popup = Popup::Closed;
            self.notice("an answer is in progress: stop it with Esc before you go to another chat");
            return false;
        }
        true
    }
}
