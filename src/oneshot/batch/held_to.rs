//! What the answers of a batch are held to: each schema and grammar is checked once, however many items have it.

use std::collections::HashMap;

use crate::engine::constraint::{self, Validator};
use crate::engine::protocol::{Constraint, GenerateOptions};

/// The constraints that were met.
#[derive(Debug, Default)]
pub struct HeldTo {
    /// By their text, with what whole answers are checked against; or why no answer can be held to it.
    schemas: HashMap<String, Result<Validator, String>>,
    grammars: HashMap<String, Result<(), String>>,
}

impl HeldTo {
    /// Whether answers can be held to this.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&mut self, constraint: &Constraint) -> Result<(), String> {
        self.check_from(constraint, "")
    }

    /// The same, with a word in messages about where it is from.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check_from(&mut self, constraint: &Constraint, origin: &str) -> Result<(), String> {
        let check = || constraint::check_from(constraint, origin);
        match constraint {
            Constraint::Schema(text) if self.schemas.contains_key(text) => {}
            Constraint::Schema(text) => {
                let validator = check().and_then(|()| Validator::new(text));
                self.schemas.insert(text.clone(), validator);
            }
            Constraint::Grammar(text) => {
                self.grammars.entry(text.clone()).or_insert_with(check);
            }
        }
        let known = match constraint {
            Constraint::Schema(text) => self.schemas.get(text).and_then(|checked| checked.as_ref().err()),
            Constraint::Grammar(text) => self.grammars.get(text).and_then(|checked| checked.as_ref().err()),
        };
        known.cloned().map_or(Ok(()), Err)
    }

    /// What a whole answer is checked against.
    pub fn validator(&self, options: &GenerateOptions) -> Option<&Validator> {
        match &options.constraint {
            Some(Constraint::Schema(text)) => self.schemas.get(text)?.as_ref().ok(),
            _ => None,
        }
    }
}
