//! Graphics processors: those llama.cpp can use, those it cannot, and where a model would run.

use serde::Serialize;

use super::finding::{Finding, Section, object};
use crate::engine::about::{Chosen, Found};

/// What is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gpus {
    /// Those that this build can use.
    usable: Vec<Found>,
    /// Where a model would run; `None` where it cannot be loaded as things are set.
    chosen: Option<Chosen>,
    /// Why it cannot.
    #[serde(skip)]
    refused: Option<String>,
    /// Back ends that are built in.
    built_in: Vec<&'static str>,
}

impl Gpus {
    pub fn new(devices: Vec<Found>, choice: Result<Chosen, String>) -> Self {
        let built_in = [
            ("CUDA", cfg!(feature = "cuda")),
            ("Metal", cfg!(feature = "metal")),
            ("Vulkan", cfg!(feature = "vulkan")),
        ];
        let (chosen, refused) = match choice {
            Ok(chosen) => (Some(chosen), None),
            Err(sentence) => (None, Some(sentence)),
        };
        Self {
            usable: devices.into_iter().filter(|device| device.is_gpu).collect(),
            chosen,
            refused,
            built_in: built_in.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect(),
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = Vec::new();
        for device in &self.usable {
            facts.push(("usable", format!("{} ({})", device.name, device.backend)));
        }
        if self.usable.is_empty() {
            facts.push(("usable", "none".into()));
        }
        if let Some(Chosen { backend, reason, .. }) = &self.chosen {
            facts.push(("models run on", format!("{backend}: {reason}")));
        }
        Section { name: "gpu", title: "Graphics", facts, findings: self.findings(), object: object(self) }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(sentence) = &self.refused {
            let (what, remedy) = sentence.split_once("; ").unwrap_or((sentence, "leave `device` and `--device` out"));
            findings.push(Finding::problem(what, remedy));
        }
        if self.usable.is_empty() && !self.built_in.is_empty() {
            findings.push(Finding::note(
                format!("this build is for {}, and found no such device", self.built_in.join(" and ")),
                "look after the driver: `nvidia-smi` or `vulkaninfo --summary` should show the device",
            ));
        }
        let runs_on_cpu = self.chosen.as_ref().is_some_and(|chosen| chosen.backend == "CPU");
        if !self.usable.is_empty() && runs_on_cpu {
            findings.push(Finding::note(
                "a graphics processor could be used, and the processor is",
                "leave `device` and `gpu_layers` out of config.toml, the environment and the command line",
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn gpu() -> Found {
        Found { backend: "Vulkan".into(), name: "Radeon".into(), is_gpu: true }
    }

    fn cpu() -> Chosen {
        Chosen { backend: "CPU".into(), name: "CPU".into(), reason: "the CPU was asked for".into() }
    }

    #[test]
    fn a_device_that_is_set_and_not_there_is_a_problem_with_what_to_do() {
        let gpus = Gpus::new(Vec::new(), Err("there is no CUDA device; leave `--device` out".into()));
        let findings = gpus.findings();
        assert_eq!(findings[0], Finding::problem("there is no CUDA device", "leave `--device` out"));
    }

    #[test]
    fn a_graphics_processor_that_is_not_used_is_noted() {
        let gpus = Gpus::new(vec![gpu()], Ok(cpu()));
        assert_eq!(gpus.findings()[0].level, Level::Note);
        let section = gpus.section();
        assert!(section.facts.contains(&("usable", "Radeon (Vulkan)".into())), "{:?}", section.facts);
        assert_eq!(section.object["usable"][0]["name"], "Radeon");
        assert!(section.object["chosen"]["reason"].as_str().unwrap().contains("asked for"));
    }
}
