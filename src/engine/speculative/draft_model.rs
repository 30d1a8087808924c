//! Guesses by a smaller model with the same vocabulary, in a context of its own.

use std::collections::VecDeque;

use super::{Draft, Drafter};
use crate::chat::{DraftedBy, Sampling};
use crate::engine::llama::{Context, Decoded, Model, Token};
use crate::engine::protocol::CancelFlag;
use crate::engine::sampler::Sampler;

/// Where the model is less sure of its best token than this, it guesses no further.
const LEAST_SURE: f32 = 0.4;
/// So many tokens may be missing at the end of one of two vocabularies that are the same: they are padded to sizes that
/// suit the processor.
const MOST_PADDING: usize = 1024;

/// A model that guesses, and what it knows of the text.
#[derive(Debug)]
pub struct DraftModel<'model> {
    model: &'model Model,
    context: Context<'model>,
    sampler: Sampler,
    /// Bytes of its weights, as a part of those of the model that it guesses for.
    pub size: f64,
    text: Vec<Token>,
    /// So many of the first tokens are in its cache, and behind them these, which it guessed.
    cached: usize,
    ahead: VecDeque<Token>,
    /// Tokens of the other model's vocabulary.
    vocabulary: usize,
    keeps_logits: bool,
}

impl<'model> DraftModel<'model> {
    /// Guesses for `target`.
    pub fn new(target: &Model, model: &'model Model, context: Context<'model>) -> Self {
        Self {
            model,
            context,
            sampler: Sampler::new(&Sampling::default()),
            size: model.size() as f64 / target.size().max(1) as f64,
            text: Vec::new(),
            cached: 0,
            ahead: VecDeque::new(),
            vocabulary: target.vocabulary_size(),
            keeps_logits: false,
        }
    }

    /// The next answer is drawn like this. Guesses are drawn likewise, so that they are alike; a fuzzy answer needs to
    /// know more of them.
    pub fn draw_by(&mut self, sampling: &Sampling, is_fuzzy: bool) {
        // Another seed: what is drawn here must not depend on what the answer draws.
        let seed = Some(sampling.seed.map_or_else(|| fastrand::u32(..), |seed| seed ^ 0x5eed));
        self.sampler = Sampler::new(&Sampling { seed, ..sampling.clone() });
        self.keeps_logits = is_fuzzy;
    }

    /// Tokens to be computed before it can guess.
    pub fn behind(&self) -> usize {
        self.text.len() - self.cached
    }

    /// Whether so many tokens more have room in its cache.
    pub fn has_room(&self, tokens: usize) -> bool {
        self.text.len() + tokens < self.context.cells() as usize
    }

    /// Computes tokens behind what is in its cache; `false` if that came to nothing.
    fn compute(&mut self, tokens: &[Token], position: usize, cancel: &[&CancelFlag]) -> bool {
        tokens.chunks(self.context.batch_size()).zip(0..).all(|(chunk, index)| {
            let position = position + index * self.context.batch_size();
            self.context.decode(chunk, position as u32, cancel) == Decoded::Done
        })
    }

    /// Brings its cache up to the text. The last token is always computed, for what follows it.
    fn catch_up(&mut self, cancel: &[&CancelFlag]) -> bool {
        self.ahead.clear();
        self.cached = self.cached.min(self.text.len().saturating_sub(1));
        if !self.context.truncate(self.cached as u32) {
            self.context.clear();
            self.cached = 0;
        }
        let missing = self.text.split_off(self.cached);
        let is_done = self.compute(&missing, self.cached, cancel);
        self.text.extend(missing);
        if is_done {
            self.cached = self.text.len();
        } else {
            self.context.clear();
            self.cached = 0;
        }
        is_done
    }
}

impl Drafter for DraftModel<'_> {
    fn begin(&mut self, text: &[Token]) {
        let common = self.text.iter().zip(text).take_while(|(one, other)| one == other).count();
        self.cached = self.cached.min(common);
        self.ahead.clear();
        text.clone_into(&mut self.text);
    }

    fn push(&mut self, token: Token) {
        if self.cached == self.text.len() && self.ahead.pop_front() == Some(token) {
            self.cached += 1;
        } else {
            self.ahead.clear();
        }
        self.text.push(token);
    }

    fn draft(&mut self, most: usize, cancel: &[&CancelFlag]) -> Draft {
        let mut draft = Draft { by: Some(DraftedBy::Draft), ..Draft::default() };
        if most == 0 || self.text.is_empty() || !self.has_room(most) || !self.catch_up(cancel) {
            return draft;
        }
        let length = self.text.len();
        while draft.tokens.len() < most {
            // What the other model does not know, it cannot be asked about.
            let logits = self.context.logits();
            let logits = &logits[..self.vocabulary.min(logits.len())];
            // Whether to stop may depend on what could be drawn, never on what was.
            if sureness(logits) < LEAST_SURE {
                break;
            }
            let Some(odds) = self.sampler.odds(logits, &self.text) else { break };
            let kept = self.keeps_logits.then(|| logits.to_vec());
            let Some(token) = odds.draw(self.sampler.random()) else { break };
            draft.tokens.push(token);
            draft.logits.extend(kept);
            if self.sampler.draws() {
                draft.odds.push(odds);
            }
            self.text.push(token);
            let is_last = self.model.is_end_of_generation(token) || draft.tokens.len() == most;
            if is_last || !self.compute(&[token], self.text.len() - 1, cancel) {
                break;
            }
            self.ahead.push_back(token);
        }
        // What is right of it comes back as the answer's.
        self.text.truncate(length);
        draft
    }
}

/// The probability of the best token.
fn sureness(logits: &[f32]) -> f32 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    1.0 / logits.iter().map(|logit| (logit - best).exp()).sum::<f32>()
}

/// Whether the tokens of one model mean the same to the other.
///
/// # Errors
/// The first token that does not, in words.
pub fn check_vocabulary(target: &Model, draft: &Model) -> Result<(), String> {
    let (size, other) = (target.vocabulary_size(), draft.vocabulary_size());
    if size.abs_diff(other) > MOST_PADDING {
        return Err(format!("its vocabulary has {other} tokens, and not {size}"));
    }
    let differs = |token: &Token| {
        target.token_text(*token) != draft.token_text(*token) && target.piece(*token) != draft.piece(*token)
    };
    let both = 0..Token::try_from(size.min(other)).unwrap_or(0);
    match both.into_iter().find(differs) {
        None => Ok(()),
        Some(token) => {
            Err(format!("its token {token} is `{}`, and not `{}`", draft.token_text(token), target.token_text(token)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kv::{KvType, KvTypes};
    use crate::engine::llama::{ContextSettings, Placement};
    use crate::hardware::cores::Crews;
    use crate::tiny_gguf::TinyModel;

    const CELLS: u32 = 256;

    fn load(model: TinyModel) -> Model {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        model.write(&path).unwrap();
        Model::load(&path, &Placement::default(), |_| true).unwrap()
    }

    /// A model that goes round in circles, and so is sure of what comes next.
    fn circling() -> Model {
        load(TinyModel::default().context(4096).forgetful())
    }

    fn context(model: &Model) -> Context<'_> {
        let types = KvTypes::both(KvType::F16);
        Context::new(model, ContextSettings { cells: CELLS, crews: Crews::anywhere(1), batch: 32, types, sequences: 1 })
            .unwrap()
    }

    fn text() -> Vec<Token> {
        (0..70).map(|number| 40 + number * 7 % 90).collect()
    }

    /// One that has read the text, as far as that can be computed.
    fn reader(model: &Model) -> DraftModel<'_> {
        let mut reader = DraftModel::new(model, model, context(model));
        reader.draw_by(&Sampling { temperature: 0.0, ..Sampling::default() }, false);
        reader.begin(&text());
        reader
    }

    #[test]
    fn of_another_text_only_what_differs_is_computed() {
        let model = circling();
        let mut reader = reader(&model);
        reader.draft(1, &[]);
        reader.begin(&text()[..50]);
        assert_eq!(reader.behind(), 0);
        let other = [&text()[..50], &[1, 2, 3]].concat();
        reader.begin(&other);
        assert_eq!(reader.behind(), 3);
    }

    #[test]
    fn it_guesses_nothing_without_a_text_a_wish_or_room() {
        let model = circling();
        let mut reader = reader(&model);
        assert!(reader.has_room(185) && !reader.has_room(186));
        for most in [0, 186] {
            assert_eq!((reader.draft(most, &[]).tokens.len(), reader.behind()), (0, 70), "{most}");
        }
        let cancelled = CancelFlag::default();
        cancelled.cancel();
        assert_eq!((reader.draft(3, &[&cancelled]).tokens.len(), reader.behind()), (0, 70));
        reader.begin(&[]);
        assert!(reader.draft(3, &[]).tokens.is_empty());
    }

    #[test]
    fn it_draws_by_a_seed_of_its_own() {
        let model = circling();
        let mut reader = reader(&model);
        let sampling = Sampling { seed: Some(7), ..Sampling::default() };
        let mut drawn = || {
            reader.draw_by(&sampling, true);
            reader.sampler.random()
        };
        assert_eq!(drawn(), drawn());
        assert_ne!(drawn(), Sampler::new(&sampling).random(), "the answer's");
    }

    #[test]
    fn it_is_as_sure_as_its_best_token_is_probable() {
        assert_eq!((sureness(&[0.0, 0.0]), sureness(&[1.0; 4])), (0.5, 0.25));
        assert!((sureness(&[-1.0, -1.0 + 3.0_f32.ln()]) - 0.75).abs() < 1e-6);
    }
}
