//! What a model would see of a conversation, without answering it: for people who debug templates and for tests.

use std::path::Path;

use serde::Serialize;

use super::llama::{LoadError, Model, Token, TokenKind};
use super::prompt::{self, KnownAnswers, SpecialTexts};
use super::protocol::{EngineError, Think};
use super::template::{Rendered, Template, render_plain};
use crate::chat::Message;
use crate::models::gguf;

/// A prompt as text and as tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    pub text: String,
    /// `None` where only a template was given and no vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<InspectedToken>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedToken {
    pub id: Token,
    /// As the vocabulary writes it for special tokens, else the text it stands for.
    pub text: String,
    /// A control token or one that the model's makers added.
    pub special: bool,
}

/// A token that stands for something else than the text it is written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialToken {
    pub id: Token,
    /// As the vocabulary writes it.
    pub text: String,
    /// Ends a turn, names a role and so on; not one that the model's makers added as a word of its own.
    pub control: bool,
}

/// Renders and tokenises a conversation as the model in this file would see it. Only the vocabulary is loaded.
///
/// # Errors
/// If the file is no model, or its template fails.
pub fn with_model(path: &Path, messages: &[Message], think: Think) -> Result<Inspection, EngineError> {
    Inspector::load(path)?.inspect(messages, think)
}

/// Renders a conversation with a Jinja template.
///
/// # Errors
/// If the template is not valid, or fails.
pub fn with_template(source: &str, messages: &[Message], think: Think) -> Result<Inspection, EngineError> {
    let rendered = Template::new(source, "", "").and_then(|mut template| template.render(messages, think));
    Ok(Inspection { text: rendered.map_err(EngineError::Template)?.text, tokens: None })
}

/// A model's vocabulary and template, for any number of conversations.
#[derive(Debug)]
pub struct Inspector {
    model: Model,
    special: SpecialTexts,
    /// `None` for a base model.
    template: Option<Template>,
}

impl Inspector {
    /// Loads the vocabulary and the template of the model in this file.
    ///
    /// # Errors
    /// If the file is no model, or its template is not valid.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let bad = |words: &str| EngineError::bad_model(path, words);
        gguf::read_header(path).map_err(|error| bad(&error.to_string()))?;
        let model = Model::load_vocabulary(path).map_err(|error| match error {
            LoadError::Cancelled => bad("loading was cancelled"),
            LoadError::NoStart(words) => EngineError::Failed(words),
            LoadError::Refused(words) => bad(&words),
        })?;
        let text_of = |token: Option<Token>| token.map(|token| model.token_text(token)).unwrap_or_default();
        let (begin, end) = (text_of(model.begin_token()), text_of(model.end_token()));
        let template = model.chat_template().map(|source| Template::new(&source, &begin, &end)).transpose();
        let template = template.map_err(EngineError::Template)?;
        Ok(Self { special: SpecialTexts::of(&model), model, template })
    }

    /// Renders and tokenises a conversation as the model would see it.
    ///
    /// # Errors
    /// If the template fails.
    pub fn inspect(&mut self, messages: &[Message], think: Think) -> Result<Inspection, EngineError> {
        let rendered = match &mut self.template {
            Some(template) => template.render(messages, think).map_err(EngineError::Template)?,
            None => render_plain(messages),
        };
        let tokens = self.tokens(&rendered);
        Ok(Inspection { text: rendered.text, tokens: Some(tokens) })
    }

    /// All special tokens of the vocabulary.
    pub fn special_tokens(&self) -> Vec<SpecialToken> {
        let all = 0..self.model.vocabulary_size() as Token;
        all.filter_map(|id| {
            let control = match self.model.token_kind(id) {
                TokenKind::Text => return None,
                TokenKind::Control => true,
                TokenKind::UserDefined => false,
            };
            Some(SpecialToken { id, text: self.model.token_text(id), control })
        })
        .collect()
    }

    fn tokens(&self, rendered: &Rendered) -> Vec<InspectedToken> {
        prompt::tokenize(&self.model, &self.special, &KnownAnswers::new(), rendered)
            .into_iter()
            .map(|id| {
                let special = self.model.token_kind(id) != TokenKind::Text;
                let text = if special {
                    self.model.token_text(id)
                } else {
                    String::from_utf8_lossy(&self.model.piece(id)).into_owned()
                };
                InspectedToken { id, text, special }
            })
            .collect()
    }
}
