//! Whole machines as they show themselves in their files, for tests: what a reader is given instead of `/`. A machine can
//! be made to draw, feel and hold itself back as a test needs it.

mod tree;

use std::path::{Path, PathBuf};

use super::cores::Cpu;
use super::memory::Memory;

pub use tree::Tree;

/// How the firmware of a Raspberry Pi 5 writes what its power chip measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// `VDD_CORE_A=2.05`
    Older,
    /// `VDD_CORE_A current(7)=2.05A`
    Newer,
}

/// What tells the watts of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Nothing,
    Pmic(Firmware),
    Battery,
    Rapl,
    /// A meter beside it, which writes a file.
    Beside,
}

/// A whole machine.
pub struct Board {
    pub tree: Tree,
    /// The cores that a process may use there.
    pub allowed: &'static str,
    source: Source,
    /// The file of the hottest place that is measured.
    hottest: &'static str,
    /// The file that tells that it held itself back, and what it then says.
    held_back: (&'static str, &'static str),
}

impl Board {
    pub fn root(&self) -> &Path {
        self.tree.root()
    }

    pub fn cpu(&self) -> Cpu {
        self.tree.read(self.allowed)
    }

    pub fn memory(&self) -> Option<Memory> {
        Memory::read_under(self.root())
    }

    /// Where its programs are.
    pub fn programs(&self) -> Vec<PathBuf> {
        vec![self.root().join("bin")]
    }

    /// The file that a meter beside it writes.
    pub fn power_csv(&self) -> PathBuf {
        self.root().join("power.csv")
    }

    /// The same with a meter beside it.
    pub fn with_a_meter(self) -> Self {
        self.tree.write("power.csv", "seconds,volts,amps\n");
        Self { source: Source::Beside, ..self }
    }

    /// From now on it draws so many watts; counters have gone on for so many seconds with that.
    pub fn draws(&self, watts: f64, seconds: f64) {
        match self.source {
            Source::Nothing => {}
            Source::Pmic(firmware) => self.tree.write("pmic.txt", &pmic(firmware, watts)),
            Source::Beside => {
                let written = std::fs::read_to_string(self.power_csv()).unwrap();
                let last = written.lines().last().and_then(|line| line.split(',').next()?.parse::<f64>().ok());
                let line = format!("{:.6},5.1,{:.9}\n", last.unwrap_or(0.0) + seconds, watts / 5.1);
                std::fs::write(self.power_csv(), written + &line).unwrap();
            }
            Source::Battery => {
                self.tree.write("sys/class/power_supply/BAT0/power_now", &format!("{:.0}\n", watts * 1e6));
            }
            Source::Rapl => {
                let path = self.root().join(PACKAGE).join("energy_uj");
                let count: u64 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
                let count = (count + (watts * seconds * 1e6).round() as u64) % RANGE;
                self.tree.write(&format!("{PACKAGE}/energy_uj"), &format!("{count}\n"));
            }
        }
    }

    /// How warm it is, and the clock of all its cores.
    pub fn feels(&self, celsius: f64, mhz: f64) {
        if !self.hottest.is_empty() {
            self.tree.write(self.hottest, &format!("{:.0}\n", celsius * 1e3));
        }
        for core in self.cpu().cores {
            let path = format!("sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", core.number);
            if self.root().join(&path).is_file() {
                self.tree.write(&path, &format!("{:.0}\n", mhz * 1e3));
            }
        }
    }

    /// It held itself back just now.
    pub fn throttles(&self) {
        let (file, says) = self.held_back;
        if !file.is_empty() {
            self.tree.write(file, says);
        }
    }
}

/// The rails that a Raspberry Pi 5 measures: name, numbers of the current and of the voltage, amperes while idle, volts.
const RAILS: [(&str, u32, u32, f64, f64); 12] = [
    ("3V7_WL_SW", 0, 8, 0.097, 3.70),
    ("3V3_SYS", 1, 9, 0.091, 3.31),
    ("1V8_SYS", 2, 10, 0.170, 1.80),
    ("DDR_VDD2", 3, 11, 0.030, 1.10),
    ("DDR_VDDQ", 4, 12, 0.001, 0.61),
    ("1V1_SYS", 5, 13, 0.181, 1.10),
    ("0V8_SW", 6, 14, 0.342, 0.80),
    ("VDD_CORE", 7, 15, 0.0, 0.75),
    ("3V3_DAC", 17, 20, 0.0001, 3.31),
    ("3V3_ADC", 18, 19, 0.0002, 3.31),
    ("0V8_AON", 16, 21, 0.003, 0.80),
    ("HDMI", 22, 23, 0.013, 5.14),
];

/// What `vcgencmd pmic_read_adc` prints where all rails together have so many watts: what the others do not take is the
/// processor's.
fn pmic(firmware: Firmware, watts: f64) -> String {
    let others: f64 = RAILS.iter().map(|(.., amperes, volts)| amperes * volts).sum();
    let of = |name: &str, amperes: f64, volts: f64| match name {
        "VDD_CORE" => (watts - others) / volts,
        _ => amperes,
    };
    let line = |name: String, kind: &str, number: u32, value: f64, unit: &str| match firmware {
        Firmware::Newer => format!("{name:>12} {kind}({number})={value:.8}{unit}\n"),
        Firmware::Older => format!("{name}={value:.8}\n"),
    };
    let currents = RAILS.iter().map(|(name, current, _, amperes, volts)| {
        line(format!("{name}_A"), "current", *current, of(name, *amperes, *volts), "A")
    });
    let voltages =
        RAILS.iter().map(|(name, _, voltage, _, volts)| line(format!("{name}_V"), "volt", *voltage, *volts, "V"));
    let input = [("EXT5V_V", 24, 5.12), ("BATT_V", 25, 0.0)];
    let input = input.map(|(name, number, volts)| line(name.to_owned(), "volt", number, volts, "V"));
    currents.chain(voltages).chain(input).collect()
}

/// Cores of ARM, each with its part, capacity and highest clock in kHz.
fn arm(board: &str, cores: &[(&str, u32, u32)]) -> Tree {
    let identified = |core: usize| {
        let part = cores[core].0;
        format!(
            "BogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: {part}\nCPU revision\t: 1\n"
        )
    };
    let mut tree = Tree::new()
        .file("proc/device-tree/model", &format!("{board}\0"))
        .cpuinfo(identified, cores.len())
        .online(&format!("0-{}", cores.len() - 1));
    for (number, (_, capacity, clock)) in cores.iter().enumerate() {
        tree = tree
            .of_core(number, "cpu_capacity", capacity)
            .of_core(number, "cpufreq/cpuinfo_max_freq", clock)
            .of_core(number, "cpufreq/scaling_cur_freq", clock)
            .of_core(number, "topology/core_cpus_list", number)
            .of_core(number, "topology/thread_siblings_list", number);
    }
    tree
}

const RASPBERRY_OS: &str = "Debian GNU/Linux 12 (bookworm)";
const ZONE_0: &str = "sys/class/thermal/thermal_zone0/temp";

/// A Raspberry Pi 4 with 4 GB: it tells voltages, but no currents.
pub fn raspberry_pi_4() -> Board {
    const THROTTLED: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
    let tree = arm("Raspberry Pi 4 Model B Rev 1.4", &[("0xd08", 1024, 1_800_000); 4])
        .system(RASPBERRY_OS, "6.6.51+rpt-rpi-v8", "ondemand", (3_881_004, 3_325_104))
        .zone(0, "cpu-thermal", 44_303)
        .file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
        .file("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
        .file("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
        .file(THROTTLED, "0\n")
        .program("vcgencmd", "echo 'volt=0.8600V'");
    // Too low a voltage, now and before.
    let held_back = (THROTTLED, "50005\n");
    Board { tree, allowed: "0-3", source: Source::Nothing, hottest: ZONE_0, held_back }
}

/// A Raspberry Pi 5 with 8 GB, whose power chip tells what its rails draw.
pub fn raspberry_pi_5(firmware: Firmware) -> Board {
    const THROTTLED: &str = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled";
    let tree = arm("Raspberry Pi 5 Model B Rev 1.0", &[("0xd0b", 1024, 2_400_000); 4])
        .system(RASPBERRY_OS, "6.6.51+rpt-rpi-2712", "ondemand", (8_256_608, 7_301_216))
        .zone(0, "cpu-thermal", 47_950)
        .cooling(0, "pwm-fan")
        .file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
        .file("sys/class/hwmon/hwmon1/name", "rp1_adc\n")
        .file("sys/class/hwmon/hwmon2/name", "pwmfan\n")
        .file("sys/class/hwmon/hwmon3/name", "rpi_volt\n")
        .file(THROTTLED, "0\n")
        .program("vcgencmd", "[ \"$1\" = pmic_read_adc ] && cat \"${0%/*}/../pmic.txt\"");
    let held_back = (THROTTLED, "80008\n");
    let board = Board { tree, allowed: "0-3", source: Source::Pmic(firmware), hottest: ZONE_0, held_back };
    board.draws(2.6, 0.0);
    board
}

/// RK3588S: four small cores, then four large ones in two clusters. Its supply tells what it agreed to give, which is not
/// what is drawn.
pub fn orange_pi_5_pro() -> Board {
    let (small, large) = (("0xd05", 414, 1_800_000), ("0xd0b", 1024, 2_352_000));
    let supply = "sys/class/power_supply/tcpm-source-psy-4-0022";
    let tree = arm("Orange Pi 5 Pro", &[small, small, small, small, large, large, large, large])
        .system("Orange Pi 1.0.2 Bookworm", "6.1.43-rockchip-rk3588", "ondemand", (16_331_804, 15_204_512))
        .zone(0, "soc-thermal", 41_615)
        .zone(1, "bigcore0-thermal", 42_538)
        .zone(2, "bigcore1-thermal", 41_615)
        .zone(3, "littlecore-thermal", 41_615)
        .zone(4, "center-thermal", 39_769)
        .zone(5, "gpu-thermal", 39_769)
        .zone(6, "npu-thermal", 39_769)
        .cooling(0, "pwm-fan")
        .cooling(1, "thermal-cpufreq-1")
        .cooling(2, "thermal-devfreq-0")
        .file("sys/class/hwmon/hwmon0/name", "soc_thermal\n")
        .file(&format!("{supply}/type"), "USB\n")
        .file(&format!("{supply}/voltage_now"), "5000000\n")
        .file(&format!("{supply}/current_max"), "3000000\n")
        .file(&format!("{supply}/online"), "1\n");
    let hottest = "sys/class/thermal/thermal_zone1/temp";
    let held_back = ("sys/class/thermal/cooling_device1/cur_state", "3\n");
    Board { tree, allowed: "0-7", source: Source::Nothing, hottest, held_back }
}

const PACKAGE: &str = "sys/class/powercap/intel-rapl:0";
/// The counter begins again behind this many µJ.
const RANGE: u64 = 262_143_328_850;

/// Intel's i5-1235U: two performance cores of two threads, eight efficient ones. Its kernel tells no capacities.
fn i5_1235u() -> Tree {
    let mut tree = Tree::new()
        .cpuinfo(|_| "vendor_id\t: GenuineIntel\nmodel name\t: 12th Gen Intel(R) Core(TM) i5-1235U\n".into(), 12)
        .online("0-11")
        .file("sys/devices/cpu_core/cpus", "0-3\n")
        .file("sys/devices/cpu_atom/cpus", "4-11\n");
    for core in 0..12 {
        let (siblings, clock) = match core {
            0 | 1 => ("0-1".to_owned(), 4_400_000),
            2 | 3 => ("2-3".to_owned(), 4_400_000),
            _ => (core.to_string(), 3_300_000),
        };
        tree = tree
            .of_core(core, "topology/core_cpus_list", &siblings)
            .of_core(core, "topology/thread_siblings_list", &siblings)
            .of_core(core, "cpufreq/cpuinfo_max_freq", clock)
            .of_core(core, "cpufreq/scaling_cur_freq", 800_000)
            .of_core(core, "thermal_throttle/core_throttle_count", 0);
    }
    tree
}

/// A laptop with that processor, a battery that is being emptied, and counters of energy that only root may read on most.
pub fn laptop_on_battery() -> Board {
    let battery = "sys/class/power_supply/BAT0";
    let tree = laptop()
        .file("sys/class/power_supply/AC/online", "0\n")
        .file(&format!("{battery}/status"), "Discharging\n")
        .file(&format!("{battery}/capacity"), "81\n")
        .file(&format!("{battery}/power_now"), "6120000\n");
    Board { source: Source::Battery, ..on_the_laptop(tree) }
}

/// The same one on the mains, with counters that may be read; the counter is about to begin again.
pub fn laptop_on_mains() -> Board {
    let battery = "sys/class/power_supply/BAT0";
    let tree = laptop()
        .file("sys/class/power_supply/AC/online", "1\n")
        .file(&format!("{battery}/status"), "Charging\n")
        .file(&format!("{battery}/capacity"), "82\n")
        .file(&format!("{battery}/power_now"), "21000000\n")
        .file(&format!("{PACKAGE}/energy_uj"), &format!("{}\n", RANGE - 150_000_000));
    on_the_laptop(tree)
}

fn on_the_laptop(tree: Tree) -> Board {
    let held_back = ("sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", "17\n");
    let hottest = "sys/class/thermal/thermal_zone8/temp";
    Board { tree, allowed: "0-11", source: Source::Rapl, hottest, held_back }
}

fn laptop() -> Tree {
    let battery = "sys/class/power_supply/BAT0";
    let twin = "sys/class/powercap/intel-rapl-mmio:0";
    i5_1235u()
        .system("Debian GNU/Linux 13 (trixie)", "6.12.41-amd64", "powersave", (15_991_232, 11_310_880))
        .zone(0, "INT3400 Thermal", 20_000)
        .zone(1, "acpitz", 27_800)
        .zone(8, "x86_pkg_temp", 44_000)
        .cooling(0, "Processor")
        .cooling(12, "intel_powerclamp")
        .file("sys/class/power_supply/AC/type", "Mains\n")
        .file(&format!("{battery}/type"), "Battery\n")
        .file(&format!("{battery}/present"), "1\n")
        .file(&format!("{battery}/energy_now"), "42910000\n")
        .file(&format!("{battery}/energy_full"), "52980000\n")
        .file("sys/class/power_supply/hid-mouse/type", "Battery\n")
        .file("sys/class/power_supply/hid-mouse/scope", "Device\n")
        .file("sys/class/power_supply/hid-mouse/status", "Discharging\n")
        .file(&format!("{PACKAGE}/name"), "package-0\n")
        .file(&format!("{PACKAGE}/max_energy_range_uj"), &format!("{RANGE}\n"))
        .file("sys/class/powercap/intel-rapl:0:0/name", "core\n")
        .file("sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n")
        // The same counter through another door.
        .file(&format!("{twin}/name"), "package-0\n")
        .file(&format!("{twin}/max_energy_range_uj"), &format!("{RANGE}\n"))
        .file(&format!("{twin}/energy_uj"), "77\n")
}

/// Two cores of a server, without clocks and sensors, in a group with the time of one and a half.
pub fn limited_vm() -> Board {
    let tree = Tree::new()
        .cpuinfo(
            |_| "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz\n".into(),
            2,
        )
        .online("0-1")
        .of_core(0, "topology/thread_siblings_list", "0")
        .of_core(1, "topology/thread_siblings_list", "1")
        .file("proc/self/cgroup", "0::/\n")
        .file("sys/fs/cgroup/cpu.max", "150000 100000\n")
        .system("Ubuntu 24.04.3 LTS", "6.8.0-79-generic", "", (8_132_108, 7_004_312));
    Board { tree, allowed: "0-1", source: Source::Nothing, hottest: "", held_back: ("", "") }
}

/// Two sockets of 32 cores of two threads; the second threads are numbered behind all first ones.
pub fn two_sockets() -> Tree {
    let mut tree =
        Tree::new().cpuinfo(|_| "model name\t: AMD EPYC 7543 32-Core Processor\n".into(), 128).online("0-127");
    for core in 0..128 {
        tree = tree
            .of_core(core, "topology/core_cpus_list", format!("{},{}", core % 64, core % 64 + 64))
            .of_core(core, "topology/physical_package_id", core % 64 / 32)
            .of_core(core, "acpi_cppc/highest_perf", 255 - core % 3);
    }
    tree
}
