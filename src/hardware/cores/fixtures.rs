//! Machines as they show themselves in their files, and what is made of them.

use std::path::Path;

use super::{CoreSet, Cpu};

/// A root folder with files, for readers.
pub(in crate::hardware) struct Tree(tempfile::TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// A file of a processor: `cpu_capacity`, `cpufreq/cpuinfo_max_freq`, …
    fn of_core(self, core: usize, file: &str, text: impl ToString) -> Self {
        self.file(&format!("sys/devices/system/cpu/cpu{core}/{file}"), &format!("{}\n", text.to_string()))
    }

    fn online(self, cores: &str) -> Self {
        self.file("sys/devices/system/cpu/online", &format!("{cores}\n"))
    }

    fn cpuinfo(self, of_core: impl Fn(usize) -> String, cores: usize) -> Self {
        let text: String = (0..cores).map(|core| format!("processor\t: {core}\n{}\n", of_core(core))).collect();
        self.file("proc/cpuinfo", &text)
    }

    fn read(&self, allowed: &str) -> Cpu {
        Cpu::read_under(self.root(), CoreSet::parse(allowed))
    }
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
            .of_core(number, "topology/core_cpus_list", number)
            .of_core(number, "topology/thread_siblings_list", number);
    }
    tree
}

fn raspberry_pi_4() -> Tree {
    arm("Raspberry Pi 4 Model B Rev 1.4", &[("0xd08", 1024, 1_800_000); 4])
}

fn raspberry_pi_5() -> Tree {
    arm("Raspberry Pi 5 Model B Rev 1.0", &[("0xd0b", 1024, 2_400_000); 4])
}

/// RK3588: four small cores, then four large ones in two clusters.
fn orange_pi_5() -> Tree {
    let (small, large) = (("0xd05", 414, 1_800_000), ("0xd0b", 1024, 2_352_000));
    arm("Orange Pi 5", &[small, small, small, small, large, large, large, large])
}

/// Intel's i5-1235U: two performance cores of two threads, eight efficient ones. Its kernel tells no capacities.
fn hybrid_laptop() -> Tree {
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
            .of_core(core, "cpufreq/cpuinfo_max_freq", clock);
    }
    tree
}

/// Two cores of a server, without clocks, in a group with the time of one and a half.
fn limited_vm() -> Tree {
    Tree::new()
        .cpuinfo(
            |_| "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz\n".into(),
            2,
        )
        .online("0-1")
        .of_core(0, "topology/thread_siblings_list", "0")
        .of_core(1, "topology/thread_siblings_list", "1")
        .file("proc/self/cgroup", "0::/\n")
        .file("sys/fs/cgroup/cpu.max", "150000 100000\n")
}

/// Two sockets of 32 cores of two threads; the second threads are numbered behind all first ones.
fn two_sockets() -> Tree {
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

/// The threads, the cores they are on, and the sentence.
fn chosen(cpu: &Cpu) -> (u32, String, String) {
    let choice = cpu.choose(None);
    assert_eq!(choice.crews.decode, choice.crews.prefill);
    assert_eq!(choice.remark, None);
    (choice.crews.decode.threads, choice.crews.decode.cores.to_string(), choice.reason)
}

fn expected(threads: u32, cores: &str, reason: &str) -> (u32, String, String) {
    (threads, cores.to_owned(), reason.to_owned())
}

#[test]
fn the_four_equal_cores_of_a_raspberry_pi_compute() {
    for (tree, board, kind) in [
        (raspberry_pi_4(), "Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72"),
        (raspberry_pi_5(), "Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76"),
    ] {
        let cpu = tree.read("0-3");
        assert_eq!(cpu.board.as_deref(), Some(board));
        assert_eq!(chosen(&cpu), expected(4, "0-3", &format!("4 of 4 cores: all of them ({kind})")));
        assert!(cpu.is_obvious());
    }
}

#[test]
fn the_large_cores_of_an_rk3588_compute_and_the_small_ones_are_tried() {
    let cpu = orange_pi_5().read("0-7");
    let reason =
        "4 of 8 cores: the fast ones (Cortex-A76); the 4 others (Cortex-A55), about 40 % as fast, would hold them up";
    assert_eq!(chosen(&cpu), expected(4, "4-7", reason));
    assert!(!cpu.is_obvious());
    let candidates: Vec<_> = cpu.candidates().iter().map(|crew| (crew.threads, crew.cores.to_string())).collect();
    let as_text = [(4, "4-7"), (8, "0-7"), (2, "4-7"), (3, "4-7")].map(|(threads, cores)| (threads, cores.to_owned()));
    assert_eq!(candidates, as_text);
}

#[test]
fn a_process_that_is_held_to_small_cores_uses_those() {
    let cpu = orange_pi_5().read("0-3");
    let reason = "4 of 8 cores: this process may use no others";
    assert_eq!(chosen(&cpu), expected(4, "0-3", reason));
    assert_eq!(chosen(&orange_pi_5().read("3-4")).0, 1);
    assert_eq!(chosen(&orange_pi_5().read("3-4")).1, "4");
}

#[test]
fn a_hybrid_laptop_computes_on_its_performance_cores_one_thread_on_each() {
    let cpu = hybrid_laptop().read("0-11");
    let reason = "2 of 10 cores: the fast ones (performance cores); the 8 others (efficient cores), about 60 % as fast, would hold them up; one thread on each, since two would share its vector units";
    assert_eq!(chosen(&cpu), expected(2, "0,2", reason));
    assert_eq!(cpu.name.as_deref(), Some("12th Gen Intel(R) Core(TM) i5-1235U"));
    let candidates: Vec<_> = cpu.candidates().iter().map(|crew| (crew.threads, crew.cores.to_string())).collect();
    let as_text = [(2, "0,2"), (10, "0,2,4-11"), (1, "0,2"), (12, "0-11")];
    assert_eq!(candidates, as_text.map(|(threads, cores)| (threads, cores.to_owned())));
}

#[test]
fn half_a_processor_is_not_used_by_the_rule_and_is_tried() {
    let cpu = limited_vm().read("0-1");
    let reason = "1 of 2 cores: the control group has the time of 1.5, and more threads would stand still between";
    assert_eq!(chosen(&cpu), expected(1, "0-1", reason));
    assert_eq!(cpu.candidates().iter().map(|crew| crew.threads).collect::<Vec<_>>(), [1, 2]);
    assert!(!cpu.is_obvious());
}

#[test]
fn a_process_that_is_held_to_one_core_has_one_thread() {
    let cpu = limited_vm().read("1");
    assert_eq!(chosen(&cpu), expected(1, "1", "1 of 2 cores: this process may use no others"));
    assert_eq!(cpu.candidates().len(), 1);
    assert!(cpu.is_obvious());
}

#[test]
fn a_server_of_two_sockets_computes_with_one_thread_per_core() {
    let cpu = two_sockets().read("0-127");
    let reason = "64 of 64 cores: one thread on each, since two would share its vector units";
    assert_eq!(chosen(&cpu), expected(64, "0-63", reason));
    assert_eq!(cpu.candidates().iter().map(|crew| crew.threads).collect::<Vec<_>>(), [64, 32, 63, 128]);
    // The second thread of a core counts if the first one is not allowed.
    assert_eq!(chosen(&two_sockets().read("64-67")).1, "64-67");
}

#[test]
fn without_an_affinity_mask_the_control_group_says_what_is_allowed() {
    let tree =
        raspberry_pi_5().file("proc/self/cgroup", "0::/box\n").file("sys/fs/cgroup/box/cpuset.cpus.effective", "2-3\n");
    let cpu = Cpu::read_under(tree.root(), None);
    assert_eq!(chosen(&cpu), expected(2, "2-3", "2 of 4 cores: this process may use no others"));
}

#[test]
fn cores_that_are_switched_off_or_say_nonsense_do_no_harm() {
    let tree = orange_pi_5().online("0-3");
    assert_eq!(tree.read("0-7").cores.len(), 4);
    let nonsense = raspberry_pi_4().of_core(2, "cpu_capacity", "much").of_core(1, "topology/core_cpus_list", "9");
    let cpu = nonsense.read("0-3");
    assert!(cpu.cores.iter().all(|core| core.capacity == 1024), "{cpu:?}");
    assert_eq!(chosen(&cpu).0, 4);
    assert_eq!(Tree::new().read("0-3").cores, []);
}
