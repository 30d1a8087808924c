//! The check on models with real weights, and its figures against those of llama-perplexity.

use std::path::Path;

use super::check::{Outcome, run};
use super::types::{KvType, KvTypes};
use super::{Shape, Situation};
use crate::engine::divergence::{Divergence, Summary};
use crate::engine::llama::{Context, ContextSettings, Decoded, Model, Placement, Token};
use crate::hardware::cores::Crews;

#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../../tests/common/real_models.rs"]
mod real_models;

const THREADS: u32 = 2;

fn load(path: &Path) -> Model {
    Model::load(path, &Placement::default(), |_| true).unwrap()
}

fn is_good(model: &Model, types: &str) -> bool {
    let outcome = run(model, types.parse().unwrap(), Crews::anywhere(THREADS), &[]).unwrap();
    eprintln!("{types}: {outcome:?}");
    outcome.is_good()
}

#[test]
fn a_small_model_bears_8_bits_and_not_4() {
    let Some(path) = real_models::test_model() else { return };
    let model = load(&path);
    assert!(is_good(&model, "q8_0"));
    assert!(!is_good(&model, "q4_0"));
}

#[test]
fn qwen_0_5b_is_never_given_4_bits_for_its_keys() {
    let Some(path) = real_models::eval_model("Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf") else { return };
    let model = load(&path);
    assert!(!is_good(&model, "q4_0"));
    // So little that even q8_0 leaves too few tokens.
    let situation = Situation { shape: Shape::of(&model), backend: "CPU", tokens: 8192, least: 512, bytes: 8 << 20 };
    // What the model bears is told by the model alone; how fast a format is here and now would decide, too.
    let as_fast_as_f16 = |outcome| Outcome { speed: 1.0, prompt_speed: 1.0, ..outcome };
    let try_out = |types| run(&model, types, Crews::anywhere(THREADS), &[]).map(as_fast_as_f16);
    let choice = situation.best(try_out).unwrap();
    assert_eq!(choice.types.k, KvType::Q8, "{}", choice.reason);
    assert!(choice.reason.contains("q5_1 would change this model's answers"), "{}", choice.reason);
}

/// For comparison with `llama-perplexity -c 512 -b 512 --chunks 4 -fa on --kl-divergence-base B`, and the same once more
/// with `--kl-divergence -ctk q8_0 -ctv q8_0`: chunks of 512 tokens, each in an empty cache and begun with the token
/// that begins texts if the model has its texts begun, of which the second half is judged.
#[test]
#[ignore = "prints figures; TUICHAT_TEST_MODEL and TUICHAT_PERPLEXITY_TEXT name a model and a text of 2048 tokens"]
fn figures_for_a_comparison_with_llama_perplexity() {
    let Some(path) = real_models::test_model() else { return };
    let model = load(&path);
    let text = std::fs::read_to_string(std::env::var_os("TUICHAT_PERPLEXITY_TEXT").unwrap()).unwrap();
    let summary = as_llama_perplexity_does(&model, &text, KvTypes::both(KvType::Q8));
    eprintln!("{summary:#?}");
    assert_eq!(summary.tokens, 4 * 255);
    assert!(summary.mean_kld < 0.02 && summary.same_top > 0.93);
}

fn as_llama_perplexity_does(model: &Model, text: &str, types: KvTypes) -> Summary {
    const CHUNK: usize = 512;
    let begin = model.begin_token().filter(|_| model.adds_begin_token());
    let tokens: Vec<Token> = begin.into_iter().chain(model.tokenize(text, false)).collect();
    let context = |types| {
        let settings = ContextSettings {
            cells: CHUNK as u32,
            crews: Crews::anywhere(THREADS),
            batch: CHUNK as u32,
            types,
            sequences: 1,
        };
        Context::new(model, settings).unwrap()
    };
    let mut contexts = [context(KvTypes::both(KvType::F16)), context(types)];
    let mut divergence = Divergence::default();
    for chunk in tokens.chunks_exact(CHUNK).take(4) {
        let mut read = chunk.to_vec();
        read[0] = begin.unwrap_or(read[0]);
        for context in &mut contexts {
            context.clear();
            assert_eq!(context.decode_with_all_logits(&read, 0, &[]), Decoded::Done);
        }
        let [reference, other] = &mut contexts;
        for place in CHUNK / 2..CHUNK - 1 {
            divergence.push(reference.logits_of(place), other.logits_of(place), chunk[place + 1]);
        }
    }
    divergence.summary()
}
