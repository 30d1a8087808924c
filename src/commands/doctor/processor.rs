//! The processor: what it can do and how much of that is used, which cores compute, and what slows them down.

use serde::Serialize;

use super::finding::{Finding, Level, Section, object};
use super::instructions::{self, Instructions};
use super::system::{System, listed};
use crate::hardware::cores::{CoreChoice, CoreSet, Cpu};
use crate::hardware::power::{self, Power};
use crate::text::counted;

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
    /// What the board calls itself.
    board: Option<String>,
    /// Those that are switched on.
    cores: Vec<OneCore>,
    /// Processors' worth of time that control groups allow.
    quota: Option<f64>,
    /// Threads that compute answers.
    threads: u32,
    /// Why so many, and on which cores.
    threads_reason: String,
    /// What speaks against what was asked for.
    #[serde(skip)]
    remark: Option<String>,
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

/// A processor as the system counts them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneCore {
    number: usize,
    /// Of 1024, which the fastest have.
    capacity: u32,
    kind: Option<&'static str>,
    is_allowed: bool,
}

impl Processor {
    /// Reads what the system says. `abilities` are ggml's names of what it was compiled for, `llama_name` is what it
    /// calls the processor, `wish` the threads that are set.
    pub fn read(
        system: &System<'_>,
        cpu: &Cpu,
        abilities: &[String],
        llama_name: Option<String>,
        wish: Option<u32>,
    ) -> Self {
        let present = instructions::present(system);
        let Instructions { used, unused, missed } = Instructions::of(abilities, present.as_deref());
        let has_openmp = abilities.iter().any(|ability| ability == "OPENMP");
        let power = power::read(system.root);
        let CoreChoice { crews, reason, remark } = cpu.choose(wish);
        let core = |core: &crate::hardware::cores::Core| OneCore {
            number: core.number,
            capacity: core.capacity,
            kind: core.kind,
            is_allowed: core.is_allowed,
        };
        Self {
            name: cpu.name.clone().or(llama_name),
            board: cpu.board.clone(),
            cores: cpu.cores.iter().map(core).collect(),
            quota: cpu.quota,
            threads: crews.decode.threads,
            threads_reason: reason,
            remark,
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
        if let Some(board) = &self.board {
            facts.push(("board", board.clone()));
        }
        facts.push(("processors", self.cores_sentence()));
        facts.push(("threads", self.threads_reason.clone()));
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

    /// `8 (4 Cortex-A76, 4 Cortex-A55); this program may use 0-3`.
    fn cores_sentence(&self) -> String {
        if self.cores.is_empty() {
            return "the system does not tell".into();
        }
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for kind in self.cores.iter().filter_map(|core| core.kind) {
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((kind, 1)),
            }
        }
        let mut sentence = self.cores.len().to_string();
        if !kinds.is_empty() {
            let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            sentence.push_str(&format!(" ({})", kinds.join(", ")));
        }
        let allowed = self.allowed();
        if allowed > 0 && allowed < self.cores.len() {
            let numbers: CoreSet = self.cores.iter().filter(|core| core.is_allowed).map(|core| core.number).collect();
            sentence.push_str(&format!("; this program may use {numbers}"));
        }
        sentence
    }

    fn allowed(&self) -> usize {
        self.cores.iter().filter(|core| core.is_allowed).count()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.unused_instructions());
        let remark = self.remark.as_deref();
        findings.extend(remark.map(|it| Finding::of_sentence(Level::Warning, it, "; ", "leave `threads` out")));
        findings.extend(self.little_time());
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

    fn little_time(&self) -> Option<Finding> {
        let quota = self.quota.filter(|quota| *quota < self.allowed() as f64)?;
        let cores = counted(self.allowed() as u64, "processor");
        Some(Finding::note(
            format!("a control group gives this program the time of {quota:.1} of its {cores}"),
            "give the container or the service more, as with `docker update --cpus`, if that is not meant",
        ))
    }

    fn busy(&self) -> Option<Finding> {
        let load = self.load.filter(|load| *load >= BUSY)?;
        let spare = (self.allowed() as f64 - load).floor().max(1.0) as u32;
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
    use super::super::system::fixture::Fixture;
    use super::*;

    const FOUR: (&str, &str) = ("sys/devices/system/cpu/online", "0-3\n");
    const CPUINFO: &str = "processor : 0\nmodel name\t: Example CPU 9\nflags : avx2 avx512f\n";

    fn read_with(
        files: &[(&str, &str)],
        variables: &[(&'static str, &'static str)],
        allowed: &str,
        wish: Option<u32>,
    ) -> Processor {
        let abilities = ["AVX2".to_owned(), "OPENMP".to_owned()];
        let fixture = Fixture::new(files, variables);
        fixture.examine(|system| {
            let cpu = Cpu::read_under(system.root, CoreSet::parse(allowed));
            Processor::read(system, &cpu, &abilities, None, wish)
        })
    }

    fn read(files: &[(&str, &str)], variables: &[(&'static str, &'static str)]) -> Processor {
        read_with(files, variables, "0-3", None)
    }

    /// Without what is said of instruction sets.
    fn plain(processor: Processor) -> Processor {
        Processor { instructions_used: Vec::new(), ..processor }
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
        let with = |load| plain(read(&[FOUR, ("proc/loadavg", load)], &[]));
        let findings = with("1.25 0.9 0.8 1/99 7\n").findings();
        assert_eq!(findings[0].level, Level::Note);
        assert!(findings[0].remedy.as_ref().unwrap().contains("--threads 2"), "{findings:?}");
        assert_eq!(told(&with("0.70 9 9 1/99 7\n")), []);
    }

    #[test]
    fn more_threads_than_processors_are_a_warning_and_a_limit_is_a_note() {
        let five = ("sys/devices/system/cpu/online", "0-3,6\n");
        let usual = plain(read(&[five], &[]));
        assert_eq!((usual.cores_sentence().as_str(), told(&usual)), ("5; this program may use 0-3", vec![]));
        let many = plain(read_with(&[five], &[], "0-3", Some(8)));
        assert_eq!((many.threads, many.findings()[0].level), (8, Level::Warning));
        assert!(many.findings()[0].remedy.as_ref().unwrap().contains("--threads"), "{:?}", many.findings());
        let limit = [FOUR, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", "150000 100000\n")];
        let sentence = "a control group gives this program the time of 1.5 of its 4 processors";
        assert_eq!(told(&plain(read(&limit, &[]))), [(Level::Note, sentence.into())]);
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
            .examine(|system| Processor::read(system, &Cpu::default(), &[], Some("Cortex".into()), None).section());
        assert_eq!(section.object["name"], "Cortex");
    }
}
