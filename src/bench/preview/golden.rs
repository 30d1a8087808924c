//! What is told before a run on boards, as their files have it.

use std::time::{Duration, Instant};

use super::{Candidate, Place, Preview};
use crate::bench::outlook::Pace;
use crate::bench::speed::cooling::CoolDown;
use crate::bench::speed::plan::Kind;
use crate::bench::speed::{Settings, Speed};
use crate::hardware::boards::{self, Board, Firmware};
use crate::hardware::meters::Choice;
use crate::models::fit::{self, Anatomy, Verdict};

fn anatomy() -> Anatomy {
    Anatomy {
        file_bytes: 491_400_032,
        weights: Vec::new(),
        looked_up_bytes: 0,
        parameters: 630_167_424,
        layers: 24,
        embedding: 896,
        feed_forward: 4864,
        kv_bytes_per_token: 12_288,
        vocabulary: 151_936,
        merges: 151_387,
        trained_context: 32_768,
    }
}

fn suite(kind: Kind) -> Speed {
    let (prompt, written) = if kind == Kind::Quick { (512, 128) } else { (128, 32) };
    Speed {
        settings: Settings {
            kind,
            seed: 1,
            prompt,
            written,
            depths: vec![0],
            rounds: 5,
            within: (kind == Kind::Quick).then_some(Duration::from_secs(90)),
            cool_down: CoolDown::Auto,
            threads: None,
            power: Choice::Auto,
            sets: Vec::new(),
            judges: kind == Kind::Sbc,
            peers: Vec::new(),
        },
    }
}

/// What is told of a suite on a board, `watts` being drawn.
fn told(board: &Board, arch: &str, kind: Kind, speed: Option<(f64, f64)>, watts: f64) -> Preview {
    let (cpu, programs) = (board.cpu(), board.programs());
    let memory = board.memory();
    let place = Place { root: board.root(), programs: &programs, cpu: &cpu, memory };
    let model = Candidate {
        name: "Qwen2.5 0.5B".into(),
        path: "/models/qwen2.5-0.5b-instruct-q4_k_m.gguf".into(),
        architecture: "qwen2".into(),
        quantization: "Q4_K_M".into(),
        anatomy: anatomy(),
        verdict: Verdict::RunsWell,
        pace: speed.map(|(prefill, decode)| Pace::Speed(fit::Speed { decode, prefill: Some(prefill) })),
        choice: cpu.choose(None),
    };
    let name = if kind == Kind::Sbc { "sbc" } else { "quick" };
    let start = Instant::now();
    board.draws(watts, 0.0);
    let mut later = || {
        let passed = Duration::from_secs(60);
        board.draws(watts, passed.as_secs_f64());
        start + passed
    };
    let mut preview = Preview::of(place, name, &suite(kind), &Choice::Auto, &[model], &mut later);
    preview.machine.arch = arch.into();
    preview
}

#[test]
fn a_raspberry_pi_4_says_that_nothing_tells_its_watts() {
    let preview = told(&boards::raspberry_pi_4(), "aarch64", Kind::Quick, Some((31.0, 7.9)), 0.0);
    insta::assert_snapshot!(preview.text());
}

#[test]
fn a_raspberry_pi_5_tells_its_watts_by_both_firmwares() {
    let text = |firmware| {
        let board = boards::raspberry_pi_5(firmware);
        told(&board, "aarch64", Kind::Quick, Some((118.0, 21.4)), 2.6).text()
    };
    assert_eq!(text(Firmware::Older), text(Firmware::Newer));
    insta::assert_snapshot!(text(Firmware::Newer));
    let preview = told(&boards::raspberry_pi_5(Firmware::Newer), "aarch64", Kind::Quick, Some((118.0, 21.4)), 2.6);
    insta::assert_snapshot!("raspberry_pi_5_json", serde_json::to_string_pretty(&preview).unwrap());
}

#[test]
fn a_raspberry_pi_5_without_permission_says_how_to_get_it() {
    let board = boards::raspberry_pi_5(Firmware::Newer);
    board.tree.write("bin/vcgencmd", "#!/bin/sh\necho \"Can't open device file: /dev/vcio\" >&2\nexit 255\n");
    let preview = told(&board, "aarch64", Kind::Quick, None, 2.6);
    assert!(preview.text().contains("`sudo usermod -aG video $USER`"), "{}", preview.text());
    assert!(!preview.tells.contains(&"joules_per_token"));
}

#[test]
fn an_orange_pi_5_pro_has_each_task_on_its_fast_cores_the_slow_ones_and_all() {
    let preview = told(&boards::orange_pi_5_pro(), "aarch64", Kind::Sbc, Some((142.0, 24.6)), 0.0);
    insta::assert_snapshot!(preview.text());
}

#[test]
fn a_laptop_on_its_battery_says_so() {
    let preview = told(&boards::laptop_on_battery(), "x86_64", Kind::Quick, Some((262.0, 44.5)), 6.12);
    insta::assert_snapshot!(preview.text());
}

#[test]
fn a_laptop_on_the_mains_counts_what_its_processor_uses() {
    let preview = told(&boards::laptop_on_mains(), "x86_64", Kind::Quick, Some((262.0, 44.5)), 2.9);
    insta::assert_snapshot!(preview.text());
}

#[test]
fn a_virtual_machine_tells_little_and_its_limit_is_heeded() {
    let board = boards::limited_vm();
    insta::assert_snapshot!(told(&board, "x86_64", Kind::Quick, None, 0.0).text());
    board.tree.write("proc/loadavg", "1.52 0.9 0.5 3/180 4242\n");
    let doubts = told(&board, "x86_64", Kind::Quick, None, 0.0).doubts;
    assert_eq!(doubts, ["other programs are computing (load 1.5)"]);
}
