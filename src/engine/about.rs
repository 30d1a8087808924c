//! What the engine is and where it would compute, without loading a model: for who examines the machine.

use serde::Serialize;

use super::backend::{self, Demand, Situation};
use super::devices::{self, Device, Found};
use super::llama;
use super::placing;
use super::probe::Probe;
use super::protocol::DeviceChoice;
use crate::hardware::gpus::Gpu;
use crate::hardware::memory::Memory;
use crate::models::fit::Layers;
use crate::models::gguf::Header;

pub use llama::{abilities, version};

/// Tokens of context that the example is to hold.
const USUAL_CELLS: u32 = 8192;

/// What llama.cpp found, and what it would use of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Graphics {
    /// Those that llama.cpp found, the CPU among them.
    pub devices: Vec<Device>,
    /// What would be used, or why what was asked for cannot be.
    pub choice: Result<Chosen, String>,
}

/// Where a model would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub backend: String,
    pub name: String,
    /// The reason, in words.
    pub reason: String,
    /// What a person should be told, and what to do about it.
    pub notice: Option<String>,
}

/// Asks llama.cpp what there is, in a child of `probe` first where that may crash, and chooses as for the model with this
/// header. `gpus` are those that the system shows. Servers that were asked for are reached.
pub fn graphics(
    wanted: &DeviceChoice,
    gpu_layers: Option<u32>,
    probe: Option<&Probe>,
    gpus: &[Gpu],
    header: Option<&Header>,
) -> Graphics {
    let reached = placing::reach(wanted);
    let Found { devices, problem } = devices::find(wanted, probe);
    if let Err(sentence) = reached {
        return Graphics { devices, choice: Err(sentence) };
    }
    let layers = header.map(Layers::of_header).unwrap_or_default();
    let cells = header.and_then(|header| u32::try_from(header.context_length()?).ok()).unwrap_or(USUAL_CELLS);
    let cells = cells.min(USUAL_CELLS);
    let demand = Demand { layers: &layers, cells, least_cells: cells, kv_scale: 1.0, is_asked_for: false };
    let situation = Situation {
        devices: &devices,
        gpus,
        features: devices::features(),
        memory: Memory::read(),
        problem: problem.as_deref(),
    };
    let choice = backend::choose(&situation, &demand, wanted, gpu_layers).map(|choice| Chosen {
        backend: choice.backend,
        name: choice.name,
        // Without a model, how much of it goes there is nobody's business.
        reason: match header {
            None if !choice.placement.devices.is_empty() => "it can be used".into(),
            _ => choice.reason,
        },
        notice: choice.notice,
    });
    Graphics { devices, choice }
}
