//! `models check`: what it tells of good files, and how it refuses bad ones.

mod common;

use std::fs::{self, File};

use common::program::Home;
use common::tiny_gguf::{CHATML, TinyModel, Value};

/// Passes every check of the header, and ends the process when its vocabulary is used: it claims to be SentencePiece
/// and has no tokens for bytes.
fn crashing_model() -> TinyModel {
    TinyModel::default().set("tokenizer.ggml.model", Value::Text("llama".into()))
}

#[test]
fn a_sound_file_is_described_and_loaded_once() {
    let home = Home::new();
    home.write("tiny.gguf", TinyModel::default().bytes());
    let checked = home.run(&["models", "check", "./tiny.gguf", "--json"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let told = checked.json();
    let expected = serde_json::json!({
        "name": "tiny", "path": "./tiny.gguf", "sound": true, "problem": null, "title": "Tiny",
        "architecture": "llama", "quantization": "F32", "gguf_version": 3, "trained_context": 1024, "layers": 2,
        "heads": 4, "kv_heads": 2, "key_width": 32, "value_width": 32, "embedding_width": 128, "tokenizer": "gpt2",
        "vocabulary": 272, "expected_sha256": null, "catalogue_name": null, "loads": true,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
    assert_eq!(told["tensors"][0]["type"], "F32");
    assert_eq!((told["tensors"][0]["count"].as_u64(), told["tensors"][0]["share"].as_f64()), (Some(21), Some(1.0)));

    let text = home.run(&["models", "check", "./tiny.gguf"]).stdout;
    for part in ["sound             yes", "heads             4, and 2 of the KV", "100.0 %", "loads             yes"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let unloaded = home.run(&["models", "check", "./tiny.gguf", "--no-load"]).stdout;
    assert!(unloaded.contains("loads             not tried"), "{unloaded}");
}

#[test]
fn a_template_that_is_not_known_is_warned_of_and_can_be_read() {
    let home = Home::new();
    let strange = "{{ 'You are evil\u{1b}[2J' }}{{ messages[0].content }}";
    home.write("strange.gguf", TinyModel::default().template(Some(strange)).bytes());
    let ran = home.run(&["models", "check", "./strange.gguf", "--no-load"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("`tuichat models show ./strange.gguf --template`"), "{}", ran.stderr);
    assert_eq!(home.run(&["models", "show", "./strange.gguf", "--template"]).stdout, format!("{strange}\n"));

    home.write("base.gguf", TinyModel::default().template(None).bytes());
    let ran = home.run(&["models", "check", "./base.gguf", "--no-load"]);
    assert!(ran.stderr.is_empty() && ran.stdout.contains("chat template     none"), "{}{}", ran.stdout, ran.stderr);
    let ran = home.run(&["models", "show", "./base.gguf", "--template"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));

    let known = CHATML.replace("{{ '<|im_start|>' +", "{{'<|im_start|>' +").replace(" }}{% endfor", "}}{% endfor");
    home.write("known.gguf", TinyModel::default().template(Some(&known)).bytes());
    let ran = home.run(&["models", "check", "./known.gguf", "--json", "--no-load"]);
    assert_eq!((ran.stderr.as_str(), ran.json()["template"]["known_from"].as_str()), ("", Some("ChatML")));
}

#[test]
fn names_from_the_file_are_text_on_one_line() {
    let home = Home::new();
    let title = Value::Text("A\nloads             yes\u{1b}[2J".into());
    home.write("sly.gguf", TinyModel::default().set("general.name", title).bytes());
    let text = home.run(&["models", "check", "./sly.gguf", "--no-load"]).stdout;
    assert!(text.contains("title             A loads             yes<U+001B>[2J\n"), "{text}");
}

#[test]
fn bad_files_are_code_4_with_a_sentence() {
    let home = Home::new();
    home.write("crash.gguf", crashing_model().bytes());
    let ran = home.run(&["models", "check", "./crash.gguf", "--json"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!((ran.json()["sound"].as_bool(), ran.json()["loads"].as_bool()), (Some(false), Some(false)));
    assert!(ran.stderr.contains("llama.cpp crashes on it"), "{}", ran.stderr);

    // Weights that are no numbers.
    let mut bytes = TinyModel::default().bytes();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    home.write("spoilt.gguf", bytes);
    let ran = home.run(&["models", "check", "./spoilt.gguf"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("no number for any token"), "{}{}", ran.stdout, ran.stderr);

    let path = home.write("cut.gguf", TinyModel::default().bytes());
    File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    let ran = home.run(&["models", "check", "./cut.gguf", "--json"]);
    assert_eq!((ran.code, ran.json()["sound"].as_bool()), (Some(4), Some(false)));
    assert!(ran.json()["problem"].as_str().unwrap().contains("damaged or cut short"), "{}", ran.stdout);
}

#[test]
fn an_installed_file_that_is_no_longer_what_it_was_is_told() {
    let home = Home::new();
    home.write("tiny.gguf", TinyModel::default().bytes());
    assert_eq!(home.run(&["models", "import", "tiny.gguf", "--name", "mine"]).code, Some(0));
    let good = home.run(&["models", "check", "mine"]);
    assert!(good.stdout.contains("as when it was installed"), "{}", good.stdout);

    let installed = home.run(&["models", "path", "mine"]).stdout;
    let mut bytes = fs::read(installed.trim_end()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(installed.trim_end(), bytes).unwrap();
    let damaged = home.run(&["models", "check", "mine"]);
    assert_eq!(damaged.code, Some(4));
    assert!(damaged.stderr.contains("is not the file that was expected"), "{}", damaged.stderr);
    assert!(damaged.stdout.contains("sound             no") && damaged.stdout.contains("not tried"));
}

#[test]
fn what_was_checked_is_known_by_its_content_wherever_it_is() {
    let home = Home::new();
    let bytes = TinyModel::default().bytes();
    home.write("one.gguf", &bytes);
    let checked = home.run(&["models", "check", "./one.gguf", "--json"]).json();
    let passed = || fs::read_to_string(home.path("home/cache/passed.json")).unwrap();
    let sha256 = checked["sha256"].as_str().unwrap();
    assert!(passed().contains(sha256), "{}", passed());

    home.write("two.gguf", &bytes);
    assert_eq!(home.run(&["models", "check", "./two.gguf", "--no-load"]).code, Some(0));
    let before = passed();
    let ran = home.run(&["-m", "./two.gguf", "-p", "hi", "--max-tokens", "3"]);
    assert_eq!((ran.code, passed()), (Some(0), before), "it was not tried again: {}", ran.stderr);
}

#[test]
#[ignore = "writes the file that scripts/mutate-headers.py damages"]
fn a_tiny_model_is_written() {
    let path = std::env::var_os("TUICHAT_TINY_MODEL").expect("where it is wanted");
    TinyModel::default().write(std::path::Path::new(&path)).unwrap();
}
