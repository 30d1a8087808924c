//! What a server is asked: the JSON of a chat completion.

use serde_json::{Map, Value, json};

use crate::chat::Role;
use crate::engine::protocol::{Constraint, GenerateOptions, Prompt, Think};

/// How much is asked for beside what OpenAI's own servers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it; most servers leave out what they do not know.
    #[default]
    Full,
    /// Nothing: the server refused a fuller request.
    Plain,
    /// Nothing, and schemas in the form that servers had before OpenAI had one (llama-cpp-python's still).
    Older,
}

impl Extent {
    /// What may be taken where this was refused.
    pub fn less(self, constraint: Option<&Constraint>) -> Option<Self> {
        match (self, constraint) {
            (Self::Full, _) => Some(Self::Plain),
            (Self::Plain, Some(Constraint::Schema(_))) => Some(Self::Older),
            (Self::Plain | Self::Older, _) => None,
        }
    }
}

/// Whom this is for.
#[derive(Clone, Copy, Debug)]
pub struct To<'to> {
    pub model: &'to str,
    /// It is llama.cpp's own server, which knows grammars.
    pub is_llama: bool,
}

/// The body of the request. `seed` is the one that is used.
///
/// # Errors
/// A sentence where something is asked for that no server can be trusted with.
pub fn body(
    to: To<'_>,
    prompt: &Prompt,
    options: &GenerateOptions,
    seed: u32,
    extent: Extent,
) -> Result<Value, String> {
    if options.weighed > 0 {
        return Err("how likely tokens were is told by models of this machine only; leave `--logprobs` out".into());
    }
    let messages: Vec<Value> =
        prompt.messages.iter().map(|message| json!({"role": message.role.as_str(), "content": message.text})).collect();
    let sampling = &options.sampling;
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| drop(body.insert(key.into(), value));
    put("model", to.model.into());
    put("messages", messages.into());
    put("stream", true.into());
    put("temperature", rounded(sampling.temperature));
    put("top_p", rounded(sampling.top_p));
    put("seed", seed.into());
    if let Some(most) = options.max_tokens {
        put("max_tokens", most.into());
    }
    if !options.stop.is_empty() {
        put("stop", json!(options.stop));
    }
    if let Some(constraint) = &options.constraint {
        let (key, form) = form(to, constraint, extent)?;
        put(key, form);
    }
    if extent != Extent::Full {
        return Ok(body.into());
    }
    put("stream_options", json!({"include_usage": true}));
    put("top_k", sampling.top_k.into());
    put("min_p", rounded(sampling.min_p));
    put("repeat_penalty", rounded(sampling.repeat_penalty));
    put("repetition_penalty", rounded(sampling.repeat_penalty));
    if let Some(thinks) = options.think.is_wanted() {
        put("chat_template_kwargs", json!({"enable_thinking": thinks}));
    }
    if let Think::Budget(most) = options.think {
        put("thinking_budget_tokens", most.into());
    }
    let goes_on = prompt.messages.last().is_some_and(|last| last.role == Role::Assistant);
    if goes_on {
        put("add_generation_prompt", false.into());
        put("continue_final_message", true.into());
    }
    Ok(body.into())
}

/// What holds the answer to a form: the key and its value.
fn form(to: To<'_>, constraint: &Constraint, extent: Extent) -> Result<(&'static str, Value), String> {
    match constraint {
        Constraint::Schema(schema) => {
            let schema: Value =
                serde_json::from_str(schema).map_err(|error| format!("the schema is no JSON: {error}"))?;
            if extent == Extent::Older {
                return Ok(("response_format", json!({"type": "json_object", "schema": schema})));
            }
            let named = json!({"name": "answer", "schema": schema, "strict": true});
            Ok(("response_format", json!({"type": "json_schema", "json_schema": named})))
        }
        Constraint::Grammar(grammar) if to.is_llama => Ok(("grammar", grammar.as_str().into())),
        Constraint::Grammar(_) => {
            Err("only llama.cpp's own server knows grammars; hold the answer to a JSON schema with `--schema`, or take the \
                 grammar back with `--grammar off`"
                .into())
        }
    }
}

/// A number as it was typed, without the digits that a float of half the size adds.
fn rounded(number: f32) -> Value {
    let short = number.to_string().parse::<f64>();
    json!(short.unwrap_or(f64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Sampling};

    const VLLM: To<'static> = To { model: "m", is_llama: false };

    fn prompt(messages: &[(Role, &str)]) -> Prompt {
        let messages = messages.iter().map(|(role, text)| Message::new(*role, *text)).collect();
        Prompt { chat: None, messages }
    }

    #[test]
    fn the_conversation_and_how_it_is_answered_are_told() {
        let options = GenerateOptions {
            sampling: Sampling { temperature: 0.7, ..Sampling::default() },
            max_tokens: Some(9),
            stop: vec!["END".into()],
            think: Think::Off,
            ..GenerateOptions::default()
        };
        let prompt = prompt(&[(Role::System, "Be kind."), (Role::User, "Hi")]);
        let full = body(VLLM, &prompt, &options, 7, Extent::Full).unwrap();
        let expected = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]);
        assert_eq!(full["messages"], expected);
        assert_eq!((&full["temperature"], &full["max_tokens"], &full["seed"]), (&json!(0.7), &json!(9), &json!(7)));
        assert_eq!(
            (&full["stop"], &full["chat_template_kwargs"]),
            (&json!(["END"]), &json!({"enable_thinking": false}))
        );
        assert_eq!(full["stream_options"]["include_usage"], true);
        let plain = body(VLLM, &prompt, &options, 7, Extent::Plain).unwrap();
        assert!(
            ["top_k", "min_p", "stream_options", "chat_template_kwargs"].iter().all(|key| plain.get(key).is_none())
        );
        assert_eq!(plain["messages"], expected);
    }

    #[test]
    fn a_schema_is_passed_on_even_in_the_plainest_request() {
        let constraint = Some(Constraint::Schema(r#"{"type": "object"}"#.into()));
        let options = GenerateOptions { constraint, ..GenerateOptions::default() };
        let body = body(VLLM, &prompt(&[(Role::User, "Hi")]), &options, 7, Extent::Plain).unwrap();
        assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
        let older = super::body(VLLM, &prompt(&[(Role::User, "Hi")]), &options, 7, Extent::Older).unwrap();
        assert_eq!(older["response_format"], json!({"type": "json_object", "schema": {"type": "object"}}));
    }

    #[test]
    fn what_a_server_cannot_be_asked_is_a_sentence() {
        let prompt = prompt(&[(Role::User, "Hi")]);
        let constraint = Some(Constraint::Grammar("root ::= \"a\"".into()));
        let options = GenerateOptions { constraint, ..GenerateOptions::default() };
        assert!(body(VLLM, &prompt, &options, 7, Extent::Full).unwrap_err().contains("--grammar off"));
        let llama = To { is_llama: true, ..VLLM };
        assert_eq!(body(llama, &prompt, &options, 7, Extent::Full).unwrap()["grammar"], "root ::= \"a\"");
        let options = GenerateOptions { weighed: 3, ..GenerateOptions::default() };
        assert!(body(VLLM, &prompt, &options, 7, Extent::Full).unwrap_err().contains("--logprobs"));
    }

    #[test]
    fn an_answer_is_gone_on_with() {
        let prompt = prompt(&[(Role::User, "Count."), (Role::Assistant, "One,")]);
        let options = GenerateOptions::default();
        assert_eq!(body(VLLM, &prompt, &options, 7, Extent::Full).unwrap()["continue_final_message"], true);
    }
}
