//! From tokens to the pieces of an answer: whole characters, thoughts apart from the answer, nothing behind a stop
//! string.

use super::llama::Token;
use super::protocol::{Channel, GenerateOptions, Piece, Step};
use super::stop::{Filtered, StopFilter};
use super::thinking::{Tags, ThinkingFilter};
use crate::text::Utf8Stream;

/// Turns tokens into the pieces of an answer.
pub struct Writer {
    utf8: Utf8Stream,
    thinking: ThinkingFilter,
    stop: StopFilter,
    /// Whether all that comes is the answer, whatever tags are in it.
    answering: bool,
    /// Whether a stop string came.
    pub stopped: bool,
    ready: Vec<(Channel, String)>,
    /// All tokens so far, the bytes they stand for, and where among these each token begins.
    tokens: Vec<Token>,
    bytes: Vec<u8>,
    starts: Vec<usize>,
    answer: String,
}

/// An answer and what it is made of.
pub struct ExactAnswer {
    /// Tokens before the answer: thoughts and what is around them.
    pub thoughts: usize,
    pub text: String,
    pub tokens: Vec<Token>,
}

impl Writer {
    pub fn new(options: &GenerateOptions, tags: Tags, starts_thinking: bool) -> Self {
        Self {
            utf8: Utf8Stream::default(),
            thinking: ThinkingFilter::new(tags, starts_thinking),
            stop: StopFilter::new(&options.stop),
            answering: false,
            stopped: false,
            ready: Vec::new(),
            tokens: Vec::new(),
            bytes: Vec::new(),
            starts: Vec::new(),
            answer: String::new(),
        }
    }

    /// Whether a token of these bytes, coming next, would be no part of the answer.
    pub fn is_outside_answer(&self, bytes: &[u8]) -> bool {
        !self.answering && self.thinking.is_outside_answer(&String::from_utf8_lossy(bytes))
    }

    /// From now on everything is the answer.
    pub fn begin_answer(&mut self) {
        if !std::mem::replace(&mut self.answering, true)
            && let Some((channel, text)) = self.thinking.finish()
        {
            self.show(channel, text);
        }
    }

    /// Goes on with an answer of which this text was shown. Its tokens may end with a part of a character, which the
    /// next ones complete.
    pub fn go_on(&mut self, answer: &str, tokens: impl Iterator<Item = (Token, Vec<u8>)>) {
        self.answering = true;
        let mut bytes = Vec::new();
        for (token, piece) in tokens {
            self.record(token, &piece);
            bytes.extend(piece);
        }
        answer.clone_into(&mut self.answer);
        if let Some(rest) = bytes.strip_prefix(answer.as_bytes()) {
            self.utf8.push(rest);
        }
    }

    pub fn push(&mut self, token: Token, bytes: &[u8]) {
        self.record(token, bytes);
        let text = self.utf8.push(bytes);
        self.pass(&text);
    }

    /// Whether the model is amid its thoughts.
    pub fn is_thinking(&self) -> bool {
        !self.answering && self.thinking.is_thinking()
    }

    /// What is missing to end the thoughts; see [`ThinkingFilter::closing`].
    pub fn closing(&self, thoughts_end_in_their_line: bool) -> String {
        self.thinking.closing(thoughts_end_in_their_line)
    }

    fn record(&mut self, token: Token, bytes: &[u8]) {
        self.tokens.push(token);
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// No more tokens will come: what was kept back is shown after all, but for a part of a character in an answer
    /// that was cut and so may be gone on with.
    pub fn finish(&mut self, is_cut: bool) {
        if self.stopped {
            return;
        }
        if !is_cut {
            let text = self.utf8.finish();
            self.pass(&text);
        }
        if let Some((channel, text)) = self.thinking.finish() {
            self.show(channel, text);
        }
        let held = self.stop.finish();
        self.ready.push((Channel::Answer, held));
    }

    fn pass(&mut self, text: &str) {
        if self.answering {
            return self.show(Channel::Answer, text.to_owned());
        }
        for (channel, text) in self.thinking.push(text) {
            self.show(channel, text);
        }
    }

    fn show(&mut self, channel: Channel, text: String) {
        if self.stopped {
            return;
        }
        let text = match channel {
            Channel::Thinking => text,
            Channel::Answer => match self.stop.push(&text) {
                Filtered::Continue(text) => text,
                Filtered::Stop(text) => {
                    self.stopped = true;
                    text
                }
            },
        };
        self.ready.push((channel, text));
    }

    /// Emits what is ready; `false` when nobody listens.
    pub fn send(&mut self, tokens: u32, emit: &dyn Fn(Step) -> bool) -> bool {
        for (channel, text) in self.ready.drain(..).filter(|(_, text)| !text.is_empty()) {
            if channel == Channel::Answer {
                self.answer.push_str(&text);
            }
            if !emit(Step::Token(Piece { channel, text, tokens })) {
                return false;
            }
        }
        true
    }

    /// The answer with its tokens, if the last of all tokens stand for exactly its text, but for a part of a character
    /// that was kept back.
    pub fn exact_answer(mut self) -> Option<ExactAnswer> {
        let end = self.bytes.len().checked_sub(self.utf8.pending().len())?;
        let start = end.checked_sub(self.answer.len())?;
        let thoughts = self.starts.iter().rposition(|token| *token == start)?;
        // A control token leaves no trace in the text, so the text would not tell the tokens.
        let is_plain = self.starts[thoughts..].windows(2).all(|pair| pair[0] < pair[1])
            && self.starts.last().is_some_and(|last| *last < self.bytes.len());
        let is_exact = is_plain && !self.answer.is_empty() && self.bytes[start..end] == *self.answer.as_bytes();
        is_exact.then(|| ExactAnswer { thoughts, text: self.answer, tokens: self.tokens.split_off(thoughts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What a writer shows of these tokens, which are numbered from 1.
    fn shown(writer: &mut Writer, pieces: &[&[u8]], is_cut: bool) -> String {
        let shown = RefCell::new(String::new());
        let emit = |step| {
            if let Step::Token(piece) = step {
                shown.borrow_mut().push_str(&piece.text);
            }
            true
        };
        for (token, bytes) in (1..).zip(pieces) {
            writer.push(token, bytes);
            writer.send(1, &emit);
        }
        writer.finish(is_cut);
        writer.send(1, &emit);
        shown.into_inner()
    }

    fn writer() -> Writer {
        Writer::new(&GenerateOptions::default(), Tags::default(), false)
    }

    #[test]
    fn an_answer_cut_inside_of_a_character_goes_on_with_the_rest_of_it() {
        let pieces: [&[u8]; 4] = [b"so ", b"\xf0\x9f", b"\x98\x80", b"!"];
        for cut in 0..pieces.len() {
            let mut first = writer();
            let mut text = shown(&mut first, &pieces[..cut], true);
            assert!("so 😀!".starts_with(&text), "{text:?}");
            let mut second = writer();
            if let Some(answer) = first.exact_answer() {
                assert_eq!((answer.text.as_str(), answer.tokens.len()), (text.as_str(), cut));
                let known = answer.tokens.into_iter().zip(pieces.iter().map(|piece| piece.to_vec()));
                second.go_on(&text, known);
            }
            text.push_str(&shown(&mut second, &pieces[cut..], false));
            assert_eq!(text, "so 😀!");
            let whole = second.exact_answer().unwrap();
            assert_eq!((whole.text.as_str(), whole.tokens.len()), ("so 😀!", pieces.len()));
        }
    }

    #[test]
    fn a_model_that_ends_its_turn_inside_of_a_character_leaves_a_mark() {
        assert_eq!(shown(&mut writer(), &[b"so ", b"\xf0\x9f"], false), "so \u{fffd}");
    }

    #[test]
    fn what_goes_on_with_an_answer_is_no_thought() {
        let mut writer = writer();
        writer.go_on("Use", [(1, b"Use".to_vec())].into_iter());
        assert_eq!(shown(&mut writer, &[b" ", b"<think>", b" tags"], false), " <think> tags");
    }

    #[test]
    fn an_answer_whose_tokens_say_something_else_goes_on_and_is_not_known() {
        let mut writer = writer();
        writer.go_on("Well", [(1, b"Other".to_vec())].into_iter());
        assert_eq!(shown(&mut writer, &[b" then"], false), " then");
        assert!(writer.exact_answer().is_none());
    }
}
