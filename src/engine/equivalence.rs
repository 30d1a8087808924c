//! Whatever is reused of a KV cache, the greedy answer is that of a fresh one, with real weights. Where two tokens are
//! equally likely but for rounding, either may come: a batch of another shape is computed by other kernels.

use std::path::Path;
use std::sync::Mutex;

use super::kv::{Key, KvTypes, SnapshotSettings, Snapshots};
use super::llama::{self, Context, ContextSettings, Model, Placement, Token};
use super::protocol::{CancelFlag, ChatKey, Prompt, Think};
use super::session::Session;
use crate::chat::{Message, Role};

#[allow(dead_code)]
#[path = "../../tests/common/real_models.rs"]
mod real_models;

const CELLS: u32 = 8192;
/// How far the difference of two logits may move by rounding alone: on SmolLM2 135M in Q4_1, up to 0.53 was seen
/// between the kernels for one token and those for many. A wrong cache moves them by whole units.
const ROUNDING: f32 = 1.0;
/// Some 1,300 tokens.
const LINES: u32 = 60;
/// Two models that compute at once make each other slow.
static TURN: Mutex<()> = Mutex::new(());

fn load(path: &Path) -> Model {
    Model::load(path, &Placement::default(), |_| true).unwrap()
}

fn session<'m>(model: &'m Model, path: &Path, folder: Option<&Path>) -> Session<'m> {
    let settings = ContextSettings {
        cells: CELLS,
        crews: crate::hardware::cores::Crews::anywhere(2),
        batch: 512,
        types: KvTypes::default(),
        sequences: 1,
    };
    let context = Context::new(model, settings).unwrap();
    let snapshots = folder.map(|folder| {
        let settings = SnapshotSettings {
            folder: folder.join("kv"),
            most_bytes: Some(1 << 30),
            model_sha256: None,
            hashes: folder.join("hashes.json"),
        };
        let (template, types) = (model.chat_template().unwrap_or_default(), "f16 f16".into());
        let key = Key { model: path.to_owned(), template, types, library: llama::version() };
        Snapshots::open(settings, key, CancelFlag::default()).unwrap()
    });
    Session::new(model, context, snapshots)
}

/// A token that was chosen, and how much its logit was above the next.
type Choice = (Token, f32);

/// The greedy answer, computed behind what is reused of the cache, and how many tokens that was.
fn answer(session: &mut Session<'_>, prompt: &Prompt, tokens: usize) -> (Vec<Choice>, usize) {
    let (_, prompt) = session.take_up(prompt, Think::Auto).unwrap();
    let cached = session.reuse(&prompt[..prompt.len() - 1]);
    session.prefill(&prompt, cached, prompt.len(), &[], &|_| true).unwrap();
    let mut answer = Vec::new();
    while answer.len() < tokens {
        let choice = choose(session.context.logits());
        answer.push(choice);
        if session.model.is_end_of_generation(choice.0) {
            break;
        }
        session.decode(&[choice.0], &[]).unwrap();
    }
    (answer, cached)
}

fn choose(logits: &[f32]) -> Choice {
    let mut best = (0, f32::MIN);
    let mut second = f32::MIN;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            second = std::mem::replace(&mut best, (token as Token, *logit)).1;
        } else {
            second = second.max(*logit);
        }
    }
    (best.0, best.1 - second)
}

/// The same answer, computed with drafts of each length in turn, of which the last token is wrong.
fn answer_with_drafts(session: &mut Session<'_>, prompt: &Prompt, plain: &[Choice]) -> Vec<Choice> {
    let (_, prompt) = session.take_up(prompt, Think::Auto).unwrap();
    session.prefill(&prompt, 0, prompt.len(), &[], &|_| true).unwrap();
    let mut answer = vec![choose(session.context.logits())];
    for length in (1..20).cycle() {
        let done = answer.len();
        if done >= plain.len() || answer[done - 1].0 != plain[done - 1].0 {
            return answer;
        }
        let mut tokens = vec![answer[done - 1].0];
        tokens.extend(plain[done..].iter().take(length).map(|choice| choice.0));
        tokens.push(0);
        let (before, count) = (session.ledger.tokens().len(), tokens.len());
        session.decode_with_all_logits(&tokens, &[]).unwrap();
        for row in 0..count - 1 {
            answer.push(choose(session.context.logits_of(row)));
            let is_right = tokens.get(row + 1) == answer.last().map(|choice| &choice.0);
            if !is_right || answer.len() == plain.len() {
                assert_eq!(session.keep(before + row + 1), before + row + 1);
                break;
            }
        }
    }
    answer
}

#[track_caller]
fn assert_equal_up_to_near_ties(model: &Model, reused: &[Choice], fresh: &[Choice]) {
    let text = |choices: &[Choice]| {
        let bytes: Vec<u8> = choices.iter().flat_map(|(token, _)| model.piece(*token)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    for (place, (reused_choice, fresh_choice)) in reused.iter().zip(fresh).enumerate() {
        let is_same = reused_choice.0 == fresh_choice.0;
        let moved = if is_same { (reused_choice.1 - fresh_choice.1).abs() } else { reused_choice.1 + fresh_choice.1 };
        let (reused, fresh) = (text(reused), text(fresh));
        assert!(moved < ROUNDING, "token {place}: {reused_choice:?}, {fresh_choice:?}\n{reused}\n{fresh}");
        // What follows another token is another text.
        if !is_same {
            return;
        }
    }
    assert!(!fresh.is_empty() && fresh.len() == reused.len());
}

fn history() -> Vec<Message> {
    let town = |number: u32| {
        let (inhabitants, streets) = (number * 137 % 900 + 100, number * 7 % 30 + 3);
        format!("{number}. Town {number} has {inhabitants} inhabitants and {streets} streets.\n")
    };
    let list: String = (1..=LINES).map(town).collect();
    let question = format!("{list}\nRepeat the first three lines of the list.");
    vec![Message::new(Role::User, question)]
}

fn prompt(messages: &[Message]) -> Prompt {
    Prompt { chat: Some(ChatKey(1)), messages: messages.to_vec() }
}

#[test]
fn a_second_turn_and_a_chat_that_was_reopened_answer_as_from_a_fresh_start() {
    let Some(path) = real_models::test_model() else { return };
    let _turn = TURN.lock();
    let home = tempfile::tempdir().unwrap();
    let model = load(&path);
    let mut messages = history();
    let mut first = session(&model, &path, Some(home.path()));
    let (said, _) = answer(&mut first, &prompt(&messages), 32);
    let length = first.ledger.tokens().len();
    let bytes = said.iter().filter(|choice| !model.is_end_of_generation(choice.0));
    let text: Vec<u8> = bytes.flat_map(|(token, _)| model.piece(*token)).collect();
    messages.push(Message::new(Role::Assistant, String::from_utf8(text).unwrap()));
    messages.push(Message::new(Role::User, "How many streets does Town 2 have?"));
    // Leaving is when the state is taken, before the second turn is computed behind it.
    first.snapshot();
    let (reused, cached) = answer(&mut first, &prompt(&messages), 32);
    assert!(cached + 40 > length, "{cached} of {length}");
    drop(first);

    let mut reopened = session(&model, &path, Some(home.path()));
    let (restored, cached) = answer(&mut reopened, &prompt(&messages), 32);
    assert!(cached + 40 > length, "{cached} of {length}");
    // What was restored can be gone back into, also where a sliding window was saved without what it left behind.
    let edited = [Message::new(Role::User, &messages[0].text[..messages[0].text.len() / 2])];
    let (shortened, _) = answer(&mut reopened, &prompt(&edited), 16);
    drop(reopened);
    let (fresh, _) = answer(&mut session(&model, &path, None), &prompt(&edited), 16);
    assert_equal_up_to_near_ties(&model, &shortened, &fresh);

    let (fresh, cached) = answer(&mut session(&model, &path, None), &prompt(&messages), 32);
    assert_eq!(cached, 0);
    assert_equal_up_to_near_ties(&model, &reused, &fresh);
    assert_equal_up_to_near_ties(&model, &restored, &fresh);
}

#[test]
fn what_is_computed_with_drafts_and_taken_back_is_what_is_computed_alone() {
    let Some(path) = real_models::test_model() else { return };
    let _turn = TURN.lock();
    let model = load(&path);
    for question in ["Name three colours.", "Write a short story about a lighthouse keeper and his dog."] {
        let question = Prompt { chat: None, messages: vec![Message::new(Role::User, question)] };
        let (plain, _) = answer(&mut session(&model, &path, None), &question, 80);
        let drafted = answer_with_drafts(&mut session(&model, &path, None), &question, &plain);
        assert_equal_up_to_near_ties(&model, &drafted, &plain);
    }
}

#[test]
fn a_message_that_was_edited_while_it_was_computed_is_answered_as_one_typed_straight() {
    let Some(path) = real_models::test_model() else { return };
    let _turn = TURN.lock();
    let model = load(&path);
    let final_text = "The museum in the old town shows paintings, maps and coins. The coins are of silver, the maps of \
                      paper. Name two things that the museum shows.";
    let mut random = fastrand::Rng::with_seed(7);
    let mut edited = session(&model, &path, None);
    let mut draft = String::new();
    let words: Vec<&str> = final_text.split_inclusive(' ').collect();
    for edit in 0..50 {
        // Something is cut away or written over, and the text comes nearer to its end.
        let kept = random.usize(..=draft.len());
        draft.truncate((0..=kept).rev().find(|at| draft.is_char_boundary(*at)).unwrap());
        if random.bool() {
            draft.push_str(["paintinx ", "日本", " \n", "co"][random.usize(..4)]);
        } else {
            draft = words[..(edit + 1).min(words.len())].concat();
        }
        let message = [Message::new(Role::User, draft.as_str())];
        edited.prefill_ahead(&Prompt { chat: None, messages: message.to_vec() }, Think::Auto, &[], &|_| true).unwrap();
    }
    let asked = Prompt { chat: None, messages: vec![Message::new(Role::User, final_text)] };
    edited.prefill_ahead(&asked, Think::Auto, &[], &|_| true).unwrap();
    let (reused, cached) = answer(&mut edited, &asked, 48);
    let length = edited.plan(&asked, Think::Auto).unwrap().prompt_tokens as usize;
    assert!(cached + 10 > length, "only {cached} of {length} tokens were computed ahead");
    drop(edited);
    let (fresh, _) = answer(&mut session(&model, &path, None), &asked, 48);
    assert_equal_up_to_near_ties(&model, &reused, &fresh);
}

/// Sums are added up in another order there, so two tokens that are nearly equally likely may change places.
#[test]
#[ignore = "takes minutes on a software driver, which GGML_VK_VISIBLE_DEVICES=0 shows; TUICHAT_TEST_MODEL names a model"]
fn a_device_says_what_the_cpu_says_up_to_near_ties() {
    const NEAR: f32 = ROUNDING;
    let path = std::path::PathBuf::from(std::env::var_os("TUICHAT_TEST_MODEL").expect("the name of a model"));
    let device = llama::devices().into_iter().find(llama::Device::is_gpu).expect("a device");
    let on_device = Placement { devices: vec![device.index], ..Placement::default() };
    let models = [Placement::cpu(), on_device].map(|place| Model::load(&path, &place, |_| true).unwrap());
    let settings = ContextSettings {
        cells: 256,
        crews: crate::hardware::cores::Crews::anywhere(2),
        batch: 64,
        types: KvTypes::default(),
        sequences: 1,
    };
    let largest = |logits: &[f32]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
    for question in ["What is the capital of France?", "Write a haiku about rain."] {
        let text = format!("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n");
        let mut contexts = [0, 1].map(|which: usize| Context::new(&models[which], settings).unwrap());
        let mut tokens = models[0].tokenize(&text, true);
        let (mut position, mut same) = (0, 0);
        for step in 0..10 {
            let [cpu, there] = contexts.each_mut().map(|context| {
                assert_eq!(context.decode(&tokens, position, &[]), llama::Decoded::Done);
                context.logits().to_vec()
            });
            let (best, other) = (largest(&cpu), largest(&there));
            same += usize::from(best == other);
            let farthest = cpu.iter().zip(&there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!(
                "{question} token {step}: {:?} {:.3} | {:?} {:.3} (on the CPU {:.3}); logits are up to {farthest:.3} apart",
                models[0].token_text(best as Token),
                cpu[best],
                models[0].token_text(other as Token),
                there[other],
                cpu[other]
            );
            assert!(there[other] - there[best] < NEAR && cpu[best] - cpu[other] < NEAR);
            position += tokens.len() as u32;
            tokens = vec![best as Token];
        }
        println!("{question}: the same first choice {same} times of 10");
    }
}
