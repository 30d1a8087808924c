//! How the machine feels: its temperature, its clock, and whether it holds itself back. What is asked before and after a
//! measurement, to know whether that is true for the machine or for the weather.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The machine at one moment. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Degrees Celsius of the hottest place that is measured.
    pub celsius: Option<f64>,
    /// The mean clock of all cores, in MHz.
    pub mhz: Option<f64>,
    pub throttling: Throttling,
    /// Programs that computed in the last minute, ours included.
    pub load: Option<f64>,
    /// Bytes of swap in use.
    pub swap_bytes: Option<u64>,
}

/// What a machine tells of holding itself back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// A Raspberry Pi's bits: 0 under-voltage, 1 capped, 2 throttled, 3 soft temperature limit; 16 to 19 the same since
    /// the start.
    pub raspberry: Option<u32>,
    /// How often Intel's processors were too hot, all cores together, since the start.
    pub count: Option<u64>,
    /// The deepest of the kernel's cooling states, of those that slow processors down.
    pub cooling: Option<u32>,
}

impl Health {
    /// This machine now.
    pub fn read() -> Self {
        Self::read_with(Path::new("/"), &super::program_folders())
    }

    /// What the files below `root` say; and where a Raspberry Pi has no file for it, its program in one of these folders.
    pub fn read_with(root: &Path, programs: &[PathBuf]) -> Self {
        let mut health = Self::read_under(root);
        if health.throttling.raspberry.is_none() {
            health.throttling.raspberry = asked_for_bits(root, programs);
        }
        health
    }

    /// What the files below `root` say.
    pub fn read_under(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let load = text("proc/loadavg").and_then(|text| text.split_whitespace().next()?.parse().ok());
        let swap = text("proc/meminfo").and_then(|text| {
            let kilobytes = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse::<u64>().ok()
            };
            Some((kilobytes("SwapTotal:")?.saturating_sub(kilobytes("SwapFree:")?)) << 10)
        });
        Self {
            celsius: celsius(root),
            mhz: mhz(root),
            throttling: Throttling::read_under(root),
            load,
            swap_bytes: swap,
        }
    }
}

impl Throttling {
    fn read_under(root: &Path) -> Self {
        let bits = [
            "sys/devices/platform/soc/soc:firmware/get_throttled",
            "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
        ];
        let bits = bits.iter().find_map(|path| std::fs::read_to_string(root.join(path)).ok());
        let cores = folders(&root.join("sys/devices/system/cpu"), "cpu");
        let counts = cores.iter().filter_map(|core| number(&core.join("thermal_throttle/core_throttle_count")));
        let devices = folders(&root.join("sys/class/thermal"), "cooling_device");
        let slows_down = |device: &&std::path::PathBuf| {
            let kind = std::fs::read_to_string(device.join("type")).unwrap_or_default().to_lowercase();
            ["cpufreq", "processor", "thermal-cpu"].iter().any(|name| kind.contains(name))
        };
        let cooling = devices.iter().filter(slows_down).filter_map(|device| number(&device.join("cur_state"))).max();
        Self {
            raspberry: bits.and_then(|bits| hexadecimal(&bits)),
            count: counts.map(|count| count as u64).reduce(u64::wrapping_add),
            cooling: cooling.and_then(|state| u32::try_from(state).ok()),
        }
    }

    /// What tells it here, in words.
    pub fn told_by(&self) -> Vec<&'static str> {
        let sources = [
            (self.raspberry.is_some(), "the firmware's flags"),
            (self.count.is_some(), "the processor's counts of overheating"),
            (self.cooling.is_some(), "the kernel's cooling states"),
        ];
        sources.into_iter().filter(|(is_there, _)| *is_there).map(|(_, words)| words).collect()
    }

    /// What held the machine back between `before` and now, in words; nothing if nothing did.
    pub fn since(&self, before: &Self) -> Option<String> {
        const BITS: [(u32, &str); 4] = [
            (0, "its voltage was too low"),
            (1, "its clock was capped"),
            (2, "it throttled itself"),
            (3, "it was hot"),
        ];
        if let (Some(now), then) = (self.raspberry, before.raspberry.unwrap_or_default()) {
            let new = |bit: u32| now & (1 << bit) != 0 || (now & !then) & (1 << (bit + 16)) != 0;
            let words: Vec<&str> = BITS.iter().filter(|(bit, _)| new(*bit)).map(|(_, words)| *words).collect();
            if !words.is_empty() {
                return Some(words.join(" and "));
            }
        }
        match (self.count, before.count, self.cooling) {
            (Some(now), Some(then), _) if now > then => Some(format!("it was too hot {} times", now - then)),
            (.., Some(state)) if state > 0 => Some("the kernel slowed it down to cool it".into()),
            _ => None,
        }
    }
}

/// What a Raspberry Pi's firmware says when it is asked: `throttled=0x50005`.
fn asked_for_bits(root: &Path, programs: &[PathBuf]) -> Option<u32> {
    let model = std::fs::read_to_string(root.join("proc/device-tree/model")).ok()?;
    let is_file = |program: &PathBuf| program.is_file();
    let program = programs.iter().map(|folder| folder.join("vcgencmd")).find(is_file);
    let program = program.filter(|_| model.contains("Raspberry Pi"))?;
    let asked = Command::new(program).arg("get_throttled").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    hexadecimal(String::from_utf8_lossy(&asked.stdout).split_once('=')?.1)
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// The hottest of the zones; what is no temperature of a processor above water's freezing is a broken sensor.
fn celsius(root: &Path) -> Option<f64> {
    let zones = folders(&root.join("sys/class/thermal"), "thermal_zone");
    let degrees =
        zones.iter().filter_map(|zone| number(&zone.join("temp"))).map(|thousandths| thousandths as f64 / 1e3);
    degrees.filter(|celsius| (1.0..=125.0).contains(celsius)).max_by(f64::total_cmp)
}

fn mhz(root: &Path) -> Option<f64> {
    let cores = folders(&root.join("sys/devices/system/cpu"), "cpu");
    let clocks: Vec<f64> = cores
        .iter()
        .filter_map(|core| number(&core.join("cpufreq/scaling_cur_freq")))
        .map(|kilohertz| kilohertz as f64 / 1e3)
        .collect();
    (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64)
}

/// The folders whose name is `prefix` and a number.
fn folders(within: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(within).into_iter().flatten().flatten();
    let is_one = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok());
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    let mut paths: Vec<_> = named.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn number(file: &Path) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards::Tree;

    #[test]
    fn a_raspberry_pi_that_was_hot_says_what_it_did() {
        let bits = "sys/devices/platform/soc/soc:firmware/get_throttled";
        let board = |throttled: &str| {
            let tree = Tree::new()
                .file(bits, throttled)
                .file("sys/class/thermal/thermal_zone0/temp", "81250\n")
                .file("sys/class/thermal/thermal_zone1/temp", "-274000\n")
                .file("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n")
                .file("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "600000\n")
                .file("proc/loadavg", "0.31 0.2 0.1 1/200 999\n")
                .file("proc/meminfo", "MemTotal: 8000000 kB\nSwapTotal:  1000 kB\nSwapFree:    900 kB\n");
            Health::read_under(tree.root())
        };
        let (before, after) = (board("0\n"), board("e0008\n"));
        assert_eq!(before.celsius, Some(81.25));
        assert_eq!(before.mhz, Some(1050.0));
        assert_eq!((before.load, before.swap_bytes), (Some(0.31), Some(100 << 10)));
        assert_eq!(before.throttling.since(&before.throttling), None);
        let words = after.throttling.since(&before.throttling).unwrap();
        assert_eq!(words, "its clock was capped and it throttled itself and it was hot");
        // What happened earlier is no fault of this measurement.
        let cooled = board("e0000\n");
        assert_eq!(cooled.throttling.since(&after.throttling), None);
    }

    #[test]
    fn a_raspberry_pi_without_the_file_is_asked_by_its_program() {
        let asked = |model: &str, says: &str| {
            let tree = Tree::new()
                .file("proc/device-tree/model", model)
                .program("vcgencmd", &format!("[ \"$1\" = get_throttled ] && {says}"));
            Health::read_with(tree.root(), &[tree.root().join("bin")]).throttling.raspberry
        };
        assert_eq!(asked("Raspberry Pi 4 Model B Rev 1.4\0", "echo throttled=0x50005"), Some(0x50005));
        assert_eq!(asked("Raspberry Pi 4 Model B Rev 1.4\0", "exit 1"), None);
        assert_eq!(asked("Orange Pi 5 Pro\0", "echo throttled=0x50005"), None);
    }

    #[test]
    fn other_machines_tell_by_counters_and_cooling_states() {
        let count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count";
        let laptop = |times: &str| Health::read_under(Tree::new().file(count, times).root()).throttling;
        assert_eq!(laptop("7\n").since(&laptop("4\n")), Some("it was too hot 3 times".into()));
        assert_eq!(laptop("4\n").since(&laptop("4\n")), None);
        let board = |kind: &str| {
            let tree = Tree::new()
                .file("sys/class/thermal/cooling_device0/type", kind)
                .file("sys/class/thermal/cooling_device0/cur_state", "2\n");
            Health::read_under(tree.root()).throttling
        };
        let cool = Throttling::default();
        assert_eq!(board("cpufreq-cpu4\n").since(&cool), Some("the kernel slowed it down to cool it".into()));
        assert_eq!(board("pwm-fan\n").since(&cool), None, "a fan that turns slows nothing down");
    }

    #[test]
    fn a_machine_that_tells_nothing_is_not_guessed_at() {
        assert_eq!(Health::read_under(Tree::new().root()), Health::default());
    }
}
