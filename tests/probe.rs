//! The first load of a file, which happens in a child process: what crashes llama.cpp there is an error message here.

mod common;

use common::program::Home;
use common::tiny_gguf::{TinyModel, Value};

/// Passes every check of the header, and ends the process when its vocabulary is used: it claims to be SentencePiece
/// and has no tokens for bytes.
fn crashing_model() -> TinyModel {
    TinyModel::default().set("tokenizer.ggml.model", Value::Text("llama".into()))
}

#[test]
fn a_file_that_crashes_llama_cpp_is_refused_and_nothing_crashes() {
    let home = Home::new();
    let model = home.write("crash.gguf", crashing_model().bytes());
    let ran = home.run(&["-m", model.to_str().unwrap(), "-p", "hi"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("crash.gguf") && ran.stderr.contains("llama.cpp crashes on it"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_file_that_passed_is_remembered_until_it_changes() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let ask = || home.run(&["-m", model.to_str().unwrap(), "-p", "hi", "--max-tokens", "3"]);
    let passed = || std::fs::read_to_string(home.path("home/cache/passed.json")).unwrap();
    let first = ask();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let remembered = passed();
    assert_eq!(ask().code, Some(0));
    assert_eq!(passed(), remembered, "it was not tried again");

    std::fs::remove_file(&model).unwrap();
    home.write("tiny.gguf", crashing_model().bytes());
    assert_eq!(ask().code, Some(4), "another file under the same name is tried");
}

#[test]
fn a_private_answer_leaves_no_trace_of_the_file() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let ran = home.run(&["-m", model.to_str().unwrap(), "-p", "hi", "--max-tokens", "3", "--private"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!home.path("home/cache/passed.json").exists());
}

#[test]
fn what_the_child_says_of_a_file_is_told_whole() {
    let home = Home::new();
    home.write(
        "strange.gguf",
        TinyModel::default().set("tokenizer.ggml.model", Value::Text("nonsense".into())).bytes(),
    );
    let ran = home.run(&["-m", "./strange.gguf", "-p", "hi"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    for part in ["error: ./strange.gguf cannot be loaded: ", "nonsense", "hint: get the file again"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}
