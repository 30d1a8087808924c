//! The program itself: which version, and how it was built.

use serde::Serialize;

use super::finding::{Finding, Section, object};
use crate::engine::devices;

/// What is built in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Program {
    version: &'static str,
    llama_cpp: String,
    /// `portable`, `native` or `generic`.
    build: &'static str,
    /// Back ends for graphics processors.
    features: Vec<&'static str>,
    openmp: bool,
    optimised: bool,
    target: String,
}

impl Program {
    /// This program, whose llama.cpp names these abilities of its own.
    pub fn this(llama_cpp: String, abilities: &[String]) -> Self {
        // What every processor of the kind has is less than this.
        let beyond_the_least = cfg!(any(
            target_feature = "avx2",
            all(target_arch = "aarch64", any(target_feature = "lse", target_feature = "dotprod"))
        ));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            llama_cpp,
            build: match (cfg!(feature = "portable"), beyond_the_least) {
                (true, _) => "portable",
                (false, true) => "native",
                (false, false) => "generic",
            },
            features: devices::features().to_vec(),
            openmp: abilities.iter().any(|ability| ability == "OPENMP"),
            optimised: !cfg!(debug_assertions),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }

    pub fn section(&self) -> Section {
        let build = match self.build {
            "portable" => "portable: its kernels are chosen when it starts",
            "native" => "for the kind of processor it was made on",
            _ => "for any processor of its kind",
        };
        let devices = if self.features.is_empty() { "no graphics processors".into() } else { self.features.join(", ") };
        let threads = if self.openmp { "OpenMP" } else { "llama.cpp's own threads" };
        Section {
            name: "program",
            title: "Program",
            facts: vec![
                ("tuichat", format!("{} ({})", self.version, self.target)),
                ("llama.cpp", self.llama_cpp.clone()),
                ("build", format!("{build}; {devices}; {threads}")),
            ],
            findings: self.findings(),
            object: object(self),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !self.optimised {
            findings.push(Finding::warning(
                "this is a debug build, which draws and hashes many times slower",
                "build it with `make build`, or `cargo build --release`",
            ));
        }
        if cfg!(windows) {
            findings.push(Finding::note(
                "tuichat was built for Windows, where nobody has had a chat with it yet and nothing is in a sandbox",
                "docs/troubleshooting.md says what is otherwise there",
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_build_is_a_warning() {
        let program = Program { optimised: false, ..Program::this("b1".into(), &["OPENMP".into()]) };
        assert!(program.findings()[0].what.contains("debug build"));
        let section = Program { optimised: true, ..program }.section();
        assert!(section.findings.is_empty() || cfg!(windows));
        assert_eq!((&section.object["llama_cpp"], &section.object["openmp"]), (&"b1".into(), &true.into()));
    }
}
