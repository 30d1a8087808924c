//! Tells a reasoning model's thoughts from its answer: what it writes between `<think>` and `</think>` before the
//! answer begins.

use super::protocol::Channel;

const BEGIN: &str = "<think>";
const END: &str = "</think>";

/// Where the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space came yet, and perhaps a part of the opening tag.
    Start,
    Thinking,
    /// The thoughts ended; white space before the answer is dropped.
    Between,
    Answer,
}

/// Splits streamed text into thoughts and answer.
#[derive(Debug)]
pub struct ThinkingFilter {
    state: State,
    held: String,
}

impl ThinkingFilter {
    /// `open` if the prompt itself ends in an opening tag, as the templates of some models write it.
    pub fn new(open: bool) -> Self {
        Self { state: if open { State::Thinking } else { State::Start }, held: String::new() }
    }

    /// For text in the middle of an answer.
    pub fn in_answer() -> Self {
        Self { state: State::Answer, held: String::new() }
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
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(BEGIN) {
                    self.held = rest.to_owned();
                    self.state = State::Thinking;
                } else if BEGIN.starts_with(text) {
                    return false;
                } else {
                    self.state = State::Answer;
                }
            }
            State::Thinking => {
                if let Some(end) = self.held.find(END) {
                    let thoughts: String = self.held.drain(..end).collect();
                    self.held.drain(..END.len());
                    if !thoughts.is_empty() {
                        parts.push((Channel::Thinking, thoughts));
                    }
                    self.state = State::Between;
                } else {
                    let certain = self.held.len() - beginning_of_end(&self.held);
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
fn beginning_of_end(text: &str) -> usize {
    (1..END.len()).rev().find(|length| text.ends_with(&END[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (thoughts, answer) of a text that comes in parts of `size` bytes.
    fn split(text: &str, open: bool, size: usize) -> (String, String) {
        let mut filter = ThinkingFilter::new(open);
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
    fn tags_inside_an_answer_are_text() {
        assert_eq!(split("Use <think> here", false, 6), (String::new(), "Use <think> here".into()));
    }
}
