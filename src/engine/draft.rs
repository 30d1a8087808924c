//! Loading the model that guesses tokens for another. Whatever is wrong with it is a sentence, and the chat goes on
//! without it.

use std::cell::OnceCell;
use std::path::Path;

use super::kv::{KvTypes, Shape};
use super::llama::{Context, ContextSettings, LoadError, Model, Placement};
use super::probe::Verdict;
use super::protocol::{CancelFlag, DraftInfo, LoadSettings};
use super::speculative::{DraftModel, check_vocabulary};
use super::worker;
use crate::hardware::cores::Crews;
use crate::hardware::memory::Memory;
use crate::models::gguf;
use crate::text::{escape_line, mebibytes};

/// Left for everything else.
const SPARE_BYTES: u64 = 256 << 20;

/// The draft model that was asked for.
pub(super) struct Drafting {
    name: String,
    /// `None` if none was asked for.
    loaded: Option<Result<Model, String>>,
    /// Bytes of weights that are mapped, and so are counted as free.
    mapped: u64,
    /// Why there is no context for it.
    problem: OnceCell<String>,
}

impl Drafting {
    /// Loads the model, if one was asked for. Its weights are counted before they are there.
    /// Of the target so many bytes are mapped.
    pub fn load(
        settings: &LoadSettings,
        target: &Model,
        placement: &Placement,
        mapped: u64,
        cancel: [&CancelFlag; 2],
    ) -> Self {
        let loaded = settings.draft.as_ref().map(|draft| match draft {
            Err(sentence) => Err(sentence.clone()),
            Ok(path) => load(path, settings, target, placement, mapped, cancel),
        });
        let own = loaded.iter().flatten().map(Model::size).sum::<u64>();
        let name = match &settings.draft {
            Some(Ok(path)) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            _ => String::new(),
        };
        Self { name, loaded, mapped: mapped.saturating_add(own), problem: OnceCell::new() }
    }

    /// The model with a context of so many cells. Those are counted, too.
    pub fn open(&self, target: &Model, cells: u32, crews: Crews) -> Option<DraftModel<'_>> {
        let model = self.loaded.as_ref()?.as_ref().ok()?;
        let bytes = u64::from(cells) * Shape::of(model).bytes_per_cell(KvTypes::default());
        let opened = check_memory(bytes, free_beside(self.mapped)).and_then(|()| {
            let settings =
                ContextSettings { cells, crews, batch: worker::BATCH, types: KvTypes::default(), sequences: 1 };
            let context = Context::new(model, settings)?;
            if context.can_evict() { Ok(context) } else { Err("its memory cannot take tokens back".into()) }
        });
        let context = opened.map_err(|problem| self.problem.set(problem)).ok()?;
        Some(DraftModel::new(target, model, context))
    }

    /// What there is to say of it; nothing if none was asked for.
    pub fn describe(&self) -> Option<DraftInfo> {
        let problem = self.loaded.as_ref()?.as_ref().err().or(self.problem.get());
        let problem = problem.map(|problem| {
            let what = match self.name.as_str() {
                "" => "there is no draft model".into(),
                name => format!("{} cannot be the draft model", escape_line(name)),
            };
            let problem = escape_line(problem);
            format!("{what}: {problem}; answers are written without one; choose one with `--draft-model`")
        });
        Some(DraftInfo { name: self.name.clone(), problem })
    }
}

fn load(
    path: &Path,
    settings: &LoadSettings,
    target: &Model,
    placement: &Placement,
    mapped: u64,
    cancel: [&CancelFlag; 2],
) -> Result<Model, String> {
    gguf::read_header(path).map_err(|error| error.to_string())?;
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    check_memory(bytes, free_beside(mapped))?;
    match settings.probe.as_ref().map(|probe| probe.check(path, &cancel)) {
        None | Some(Verdict::Good) => {}
        Some(Verdict::Bad(error)) => return Err(error.to_string()),
        Some(Verdict::Cancelled) => return Err("it was stopped".into()),
    }
    let flags = cancel.map(Clone::clone);
    let model = Model::load(path, placement, move |_| !flags.iter().any(CancelFlag::is_cancelled));
    let model = model.map_err(|error| match error {
        LoadError::Cancelled => "it was stopped".into(),
        LoadError::NoStart(words) | LoadError::Refused(words) => words,
    })?;
    check_vocabulary(target, &model)?;
    Ok(model)
}

/// What is free beside so many bytes that are mapped and are to stay in memory.
fn free_beside(mapped: u64) -> Option<Memory> {
    Memory::read().map(|memory| Memory { available: memory.available.saturating_sub(mapped), ..memory })
}

/// Whether so many bytes more have room.
fn check_memory(bytes: u64, memory: Option<Memory>) -> Result<(), String> {
    match memory {
        Some(memory) if memory.available < bytes.saturating_add(SPARE_BYTES) => {
            Err(format!("it needs {} of memory, and {} are free", mebibytes(bytes), mebibytes(memory.available)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_model_that_has_no_room_is_refused_in_words() {
        let memory = Some(Memory { total: 4 << 30, available: 1 << 30 });
        assert!(check_memory(512 << 20, memory).is_ok());
        let sentence = check_memory(900 << 20, memory).unwrap_err();
        assert_eq!(sentence, "it needs 900 MiB of memory, and 1024 MiB are free");
        assert!(check_memory(900 << 20, None).is_ok());
    }
}
