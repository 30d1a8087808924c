//! Graphics processors: those llama.cpp can use, those it cannot, and where a model would run.

use serde::Serialize;

use super::finding::{Finding, Level, Section, object};
use crate::engine::about::{Chosen, Graphics};
use crate::engine::devices::{self, Device};
use crate::hardware::gpus::Gpu;
use crate::text::mebibytes;

/// What is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gpus {
    /// Those that the system shows, in words.
    present: Vec<String>,
    /// Those that llama.cpp can use.
    usable: Vec<Device>,
    /// Where a model would run; `None` where it cannot be loaded as things are set.
    chosen: Option<Chosen>,
    /// Why it cannot.
    #[serde(skip)]
    refused: Option<String>,
    /// Kinds that this build can use.
    features: Vec<&'static str>,
}

impl Gpus {
    pub fn new(gpus: &[Gpu], graphics: Graphics) -> Self {
        let (chosen, refused) = match graphics.choice {
            Ok(chosen) => (Some(chosen), None),
            Err(sentence) => (None, Some(sentence)),
        };
        Self {
            present: gpus.iter().map(ToString::to_string).collect(),
            usable: graphics.devices.into_iter().filter(Device::is_gpu).collect(),
            chosen,
            refused,
            features: devices::features().to_vec(),
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = Vec::new();
        let or_none = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        facts.push(("present", or_none(&self.present)));
        let device = |device: &Device| {
            let memory = match device.total_bytes {
                0 => String::new(),
                total => format!(", {} of {} free", mebibytes(device.free_bytes), mebibytes(total)),
            };
            format!("{} ({}{memory})", device.description, device.name)
        };
        facts.push(("usable", or_none(&self.usable.iter().map(device).collect::<Vec<_>>())));
        if let Some(Chosen { backend, reason, .. }) = &self.chosen {
            facts.push(("models run on", format!("{backend}: {reason}")));
        }
        Section {
            name: "gpu",
            title: "Graphics",
            facts,
            findings: self.finding().into_iter().collect(),
            object: object(self),
        }
    }

    fn finding(&self) -> Option<Finding> {
        let told = |level, sentence: &str| {
            Some(Finding::of_sentence(level, sentence, "; ", "see `tuichat --help`, `--device`"))
        };
        if let Some(sentence) = &self.refused {
            return told(Level::Problem, sentence);
        }
        let chosen = self.chosen.as_ref()?;
        if let Some(notice) = &chosen.notice {
            return told(Level::Warning, notice);
        }
        if chosen.backend != "CPU" {
            return Some(Finding::ok(format!("models run on {}", chosen.name)));
        }
        if self.present.is_empty() {
            return None;
        }
        match chosen.reason.contains("; ") {
            // Such as one without memory of its own, which brings little.
            true => told(Level::Note, &chosen.reason),
            false => Some(Finding::note(
                format!("there is {}, and it is not used: {}", self.present.join(", "), chosen.reason),
                "leave `device` and `gpu_layers` out of config.toml, the environment and the command line to use it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::devices::DeviceKind;
    use crate::hardware::gpus::Maker;

    fn card() -> Gpu {
        Gpu { maker: Maker::Amd, name: Some("Radeon 9".into()), address: "0000:01:00.0".into(), is_integrated: false }
    }

    fn device() -> Device {
        Device {
            index: 1,
            name: "Vulkan0".into(),
            backend: "Vulkan".into(),
            description: "Radeon 9".into(),
            kind: DeviceKind::Discrete,
            free_bytes: 6 << 30,
            total_bytes: 8 << 30,
        }
    }

    fn chosen(backend: &str, reason: &str, notice: Option<&str>) -> Result<Chosen, String> {
        let (backend, name, reason) = (backend.into(), "Radeon 9".into(), reason.into());
        Ok(Chosen { backend, name, reason, notice: notice.map(str::to_owned) })
    }

    fn gpus(gpus: &[Gpu], devices: Vec<Device>, choice: Result<Chosen, String>) -> Gpus {
        Gpus::new(gpus, Graphics { devices, choice })
    }

    #[test]
    fn a_device_that_is_set_and_cannot_be_used_is_a_problem_with_what_to_do() {
        let found = gpus(&[], Vec::new(), Err("this build cannot use CUDA; leave `--device` out".into()));
        assert_eq!(found.finding(), Some(Finding::problem("this build cannot use CUDA", "leave `--device` out")));
    }

    #[test]
    fn a_card_that_this_build_cannot_use_is_a_warning() {
        let notice = "there is an AMD GPU (Radeon 9), but this build cannot use it; build with `cargo build`";
        let found = gpus(&[card()], Vec::new(), chosen("CPU", notice, Some(notice)));
        let finding = found.finding().unwrap();
        assert_eq!((finding.level, finding.remedy.as_deref()), (Level::Warning, Some("build with `cargo build`")));
    }

    #[test]
    fn a_card_that_is_not_wanted_is_a_note_and_one_that_is_used_is_ok() {
        let unused = gpus(&[card()], vec![device()], chosen("CPU", "the CPU was asked for", None));
        let finding = unused.finding().unwrap();
        assert_eq!(finding.level, Level::Note);
        assert!(finding.what.contains("Radeon 9") && finding.what.contains("asked for"), "{finding:?}");
        let used = gpus(&[card()], vec![device()], chosen("Vulkan", "it can be used", None));
        assert_eq!(used.finding().unwrap().level, Level::Ok);
        let section = used.section();
        assert!(
            section.facts.contains(&("usable", "Radeon 9 (Vulkan0, 6144 MiB of 8192 MiB free)".into())),
            "{section:?}"
        );
        assert_eq!(section.object["usable"][0]["kind"], "discrete");
        assert_eq!(gpus(&[], Vec::new(), chosen("CPU", "there is no GPU", None)).finding(), None);
    }
}
