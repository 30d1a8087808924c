//! Models on a graphics processor. Where the build can use Vulkan and there is a driver, if only the one that computes on
//! the CPU (Mesa's llvmpipe), layers are really put on it; else those tests say that they were skipped.

mod common;

use std::path::{Path, PathBuf};

use common::program::{Home, Ran};
use common::real_models::{say_skipped, test_model};
use common::tiny_gguf::TinyModel;
use serde_json::Value;

const HAS_VULKAN: bool = cfg!(feature = "vulkan");
/// How far two tokens may be apart in nats that change places by rounding: as in `src/engine/equivalence.rs`.
const ROUNDING: f64 = 1.0;
const QUESTION: &str = "What is the capital of France?";

/// An answer of some tokens. A software driver takes a minute to get its programs ready.
fn ask(home: &Home, model: &Path, more: &[&str]) -> Ran {
    ask_this(home, model, QUESTION, more)
}

fn ask_this(home: &Home, model: &Path, question: &str, more: &[&str]) -> Ran {
    let arguments = ["-m", model.to_str().unwrap(), "-p", question, "-o", "json", "--temp", "0", "--seed", "1"];
    let mut command = home.command(&[&arguments[..], &["--max-tokens", "24"], more].concat());
    ran(&command.stdin(std::process::Stdio::null()).output().unwrap())
}

fn ran(output: &std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn device(ran: &Ran, key: &str) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["device"][key].clone()
}

/// The tiny model in a home, if a device of Vulkan takes it.
fn with_vulkan(model: &TinyModel) -> Option<(Home, PathBuf)> {
    if !HAS_VULKAN {
        say_skipped("the build cannot use Vulkan; type `cargo test --release --features vulkan --test graphics`");
        return None;
    }
    let home = Home::new();
    let path = home.write("tiny.gguf", model.bytes());
    if device(&ask(&home, &path, &["--device", "vulkan"]), "backend") != "Vulkan" {
        say_skipped("there is no driver for Vulkan; Debian has one in `mesa-vulkan-drivers`");
        return None;
    }
    Some((home, path))
}

#[test]
fn a_back_end_that_the_build_cannot_use_is_refused_with_the_way_to_get_it() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let missing = if cfg!(feature = "cuda") { "metal" } else { "cuda" };
    let ran = ask(&home, &model, &["--device", missing]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("--features {missing}")), "{}", ran.stderr);
}

#[test]
fn a_device_that_cannot_be_is_a_mistake_in_typing() {
    let home = Home::new();
    for wrong in ["gpu", "vulkan:x", "cpu:1"] {
        let ran = home.run(&["--device", wrong, "-p", "hi"]);
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.stderr);
        assert!(ran.stderr.contains("vulkan"), "{wrong}: {}", ran.stderr);
    }
}

#[test]
fn layers_on_vulkan_say_what_the_cpu_says() {
    let Some((home, model)) = with_vulkan(&TinyModel::default()) else { return };
    let cpu = ask(&home, &model, &["--device", "cpu"]);
    assert_eq!(device(&cpu, "backend"), "CPU");
    for (layers, count) in [("auto", 3), ("99", 3), ("2", 2), ("1", 1)] {
        let ran = ask(&home, &model, &["--device", "vulkan", "--gpu-layers", layers]);
        assert_eq!((device(&ran, "backend"), device(&ran, "gpu_layers")), ("Vulkan".into(), count.into()), "{layers}");
        assert!(device(&ran, "reason").as_str().unwrap().starts_with("Vulkan, "), "{layers}");
        assert_eq!(ran.json()["text"], cpu.json()["text"], "{layers}");
    }
}

#[test]
fn experts_that_stay_on_the_cpu_say_the_same() {
    let Some((home, model)) = with_vulkan(&TinyModel::default().of_experts()) else { return };
    let cpu = ask(&home, &model, &["--device", "cpu"]);
    let whole = ask(&home, &model, &["--device", "vulkan"]);
    assert_eq!(device(&whole, "backend"), "Vulkan");
    assert_eq!(whole.json()["text"], cpu.json()["text"]);
}

#[test]
fn a_driver_is_tried_once() {
    let Some((home, model)) = with_vulkan(&TinyModel::default()) else { return };
    let passed = || std::fs::read_to_string(home.path("home/cache/passed.json")).unwrap();
    let before = passed();
    assert!(before.contains("device Vulkan0"), "{before}");
    assert_eq!(device(&ask(&home, &model, &["--device", "vulkan"]), "backend"), "Vulkan");
    assert_eq!(passed(), before);
}

#[test]
fn a_cache_that_text_leaves_can_be_on_vulkan() {
    let Some((home, model)) = with_vulkan(&TinyModel::default().context(2048)) else { return };
    let story = "The tortoise went on and on, and the hare slept under a tree. ".repeat(60);
    let ran = ask_this(&home, &model, &story, &["--device", "vulkan", "--kv-mem", "1M"]);
    assert_eq!(device(&ran, "backend"), "Vulkan");
    let kv = &ran.json()["kv"];
    assert!(kv["evicted_tokens"].as_u64().unwrap() > 0, "{kv}");
}

#[test]
fn without_a_driver_the_cpu_answers_and_it_is_said() {
    if !HAS_VULKAN {
        return say_skipped("the build cannot use Vulkan");
    }
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let run = |more: &[&str]| {
        let arguments = ["-m", model.to_str().unwrap(), "-p", "hi", "-o", "json", "--max-tokens", "3"];
        let mut command = home.command(&[&arguments[..], more].concat());
        command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere");
        ran(&command.stdin(std::process::Stdio::null()).output().unwrap())
    };
    let asked = run(&["--device", "vulkan"]);
    assert_eq!(device(&asked, "backend"), "CPU");
    assert!(asked.stderr.contains("so the CPU computes"), "{}", asked.stderr);
    let quiet = run(&["--device", "vulkan", "--quiet"]);
    assert_eq!((device(&quiet, "backend"), quiet.stderr.as_str()), ("CPU".into(), ""));
    assert_eq!(device(&run(&["--device", "auto"]), "backend"), "CPU");
}

#[test]
fn a_real_model_answers_on_vulkan_as_on_the_cpu_up_to_near_ties() {
    if with_vulkan(&TinyModel::default()).is_none() {
        return;
    }
    let Some(model) = test_model() else { return };
    let home = Home::new();
    for (question, layers) in [(QUESTION, "auto"), ("Count from one to ten.", "auto"), ("What is 7 + 5?", "10")] {
        let ask = |more: &[&str]| ask_this(&home, &model, question, &[more, &["--logprobs", "5"]].concat());
        let (cpu, vulkan) = (ask(&["--device", "cpu"]), ask(&["--device", "vulkan", "--gpu-layers", layers]));
        assert_eq!(device(&vulkan, "backend"), "Vulkan");
        let same = same_up_to_a_near_tie(&cpu.json(), &vulkan.json());
        println!("{question} ({layers} layers): the first {same} tokens are the same");
    }
}

/// How many tokens two answers have in common. Where they part, each must have found the other's token nearly as likely as
/// its own; what follows is another text.
fn same_up_to_a_near_tie(one: &Value, other: &Value) -> usize {
    let tokens = |answer: &Value| answer["logprobs"].as_array().unwrap().clone();
    let pairs: Vec<(Value, Value)> = tokens(one).into_iter().zip(tokens(other)).collect();
    let Some(place) = pairs.iter().position(|(mine, theirs)| mine["id"] != theirs["id"]) else {
        assert_eq!(one["text"], other["text"]);
        return pairs.len();
    };
    let (mine, theirs) = &pairs[place];
    for (here, there) in [(mine, theirs), (theirs, mine)] {
        let likely = here["top"].as_array().unwrap().iter().find(|it| it["id"] == there["id"]);
        let behind = likely.map(|it| here["logprob"].as_f64().unwrap() - it["logprob"].as_f64().unwrap());
        assert!(behind.is_some_and(|behind| behind < ROUNDING), "token {place}: {here} and {there}");
    }
    place
}
