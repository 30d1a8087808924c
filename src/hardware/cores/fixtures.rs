//! Machines as they show themselves in their files, and what is made of them.

use super::Cpu;
use crate::hardware::boards::{self, Firmware, Tree};

fn raspberry_pi_4() -> Tree {
    boards::raspberry_pi_4().tree
}

fn raspberry_pi_5() -> Tree {
    boards::raspberry_pi_5(Firmware::Newer).tree
}

fn orange_pi_5() -> Tree {
    boards::orange_pi_5_pro().tree
}

fn hybrid_laptop() -> Tree {
    boards::laptop_on_battery().tree
}

fn limited_vm() -> Tree {
    boards::limited_vm().tree
}

fn two_sockets() -> Tree {
    boards::two_sockets()
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
