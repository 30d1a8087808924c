//! Which cores there are, how fast they are to each other, and which of them share one: a pure function of a root path
//! and the affinity mask.

use std::path::Path;

use super::names::{self, CpuInfo};
use super::quota;
use super::set::CoreSet;

/// The capacity of a machine's fastest cores, as Linux has it.
pub const FULL_CAPACITY: u32 = 1024;

/// What Linux calls the kinds of cores of a hybrid processor of Intel's, and at most what capacity each has. Clocks do
/// not tell: an efficient core at nine tenths of the clock does half the work of vector instructions.
const INTEL_KINDS: [(&str, &str, u32); 3] = [
    ("cpu_core", "performance core", FULL_CAPACITY),
    ("cpu_atom", "efficient core", FULL_CAPACITY * 6 / 10),
    ("cpu_lowpower", "low-power core", FULL_CAPACITY * 4 / 10),
];

/// A processor as the system counts them: a core, or one of the threads of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    pub number: usize,
    /// Of [`FULL_CAPACITY`], which the fastest ones have.
    pub capacity: u32,
    /// The threads of the same core, itself among them.
    pub siblings: CoreSet,
    /// What kind of core it is (`Cortex-A76`, `efficient core`), where that is known.
    pub kind: Option<&'static str>,
    /// The affinity mask and the control groups let this process use it.
    pub is_allowed: bool,
}

/// The processors of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// The maker's name of the processor.
    pub name: Option<String>,
    /// What the board calls itself.
    pub board: Option<String>,
    /// Those that are switched on, by their numbers, ascending; empty where the system does not tell.
    pub cores: Vec<Core>,
    /// Processors' worth of time that the control groups allow; `None` without a limit.
    pub quota: Option<f64>,
    /// Threads can be held to cores by their numbers (not on macOS).
    pub pins: bool,
}

impl Cpu {
    /// Reads what the files below `root` say. `allowed` is the affinity mask; `None`, where it cannot be told, takes what
    /// the control group allows.
    pub fn read_under(root: &Path, allowed: Option<CoreSet>) -> Self {
        let info = CpuInfo::read(root);
        let folder = root.join("sys/devices/system/cpu");
        let online = online(&folder, &info);
        let usable = allowed.or_else(|| quota::cpuset(root)).unwrap_or(online);
        let kinds = intel_kinds(root);
        let mut cores: Vec<Core> = online
            .numbers()
            .map(|number| {
                let core = folder.join(format!("cpu{number}"));
                let text = |path: &str| std::fs::read_to_string(core.join(path)).ok();
                let siblings = ["topology/core_cpus_list", "topology/thread_siblings_list"]
                    .iter()
                    .find_map(|path| CoreSet::parse(&text(path)?).filter(|set| set.contains(number)));
                let intel = kinds.iter().find(|(set, ..)| set.contains(number)).map(|(_, kind, _)| *kind);
                let part = || text("regs/identification/midr_el1").and_then(|midr| names::arm_core(&midr));
                Core {
                    number,
                    capacity: FULL_CAPACITY,
                    siblings: siblings.unwrap_or_else(|| [number].into_iter().collect()).intersection(&online),
                    kind: intel.or_else(|| info.parts.get(&number).copied()).or_else(part),
                    is_allowed: usable.contains(number),
                }
            })
            .collect();
        if let Some(capacities) = capacities(&folder, &cores) {
            cores.iter_mut().zip(capacities).for_each(|(core, capacity)| core.capacity = capacity);
        }
        if kinds.len() > 1 {
            for core in &mut cores {
                let most = kinds.iter().find(|(set, ..)| set.contains(core.number)).map(|(.., most)| *most);
                core.capacity = core.capacity.min(most.unwrap_or(FULL_CAPACITY));
            }
        }
        Self { name: info.model, board: names::board(root), cores, quota: quota::read(root), pins: true }
    }

    /// Those that this process may use; all of them where the mask names none that is switched on.
    pub fn allowed(&self) -> Vec<&Core> {
        let allowed: Vec<&Core> = self.cores.iter().filter(|core| core.is_allowed).collect();
        if allowed.is_empty() { self.cores.iter().collect() } else { allowed }
    }

    /// Whether some core has several threads.
    pub fn has_siblings(&self) -> bool {
        self.cores.iter().any(|core| core.siblings.len() > 1)
    }
}

/// The cores that are switched on.
fn online(folder: &Path, info: &CpuInfo) -> CoreSet {
    let list = std::fs::read_to_string(folder.join("online")).ok().and_then(|text| CoreSet::parse(&text));
    list.filter(|list| !list.is_empty()).unwrap_or_else(|| info.listed.iter().copied().collect())
}

/// What each core can do, of [`FULL_CAPACITY`], by the first measure that all of them have.
fn capacities(folder: &Path, cores: &[Core]) -> Option<Vec<u32>> {
    let all = |path: &str| {
        let number = |core: &Core| {
            let text = std::fs::read_to_string(folder.join(format!("cpu{}/{path}", core.number))).ok()?;
            text.trim().parse::<u64>().ok().filter(|number| *number > 0)
        };
        cores.iter().map(number).collect::<Option<Vec<u64>>>().filter(|numbers| !numbers.is_empty())
    };
    let measures = ["cpu_capacity", "cpufreq/cpuinfo_max_freq", "acpi_cppc/highest_perf"];
    let numbers = measures.iter().find_map(|path| all(path))?;
    let most = numbers.iter().copied().max().filter(|most| *most > 0)?;
    let relative = |number: u64| (u128::from(number) * u128::from(FULL_CAPACITY) / u128::from(most)) as u32;
    Some(numbers.into_iter().map(|number| relative(number).max(1)).collect())
}

/// The kinds of cores that the kernel counts events of apart: those of a hybrid processor.
fn intel_kinds(root: &Path) -> Vec<(CoreSet, &'static str, u32)> {
    let read = |(folder, kind, most): &(&str, &'static str, u32)| {
        let text = std::fs::read_to_string(root.join("sys/devices").join(folder).join("cpus")).ok()?;
        Some((CoreSet::parse(&text).filter(|set| !set.is_empty())?, *kind, *most))
    };
    INTEL_KINDS.iter().filter_map(read).collect()
}
