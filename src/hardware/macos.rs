//! What macOS says of the machine: the text of its `sysctl` and `vm_stat`, read by pure functions that are compiled and
//! tested everywhere.

use super::cores::{Core, CoreSet, Cpu, FULL_CAPACITY};
use super::memory::Memory;

/// What efficient cores of Apple's do in the time of its performance cores, roughly.
const EFFICIENT: u32 = FULL_CAPACITY * 4 / 10;

/// The values that are asked for.
pub const NAMES: [&str; 8] = [
    "machdep.cpu.brand_string",
    "hw.model",
    "hw.physicalcpu",
    "hw.logicalcpu",
    "hw.perflevel0.physicalcpu",
    "hw.perflevel1.physicalcpu",
    "hw.perflevel0.name",
    "hw.memsize",
];

/// The processor by the text of `sysctl NAMES`, each as `name: value`. Cores have no numbers that anything could be held
/// to; theirs are made up, the fast ones first.
pub fn cpu(sysctl: &str) -> Cpu {
    let number = |name: &str| value(sysctl, name)?.parse::<usize>().ok();
    let Some(physical) = number("hw.physicalcpu").filter(|cores| *cores > 0) else { return Cpu::default() };
    let fast = number("hw.perflevel0.physicalcpu").filter(|fast| (1..=physical).contains(fast)).unwrap_or(physical);
    let is_hybrid = fast < physical;
    let threads = number("hw.logicalcpu").map_or(1, |logical| (logical / physical).max(1));
    let core = |number: usize| {
        let (core, is_fast) = (number / threads, number / threads < fast);
        Core {
            number,
            capacity: if is_fast { FULL_CAPACITY } else { EFFICIENT },
            siblings: (core * threads..(core + 1) * threads).collect::<CoreSet>(),
            kind: is_hybrid.then_some(if is_fast { "performance core" } else { "efficient core" }),
            is_allowed: true,
        }
    };
    Cpu {
        name: value(sysctl, "machdep.cpu.brand_string").map(str::to_owned),
        board: value(sysctl, "hw.model").map(str::to_owned),
        cores: (0..physical * threads).map(core).collect(),
        quota: None,
        pins: false,
    }
}

/// Memory by the text of `sysctl` and that of `vm_stat`: free, speculative and inactive pages can be used.
pub fn memory(sysctl: &str, vm_stat: &str) -> Option<Memory> {
    let total = value(sysctl, "hw.memsize")?.parse::<u64>().ok()?;
    let size = vm_stat.split_once("page size of ")?.1.split_whitespace().next()?.parse::<u64>().ok()?;
    let pages = |name| value(vm_stat, name)?.trim_end_matches('.').parse::<u64>().ok();
    let usable = pages("Pages free")?
        .saturating_add(pages("Pages inactive")?)
        .saturating_add(pages("Pages speculative").unwrap_or(0));
    Some(Memory { total, available: usable.saturating_mul(size).min(total) })
}

/// The value in a line `name: value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// What `sysctl` says; names that it does not know are left out.
#[cfg(target_os = "macos")]
pub fn sysctl() -> Option<String> {
    output("/usr/sbin/sysctl", &NAMES)
}

#[cfg(target_os = "macos")]
pub fn vm_stat() -> Option<String> {
    output("/usr/bin/vm_stat", &[])
}

#[cfg(target_os = "macos")]
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        std::process::Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const M2_PRO: &str = "machdep.cpu.brand_string: Apple M2 Pro\nhw.model: Mac14,9\nhw.physicalcpu: 10\n\
        hw.logicalcpu: 10\nhw.perflevel0.physicalcpu: 6\nhw.perflevel1.physicalcpu: 4\n\
        hw.perflevel0.name: Performance\nhw.memsize: 17179869184\n";
    const I7: &str = "machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz\nhw.physicalcpu: 6\n\
        hw.logicalcpu: 12\nhw.memsize: 17179869184\n";
    const VM_STAT: &str = "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n\
        Pages free:                               10000.\nPages active:                            300000.\n\
        Pages inactive:                          290000.\nPages speculative:                         5000.\n\
        Pages wired down:                        120000.\n";

    #[test]
    fn a_mac_computes_on_its_performance_cores() {
        let cpu = cpu(M2_PRO);
        assert_eq!(cpu.name.as_deref(), Some("Apple M2 Pro"));
        let choice = cpu.choose(None);
        assert_eq!((choice.crews.decode.threads, choice.crews.decode.cores.is_empty()), (6, true));
        assert_eq!(
            choice.reason,
            "6 of 10 cores: the fast ones (performance cores); the 4 others (efficient cores), about 40 % as fast, would hold them up"
        );
        assert!(!cpu.is_obvious());
    }

    #[test]
    fn a_mac_of_intels_computes_with_one_thread_per_core() {
        let choice = cpu(I7).choose(None);
        assert_eq!(choice.crews.decode.threads, 6);
        assert_eq!(choice.reason, "6 of 6 cores: one thread on each, since two would share its vector units");
    }

    #[test]
    fn a_mac_tells_its_memory() {
        let memory = memory(M2_PRO, VM_STAT).unwrap();
        assert_eq!(memory, Memory { total: 16 << 30, available: 305_000 * 16384 });
        assert_eq!(super::memory(M2_PRO, "nonsense"), None);
        assert_eq!(super::memory("", VM_STAT), None);
    }

    #[test]
    fn text_that_says_nothing_is_a_machine_of_which_nothing_is_known() {
        assert_eq!(cpu("sysctl: unknown oid\n"), Cpu::default());
        assert_eq!(cpu("hw.physicalcpu: 0\n"), Cpu::default());
    }
}
