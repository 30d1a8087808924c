//! Whether a model still does what it did: a few questions with one right answer, and how well it expects a text. It is
//! no examination; it is there so that a setting that is fast and broken shows.

use serde_json::{Map, Value};

use super::Ended;
use super::exact;
use super::outlook::Pace;
use super::record::Case;
use super::report::{Report, base};
use super::spec::Letter;
use super::stream::Stream;
use crate::chat::{Message, Role};
use crate::engine::KvTypes;
use crate::engine::lab::{Lab, Rig, Token};

/// Letters that a question is asked about, one each.
const QUESTIONS: u32 = 32;
/// They have numbers that those of the suite `spec` do not have.
const FIRST: u32 = 5000;
/// Of an answer.
const MOST_TOKENS: u32 = 24;
/// Tokens that are read before the model's expectations count, and those that count.
const READ: usize = 256;
const EXPECTED: usize = 512;
const CELLS: u32 = 1024;
/// The test's name.
pub const WORD: &str = "quality";

/// Tokens of a question, about.
const QUESTION: u32 = 120;

/// About how long it takes.
pub fn seconds(pace: &Pace) -> f64 {
    let question = pace.reading(QUESTION, 0) + pace.writing(MOST_TOKENS / 2, QUESTION);
    f64::from(QUESTIONS) * question + pace.reading((READ + EXPECTED) as u32, 0)
}

/// Asks and reads, and tells a case about it.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, seed: u64, report: &Report) -> Result<(), Ended> {
    let base = base(lab.subject());
    let key = format!("{}: {WORD}", base.model());
    if report.has(&key) {
        return Ok(());
    }
    let mut rig = lab.rig(CELLS, KvTypes::default())?;
    let mut right = 0;
    for number in 0..QUESTIONS {
        report.progress(&format!("quality: question {} of {QUESTIONS}, {right} right", number + 1));
        right += u32::from(is_right(&mut rig, seed, number)?);
    }
    let tokens = Stream::of_all(lab, seed).take(READ + EXPECTED);
    report.progress("quality: reading");
    let perplexity = perplexity(&mut rig, &tokens, &|done| {
        report.progress(&format!("quality: reading, {done} of {EXPECTED} tokens"));
    })?;
    let mut rest: Map<String, Value> = base.rest.clone();
    rest.extend([
        ("n_questions".to_owned(), QUESTIONS.into()),
        ("n_right".to_owned(), right.into()),
        ("perplexity".to_owned(), perplexity.into()),
        ("n_perplexity".to_owned(), EXPECTED.into()),
        ("seed".to_owned(), seed.into()),
    ]);
    Ok(report.add(Case { key, test: WORD.into(), rest, ..base })?)
}

/// What these cases tell about it, in a line; nothing if nothing.
pub fn sentence(cases: &[&Case]) -> String {
    let told = cases.iter().find(|case| case.test == WORD).and_then(|case| {
        let number = |name: &str| case.number(name);
        let (right, asked) = (number("n_right")?, number("n_questions")?);
        let (perplexity, over) = (number("perplexity")?, number("n_perplexity")?);
        Some(format!(
            "quality: {right} of {asked} questions about letters answered exactly, perplexity {perplexity:.2} over {over} tokens\n"
        ))
    });
    told.unwrap_or_default()
}

/// Whether a question about a letter is answered exactly.
fn is_right(rig: &mut Rig<'_>, seed: u64, number: u32) -> Result<bool, Ended> {
    let letter = Letter::draw(seed, FIRST + number);
    let (field, value) = &letter.fields[number as usize % letter.fields.len()];
    let question = format!("{}\n\nWhat is the {field}? Answer with the {field} only.", letter.text());
    let answer = rig.answer(&[Message::new(Role::User, question)], MOST_TOKENS)?;
    Ok(exact::holds(&answer.text, value))
}

/// How surprised the model is by a text, as the number of tokens that it would have to choose among.
fn perplexity(rig: &mut Rig<'_>, tokens: &[Token], tell: &dyn Fn(usize)) -> Result<f64, Ended> {
    let (read, expected) = tokens.split_at(READ.min(tokens.len()));
    rig.fill(&[], &|_| {})?;
    let mut surprise = 0.0;
    let mut logits = rig.go_on(read)?.to_vec();
    for (place, token) in expected.iter().enumerate() {
        surprise += surprise_at(&logits, *token as usize);
        if place % 16 == 0 {
            tell(place);
        }
        logits = rig.go_on(&[*token])?.to_vec();
    }
    Ok((surprise / expected.len().max(1) as f64).exp())
}

/// The negative logarithm of the probability of a token.
fn surprise_at(logits: &[f32], token: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    let logit = logits.get(token).copied().unwrap_or(f32::NEG_INFINITY);
    sum.ln() - f64::from(logit - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_among_equals_surprises_by_their_number() {
        assert!((surprise_at(&[1.0; 8], 3) - 8.0_f64.ln()).abs() < 1e-9);
        assert!(surprise_at(&[0.0, 30.0], 1) < 1e-9);
        assert!((surprise_at(&[1000.0, 0.0], 1) - 1000.0).abs() < 1e-6);
    }
}
