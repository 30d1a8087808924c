//! Where the chat gets its models from, as far as it has to know.

use std::fmt::Debug;
use std::sync::atomic::AtomicBool;

use crate::engine::protocol::LoadSettings;
use crate::models::offers::Offer;
use crate::models::{Listener, ModelError};

/// Finds and gets models. Each call may take long and is made on a thread of its own.
pub trait Supply: Debug + Send + Sync + 'static {
    /// What there is to choose among, in the order to be shown.
    fn offers(&self) -> Vec<Offer>;

    /// The models of servers, which are asked for them.
    fn offers_of_servers(&self) -> Vec<Offer> {
        Vec::new()
    }

    /// The model at a path, or of the hub as `hf:OWNER/REPO`, which is asked about it.
    ///
    /// # Errors
    /// If there is none.
    fn find(&self, typed: &str) -> Result<Offer, ModelError>;

    /// How to load a model that was chosen. What is not here is downloaded first, and `cancel` stops that.
    ///
    /// # Errors
    /// If it cannot be had, or was stopped.
    fn get(&self, offer: &Offer, cancel: &AtomicBool, listener: Listener<'_>) -> Result<LoadSettings, ModelError>;

    /// A model of this name was chosen and is loaded.
    fn remember(&self, name: &str);
}
