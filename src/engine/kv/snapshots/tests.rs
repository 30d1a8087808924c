use super::*;
use crate::engine::context::Ledger;

struct Fixture {
    home: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("model.gguf"), "weights").unwrap();
        Self { home }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("kv")
    }

    fn open_with(&self, most_bytes: impl Into<Option<u64>>, library: &str, stop: &CancelFlag) -> Snapshots {
        let settings = SnapshotSettings {
            folder: self.folder(),
            most_bytes: most_bytes.into(),
            model_sha256: None,
            hashes: self.home.path().join("hashes.json"),
        };
        let key = Key {
            model: self.home.path().join("model.gguf"),
            template: "{{ messages }}".into(),
            types: "f16 f16".into(),
            library: library.into(),
        };
        Snapshots::open(settings, key, stop.clone()).unwrap()
    }

    fn open(&self, most_bytes: u64) -> Snapshots {
        self.open_with(most_bytes, "1.0", &CancelFlag::default())
    }

    /// Writes one and waits for it.
    fn write(&self, kept: Kept) {
        self.open(1 << 20).write(kept);
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder()).map_or(0, Iterator::count)
    }
}

fn kept(chat: i64, bytes: usize) -> Kept {
    let mut ledger = Ledger::default();
    ledger.push(&[1, 2, 3]);
    let contents = ledger.contents().clone();
    let about = About { contents, ..About::default() };
    Kept { chat: ChatKey(chat), about, state: Arc::new(vec![chat as u8; bytes]), is_written: false }
}

fn rights(path: &Path) -> Option<u32> {
    crate::platform::files::rights(&fs::metadata(path).unwrap())
}

#[test]
fn a_snapshot_is_found_by_the_next_program_and_is_its_owners_alone() {
    let fixture = Fixture::new();
    fixture.write(kept(7, 1000));
    let found = fixture.open(1 << 20).find(ChatKey(7)).unwrap();
    assert_eq!(found.about().contents.tokens, [1, 2, 3]);
    if cfg!(unix) {
        assert_eq!((rights(&found.path), rights(&fixture.folder())), (Some(0o600), Some(0o700)));
    }
    assert_eq!(*found.read().unwrap().state, vec![7; 1000]);
    assert!(fixture.open(1 << 20).find(ChatKey(8)).is_none());
}

#[test]
fn another_model_or_another_library_does_not_find_it() {
    let fixture = Fixture::new();
    fixture.write(kept(7, 1000));
    assert!(fixture.open_with(1 << 20, "1.1", &CancelFlag::default()).find(ChatKey(7)).is_none());
    fs::write(fixture.home.path().join("model.gguf"), "other weights").unwrap();
    let snapshots = fixture.open(1 << 20);
    assert!(snapshots.find(ChatKey(7)).is_none());
    snapshots.write(kept(7, 10));
    drop(snapshots);
    assert_eq!(fixture.files(), 2, "each model has its own");
    remove(&fixture.folder(), ChatKey(7));
    assert_eq!(fixture.files(), 0);
}

#[test]
fn the_snapshots_used_longest_ago_are_deleted_for_new_ones() {
    let fixture = Fixture::new();
    for chat in 1..=3 {
        let snapshots = fixture.open(3 * 1500);
        snapshots.write(kept(chat, 1000));
        drop(snapshots);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fixture.files(), 3);
    assert!(fixture.open(3 * 1500).find(ChatKey(1)).is_some(), "now it was used last");
    std::thread::sleep(Duration::from_millis(20));
    let snapshots = fixture.open(3 * 1500);
    snapshots.write(kept(4, 2000));
    drop(snapshots);
    let there: Vec<i64> = (1..=4).filter(|chat| fixture.open(3 * 1500).find(ChatKey(*chat)).is_some()).collect();
    assert_eq!(there, [1, 4], "{there:?}");
}

#[test]
fn what_is_larger_than_all_of_the_room_is_not_written_and_deletes_nothing() {
    let fixture = Fixture::new();
    fixture.write(kept(1, 1000));
    let snapshots = fixture.open(1500);
    snapshots.write(kept(2, 2000));
    drop(snapshots);
    let snapshots = fixture.open(1500);
    assert!(snapshots.find(ChatKey(1)).is_some() && snapshots.find(ChatKey(2)).is_none());
}

#[test]
fn a_damaged_state_is_not_used_and_deleted() {
    let fixture = Fixture::new();
    fixture.write(kept(7, 1000));
    let found = fixture.open(1 << 20).find(ChatKey(7)).unwrap();
    let mut bytes = fs::read(&found.path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&found.path, bytes).unwrap();
    assert!(fixture.open(1 << 20).find(ChatKey(7)).unwrap().read().is_none());
    assert_eq!(fixture.files(), 0);
}

#[test]
fn a_program_that_is_told_to_stop_leaves_no_part_of_a_file() {
    let fixture = Fixture::new();
    let stop = CancelFlag::default();
    let snapshots = fixture.open_with(1 << 20, "1.0", &stop);
    stop.cancel();
    snapshots.write(kept(7, 1000));
    drop(snapshots);
    assert_eq!(fixture.files(), 0);
}

#[test]
fn a_deleted_chat_is_deleted_here_even_if_it_waits_to_be_written() {
    let fixture = Fixture::new();
    let snapshots = fixture.open(1 << 20);
    snapshots.write(kept(7, 1000));
    snapshots.remove(ChatKey(7));
    drop(snapshots);
    assert_eq!(fixture.files(), 0);
}

fn title(chat: i64) -> Title {
    Title { chat: ChatKey(chat), id: 5, row_bytes: 100 }
}

/// Writes so many rows of an archive and waits for them.
fn append(snapshots: &Snapshots, chat: i64, first: u32, rows: usize) -> Option<Archive> {
    let bytes = vec![chat as u8; rows * 100];
    assert!(snapshots.append(NewRows { title: title(chat), first, seed: 3, bytes }, 1 << 20));
    snapshots.archive(title(chat), &|| true)
}

#[test]
fn an_archive_is_its_owners_alone_and_deleted_with_its_chat() {
    let fixture = Fixture::new();
    let snapshots = fixture.open(1 << 20);
    let archive = append(&snapshots, 7, 0, 10).unwrap();
    let mut row = [0; 100];
    assert!(archive.read(9, 3, &mut row) && row == [7; 100]);
    let file = fs::read_dir(fixture.folder()).unwrap().next().unwrap().unwrap().path();
    if cfg!(unix) {
        assert_eq!(rights(&file), Some(0o600));
    }
    snapshots.write(kept(7, 1000));
    drop(snapshots);
    assert_eq!(fixture.files(), 2);
    remove(&fixture.folder(), ChatKey(7));
    assert_eq!(fixture.files(), 0);
}

#[test]
fn an_archive_makes_room_for_what_was_used_later_before_its_snapshot_does() {
    let fixture = Fixture::new();
    let snapshots = fixture.open(6000);
    assert!(append(&snapshots, 1, 0, 20).is_some());
    std::thread::sleep(Duration::from_millis(20));
    snapshots.write(kept(1, 1000));
    snapshots.archive(title(1), &|| true).unwrap();
    // Reading it is using it, but it goes first all the same where its own snapshot needs the room.
    snapshots.write(kept(1, 4500));
    assert!(snapshots.archive(title(1), &|| true).is_none());
    assert!(snapshots.find(ChatKey(1)).is_some());
}

#[test]
fn an_archive_that_grows_larger_than_all_of_the_room_is_given_up_and_its_snapshot_stays() {
    let fixture = Fixture::new();
    let snapshots = fixture.open(4000);
    snapshots.write(kept(1, 1000));
    snapshots.write(kept(2, 500));
    assert!(append(&snapshots, 1, 0, 10).is_some());
    assert!(snapshots.find(ChatKey(2)).is_some());
    assert!(append(&snapshots, 1, 10, 30).is_none(), "more than 4,000 bytes of rows");
    let there = [1, 2].map(|chat| snapshots.find(ChatKey(chat)).is_some());
    assert_eq!(there, [true, true], "nothing is deleted for what never fits");
    assert!(append(&snapshots, 1, 40, 1).is_none(), "what came before is missing");
    assert!(append(&snapshots, 1, 0, 1).is_some(), "it is begun anew");
}

#[test]
fn rows_that_would_wait_in_too_much_memory_are_not_taken() {
    let fixture = Fixture::new();
    let rows = NewRows { title: title(1), first: 0, seed: 3, bytes: vec![1; 1000] };
    assert!(!fixture.open(1 << 20).append(rows, 999));
    assert_eq!(fixture.files(), 0);
}

#[test]
fn a_snapshot_pays_where_the_disk_is_faster_than_the_model() {
    let fixture = Fixture::new();
    let snapshots = fixture.open_with(None, "1.0", &CancelFlag::default());
    // 4,096 tokens of 28 KiB at 30 and at 30,000 tokens a second.
    let bytes = 2 * 4096 * 28 * 1024;
    assert!(snapshots.pays(bytes, 4096, Some(30.0)) && snapshots.pays(bytes, 4096, None));
    assert!(!snapshots.pays(bytes, 4096, Some(30_000.0)));
    assert!(fixture.open(1 << 20).pays(bytes, 4096, Some(30_000.0)), "it was asked for");
}
