//! Ends a model's thoughts after a number of tokens, by writing the closing tag in its place.

use std::collections::VecDeque;

use crate::engine::llama::Token;

/// Watches how long a model thinks.
#[derive(Debug)]
pub struct ThoughtLimit {
    /// `None` where there is no limit, or it was reached.
    most: Option<u32>,
    spent: u32,
    forced: VecDeque<Token>,
}

impl ThoughtLimit {
    /// At most so many tokens of thoughts; `None` for any number.
    pub fn new(most: Option<u32>) -> Self {
        Self { most, spent: 0, forced: VecDeque::new() }
    }

    /// The token that must come next, whatever the model would say; `None` leaves it the choice. Called once for each
    /// token. `close` gives the tokens that end the thoughts, told whether there are any.
    pub fn next(&mut self, is_thinking: bool, close: impl FnOnce(bool) -> Vec<Token>) -> Option<Token> {
        if is_thinking && self.forced.is_empty() {
            if self.most.is_some_and(|most| self.spent >= most) {
                // Once: a vocabulary in which the tag is another text must not be asked for it for ever.
                self.most = None;
                self.forced = close(self.spent > 0).into();
            } else {
                self.spent = self.spent.saturating_add(1);
            }
        }
        self.forced.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is forced at each of some tokens, if the closing tag is 7 and 8 and ends the thoughts if it can.
    fn run(most: Option<u32>, thinks_from: usize, can_be_ended: bool) -> Vec<Option<Token>> {
        let mut limit = ThoughtLimit::new(most);
        let mut ended = false;
        (0..6)
            .map(|index| {
                let forced = limit.next(index >= thinks_from && !ended, |_| vec![7, 8]);
                ended |= forced == Some(8) && can_be_ended;
                forced
            })
            .collect()
    }

    #[test]
    fn thoughts_are_ended_after_their_tokens() {
        assert_eq!(run(Some(2), 0, true), [None, None, Some(7), Some(8), None, None]);
        assert_eq!(run(Some(2), 1, true), [None, None, None, Some(7), Some(8), None]);
        assert_eq!(run(Some(0), 1, true), [None, Some(7), Some(8), None, None, None]);
    }

    #[test]
    fn nothing_is_forced_where_there_is_no_limit_or_no_thought() {
        assert_eq!(run(None, 0, true), [None; 6]);
        assert_eq!(run(Some(0), 9, true), [None; 6]);
    }

    #[test]
    fn a_tag_that_ends_nothing_is_forced_only_once() {
        assert_eq!(run(Some(1), 0, false), [None, Some(7), Some(8), None, None, None]);
    }

    #[test]
    fn whether_there_were_thoughts_is_told() {
        let mut limit = ThoughtLimit::new(Some(0));
        limit.next(true, |any| {
            assert!(!any);
            Vec::new()
        });
    }
}
