//! Tells a reasoning model's thoughts from its answer: what it writes between its tags before the answer begins.

use super::Tags;
use crate::engine::protocol::Channel;

/// Where the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space came yet, and perhaps a part of a tag.
    Start,
    Thinking,
    /// The thoughts ended; white space before the answer is dropped.
    Between,
    Answer,
}

/// Splits streamed text into thoughts and answer.
#[derive(Debug)]
pub struct ThinkingFilter {
    tags: Tags,
    state: State,
    held: String,
}

impl ThinkingFilter {
    /// `open` if the prompt itself ends in an opening tag, as the templates of some models write it.
    pub fn new(tags: Tags, open: bool) -> Self {
        Self { tags, state: if open { State::Thinking } else { State::Start }, held: String::new() }
    }

    /// Whether the text is amid thoughts.
    pub fn is_thinking(&self) -> bool {
        self.state == State::Thinking
    }

    /// What is missing to end the thoughts: of the closing tag, only what was not written yet.
    pub fn closing(&self, thoughts_end_in_their_line: bool) -> String {
        let written = beginning_of_end(&self.held, self.tags.close);
        let closing = self.tags.closing(thoughts_end_in_their_line && written == 0);
        closing[written..].to_owned()
    }

    /// Whether `text`, coming next, would be no part of the answer: the opening tag, thoughts, the closing tag, or
    /// white space behind it.
    pub fn is_outside_answer(&self, text: &str) -> bool {
        match self.state {
            State::Start => self.held.is_empty() && text.trim() == self.tags.open,
            State::Thinking => {
                let thoughts = format!("{}{text}", self.held);
                thoughts.split_once(self.tags.close).is_none_or(|(_, rest)| rest.trim().is_empty())
            }
            State::Between => !text.is_empty() && text.trim().is_empty(),
            State::Answer => false,
        }
    }

    /// The parts that are certain now.
    pub fn push(&mut self, text: &str) -> Vec<(Channel, String)> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// What was kept back, when no more text will come.
    pub fn finish(&mut self) -> Option<(Channel, String)> {
        let channel = match self.state {
            State::Start | State::Answer => Channel::Answer,
            State::Thinking => Channel::Thinking,
            State::Between => return None,
        };
        Some((channel, std::mem::take(&mut self.held))).filter(|(_, text)| !text.is_empty())
    }

    /// Takes one decision about the held text; `false` if there is none to take yet.
    fn step(&mut self, parts: &mut Vec<(Channel, String)>) -> bool {
        match self.state {
            State::Start => {
                let Tags { open, answer, .. } = self.tags;
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(open) {
                    self.held = rest.to_owned();
                    self.state = State::Thinking;
                } else if let Some(rest) = text.strip_prefix(answer).filter(|_| !answer.is_empty()) {
                    self.held = rest.to_owned();
                    self.state = State::Answer;
                } else if open.starts_with(text) || answer.starts_with(text) {
                    return false;
                } else {
                    self.state = State::Answer;
                }
            }
            State::Thinking => {
                if let Some(end) = self.held.find(self.tags.close) {
                    let thoughts: String = self.held.drain(..end).collect();
                    self.held.drain(..self.tags.close.len());
                    if !thoughts.is_empty() {
                        parts.push((Channel::Thinking, thoughts));
                    }
                    self.state = State::Between;
                } else {
                    let certain = self.held.len() - beginning_of_end(&self.held, self.tags.close);
                    if certain > 0 {
                        parts.push((Channel::Thinking, self.held.drain(..certain).collect()));
                    }
                    return false;
                }
            }
            State::Between => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Answer;
            }
            State::Answer => {
                if !self.held.is_empty() {
                    parts.push((Channel::Answer, std::mem::take(&mut self.held)));
                }
                return false;
            }
        }
        true
    }
}

/// Bytes at the end of the text that may be the beginning of the closing tag.
fn beginning_of_end(text: &str, close: &str) -> usize {
    (1..close.len()).rev().find(|length| close.get(..*length).is_some_and(|part| text.ends_with(part))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (thoughts, answer) of a text that comes in parts of `size` bytes, with the usual tags.
    fn split(text: &str, open: bool, size: usize) -> (String, String) {
        split_by(Tags::default(), text, open, size)
    }

    fn split_by(tags: Tags, text: &str, open: bool, size: usize) -> (String, String) {
        let mut filter = ThinkingFilter::new(tags, open);
        let (mut thoughts, mut answer) = (String::new(), String::new());
        let mut add = |(channel, text): (Channel, String)| match channel {
            Channel::Thinking => thoughts.push_str(&text),
            Channel::Answer => answer.push_str(&text),
        };
        for part in text.as_bytes().chunks(size) {
            filter.push(std::str::from_utf8(part).unwrap()).into_iter().for_each(&mut add);
        }
        filter.finish().into_iter().for_each(&mut add);
        (thoughts, answer)
    }

    #[test]
    fn thoughts_and_answer_are_told_apart_however_the_text_is_split() {
        for size in 1..30 {
            let parts = split("\n<think>\nHm, 2 < 3.\n</think>\n\nYes.", false, size);
            assert_eq!(parts, ("\nHm, 2 < 3.\n".into(), "Yes.".into()), "parts of {size}");
        }
    }

    #[test]
    fn an_answer_without_thoughts_keeps_its_white_space() {
        assert_eq!(split("  <b>Yes</b>", false, 3), (String::new(), "  <b>Yes</b>".into()));
        assert_eq!(split(" ", false, 1), (String::new(), " ".into()));
    }

    #[test]
    fn a_prompt_that_opened_the_thoughts_needs_only_their_end() {
        assert_eq!(split("Hm.</think>Yes.", true, 4), ("Hm.".into(), "Yes.".into()));
    }

    #[test]
    fn thoughts_that_were_cut_off_are_still_thoughts() {
        assert_eq!(split("<think>Hm, </thi", false, 5), ("Hm, </thi".into(), String::new()));
    }

    #[test]
    fn what_is_no_part_of_the_answer_is_known_before_it_comes() {
        let mut filter = ThinkingFilter::new(Tags::default(), false);
        let mut outside = |text: &str| {
            let outside = filter.is_outside_answer(text);
            filter.push(text);
            outside
        };
        for (text, expected) in [
            ("<think>\n", true),
            ("Hm", true),
            ("</thi", true),
            ("nk>\n", true),
            (" ", true),
            ("{", false),
            (" ", false),
        ] {
            assert_eq!(outside(text), expected, "{text}");
        }
        assert!(!ThinkingFilter::new(Tags::default(), false).is_outside_answer("{"));
        assert!(
            !ThinkingFilter::new(Tags::default(), true).is_outside_answer("</think>{"),
            "the answer must not begin unseen"
        );
    }

    #[test]
    fn tags_inside_an_answer_are_text() {
        assert_eq!(split("Use <think> here", false, 6), (String::new(), "Use <think> here".into()));
    }

    #[test]
    fn the_channels_of_a_model_are_told_apart_however_the_text_is_split() {
        let tags = Tags::of("<|channel|>analysis<|message|>");
        let text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.";
        for size in 1..90 {
            assert_eq!(split_by(tags, text, false, size), ("Hm.".into(), "Yes.".into()), "parts of {size}");
            let answer = split_by(tags, "<|channel|>final<|message|>Yes.", false, size);
            assert_eq!(answer, (String::new(), "Yes.".into()), "parts of {size}");
        }
    }

    #[test]
    fn what_ends_the_thoughts_goes_on_from_what_was_written_of_the_closing_tag() {
        let mut filter = ThinkingFilter::new(Tags::default(), true);
        assert_eq!(filter.closing(false), "</think>\n\n");
        filter.push("Hm.");
        assert_eq!(filter.closing(true), "\n</think>\n\n");
        filter.push("</th");
        assert_eq!(filter.closing(true), "ink>\n\n");
        filter.push("ink>");
        assert!(!filter.is_thinking());
    }
}
