//! Where a model runs: the choice from the devices there are and what was asked for, with the reason in words. Pure,
//! so that machines nobody here has can be tested.

use super::llama::{Device, Placement};
use super::protocol::DeviceChoice;

/// Where the model goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub placement: Placement,
    pub backend: String,
    /// What the maker calls the device.
    pub name: String,
    pub reason: String,
}

/// Chooses a device. `gpu_layers` limits what goes to a GPU; 0 means the CPU.
///
/// # Errors
/// A sentence, if a device was asked for that is not there.
pub fn choose(devices: &[Device], wanted: DeviceChoice, gpu_layers: Option<u32>) -> Result<Choice, String> {
    let gpu = |backend: Option<&str>| {
        devices.iter().find(|device| device.is_gpu && backend.is_none_or(|name| is_backend(&device.backend, name)))
    };
    let (found, reason) = match wanted {
        DeviceChoice::Cpu => (None, "the CPU was asked for".to_owned()),
        _ if gpu_layers == Some(0) => (None, "no layer was to go to a GPU".to_owned()),
        DeviceChoice::Auto => match gpu(None) {
            Some(device) => (Some(device), format!("{} is there", device.backend)),
            None => (None, "there is no GPU that this build can use".to_owned()),
        },
        DeviceChoice::Metal | DeviceChoice::Cuda | DeviceChoice::Vulkan => {
            let name = backend_name(wanted);
            let device = gpu(Some(name)).ok_or_else(|| {
                let feature = name.to_lowercase();
                format!(
                    "there is no {name} device, or this build cannot use it; leave `--device` out, or build with `cargo build --release --features {feature}`"
                )
            })?;
            (Some(device), format!("{name} was asked for"))
        }
    };
    Ok(match found {
        Some(device) => Choice {
            placement: Placement { devices: vec![device.index], gpu_layers, ..Placement::default() },
            backend: device.backend.clone(),
            name: device.description.clone(),
            reason,
        },
        None => Choice {
            placement: Placement { gpu_layers: Some(0), ..Placement::default() },
            backend: "CPU".into(),
            name: devices
                .iter()
                .find(|device| device.backend == "CPU")
                .map_or("CPU".into(), |cpu| cpu.description.clone()),
            reason,
        },
    })
}

fn backend_name(wanted: DeviceChoice) -> &'static str {
    match wanted {
        DeviceChoice::Auto | DeviceChoice::Cpu => "CPU",
        DeviceChoice::Metal => "Metal",
        DeviceChoice::Cuda => "CUDA",
        DeviceChoice::Vulkan => "Vulkan",
    }
}

/// ggml calls Metal `Metal` or `MTL`, depending on the version.
fn is_backend(found: &str, name: &str) -> bool {
    found.eq_ignore_ascii_case(name) || (name == "Metal" && found.eq_ignore_ascii_case("MTL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Device {
        Device { index: 0, backend: "CPU".into(), description: "Cortex-A76".into(), is_gpu: false }
    }

    fn vulkan() -> Device {
        Device { index: 1, backend: "Vulkan".into(), description: "Radeon".into(), is_gpu: true }
    }

    #[test]
    fn without_a_gpu_the_cpu_is_chosen_and_the_reason_said() {
        let choice = choose(&[cpu()], DeviceChoice::Auto, None).unwrap();
        assert_eq!((choice.backend.as_str(), choice.name.as_str()), ("CPU", "Cortex-A76"));
        assert_eq!(choice.placement.gpu_layers, Some(0));
        assert!(choice.reason.contains("no GPU"));
    }

    #[test]
    fn a_gpu_is_used_when_there_is_one() {
        let choice = choose(&[cpu(), vulkan()], DeviceChoice::Auto, None).unwrap();
        assert_eq!(choice.placement, Placement { devices: vec![1], ..Placement::default() });
    }

    #[test]
    fn asking_for_the_cpu_or_for_no_layers_leaves_the_gpu_alone() {
        for (wanted, layers) in
            [(DeviceChoice::Cpu, None), (DeviceChoice::Auto, Some(0)), (DeviceChoice::Vulkan, Some(0))]
        {
            assert_eq!(choose(&[cpu(), vulkan()], wanted, layers).unwrap().backend, "CPU");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_that_says_how_to_get_it() {
        let error = choose(&[cpu()], DeviceChoice::Cuda, None).unwrap_err();
        assert!(error.contains("CUDA") && error.contains("--features cuda"), "{error}");
    }
}
