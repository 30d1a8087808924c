//! How many items failed, and what a run that is done makes of that. Pure.

use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::models::shell_word;

/// What became of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: usize,
    /// Answers that do not satisfy their schema.
    pub unsatisfied: usize,
    /// Items that failed otherwise.
    pub failed: usize,
}

impl Tally {
    /// One more item is done, with an error of this exit code or none.
    pub fn add(&mut self, error: Option<u8>) {
        self.done += 1;
        match error {
            None => {}
            Some(code) if code == Exit::Unsatisfied.code() => self.unsatisfied += 1,
            Some(_) => self.failed += 1,
        }
    }

    /// What became of all of them, whose lines were `written` into this file or on stdout.
    ///
    /// # Errors
    /// If an item failed: 7 if some answers do not satisfy their schema and nothing else is wrong, else 1.
    pub fn outcome(self, written: Option<&Path>) -> Result<Exit, Failure> {
        let Self { done, unsatisfied, failed } = self;
        let of = if done == 1 { "1 item".to_owned() } else { format!("{done} items") };
        let why = match written {
            Some(path) => {
                let file = shell_word(&path.to_string_lossy());
                format!("`jq -c 'select(.error) | [.id, .error.message]' {file}` says why")
            }
            None => "the `error` of each says why".into(),
        };
        match (failed, unsatisfied) {
            (0, 0) => Ok(Exit::Success),
            (0, answers) => {
                let sentence = format!("of {of} {answers} got an answer that does not satisfy the schema");
                Err(Failure::unsatisfied(sentence).hint(why))
            }
            (_, _) => Err(Failure::error(format!("of {of} {} failed", failed + unsatisfied)).hint(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_whether_all_items_have_their_answers() {
        let code = |errors: &[Option<u8>]| {
            let mut tally = Tally::default();
            errors.iter().for_each(|error| tally.add(*error));
            tally.outcome(None).unwrap_or_else(|failure| failure.exit).code()
        };
        assert_eq!((code(&[]), code(&[None])), (0, 0));
        assert_eq!((code(&[None, Some(7)]), code(&[Some(7), Some(2)]), code(&[Some(1)])), (7, 1, 1));
    }
}
