//! The folders of other programs, planted.
// With symbolic links, and without rights.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Borrowed, Elsewhere, Owner, Places};
use crate::models::local::{Import, Library};
use crate::models::{FailureClass, ModelError};
use crate::tiny_gguf::{TinyModel, Value};

/// A person's home, with what other programs keep in it.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, contents).expect("written");
        path
    }

    /// A model; another seed is another content.
    fn model(&self, name: &str, seed: u64) -> PathBuf {
        self.write(name, TinyModel::default().seed(seed).bytes())
    }

    fn ollama(&self, manifest: &str, digest: &str) {
        let layers = format!(
            r#"{{"schemaVersion": 2, "layers": [
                {{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:{digest}", "size": 1}},
                {{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:{digest}", "size": 1}}]}}"#
        );
        self.write(&format!(".ollama/models/manifests/{manifest}"), layers);
    }

    /// A file of the hub's cache, and the link that leads to it.
    fn hub(&self, repository: &str, commit: &str, file: &str, hash: &str, seed: u64) -> PathBuf {
        let folder = format!(".cache/huggingface/hub/models--{}", repository.replace('/', "--"));
        self.model(&format!("{folder}/blobs/{hash}"), seed);
        let link = self.path(&format!("{folder}/snapshots/{commit}/{file}"));
        fs::create_dir_all(link.parent().expect("a parent")).expect("made");
        let up = "../".repeat(2 + file.matches('/').count());
        symlink(format!("{up}blobs/{hash}"), &link).expect("linked");
        link
    }

    fn elsewhere(&self) -> Elsewhere {
        // What is installed on this machine as a service is not this person's.
        let ollama = |name: &str| (name == "OLLAMA_MODELS").then(|| self.path(".ollama/models"));
        let places = Places::find(ollama, Some(self.folder.path()), [self.path("gguf")]);
        Elsewhere::new(places, Some(self.path("headers.json")))
    }

    fn library(&self) -> Library {
        Library::new(self.path("tuichat/models")).with_elsewhere(self.elsewhere())
    }

    fn names(&self) -> Vec<String> {
        self.elsewhere().list().into_iter().map(|model| model.name).collect()
    }

    fn only(&self) -> Borrowed {
        let mut models = self.elsewhere().list();
        assert_eq!(models.len(), 1, "{models:?}");
        models.remove(0)
    }

    fn resolved(&self, argument: &str) -> PathBuf {
        self.library().resolve(Some(argument)).expect(argument).path
    }

    fn refusal(&self, argument: Option<&str>) -> String {
        self.library().resolve(argument).expect_err("refused").to_string()
    }
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

#[test]
fn a_model_of_ollama_has_its_name_and_its_hash() {
    let home = Home::new();
    let blob = home.model(&format!(".ollama/models/blobs/sha256-{}", hash('a')), 1);
    home.ollama("registry.ollama.ai/library/qwen2.5/0.5b", &hash('a'));
    let model = home.only();
    assert_eq!((model.name.as_str(), model.reference.as_str()), ("ollama/qwen2.5-0.5b", "qwen2.5:0.5b"));
    assert_eq!((model.path.as_path(), model.sha256.clone()), (blob.as_path(), Some(hash('a'))));
    assert_eq!((model.quantization.as_str(), model.has_template, model.owner), ("F32", true, Owner::Ollama));
    assert_eq!(model.size_bytes, fs::metadata(&blob).expect("there").len());
    for name in ["ollama/qwen2.5-0.5b", "qwen2.5:0.5b", "ollama:qwen2.5:0.5b", "Ollama/Qwen2.5", "qwen2.5", "ollama/"] {
        assert_eq!(home.resolved(name), blob, "{name}");
    }
}

#[test]
fn two_tags_of_one_file_are_one_model_with_two_names() {
    let home = Home::new();
    let blob = home.model(&format!(".ollama/models/blobs/sha256:{}", hash('a')), 1);
    home.ollama("registry.ollama.ai/library/llama3.2/latest", &hash('a'));
    home.ollama("registry.ollama.ai/library/llama3.2/1b", &hash('a'));
    home.ollama("registry.ollama.ai/someone/llama3.2/1b", &hash('a'));
    home.ollama("hf.co/owner/repo-GGUF/Q4_K_M", &hash('a'));
    let model = home.only();
    let names: BTreeSet<_> = model.aliases.iter().chain([&model.name]).map(String::as_str).collect();
    let expected =
        ["ollama/llama3.2", "ollama/llama3.2-1b", "ollama/someone-llama3.2-1b", "ollama/hf.co-owner-repo-gguf-q4_k_m"];
    assert_eq!(names, BTreeSet::from(expected));
    for name in ["llama3.2", "llama3.2:1b", "someone/llama3.2:1b", "hf:owner/repo-GGUF"] {
        let name = if name.starts_with("someone") { format!("ollama/{name}") } else { name.to_owned() };
        assert_eq!(home.resolved(&name), blob, "{name}");
    }
}

#[test]
fn half_of_what_ollama_keeps_is_no_model() {
    let home = Home::new();
    home.ollama("registry.ollama.ai/library/pulling/latest", &hash('b'));
    home.ollama("registry.ollama.ai/library/no-gguf/latest", &hash('c'));
    home.write(&format!(".ollama/models/blobs/sha256-{}", hash('c')), "safetensors, and more than enough bytes");
    home.write(&format!(".ollama/models/blobs/sha256-{}-partial", hash('b')), "GGUF, and more than enough bytes");
    home.ollama("registry.ollama.ai/library/outside/latest", "../../../../etc/passwd");
    home.write(".ollama/models/manifests/registry.ollama.ai/library/half/latest", "{\"layers\": [{");
    home.write(".ollama/models/manifests/stray", "file");
    fs::create_dir_all(home.path(".ollama/models/manifests/registry.ollama.ai/library/x/folder")).expect("made");
    assert!(home.names().is_empty());
}

#[test]
fn lm_studio_and_llama_cpp_tell_the_repository() {
    let home = Home::new();
    let lm_studio = home.model(".lmstudio/models/bartowski/Tiny-GGUF/Tiny-Q4_K_M.gguf", 1);
    home.write(".lmstudio/models/bartowski/Tiny-GGUF/mmproj-Tiny-f16.gguf", "GGUF, and more than enough bytes");
    let llama = home.model(".cache/llama.cpp/ggml-org_Other_GGUF_other-q8_0.gguf", 2);
    home.write(".cache/llama.cpp/manifest=ggml-org=Other_GGUF=latest.json", "{}");
    home.write(".cache/llama.cpp/ggml-org_Other_GGUF_other-q8_0.gguf.etag", "\"x\"");
    home.write(".cache/llama.cpp/ggml-org_x_y.gguf.downloadInProgress", "GGUF, and more than enough bytes");
    assert_eq!(home.names(), ["lmstudio/tiny-q4_k_m", "llama.cpp/other-q8_0"]);
    assert_eq!(home.resolved("hf:bartowski/Tiny-GGUF"), lm_studio);
    assert_eq!(home.resolved("hf:bartowski/Tiny-GGUF/Tiny-Q4_K_M.gguf"), lm_studio);
    assert_eq!(home.resolved("hf:ggml-org/Other_GGUF:F32"), llama);
    assert!(home.refusal(Some("hf:ggml-org/Other_GGUF:Q2_K")).contains("`tuichat models pull"));
}

#[test]
fn the_hub_s_cache_tells_the_hash_and_the_newest_commit_counts() {
    let home = Home::new();
    home.hub("owner/Repo", "0000", "tiny.gguf", &hash('a'), 1);
    let newest = home.hub("owner/Repo", "9999", "tiny.gguf", &hash('b'), 2);
    home.write(".cache/huggingface/hub/models--owner--Repo/refs/main", "9999");
    symlink("../../blobs/gone", home.path(".cache/huggingface/hub/models--owner--Repo/snapshots/9999/gone.gguf"))
        .expect("linked");
    let model = home.only();
    assert_eq!((model.name.as_str(), model.path.as_path()), ("hf/tiny", newest.as_path()));
    assert_eq!((model.sha256, model.repository.as_deref()), (Some(hash('b')), Some("owner/Repo")));
    assert_eq!(home.resolved("hf:owner/repo"), newest);

    // Of small files the hub tells another hash, of 40 digits.
    let home = Home::new();
    home.hub("owner/Repo", "0000", "sub/tiny.gguf", &"c".repeat(40), 1);
    assert_eq!(home.only().sha256, None);
}

#[test]
fn models_of_one_name_are_told_apart_the_same_way_each_time() {
    let home = Home::new();
    home.hub("bartowski/Tiny-GGUF", "1", "Tiny-Q4_0.gguf", &hash('a'), 1);
    home.hub("unsloth/Tiny-GGUF", "1", "Tiny-Q4_0.gguf", &hash('b'), 2);
    home.model("gguf/one/x/m.gguf", 3);
    home.model("gguf/two/x/m.gguf", 4);
    let names = home.names();
    assert_eq!(names[..2], ["hf/bartowski-tiny-q4_0", "hf/unsloth-tiny-q4_0"]);
    assert!(names[2..].iter().all(|name| name.starts_with("folder/x-m-")), "{names:?}");
    assert_ne!(names[2], names[3]);
    assert_eq!(home.names(), names);
    let several = home.refusal(Some("folder/x-m"));
    assert!(several.contains(&names[2]) && several.contains(&names[3]), "{several}");
}

#[test]
fn one_file_in_two_places_is_listed_once() {
    let home = Home::new();
    let file = home.model(".lmstudio/models/owner/repo/m.gguf", 1);
    fs::create_dir(home.path("gguf")).expect("made");
    fs::hard_link(&file, home.path("gguf/m.gguf")).expect("linked");
    symlink(&file, home.path("gguf/again.gguf")).expect("linked");
    let model = home.only();
    assert_eq!(model.name, "lmstudio/m");
    assert_eq!(home.resolved("folder/again"), file);
    home.library().import(&file, Import::default(), &mut |_| {}).expect("imported");
    assert_eq!(home.library().borrowed().expect("a list").len(), 1, "a copy is another file until its hash is known");
    assert!(home.resolved("m").starts_with(home.path("tuichat")), "what is installed goes first");
}

#[test]
fn what_is_installed_too_is_listed_as_installed_alone() {
    let home = Home::new();
    let file = home.model("file.gguf", 1);
    let installed = home.library().import(&file, Import::default(), &mut |_| {}).expect("imported");
    let blob = format!(".ollama/models/blobs/sha256-{}", installed.sha256);
    home.model(&blob, 1);
    home.ollama("registry.ollama.ai/library/tiny/latest", &installed.sha256);
    assert!(home.library().borrowed().expect("a list").is_empty());
    assert_eq!(home.resolved("ollama/tiny"), home.path(&blob), "its name is as good as before");
}

#[test]
fn what_cannot_be_talked_to_is_left_out() {
    let home = Home::new();
    home.write(
        "gguf/embeds.gguf",
        TinyModel::default().set("general.architecture", Value::Text("nomic-bert".into())).bytes(),
    );
    home.write("gguf/cut.gguf", &TinyModel::default().bytes()[..5000]);
    home.write("gguf/no.gguf", "no model at all, but long enough to be one");
    home.model("gguf/m-00002-of-00002.gguf", 1);
    home.model("gguf/closed.gguf", 2);
    fs::create_dir(home.path("gguf/locked")).expect("made");
    fs::set_permissions(home.path("gguf/locked"), fs::Permissions::from_mode(0o000)).expect("set");
    symlink(home.path("gguf"), home.path("gguf/loop")).expect("linked");
    assert_eq!(home.names(), ["folder/closed"]);
    fs::set_permissions(home.path("gguf/locked"), fs::Permissions::from_mode(0o700)).expect("set");
}

#[test]
fn a_header_is_read_once_and_again_when_its_file_changes() {
    let home = Home::new();
    let path = home.model("gguf/m.gguf", 1);
    assert_eq!(home.only().quantization, "F32");
    let facts = fs::read_to_string(home.path("headers.json")).expect("remembered");
    fs::write(home.path("headers.json"), facts.replace("F32", "Q9_9")).expect("written");
    assert_eq!(home.only().quantization, "Q9_9", "it was not read again");
    let touched = fs::File::options().append(true).open(&path).expect("opened");
    touched.set_modified(std::time::UNIX_EPOCH).expect("set");
    assert_eq!(home.only().quantization, "F32");
    fs::write(home.path("headers.json"), "{ broken").expect("written");
    assert_eq!(home.only().quantization, "F32");
}

#[test]
fn without_an_argument_a_model_of_others_is_taken_if_there_is_none_of_ours() {
    let home = Home::new();
    assert!(home.refusal(None).contains("`tuichat models pull`"));
    home.write("gguf/a-base.gguf", TinyModel::default().template(None).bytes());
    let chat = home.model("gguf/chat.gguf", 2);
    let library = home.library();
    let found = library.resolve(None).expect("one of others");
    assert_eq!((found.name.as_str(), found.path.as_path()), ("folder/chat", chat.as_path()));
    assert!(found.has_lasting_name());
    library.remember_used("folder/a-base").expect("written");
    assert_eq!(library.resolve(None).expect("the last one").name, "folder/a-base");
    library.import(&chat, Import::default(), &mut |_| {}).expect("imported");
    assert_eq!(library.resolve(None).expect("still the last one").name, "folder/a-base");
    fs::remove_file(home.path("gguf/a-base.gguf")).expect("removed");
    assert_eq!(library.resolve(None).expect("what is left").name, "chat");
    assert!(library.remember_used("folder/../x").is_err());
}

#[test]
fn whole_names_go_before_beginnings_and_ours_before_others() {
    let home = Home::new();
    let file = home.model("file.gguf", 1);
    home.library()
        .import(&file, Import { name: Some("qwen-0.5b-instruct"), ..Import::default() }, &mut |_| {})
        .expect("in");
    let other = home.model("gguf/qwen-0.5b.gguf", 2);
    assert_eq!(home.resolved("qwen-0.5b"), other);
    assert!(home.resolved("qwen").starts_with(home.path("tuichat")));
    assert_eq!(home.resolved("folder/q"), other);
    let none = home.refusal(Some("llama"));
    assert!(none.contains("`qwen-0.5b-instruct`") && none.contains("`folder/qwen-0.5b`"), "{none}");
    assert!(home.refusal(Some("folder/x")).contains("no model named `folder/x`"));
    assert!(home.refusal(Some("folder/x.gguf")).contains("there is no file"));
}

#[test]
fn nothing_of_others_is_removed() {
    let home = Home::new();
    let blob = home.model(&format!(".ollama/models/blobs/sha256-{}", hash('a')), 1);
    home.ollama("registry.ollama.ai/library/tiny/1b", &hash('a'));
    let hub = home.hub("owner/Repo", "1", "hub.gguf", &hash('b'), 2);
    let folder = home.model("gguf/my model.gguf", 3);
    let library = home.library();
    for (name, how) in [
        ("ollama/tiny-1b", "`ollama rm tiny:1b`"),
        ("tiny:1b", "`ollama rm tiny:1b`"),
        ("hf/hub", "`hf cache rm model/owner/Repo`"),
        ("folder/my-model", "my model.gguf'` removes the file"),
    ] {
        let error = library.remove(name).expect_err("it is not ours");
        assert!(matches!(error, ModelError::BadArgument(_)) && error.to_string().contains(how), "{error}");
        assert_eq!(error.class(), FailureClass::Other);
    }
    assert!(library.remove("tiny").is_err() && library.remove("folder").is_err());
    assert!([blob, hub, folder].iter().all(|path| path.is_file()));
}

#[test]
fn a_thousand_models_are_found_and_described_without_being_read_again() {
    let home = Home::new();
    let bytes = TinyModel::default().bytes();
    let header = &bytes[..bytes.len().min(64 << 10)];
    fs::create_dir(home.path("gguf")).expect("made");
    for number in 0..1000 {
        // The weights are a hole: what matters is the header.
        let path = home.path(&format!("gguf/m{number:04}.gguf"));
        fs::write(&path, header).expect("written");
        let file = fs::File::options().write(true).open(&path).expect("opened");
        file.set_len(bytes.len() as u64).expect("set");
    }
    assert_eq!(home.names().len(), 1000);
    let began = std::time::Instant::now();
    assert_eq!(home.names().len(), 1000);
    let again = began.elapsed();
    println!("1000 models, headers remembered: {again:?}");
    assert!(again < std::time::Duration::from_secs(10));
}

#[test]
fn a_folder_that_is_not_there_is_no_failure() {
    let places = Places::find(|_| None, Some(Path::new("/nonexistent")), []);
    let none: Vec<_> = Elsewhere::new(places, None).list().into_iter().filter(|it| it.owner != Owner::Ollama).collect();
    assert!(none.is_empty());
}
