//! Downloads from a hub that misbehaves: in every case the model is there with the right hash, or an error says
//! why and nothing is visible.

#[path = "../common/mod.rs"]
mod common;
mod large;
mod split;

use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::hub_server::{COMMIT, FILE, Fault, HubServer, REPOSITORY, TAG, sha256};
use common::tiny_gguf::{TinyModel, Value};
use tempfile::TempDir;
use tuichat::models::hub::{Hub, Patience, Pull, Reference};
use tuichat::models::{FailureClass, Installed, Library, ModelError, Origin, Progress, Step};

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().bytes());
/// Large enough for several connections.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().padded(24 << 20));
const NAME: &str = "model-q4_k_m";
const TOKEN: &str = "hf_secret";

/// A models folder and a hub to fill it from.
struct Test {
    folder: TempDir,
    server: HubServer,
    content: &'static [u8],
    reference: String,
    bytes_per_second: Option<u64>,
}

impl Test {
    fn new(server: HubServer) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, server, content: &MODEL, reference: format!("hf:{REPOSITORY}"), bytes_per_second: None }
    }

    fn large(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { content: &LARGE, ..Self::new(HubServer::start(LARGE.clone()).faults(faults)) }
    }

    fn of(self, reference: &str) -> Self {
        Self { reference: reference.to_owned(), ..self }
    }

    fn limited_to(self, bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..self }
    }

    fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::new(HubServer::start(MODEL.clone()).faults(faults))
    }

    fn library(&self) -> Library {
        Library::new(self.folder.path())
    }

    fn pull(&self) -> Result<Installed, ModelError> {
        self.pull_with(&AtomicBool::new(false), &mut |_| {})
    }

    fn pull_with(&self, cancel: &AtomicBool, listener: &mut dyn FnMut(Progress)) -> Result<Installed, ModelError> {
        let patience = Patience {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(1),
            back_off: Duration::from_millis(10),
            attempts: 3,
        };
        let hub = Hub::new(&self.server.endpoint(), Some(TOKEN.into())).expect("a loopback hub");
        let hub = hub.with_patience(patience).limited_to(self.bytes_per_second);
        let what = Pull::from_argument(&self.reference).expect("a good reference");
        hub.pull_blocking(&self.library(), &what, cancel, listener)
    }

    /// Pulls, and makes sure that the right bytes are there under the name.
    fn succeeds(&self) -> Installed {
        let installed = self.pull().expect("the pull succeeds in the end");
        let bytes = fs::read(&installed.path).expect("the model is there");
        assert_eq!(sha256(&bytes), sha256(self.content));
        assert_eq!(self.library().list().expect("the list"), std::slice::from_ref(&installed));
        installed
    }

    /// Pulls, and makes sure that nothing is visible.
    fn fails(&self) -> ModelError {
        let error = self.pull().expect_err("the pull fails");
        self.assert_nothing_is_visible();
        error
    }

    fn assert_nothing_is_visible(&self) {
        assert_eq!(self.library().list().expect("the list"), []);
        let is_part = |blob: &String| blob.ends_with(".part") || blob.ends_with(".part.json");
        assert!(self.blobs().iter().all(is_part), "{:?}", self.blobs());
    }

    fn blobs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("blobs")) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn part(&self) -> std::path::PathBuf {
        self.folder.path().join("blobs").join(format!("sha256-{}.part", sha256(self.content)))
    }

    /// What a run that was killed leaves.
    fn with_part(self, bytes: &[u8]) -> Self {
        fs::create_dir_all(self.folder.path().join("blobs")).expect("a folder");
        fs::write(self.part(), bytes).expect("written");
        self
    }

    /// As `with_part`, with the journal that says which of the bytes are surely there.
    fn with_journal(self, bytes: &[u8], there: &[(u64, u64)]) -> Self {
        let test = self.with_part(bytes);
        let journal = serde_json::json!({ "version": 1, "size_bytes": test.content.len(), "there": there });
        fs::write(test.part().with_added_extension("json"), journal.to_string()).expect("written");
        test
    }

    /// The ranges that were asked for.
    fn ranges(&self) -> Vec<Option<String>> {
        self.server.downloads().into_iter().map(|request| request.headers.get("range").cloned()).collect()
    }
}

#[test]
fn a_model_is_fetched_once_verified_and_named() {
    let test = Test::new(HubServer::start(MODEL.clone()));
    let installed = test.succeeds();
    assert_eq!(installed.name, NAME);
    assert_eq!(
        installed.origin,
        Origin::Hub { repository: REPOSITORY.into(), commit: COMMIT.into(), file: FILE.into(), revision: None }
    );
    assert_eq!(test.server.sent_bytes(), MODEL.len());
    assert!(test.server.downloads()[0].path.contains(COMMIT));
    assert_eq!(test.blobs(), [format!("sha256-{}", sha256(&MODEL))]);

    let found = test.library().resolve(Some(&format!("hf:{REPOSITORY}"))).expect("it was pulled");
    assert_eq!((found.name.as_str(), found.path), (NAME, installed.path));

    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len(), "what is there is not fetched again");
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let cuts = [100_000, 0, 1, 400_000].map(Fault::CutAfter);
    let test = Test::with_faults(cuts);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len(), "no byte is fetched twice");
    let ranges: Vec<_> =
        test.server.downloads().into_iter().map(|request| request.headers.get("range").cloned()).collect();
    assert_eq!(ranges[0], None);
    let last = MODEL.len() - 1;
    assert_eq!(ranges[1], Some(format!("bytes=100000-{last}")));
    assert_eq!(ranges[4], Some(format!("bytes=500001-{last}")));
    assert_eq!(test.server.downloads()[1].headers["if-range"], "\"first\"");
}

#[test]
fn a_stalled_download_is_taken_up_again() {
    let test = Test::with_faults([Fault::StallAfter(300_000)]);
    let began = Instant::now();
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len());
    assert!(began.elapsed() < Duration::from_secs(9), "the stall is noticed before the server wakes up");
}

#[test]
fn a_later_run_goes_on_where_a_killed_one_stopped() {
    let test = Test::new(HubServer::start(MODEL.clone())).with_part(&MODEL[..700_000]);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len() - 700_000);
}

#[test]
fn a_part_that_a_power_cut_spoiled_is_fetched_anew() {
    let test = Test::new(HubServer::start(MODEL.clone())).with_part(&[0; 700_000]);
    test.succeeds();
    let longer = Test::new(HubServer::start(MODEL.clone())).with_part(&vec![0; MODEL.len() + 1]);
    longer.succeeds();
    assert_eq!(longer.server.sent_bytes(), MODEL.len());
}

#[test]
fn a_part_that_is_already_whole_needs_no_download() {
    let test = Test::new(HubServer::start(MODEL.clone())).with_part(&MODEL);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), 0);
}

#[test]
fn a_server_that_ignores_ranges_is_never_appended_to() {
    let test = Test::with_faults([Fault::CutAfter(200_000), Fault::IgnoreRange]);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len() + 200_000);
}

#[test]
fn a_server_that_never_gives_a_range_and_always_breaks_off_is_given_up() {
    let endless = (0..20).flat_map(|_| [Fault::CutAfter(200_000), Fault::WrongContentRange]);
    let test = Test::with_faults(endless);
    let error = test.fails();
    assert_eq!(error.class(), FailureClass::Network);
    assert!(error.to_string().contains("begin again"), "{error}");
}

#[test]
fn another_range_than_asked_for_is_not_written() {
    let test = Test::with_faults([Fault::CutAfter(200_000), Fault::WrongContentRange]);
    test.succeeds();
    let ranges: Vec<_> = test.server.downloads().iter().map(|request| request.headers.contains_key("range")).collect();
    assert_eq!(ranges, [false, true, false], "the download begins again");
}

#[test]
fn more_bytes_than_the_file_has_are_not_written() {
    let test = Test::with_faults([Fault::TooMuch]);
    test.succeeds();
}

#[test]
fn wrong_bytes_are_told_by_both_hashes_and_leave_nothing() {
    let test = Test::with_faults([Fault::FlipByte]);
    let error = test.fails();
    assert_eq!(error.class(), FailureClass::BadModelFile);
    let mut flipped = MODEL.clone();
    flipped[0] ^= 1;
    assert!(error.to_string().contains(&sha256(&MODEL)) && error.to_string().contains(&sha256(&flipped)), "{error}");
    assert_eq!(test.blobs(), [""; 0]);
    test.succeeds();
}

#[test]
fn a_file_that_changes_in_between_is_never_mixed() {
    let other = TinyModel::default().seed(2).bytes();
    let changed = Test::with_faults([Fault::CutAfter(200_000), Fault::Replace(other)]);
    let error = changed.fails();
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");

    let other = TinyModel::default().seed(2).bytes();
    let unconditional = Test::with_faults([Fault::CutAfter(200_000), Fault::ReplaceIgnoringIfRange(other)]);
    let error = unconditional.fails();
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
    assert_eq!(unconditional.server.downloads().len(), 3, "the other file is not appended but fetched anew");

    let only_touched = Test::with_faults([Fault::CutAfter(200_000), Fault::Replace(MODEL.clone())]);
    only_touched.succeeds();
    assert_eq!(only_touched.server.sent_bytes(), MODEL.len() + 200_000);
}

#[test]
fn an_error_page_is_never_taken_for_the_file() {
    let busy = Test::with_faults([Fault::Status(500), Fault::Status(429)]);
    busy.succeeds();
    for (status, words) in [(401, "who asks"), (403, "accept the conditions"), (404, "no such repository or file")] {
        let refused = Test::with_faults([Fault::Status(status)]);
        let error = refused.fails();
        assert_eq!(error.class(), FailureClass::Network);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(refused.server.downloads().len(), 1, "a refusal is not asked again");
    }
    let down = Test::with_faults([500, 500, 500].map(Fault::Status));
    assert!(down.fails().to_string().contains("status 500"));
}

#[test]
fn refusals_of_the_repository_are_explained() {
    for (status, words) in [(401, "`HF_TOKEN`"), (403, "accept the conditions"), (404, "check the name")] {
        let test = Test::new(HubServer::start(MODEL.clone()).refusals([status]));
        let error = test.fails();
        assert_eq!(error.class(), FailureClass::Network);
        let page = format!("{}/{REPOSITORY}", test.server.endpoint());
        assert!(error.to_string().contains(words) && error.to_string().contains(&page), "{error}");
    }
    Test::new(HubServer::start(MODEL.clone()).refusals([503])).succeeds();
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let elsewhere = HubServer::start(MODEL.clone());
    let redirect = Fault::Redirect(format!("{}/signed", elsewhere.endpoint()));
    let test = Test::with_faults([redirect]);
    test.succeeds();
    for request in test.server.requests() {
        assert_eq!(request.headers.get("authorization"), Some(&format!("Bearer {TOKEN}")), "{request:?}");
    }
    assert_eq!(elsewhere.sent_bytes(), MODEL.len());
    assert!(elsewhere.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn redirects_to_unsafe_addresses_are_not_followed() {
    for unsafe_address in ["http://192.0.2.1/file", "ftp://127.0.0.1/file", "file:///etc/passwd"] {
        let error = Test::with_faults([Fault::Redirect(unsafe_address.into())]).fails();
        assert!(error.to_string().contains("not safe to follow"), "{error}");
    }
    for endpoint in ["http://192.0.2.1", "ftp://127.0.0.1", "not an address"] {
        assert!(Hub::new(endpoint, None).is_err(), "{endpoint}");
    }
}

#[test]
fn redirects_without_end_are_given_up() {
    let server = HubServer::start(MODEL.clone());
    let to_itself = format!("{}/again", server.endpoint());
    let error = Test::new(server.faults((0..20).map(|_| Fault::Redirect(to_itself.clone())))).fails();
    assert!(error.to_string().contains("without end"), "{error}");
}

#[test]
fn a_hub_that_tells_no_hash_cannot_be_verified() {
    let error = Test::new(HubServer::start(MODEL.clone()).claiming(None)).fails();
    assert!(error.to_string().contains("models import"), "{error}");
}

#[test]
fn a_verified_file_that_cannot_be_loaded_is_not_kept() {
    let bad = TinyModel::default().set("llama.block_count", Value::U32(0)).bytes();
    let test = Test::new(HubServer::start(bad));
    let error = test.fails();
    assert_eq!(error.class(), FailureClass::BadModelFile);
    assert!(error.to_string().contains("0 layers"), "{error}");
    assert_eq!(test.blobs(), [""; 0]);
}

#[test]
fn an_unreachable_hub_is_said_so_at_once() {
    let hub = Hub::new("http://127.0.0.1:9", None).expect("a loopback hub");
    // With an hour's pause before the second attempt, this test would not end if there were one.
    let hub = hub.with_patience(Patience { back_off: Duration::from_secs(3600), ..Patience::default() });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let what = Pull::from_argument("hf:a/b").expect("a good reference");
    let error = hub
        .pull_blocking(&Library::new(folder.path()), &what, &AtomicBool::new(false), &mut |_| {})
        .expect_err("nobody is there");
    assert_eq!(error.class(), FailureClass::Network);
    assert!(error.to_string().contains("127.0.0.1:9") && error.to_string().contains("models import"), "{error}");
}

#[test]
fn a_cancelled_download_stops_at_once_and_keeps_what_it_has() {
    let test = Test::with_faults([Fault::StallAfter(500_000)]);
    let cancel = AtomicBool::new(false);
    let (error, pause) = std::thread::scope(|scope| {
        let pull = scope.spawn(|| test.pull_with(&cancel, &mut |_| {}));
        while fs::metadata(test.part()).map_or(0, |part| part.len()) == 0 && !pull.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        cancel.store(true, Ordering::Relaxed);
        let cancelled_at = Instant::now();
        (pull.join().expect("no panic").expect_err("cancelled"), cancelled_at.elapsed())
    });
    assert_eq!(error.class(), FailureClass::Interrupted);
    assert!(pause < Duration::from_millis(900), "the stall is not waited for: {pause:?}");
    test.assert_nothing_is_visible();
    let kept = fs::metadata(test.part()).expect("the part is kept").len() as usize;
    assert!(kept > 0);

    let before = test.server.sent_bytes();
    test.succeeds();
    assert_eq!(test.server.sent_bytes() - before, MODEL.len() - kept);
}

#[test]
fn two_pulls_of_one_file_share_one_transfer() {
    let test = Test::with_faults([Fault::StallAfter(500_000)]);
    let mut waited = false;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| test.pull());
        while test.server.downloads().is_empty() && !first.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        test.pull_with(&AtomicBool::new(false), &mut |progress| waited |= progress.step == Step::Waiting)
            .expect("the second pull finds the first one's file");
        first.join().expect("no panic").expect("the first pull succeeds");
    });
    assert!(waited);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), MODEL.len());
}

#[test]
fn progress_grows_to_the_whole_and_is_told_at_most_ten_times_a_second() {
    let test = Test::new(HubServer::start(MODEL.clone()));
    let mut reports = Vec::new();
    let began = Instant::now();
    test.pull_with(&AtomicBool::new(false), &mut |progress| reports.push(progress)).expect("it succeeds");
    let allowed = 3 + began.elapsed().as_millis() as usize / 100;
    assert!(reports.len() <= allowed, "{} reports", reports.len());
    assert!(reports.is_sorted_by_key(|progress| progress.done_bytes));
    let last = reports.last().expect("a report");
    assert_eq!((last.done_bytes, last.total_bytes), (MODEL.len() as u64, MODEL.len() as u64));
    assert!(last.bytes_per_second.is_some_and(|speed| speed > 0.0));
}

#[test]
fn a_name_that_another_model_has_is_refused_before_the_download() {
    let test = Test::new(HubServer::start(MODEL.clone()));
    let file = test.folder.path().join(format!("{NAME}.gguf"));
    TinyModel::default().seed(3).write(&file).expect("written");
    test.library().import(&file, Default::default(), &mut |_| {}).expect("another model of that name");
    let error = test.pull().expect_err("the name is taken");
    assert!(error.to_string().contains("models rm"), "{error}");
    assert_eq!(test.server.sent_bytes(), 0);
}

#[test]
fn a_revision_is_resolved_to_its_commit_and_found_again() {
    let reference = format!("hf:{REPOSITORY}@{}", TAG.0);
    let test = Test::new(HubServer::start(MODEL.clone())).of(&reference);
    let installed = test.succeeds();
    assert!(test.server.downloads()[0].path.contains(TAG.1));
    assert_eq!(
        installed.origin,
        Origin::Hub {
            repository: REPOSITORY.into(),
            commit: TAG.1.into(),
            file: FILE.into(),
            revision: Some(TAG.0.into())
        }
    );
    let found = |argument: &str| test.library().resolve(Some(argument)).map(|found| found.name);
    assert_eq!(found(&reference).expect("it was pulled"), NAME);
    assert_eq!(found(&format!("hf:{REPOSITORY}@{}", &TAG.1[..12])).expect("by its commit"), NAME);
    assert!(found(&format!("hf:{REPOSITORY}@v2.0")).is_err());

    let unknown = Test::new(HubServer::start(MODEL.clone())).of(&format!("hf:{REPOSITORY}@v2.0"));
    let error = unknown.fails();
    assert!(error.to_string().contains("no revision `v2.0`"), "{error}");
}

#[test]
fn a_file_at_a_commit_is_fetched_without_asking_what_there_is() {
    let test = Test::new(HubServer::start(MODEL.clone())).of(&format!("hf:{REPOSITORY}@{}/{FILE}", TAG.1));
    assert!(matches!(test.succeeds().origin, Origin::Hub { commit, .. } if commit == TAG.1));
    assert!(test.server.requests().iter().all(|request| !request.path.starts_with("/api/")));
}

#[test]
fn a_search_asks_for_model_files_and_the_most_wanted_first() {
    let hits = r#"[{"_id":"1","id":"a/b-GGUF","likes":3,"downloads":70,"gated":"manual","private":false,
        "lastModified":"2026-01-31T12:00:00.000Z","tags":["gguf"]},{"_id":"2","id":"c/d","likes":0,"gated":false}]"#;
    let server = HubServer::start(Vec::new()).hits(hits).refusals([503]);
    let patience = Patience { back_off: Duration::from_millis(10), ..Patience::default() };
    let hub = Hub::new(&server.endpoint(), None).expect("a loopback hub").with_patience(patience);
    let found = hub.search_blocking("small chat", 7).expect("found");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].repository.as_str(), found[0].downloads, found[0].likes), ("a/b-GGUF", 70, 3));
    assert!(found[0].gated && !found[1].gated);
    assert_eq!(found[0].updated.as_deref(), Some("2026-01-31T12:00:00.000Z"));
    let asked = &server.requests()[1].path;
    for part in ["search=small+chat", "filter=gguf", "sort=downloads", "limit=7"] {
        assert!(asked.contains(part), "{asked}");
    }
}

#[test]
fn the_header_of_a_model_is_read_without_downloading_it() {
    let tail = 20 << 20;
    let mut content = MODEL.clone();
    content.resize(MODEL.len() + tail, 7);
    let server = HubServer::start(content.clone());
    let hub = Hub::new(&server.endpoint(), None).expect("a loopback hub");
    let reference = Reference::parse(&format!("hf:{REPOSITORY}")).expect("a good reference");
    let remote = hub.header_blocking(&reference).expect("a good header");
    assert_eq!((remote.header.architecture(), remote.header.file_bytes), ("llama", content.len() as u64));
    assert_eq!(remote.sha256, sha256(&content));
    assert!(server.sent_bytes() < content.len() / 2, "{} bytes", server.sent_bytes());

    let bad = HubServer::start(vec![1; 10_000]);
    let hub = Hub::new(&bad.endpoint(), None).expect("a loopback hub");
    assert_eq!(hub.header_blocking(&reference).expect_err("no model").class(), FailureClass::BadModelFile);
}

#[test]
fn a_header_goes_on_where_the_connection_broke_and_needs_no_ranges() {
    for fault in [Fault::CutAfter(1000), Fault::IgnoreRange, Fault::WrongContentRange] {
        let server = HubServer::start(MODEL.clone()).faults([fault]);
        let hub = Hub::new(&server.endpoint(), None).expect("a loopback hub");
        let hub = hub.with_patience(Patience { back_off: Duration::from_millis(10), ..Patience::default() });
        let reference = Reference::parse(&format!("hf:{REPOSITORY}")).expect("a good reference");
        assert_eq!(hub.header_blocking(&reference).expect("a good header").header.block_count(), Some(2));
    }
}
