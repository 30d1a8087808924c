use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::chat::{Ended, Message, Role, Stats, Usage};
use crate::engine::KvType;
use crate::engine::protocol::{
    Channel, DeviceInfo, EngineError, Finish, KvInfo, KvSettings, MessageCost, Piece, Pin, Prompt, Step,
};
use crate::store::MessageId;
use crate::ui::keys;
use crate::ui::msg::{OpenedMessage, Save, Scroll};
use crate::ui::transcript::{End, Entry};

/// An app with a clock of its own.
pub(in crate::ui) struct Tester {
    pub app: App,
    now: Instant,
}

pub(in crate::ui) fn settings() -> LoadSettings {
    let path = PathBuf::from("/models/tiny.gguf");
    LoadSettings {
        path,
        name: None,
        context: None,
        threads: None,
        device: Default::default(),
        gpu_layers: None,
        probe: None,
        snapshots: None,
        draft: None,
        step_times: None,
        kv: KvSettings::default(),
    }
}

pub(in crate::ui) fn model(has_template: bool) -> ModelInfo {
    ModelInfo {
        name: "Tiny 1B".into(),
        path: "/models/tiny.gguf".into(),
        architecture: "llama".into(),
        quantization: "Q4_K_M".into(),
        parameters: 1_000_000,
        size: 1_000_000,
        trained_context: 8192,
        has_template,
        load_ms: 1.0,
        kv: KvInfo {
            type_k: "f16".into(),
            type_v: "f16".into(),
            cells: 4096,
            bytes: 1,
            policy: "score".into(),
            reason: "4096 tokens take 1 MiB in f16, and there is room for them".into(),
        },
        draft: None,
        device: DeviceInfo {
            backend: "CPU".into(),
            name: "a processor".into(),
            gpu_layers: 0,
            threads: 4,
            cores: "0-3".into(),
            reason: "there is no other".into(),
        },
    }
}

impl Tester {
    pub fn start(model: Result<LoadSettings, String>, has_store: bool, resume: Option<ChatId>) -> (Self, Vec<Effect>) {
        let (app, effects) = App::new(Start {
            model,
            options: GenerateOptions::default(),
            system: None,
            has_store,
            resume,
            notices: Vec::new(),
            theme: Theme::plain(),
            prefill_while_typing: Switch::Auto,
        });
        (Self { app, now: Instant::now() }, effects)
    }

    /// The model is being loaded and chats are saved.
    pub fn loading() -> Self {
        Self::start(Ok(settings()), true, None).0
    }

    pub fn without_model(reason: &str) -> Self {
        Self::start(Err(reason.into()), true, None).0
    }

    /// The model is there and nothing is saved.
    pub fn ready() -> Self {
        let mut tester = Self::start(Ok(settings()), false, None).0;
        tester.model(Step::Ready(Box::new(model(true))));
        tester
    }

    /// The model is there and chats are saved.
    pub fn saving() -> Self {
        let mut tester = Self::loading();
        tester.model(Step::Ready(Box::new(model(true))));
        tester
    }

    pub fn be_fuzzy(&mut self) {
        self.app.options.speculation.fuzzy = 0.3;
    }

    pub fn use_ascii(&mut self) {
        self.app.theme.ascii = true;
    }

    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        self.app.update(msg, self.now)
    }

    pub fn command(&mut self, command: Command) -> Vec<Effect> {
        self.update(Msg::Command(command))
    }

    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        match keys::message(&self.app, KeyEvent::new(code, modifiers)) {
            Some(msg) => self.update(msg),
            None => Vec::new(),
        }
    }

    pub fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            self.key(KeyCode::Char(character), KeyModifiers::NONE);
        }
    }

    pub fn send(&mut self, text: &str) -> Vec<Effect> {
        self.type_text(text);
        self.key(KeyCode::Enter, KeyModifiers::NONE)
    }

    pub fn model(&mut self, step: Step) -> Vec<Effect> {
        self.update(Msg::Model(step))
    }

    pub fn answer(&mut self, step: Step) -> Vec<Effect> {
        self.update(Msg::Answer(step))
    }

    pub fn token(&mut self, text: &str, tokens: u32) -> Vec<Effect> {
        self.answer(Step::Token(Piece { channel: Channel::Answer, text: text.into(), tokens }))
    }

    pub fn think(&mut self, text: &str, tokens: u32) -> Vec<Effect> {
        self.answer(Step::Token(Piece { channel: Channel::Thinking, text: text.into(), tokens }))
    }

    pub fn finish(&mut self, ended: Ended) -> Vec<Effect> {
        self.finish_holding(ended, &[])
    }

    /// Ends an answer after which the cache holds the messages so: their tokens, and how many of them it does not.
    pub fn finish_holding(&mut self, ended: Ended, held: &[(u32, u32)]) -> Vec<Effect> {
        let held = held.iter().map(|&(tokens, evicted)| message_cost(Role::User, "", tokens, evicted)).collect();
        let usage = Usage { prompt_tokens: 10, completion_tokens: 5, ..Usage::default() };
        let stats = Stats { usage, cells_used: 15, ..Stats::default() };
        self.answer(Step::Finished(Finish { ended, repetition: None, stats, seed: 7, held }))
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Lets time pass until something is due, and does it.
    pub fn tick_when_due(&mut self) -> Vec<Effect> {
        if let Some(due) = self.app.wake_at() {
            self.now = self.now.max(due);
        }
        self.update(Msg::Tick)
    }

    /// Saves the question as the store would.
    pub fn question_is_saved(&mut self, id: i64) -> Vec<Effect> {
        self.app.chat.get_or_init(|| ChatId(1));
        if let Some(question) = self.app.transcript.last_question_mut() {
            question.saved.get_or_init(|| MessageId(id));
        }
        self.update(Msg::QuestionSaved)
    }

    pub fn answer_texts(&self) -> Vec<String> {
        let entries = self.app.transcript.entries().iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Answer(answer) => Some(answer.document.text().to_owned()),
                _ => None,
            })
            .collect()
    }

    pub fn notes(&self) -> Vec<&str> {
        let entries = self.app.transcript.entries().iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Note(note) => Some(note.text.text()),
                _ => None,
            })
            .collect()
    }
}

/// What a message costs that was computed.
pub(in crate::ui) fn message_cost(role: Role, beginning: &str, tokens: u32, evicted_tokens: u32) -> MessageCost {
    let (beginning, cached_tokens) = (beginning.to_owned(), tokens - evicted_tokens);
    MessageCost { role, beginning, tokens, cached_tokens, evicted_tokens, pin: Pin::None }
}

pub(in crate::ui) fn prompt(effects: &[Effect]) -> Option<&Prompt> {
    effects.iter().find_map(|effect| match effect {
        Effect::Generate(prompt, _) => Some(prompt),
        _ => None,
    })
}

pub(in crate::ui) fn saves(effects: &[Effect]) -> Vec<&Save> {
    let saves = effects.iter().filter_map(|effect| match effect {
        Effect::Save(save) => Some(save),
        _ => None,
    });
    saves.collect()
}

fn leaves(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Leave))
}

pub(in crate::ui) fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

pub(in crate::ui) fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

pub(in crate::ui) fn stored(id: i64, role: Role, text: &str, ended: Option<Ended>) -> OpenedMessage {
    OpenedMessage { id: MessageId(id), message: Message::new(role, text), thinking: String::new(), ended }
}

#[test]
fn the_model_is_loaded_at_the_start_and_its_progress_shown() {
    let (mut tester, effects) = Tester::start(Ok(settings()), true, None);
    assert!(matches!(effects[..], [Effect::Load(_)]));
    tester.model(Step::Loading(0.5));
    assert_eq!(*tester.app.activity(), Activity::Loading(0.5));
    tester.model(Step::Ready(Box::new(model(true))));
    assert_eq!(*tester.app.activity(), Activity::Idle);
    assert_eq!(tester.app.model_name(), "Tiny 1B");
}

#[test]
fn a_trial_of_the_kv_cache_is_told_and_a_message_waits_for_it() {
    let (mut tester, _) = Tester::start(Ok(settings()), false, None);
    tester.model(Step::Loading(1.0));
    tester.model(Step::Trying(KvTypes::both(KvType::Q8)));
    assert_eq!(*tester.app.activity(), Activity::Trying(KvTypes::both(KvType::Q8)));
    assert!(prompt(&tester.send("Hi")).is_none());
    let effects = tester.model(Step::Ready(Box::new(model(true))));
    assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
}

#[test]
fn a_question_is_on_disk_before_the_engine_is_asked() {
    let mut tester = Tester::saving();
    let effects = tester.send("Hi");
    assert!(prompt(&effects).is_none());
    assert!(matches!(saves(&effects)[..], [Save::Question { text, parent: None, .. }] if text == "Hi"));
    let effects = tester.question_is_saved(1);
    assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
    assert!(matches!(effects[..], [Effect::Generate(..), Effect::Save(Save::AnswerBegins { .. })]));
}

#[test]
fn the_engine_is_not_asked_because_an_earlier_question_was_saved() {
    let mut tester = Tester::saving();
    tester.send("one");
    tester.command(Command::Stop);
    assert_eq!(tester.app.composer.text(), "one");
    tester.key(KeyCode::Enter, KeyModifiers::NONE);
    assert!(prompt(&tester.update(Msg::QuestionSaved)).is_none());
    assert!(prompt(&tester.question_is_saved(2)).is_some());
}

#[test]
fn without_a_store_the_engine_is_asked_at_once() {
    let mut tester = Tester::ready();
    let effects = tester.send("Hi");
    assert!(matches!(effects[..], [Effect::Generate(..)]));
    assert!(saves(&tester.token("Hello", 1)).is_empty());
    assert!(saves(&tester.finish(Ended::Stop)).is_empty());
}

#[test]
fn a_message_sent_while_the_model_loads_is_saved_then_and_answered_when_it_is_ready() {
    let mut tester = Tester::loading();
    let effects = tester.send("Hi");
    assert_eq!(saves(&effects).len(), 1);
    assert!(prompt(&tester.question_is_saved(1)).is_none());
    assert!(matches!(&tester.app.transcript.entries()[0], Entry::Question(question) if question.waiting));
    let effects = tester.model(Step::Ready(Box::new(model(true))));
    assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
    assert!(matches!(&tester.app.transcript.entries()[0], Entry::Question(question) if !question.waiting));
}

#[test]
fn the_model_may_be_ready_before_the_question_is_saved() {
    let mut tester = Tester::loading();
    tester.send("Hi");
    assert!(prompt(&tester.model(Step::Ready(Box::new(model(true))))).is_none());
    assert!(prompt(&tester.question_is_saved(1)).is_some());
}

#[test]
fn a_waiting_message_comes_back_when_loading_fails_or_escape_is_pressed() {
    let mut tester = Tester::loading();
    tester.send("Hi");
    tester.question_is_saved(1);
    tester.model(Step::Failed(EngineError::BadModel("`tiny.gguf` is damaged".into())));
    assert_eq!(*tester.app.activity(), Activity::NoModel("`tiny.gguf` is damaged".into()));
    assert_eq!(tester.app.composer.text(), "Hi");
    assert_eq!(tester.notes(), ["`tiny.gguf` is damaged"]);

    let mut tester = Tester::loading();
    tester.send("Hi");
    tester.command(Command::Stop);
    assert_eq!(tester.app.composer.text(), "Hi");
    assert!(prompt(&tester.question_is_saved(1)).is_none());
    assert!(prompt(&tester.model(Step::Ready(Box::new(model(true))))).is_none());
}

#[test]
fn without_a_model_a_message_stays_in_the_composer_and_the_reason_is_told() {
    let mut tester = Tester::without_model("there is no model; get one with `tuichat models pull`");
    assert!(tester.send("Hi").is_empty());
    assert_eq!(tester.app.composer.text(), "Hi");
    assert_eq!(tester.app.notices(), ["there is no model; get one with `tuichat models pull`"]);
}

#[test]
fn a_message_sent_during_an_answer_stays_in_the_composer_and_that_is_told() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("x", 1);
    assert!(tester.send("two").is_empty());
    assert_eq!(tester.app.composer.text(), "two");
    assert!(tester.app.notices()[0].contains("Esc"));
    tester.finish(Ended::Stop);
    assert!(prompt(&tester.key(KeyCode::Enter, KeyModifiers::NONE)).is_some());
    assert!(tester.app.notices().is_empty());
}

#[test]
fn an_empty_message_is_not_sent() {
    let mut tester = Tester::ready();
    assert!(tester.send("  ").is_empty());
    tester.command(Command::Newline);
    assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty());
}

#[test]
fn the_second_question_carries_the_whole_conversation() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("first", 1);
    tester.finish(Ended::Stop);
    let effects = tester.send("two");
    assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("first"), user("two")]);
}

#[test]
fn the_system_message_comes_first() {
    let (mut tester, _) = Tester::start(Ok(settings()), false, None);
    tester.app.system = Some("Be brief".into());
    tester.model(Step::Ready(Box::new(model(true))));
    let effects = tester.send("Hi");
    assert_eq!(prompt(&effects).unwrap().messages, [Message::new(Role::System, "Be brief"), user("Hi")]);
}

#[test]
fn a_stopped_answer_is_marked_kept_and_part_of_the_conversation() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("half an", 2);
    assert!(matches!(tester.command(Command::Stop)[..], [Effect::CancelAnswer]));
    assert_eq!(*tester.app.activity(), Activity::Stopping);
    assert!(tester.command(Command::Stop).is_empty());
    tester.finish(Ended::Cancelled);
    assert_eq!(*tester.app.activity(), Activity::Idle);
    assert!(matches!(tester.app.transcript.last_answer_mut().unwrap().end, Some(End::Ended(Ended::Cancelled))));
    assert!(tester.app.composer.is_empty());
    let effects = tester.send("two");
    assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("half an"), user("two")]);
}

#[test]
fn a_question_that_got_no_word_comes_back_and_is_replaced_by_what_is_sent_next() {
    let mut tester = Tester::saving();
    tester.send("one");
    tester.question_is_saved(1);
    tester.token("first", 1);
    tester.app.transcript.last_answer_mut().unwrap().saved.get_or_init(|| MessageId(2));
    tester.finish(Ended::Stop);

    tester.send("two");
    tester.question_is_saved(3);
    tester.answer(Step::Failed(EngineError::ContextFull { needed: 9000, cells: 4096 }));
    assert_eq!(tester.app.composer.text(), "two");
    assert_eq!(tester.app.transcript.entries().len(), 4, "the failed turn is shown with its reason");

    tester.type_text("!");
    let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
    let [Save::Question { parent: Some(parent), text, .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((parent.get(), text.as_str()), (Some(&MessageId(2)), "two!"));
    let effects = tester.question_is_saved(5);
    assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("first"), user("two!")]);
}

#[test]
fn an_error_in_mid_answer_is_shown_in_place_and_the_part_is_kept() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("half", 1);
    tester.answer(Step::Failed(EngineError::Failed("the graphics processor went away".into())));
    let answer = tester.app.transcript.last_answer_mut().unwrap();
    assert_eq!(answer.end, Some(End::Failed("the graphics processor went away".into())));
    assert_eq!(tester.answer_texts(), ["half"]);
    assert!(tester.app.composer.is_empty());
}

#[test]
fn an_answer_is_written_every_second_and_at_its_end() {
    let mut tester = Tester::saving();
    tester.send("one");
    tester.question_is_saved(1);
    assert!(tester.token("a", 1).is_empty());
    assert_eq!(tester.app.wake_at(), Some(tester.now + Duration::from_secs(1)));
    tester.wait(600);
    assert!(tester.token("b", 2).is_empty());
    tester.wait(400);
    let effects = tester.update(Msg::Tick);
    assert!(matches!(saves(&effects)[..], [Save::AnswerGrows { text, .. }] if text == "ab"));
    assert_eq!(tester.app.wake_at(), None);
    tester.token("c", 3);
    let effects = tester.finish(Ended::Stop);
    assert!(matches!(
        saves(&effects)[..],
        [Save::AnswerGrows { text, .. }, Save::AnswerEnds { ended: Ended::Stop, seed: Some(7), .. }] if text == "c"
    ));
}

#[test]
fn a_fast_answer_is_written_every_64_tokens() {
    let mut tester = Tester::saving();
    tester.send("one");
    tester.question_is_saved(1);
    let written: usize = (1..=640).map(|tokens| saves(&tester.token("x", tokens)).len()).sum();
    assert_eq!(written, 10);
}

#[test]
fn when_saving_fails_the_chat_goes_on_and_says_so() {
    let mut tester = Tester::saving();
    tester.send("one");
    let effects = tester.update(Msg::SaveFailed("the disk is full".into()));
    assert!(matches!(effects[..], [Effect::Generate(..)]));
    assert!(tester.app.notices()[0].contains("the disk is full"));
    tester.token("x", 1);
    assert!(saves(&tester.finish(Ended::Stop)).is_empty());
    assert!(saves(&tester.send("two")).is_empty());
    tester.token("y", 1);
    tester.finish(Ended::Stop);
    tester.command(Command::NewChat);
    assert_eq!(saves(&tester.send("three")).len(), 1, "a new chat is worth another try");
}

#[test]
fn leaving_or_being_killed_in_mid_answer_writes_the_part() {
    for (msg, expected) in [(Msg::Terminate, Ended::Interrupted), (Msg::Command(Command::Leave), Ended::Cancelled)] {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("half", 1);
        let effects = tester.update(msg);
        let [Save::AnswerGrows { text, .. }, Save::AnswerEnds { ended, .. }] = saves(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((text.as_str(), *ended), ("half", expected));
        assert!(leaves(&effects));
    }
}

#[test]
fn ctrl_c_stops_the_answer_first_and_leaves_the_second_time() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("x", 1);
    let effects = tester.key(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(matches!(effects[..], [Effect::CancelAnswer]));
    assert!(tester.app.leaves_on_interrupt());
    assert!(leaves(&tester.key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn ctrl_c_clears_the_text_and_undo_brings_it_back() {
    let mut tester = Tester::ready();
    tester.type_text("a draft");
    assert!(tester.command(Command::Interrupt).is_empty());
    assert!(tester.app.composer.is_empty());
    tester.command(Command::Undo);
    assert_eq!(tester.app.composer.text(), "a draft");
}

#[test]
fn a_second_ctrl_c_counts_only_within_two_seconds() {
    let mut tester = Tester::ready();
    tester.command(Command::Interrupt);
    assert!(tester.tick_when_due().is_empty(), "there is nothing to ask the model about");
    assert_eq!(tester.app.wake_at().map(|at| at - tester.now), Some(LEAVE_WITHIN - Duration::from_millis(150)));
    tester.wait(1850);
    tester.update(Msg::Tick);
    assert!(!tester.app.leaves_on_interrupt());
    assert!(!leaves(&tester.command(Command::Interrupt)));
    tester.wait(1999);
    assert!(leaves(&tester.command(Command::Interrupt)));
}

#[test]
fn ctrl_d_leaves_only_while_nothing_is_written() {
    let mut tester = Tester::ready();
    tester.type_text("x");
    assert!(!leaves(&tester.key(KeyCode::Char('d'), KeyModifiers::CONTROL)));
    tester.command(Command::Interrupt);
    assert!(leaves(&tester.key(KeyCode::Char('d'), KeyModifiers::CONTROL)));
}

#[test]
fn a_question_mark_opens_the_help_only_while_nothing_is_written() {
    let mut tester = Tester::ready();
    tester.type_text("why?");
    assert_eq!(tester.app.composer.text(), "why?");
    tester.command(Command::Interrupt);
    tester.type_text("?");
    assert!(matches!(tester.app.popup(), Popup::Help { .. }));
    tester.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(matches!(tester.app.popup(), Popup::Closed));
}

#[test]
fn a_paste_is_text_even_where_it_holds_keys() {
    let mut tester = Tester::ready();
    assert!(tester.update(Msg::Paste("one\r\x03\x1b two".into())).is_empty());
    assert_eq!(tester.app.composer.text(), "one\n\x03\x1b two");
}

#[test]
fn thinking_is_kept_apart_from_the_answer_and_not_sent_back() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.think("hmm", 1);
    tester.token("first", 2);
    tester.finish(Ended::Stop);
    let effects = tester.send("two");
    assert_eq!(prompt(&effects).unwrap().messages[1], assistant("first"));
}

#[test]
fn the_speed_is_counted_from_the_first_token() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.wait(5000);
    tester.token("a", 1);
    assert_eq!(tester.app.tokens_per_second(), None);
    tester.wait(500);
    tester.token("b", 6);
    assert_eq!(tester.app.tokens_per_second(), Some(10.0));
}

#[test]
fn the_context_in_use_grows_with_the_answer_and_ends_as_the_engine_counts_it() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.answer(Step::Prefilling { done: 50, total: 100, cached: 0 });
    assert_eq!(tester.app.held().used, 50);
    tester.token("a", 1);
    tester.token("b", 2);
    assert_eq!(tester.app.held().used, 102);
    tester.finish(Ended::Stop);
    assert_eq!(tester.app.held().used, 15);
}

#[test]
fn a_model_without_a_template_says_that_it_continues_text() {
    let mut tester = Tester::loading();
    tester.model(Step::Ready(Box::new(model(false))));
    assert_eq!(tester.notes(), ["this model has no chat template: it continues your text"]);
    tester.command(Command::NewChat);
    assert_eq!(tester.notes().len(), 1, "a new chat says it too");
}

#[test]
fn when_the_engine_is_lost_the_part_is_kept_and_the_way_out_told() {
    let mut tester = Tester::saving();
    tester.send("one");
    tester.question_is_saved(1);
    tester.token("half", 1);
    let effects = tester.update(Msg::EngineLost);
    assert_eq!(saves(&effects).len(), 2);
    assert!(matches!(tester.app.activity(), Activity::NoModel(reason) if reason.contains("--resume last")));
    assert_eq!(tester.answer_texts(), ["half"]);
}

#[test]
fn a_title_is_the_first_words_on_one_line() {
    let title = |text: &str| {
        let effects = Tester::saving().send_text(text);
        match saves(&effects)[..] {
            [Save::Question { title, .. }] => title.clone(),
            _ => panic!("{effects:?}"),
        }
    };
    assert_eq!(title("How do I\n sort?"), "How do I sort?");
    assert_eq!(title("a\x1b]0;evil\x07"), "a<U+001B>]0;evil<U+0007>");
    let long = title(&"word ".repeat(40));
    assert!(long.chars().count() <= 48 && long.ends_with("word…"), "{long}");
    assert_eq!(title(&"x".repeat(100)).chars().count(), 48);
}

impl Tester {
    fn send_text(&mut self, text: &str) -> Vec<Effect> {
        self.update(Msg::Paste(text.into()));
        self.command(Command::Send)
    }
}

#[test]
fn sending_goes_to_the_end_of_the_transcript() {
    let mut tester = Tester::ready();
    tester.send("one");
    for line in 0..50 {
        tester.token(&format!("line {line}\n\n"), line + 1);
    }
    tester.finish(Ended::Stop);
    let (transcript, _, theme) = tester.app.layout_parts();
    transcript.lay_out(40, 10, theme);
    tester.command(Command::Scroll(Scroll::PageUp));
    assert!(!tester.app.transcript.follows_end());
    tester.send("two");
    assert!(tester.app.transcript.follows_end());
}
