//! The machine that a run was measured on, as the run tells it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hardware::cores::{Core, Cpu, FULL_CAPACITY, product, this_machine};
use crate::hardware::memory::Memory;

/// What the machine is. What it does not tell is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// What the board or its maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The fastest first.
    pub cores: Vec<CoreClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// `aarch64`, `x86_64`.
    pub arch: String,
}

/// Cores that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoreClass {
    /// `Cortex-A76`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// As the system counts them: threads of a core are two.
    pub count: u32,
    /// What it can do as a part of the fastest.
    pub capacity: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mhz: Option<f64>,
}

impl Machine {
    /// This one.
    pub fn read() -> Self {
        Self::read_under(Path::new("/"), this_machine(), Memory::read())
    }

    /// What the files below `root` say beside its processors and memory.
    pub fn read_under(root: &Path, cpu: &Cpu, memory: Option<Memory>) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let word = |path: &str| text(path).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let os = text("etc/os-release").and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        });
        Self {
            board: cpu.board.clone().or_else(|| product(root)),
            cpu: cpu.name.clone(),
            cores: classes(root, cpu),
            memory_bytes: memory.map(|memory| memory.total),
            kernel: word("proc/sys/kernel/osrelease"),
            governor: word("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            os: os.or_else(|| Some(std::env::consts::OS.to_owned())),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }

    /// A line about it: board and processor, cores, memory.
    pub fn line(&self) -> String {
        let names: Vec<&str> = [&self.board, &self.cpu].into_iter().flatten().map(String::as_str).collect();
        let name = if names.is_empty() { self.arch.clone() } else { names.join(", ") };
        let cores: Vec<String> = self.cores.iter().map(CoreClass::words).collect();
        let memory = self.memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
        let parts = [Some(name), Some(cores.join(" + ")).filter(|cores| !cores.is_empty()), memory];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl CoreClass {
    /// How many of what: `4 Cortex-A76`, `8 efficient cores`.
    pub fn words(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or("core");
        let plural = if kind.ends_with("core") && self.count != 1 { "s" } else { "" };
        format!("{} {kind}{plural}", self.count)
    }
}

fn classes(root: &Path, cpu: &Cpu) -> Vec<CoreClass> {
    let max_mhz = |core: &Core| {
        let path = format!("sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq", core.number);
        let kilohertz = std::fs::read_to_string(root.join(path)).ok()?.trim().parse::<f64>().ok()?;
        Some(kilohertz / 1e3)
    };
    let mut classes: Vec<CoreClass> = Vec::new();
    for core in &cpu.cores {
        let capacity = f64::from(core.capacity) / f64::from(FULL_CAPACITY);
        let kind = core.kind.map(str::to_owned);
        match classes.iter_mut().find(|class| class.kind == kind && class.capacity == capacity) {
            Some(class) => class.count += 1,
            None => classes.push(CoreClass { kind, count: 1, capacity, max_mhz: max_mhz(core) }),
        }
    }
    classes.sort_by(|one, other| other.capacity.total_cmp(&one.capacity));
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards::Tree;

    fn core(number: usize, capacity: u32, kind: &'static str) -> Core {
        Core { number, capacity, siblings: [number].into_iter().collect(), kind: Some(kind), is_allowed: true }
    }

    #[test]
    fn a_board_is_told_with_its_cores_by_kind_the_fastest_first() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("proc/sys/kernel/osrelease", "6.1.43-rk\n"),
            ("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian 12\"\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n"),
            ("sys/devices/system/cpu/cpu4/cpufreq/cpuinfo_max_freq", "2400000\n"),
        ];
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let little = (0..4).map(|number| core(number, 414, "Cortex-A55"));
        let cores = little.chain((4..8).map(|number| core(number, FULL_CAPACITY, "Cortex-A76"))).collect();
        let cpu = Cpu { board: Some("Orange Pi 5 Pro".into()), cores, ..Cpu::default() };
        let machine = Machine::read_under(root.path(), &cpu, Some(Memory { total: 8 << 30, available: 0 }));
        assert_eq!(machine.line(), "Orange Pi 5 Pro, 4 Cortex-A76 + 4 Cortex-A55, 8.0 GiB");
        assert_eq!((machine.cores[0].max_mhz, machine.governor.as_deref()), (Some(2400.0), Some("ondemand")));
        assert_eq!((machine.os.as_deref(), machine.kernel.as_deref()), (Some("Debian 12"), Some("6.1.43-rk")));
        let json = serde_json::to_string(&machine).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&json).unwrap(), machine);
    }

    #[test]
    fn a_laptop_is_told_with_what_its_maker_calls_it_and_its_processor() {
        let tree = Tree::new()
            .file("sys/class/dmi/id/sys_vendor", "Framework\n")
            .file("sys/class/dmi/id/product_name", "Laptop 13\n");
        let cpu = Cpu { name: Some("AMD Ryzen 5 7640U".into()), ..Cpu::default() };
        let machine = Machine::read_under(tree.root(), &cpu, None);
        assert_eq!(machine.line(), "Framework Laptop 13, AMD Ryzen 5 7640U");
    }

    #[test]
    fn a_machine_that_tells_nothing_is_still_one() {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::read_under(root.path(), &Cpu::default(), None);
        assert_eq!(machine.line(), std::env::consts::ARCH);
    }
}
