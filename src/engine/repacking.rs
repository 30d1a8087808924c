//! Whether weights are copied in the order that llama.cpp's kernels want, or stay as the file has them.
//!
//! On x86 the copies make answers faster, and loading and prompts slower: with Qwen2.5 1.5B (Q4_K_M, two cores with
//! AVX-512, 940 tokens) answers come at 23.9 instead of 19.9 tokens per second, prompts are read at 94 instead of 143,
//! and loading takes 0.67 s more. So what is to be computed tells which is better. On ARM both become faster (ggml's
//! `repack.cpp` has kernels for its dot products).

use super::llama;
use super::protocol::{Expected, LoadSettings};
use crate::models::fit::{Anatomy, Machine};
use crate::models::gguf::Header;
use crate::text::mebibytes;

/// Tokens of an answer that win back what copying takes. See [`TOKENS_PER_PROMPT_TOKEN`].
const TOKENS_TO_COPY: f64 = 79.0;
/// Tokens of an answer that win back what a token of the prompt loses. Both from the figures above; as the bytes that
/// are copied, gained and lost go together, they hold for models of any size.
const TOKENS_PER_PROMPT_TOKEN: f64 = 0.44;
/// Tokens of an answer whose length nobody knows.
const USUAL_ANSWER: u32 = 256;

/// What is known.
#[derive(Clone, Copy, Debug)]
struct Situation {
    /// What was asked for.
    pub wish: Option<bool>,
    /// Bytes of weights that could be copied.
    pub copied_bytes: u64,
    /// There is memory for weights that cannot be dropped.
    pub has_room: bool,
    /// `None` for a conversation.
    pub expected: Option<Expected>,
    /// Copies make prompts slower.
    pub slows_prompts: bool,
}

/// Chooses, where there is memory for weights that cannot be dropped or not, and for a processor or a graphics processor
/// that most of the weights go to.
pub(super) fn choose(header: &Header, settings: &LoadSettings, has_room: bool, on_gpu: bool) -> Choice {
    if on_gpu {
        return Choice { copies: true, reason: "a graphics processor has its own order".into() };
    }
    let anatomy = Anatomy::of_header(header);
    let machine = Machine { repacks: llama::repacked_types(), ..Machine::default() };
    let needs = anatomy.needs(0, &machine);
    let situation = Situation {
        wish: settings.repack,
        copied_bytes: needs.repacked,
        has_room,
        // Of many answers, what they have in common is computed once: that is as little as of a conversation.
        expected: settings.expected.filter(|expected| expected.lanes == 0),
        slows_prompts: cfg!(any(target_arch = "x86_64", target_arch = "x86")),
    };
    situation.choose()
}

/// Whether to copy, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub copies: bool,
    pub reason: String,
}

impl Situation {
    fn choose(self) -> Choice {
        let choice = |copies, reason: &str| Choice { copies, reason: reason.to_owned() };
        if self.copied_bytes == 0 {
            return choice(true, "no weights have another order on this processor");
        }
        if !self.has_room {
            return choice(false, "weights stay as stored, since memory is short and these can be dropped");
        }
        if let Some(wish) = self.wish {
            return choice(
                wish,
                if wish { "repacked weights were asked for" } else { "weights as stored were asked for" },
            );
        }
        if !self.slows_prompts {
            return choice(true, "repacked weights are faster here");
        }
        let copied = mebibytes(self.copied_bytes);
        let Some(expected) = self.expected else {
            return Choice { copies: true, reason: format!("{copied} of weights are repacked, for faster answers") };
        };
        let prompt_tokens = expected.prompt_tokens();
        let answer = expected.answer_tokens.map_or(USUAL_ANSWER, |most| most.min(USUAL_ANSWER));
        let pays = f64::from(answer) > TOKENS_TO_COPY + TOKENS_PER_PROMPT_TOKEN * f64::from(prompt_tokens);
        let reason = if pays {
            format!("{copied} of weights are repacked, for a faster answer")
        } else {
            format!(
                "weights stay as stored: for a prompt of some {prompt_tokens} tokens and an answer of some {answer}, repacking would take longer than it saves"
            )
        };
        Choice { copies: pays, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(expected: Option<Expected>) -> Situation {
        Situation { wish: None, copied_bytes: 600 << 20, has_room: true, expected, slows_prompts: true }
    }

    fn one_shot(prompt_tokens: u32, answer_tokens: Option<u32>) -> Situation {
        situation(Some(Expected { prompt_bytes: 4 * prompt_tokens, answer_tokens, lanes: 0 }))
    }

    #[test]
    fn a_conversation_is_worth_it() {
        assert!(situation(None).choose().copies);
    }

    #[test]
    fn a_single_answer_is_worth_it_if_it_is_long_for_its_prompt() {
        assert!(one_shot(20, None).choose().copies);
        assert!(!one_shot(20, Some(32)).choose().copies);
        assert!(!one_shot(2000, None).choose().copies);
        assert!(one_shot(2000, None).choose().reason.contains("2000 tokens"));
    }

    #[test]
    fn where_prompts_gain_as_well_it_is_always_worth_it() {
        assert!(Situation { slows_prompts: false, ..one_shot(9000, Some(1)) }.choose().copies);
    }

    #[test]
    fn where_memory_is_short_weights_stay_as_they_are() {
        assert!(!Situation { has_room: false, ..situation(None) }.choose().copies);
        assert!(
            !Situation { has_room: false, wish: Some(true), ..situation(None) }.choose().copies,
            "nothing is killed"
        );
    }

    #[test]
    fn what_was_asked_for_is_done() {
        assert!(!Situation { wish: Some(false), ..situation(None) }.choose().copies);
        assert!(Situation { wish: Some(true), ..one_shot(2000, Some(1)) }.choose().copies);
    }
}
