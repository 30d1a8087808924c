//! A file of chats to import, in every form there is, from any bytes: what is understood of it is in the store and can
//! be read, the rest is sentences.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use tuichat_fuzz::exchange::import::{ImportError, import};
use tuichat_fuzz::store::Store;

/// A new store is made after so many imports: making one takes longer than an import.
const IMPORTS: usize = 200;

thread_local! {
    static STORE: RefCell<(usize, Option<Store>)> = const { RefCell::new((0, None)) };
}

fuzz_target!(|bytes: &[u8]| {
    // The name tells a history of Ollama from the other forms.
    let Some((first, content)) = bytes.split_first() else { return };
    let name = if *first == b'h' { "history" } else { "chats.json" };
    let path = folder().join(name);
    std::fs::write(&path, content).expect("there is room");
    STORE.with_borrow_mut(|(imports, store)| {
        if *imports % IMPORTS == 0 {
            *store = None;
        }
        *imports += 1;
        let store = store.get_or_insert_with(|| Store::in_memory().expect("there is memory"));
        match import(&path, store, &mut |_| {}) {
            Ok(report) => report.problems.iter().for_each(|problem| check_sentence(problem)),
            Err(error @ ImportError::Store(_)) => panic!("what was put right is taken: {error}"),
            Err(error) => check_sentence(&error.to_string()),
        }
        for chat in store.chats(3).expect("a list") {
            let branch = store.branch(chat.id).expect("a branch");
            assert!(!branch.is_empty());
            let whole = store.whole_chat(chat.id).expect("all of it");
            assert_eq!(whole.branch().len(), branch.len());
            assert_eq!(whole.clone().put_right().expect("it is right"), whole);
        }
    });
});

fn folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = folder.join(format!("tuichat-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn check_sentence(sentence: &str) {
    assert!(!sentence.is_empty() && !sentence.chars().any(char::is_control), "{sentence:?}");
}
