//! What a model would see of a conversation, without answering it: for people who debug templates and for tests.

use std::path::Path;

use serde::Serialize;

use super::llama::{LoadError, Model, Token, TokenKind};
use super::prompt::{self, KnownAnswers, SpecialTexts};
use super::protocol::EngineError;
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

/// Renders and tokenises a conversation as the model in this file would see it. Only the vocabulary is loaded.
///
/// # Errors
/// If the file is no model, or its template fails.
pub fn with_model(path: &Path, messages: &[Message]) -> Result<Inspection, EngineError> {
    let vocabulary = Vocabulary::load(path)?;
    let rendered = match vocabulary.model.chat_template() {
        Some(source) => {
            let text_of =
                |token: Option<Token>| token.map(|token| vocabulary.model.token_text(token)).unwrap_or_default();
            let (begin, end) = (text_of(vocabulary.model.begin_token()), text_of(vocabulary.model.end_token()));
            render(&source, &begin, &end, messages)?
        }
        None => render_plain(messages),
    };
    let tokens = vocabulary.tokens(&rendered);
    Ok(Inspection { text: rendered.text, tokens: Some(tokens) })
}

/// Renders a conversation with a Jinja template.
///
/// # Errors
/// If the template is not valid, or fails.
pub fn with_template(source: &str, messages: &[Message]) -> Result<Inspection, EngineError> {
    Ok(Inspection { text: render(source, "", "", messages)?.text, tokens: None })
}

/// The texts of the special tokens in the vocabulary of the model in this file.
///
/// # Errors
/// If the file is no model.
pub fn special_texts(path: &Path) -> Result<Vec<String>, EngineError> {
    let model = Vocabulary::load(path)?.model;
    let all = 0..model.vocabulary_size() as Token;
    Ok(all.filter(|token| is_special(&model, *token)).map(|token| model.token_text(token)).collect())
}

fn render(source: &str, begin: &str, end: &str, messages: &[Message]) -> Result<Rendered, EngineError> {
    Template::new(source, begin, end).and_then(|mut template| template.render(messages)).map_err(EngineError::Template)
}

fn is_special(model: &Model, token: Token) -> bool {
    model.token_kind(token) != TokenKind::Text
}

struct Vocabulary {
    model: Model,
    special: SpecialTexts,
}

impl Vocabulary {
    fn load(path: &Path) -> Result<Self, EngineError> {
        let bad = |words: &str| EngineError::bad_model(path, words);
        gguf::read_header(path).map_err(|error| bad(&error.to_string()))?;
        let model = Model::load_vocabulary(path).map_err(|error| match error {
            LoadError::Cancelled => bad("loading was cancelled"),
            LoadError::Refused(words) => bad(&words),
        })?;
        let special = SpecialTexts::of(&model);
        Ok(Self { model, special })
    }

    fn tokens(&self, rendered: &Rendered) -> Vec<InspectedToken> {
        prompt::tokenize(&self.model, &self.special, &KnownAnswers::new(), rendered)
            .into_iter()
            .map(|id| {
                let special = is_special(&self.model, id);
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
