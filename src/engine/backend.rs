//! Where a model runs: the choice from the devices there are, the memory that is free on them, what the model needs and
//! what was asked for, with the reason in words. Pure, so that machines nobody here has can be tested.
//!
//! One device takes all layers, or as many of the last ones as fit; the CPU has the rest. Of several graphics processors
//! the best is taken, and the others are left alone: layers that are spread over several are computed one device after the
//! other, so that brings no speed but for models which fit on none of them, and those run with the CPU's help.

use std::cmp::Reverse;

use super::llama::{Device, DeviceKind, Placement};
use super::protocol::{DeviceChoice, Servers};
use super::rpc;
use crate::hardware::gpus::Gpu;
use crate::hardware::memory::Memory;
use crate::models::fit::Layers;

/// Tokens of a prompt that are computed at once.
const BATCH: u64 = super::worker::BATCH as u64;
/// Left free on a device, or a sixteenth of its memory up to twice as much. The screen's programs draw in the same memory
/// and take more when a window opens, and what a computation needs is an estimate. llama.cpp's own tools leave 1 GiB.
const LEAST_MARGIN: u64 = 512 << 20;
const MARGIN_PART: u64 = 16;

/// Where the model goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub placement: Placement,
    pub backend: String,
    /// What the maker calls the device.
    pub name: String,
    pub reason: String,
    /// What a person should be told, and what to do.
    pub notice: Option<String>,
    /// Tokens in the KV cache that were counted on, where nobody said how many.
    pub cells: Option<u32>,
    /// Bytes of the model that are in memory of the device's own, and not in the machine's.
    pub own_bytes: u64,
    /// The KV cache is all there.
    pub is_all_in_own_memory: bool,
}

impl Choice {
    /// Whether layers are on a graphics processor.
    pub fn is_on_gpu(&self) -> bool {
        !self.placement.devices.is_empty()
    }
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Those that llama.cpp found.
    pub devices: &'a [Device],
    /// Those that the system shows, whether llama.cpp can use them or not.
    pub gpus: &'a [Gpu],
    /// What this build can use: `cuda`, `metal`, `vulkan`.
    pub features: &'a [&'static str],
    pub memory: Option<Memory>,
    /// Why llama.cpp was not asked for graphics processors, in a sentence.
    pub problem: Option<&'a str>,
}

/// What a model needs.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    pub layers: &'a Layers,
    /// Tokens that the KV cache is to hold.
    pub cells: u32,
    /// So many would do, if all layers have room then; the same number where it was asked for.
    pub least_cells: u32,
    /// Size of the KV cache, 1 being that in 16 bits.
    pub kv_scale: f64,
    /// Whether a person said how large the cache is.
    pub is_asked_for: bool,
}

/// Chooses a device and what goes there. `gpu_layers` is how many layers, as llama.cpp counts them; 0 means the CPU.
///
/// # Errors
/// A sentence, if a device was asked for that this build cannot use, or a number that there is not. One that is only not
/// there now is a notice, and the CPU computes.
pub fn choose(
    situation: &Situation<'_>,
    demand: &Demand<'_>,
    wanted: &DeviceChoice,
    gpu_layers: Option<u32>,
) -> Result<Choice, String> {
    match wanted {
        DeviceChoice::Cpu => return Ok(cpu(situation.devices, "the CPU was asked for".into(), None)),
        _ if gpu_layers == Some(0) => {
            return Ok(cpu(situation.devices, "no layer was to go to a GPU".into(), None));
        }
        DeviceChoice::Auto => {}
        DeviceChoice::Rpc(servers) => return shared(situation, demand, servers, gpu_layers),
        DeviceChoice::Metal(_) | DeviceChoice::Cuda(_) | DeviceChoice::Vulkan(_) => {
            let feature = wanted.word();
            if !situation.features.contains(&feature) {
                return Err(format!(
                    "this build cannot use {}; leave `--device` out, or build with `cargo build --release --features {feature}`",
                    backend_name(wanted)
                ));
            }
        }
    }
    match best(situation.devices, wanted)? {
        Some(device) => Ok(on(&[device], situation, demand, gpu_layers)),
        None => Ok(without_gpu(situation, wanted)),
    }
}

/// The CPU, since something went wrong with the graphics processor: `what` it did, and what to do.
pub fn instead(choice: &Choice, devices: &[Device], what: &str, remedy: &str) -> Choice {
    let sentence = format!(
        "{} ({}) {what}, so the CPU computes; {remedy}, or leave it alone with `--device cpu`",
        choice.backend, choice.name
    );
    cpu(devices, sentence.clone(), Some(sentence))
}

/// The same device with fewer layers, since it has no room for so many: all layers without their experts, else half of
/// them. `None` if there is nothing less.
pub fn fewer(choice: &Choice, layers: &Layers) -> Option<Choice> {
    let count = choice.placement.gpu_layers.unwrap_or(layers.count()).min(layers.count());
    let all_experts = layers.layers.len() as u32;
    let has_experts = layers.has_experts() && choice.placement.experts_on_cpu < all_experts;
    let placement = match count {
        _ if has_experts => Placement { experts_on_cpu: all_experts, ..choice.placement.clone() },
        0 | 1 => return None,
        _ => Placement { gpu_layers: Some(count / 2), ..choice.placement.clone() },
    };
    let sentence = format!(
        "{} ({}) has no room for what was to go there, so it has {}; close what else uses it, or say how many layers with `--gpu-layers`",
        choice.backend,
        choice.name,
        extent(&placement, layers),
    );
    let own_bytes = match choice.own_bytes {
        0 => 0,
        _ => layers.bytes_of_last(placement.gpu_layers.unwrap_or(count), placement.experts_on_cpu, 0.0),
    };
    Some(Choice {
        placement,
        own_bytes,
        is_all_in_own_memory: false,
        reason: sentence.clone(),
        notice: Some(sentence),
        ..choice.clone()
    })
}

/// `all 29 layers`, `20 of 29 layers`.
fn extent(placement: &Placement, layers: &Layers) -> String {
    let all = layers.count();
    let count = placement.gpu_layers.unwrap_or(all).min(all);
    let count = if count == all { format!("all {all} layers") } else { format!("{count} of {all} layers") };
    match placement.experts_on_cpu {
        0 => count,
        some if some as usize >= layers.layers.len() => format!("{count} without the experts, which the CPU has"),
        some => format!("{count}, the experts of the first {some} being on the CPU"),
    }
}

fn cpu(devices: &[Device], reason: String, notice: Option<String>) -> Choice {
    let name = devices.iter().find(|device| device.backend == "CPU").map(|cpu| cpu.description.clone());
    Choice {
        placement: Placement::cpu(),
        backend: "CPU".into(),
        name: name.unwrap_or_else(|| "CPU".into()),
        reason,
        notice,
        cells: None,
        own_bytes: 0,
        is_all_in_own_memory: false,
    }
}

/// The device to be used, if there is one: a card before one that shares the machine's memory, CUDA and Metal before
/// Vulkan (which sees the same processors), the one with most free memory first. A software driver only if its back end
/// was asked for.
fn best<'d>(devices: &'d [Device], wanted: &DeviceChoice) -> Result<Option<&'d Device>, String> {
    let is_of = |device: &&Device| device.is_gpu() && is_backend(&device.backend, backend_name(wanted));
    if let Some(number) = wanted.number() {
        let of_backend: Vec<&Device> = devices.iter().filter(is_of).collect();
        return match of_backend.get(number as usize) {
            Some(device) => Ok(Some(device)),
            None if of_backend.is_empty() => Ok(None),
            None => {
                let list = of_backend.iter().enumerate();
                let list =
                    list.map(|(number, device)| format!("`{}:{number}` ({})", wanted.word(), device.description));
                Err(format!("there is no device `{wanted}`; there is {}", list.collect::<Vec<_>>().join(", ")))
            }
        };
    }
    let is_auto = *wanted == DeviceChoice::Auto;
    let is_own = |device: &&Device| device.is_gpu() && device.backend != rpc::BACKEND;
    let candidates = devices
        .iter()
        .filter(|device| if is_auto { is_own(device) && device.kind != DeviceKind::Software } else { is_of(device) });
    let rank = |device: &&Device| {
        (
            device.kind == DeviceKind::Software,
            device.shares_memory(),
            device.backend == "Vulkan",
            Reverse(device.free_bytes),
        )
    };
    Ok(candidates.min_by_key(rank))
}

/// The CPU, and why, where there is no device to be used.
fn without_gpu(situation: &Situation<'_>, wanted: &DeviceChoice) -> Choice {
    let Situation { devices, gpus, features, .. } = *situation;
    let told = |sentence: String| cpu(devices, sentence.clone(), Some(sentence));
    if let Some(problem) = situation.problem {
        return told(problem.to_owned());
    }
    let is_wanted = *wanted != DeviceChoice::Auto;
    let gpu = gpus.first();
    match gpu {
        Some(gpu) if features.is_empty() => {
            let feature = gpu.maker.feature();
            let sentence = format!(
                "there is {gpu}, but this build cannot use it; build with `cargo build --release --features {feature}`, or choose this with `--device cpu`"
            );
            // One that shares the processor's memory is not much faster than the processor.
            let notice = Some(sentence.clone()).filter(|_| !gpu.is_integrated);
            cpu(devices, sentence, notice)
        }
        Some(gpu) if is_wanted || !gpu.is_integrated => {
            let names: Vec<&str> = features.iter().map(|feature| name_of_feature(feature)).collect();
            told(format!(
                "there is {gpu}, but no driver through which {} can use it, so the CPU computes; {}",
                names.join(" or "),
                remedy(features, gpu)
            ))
        }
        _ if is_wanted => {
            let name = backend_name(wanted);
            told(format!("there is no {name} device, so the CPU computes; put its driver in, or leave `--device` out"))
        }
        _ if devices.iter().any(|device| device.kind == DeviceKind::Software) => cpu(
            devices,
            "there is only a software driver, which is slower than the CPU itself; `--device vulkan` takes it all the same"
                .into(),
            None,
        ),
        _ if features.is_empty() => cpu(devices, "there is no GPU that this build can use".into(), None),
        _ => cpu(devices, "there is no GPU".into(), None),
    }
}

fn remedy(features: &[&str], gpu: &Gpu) -> String {
    if features.contains(&"vulkan") {
        return match gpu.maker.feature() {
            "cuda" => "install NVIDIA's driver and see `vulkaninfo --summary`".into(),
            _ => "install Mesa's driver (Debian: `mesa-vulkan-drivers`) and see `vulkaninfo --summary`".into(),
        };
    }
    match gpu.maker.feature() {
        "cuda" => "install NVIDIA's driver and see `nvidia-smi`".into(),
        feature => format!("build with `cargo build --release --features {feature}`"),
    }
}

/// The model on the devices of these servers, which share the layers by the memory that is free there.
///
/// # Errors
/// A sentence, if llama.cpp shows none of them.
fn shared(
    situation: &Situation<'_>,
    demand: &Demand<'_>,
    servers: &Servers,
    gpu_layers: Option<u32>,
) -> Result<Choice, String> {
    let devices: Vec<&Device> = situation.devices.iter().filter(|device| device.backend == rpc::BACKEND).collect();
    if devices.is_empty() {
        return Err(format!("there is no device at {}; leave `--device` out", servers.names()));
    }
    let choice = on(&devices, situation, demand, gpu_layers);
    if !choice.is_on_gpu() {
        return Ok(choice);
    }
    let warning = format!(
        "the model is computed by {}. llama.cpp's RPC encrypts nothing and asks nobody who they are: what reaches such a \
         server can read what is said and take the machine over, so let it be reached in networks only that you trust",
        servers.names()
    );
    let notice = choice.notice.iter().map(String::as_str).chain([warning.as_str()]).collect::<Vec<_>>().join("; ");
    Ok(Choice { notice: Some(notice), ..choice })
}

/// The model on this device, or on all of these.
fn on(devices: &[&Device], situation: &Situation<'_>, demand: &Demand<'_>, gpu_layers: Option<u32>) -> Choice {
    let layers = demand.layers;
    let budget = devices.iter().fold(0, |sum: u64, device| sum.saturating_add(budget(device, situation.memory)));
    let backend = devices.first().map(|device| device.backend.clone()).unwrap_or_default();
    let mut names: Vec<&str> = devices.iter().map(|device| device.description.as_str()).collect();
    names.dedup();
    let name = names.join(", ");
    let shares_memory = devices.iter().any(|device| device.shares_memory());
    let free = devices.iter().fold(0, |sum: u64, device| sum.saturating_add(device.free_bytes));
    let plan = match gpu_layers {
        Some(count) => Plan { count: count.min(layers.count()), experts_on_cpu: 0, cells: demand.cells },
        None => plan(demand, budget),
    };
    if plan.count == 0 {
        let sentence = format!(
            "{} ({}) has {} of free memory, which is not enough for any of the model's layers, so the CPU computes; close what else uses it, or choose a smaller model with `-m`",
            backend,
            name,
            gibibytes(free)
        );
        return cpu(situation.devices, sentence.clone(), Some(sentence));
    }
    let placement = Placement {
        devices: devices.iter().map(|device| device.index).collect(),
        gpu_layers: Some(plan.count),
        experts_on_cpu: plan.experts_on_cpu,
        as_stored: false,
    };
    let free = if free > 0 { free } else { situation.memory.map_or(0, |it| it.available) };
    let mut reason = format!(
        "{}, {}: {} of {} of free memory, with the KV cache for {} tokens",
        backend,
        extent(&placement, layers),
        gibibytes(plan.bytes(demand)),
        gibibytes(free),
        plan.cells
    );
    if gpu_layers.is_some() {
        reason.push_str("; that number of layers was asked for");
    } else if plan.count < layers.count() || plan.experts_on_cpu > 0 {
        reason.push_str(&format!(
            "; more does not fit beside the {} left to others",
            gibibytes(devices.iter().map(|device| margin(device)).sum())
        ));
    }
    let is_whole = plan.count == layers.count();
    Choice {
        placement,
        backend,
        name,
        reason,
        notice: None,
        cells: (!demand.is_asked_for).then_some(plan.cells),
        own_bytes: if shares_memory { 0 } else { layers.bytes_of_last(plan.count, plan.experts_on_cpu, 0.0) },
        is_all_in_own_memory: is_whole && !shares_memory,
    }
}

/// What goes to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// Layers, as llama.cpp counts them.
    count: u32,
    experts_on_cpu: u32,
    cells: u32,
}

impl Plan {
    fn bytes(&self, demand: &Demand<'_>) -> u64 {
        let layers = demand.layers;
        let kv_scale = f64::from(self.cells) * demand.kv_scale;
        let bytes = layers.bytes_of_last(self.count, self.experts_on_cpu, kv_scale);
        bytes.saturating_add(layers.working_bytes(BATCH.min(u64::from(self.cells)), u64::from(self.cells)))
    }
}

/// As many layers as fit: all of them, with fewer tokens if need be. Of a model of experts all layers, and the experts of
/// as many as fit, the CPU having the rest: a token goes to few of them, and attention, which sees everything, is where
/// the cache is. Else as many of the last layers as fit.
fn plan(demand: &Demand<'_>, budget: u64) -> Plan {
    let layers = demand.layers;
    let fits = |plan: &Plan| plan.bytes(demand) <= budget;
    let all = |cells| Plan { count: layers.count(), experts_on_cpu: 0, cells };
    let fewest = demand.least_cells.min(demand.cells);
    if let Some(whole) = [demand.cells, fewest].map(all).into_iter().find(fits) {
        return whole;
    }
    if layers.has_experts() {
        let without = |experts_on_cpu| Plan { experts_on_cpu, ..all(fewest) };
        if let Some(plan) = (1..=layers.layers.len() as u32).map(without).find(fits) {
            return plan;
        }
    }
    let part = |count| Plan { count, experts_on_cpu: 0, cells: fewest };
    (1..layers.count()).rev().map(part).find(fits).unwrap_or(part(0))
}

/// Bytes that may be taken of a device. What shares the machine's memory has no more than is free there; what does not
/// tell, neither.
fn budget(device: &Device, memory: Option<Memory>) -> u64 {
    let tells = device.total_bytes > 0;
    let own = if tells { device.free_bytes } else { u64::MAX };
    let free = match memory {
        Some(memory) if device.shares_memory() || !tells => own.min(memory.available),
        _ => own,
    };
    free.saturating_sub(margin(device))
}

fn margin(device: &Device) -> u64 {
    (device.total_bytes / MARGIN_PART).clamp(LEAST_MARGIN, 2 * LEAST_MARGIN)
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn backend_name(wanted: &DeviceChoice) -> &'static str {
    name_of_feature(wanted.word())
}

fn name_of_feature(feature: &str) -> &'static str {
    match feature {
        "metal" => "Metal",
        "cuda" => "CUDA",
        "vulkan" => "Vulkan",
        _ => "CPU",
    }
}

/// ggml calls Metal `Metal` or `MTL`, depending on the version.
fn is_backend(found: &str, name: &str) -> bool {
    found.eq_ignore_ascii_case(name) || (name == "Metal" && found.eq_ignore_ascii_case("MTL"))
}

#[cfg(test)]
mod tests;
