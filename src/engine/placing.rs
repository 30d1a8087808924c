//! From a model's header and what was asked for to the place where it is loaded: [`backend`] chooses, with what
//! [`devices`] found; a device that was never used is tried in a child process first.

use super::backend::{self, Choice, Demand, Situation};
use super::devices;
use super::kv::{KvRoom, Wish, whole_cells};
use super::probe::Verdict;
use super::protocol::{CancelFlag, DeviceChoice, EngineError, LoadSettings};
use super::rpc;
use crate::hardware::gpus;
use crate::hardware::memory::Memory;
use crate::models::fit::Layers;
use crate::models::gguf::Header;

/// Tokens that a KV cache should have room for even if all layers would fit beside a smaller one.
const USUAL_CELLS: u32 = 8192;

/// Chooses where the model goes.
///
/// # Errors
/// If what was asked for cannot be.
pub(super) fn place(header: &Header, settings: &LoadSettings) -> Result<Choice, EngineError> {
    let layers = Layers::of_header(header);
    reach(&settings.device).map_err(EngineError::Failed)?;
    let found = devices::find(&settings.device, settings.probe.as_ref());
    let memory = Memory::read();
    let wish = wish(header, settings);
    let types = settings.kv.types.unwrap_or_default();
    let kv_scale = (types.k.bytes_of_32() + types.v.bytes_of_32()) as f64 / 128.0;
    let bytes_per_cell = layers.layers.iter().fold(0, |sum, layer| layer.kv_bytes.saturating_add(sum));
    let bytes_per_cell = (bytes_per_cell as f64 * kv_scale) as u64;
    let cells = match (wish.context, wish.most_bytes) {
        (None, Some(bytes)) => whole_cells(bytes, bytes_per_cell).min(wish.tokens()),
        _ => wish.tokens(),
    };
    let is_asked_for = wish.context.is_some() || wish.most_bytes.is_some();
    let least_cells = if is_asked_for { cells } else { cells.min(USUAL_CELLS) };
    let situation = Situation {
        devices: &found.devices,
        gpus: &gpus::read(),
        features: devices::features(),
        memory,
        problem: found.problem.as_deref(),
    };
    let demand = Demand { layers: &layers, cells, least_cells, kv_scale, is_asked_for };
    let mut choice =
        backend::choose(&situation, &demand, &settings.device, settings.gpu_layers).map_err(EngineError::Failed)?;
    if let Some(cells) = choice.cells.filter(|_| !choice.is_all_in_own_memory) {
        // The rest of the cache is in the machine's memory.
        let free = memory.map_or(KvRoom::UNLIMITED, |memory| KvRoom::of_free(memory.available));
        choice.cells = Some(cells.min(wish.cells(bytes_per_cell, free).unwrap_or(cells)));
    }
    Ok(choice)
}

/// Connects with the servers that were asked for; lets others go.
pub(super) fn reach(wanted: &DeviceChoice) -> Result<(), String> {
    let Some(servers) = wanted.servers() else {
        rpc::release();
        return Ok(());
    };
    servers.check_reach()?;
    rpc::hold(&servers.list)
}

/// Tries the chosen device in a child, if that was never done, with a file that passed its own trial. The CPU is chosen
/// if the device fails. `None` if it was cancelled.
pub(super) fn tried(choice: Choice, settings: &LoadSettings, cancel: &[&CancelFlag]) -> Option<Choice> {
    let Some(probe) = &settings.probe else { return Some(choice) };
    let Some(index) = choice.placement.devices.first() else { return Some(choice) };
    if choice.backend == rpc::BACKEND {
        // A driver that crashes is not in this process.
        return Some(choice);
    }
    let devices = devices::find(&settings.device, Some(probe)).devices;
    let Some(device) = devices.iter().find(|device| device.index == *index) else { return Some(choice) };
    match probe.check_device(&settings.path, device, cancel) {
        Verdict::Good => Some(choice),
        Verdict::Bad(error) => {
            let how = format!("failed when it was tried ({error})");
            Some(backend::instead(&choice, &devices, &how, "bring its driver up to date"))
        }
        Verdict::Cancelled => None,
    }
}

/// Where to try next a model that the device had no room for: with fewer layers, if that was not tried, else on the CPU.
pub(super) fn place_after(failed: &Choice, header: &Header, is_first: bool, words: &str) -> Choice {
    tracing::warn!(backend = failed.backend, device = failed.name, words, "the model could not be put on the device");
    let fewer = if is_first { backend::fewer(failed, &Layers::of_header(header)) } else { None };
    fewer.unwrap_or_else(|| {
        let devices = devices::find(&DeviceChoice::Auto, None).devices;
        backend::instead(failed, &devices, &format!("could not take the model ({words})"), "close what else uses it")
    })
}

fn wish(header: &Header, settings: &LoadSettings) -> Wish {
    let trained = u32::try_from(header.context_length().unwrap_or(0)).unwrap_or(u32::MAX);
    Wish::of(settings, trained)
}
