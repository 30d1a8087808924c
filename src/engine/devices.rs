//! The devices that llama.cpp finds here. A driver of a graphics processor may crash when it is asked what there is, so a
//! child process asks first, once for all drivers as they are: `tuichat __probe` without a file.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::OnceLock;

use super::llama::{self, VISIBLE_DEVICES, Visible};
use super::probe::{Asked, Probe};
use super::protocol::DeviceChoice;
use crate::hardware::gpus;

pub use super::llama::{Device, DeviceKind};

/// Variables that decide which drivers there are and what they show.
const VARIABLES: [&str; 5] =
    ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES", VISIBLE_DEVICES, "CUDA_VISIBLE_DEVICES"];

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub devices: Vec<Device>,
    /// Why graphics processors were not asked for, and what to do, in a sentence.
    pub problem: Option<String>,
}

/// The kinds of graphics processors that this build can use, by the features that they are called in `Cargo.toml`.
pub fn features() -> &'static [&'static str] {
    const CUDA: bool = cfg!(feature = "cuda");
    // llama.cpp has it on Apple's own processors whether it is asked for or not.
    const METAL: bool = cfg!(any(feature = "metal", all(target_os = "macos", target_arch = "aarch64")));
    const VULKAN: bool = cfg!(feature = "vulkan");
    match (CUDA, METAL, VULKAN) {
        (false, false, false) => &[],
        (true, false, false) => &["cuda"],
        (false, true, false) => &["metal"],
        (false, false, true) => &["vulkan"],
        (true, false, true) => &["cuda", "vulkan"],
        (false, true, true) => &["metal", "vulkan"],
        (true, true, false) => &["cuda", "metal"],
        (true, true, true) => &["cuda", "metal", "vulkan"],
    }
}

/// The devices of this machine, with what is free on them now. The first call of a process decides which graphics
/// processors it sees: none if the CPU is wanted, a software driver only if Vulkan is. Without a probe nothing is asked
/// in a child.
pub fn find(wanted: &DeviceChoice, probe: Option<&Probe>) -> Found {
    static PROBLEM: OnceLock<Option<String>> = OnceLock::new();
    let problem = PROBLEM.get_or_init(|| probe.and_then(|probe| begin(wanted, probe)));
    Found { devices: llama::devices(), problem: problem.clone() }
}

/// Free bytes of the graphics processor with the most of them, if there is one that would be used.
pub fn free_gpu_bytes(wanted: &DeviceChoice, probe: Option<&Probe>) -> Option<u64> {
    if features().is_empty() || matches!(wanted, DeviceChoice::Cpu | DeviceChoice::Rpc(_)) {
        return None;
    }
    let is_used = |device: &Device| device.is_gpu() && device.kind != DeviceKind::Software;
    find(wanted, probe).devices.iter().filter(|device| is_used(device)).map(|device| device.free_bytes).max()
}

/// Of the drivers as they are: another driver, kernel or choice by variables gives another word.
pub(super) fn drivers() -> String {
    let mut hasher = DefaultHasher::new();
    gpus::drivers_under(Path::new("/")).hash(&mut hasher);
    VARIABLES.map(std::env::var_os).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Finds out what llama.cpp is to see, before it is started. The answer is what went wrong.
fn begin(wanted: &DeviceChoice, probe: &Probe) -> Option<String> {
    if features().is_empty() {
        return None;
    }
    if *wanted == DeviceChoice::Cpu {
        llama::show_devices(Visible::None);
        return None;
    }
    let known = format!("drivers {}", drivers());
    let vulkan_devices = match probe.recall(&known) {
        Some(number) => number.parse::<usize>().unwrap_or(0),
        None => match probe.ask_for_devices(None) {
            Asked::Told(devices) => {
                let number = count_of_vulkan(&devices);
                probe.remember_word(&known, &number.to_string());
                number
            }
            Asked::Crashed(how) => {
                llama::show_devices(Visible::None);
                return Some(format!(
                    "the driver of a graphics processor {how} when it was asked for its devices, so the CPU computes; bring the driver up to date, or leave it alone with `--device cpu`"
                ));
            }
            Asked::Unknown => return None,
        },
    };
    let may_be_software = matches!(wanted, DeviceChoice::Vulkan(_)) && features().contains(&"vulkan");
    if may_be_software
        && vulkan_devices == 0
        && std::env::var_os(VISIBLE_DEVICES).is_none()
        && matches!(probe.ask_for_devices(Some(Visible::First)), Asked::Told(devices) if count_of_vulkan(&devices) > 0)
    {
        llama::show_devices(Visible::First);
    }
    None
}

fn count_of_vulkan(devices: &[Device]) -> usize {
    devices.iter().filter(|device| device.backend == "Vulkan").count()
}
