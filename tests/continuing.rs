//! Answers that are ended because they repeat themselves, and answers that are gone on with, by tiny models.

mod common;

use common::engine::{Running, greedy, prompt, settings};
use common::tiny_gguf::{CHATML, TinyModel};
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::protocol::{EngineError, Finish, GenerateOptions, Step, Work};

/// One answer, or a part of one.
struct Answer {
    text: String,
    finish: Finish,
}

/// Starts an engine with a model and a context of so many cells.
fn start(model: TinyModel, cells: u32) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.context(cells).write(&path).unwrap();
    // The file may go once the model is loaded.
    Running::with(settings(&path, cells, 1))
}

fn ask(engine: &Running, messages: &[Message], options: &GenerateOptions) -> Answer {
    let (text, finish) = engine.ask(prompt(None, messages), options.clone());
    Answer { text, finish }
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

fn computed(answer: &Answer) -> u32 {
    let usage = answer.finish.stats.usage;
    usage.prompt_tokens - usage.cached_prompt_tokens
}

#[test]
fn an_answer_that_goes_round_in_circles_is_ended_with_what_it_repeats() {
    let engine = start(TinyModel::default().forgetful(), 4096);
    let answer = ask(&engine, &[user("hello")], &greedy(4000));
    let repetition = answer.finish.repetition.expect("it repeats itself");
    assert_eq!(answer.finish.ended, Ended::Loop);
    assert!(repetition.period * repetition.times > 400, "{repetition:?}");
    assert!(answer.finish.stats.usage.completion_tokens < 1000, "{:?}", answer.finish);

    let allowed = GenerateOptions { loop_breaker: false, ..greedy(2000) };
    let whole = ask(&engine, &[user("hello")], &allowed);
    assert_eq!((whole.finish.ended, whole.finish.repetition), (Ended::Length, None));
    assert!(whole.text.starts_with(&answer.text), "nothing of the answer is left out");
}

#[test]
fn an_answer_that_was_ended_for_repeating_itself_can_be_gone_on_with_and_is_watched_anew() {
    let engine = start(TinyModel::default().forgetful(), 4096);
    let first = ask(&engine, &[user("hello")], &greedy(4000));
    let next = ask(&engine, &[user("hello"), assistant(&first.text)], &greedy(4000));
    assert_eq!(next.finish.ended, Ended::Loop);
    assert!(next.finish.stats.usage.completion_tokens > 400, "{:?}", next.finish);
    assert_eq!(computed(&next), 1);
}

/// An answer that is cut after each of these numbers of tokens and gone on with: the whole of it.
fn in_parts(engine: &Running, question: &Message, parts: &[u32]) -> Answer {
    let mut answer = ask(engine, std::slice::from_ref(question), &greedy(parts[0]));
    for part in &parts[1..] {
        let next = ask(engine, &[question.clone(), assistant(&answer.text)], &greedy(*part));
        assert_eq!(next.finish.stats.usage.completion_tokens, *part);
        assert_eq!(computed(&next), 1, "only the last token of the part before is new");
        answer = Answer { text: answer.text + &next.text, finish: next.finish };
    }
    answer
}

#[test]
fn an_answer_in_parts_is_the_same_as_one_at_once_and_nothing_is_computed_twice() {
    for template in [Some(CHATML), None] {
        for seed in 1..4 {
            let engine = start(TinyModel::default().seed(seed).template(template), 1024);
            let question = user("What is a tree, and how many of them are there in a forest?");
            let whole = ask(&engine, std::slice::from_ref(&question), &greedy(60)).text;
            assert_eq!(in_parts(&engine, &question, &[1, 1, 20, 7, 31]).text, whole);
        }
    }
}

#[test]
fn the_turn_after_an_answer_in_parts_finds_all_of_it_in_the_cache() {
    let engine = start(TinyModel::default(), 1024);
    let question = user("What is a tree, and how many of them are there in a forest?");
    let answer = in_parts(&engine, &question, &[10, 10]);
    let next = ask(&engine, &[question, assistant(&answer.text), user("and?")], &greedy(5));
    assert_eq!(next.finish.stats.usage.cached_prompt_tokens, answer.finish.stats.cells_used);
}

#[test]
fn an_answer_from_another_run_goes_on_from_its_text() {
    let texts = ["one tw", "ends in a space ", "\n", "<|im_end|>", "é", "<think>\nhm", "half a </thi", "\u{fdd0}"];
    let engine = start(TinyModel::default(), 1024);
    for text in texts {
        let answer = ask(&engine, &[user("hello"), assistant(text)], &greedy(5));
        assert_eq!(answer.finish.ended, Ended::Length, "{text:?}");
        assert!(!answer.text.is_empty(), "{text:?}");
        let again = ask(&engine, &[user("hello"), assistant(&format!("{text}{}", answer.text))], &greedy(5));
        assert_eq!(computed(&again), 1, "{text:?}: once gone on with, its tokens are known");
    }
}

#[test]
fn an_answer_to_which_the_model_adds_nothing_says_so_by_its_end() {
    let engine = start(TinyModel::default().ending(), 512);
    let answer = ask(&engine, &[user("hello"), assistant("Well")], &greedy(50));
    assert_eq!((answer.finish.ended, answer.text.as_str()), (Ended::Stop, ""));
}

#[test]
fn an_answer_that_filled_the_context_cannot_be_gone_on_with() {
    let engine = start(TinyModel::default(), 256);
    let answer = ask(&engine, &[user("hello")], &greedy(1000));
    engine.submit(Work::Generate(prompt(None, &[user("hello"), assistant(&answer.text)]), greedy(5)));
    assert!(matches!(engine.last(), Step::Failed(EngineError::ContextFull { cells: 256, .. })));
}

#[test]
fn a_cancelled_answer_goes_on_where_it_was() {
    let engine = start(TinyModel::default(), 4096);
    let question = user("tell me");
    let whole = ask(&engine, std::slice::from_ref(&question), &greedy(200)).text;
    let cancel = engine.submit(Work::Generate(prompt(None, std::slice::from_ref(&question)), greedy(4000)));
    let mut part = String::new();
    while part.len() < 10 {
        if let Step::Token(piece) = engine.next() {
            part.push_str(&piece.text);
        }
    }
    cancel.cancel();
    part.push_str(&engine.answer().0);
    let rest = ask(&engine, &[question, assistant(&part)], &greedy(100));
    let both = part + &rest.text;
    let length = both.len().min(whole.len());
    assert_eq!(both[..length], whole[..length]);
}
