//! A grammar at a place in an answer: which tokens may come next.
//!
//! What llama.cpp does with a bad call here is to abort, or to throw through code that cannot unwind. So: a grammar is
//! checked before it gets here ([`Gbnf`]); a token is accepted only through the wrapper that catches; what ends an
//! answer is never accepted; and after an acceptance that failed nothing is asked of the grammar any more.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::model::{Model, Token, TokenKind};
use crate::engine::constraint::{Gbnf, Schema};

/// Tokens that are longer than this are never offered: llama.cpp descends once for every character.
const LONGEST_TOKEN_BYTES: usize = 512;

/// A grammar, advanced by the tokens of an answer.
#[derive(Debug)]
pub struct Grammar<'model> {
    sampler: NonNull<sys::llama_sampler>,
    model: &'model Model,
    /// Every token that may stand between two characters; made when the whole vocabulary is asked about first.
    candidates: Vec<sys::llama_token_data>,
    /// The first bytes of a character whose other bytes are still to come.
    pending: Vec<u8>,
    has_failed: bool,
}

impl<'model> Grammar<'model> {
    /// The grammar at its beginning; `None` if llama.cpp does not take it after all.
    pub fn new(model: &'model Model, gbnf: &Gbnf) -> Option<Self> {
        let text = CString::new(gbnf.text()).ok()?;
        // SAFETY: both strings live during the call, which copies them; the vocabulary lives as long as the model,
        // whose lifetime this type bears. Exceptions are caught behind the call. The text was checked, so that the
        // descent into its rules ends.
        let sampler = unsafe {
            let vocabulary = sys::llama_model_get_vocab(model.raw());
            sys::llama_rs_sampler_init_grammar(vocabulary, text.as_ptr(), c"root".as_ptr())
        };
        Some(Self {
            sampler: NonNull::new(sampler)?,
            model,
            candidates: Vec::new(),
            pending: Vec::new(),
            has_failed: false,
        })
    }

    /// Whether this token may come next. A token that ends an answer may where the grammar can end.
    pub fn allows(&mut self, token: Token) -> bool {
        if !self.is_candidate(token) {
            return false;
        }
        let mut candidates = [candidate(token, 0.0)];
        self.apply(&mut candidates);
        candidates[0].logit == 0.0
    }

    /// The logits of the tokens that may come next; all others become minus infinity. `false` if none may.
    pub fn mask(&mut self, logits: &mut [f32]) -> bool {
        let mut candidates = std::mem::take(&mut self.candidates);
        if candidates.is_empty() || !self.pending.is_empty() {
            let tokens = 0..Token::try_from(self.model.vocabulary_size()).unwrap_or(0);
            candidates = tokens.filter(|token| self.is_candidate(*token)).map(|token| candidate(token, 0.0)).collect();
        }
        candidates.iter_mut().for_each(|candidate| candidate.logit = 0.0);
        self.apply(&mut candidates);
        let allowed = candidates.iter().filter(|candidate| candidate.logit == 0.0);
        let kept: Vec<(usize, f32)> =
            allowed.filter_map(|allowed| index(allowed.id).and_then(|at| Some((at, *logits.get(at)?)))).collect();
        logits.fill(f32::NEG_INFINITY);
        kept.iter().for_each(|(at, logit)| logits[*at] = *logit);
        if self.pending.is_empty() {
            self.candidates = candidates;
        }
        !kept.is_empty()
    }

    /// Goes on behind this token. `false` if it may not come next: then nothing may any more.
    #[must_use]
    pub fn accept(&mut self, token: Token) -> bool {
        if self.has_failed || !self.is_candidate(token) || self.model.is_end_of_generation(token) {
            return false;
        }
        // SAFETY: the sampler lives; the token is one of the vocabulary and does not end the answer, which would abort
        // in the middle of a grammar. Exceptions are caught behind the call and come as a status.
        let status = unsafe { sys::llama_rs_sampler_accept(self.sampler.as_ptr(), token) };
        self.has_failed = status != sys::LLAMA_RS_STATUS_OK;
        self.pending.extend(self.model.piece(token));
        let whole = std::str::from_utf8(&self.pending).map_or_else(|error| error.valid_up_to(), str::len);
        self.pending.drain(..whole);
        !self.has_failed
    }

    /// Whether an answer under a grammar may hold this token. The grammar would take the names of control tokens for
    /// text, of which nobody would see anything; it ends a token at a NUL; and it takes bytes for characters that
    /// are none.
    fn is_candidate(&self, token: Token) -> bool {
        if index(token).is_none_or(|index| index >= self.model.vocabulary_size()) {
            return false;
        }
        if self.model.is_end_of_generation(token) {
            return self.pending.is_empty();
        }
        let mut bytes = self.model.piece(token);
        let is_usable = !bytes.is_empty() && bytes.len() <= LONGEST_TOKEN_BYTES && !bytes.contains(&0);
        if !is_usable || self.model.token_kind(token) == TokenKind::Control {
            return false;
        }
        bytes.splice(..0, self.pending.iter().copied());
        // What is only not whole yet has no length of what is wrong.
        std::str::from_utf8(&bytes).err().is_none_or(|error| error.error_len().is_none())
    }

    /// Sets the logits of tokens that may not come next to minus infinity.
    fn apply(&mut self, candidates: &mut [sys::llama_token_data]) {
        if self.has_failed {
            // No reading of the grammar is left, which llama.cpp asserts there is.
            candidates.iter_mut().for_each(|candidate| candidate.logit = f32::NEG_INFINITY);
            return;
        }
        let mut array = sys::llama_token_data_array {
            data: candidates.as_mut_ptr(),
            size: candidates.len(),
            selected: -1,
            sorted: false,
        };
        // SAFETY: the array describes the slice, which lives during the call, and every id in it is one of the
        // vocabulary. At least one reading of the grammar is left: a checked grammar begins with one, and an
        // acceptance that leaves none sets `has_failed`.
        unsafe { sys::llama_sampler_apply(self.sampler.as_ptr(), &raw mut array) }
    }
}

impl Drop for Grammar<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `llama_rs_sampler_init_grammar`, freed once; the model still lives.
        unsafe { sys::llama_sampler_free(self.sampler.as_ptr()) }
    }
}

fn candidate(id: Token, logit: f32) -> sys::llama_token_data {
    sys::llama_token_data { id, logit, p: 0.0 }
}

fn index(token: Token) -> Option<usize> {
    usize::try_from(token).ok()
}

/// The grammar of the JSON texts that satisfy the schema, as far as llama.cpp follows it; `None` if it does not take
/// the schema, or if there is no memory.
pub fn json_schema_to_grammar(schema: &Schema) -> Option<String> {
    let schema = CString::new(schema.text()).ok()?;
    let mut grammar: *mut c_char = std::ptr::null_mut();
    // SAFETY: the schema lives during the call and was checked, so that the descent into it ends; exceptions are
    // caught behind the call.
    let status = unsafe { sys::llama_rs_json_schema_to_grammar(schema.as_ptr(), true, &raw mut grammar) };
    if status != sys::LLAMA_RS_STATUS_OK || grammar.is_null() {
        return None;
    }
    // SAFETY: after success the pointer is a string of its own that ends in NUL, and is freed once.
    unsafe {
        let text = CStr::from_ptr(grammar).to_str().ok().map(str::to_owned);
        sys::llama_rs_string_free(grammar);
        text
    }
}
