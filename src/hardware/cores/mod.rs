//! The cores of this machine: which there are, which this process may run on, and which of them compute.

mod choice;
#[cfg(test)]
mod fixtures;
mod names;
pub mod quota;
mod set;
mod topology;
mod wish;

use std::sync::OnceLock;

pub use choice::{CoreChoice, Crew, Crews};
pub use names::product;
pub use set::CoreSet;
pub use topology::{Core, Cpu, FULL_CAPACITY};
pub use wish::Cores;

/// Variables with which a person tells OpenMP where its threads are to run.
const PLACING: [&str; 4] = ["OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"];

/// The processors of this machine, as they were when this was first asked.
static MACHINE: OnceLock<Cpu> = OnceLock::new();
/// The same, since this process was confined to some of them.
static CONFINED: OnceLock<Cpu> = OnceLock::new();

/// The processors of this machine, as they were when this was first asked or this process was confined.
pub fn this_machine() -> &'static Cpu {
    CONFINED.get().unwrap_or_else(|| MACHINE.get_or_init(read))
}

/// Holds this process to these cores for the rest of its life: its first thread, which has to be the one that calls, and
/// all that it starts from now on. No other cores are to be used then.
///
/// # Errors
/// A sentence, if that cannot be.
pub fn confine(cores: &CoreSet) -> Result<(), String> {
    if let Some(name) = PLACING.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Err(format!("`{name}` says already where threads are to run; unset it"));
    }
    pin(cores);
    let confined = read();
    let allowed: CoreSet = confined.allowed().iter().map(|core| core.number).collect();
    if allowed != *cores {
        return Err(format!("the system does not hold this program to the cores {cores}"));
    }
    CONFINED.set(confined).map_err(|_| "this program is held to some cores already".to_owned())
}

#[cfg(not(any(target_os = "macos", windows)))]
fn read() -> Cpu {
    Cpu::read_under(std::path::Path::new("/"), affinity_mask())
}

#[cfg(target_os = "macos")]
fn read() -> Cpu {
    crate::hardware::macos::sysctl().map(|text| crate::hardware::macos::cpu(&text)).unwrap_or_default()
}

#[cfg(windows)]
fn read() -> Cpu {
    crate::hardware::windows::cpu()
}

/// Numbers of the cores that this process may run on, ascending; empty where the system does not tell.
pub fn allowed() -> Vec<usize> {
    let machine = this_machine();
    if !machine.pins {
        return Vec::new();
    }
    machine.allowed().iter().map(|core| core.number).collect()
}

/// The cores to which the threads of this crew are to be held; `None` where that is no matter, since all crews have all
/// cores, where the person says it in OpenMP's own variables, and where it cannot be done.
pub fn pinning(crew: &Crew) -> Option<CoreSet> {
    if is_placed_by_person() { None } else { this_machine().pinning(crew) }
}

/// Lets the calling thread, which may be one of a crew, run on all cores again that this process may use. What it starts
/// then may, too.
pub fn unpin() {
    let allowed: CoreSet = allowed().into_iter().collect();
    if !is_placed_by_person() {
        pin(&allowed);
    }
}

/// Holds the calling thread, and what it starts from now on, to these cores. A set that cannot be had changes nothing.
#[cfg(target_os = "linux")]
pub fn pin(cores: &CoreSet) {
    let mut set = rustix::thread::CpuSet::new();
    let numbers = cores.numbers().filter(|core| *core < rustix::thread::CpuSet::MAX_CPU);
    numbers.for_each(|core| set.set(core));
    if cores.is_empty() {
        return;
    }
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(%error, %cores, "a thread runs on other cores than it should");
    }
}

/// Holds the calling thread to these cores: this system has no such thing.
#[cfg(not(target_os = "linux"))]
pub fn pin(_cores: &CoreSet) {}

/// What the first thread of this process may use: others may have been held to fewer cores. OpenMP holds it to a single
/// one where the person says where threads are to run, so that it tells nothing then.
#[cfg(target_os = "linux")]
fn affinity_mask() -> Option<CoreSet> {
    if is_placed_by_person() {
        return None;
    }
    let set = rustix::thread::sched_getaffinity(Some(rustix::process::getpid())).ok()?;
    Some((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn affinity_mask() -> Option<CoreSet> {
    None
}

fn is_placed_by_person() -> bool {
    PLACING.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Cores as people write them: `0-3,6`.
pub fn describe(cores: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for core in cores {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *core => *last = *core,
            _ => ranges.push((*core, *core)),
        }
    }
    let ranges: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if ranges.is_empty() { "any".into() } else { ranges.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_cores_are_written_as_ranges() {
        assert_eq!(describe(&[0, 1, 2, 3, 6]), "0-3,6");
        assert_eq!(describe(&[5]), "5");
        assert_eq!(describe(&[]), "any");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed().is_empty());
        let machine = this_machine();
        let choice = machine.choose(None);
        assert!(choice.crews.decode.threads as usize <= machine.allowed().len(), "{choice:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_is_held_to_cores_and_let_go_and_the_first_thread_is_not() {
        if is_placed_by_person() || allowed().len() < 2 {
            return;
        }
        let mask = |process| {
            let set = rustix::thread::sched_getaffinity(process).unwrap();
            (0..CoreSet::MOST).filter(|core| set.is_set(*core)).collect::<Vec<_>>()
        };
        let last = *allowed().last().unwrap();
        std::thread::spawn(move || {
            pin(&[last].into_iter().collect());
            assert_eq!(mask(None), [last]);
            assert_eq!(mask(Some(rustix::process::getpid())), allowed());
            assert_eq!(std::thread::spawn(move || mask(None)).join().unwrap(), [last]);
            unpin();
            assert_eq!(mask(None), allowed());
        })
        .join()
        .unwrap();
    }
}
