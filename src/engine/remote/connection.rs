//! A server that was found, with the model that is asked there: which there are, and what the server tells of itself.

use std::cell::Cell;
use std::path::Path;

use serde_json::Value;

use super::address::Server;
use super::http::{Http, Refusal};
use super::patience::Patience;
use super::request::{Extent, To};
use crate::engine::protocol::{CancelFlag, EngineError, ModelInfo, ServerInfo};
use crate::text::escape_line;

const MODELS: &str = "models";
/// llama-server's page about itself lies beside OpenAI's paths.
const PROPS: &str = "../props";
/// More names than a sentence holds.
const MOST_NAMED: usize = 8;

/// A model as a server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is called there.
    pub id: String,
    /// Tokens that fit into its context, where the list says so.
    pub context: Option<u32>,
    pub parameters: Option<u64>,
    pub bytes: Option<u64>,
    pub trained_context: Option<u32>,
    /// Who owns it, which tells one kind of server from another.
    owner: String,
}

impl Listed {
    /// The name without the folders, if it is that of a file.
    pub fn name(&self) -> &str {
        let file = Path::new(&self.id).file_stem().and_then(|name| name.to_str());
        if self.id.ends_with(".gguf") { file.unwrap_or(&self.id) } else { &self.id }
    }

    fn is_llama(&self) -> bool {
        self.owner == "llamacpp"
    }
}

/// A server and the model that is asked there.
pub struct Connection {
    pub(super) http: Http,
    server: Server,
    model: Listed,
    program: Option<String>,
    context: Option<u32>,
    /// Answers that it computes at once, where it says so.
    pub(super) slots: Option<u32>,
    /// How much it takes in a request, as far as was tried.
    pub(super) extent: Cell<Extent>,
}

impl Connection {
    /// Asks a server for its models, and takes the one that was named, or the only one.
    pub async fn open(server: Server, wanted: Option<&str>, stops: &[&CancelFlag]) -> Result<Self, EngineError> {
        let refused = |refusal: Refusal| error(&server, refusal);
        let http = Http::new(server.base(), server.key(), true).map_err(EngineError::Server)?;
        let mut patience = Patience::default();
        let listed = loop {
            match list_of(&http, stops).await {
                // A server that loads its model says that it is busy.
                Err(refusal @ Refusal::Status { .. }) => match patience.wait_after(refusal, stops).await {
                    Ok(()) => {}
                    Err(refusal) => break Err(refusal),
                },
                listed => break listed,
            }
        };
        let models = match (listed, wanted) {
            (Ok(models), _) => models,
            // A server without a list may answer all the same.
            (Err(Refusal::Status { status: 404 | 405 | 501, .. }), Some(_)) => Vec::new(),
            (Err(refusal), _) => return Err(refused(refusal)),
        };
        let model = choose(&server, models, wanted).map_err(EngineError::Server)?;
        let mut connection =
            Self { http, program: None, context: model.context, slots: None, extent: Cell::default(), server, model };
        if connection.model.is_llama() {
            connection.ask_about_itself(stops).await;
        }
        Ok(connection)
    }

    /// What llama-server tells of itself. One that does not is none the worse.
    async fn ask_about_itself(&mut self, stops: &[&CancelFlag]) {
        let Ok(props) = self.http.json(PROPS, None, stops).await else { return };
        let count = |place: &str| props.pointer(place).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
        self.program = props.get("build_info").and_then(Value::as_str).map(|build| format!("llama-server {build}"));
        self.context = count("/default_generation_settings/n_ctx").or(self.context);
        self.slots = count("/total_slots").filter(|slots| *slots > 0);
    }

    /// What the model is called there.
    pub(super) fn model_name(&self) -> &str {
        self.model.name()
    }

    pub(super) fn to(&self) -> To<'_> {
        To { model: &self.model.id, is_llama: self.model.is_llama() }
    }

    pub(super) fn error(&self, refusal: Refusal) -> EngineError {
        error(&self.server, refusal)
    }

    /// What is known of the model.
    pub(super) fn info(&self, load_ms: f64) -> ModelInfo {
        ModelInfo {
            name: format!("{}@{}", self.model.name(), self.server.name()),
            path: self.model.id.clone().into(),
            server: Some(ServerInfo {
                server: self.server.clone(),
                program: self.program.clone(),
                context: self.context,
            }),
            quantization: None,
            parameters: self.model.parameters,
            size: self.model.bytes,
            trained_context: self.model.trained_context,
            has_template: true,
            load_ms,
            load_parts: Vec::new(),
            kv: None,
            device: None,
            draft: None,
        }
    }
}

/// The models of a server.
///
/// # Errors
/// Why they are not known, with what to do.
pub async fn models(server: &Server, stops: &[&CancelFlag]) -> Result<Vec<Listed>, EngineError> {
    let http = Http::new(server.base(), server.key(), false).map_err(EngineError::Server)?;
    list_of(&http, stops).await.map_err(|refusal| error(server, refusal))
}

async fn list_of(http: &Http, stops: &[&CancelFlag]) -> Result<Vec<Listed>, Refusal> {
    let list = http.json(MODELS, None, stops).await?;
    let models = list.get("data").and_then(Value::as_array);
    let models = models.ok_or_else(|| Refusal::Strange("its list of models is none".into()))?;
    Ok(models.iter().filter_map(listed).collect())
}

fn listed(model: &Value) -> Option<Listed> {
    let count = |place: &str| model.pointer(place).and_then(Value::as_u64);
    let short = |place: &str| count(place).and_then(|count| u32::try_from(count).ok());
    Some(Listed {
        id: model.get("id")?.as_str()?.to_owned(),
        context: short("/max_model_len").or(short("/meta/n_ctx")),
        parameters: count("/meta/n_params"),
        bytes: count("/meta/size"),
        trained_context: short("/meta/n_ctx_train"),
        owner: model.get("owned_by").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// The model that was named, or the only one there is.
fn choose(server: &Server, models: Vec<Listed>, wanted: Option<&str>) -> Result<Listed, String> {
    let name = server.name();
    match wanted {
        Some(wanted) => {
            let known = models.iter().find(|model| model.id == wanted || model.name() == wanted).cloned();
            match known {
                Some(model) => Ok(model),
                None if models.is_empty() => Ok(unlisted(wanted)),
                None => Err(format!(
                    "`{name}` has no model `{}`; it has {}",
                    escape_line(wanted),
                    named(&models).unwrap_or_default()
                )),
            }
        }
        None if models.len() == 1 => Ok(models.into_iter().next().unwrap_or_else(|| unlisted(""))),
        None => Err(match named(&models) {
            None => format!("`{name}` has no model; load one there first"),
            Some(names) => format!("`{name}` has several models; name one with `-m`: {names}"),
        }),
    }
}

fn unlisted(id: &str) -> Listed {
    let (context, parameters, bytes, trained_context) = (None, None, None, None);
    Listed { id: id.to_owned(), context, parameters, bytes, trained_context, owner: String::new() }
}

/// The names in a row, or the first of them.
fn named(models: &[Listed]) -> Option<String> {
    let names: Vec<String> =
        models.iter().take(MOST_NAMED).map(|model| format!("`{}`", escape_line(model.name()))).collect();
    let more = models.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| names.join(", ") + &more)
}

/// What to do where nothing better is known.
pub fn advice(server: &Server) -> String {
    format!("ask again, or see what `tuichat engines check {}` tells", server.typed())
}

/// What to do where a key is wanted, or another one.
fn about_key(server: &Server) -> String {
    let place = match server.is_described() {
        true => "`key_env` or `key_file` in config.toml names it",
        false => "`TUICHAT_ENGINE_KEY` holds it",
    };
    let what = if server.has_key() { "its key may be wrong" } else { "it wants a key" };
    format!("{what}: {place} (`tuichat help engines`)")
}

/// The sentence for a refusal, with what to do about it.
fn error(server: &Server, refusal: Refusal) -> EngineError {
    let name = escape_line(server.name());
    let advice = match &refusal {
        Refusal::Status { status: 401 | 403, .. } => about_key(server),
        Refusal::Status { status: 429 | 503, wait: Some(wait), .. } => {
            format!("it is busy and asks to be left alone for {} s: try again then", wait.as_secs())
        }
        Refusal::Status { status: 429 | 502 | 503 | 504, .. } => "it is busy: try again later".to_owned(),
        Refusal::Status { status: 400 | 413 | 422, .. } => {
            "if the conversation is too long for it, begin a new one or shorten the text".to_owned()
        }
        Refusal::Status { .. } | Refusal::Strange(_) | Refusal::Lost(_) | Refusal::Stopped => advice(server),
    };
    let sentence = refusal.sentence().unwrap_or_else(|| "it was stopped".into());
    EngineError::Server(format!("engine `{name}`: {sentence}; {advice}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server() -> Server {
        Server::new(Some("lab"), "http://localhost:1", None).expect("a server")
    }

    fn models(ids: &[&str]) -> Vec<Listed> {
        ids.iter().map(|id| unlisted(id)).collect()
    }

    #[test]
    fn the_only_model_is_taken_and_among_several_one_is_named() {
        let chosen = |ids: &[&str], wanted| choose(&server(), models(ids), wanted).map(|model| model.id);
        assert_eq!(chosen(&["a"], None), Ok("a".into()));
        assert_eq!(chosen(&["a", "/models/b.gguf"], Some("b")), Ok("/models/b.gguf".into()));
        assert_eq!(chosen(&[], Some("gpt")), Ok("gpt".into()), "a server without a list");
        assert!(chosen(&["a", "b"], None).unwrap_err().contains("name one with `-m`: `a`, `b`"));
        assert_eq!(chosen(&["a"], Some("x")), Err("`lab` has no model `x`; it has `a`".into()));
        assert!(chosen(&[], None).unwrap_err().contains("has no model"));
    }

    #[test]
    fn what_lists_tell_of_a_model_is_taken_and_the_rest_is_unknown() {
        let llama =
            json!({"id": "/m/x.gguf", "owned_by": "llamacpp", "meta": {"n_params": 7, "size": 9, "n_ctx_train": 5}});
        let llama = listed(&llama).expect("a model");
        assert_eq!((llama.name(), llama.is_llama(), llama.parameters, llama.context), ("x", true, Some(7), None));
        let vllm = listed(&json!({"id": "org/model", "owned_by": "vllm", "max_model_len": 4096})).expect("a model");
        assert_eq!(
            (vllm.name(), vllm.is_llama(), vllm.parameters, vllm.context),
            ("org/model", false, None, Some(4096))
        );
        assert_eq!(listed(&json!({"name": "x"})), None);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let status = |status, wait| Refusal::Status { status, wait, sentence: "it answers so".into() };
        for (refusal, advice) in [
            (status(401, None), "it wants a key: `key_env`"),
            (status(429, Some(std::time::Duration::from_secs(90))), "for 90 s"),
            (status(400, None), "too long"),
            (Refusal::Lost("connection refused".into()), "`tuichat engines check lab`"),
        ] {
            let sentence = error(&server(), refusal).to_string();
            assert!(sentence.starts_with("engine `lab`: ") && sentence.contains(advice), "{sentence}");
        }
    }
}
