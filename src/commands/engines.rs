//! Servers that answer instead of this program: which one is meant and whether it may be, `tuichat engines`, and their
//! models among those that can be chosen.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Surroundings, aside, print, print_json};
use crate::bench::peers::Which;
use crate::cli::EnginesCommand;
use crate::config::{Chosen, EngineName, Engines, Layers};
use crate::engine::protocol::{CancelFlag, EngineError, LoadSettings};
use crate::engine::remote::{self, Server};
use crate::exit::{Exit, Failure};
use crate::models::offers::{Offer, Place};
use crate::models::{ModelError, looks_like_path};
use crate::remarks::Remarks;
use crate::text::escape_line;

/// How long a list waits for servers.
const LISTED_WITHIN: Duration = Duration::from_secs(3);
/// How long a check waits for one.
const CHECKED_WITHIN: Duration = Duration::from_secs(120);

/// # Errors
/// If a server cannot be used.
pub fn run(command: EnginesCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    match command {
        EnginesCommand::List { json } => list(surroundings, json)?,
        EnginesCommand::Check { engine, model, json } => {
            check(surroundings, engine.unwrap_or_else(|| surroundings.config.engine.clone()), model, json)?;
        }
    }
    Ok(Exit::Success)
}

impl Surroundings {
    /// The server of this name, if it is one and may be spoken to.
    fn server_named(&self, name: &EngineName) -> Result<Option<Chosen>, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let chosen = self.layers.engines.choose(name, &self.directories, variable).map_err(Failure::usage)?;
        if let Some(Chosen { server, .. }) = &chosen
            && self.config.offline
            && !server.is_on_this_machine()
        {
            let sentence =
                format!("engine `{}` is another machine ({}), and `offline` is set", server.name(), server.host());
            return Err(Failure { exit: Exit::Network, kind: "network", ..Failure::error(sentence) }
                .hint("take it back with `--offline=no`, or answer here with `--engine llama`"));
        }
        Ok(chosen)
    }

    /// How to ask the server that is to answer, if it is a server: what is typed goes before what is set, and the name of a
    /// server behind a model's (`MODEL@NAME`) before `engine`.
    ///
    /// # Errors
    /// If there is no such server, its key cannot be read, or `offline` forbids it.
    pub(super) fn server(&self) -> Result<Option<LoadSettings>, Failure> {
        let Layers { typed, engines, .. } = &self.layers;
        let set = self.config.model.as_deref().filter(|_| typed.engine.is_none());
        if let Some((model, engine)) = typed.model.as_deref().or(set).and_then(|model| engines.at_engine(model)) {
            if let Some(other) = typed.engine.as_ref().filter(|other| **other != EngineName::Named(engine.to_owned())) {
                let sentence = format!("`-m {model}@{engine}` names one engine and `--engine {other}` another");
                return Err(Failure::usage(sentence).hint("leave one of them out"));
            }
            let chosen = self.server_named(&EngineName::Named(engine.to_owned()))?;
            return Ok(chosen.map(|chosen| asking(chosen.server, Some(model.to_owned()))));
        }
        let chosen = self.server_named(&self.config.engine)?;
        let wanted = typed.model.clone().filter(|model| !model.is_empty());
        Ok(chosen.map(|Chosen { server, model }| asking(server, wanted.or(model))))
    }

    /// The model that is set, if it is none of a server.
    pub(super) fn model_here(&self) -> Option<&str> {
        self.config.model.as_deref().filter(|model| self.layers.engines.at_engine(model).is_none())
    }

    /// Whether a private run may send text there: a person must have typed that.
    ///
    /// # Errors
    /// If nobody did.
    pub(super) fn check_privacy(&self, load: &LoadSettings) -> Result<(), Failure> {
        let Layers { typed, engines, .. } = &self.layers;
        let names_server = typed.model.as_deref().is_some_and(|model| engines.at_engine(model).is_some());
        let is_typed = names_server || typed.engine.is_some();
        match load.server.as_ref().filter(|server| self.config.private && !server.is_on_this_machine() && !is_typed) {
            None => Ok(()),
            Some(server) => {
                let (name, host) = (server.name(), server.host());
                let sentence = format!("`private` is set, and engine `{name}` is another machine ({host})");
                Err(Failure::usage(sentence).hint(format!(
                    "type `--engine {}` to send it there all the same, or `--engine llama` to answer here",
                    server.typed()
                )))
            }
        }
    }
}

/// Why a model is not here, where the word behind its `@` may be meant for a server that there is not.
pub(super) fn explained(error: ModelError, typed: Option<&str>, engines: &Engines) -> ModelError {
    let is_no_server =
        |typed: &&str| !typed.starts_with("hf:") && !looks_like_path(typed) && engines.at_engine(typed).is_none();
    match (&error, typed.filter(is_no_server).and_then(|typed| typed.rsplit_once('@'))) {
        (ModelError::NotFound(_), Some((model, engine))) => {
            let (model, shown) = (escape_line(model), escape_line(engine));
            let sentence = format!("no model named `{model}@{shown}` is here, and {}", engines.unknown(engine));
            ModelError::NotFound(sentence)
        }
        _ => error,
    }
}

/// How to ask a server for a model, or for its only one.
fn asking(server: Server, model: Option<String>) -> LoadSettings {
    let name = Some(model.as_ref().map_or(server.name().to_owned(), |model| format!("{model}@{}", server.name())));
    LoadSettings { path: model.unwrap_or_default().into(), name, server: Some(server), ..LoadSettings::default() }
}

fn list(surroundings: &Surroundings, as_json: bool) -> Result<(), Failure> {
    let engines = &surroundings.layers.engines;
    let set = surroundings.config.engine.to_string();
    let found: Vec<(&str, Result<Option<Chosen>, Failure>)> =
        engines.names().map(|name| (name, surroundings.server_named(&EngineName::Named(name.to_owned())))).collect();
    if as_json {
        let object = |(name, chosen): &(&str, Result<Option<Chosen>, Failure>)| {
            let mut object = json!({"name": name, "is_set": set == *name});
            match chosen {
                Ok(Some(chosen)) => merge(&mut object, &about(chosen)),
                Ok(None) => {}
                Err(failure) => merge(&mut object, &unusable(engines.shown(name).as_ref(), failure)),
            }
            object
        };
        return print_json(&found.iter().map(object).collect::<Vec<_>>());
    }
    let mut lines = String::new();
    for (name, chosen) in &found {
        let mark = if set == *name { '*' } else { ' ' };
        let words = match chosen {
            Ok(Some(Chosen { server, model })) => {
                let model = model.as_ref().map(|model| format!(", {}", escape_line(model))).unwrap_or_default();
                let key = if server.has_key() { ", with a key" } else { "" };
                format!("{:<40}  {}{key}{model}", server.address(), place(server))
            }
            Ok(None) => String::new(),
            Err(failure) => match engines.shown(name) {
                Some(Chosen { server, .. }) => {
                    format!("{:<40}  {}; {}", server.address(), place(&server), failure.message)
                }
                None => failure.message.clone(),
            },
        };
        lines.push_str(&format!("{mark} {name:<16}  {words}\n"));
    }
    print(&lines)?;
    if found.is_empty() {
        aside(surroundings, "config.toml describes no servers; `tuichat help engines` tells how to add one");
    }
    Ok(())
}

fn place(server: &Server) -> &'static str {
    match (server.is_on_this_machine(), server.is_open_on_the_way()) {
        (true, _) => "this machine",
        (false, false) => "another machine",
        (false, true) => "another machine, unencrypted",
    }
}

fn about(chosen: &Chosen) -> Value {
    let server = &chosen.server;
    json!({
        "url": server.address(),
        "is_on_this_machine": server.is_on_this_machine(),
        "is_encrypted": server.base().scheme() == "https",
        "has_key": server.has_key(),
        "model": chosen.model,
        "problem": null,
    })
}

/// The same of a server that cannot be used.
fn unusable(described: Option<&Chosen>, failure: &Failure) -> Value {
    let unknown = json!({"url": null, "is_on_this_machine": null, "is_encrypted": null, "model": null});
    let mut object = described.map_or(unknown, about);
    object["has_key"] = Value::Null;
    object["problem"] = failure.parts().0.into();
    object
}

fn merge(object: &mut Value, more: &Value) {
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
}

/// Speaks to a server as an answer would.
///
/// # Errors
/// What is wrong with it.
fn try_out(surroundings: &Surroundings, chosen: &Chosen, model: Option<String>) -> Result<remote::Tried, Failure> {
    let mut remarks = Remarks::on_stderr(surroundings.config.quiet);
    remarks.progress(&format!("asking {}", chosen.server.address()));
    let wanted = model.or(chosen.model.clone());
    let cancel = CancelFlag::default();
    let watched = cancel.clone();
    let (done, waits) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if waits.recv_timeout(CHECKED_WITHIN) == Err(mpsc::RecvTimeoutError::Timeout) {
            watched.cancel();
        }
    });
    let tried = remote::try_out(&chosen.server, wanted.as_deref(), &cancel);
    drop(done);
    remarks.clear();
    tried.map_err(|error| {
        let name = chosen.server.name();
        if cancel.is_cancelled() {
            let seconds = CHECKED_WITHIN.as_secs();
            return Failure::from(&EngineError::Server(format!("engine `{name}` does not answer within {seconds} s")));
        }
        // Who asks what is wrong is not sent here again.
        let whole = error.to_string();
        match whole.strip_suffix(&format!("; {}", remote::advice(&chosen.server))) {
            Some(sentence) => Failure::from(&EngineError::Server(sentence.to_owned()))
                .hint("see whether it runs, and whether this is its address and it speaks OpenAI's protocol"),
            None => Failure::from(&error),
        }
    })
}

/// Asks a server, and tells what it can do.
fn check(surroundings: &Surroundings, name: EngineName, model: Option<String>, as_json: bool) -> Result<(), Failure> {
    let Some(chosen) = surroundings.server_named(&name)? else {
        return Err(Failure::usage("this program answers itself, and there is no server to ask")
            .hint("name one: `tuichat engines check http://localhost:8080`"));
    };
    let tried = try_out(surroundings, &chosen, model);
    if as_json {
        print_json(&report(&chosen, &tried))?;
        return tried.map(drop);
    }
    let tried = tried?;
    let mut lines = format!("{}, {}\n", chosen.server.address(), place(&chosen.server));
    let mut line = |name: &str, words: String| lines.push_str(&format!("{name:<12}  {}\n", escape_line(&words)));
    if let Some(program) = tried.program {
        line("program", program);
    }
    line("models", tried.models.join(", "));
    line("asked", tried.model);
    line("context", tried.context.map_or_else(|| "it does not say".into(), |tokens| format!("{tokens} tokens")));
    line("first token", format!("after {:.0} ms", tried.first_token_ms));
    let told = [
        (tried.told.prompt, "tokens of the prompt"),
        (tried.told.cached, "cached tokens"),
        (tried.told.prefill, "prefill"),
    ];
    let told: Vec<&str> = told.into_iter().filter_map(|(is_told, what)| is_told.then_some(what)).collect();
    line("tells", if told.is_empty() { "no figures; speeds are measured here".into() } else { told.join(", ") });
    if chosen.server.is_open_on_the_way() {
        line("warning", "what it is told can be read on its way, a key too; https would keep it secret".into());
    }
    print(&lines)
}

/// What was found of a server, for a script; what is not known is null.
fn report(chosen: &Chosen, tried: &Result<remote::Tried, Failure>) -> Value {
    let found = tried.as_ref().ok();
    let told = found.map(|tried| {
        let told = tried.told;
        json!({"prompt_tokens": told.prompt, "cached_tokens": told.cached, "prefill": told.prefill})
    });
    let mut object = json!({
        "name": chosen.server.name(),
        "program": found.and_then(|tried| tried.program.as_ref()),
        "models": found.map(|tried| &tried.models),
        "asked": found.map(|tried| &tried.model),
        "context": found.and_then(|tried| tried.context),
        "first_token_ms": found.map(|tried| tried.first_token_ms),
        "tells": told,
    });
    merge(&mut object, &about(chosen));
    if let Err(failure) = tried {
        object["problem"] = failure.parts().0.into();
    }
    object
}

/// A server's models, or why they are not known.
pub(super) type Asked = (Server, Result<Vec<remote::Listed>, String>);

/// The models of all servers that are described or set and may be spoken to, each asked at the same time.
pub(super) fn models(surroundings: &Surroundings) -> Vec<Asked> {
    let engines = &surroundings.layers.engines;
    let mut names: Vec<EngineName> = engines.names().map(|name| EngineName::Named(name.to_owned())).collect();
    if matches!(surroundings.config.engine, EngineName::Address(_)) {
        names.push(surroundings.config.engine.clone());
    }
    let servers = names.iter().filter_map(|name| surroundings.server_named(name).ok()?);
    let (sender, answers) = mpsc::channel();
    let cancel = CancelFlag::default();
    let mut asked: Vec<Asked> = Vec::new();
    for (index, Chosen { server, .. }) in servers.enumerate() {
        let (sender, cancel, of) = (sender.clone(), cancel.clone(), server.clone());
        std::thread::spawn(move || drop(sender.send((index, remote::models(&of, &cancel)))));
        asked.push((server, Err("it does not answer".into())));
    }
    drop(sender);
    let began = std::time::Instant::now();
    while let Ok((index, models)) = answers.recv_timeout(LISTED_WITHIN.saturating_sub(began.elapsed())) {
        asked[index].1 = models.map_err(|error| error.to_string());
    }
    cancel.cancel();
    asked
}

/// What a model of a server is called among others.
pub(super) fn name_of(model: &remote::Listed, server: &Server) -> String {
    format!("{}@{}", model.name(), server.name())
}

/// The models of servers, to be chosen among, and the servers that do not tell theirs.
pub(super) fn offers(surroundings: &Surroundings) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (server, models) in models(surroundings) {
        match models {
            Ok(models) => offers.extend(models.iter().map(|model| offer(name_of(model, &server), &server, &model.id))),
            Err(problem) => {
                tracing::warn!(server = server.name(), problem, "its models are not offered");
                offers.push(Offer { note: problem, ..offer(server.name().to_owned(), &server, "") });
            }
        }
    }
    offers
}

fn offer(name: String, server: &Server, model: &str) -> Offer {
    let place = Place::Server {
        engine: server.typed().to_owned(),
        model: model.to_owned(),
        host: (!server.is_on_this_machine()).then(|| server.host().to_owned()),
    };
    Offer { name, place, verdict: None, tokens_per_second: None, note: place_in_words(server), is_recommended: false }
}

fn place_in_words(server: &Server) -> String {
    match server.is_on_this_machine() {
        true => format!("a server on this machine ({})", server.name()),
        false => format!("on {}: what you write goes there", server.host()),
    }
}

/// The model of a server that was typed as `MODEL@NAME`.
pub(super) fn find(typed: &str, surroundings: &Surroundings) -> Option<Result<Offer, Failure>> {
    let (model, engine) = surroundings.layers.engines.at_engine(typed)?;
    let chosen = surroundings.server_named(&EngineName::Named(engine.to_owned())).transpose()?;
    Some(chosen.map(|chosen| offer(typed.to_owned(), &chosen.server, model)))
}

/// How to ask for a model of a server that was chosen.
///
/// # Errors
/// If the server is no more, or may not be spoken to.
pub(super) fn load(engine: &str, model: &str, surroundings: &Surroundings) -> Result<LoadSettings, Failure> {
    let name = engine.parse().map_err(Failure::usage)?;
    let chosen = surroundings.server_named(&name)?;
    let chosen = chosen.ok_or_else(|| Failure::usage(format!("`{engine}` is no server")))?;
    let model = Some(model.to_owned()).filter(|model| !model.is_empty()).or(chosen.model);
    Ok(asking(chosen.server, model))
}

/// A server that is measured beside this program.
///
/// # Errors
/// If it is none, or may not be spoken to.
pub(super) fn peer(engine: &EngineName, surroundings: &Surroundings) -> Result<Which, Failure> {
    match surroundings.server_named(engine)? {
        Some(chosen) => Ok(Which::of_engine(&chosen.server, chosen.model)),
        None => Err(Failure::usage("this program is measured anyway; `--engine` names a server to measure beside it")),
    }
}

/// A heading and a line for each model, of each server that is described or set.
pub(super) fn groups(asked: &[Asked]) -> Vec<String> {
    let group = |(server, models): &Asked| {
        let heading = format!("On {}, {}:\n", escape_line(server.name()), place(server));
        let lines: String = match models {
            Ok(models) => models.iter().map(|model| format!("{}\n", escape_line(&name_of(model, server)))).collect(),
            Err(problem) => format!("{}\n", escape_line(problem)),
        };
        heading + &lines
    };
    asked.iter().map(group).collect()
}

/// Their models as JSON. What servers do not tell is null.
pub(super) fn objects(asked: &[Asked]) -> impl Iterator<Item = Value> {
    asked.iter().flat_map(|(server, models)| {
        let object = |model: &remote::Listed| {
            json!({
                "name": name_of(model, server),
                "path": model.id,
                "sha256": null,
                "size_bytes": model.bytes,
                "quantization": null,
                "origin": {"from": "server", "reference": server.address()},
                "owned": false,
                "linked": false,
                "installed_at": null,
                "aliases": [],
                "fit": null,
            })
        };
        models.iter().flatten().map(object)
    })
}
