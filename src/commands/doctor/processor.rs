//! The processor: what it can do and how much of that is used, which cores compute, and what slows them down.

use serde::Serialize;

use super::finding::{Finding, Section, object};
use super::instructions::{self, Instructions};
use super::system::{System, listed};
use crate::hardware::power::Power;
use crate::hardware::{cores, power};

/// Tasks that compute, on average over a minute, from which it is no longer the odd one.
const BUSY: f64 = 0.75;

/// Variables that change how llama.cpp's threads wait and where they run.
const OPENMP_VARIABLES: [&str; 9] = [
    "OMP_WAIT_POLICY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "OMP_THREAD_LIMIT",
    "OMP_DYNAMIC",
    "GOMP_SPINCOUNT",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
];

/// What is known of the processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Processor {
    name: Option<String>,
    /// How many the machine has switched on.
    cores: Option<usize>,
    /// Numbers of those that this program may use; empty where the system does not tell.
    allowed: Vec<usize>,
    /// Processors' worth of time that control groups allow.
    quota: Option<f64>,
    threads: u32,
    /// The setting `threads`, where it is set.
    threads_set: Option<u32>,
    instructions_used: Vec<&'static str>,
    instructions_unused: Vec<&'static str>,
    #[serde(skip)]
    instructions_missed: Vec<&'static str>,
    /// Tasks that computed, on average of the last minute.
    load: Option<f64>,
    governor: Option<String>,
    #[serde(skip)]
    is_saving: Option<Saving>,
    on_battery: bool,
    charge_percent: Option<u8>,
    openmp_variables: Vec<&'static str>,
}

/// How the clock is kept low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saving {
    /// At its lowest, whatever is computed.
    Governor,
    /// By what the processor's own control is told to prefer.
    Preference,
}

/// How many threads compute.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    pub set: Option<u32>,
    /// Those that are taken where none is set.
    pub usual: u32,
}

impl Processor {
    /// Reads what the system says. `abilities` are ggml's names of what it was compiled for, `llama_name` is what it
    /// calls the processor.
    pub fn read(system: &System<'_>, abilities: &[String], llama_name: Option<String>, threads: Threads) -> Self {
        let present = instructions::present(system);
        let Instructions { used, unused, missed } = Instructions::of(abilities, present.as_deref());
        let has_openmp = abilities.iter().any(|ability| ability == "OPENMP");
        let power = power::read(system.root);
        Self {
            name: name(system).or(llama_name),
            cores: system.read("sys/devices/system/cpu/online").and_then(|text| count(&text)),
            allowed: cores::allowed(),
            quota: None,
            threads: threads.set.unwrap_or(threads.usual),
            threads_set: threads.set,
            instructions_used: used,
            instructions_unused: unused,
            instructions_missed: missed,
            load: load(system),
            governor: system.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            is_saving: saving(system),
            on_battery: power.is_some_and(|power| power.on_battery),
            charge_percent: power.and_then(|Power { charge_percent, .. }| charge_percent),
            openmp_variables: if has_openmp { system.all_set(&OPENMP_VARIABLES) } else { Vec::new() },
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = Vec::new();
        if let Some(name) = &self.name {
            facts.push(("name", name.clone()));
        }
        facts.push(("cores", self.cores_sentence()));
        facts.push(("threads", self.threads_sentence()));
        if !self.instructions_used.is_empty() {
            facts.push(("instructions", self.instructions_used.join(", ")));
        }
        if !self.instructions_unused.is_empty() {
            facts.push(("not used", self.instructions_unused.join(", ")));
        }
        if let Some(load) = self.load {
            facts.push(("load", format!("{load:.1} tasks computed in the last minute")));
        }
        if let Some(governor) = &self.governor {
            facts.push(("clock", governor.clone()));
        }
        Section { name: "processor", title: "Processor", facts, findings: self.findings(), object: object(self) }
    }

    fn cores_sentence(&self) -> String {
        let count = |count: usize| if count == 1 { "1 processor".into() } else { format!("{count} processors") };
        match (self.cores, self.allowed.len()) {
            (Some(cores), allowed) if allowed > 0 && allowed < cores => {
                format!("{}; this program may use {}", count(cores), cores::describe(&self.allowed))
            }
            (Some(cores), _) => count(cores),
            (None, 0) => "the system does not tell".into(),
            (None, allowed) => count(allowed),
        }
    }

    fn threads_sentence(&self) -> String {
        match self.threads_set {
            Some(threads) => format!("{threads}, as `threads` is set"),
            None => format!("{}: all that this program may use", self.threads),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.unused_instructions());
        findings.extend(self.too_many_threads());
        findings.extend(self.busy());
        findings.extend(self.slow_clock());
        if !self.openmp_variables.is_empty() {
            let names = listed(&self.openmp_variables);
            let options: String = self.openmp_variables.iter().map(|name| format!("-u {name} ")).collect();
            findings.push(Finding::note(
                format!("{names} {} how llama.cpp's threads run and wait", verb(self.openmp_variables.len(), "change")),
                format!("`env {options}tuichat` starts without"),
            ));
        }
        findings
    }

    fn unused_instructions(&self) -> Option<Finding> {
        if self.instructions_used.is_empty() {
            return None;
        }
        if self.instructions_missed.is_empty() {
            return Some(Finding::ok("this build uses what makes this processor fast"));
        }
        Some(Finding::warning(
            format!(
                "the processor has {}, and this build does without, which is slower",
                self.instructions_missed.join(", ")
            ),
            "build it on this machine: in the folder of its source, with no `RUSTFLAGS` set, type `make build`",
        ))
    }

    fn too_many_threads(&self) -> Option<Finding> {
        let allowed = self.allowed.len();
        let threads = f64::from(self.threads);
        let leave_out = "leave `threads` out of config.toml and `--threads` out of the command line";
        if let Some(quota) = self.quota.filter(|quota| *quota < threads) {
            return Some(Finding::warning(
                format!("{} threads compute, and a control group allows {quota:.1} processors", self.threads),
                match self.threads_set {
                    Some(_) => leave_out.into(),
                    None => format!("type `tuichat --threads {}`", (quota as u32).max(1)),
                },
            ));
        }
        if allowed > 0 && self.threads as usize > allowed {
            let threads = self.threads;
            return Some(Finding::warning(
                format!("{threads} threads compute on {allowed} processors, and wait for each other"),
                leave_out,
            ));
        }
        let cores = self.cores?;
        let quota = self.quota.filter(|quota| *quota < cores as f64)?;
        Some(Finding::note(
            format!("a control group allows this program {quota:.1} of {cores} processors"),
            "give the container or the service more, as with `docker update --cpus`, if that is not meant",
        ))
    }

    fn busy(&self) -> Option<Finding> {
        let load = self.load.filter(|load| *load >= BUSY)?;
        let spare = (self.allowed.len() as f64 - load).floor().max(1.0) as u32;
        let threads = spare.min(self.threads);
        let remedy = match threads < self.threads {
            true => format!("`top` shows who it is; until then try `tuichat --threads {threads}`"),
            false => "`top` shows who it is".into(),
        };
        Some(Finding::note(
            format!(
                "other programs compute ({load:.1} tasks on average); threads that wait for each other become many times \
                 slower beside them"
            ),
            remedy,
        ))
    }

    fn slow_clock(&self) -> Option<Finding> {
        match self.is_saving {
            Some(Saving::Governor) => {
                return Some(Finding::warning(
                    "the clock is kept at its lowest (`powersave`)",
                    "type `sudo cpupower frequency-set -g schedutil`",
                ));
            }
            Some(Saving::Preference) => {
                return Some(Finding::note(
                    "the processor is told to save power",
                    "type `powerprofilesctl set balanced`, if that is not meant",
                ));
            }
            None => {}
        }
        self.on_battery.then(|| {
            let charge = self.charge_percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
            Finding::note(
                format!("the machine runs on its battery{charge}, and may be slower"),
                "plug it in for long answers; below 30 % nothing is computed ahead",
            )
        })
    }
}

fn verb(subjects: usize, verb: &str) -> String {
    if subjects == 1 { format!("{verb}s") } else { verb.to_owned() }
}

/// The maker's name of the processor, or that of the board.
fn name(system: &System<'_>) -> Option<String> {
    let cpuinfo = system.read("proc/cpuinfo").unwrap_or_default();
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = line.map(|(_, name)| name.split_whitespace().collect::<Vec<_>>().join(" "));
    name.filter(|name| !name.is_empty()).or_else(|| system.read("proc/device-tree/model"))
}

/// How many numbers a list like `0-3,6` has.
fn count(list: &str) -> Option<usize> {
    let sizes = list.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    });
    sizes.sum()
}

fn load(system: &System<'_>) -> Option<f64> {
    system.read("proc/loadavg")?.split_whitespace().next()?.parse().ok()
}

/// `powersave` is the lowest clock, but for drivers that take the word for their own control of it.
fn saving(system: &System<'_>) -> Option<Saving> {
    let of = |name: &str| system.read(&format!("sys/devices/system/cpu/cpu0/cpufreq/{name}"));
    let governor = of("scaling_governor").filter(|governor| governor == "powersave");
    let driver = of("scaling_driver").unwrap_or_default();
    let has_control = driver.starts_with("intel_pstate") || driver.starts_with("amd-pstate-epp");
    match governor {
        Some(_) if !has_control => Some(Saving::Governor),
        _ => of("energy_performance_preference").filter(|it| it == "power").map(|_| Saving::Preference),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::system::fixture::Fixture;
    use super::*;

    const THREADS: Threads = Threads { set: None, usual: 4 };
    const CPUINFO: &str = "model name\t: Example  CPU 9\nflags : avx2 avx512f\n";

    fn read(files: &[(&str, &str)], variables: &[(&'static str, &'static str)]) -> Processor {
        let abilities = ["AVX2".to_owned(), "OPENMP".to_owned()];
        let fixture = Fixture::new(files, variables);
        let processor = fixture.examine(|system| Processor::read(system, &abilities, None, THREADS));
        Processor { allowed: vec![0, 1, 2, 3], ..processor }
    }

    fn told(processor: &Processor) -> Vec<(Level, String)> {
        processor.findings().into_iter().map(|finding| (finding.level, finding.what)).collect()
    }

    #[test]
    fn a_build_for_a_lesser_processor_is_a_warning_with_what_it_lacks() {
        let processor = read(&[("proc/cpuinfo", CPUINFO)], &[]);
        assert_eq!(processor.name.as_deref(), Some("Example CPU 9"));
        let findings = processor.findings();
        assert_eq!(findings[0].level, Level::Warning);
        assert!(findings[0].what.contains("AVX-512") && !findings[0].what.contains("AVX2"), "{findings:?}");
        assert!(findings[0].remedy.as_ref().unwrap().contains("make build"));
    }

    #[test]
    fn a_build_that_uses_everything_is_ok() {
        let processor = read(&[("proc/cpuinfo", "flags : avx2\n")], &[]);
        assert_eq!(told(&processor), [(Level::Ok, "this build uses what makes this processor fast".into())]);
    }

    #[test]
    fn programs_that_compute_are_noted_with_the_threads_that_are_left() {
        let processor =
            Processor { instructions_used: Vec::new(), ..read(&[("proc/loadavg", "1.25 0.9 0.8 1/99 7\n")], &[]) };
        let findings = processor.findings();
        assert_eq!(findings[0].level, Level::Note);
        assert!(findings[0].remedy.as_ref().unwrap().contains("--threads 2"), "{findings:?}");
        let idle = Processor { instructions_used: Vec::new(), ..read(&[("proc/loadavg", "0.70 9 9 1/99 7\n")], &[]) };
        assert_eq!(told(&idle), []);
    }

    #[test]
    fn more_threads_than_processors_are_a_warning() {
        let plain =
            Processor { instructions_used: Vec::new(), ..read(&[("sys/devices/system/cpu/online", "0-3,6\n")], &[]) };
        assert_eq!((plain.cores, told(&plain)), (Some(5), vec![]));
        assert!(plain.cores_sentence().contains("5 processors; this program may use 0-3"));
        let many = Processor { threads: 8, threads_set: Some(8), ..plain.clone() };
        assert_eq!(many.findings()[0].level, Level::Warning);
        let limited = Processor { quota: Some(1.5), ..plain.clone() };
        assert!(limited.findings()[0].remedy.as_ref().unwrap().contains("--threads 1"));
        let fitting = Processor { quota: Some(4.0), ..plain };
        assert_eq!(told(&fitting), [(Level::Note, "a control group allows this program 4.0 of 5 processors".into())]);
    }

    #[test]
    fn powersave_is_slow_only_where_it_means_the_lowest_clock() {
        let cpufreq = |driver, preference| {
            let folder = "sys/devices/system/cpu/cpu0/cpufreq";
            let paths = ["scaling_governor", "scaling_driver", "energy_performance_preference"]
                .map(|name| format!("{folder}/{name}"));
            let files = [(paths[0].as_str(), "powersave\n"), (&paths[1], driver), (&paths[2], preference)];
            Fixture::new(&files, &[]).examine(saving)
        };
        assert_eq!(cpufreq("acpi-cpufreq\n", ""), Some(Saving::Governor));
        assert_eq!(cpufreq("intel_pstate\n", "balance_performance\n"), None);
        assert_eq!(cpufreq("intel_pstate\n", "power\n"), Some(Saving::Preference));
    }

    #[test]
    fn variables_of_openmp_are_noted_with_the_command_that_leaves_them_out() {
        let processor =
            read(&[("proc/cpuinfo", "flags : avx2\n")], &[("OMP_WAIT_POLICY", "passive"), ("OMP_PLACES", "")]);
        let finding = processor.findings().pop().unwrap();
        assert_eq!(finding.remedy.as_deref(), Some("`env -u OMP_WAIT_POLICY tuichat` starts without"));
    }

    #[test]
    fn a_machine_that_tells_nothing_is_no_reason_to_fail() {
        let section = Fixture::new(&[], &[])
            .examine(|system| Processor::read(system, &[], Some("Cortex".into()), THREADS).section());
        assert_eq!(section.object["name"], "Cortex");
    }
}
