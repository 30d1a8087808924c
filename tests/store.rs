//! The store as a program meets it: files on a disk, other programs, damage.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tuichat::chat::{Ended, Role, Sampling, Stats};
use tuichat::store::{ChatId, MessageId, Store, StoreError};

/// A folder of its own, and where the chats would be in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("chats.db");
    (folder, path)
}

/// Begins an answer and writes its first words.
fn half_an_answer(store: &mut Store) -> (ChatId, MessageId) {
    let chat = store.create_chat("Cut off", None).unwrap();
    let question = store.add_message(chat, None, Role::User, "Count to three").unwrap();
    let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
    store.append_answer(answer, "one, two", "").unwrap();
    (chat, answer)
}

fn last_answer(store: &Store, chat: ChatId) -> (String, Option<Ended>) {
    let message = store.branch(chat).unwrap().pop().unwrap();
    (message.text, message.ended)
}

fn one_two(ended: impl Into<Option<Ended>>) -> (String, Option<Ended>) {
    ("one, two".to_owned(), ended.into())
}

/// Starts the test below as a program of its own, and waits until its answer is half written.
fn another_program(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "answers_until_its_input_ends", "--ignored", "--nocapture"])
        .env("TUICHAT_TEST_STORE", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(output.lines().map_while(Result::ok).any(|line| line.ends_with("half written")));
    child
}

#[test]
#[ignore = "a program that other tests start"]
fn answers_until_its_input_ends() {
    let Some(path) = std::env::var_os("TUICHAT_TEST_STORE") else { return };
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::empty());
    let mut store = Store::open(Path::new(&path)).unwrap();
    half_an_answer(&mut store);
    println!("half written");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn an_answer_is_interrupted_once_its_program_was_killed_and_not_before() {
    let (_folder, path) = place();
    let mut writer = another_program(&path);
    let watching = Store::open(&path).unwrap();
    let chat = watching.last_chat().unwrap().unwrap();
    assert_eq!(last_answer(&watching, chat), one_two(None));

    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(last_answer(&Store::open(&path).unwrap(), chat), one_two(Ended::Interrupted));
    assert_eq!(last_answer(&watching, chat), one_two(Ended::Interrupted));
}

#[test]
fn a_store_that_was_open_all_along_notices_that_a_writer_died() {
    let (_folder, path) = place();
    let mut writer = another_program(&path);
    let watching = Store::open(&path).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    let chat = watching.last_chat().unwrap().unwrap();
    let last = watching.tree(chat).unwrap().messages.pop().unwrap();
    assert_eq!((last.text, last.ended), one_two(Ended::Interrupted));
    assert_eq!(last_answer(&watching, chat), one_two(Ended::Interrupted));
}

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_may_read_the_chats_whatever_the_umask() {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = place();
    let mut writer = another_program(&path);
    let folder = path.parent().unwrap();
    let names: BTreeSet<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in ["chats.db", "chats.db-wal", "chats.db-shm"] {
        assert!(names.contains(std::ffi::OsStr::new(name)), "{name} is not in {names:?}");
    }
    for name in names {
        let mode = folder.join(&name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name:?}");
    }
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_file_that_others_could_read_is_taken_from_them() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = place();
    drop(Store::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_was_said_is_there_after_reopening() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).unwrap();
    let (chat, answer) = half_an_answer(&mut store);
    store.append_answer(answer, ", three", "").unwrap();
    store.finish_answer(answer, Ended::Stop, &Stats::default(), Some(7)).unwrap();
    let before = store.branch(chat).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.branch(chat).unwrap(), before);
    assert_eq!(store.last_chat().unwrap(), Some(chat));
}

#[test]
fn an_answer_that_was_not_finished_is_interrupted_at_the_next_start() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).unwrap();
    let (chat, answer) = half_an_answer(&mut store);
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(last_answer(&store, chat), one_two(Ended::Interrupted));
    assert!(matches!(store.append_answer(answer, ", three", ""), Err(StoreError::NotBeingWritten(_))));
}

#[test]
fn an_answer_that_a_crash_interrupted_can_be_continued_and_interrupted_again() {
    let (_folder, path) = place();
    let (chat, answer) = half_an_answer(&mut Store::open(&path).unwrap());
    let mut store = Store::open(&path).unwrap();
    assert_eq!(last_answer(&store, chat), one_two(Ended::Interrupted));
    store.continue_answer(answer).unwrap();
    store.append_answer(answer, ", thr", "").unwrap();
    assert_eq!(last_answer(&Store::open(&path).unwrap(), chat), ("one, two, thr".into(), None), "it is being written");
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(last_answer(&store, chat), ("one, two, thr".into(), Some(Ended::Interrupted)));
    store.continue_answer(answer).unwrap();
    store.append_answer(answer, "ee", "").unwrap();
    store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
    assert_eq!(last_answer(&store, chat), ("one, two, three".into(), Some(Ended::Stop)));
}

#[cfg(unix)]
#[test]
fn another_store_leaves_an_answer_alone_that_is_being_written() {
    let (folder, path) = place();
    let mut writing = Store::open(&path).unwrap();
    let (chat, answer) = half_an_answer(&mut writing);

    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&path, &link] {
        let mut other = Store::open(path).unwrap();
        assert_eq!(last_answer(&other, chat), one_two(None));
        assert!(matches!(other.append_answer(answer, "!", ""), Err(StoreError::NotBeingWritten(_))));
        half_an_answer(&mut other);
    }
    writing.append_answer(answer, ", three", "").unwrap();
    writing.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
    assert_eq!(last_answer(&writing, chat), ("one, two, three".to_owned(), Some(Ended::Stop)));
}

#[test]
fn a_chat_in_which_an_answer_is_being_written_is_not_deleted_elsewhere_and_one_that_was_is_a_sentence() {
    let (_folder, path) = place();
    let mut writing = Store::open(&path).unwrap();
    let (chat, answer) = half_an_answer(&mut writing);
    let error = Store::open(&path).unwrap().delete_chat(chat).unwrap_err();
    assert!(error.to_string().contains("open in another window"), "{error}");
    writing.append_answer(answer, ", two and a half", "").unwrap();
    writing.delete_chat(chat).unwrap();
    let error = writing.append_answer(answer, ", three", "").unwrap_err();
    assert!(error.to_string().contains("was deleted"), "{error}");
}

#[test]
fn two_stores_write_to_one_file_without_losing_anything() {
    const QUESTIONS: usize = 50;
    let (_folder, path) = place();
    let writers = ["first", "second"].map(|name| {
        let path = path.clone();
        // Both find no file: making it is part of what they must not trip over.
        std::thread::spawn(move || {
            let mut store = Store::open(&path).unwrap();
            let chat = store.create_chat(name, None).unwrap();
            for number in 0..QUESTIONS {
                let parent = store.branch(chat).unwrap().last().map(|message| message.id);
                let question = store.add_message(chat, parent, Role::User, &format!("{name} {number}")).unwrap();
                let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
                store.append_answer(answer, "Yes", "").unwrap();
                store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
            }
            chat
        })
    });
    let chats = writers.map(|writer| writer.join().unwrap());
    let store = Store::open(&path).unwrap();
    for (chat, name) in chats.into_iter().zip(["first", "second"]) {
        let branch = store.branch(chat).unwrap();
        assert_eq!(branch.len(), 2 * QUESTIONS);
        for (number, pair) in branch.chunks(2).enumerate() {
            assert_eq!(pair[0].text, format!("{name} {number}"));
            assert_eq!((pair[1].text.as_str(), pair[1].ended), ("Yes", Some(Ended::Stop)));
        }
    }
}

#[test]
fn many_stores_may_begin_one_file_at_the_same_time() {
    for _ in 0..10 {
        let (_folder, path) = place();
        let openings: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || Store::open(&path).map(|mut store| half_an_answer(&mut store)))
            })
            .collect();
        for opening in openings {
            opening.join().unwrap().unwrap();
        }
        assert_eq!(Store::open(&path).unwrap().chats(10).unwrap().len(), 4);
    }
}

#[test]
fn a_file_from_a_newer_version_is_refused_and_keeps_its_chats() {
    let (_folder, path) = place();
    half_an_answer(&mut Store::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::FromTheFuture { found: 999, .. }), "{error}");
    assert!(error.to_string().contains("update tuichat"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let (folder, _) = place();
    let path = folder.path().join("chats.db");
    let noise: Vec<u8> = (0..8192u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&path, &noise).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(path.canonicalize().unwrap().to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&path).unwrap(), noise);
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let (folder, _) = place();
    let path = folder.path().join("photos.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::OtherProgram { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_never_ends_the_program_and_is_never_removed() {
    let (folder, _) = place();
    let path = folder.path().join("chats.db");
    let mut store = Store::open(&path).unwrap();
    let chat = store.create_chat("Long", None).unwrap();
    let mut parent = None;
    for _ in 0..40 {
        parent = Some(store.add_message(chat, parent, Role::User, &"word ".repeat(100)).unwrap());
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for round in 0..40u64 {
        let copy = folder.path().join(format!("{round}.db"));
        fs::write(&copy, &whole).unwrap();
        let mut file = File::options().write(true).open(&copy).unwrap();
        file.seek(SeekFrom::Start(round * (whole.len() as u64 - 1024) / 39)).unwrap();
        file.write_all(&[0xa5; 1024]).unwrap();
        drop(file);
        let used = Store::open(&copy).and_then(|mut store| {
            store.chats(10)?;
            let branch = store.branch(chat)?;
            let parent = branch.last().map(|message| message.id);
            store.add_message(chat, parent, Role::User, "Are you well?")
        });
        refused += usize::from(used.is_err());
        assert!(fs::metadata(&copy).unwrap().len() >= whole.len() as u64);
    }
    assert!(refused > 0, "damage all over the file goes unnoticed");
}

/// A file of so many chats, with what was said in each.
fn chats_at(path: &Path, count: usize) -> Vec<(ChatId, Vec<String>)> {
    let mut store = Store::open(path).unwrap();
    let chat = |number: usize| {
        let chat = store.create_chat(&format!("Chat {number}"), None).unwrap();
        let mut parent = None;
        let say = |turn: usize| {
            let text = format!("{number}.{turn}: {}", "what is said, é and 日 ".repeat(40));
            parent = Some(store.add_message(chat, parent, Role::User, &text).unwrap());
            text
        };
        (chat, (0..6).map(say).collect())
    };
    (0..count).map(chat).collect()
}

/// What is left of the chats in a damaged file: how many read as they were, how many otherwise, how many not at all.
fn left(path: &Path, chats: &[(ChatId, Vec<String>)]) -> Result<[usize; 3], StoreError> {
    let store = Store::open(path)?;
    let _ = (store.chats(100), store.search("said", 100), store.sent(100, 1 << 20));
    let mut counts = [0; 3];
    for (chat, said) in chats {
        let _ = store.whole_chat(*chat);
        let place = match store.branch(*chat) {
            Ok(branch) if branch.iter().map(|message| &message.text).eq(said) => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        counts[place] += 1;
    }
    Ok(counts)
}

#[test]
fn damage_at_random_places_is_told_is_never_removed_and_costs_no_more_than_it_hit() {
    const CHATS: usize = 20;
    const ROUNDS: u64 = 100;
    let (folder, _) = place();
    let path = folder.path().join("chats.db");
    let chats = chats_at(&path, CHATS);
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut counts) = (0, [0; 3]);
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        let length = [1, 16, 256, 1024][random.usize(..4)];
        let start = random.usize(..bytes.len() - length);
        random.fill(&mut bytes[start..start + length]);
        let copy = folder.path().join(format!("{seed}.db"));
        fs::write(&copy, &bytes).unwrap();
        match left(&copy, &chats) {
            Ok(more) => counts = std::array::from_fn(|place| counts[place] + more[place]),
            Err(error) => {
                refused += 1;
                let sentence = error.to_string();
                assert!(sentence.contains(&format!("{seed}.db`")), "seed {seed}: {sentence}");
                assert_eq!(fs::read(&copy).unwrap(), bytes, "seed {seed}: what is refused is left as it is");
            }
        }
        assert!(fs::metadata(&copy).unwrap().len() >= whole.len() as u64, "seed {seed}");
        fs::remove_file(&copy).unwrap();
    }
    let [same, changed, lost] = counts;
    println!(
        "{ROUNDS} damages, {refused} files refused; of the other chats {same} whole, {changed} changed, {lost} lost"
    );
    // A damage of 1 KiB hits two pages at most, and few of them hold more than two chats.
    assert!(refused < ROUNDS / 10 && same > 9 * (changed + lost), "{refused} refused, {counts:?}");
}

#[test]
fn a_character_that_is_damaged_costs_no_message() {
    let (folder, _) = place();
    let path = folder.path().join("chats.db");
    let chats = chats_at(&path, 1);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let damage = "UPDATE messages SET text = CAST(CAST(text AS BLOB) || x'ff' AS TEXT), thinking = CAST(x'c3' AS TEXT)";
    connection.execute(damage, []).unwrap();
    connection.execute("UPDATE chats SET title = CAST(x'41ff' AS TEXT)", []).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    let branch = store.branch(chats[0].0).unwrap();
    for (message, said) in branch.iter().zip(&chats[0].1) {
        assert_eq!((&message.text, message.thinking.as_str()), (&format!("{said}\u{fffd}"), "\u{fffd}"));
    }
    assert_eq!(store.chats(9).unwrap()[0].title, "A\u{fffd}");
}

#[test]
fn a_folder_that_cannot_be_made_is_a_sentence() {
    let (folder, _) = place();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("data").join("chats.db")).unwrap_err();
    assert!(error.to_string().contains("TUICHAT_HOME"), "{error}");
}

#[test]
fn a_deleted_chat_is_nowhere_in_the_folder() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).unwrap();
    let chat = store.create_chat("Canary", Some("canary")).unwrap();
    let question = store.add_message(chat, None, Role::User, &"canary ".repeat(2000)).unwrap();
    let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
    for _ in 0..20 {
        store.append_answer(answer, &"canary ".repeat(300), "canary").unwrap();
    }
    let backup = path.with_file_name("chats.db.backup-1");
    fs::write(&backup, "canary").unwrap();
    store.delete_chat(chat).unwrap();

    assert!(!backup.exists());
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window.eq_ignore_ascii_case(b"canary")));
    }
}
