//! Models in several files.

use super::*;

/// A hub with a model in three files.
fn split_server(faults: impl IntoIterator<Item = Fault>) -> HubServer {
    let names = (1..=3).map(|number| format!("sub/tiny-Q4_K_M-{number:05}-of-00003.gguf"));
    HubServer::start(Vec::new()).files(names.zip(TinyModel::default().parts(3))).faults(faults)
}

#[test]
fn a_split_model_is_one_model() {
    let test = Test::new(split_server([Fault::CutAfter(100_000)]));
    let mut reports = Vec::new();
    let installed =
        test.pull_with(&AtomicBool::new(false), &mut |progress| reports.push(progress)).expect("it is put together");
    let total: usize = TinyModel::default().parts(3).iter().map(Vec::len).sum();
    assert_eq!((installed.name.as_str(), installed.size_bytes), ("tiny-q4_k_m", total as u64));
    assert!(reports.iter().all(|progress| progress.total_bytes == total as u64));
    assert!(reports.is_sorted_by_key(|progress| progress.done_bytes));
    assert_eq!(test.server.sent_bytes(), total);

    let library = test.library();
    assert_eq!(library.list().expect("a list"), std::slice::from_ref(&installed));
    for file in ["", ":Q4_K_M", "/sub/tiny-Q4_K_M-00001-of-00003.gguf", "/sub/tiny-Q4_K_M-00003-of-00003.gguf"] {
        if file != ":Q4_K_M" {
            let found = library.resolve(Some(&format!("hf:{REPOSITORY}{file}"))).expect("it was pulled");
            assert_eq!(found.path, installed.path);
        }
    }
    let checked = Library::check(&installed.path, Some(&installed.sha256), &mut |_| {}).expect("as it should be");
    assert_eq!((checked.files.len(), checked.header.file_bytes), (3, total as u64));

    test.pull().expect("it is there");
    assert_eq!(test.server.sent_bytes(), total, "what is there is not fetched again");

    let last = checked.files[2].0.clone();
    let blob = fs::canonicalize(&last).expect("a link to the content");
    let mut bytes = fs::read(&blob).expect("there");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&blob, bytes).expect("written");
    let error = Library::check(&installed.path, Some(&installed.sha256), &mut |_| {}).expect_err("a flipped byte");
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");

    let removed = library.remove(&installed.name).expect("removed");
    assert_eq!(removed.freed_bytes, total as u64);
    assert_eq!((test.blobs(), installed.path.exists()), (vec![], false));
}

#[test]
fn a_part_that_two_split_models_share_stays_as_long_as_one_of_them() {
    let test = Test::new(split_server([]));
    let installed = test.pull().expect("it is put together");
    let names = test.folder.path().join("names");
    let manifest = fs::read_to_string(names.join(format!("{}.json", installed.name))).expect("a name");
    fs::write(names.join("other.json"), manifest).expect("another name");
    let library = test.library();
    assert_eq!(library.remove("other").expect("removed").freed_bytes, 0);
    Library::check(&installed.path, Some(&installed.sha256), &mut |_| {}).expect("still whole");
    assert_eq!(library.remove(&installed.name).expect("removed").freed_bytes, installed.size_bytes);
}

#[test]
fn a_split_model_that_cannot_be_loaded_is_not_kept() {
    let mut parts = TinyModel::default().set("llama.block_count", Value::U32(0)).parts(2).into_iter();
    let names = (1..=2).map(|number| format!("tiny-{number:05}-of-00002.gguf"));
    let files: Vec<_> = names.map(|name| (name, parts.next().expect("two parts"))).collect();
    let test = Test::new(HubServer::start(Vec::new()).files(files));
    let error = test.fails();
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert_eq!(test.blobs(), [""; 0]);
    assert_eq!(fs::read_dir(test.folder.path().join("splits")).expect("a folder").count(), 0);
}
