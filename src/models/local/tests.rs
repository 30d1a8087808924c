//! The library on real folders, with tiny model files.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Import, Installed, Library, Origin, Removed};
use crate::models::{FailureClass, ModelError};
use crate::tiny_gguf::TinyModel;

struct Test {
    folder: TempDir,
}

impl Test {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn library(&self) -> Library {
        Library::new(self.folder.path().join("models"))
    }

    /// A model file outside the library; another seed is another content.
    fn file(&self, name: &str, seed: u64) -> PathBuf {
        let path = self.folder.path().join(name);
        TinyModel::default().seed(seed).write(&path).expect("written");
        path
    }

    fn import(&self, file: &str, seed: u64) -> Installed {
        let file = self.file(file, seed);
        self.library().import(&file, Import::default(), &mut |_| {}).expect("a good model")
    }

    fn import_error(&self, file: &std::path::Path, how: Import) -> ModelError {
        self.library().import(file, how, &mut |_| {}).expect_err("refused")
    }

    /// The error's words for an argument.
    fn refusal(&self, argument: Option<&str>) -> String {
        self.library().resolve(argument).expect_err("refused").to_string()
    }

    fn resolved(&self, argument: &str) -> String {
        self.library().resolve(Some(argument)).expect(argument).name
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.folder.path().join("models/blobs")).map_or(0, Iterator::count)
    }
}

#[test]
fn an_imported_model_is_listed_and_found() {
    let test = Test::new();
    let installed = test.import("My Model.gguf", 1);
    assert_eq!(installed.name, "my-model");
    assert_eq!(installed.quantization, "F32");
    assert_eq!(installed.origin, Origin::File { path: test.folder.path().join("My Model.gguf") });
    assert_eq!(fs::read(&installed.path).expect("there"), TinyModel::default().bytes());
    assert_eq!(test.library().list().expect("a list"), std::slice::from_ref(&installed));
    let found = test.library().resolve(Some("my-model")).expect("found");
    assert_eq!((found.path, found.sha256), (installed.path, Some(installed.sha256)));
    assert_eq!(test.blobs(), 1);
}

#[test]
fn a_wrong_hash_is_told_and_nothing_is_left_behind() {
    let test = Test::new();
    let file = test.file("a.gguf", 1);
    let zeros = "0".repeat(64);
    let error = test.import_error(&file, Import { expected_sha256: Some(&zeros), ..Import::default() });
    assert_eq!(error.class(), FailureClass::BadModelFile);
    let actual = test.import("a.gguf", 1).sha256;
    assert!(error.to_string().contains(&zeros) && error.to_string().contains(&actual), "{error}");

    let test = Test::new();
    let file = test.file("a.gguf", 1);
    test.import_error(&file, Import { expected_sha256: Some(&zeros), ..Import::default() });
    assert_eq!((test.blobs(), test.library().list().expect("a list").len()), (0, 0));
    let upper_case = actual.to_uppercase();
    let how = Import { expected_sha256: Some(&upper_case), ..Import::default() };
    test.library().import(&file, how, &mut |_| {}).expect("the right hash in any case");
}

#[test]
fn what_is_no_model_is_not_copied() {
    let test = Test::new();
    let path = test.folder.path().join("x.gguf");
    fs::write(&path, "GGUF but no more").expect("written");
    let error = test.import_error(&path, Import::default());
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert!(error.to_string().contains("x.gguf"), "{error}");
    let missing = test.import_error(&test.folder.path().join("missing.gguf"), Import::default());
    assert_eq!(missing.class(), FailureClass::Disk);
    assert_eq!(test.blobs(), 0);
}

#[test]
fn names_cannot_leave_the_folder() {
    let test = Test::new();
    let file = test.file("a.gguf", 1);
    for name in ["../../x", "/etc/x", "a\u{1b}[2J", ""] {
        let error = test.import_error(&file, Import { name: Some(name), ..Import::default() });
        assert!(matches!(error, ModelError::BadArgument(_)), "{error}");
        assert!(test.library().remove(name).is_err());
        assert!(test.library().remember_used(name).is_err());
    }
    assert_eq!(test.blobs(), 0);
}

#[test]
fn the_same_content_again_is_no_error_but_another_under_the_same_name_is() {
    let test = Test::new();
    let first = test.import("a.gguf", 1);
    assert_eq!(test.import("a.gguf", 1).sha256, first.sha256);
    let other = test.file("a.gguf", 2);
    let error = test.import_error(&other, Import::default());
    assert!(error.to_string().contains("`tuichat models rm a`"), "{error}");
    assert_eq!(test.library().find("a").expect("still there").sha256, first.sha256);
    assert_eq!(test.blobs(), 1);
}

#[test]
fn content_stays_as_long_as_a_name_stands_for_it() {
    let test = Test::new();
    let size_bytes = test.import("a.gguf", 1).size_bytes;
    test.import("b.gguf", 1);
    assert_eq!(test.blobs(), 1);
    let library = test.library();
    assert_eq!(library.remove("a").expect("removed"), Removed { name: "a".into(), freed_bytes: 0 });
    assert!(library.find("b").expect("still there").path.is_file());
    assert_eq!(library.remove("b").expect("removed"), Removed { name: "b".into(), freed_bytes: size_bytes });
    assert_eq!((test.blobs(), library.list().expect("a list").len()), (0, 0));
}

#[test]
fn a_name_may_be_shortened_as_long_as_it_is_clear() {
    let test = Test::new();
    for (file, seed) in [("qwen-small.gguf", 1), ("qwen-large.gguf", 2), ("smol.gguf", 3), ("smol-2.gguf", 4)] {
        test.import(file, seed);
    }
    assert_eq!(test.resolved("QWEN-Small"), "qwen-small");
    assert_eq!(test.resolved("qwen-l"), "qwen-large");
    assert_eq!(test.resolved("smol"), "smol", "a whole name is meant even if others begin with it");
    let several = test.refusal(Some("qwen"));
    assert!(several.contains("`qwen-large`, `qwen-small`"), "{several}");
    let none = test.refusal(Some("llama"));
    assert!(none.contains("`smol`") && none.contains("`tuichat models pull`"), "{none}");
    for half in ["qwen", "qwen-l"] {
        assert!(test.library().remove(half).is_err(), "nothing is removed by half a name");
    }
}

#[test]
fn paths_are_taken_as_they_are() {
    let test = Test::new();
    let path = test.file("some.gguf", 1);
    let found = test.library().resolve(path.to_str()).expect("the file is there");
    assert_eq!((found.name.as_str(), found.path, found.sha256), ("some", path, None));
    let missing = test.refusal(Some("missing.gguf"));
    assert!(missing.contains("there is no file `missing.gguf`"), "{missing}");
}

#[test]
fn what_was_not_pulled_is_answered_with_the_command_that_pulls_it() {
    let test = Test::new();
    test.import("a.gguf", 1);
    let error = test.refusal(Some("hf:owner/repo:Q4_K_M"));
    assert!(error.contains("`tuichat models pull hf:owner/repo:Q4_K_M`"), "{error}");
    assert!(test.refusal(Some("hf:owner")).contains("hf:OWNER/REPO"));
}

#[test]
fn without_an_argument_the_model_used_last_is_meant() {
    let test = Test::new();
    let library = test.library();
    assert!(test.refusal(None).contains("`tuichat models pull`"));
    test.import("b.gguf", 1);
    assert_eq!(library.resolve(None).expect("the only one").name, "b");
    test.import("a.gguf", 2);
    assert_eq!(library.resolve(None).expect("the first").name, "a");
    library.remember_used("b").expect("written");
    assert_eq!(library.resolve(None).expect("the last used").name, "b");
    library.remove("b").expect("removed");
    assert_eq!(library.resolve(None).expect("what is left").name, "a");
}

#[test]
fn a_damaged_name_is_left_out_and_the_others_are_listed() {
    let test = Test::new();
    test.import("a.gguf", 1);
    let names = test.folder.path().join("models/names");
    fs::write(names.join("broken.json"), "{").expect("written");
    let outside = fs::read_to_string(names.join("a.json")).expect("read");
    let sha256 = test.library().find("a").expect("there").sha256;
    fs::write(names.join("outside.json"), outside.replace(&sha256, "../../../etc/passwd")).expect("written");
    let models = test.library().list().expect("a list");
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn what_a_killed_import_left_is_removed_by_the_next_one_and_a_running_one_is_let_be() {
    let test = Test::new();
    let blobs = test.folder.path().join("models/blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    fs::write(blobs.join("import-abandoned"), "half").expect("written");
    let running = fs::File::create(blobs.join("import-running")).expect("created");
    running.lock().expect("locked");
    test.import("a.gguf", 1);
    assert!(!blobs.join("import-abandoned").exists() && blobs.join("import-running").exists());
    assert_eq!(test.blobs(), 2);
}

#[test]
fn a_check_sees_a_single_flipped_byte() {
    let test = Test::new();
    let model = test.import("a.gguf", 1);
    let checked = Library::check(&model.path, Some(&model.sha256), &mut |_| {}).expect("as it should be");
    assert_eq!((checked.sha256.as_str(), checked.header.name()), (model.sha256.as_str(), Some("Tiny")));
    let mut bytes = fs::read(&model.path).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&model.path, bytes).expect("written");
    let error = Library::check(&model.path, Some(&model.sha256), &mut |_| {}).expect_err("not as it should be");
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
}
