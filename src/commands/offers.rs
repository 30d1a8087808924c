//! Which models there are to choose among, put together from what is on this machine and what the catalogue has, and
//! getting the one that was chosen.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Surroundings;
use crate::config::Config;
use crate::engine::protocol::LoadSettings;
use crate::exit::{Exit, Failure};
use crate::hardware::memory::Memory;
use crate::models::catalog::{self, Entry};
use crate::models::hub::{Hub, Pull};
use crate::models::offers::{Offer, Place, arranged};
use crate::models::{Found, Installed, Listener, ModelError};
use crate::ui::Supply;

/// What a machine is taken to have that does not tell.
const USUAL_MEMORY_BYTES: u64 = 8 << 30;

/// The model to begin with on this machine.
pub fn recommended() -> &'static Entry {
    catalog::starter(Memory::read().map_or(USUAL_MEMORY_BYTES, |memory| memory.total))
}

/// Everything there is to choose among, in the order to be shown.
pub fn all(surroundings: &Surroundings) -> Vec<Offer> {
    let installed = surroundings.library().list().unwrap_or_else(|error| {
        tracing::warn!(%error, "the installed models are not offered");
        Vec::new()
    });
    let is_here = |entry: &Entry| installed.iter().any(|model| model.name == entry.name);
    let known = catalog::entries().iter().filter(|entry| !is_here(entry)).map(offer_of_entry);
    arranged(known.chain(installed.iter().map(offer_of_installed)))
}

fn offer_of_entry(entry: &Entry) -> Offer {
    Offer {
        name: entry.name.clone(),
        place: Place::Download { bytes: entry.size_bytes },
        verdict: None,
        tokens_per_second: None,
        note: entry.description.clone(),
        is_recommended: entry.name == recommended().name,
    }
}

fn offer_of_installed(model: &Installed) -> Offer {
    let entry = catalog::by_sha256(&model.sha256).or_else(|| catalog::by_name(&model.name));
    Offer {
        name: model.name.clone(),
        place: Place::Here { owner: None, found: Found::from(model.clone()) },
        verdict: None,
        tokens_per_second: None,
        note: entry.map_or_else(|| model.quantization.clone(), |entry| entry.description.clone()),
        is_recommended: model.name == recommended().name,
    }
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
            let message = format!("{}; nothing is downloaded, because `offline` is set", failure.message);
            let failure = Failure { exit: Exit::Network, kind: "network", message, hint: None };
            Err(failure.hint("take it back with `--offline=no`, or bring a file with `tuichat models import FILE`"))
        }
        Some(entry) => Ok(entry),
        None => Err(failure),
    }
}

/// Where the chat's models come from.
#[derive(Debug)]
pub struct Supplier(pub Arc<Surroundings>);

impl Supply for Supplier {
    fn offers(&self) -> Vec<Offer> {
        all(&self.0)
    }

    fn get(&self, offer: &Offer, cancel: &AtomicBool, listener: Listener<'_>) -> Result<LoadSettings, ModelError> {
        let found = match &offer.place {
            Place::Here { found, .. } => found.clone(),
            Place::Download { .. } if self.0.config.offline => {
                return Err(ModelError::Network("a download needs the network, and `offline` is set".into()));
            }
            Place::Download { .. } => {
                let what = Pull::from_argument(&offer.name)?;
                Hub::from_environment()?.pull_blocking(&self.0.library(), &what, cancel, listener)?.into()
            }
        };
        let snapshots = self.0.snapshots(&found);
        Ok(self.0.load_settings(found, snapshots))
    }

    /// An installed model that is chatted with is the one for the next start without `--model`.
    fn remember(&self, name: &str) {
        let library = self.0.library();
        let is_installed = || library.list().is_ok_and(|models| models.iter().any(|model| model.name == name));
        if self.0.config.private || !is_installed() {
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
