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
    /// Whether a stop string came.
    pub stopped: bool,
    ready: Vec<(Channel, String)>,
    /// All tokens so far and the bytes they stand for; `plain` while every byte of them was shown as the answer.
    tokens: Vec<Token>,
    bytes: usize,
    answer: String,
    plain: bool,
}

impl Writer {
    pub fn new(options: &GenerateOptions, tags: Tags, starts_thinking: bool) -> Self {
        Self {
            utf8: Utf8Stream::default(),
            thinking: ThinkingFilter::new(tags, starts_thinking),
            stop: StopFilter::new(&options.stop),
            stopped: false,
            ready: Vec::new(),
            tokens: Vec::new(),
            bytes: 0,
            answer: String::new(),
            plain: true,
        }
    }

    pub fn push(&mut self, token: Token, bytes: &[u8]) {
        self.tokens.push(token);
        self.bytes += bytes.len();
        // A control token in mid-answer leaves no trace in the text, so the text does not tell the tokens any more.
        self.plain &= !bytes.is_empty();
        let text = self.utf8.push(bytes);
        self.pass(&text);
    }

    /// Whether the model is amid its thoughts.
    pub fn is_thinking(&self) -> bool {
        self.thinking.is_thinking()
    }

    /// What is missing to end the thoughts; see [`ThinkingFilter::closing`].
    pub fn closing(&self, thoughts_end_in_their_line: bool) -> String {
        self.thinking.closing(thoughts_end_in_their_line)
    }

    /// No more tokens will come: what was kept back is shown after all.
    pub fn finish(&mut self) {
        if self.stopped {
            return;
        }
        let text = self.utf8.finish();
        self.pass(&text);
        if let Some((channel, text)) = self.thinking.finish() {
            self.show(channel, text);
        }
        let held = self.stop.finish();
        self.ready.push((Channel::Answer, held));
    }

    fn pass(&mut self, text: &str) {
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
            match channel {
                Channel::Answer => self.answer.push_str(&text),
                Channel::Thinking => self.plain = false,
            }
            if !emit(Step::Token(Piece { channel, text, tokens })) {
                return false;
            }
        }
        true
    }

    /// The answer and its tokens, if the text is exactly what the tokens stand for.
    pub fn exact_answer(self) -> Option<(String, Vec<Token>)> {
        let exact = self.plain && self.answer.len() == self.bytes && !self.answer.is_empty();
        exact.then_some((self.answer, self.tokens))
    }
}
