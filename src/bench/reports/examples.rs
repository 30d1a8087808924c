//! Runs to be told of in tests.

use serde_json::{Map, json};

use crate::bench::machine::{CoreClass, Machine};
use crate::bench::record::{BeforeAndAfter, Case, Condition, End, Head, Run, Status, TUICHAT};
use crate::bench::statistics::{Interval, deviation, mean};

/// A case of a model with these samples.
pub fn case(test: &str, (n_prompt, n_gen, n_depth): (u32, u32, u32), samples: &[f64]) -> Case {
    let interval = Interval::of(samples);
    Case {
        key: test.into(),
        runtime: TUICHAT.into(),
        test: test.into(),
        model_filename: "models/tiny-Q4_0.gguf".into(),
        model_type: "llama 134.52 M Q4_0".into(),
        model_size: 86 << 20,
        model_n_params: 134_515_008,
        n_prompt,
        n_gen,
        n_depth,
        n_threads: 2,
        type_k: Some("f16".into()),
        type_v: Some("f16".into()),
        avg_ts: Some(mean(samples)),
        stddev_ts: Some(deviation(samples)),
        ci95_low_ts: interval.low(),
        ci95_high_ts: interval.high(),
        samples_ts: samples.to_vec(),
        ..Case::default()
    }
}

/// A quiet run on a board, at two depths.
pub fn depth() -> Run {
    let settings = json!({"depths": [0, 1024], "rounds": 3, "power": {"source": "auto"}});
    let class = |kind: &str, capacity, max_mhz| CoreClass { kind: Some(kind.into()), count: 4, capacity, max_mhz };
    let machine = Machine {
        board: Some("Orange Pi 5 Pro".into()),
        cores: vec![class("Cortex-A76", 1.0, Some(2400.0)), class("Cortex-A55", 0.4, None)],
        memory_bytes: Some(8 << 30),
        kernel: Some("6.1.43".into()),
        governor: Some("ondemand".into()),
        os: Some("Debian 12".into()),
        arch: "aarch64".into(),
        ..Machine::default()
    };
    let head = Head {
        id: "2026-11-27-0931-depth".into(),
        started: "2026-11-27T09:31:00Z".parse().unwrap(),
        suite: "depth".into(),
        tuichat: "0.1.0".into(),
        llama_cpp: "b7000".into(),
        machine,
        settings: settings.as_object().unwrap().clone(),
        command: ["tuichat", "bench", "--suite", "depth"].map(str::to_owned).to_vec(),
        rest: Map::new(),
    };
    let token = |case: Case, p50, p95, joules| Case {
        token_ms_p5: Some(p50 - 0.5),
        token_ms_p50: Some(p50),
        token_ms_p95: Some(p95),
        joules_per_token: Some(joules),
        ..case
    };
    let mut run = Run::new(head);
    run.cases = vec![
        case("pp512", (512, 0, 0), &[810.0, 812.0, 815.0]),
        token(case("tg128", (0, 128, 0), &[60.9, 61.4, 61.9]), 16.2, 17.0, 0.21),
        case("pp512 @ d1024", (512, 0, 1024), &[640.0, 642.0, 639.0]),
        token(case("tg128 @ d1024", (0, 128, 1024), &[51.0, 51.5, 50.8]), 19.4, 20.1, 0.26),
    ];
    let condition =
        |celsius, mhz, load| Condition { celsius: Some(celsius), mhz: Some(mhz), load, ..Condition::default() };
    run.end = Some(End {
        ended: "2026-11-27T09:33:10Z".parse().unwrap(),
        status: Status::Whole,
        valid: true,
        doubts: Vec::new(),
        health: BeforeAndAfter {
            before: condition(48.2, 2400.0, Some(0.1)),
            after: condition(61.0, 2300.0, Some(1.9)),
        },
        rest: Map::new(),
    });
    run
}
