//! `tuichat`: the chat. Whatever is wrong around it is shown in it, and it opens all the same.

use std::sync::{Arc, Mutex, PoisonError};

use super::Surroundings;
use super::offers::Supplier;
use crate::cli::{ChatName, Talk};
use crate::config::{Config, Layers};
use crate::engine::constraint;
use crate::exit::{Exit, Failure};
use crate::models::catalog;
use crate::store::{ChatId, Guard, Handle, Store};
use crate::ui::{self, Face, Opening, Prepared, Setup, Supply};

/// # Errors
/// If the chat that was asked for is not there, or there can be no interface.
pub fn run(talk: Talk, is_plain: bool, surroundings: Surroundings) -> Result<Exit, Failure> {
    let (_log, warning) = surroundings.begin_log();
    if surroundings.config.private && talk.resume.is_some() {
        return Err(Failure::usage("`--resume` needs the saved chats, and `private` is set")
            .hint("take it back with `--private=no`"));
    }
    let behind = Arc::new(Mutex::new(Behind::default()));
    let setup = setup(talk, is_plain, warning, surroundings, &behind)?;
    let ended = ui::run(setup).map_err(|error| Failure::error(format!("{error:#}")))?;
    let Behind { guard, failure } = std::mem::take(&mut *behind.lock().unwrap_or_else(PoisonError::into_inner));
    // What was asked of the store is on disk when this returns.
    drop(guard);
    drop(ended.terminal);
    let exit = if ended.has_failed { Exit::Error } else { Exit::Success };
    failure.map_or(Ok(exit), Err)
}

/// What the interface starts from. What it opens and finds behind its first frame is left in `behind`.
fn setup(
    talk: Talk,
    is_plain: bool,
    warning: Option<String>,
    surroundings: Surroundings,
    behind: &Arc<Mutex<Behind>>,
) -> Result<Setup, Failure> {
    let engine = surroundings.source()?;
    let supplier = Arc::new(Supplier(Arc::new(surroundings)));
    let Surroundings { config, layers, directories, settings } = &*supplier.0;
    let mut config = config.clone();
    let notices = notices(&mut config, layers, warning);
    let (resumes, saves) = (talk.resume.is_some(), !config.private);
    let prepare = {
        let (behind, supplier) = (Arc::clone(behind), Arc::clone(&supplier));
        move || prepare(talk, &supplier, &mut behind.lock().unwrap_or_else(PoisonError::into_inner))
    };
    Ok(Setup {
        face: match is_plain {
            true => Face::Lines(config.saying),
            false if config.inline => Face::Inline,
            false => Face::Screen,
        },
        engine,
        prepare: Box::new(prepare),
        resumes,
        saves,
        prompts: directories.prompts(),
        supply: supplier.clone(),
        is_offline: config.offline,
        options: config.generate,
        system: config.system,
        prefill_while_typing: config.prefill_while_typing,
        vi_keys: config.vi_keys,
        images: config.images,
        mouse: !config.leaves_mouse,
        title: !config.leaves_title,
        notify: config.notify,
        ascii: config.ascii,
        borders: !config.leaves_out_borders,
        motion: config.motion,
        save_power: config.save_power,
        status: config.status,
        settings: settings.clone().only_read(config.private),
        theme: config.theme,
        themes: directories.themes(),
        theme_file: saves.then(|| directories.theme_file()),
        pictures: saves.then(|| directories.pictures()),
        notices,
    })
}

/// What is wrong around the chat. A form of answers that cannot be is left out.
fn notices(config: &mut Config, layers: &Layers, warning: Option<String>) -> Vec<String> {
    let mut notices: Vec<String> = layers.warnings.iter().cloned().chain(warning).collect();
    if let Some(sentence) = &layers.broken {
        notices.push(format!("{sentence}; nothing of that file is in force"));
    }
    let form = config.generate.constraint.as_ref();
    if let Some(Err(sentence)) = form.map(|form| constraint::check_from(form, &layers.form_origin)) {
        notices.push(format!("{sentence}; answers are held to nothing"));
        config.generate.constraint = None;
    }
    notices
}

/// What was done behind the first frame.
#[derive(Default)]
struct Behind {
    /// Kept until everything is written.
    guard: Option<Guard>,
    /// Why there can be no chat.
    failure: Option<Failure>,
}

/// Opens the store and finds a model, while the chat is on the screen already.
fn prepare(talk: Talk, supplier: &Supplier, behind: &mut Behind) -> Option<Prepared> {
    let surroundings = &supplier.0;
    let mut notices = Vec::new();
    // Unless it comes to its end.
    behind.failure = Some(Failure::error("the chats could not be opened, by a fault of tuichat; the log says more"));
    let chats = match open_chats(talk.resume, surroundings, &mut notices) {
        Ok(chats) => chats,
        Err(failure) => {
            behind.failure = Some(failure);
            return None;
        }
    };
    let found = match surroundings.server() {
        Ok(Some(load)) => Ok(Err(load)),
        Ok(None) => surroundings.model().map(Ok),
        Err(failure) => Err(failure),
    };
    let (opening, model) = match found {
        Ok(Err(load)) => (Opening::Chat, Ok(load)),
        Ok(Ok(found)) => {
            if found.has_lasting_name() {
                supplier.remember(&found.name);
            }
            let snapshots = surroundings.snapshots(&found);
            (Opening::Chat, Ok(surroundings.load_settings(found, snapshots)))
        }
        Err(failure) => {
            let (opening, sentence) = without_model(failure, surroundings.config.model.as_deref());
            (opening, Err(sentence))
        }
    };
    behind.failure = None;
    let (store, resume) = match chats {
        Some(Chats { handle, resume, guard }) => {
            behind.guard = Some(guard);
            (Some(handle), resume)
        }
        None => (None, None),
    };
    Some(Prepared { model, opening, store, resume, notices })
}

/// The open store.
struct Chats {
    handle: Handle,
    resume: Option<ChatId>,
    guard: Guard,
}

/// Opens the store and finds the chat to go on with. A store that fails is a notice, unless a chat was asked for.
fn open_chats(
    resume: Option<ChatName>,
    surroundings: &Surroundings,
    notices: &mut Vec<String>,
) -> Result<Option<Chats>, Failure> {
    if surroundings.config.private {
        return Ok(None);
    }
    match try_open(resume, surroundings) {
        Ok(chats) => Ok(Some(chats)),
        Err(failure) if resume.is_some() => Err(failure),
        Err(failure) => {
            notices.push(format!("this chat will not be saved: {}", failure.message));
            Ok(None)
        }
    }
}

fn try_open(resume: Option<ChatName>, surroundings: &Surroundings) -> Result<Chats, Failure> {
    let store = Store::open(&surroundings.directories.chats_file())?;
    let resume = match resume {
        None => None,
        Some(name) => Some(find(&store, name)?),
    };
    let (handle, guard) =
        Handle::spawn(store).map_err(|error| Failure::error(format!("cannot start a thread: {error}")))?;
    Ok(Chats { handle, resume, guard })
}

/// The chat that is meant.
pub(super) fn find(store: &Store, name: ChatName) -> Result<ChatId, Failure> {
    match name {
        ChatName::Last => store.last_chat()?.ok_or_else(|| {
            Failure::error("there is no chat to go on with")
                .hint("`tuichat` begins one, and `tuichat chats import FILE` takes one from elsewhere")
        }),
        ChatName::Id(id) => Ok(store.branch(id).map(|_| id)?),
    }
}

/// What the chat opens on where there is no model, and why there is none.
fn without_model(failure: Failure, wanted: Option<&str>) -> (Opening, String) {
    let is_missing = failure.kind == "no_model";
    match (wanted, wanted.and_then(catalog::by_name)) {
        (None, _) if is_missing => {
            let sentence = "no model is here yet; nothing is downloaded before you are asked";
            (Opening::Models { chosen: None }, sentence.into())
        }
        (Some(_), Some(entry)) if is_missing => {
            let sentence =
                format!("`{}` is not here yet: F4 lists it, and Enter asks before it is downloaded", entry.name);
            (Opening::Models { chosen: Some(entry.name.clone()) }, sentence)
        }
        _ => (Opening::Chat, failure.message),
    }
}
