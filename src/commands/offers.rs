//! Which models there are to choose among, put together from what is on this machine and what the catalogue has, and
//! getting the one that was chosen.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::machine::Fit;
use super::{Surroundings, engines};
use crate::config::Config;
use crate::engine::protocol::LoadSettings;
use crate::exit::{Exit, Failure};
use crate::models::catalog::{self, Entry};
use crate::models::fit::{Anatomy, Machine, Verdict};
use crate::models::hub::{self, Hub, Pull, Reference};
use crate::models::offers::{Offer, Place, arranged};
use crate::models::{Found, Installed, Listener, ModelError, Owner, free_bytes_near, gguf};
use crate::text::{escape_line, file_size};
use crate::ui::Supply;

/// What a machine is taken to have that does not tell.
const USUAL_MEMORY_BYTES: u64 = 8 << 30;

/// The model to begin with on this machine. Where nothing was measured of it yet, its memory decides.
pub fn recommended(machine: &Machine) -> &'static Entry {
    match machine.rates.decode.is_empty() {
        true => catalog::starter(machine.memory.map_or(USUAL_MEMORY_BYTES, |memory| memory.total)),
        false => catalog::recommended(machine),
    }
}

/// What `pull` gets for a model of the catalogue: the file that suits this machine, unless one was named.
pub fn pull_of(argument: &str, machine: &Machine) -> Result<Pull, ModelError> {
    match catalog::by_name(argument) {
        Some(entry) => Ok(Pull::of(entry, entry.best_file(machine))),
        None => Pull::from_argument(argument),
    }
}

/// Everything there is to choose among, in the order to be shown.
pub fn all(surroundings: &Surroundings) -> Vec<Offer> {
    let installed = surroundings.library().list().unwrap_or_else(|error| {
        tracing::warn!(%error, "the installed models are not offered");
        Vec::new()
    });
    let borrowed = surroundings.library().borrowed().unwrap_or_default();
    let machine = surroundings.machine();
    let first = recommended(&machine);
    let free_bytes = free_bytes_near(&surroundings.directories.models);
    let offer = |name: &str, place: Place, note: String, is_recommended: bool, fit: Option<Fit>| Offer {
        name: name.to_owned(),
        place,
        verdict: fit.as_ref().map(|fit| fit.verdict),
        tokens_per_second: fit.and_then(|fit| fit.speed).map(|speed| speed.decode),
        note,
        is_recommended,
    };
    let known = catalog::entries().iter().filter(|entry| !is_here(entry, &installed)).map(|entry| {
        let file = entry.best_file(&machine);
        let fit = surroundings.fit(&entry.anatomy(file), None, &machine);
        let (from, free_bytes) = (hub::address(&entry.repository), free_bytes);
        let place = Place::Download { bytes: Some(file.bytes), from, free_bytes };
        offer(&entry.name, place, entry.good_for.clone(), entry.name == first.name, Some(fit))
    });
    let here = installed.iter().map(|model| {
        let entry = catalog::entries().iter().find(|entry| is_here(entry, std::slice::from_ref(model)));
        let anatomy = gguf::read_header(&model.path).ok().map(|header| Anatomy::of_header(&header));
        let fit = anatomy.map(|anatomy| surroundings.fit(&anatomy, Some(&model.path), &machine));
        let place = Place::Here { owner: None, found: Found::from(model.clone()) };
        let note = entry.map_or_else(|| model.quantization.clone(), |entry| entry.good_for.clone());
        offer(&model.name, place, note, entry.is_some_and(|entry| entry.name == first.name), fit)
    });
    let of_others = borrowed.iter().map(|model| {
        let anatomy = gguf::read_header(&model.path).ok().map(|header| Anatomy::of_header(&header));
        let fit = anatomy.map(|anatomy| surroundings.fit(&anatomy, Some(&model.path), &machine));
        let owner = Some(model.owner.title().to_owned());
        let place = Place::Here { owner, found: Found::from(model.clone()) };
        offer(&model.name, place, model.quantization.clone(), false, fit)
    });
    arranged(here.chain(of_others).chain(known))
}

/// What to type where the model that was asked for, a file of so many bytes, has no room in memory: the largest smaller one
/// that has, of those that are here or else of those that can be downloaded. Nothing where it is not the memory that is
/// too little, but what `--kv-mem` allows of it.
pub fn smaller(surroundings: &Surroundings, asked_bytes: u64) -> Option<String> {
    if surroundings.config.kv.most_bytes.is_some() {
        return None;
    }
    let offers =
        all(surroundings).into_iter().filter(|offer| offer.verdict.is_some_and(|it| it != Verdict::DoesNotFit));
    let sized = offers.map(|offer| {
        let (is_here, bytes) = match &offer.place {
            Place::Here { found, .. } => (true, std::fs::metadata(&found.path).map_or(0, |file| file.len())),
            Place::Server { .. } => (false, u64::MAX),
            Place::Download { bytes, .. } => (false, bytes.unwrap_or(0)),
        };
        (is_here, bytes, offer.name)
    });
    let sized = sized.filter(|(is_here, bytes, _)| *bytes < asked_bytes && (*is_here || !surroundings.config.offline));
    let (is_here, bytes, name) = sized.max()?;
    let name = escape_line(&name);
    Some(match is_here {
        true => format!("`-m {name}` has room"),
        false => format!("`-m {name}` has room; it is downloaded once ({})", file_size(bytes)),
    })
}

/// Whether one of these is a file of the catalogue's entry.
pub fn is_here(entry: &Entry, installed: &[Installed]) -> bool {
    installed.iter().any(|model| entry.files.iter().any(|file| model.name == entry.installed_name(file)))
}

/// The model of the catalogue that an answer needs and that is not here, `failure` being why there is none: the one
/// that is set, or the smallest where none is set.
///
/// # Errors
/// `failure`, if getting a model is no way out of it; or that nothing may be downloaded.
pub fn to_get(config: &Config, failure: Failure) -> Result<&'static Entry, Failure> {
    let entry = match &config.model {
        _ if failure.kind != "no_model" => None,
        Some(name) => catalog::by_name(name),
        None => Some(catalog::smallest()),
    };
    match entry {
        Some(_) if config.offline => {
            let (sentence, mut hints) = failure.parts();
            hints.push("take it back with `--offline=no`, or bring a file with `tuichat models import FILE`");
            let message = format!("{sentence}, and nothing is downloaded, because `offline` is set");
            let hint = Some(hints.join("; "));
            Err(Failure { exit: Exit::Network, kind: "network", message, hint })
        }
        Some(entry) => Ok(entry),
        None => Err(failure),
    }
}

/// Where the chat's models come from. The settings are those of the moment.
#[derive(Debug)]
pub struct Supplier(pub Arc<Surroundings>);

impl Supply for Supplier {
    fn offers(&self) -> Vec<Offer> {
        all(&self.0.renewed())
    }

    fn offers_of_servers(&self) -> Vec<Offer> {
        engines::offers(&self.0.renewed())
    }

    fn get(&self, offer: &Offer, cancel: &AtomicBool, listener: Listener<'_>) -> Result<LoadSettings, ModelError> {
        let surroundings = self.0.renewed();
        let found = match &offer.place {
            Place::Server { engine, model, .. } => {
                return engines::load(engine, model, &surroundings).map_err(|it| ModelError::BadArgument(it.message));
            }
            Place::Here { found, .. } => found.clone(),
            Place::Download { .. } if surroundings.config.offline => {
                return Err(ModelError::Network("a download needs the network, and `offline` is set".into()));
            }
            Place::Download { .. } => {
                let what = pull_of(&offer.name, &surroundings.machine())?;
                Hub::from_environment()?
                    .limited_to(surroundings.config.limit_rate)
                    .pull_blocking(&surroundings.library(), &what, cancel, listener)?
                    .into()
            }
        };
        let snapshots = surroundings.snapshots(&found);
        Ok(surroundings.load_settings(found, snapshots))
    }

    fn find(&self, typed: &str) -> Result<Offer, ModelError> {
        let surroundings = self.0.renewed();
        let offer = |name: &str, place| Offer {
            name: name.to_owned(),
            place,
            verdict: None,
            tokens_per_second: None,
            note: String::new(),
            is_recommended: false,
        };
        if let Some(found) = engines::find(typed, &surroundings) {
            return found.map_err(|failure| ModelError::BadArgument(failure.message));
        }
        let missing = match surroundings.resolve(Some(typed)) {
            Ok(found) => return Ok(offer(&found.name.clone(), Place::Here { owner: None, found })),
            Err(error) if !typed.starts_with("hf:") => return Err(error),
            Err(missing) => missing,
        };
        if surroundings.config.offline || !matches!(missing, ModelError::NotFound(_)) {
            return Err(missing);
        }
        let reference = Reference::parse(typed)?;
        let bytes = Hub::from_environment()?.size_blocking(&reference)?;
        let from = hub::address(&reference.repository);
        let free_bytes = free_bytes_near(&surroundings.directories.models);
        Ok(offer(typed, Place::Download { bytes: Some(bytes), from, free_bytes }))
    }

    /// A model that is chatted with by its name is the one for the next start without `--model`.
    fn remember(&self, name: &str) {
        let library = self.0.library();
        let is_installed = || library.list().is_ok_and(|models| models.iter().any(|model| model.name == name));
        if self.0.config.private || !(Owner::of_name(name).is_some() || is_installed()) {
            return;
        }
        if let Err(error) = library.remember_used(name) {
            tracing::warn!(%error, "the model is not remembered as the last one used");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(model: Option<&str>, offline: bool, failure: Failure) -> Result<&'static str, (Exit, String)> {
        let config = Config { model: model.map(str::to_owned), offline, ..Config::default() };
        to_get(&config, failure).map(|entry| entry.name.as_str()).map_err(|failure| (failure.exit, failure.to_string()))
    }

    fn none() -> Failure {
        Failure::from(ModelError::NotFound("no model is installed".into()))
    }

    #[test]
    fn an_answer_without_a_model_gets_the_one_that_is_set_or_the_smallest() {
        assert_eq!(needed(None, false, none()), Ok(catalog::smallest().name.as_str()));
        let set = &catalog::entries()[0].name;
        assert_eq!(needed(Some(&set.to_uppercase()), false, none()), Ok(set.as_str()));
    }

    #[test]
    fn what_no_download_helps_stays_as_it_is() {
        assert_eq!(needed(Some("./x.gguf"), false, none()), Err((Exit::Error, none().to_string())));
        let broken = || Failure::disk("the disk is broken");
        assert_eq!(needed(None, false, broken()), Err((Exit::Disk, broken().to_string())));
    }

    #[test]
    fn without_the_network_it_is_said_what_to_do() {
        let (exit, sentence) = needed(None, true, none()).expect_err("nothing may be downloaded");
        assert_eq!(exit, Exit::Network);
        for part in ["no model is installed", "`offline` is set", "--offline=no", "models import FILE"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
