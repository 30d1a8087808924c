//! What the engine is and where it would compute, without a model: for who examines the machine.

use serde::Serialize;

use super::protocol::DeviceChoice;
use super::{backend, llama};

pub use llama::{abilities, version};

/// Something that llama.cpp found to compute on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `CPU`, `Metal`, `CUDA`, `Vulkan`.
    pub backend: String,
    /// What the maker calls it.
    pub name: String,
    pub is_gpu: bool,
}

/// Where a model would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub backend: String,
    pub name: String,
    /// The reason, in words.
    pub reason: String,
}

/// The devices that this build can use and that are here.
pub fn devices() -> Vec<Found> {
    let found =
        |device: llama::Device| Found { backend: device.backend, name: device.description, is_gpu: device.is_gpu };
    llama::devices().into_iter().map(found).collect()
}

/// Where a model would run, if this is wanted.
///
/// # Errors
/// A sentence, if a device is wanted that is not there.
pub fn choice(wanted: DeviceChoice, gpu_layers: Option<u32>) -> Result<Chosen, String> {
    let backend::Choice { backend, name, reason, .. } = backend::choose(&llama::devices(), wanted, gpu_layers)?;
    Ok(Chosen { backend, name, reason })
}
