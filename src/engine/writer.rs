//! From tokens to the pieces of an answer: whole characters, thoughts apart from the answer, nothing behind a stop
//! string.

use super::llama::Token;
use super::protocol::{Channel, GenerateOptions, Piece, Step};
use super::stop::{Filtered, StopFilter};
use super::thinking::ThinkingFilter;
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
    /// All tokens so far and the bytes they stand for; `plain` while every byte of them was shown as the answer.
    tokens: Vec<Token>,
    bytes: usize,
    answer: String,
    plain: bool,
}

impl Writer {
    pub fn new(options: &GenerateOptions, starts_thinking: bool) -> Self {
        Self {
            utf8: Utf8Stream::default(),
            thinking: ThinkingFilter::new(starts_thinking),
            stop: StopFilter::new(&options.stop),
            answering: false,
            stopped: false,
            ready: Vec::new(),
            tokens: Vec::new(),
            bytes: 0,
            answer: String::new(),
            plain: true,
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

    pub fn push(&mut self, token: Token, bytes: &[u8]) {
        self.tokens.push(token);
        self.bytes += bytes.len();
        // A control token in mid-answer leaves no trace in the text, so the text does not tell the tokens any more.
        self.plain &= !bytes.is_empty();
        let text = self.utf8.push(bytes);
        self.pass(&text);
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
