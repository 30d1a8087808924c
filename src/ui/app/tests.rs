//! Tests of what the app does with what happens.

use crossterm::event::{KeyCode, KeyModifiers};

use super::tester::*;
use super::*;
use crate::chat::{Ended, Message, Role};
use crate::engine::protocol::{EngineError, Rereading, Step};
use crate::engine::{KvType, KvTypes};
use crate::store::MessageId;
use crate::ui::msg::{Save, Scroll};
use crate::ui::transcript::{End, Entry, Sending};

#[test]
fn the_model_is_loaded_at_the_start_and_its_progress_shown() {
    let (mut tester, effects) = Tester::start(Ok(settings()), true, None);
    assert!(matches!(effects[..], [Effect::Load(_), Effect::ReadDraft(None)]));
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
    tester.model(Step::Trying(Trial::Kv(KvTypes::both(KvType::Q8))));
    assert_eq!(*tester.app.activity(), Activity::Trying(Trial::Kv(KvTypes::both(KvType::Q8))));
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
    assert!(
        matches!(&tester.app.transcript.entries()[0], Entry::Question(question) if question.sending == Sending::Waits)
    );
    let effects = tester.model(Step::Ready(Box::new(model(true))));
    assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
    assert!(
        matches!(&tester.app.transcript.entries()[0], Entry::Question(question) if question.sending == Sending::Sent)
    );
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
    tester.question_is_saved(1);
    tester.model(Step::Failed(EngineError::NotEnoughMemory("the model needs 2 of the 1 MiB there are".into())));
    assert_eq!(tester.app.composer.text(), "Hi");
    assert_eq!(
        tester.notes(),
        ["the model needs 2 of the 1 MiB there are; F4 lists the models that have room"],
        "and another one can be chosen"
    );

    let mut tester = Tester::loading();
    tester.send("Hi");
    tester.command(Command::Stop);
    assert_eq!(tester.app.composer.text(), "Hi");
    let is_told = |entry: &Entry| matches!(entry, Entry::Question(question) if question.sending == Sending::TakenBack);
    assert!(is_told(&tester.app.transcript.entries()[0]));
    assert!(prompt(&tester.question_is_saved(1)).is_none());
    assert!(prompt(&tester.model(Step::Ready(Box::new(model(true))))).is_none());
}

#[test]
fn without_a_model_a_message_stays_in_the_composer_and_the_list_of_models_opens() {
    let mut tester = Tester::without_model("there is no model; get one with `tuichat models pull`");
    assert!(matches!(tester.send("Hi")[..], [Effect::ListModels]));
    assert!(matches!(tester.app.popup(), Popup::Models(_)));
    assert_eq!(tester.app.composer.text(), "Hi");
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
fn an_answer_that_waits_for_the_disk_says_so_and_what_helps() {
    let mut tester = Tester::ready();
    tester.send("one");
    tester.token("half", 1);
    tester.answer(Step::Rereading(Rereading { bytes_per_token: 90 << 20, fitting_context: Some(4096) }));
    let expected = "the model does not fit into the free memory: 90 MiB of it are read from the disk for every token; \
                    start with `--ctx 4096`, or choose a smaller model with F4";
    assert_eq!(tester.app.notices(), [expected]);
    tester.finish(Ended::Stop);
    assert_eq!(tester.answer_texts(), ["half"]);
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
    for (msg, expected) in [(Msg::Terminate, Ended::Interrupted), (Msg::Command(Command::Quit), Ended::Cancelled)] {
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
fn who_types_on_after_ctrl_c_does_not_want_to_leave() {
    let mut tester = Tester::ready();
    tester.type_text("a draft");
    tester.command(Command::Interrupt);
    tester.type_text("another");
    assert!(!tester.app.leaves_on_interrupt());
    assert!(!leaves(&tester.command(Command::Interrupt)));
    tester.command(Command::Help);
    assert!(!tester.app.leaves_on_interrupt());
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
    let effects = tester.update(Msg::EngineLost { is_back: false });
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

#[test]
fn the_limit_that_ended_an_answer_is_named_with_what_to_type() {
    let mark = |tester: &mut Tester| {
        let (transcript, _, theme) = tester.app.layout_parts();
        transcript.lay_out(200, 20, theme);
        let lines: Vec<String> = transcript.visible().iter().map(ToString::to_string).collect();
        lines.into_iter().find(|line| line.contains("ended")).unwrap_or_default()
    };
    let mut tester = Tester::ready();
    tester.send("/set max_tokens 5");
    tester.send("Hi");
    tester.token("Hello", 5);
    tester.finish(Ended::Length);
    let said = mark(&mut tester);
    assert!(said.contains("limit of 5 tokens (`max_tokens`); Ctrl-G goes on"), "{said}");
    let mut tester = Tester::ready();
    tester.send("Hi");
    tester.token("Hello", 5);
    tester.finish(Ended::Length);
    let said = mark(&mut tester);
    assert!(said.contains("context of 4096 tokens is full") && said.contains("--ctx 8192"), "{said}");
    let mut tester = Tester::ready();
    tester.send("Hi");
    tester.token("Hello", 5);
    tester.finish_after(4096, Ended::Length, &[]);
    let said = mark(&mut tester);
    let told = "ended at 4096 tokens, as many as the cache holds; Ctrl-G goes on, `/set max_tokens 8192` lets it be";
    assert!(said.contains(told) && !said.contains("/new"), "{said}");
}

#[test]
fn what_was_said_to_an_earlier_command_gives_way() {
    let mut tester = Tester::ready();
    tester.key(KeyCode::Char('g'), KeyModifiers::CONTROL);
    assert!(tester.app.notices()[0].contains("no answer to go on with"), "{:?}", tester.app.notices());
    tester.send("/nonsense");
    let [notice] = tester.app.notices() else { panic!("{:?}", tester.app.notices()) };
    assert!(notice.contains("nonsense"), "{notice}");
    tester.update(Msg::StoreFailed("the disk is full".into()));
    assert_eq!(tester.app.notices().len(), 2, "what happens by itself takes nothing away");
    tester.type_text("x");
    assert_eq!(tester.app.notices().len(), 2, "nor does a key to which nothing is said");
    tester.key(KeyCode::Char('g'), KeyModifiers::CONTROL);
    assert_eq!(tester.app.notices().len(), 1);
}
