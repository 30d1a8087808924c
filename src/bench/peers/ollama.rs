//! A server of Ollama, by its own API, which tells what it computed and how long that took.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::which::Server;
use super::{Peer, Problem, Round, Task, Timed};
use crate::engine::protocol::CancelFlag;
use crate::models::Library;
use crate::text::escape_line;

pub struct Ollama {
    client: Client,
    model: Option<String>,
    version: Option<String>,
}

/// The end of an answer.
#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    prompt_eval_count: u32,
    #[serde(default)]
    prompt_eval_duration: u64,
    #[serde(default)]
    eval_count: u32,
    #[serde(default)]
    eval_duration: u64,
}

impl Ollama {
    pub fn new(server: &Server) -> Result<Self, Problem> {
        Ok(Self { client: Client::new(server)?, model: server.model.clone(), version: None })
    }

    /// The names of its models.
    fn names(&self, cancel: &CancelFlag) -> Result<Vec<String>, Problem> {
        let tags = self.client.get("api/tags", cancel)?;
        let models = tags.get("models").and_then(Value::as_array).ok_or_else(|| "it is no Ollama server".to_owned())?;
        Ok(models.iter().filter_map(|model| model.get("name")?.as_str()).map(str::to_owned).collect())
    }

    fn show(&self, name: &str, cancel: &CancelFlag) -> Result<Value, Problem> {
        Ok(self.client.post("api/show", &json!({"model": name}), cancel)?)
    }

    fn generate(&self, task: &Task, prompt: &str, written: u32, cancel: &CancelFlag) -> Result<Answered, Problem> {
        let context = task.prompt + task.written + 64;
        let body = json!({
            "model": self.model, "prompt": prompt, "raw": true, "stream": false, "keep_alive": "10m",
            "options": {"num_predict": written, "num_thread": task.threads, "num_ctx": context, "temperature": 0},
        });
        let answer = self.client.post("api/generate", &body, cancel)?;
        serde_json::from_value(answer).map_err(|_| Problem::Failed("its answer tells no times".into()))
    }
}

impl Peer for Ollama {
    fn begin(&mut self, task: &Task, cancel: &CancelFlag, notes: &mut Vec<String>) -> Result<(), Problem> {
        if let Ok(version) = self.client.get("api/version", cancel) {
            self.version = version.get("version").and_then(Value::as_str).map(escape_line);
        }
        let ours = blob_of(&task.model);
        let is_same = |shown: &Value| ours.is_some() && blob(shown) == ours;
        let name = match &self.model {
            Some(name) => name.clone(),
            None => {
                let (names, mut same) = (self.names(cancel)?, None);
                for name in &names {
                    if is_same(&self.show(name, cancel)?) {
                        same = Some(name.clone());
                        break;
                    }
                }
                same.ok_or_else(|| {
                    let names: Vec<String> = names.iter().map(|name| escape_line(name)).collect();
                    format!(
                        "none of its models ({}) is made of this file; bring it there with `ollama create`, or name one with `ollama=URL#NAME`",
                        names.join(", ")
                    )
                })?
            }
        };
        let shown = self.show(&name, cancel)?;
        let parameters = shown.pointer("/model_info/general.parameter_count").and_then(Value::as_u64);
        match (is_same(&shown), parameters) {
            (true, _) => {}
            (_, Some(parameters)) if parameters != task.parameters => {
                return Err(Problem::Failed(format!(
                    "its `{}` is another model: it has {parameters} parameters, and this one {}",
                    escape_line(&name),
                    task.parameters
                )));
            }
            _ => notes.push(format!(
                "note: whether `{}` of Ollama is made of the same file cannot be told",
                escape_line(&name)
            )),
        }
        self.model = Some(name);
        Ok(())
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn round(&mut self, task: &Task, number: u32, cancel: &CancelFlag) -> Result<Round, Problem> {
        // Another beginning each time: it keeps what it computed of the last prompt.
        let prompt = format!("{number}{}", text_of(task));
        let read = self.generate(task, &prompt, 1, cancel)?;
        let wrote = self.generate(task, &format!("{number}."), task.written + 1, cancel)?;
        let of = |tokens: u32, nanoseconds: u64| Timed { tokens, seconds: nanoseconds as f64 / 1e9 };
        let prefill = of(read.prompt_eval_count, read.prompt_eval_duration);
        // The first token is part of what the prompt took.
        let decode = of(wrote.eval_count.saturating_sub(1), wrote.eval_duration);
        if prefill.speed().is_none() || decode.speed().is_none() {
            return Err(Problem::Failed("its answer tells no times".into()));
        }
        Ok(Round { prefill: Some(prefill), decode: Some(decode) })
    }
}

/// The beginning of the text that has about as many tokens as are asked for.
fn text_of(task: &Task) -> String {
    let share = f64::from(task.prompt) / task.tokens.len().max(1) as f64;
    let characters = (task.text.chars().count() as f64 * share) as usize;
    task.text.chars().take(characters).collect()
}

/// Which file a model is made of, by the name under which Ollama keeps it: `sha256-` and its hash.
fn blob(shown: &Value) -> Option<String> {
    let modelfile = shown.get("modelfile")?.as_str()?;
    let from = modelfile.lines().find_map(|line| line.strip_prefix("FROM "))?.trim();
    // Of a server on Windows, too.
    from.rsplit(['/', '\\']).next().filter(|name| name.starts_with("sha256-")).map(str::to_owned)
}

/// The name under which Ollama would keep the file.
fn blob_of(model: &Path) -> Option<String> {
    let name = model.file_name()?.to_string_lossy();
    if name.starts_with("sha256-") {
        return Some(name.into_owned());
    }
    let checked = Library::check(model, None, &mut |_| {}).ok()?;
    Some(format!("sha256-{}", checked.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_model_is_in_its_modelfile() {
        let shown =
            json!({"modelfile": "# Modelfile\nFROM /usr/share/ollama/.ollama/models/blobs/sha256-00ff\nTEMPLATE x"});
        assert_eq!(blob(&shown).as_deref(), Some("sha256-00ff"));
        assert_eq!(blob(&json!({"modelfile": "FROM qwen2.5"})), None);
        assert_eq!(
            blob_of(Path::new("/usr/share/ollama/.ollama/models/blobs/sha256-00ff")).as_deref(),
            Some("sha256-00ff")
        );
    }
}
