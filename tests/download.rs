//! The program fetches models from a hub on this machine: killed again and again, onto a disk that gets full, split
//! into several files, told to stay offline.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::hub_server::{COMMIT, FILE, HubServer, REPOSITORY, sha256};
use common::program::Home;
use common::tiny_gguf::TinyModel;

const MIB: usize = 1 << 20;
const REFERENCE: &str = "hf:owner/model";
const NAME: &str = "model-q4_k_m";

/// A model that takes a while.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().padded(160 * MIB));

/// `tuichat` in this home with this hub, and with none of the variables that are about hubs.
fn command(home: &Home, hub: &str, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HF_") || name == "TRANSFORMERS_OFFLINE" {
            command.env_remove(name);
        }
    }
    command.env("HF_ENDPOINT", hub).env("HF_HOME", home.path("no-token"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its exit code, stdout and stderr.
fn run(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn blobs(home: &Home) -> PathBuf {
    let (_, models, _) = run(home.command(&["models", "path"]));
    Path::new(models.trim()).join("blobs")
}

fn part(home: &Home, content: &[u8]) -> PathBuf {
    blobs(home).join(format!("sha256-{}.part", sha256(content)))
}

/// How many bytes the journal vouches for.
fn kept_bytes(part: &Path) -> usize {
    let Ok(journal) = fs::read(part.with_added_extension("json")) else { return 0 };
    let journal: serde_json::Value = serde_json::from_slice(&journal).expect("a journal is always whole");
    let spans = journal["there"].as_array().expect("spans").iter();
    spans.map(|span| (span[1].as_u64().unwrap() - span[0].as_u64().unwrap()) as usize).sum()
}

fn assert_is_installed(home: &Home, content: &[u8]) {
    let listed = home.run(&["models", "list", "--json"]).json();
    assert_eq!(listed[0]["name"], NAME);
    let path = listed[0]["path"].as_str().expect("a path");
    assert_eq!(sha256(&fs::read(path).expect("there")), sha256(content));
    let names: Vec<_> = fs::read_dir(blobs(home)).expect("a folder").flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

fn assert_nothing_is_visible(home: &Home) {
    assert_eq!(home.run(&["models", "list", "--json"]).json(), serde_json::json!([]));
}

/// Kills the program so many times at random moments of one download.
fn killed_again_and_again(kills: usize, seed: u64) {
    let home = Home::new();
    let server = HubServer::start(LARGE.clone());
    let part = part(&home, &LARGE);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut lost_before, mut worst) = (0, 0);
    for kill in 0..kills {
        // The end is left for the run that is not killed.
        let left = LARGE.len() - kept_bytes(&part);
        let speeds = if left < 100 * MIB { [MIB, MIB, MIB] } else { [2 * MIB, 8 * MIB, 100 * MIB] };
        server.set_speed(speeds[random.usize(0..3)]);
        let asked_before = server.downloads().len();
        let mut child = command(&home, &server.endpoint(), &["models", "pull", REFERENCE]).spawn().expect("it runs");
        wait_for(|| server.downloads().len() > asked_before);
        std::thread::sleep(Duration::from_millis(random.u64(0..400)));
        child.kill().expect("killed");
        let status = child.wait().expect("it has ended");
        assert!(!status.success(), "kill {kill} came too late");
        assert_nothing_is_visible(&home);
        let lost = server.sent_bytes() - kept_bytes(&part);
        assert!(lost - lost_before <= 64 << 20, "kill {kill}: {} bytes are to be fetched again", lost - lost_before);
        worst = worst.max(lost - lost_before);
        lost_before = lost;
    }
    server.set_speed(1000 * MIB);
    let (code, stdout, stderr) = run(command(&home, &server.endpoint(), &["models", "pull", REFERENCE]));
    assert_eq!((code, stdout.trim()), (Some(0), NAME), "{stderr}");
    assert_is_installed(&home, &LARGE);
    let again = server.sent_bytes() - LARGE.len();
    println!("after {kills} kills: {again} bytes were fetched again, {worst} after the worst one");
}

#[test]
fn a_model_whose_file_was_cut_short_is_pulled_anew() {
    let home = Home::new();
    let model = TinyModel::default().bytes();
    let server = HubServer::start(model.clone());
    let pull = || run(command(&home, &server.endpoint(), &["models", "pull", REFERENCE]));
    assert_eq!(pull().0, Some(0));
    let blob = blobs(&home).join(format!("sha256-{}", sha256(&model)));
    fs::write(&blob, &model[..model.len() / 2]).expect("cut short");
    let (code, stdout, stderr) = pull();
    assert_eq!((code, stdout.trim()), (Some(0), NAME), "{stderr}");
    assert_is_installed(&home, &model);
}

#[test]
fn a_download_that_is_killed_at_any_moment_goes_on() {
    killed_again_and_again(12, 1);
}

#[test]
#[ignore = "takes minutes"]
fn a_download_that_is_killed_fifty_times_goes_on() {
    killed_again_and_again(50, 2);
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_there_is_and_says_so() {
    let home = Home::new();
    let server = HubServer::start(LARGE.clone()).slowly(8 * MIB);
    let child = command(&home, &server.endpoint(), &["models", "pull", REFERENCE]).spawn().expect("it runs");
    wait_for(|| server.sent_bytes() > 20 * MIB);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .expect("sent");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("goes on where it stopped"));
    let kept = kept_bytes(&part(&home, &LARGE));
    // The rest was on its way through the system.
    assert!(kept > 10 * MIB, "{kept}");
    let before = server.sent_bytes();
    server.set_speed(1000 * MIB);
    assert_eq!(run(command(&home, &server.endpoint(), &["models", "pull", REFERENCE])).0, Some(0));
    assert_eq!(server.sent_bytes() - before, LARGE.len() - kept);
    assert_is_installed(&home, &LARGE);
}

fn wait_for(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_programs_that_pull_one_file_share_one_transfer() {
    let home = Home::new();
    let server = HubServer::start(LARGE.clone()).slowly(40 * MIB);
    let pull = || command(&home, &server.endpoint(), &["models", "pull", REFERENCE]).spawn().expect("it runs");
    let both: [Child; 2] = [pull(), pull()];
    for child in both {
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
    }
    assert_eq!(server.sent_bytes(), LARGE.len());
    assert_is_installed(&home, &LARGE);
}

#[test]
fn a_split_model_is_pulled_chatted_with_checked_and_removed() {
    let home = Home::new();
    let names = (1..=3).map(|number| format!("tiny-F32-{number:05}-of-00003.gguf"));
    let server = HubServer::start(Vec::new()).files(names.zip(TinyModel::default().parts(3)));
    let (code, stdout, stderr) = run(command(&home, &server.endpoint(), &["models", "pull", REFERENCE]));
    assert_eq!(code, Some(0), "{stderr}");
    let name = stdout.trim();

    let ask = ["-m", name, "--device=cpu", "--temp=0", "--max-tokens=8", "-o", "json", "-p", "Hello"];
    let answer = home.run(&ask);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let whole = home.write("whole.gguf", TinyModel::default().bytes());
    let same = home.run(&[&["-m", whole.to_str().unwrap()], &ask[2..]].concat());
    assert_eq!(answer.json()["text"], same.json()["text"], "it is the model that it was before it was split");

    let beside = TinyModel::default().write_split(home.folder.path(), "beside", 2).unwrap();
    let in_place = home.run(&[&["-m", beside.to_str().unwrap()], &ask[2..]].concat());
    assert_eq!(in_place.json()["text"], same.json()["text"]);

    let checked = home.run(&["models", "check", name]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for part in TinyModel::default().parts(3) {
        assert!(checked.stdout.contains(&sha256(&part)), "{}", checked.stdout);
    }
    let third = fs::canonicalize(blobs(&home).join("..")).unwrap();
    let link = fs::read_dir(third.join("splits")).unwrap().flatten().next().unwrap().path();
    let link = link.join("tiny-F32-00003-of-00003.gguf");
    let target = fs::canonicalize(&link).unwrap();
    let mut bytes = fs::read(&target).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&target, bytes).unwrap();
    assert_eq!(home.run(&["models", "check", name]).code, Some(4));
    fs::remove_file(&target).unwrap();
    let missing = home.run(&ask);
    assert_eq!(missing.code, Some(4));
    assert!(missing.stderr.contains("`tiny-F32-00003-of-00003.gguf` is missing"), "{}", missing.stderr);
}

#[test]
fn offline_nothing_is_asked() {
    let home = Home::new();
    let server = HubServer::start(LARGE.clone());
    for (variables, arguments, code) in [
        (vec![("HF_HUB_OFFLINE", "1")], vec!["models", "pull", REFERENCE], 6),
        (vec![("TRANSFORMERS_OFFLINE", "yes")], vec!["models", "pull", REFERENCE], 6),
        (vec![("HF_HUB_OFFLINE", "1")], vec!["models", "search", "x"], 6),
        (vec![], vec!["models", "search", "x", "--offline"], 6),
        (vec![], vec!["models", "pull", REFERENCE, "--offline"], 6),
    ] {
        let mut command = command(&home, &server.endpoint(), &arguments);
        command.envs(variables.clone());
        let (actual, _, stderr) = run(command);
        assert_eq!(actual, Some(code), "{variables:?} {arguments:?}: {stderr}");
        assert!(variables.iter().all(|(name, _)| stderr.contains(name)), "{stderr}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_search_is_a_table_or_json() {
    let home = Home::new();
    let hits = r#"[{"_id":"1","id":"a/b-GGUF","likes":3,"downloads":70,"gated":"auto","tags":[],
        "lastModified":"2026-01-31T12:00:00.000Z"}]"#;
    let server = HubServer::start(Vec::new()).hits(hits);
    let (code, stdout, stderr) = run(command(&home, &server.endpoint(), &["models", "search", "small", "chat"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("a/b-GGUF         70      3  2026-01-31  conditions to accept first\n"), "{stdout}");
    let (_, stdout, _) = run(command(&home, &server.endpoint(), &["models", "search", "small", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&json[0]["repository"], &json[0]["gated"]), (&"a/b-GGUF".into(), &true.into()));
    let (code, _, stderr) = run(command(&home, "http://127.0.0.1:9", &["models", "search", "small"]));
    assert_eq!(code, Some(6), "{stderr}");
}

/// A disk of so many bytes; `None` where nobody may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, bytes: usize) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_told_and_the_part_is_kept() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path("home"), 200 * MIB) else {
        println!("skipped: nobody may mount a disk here");
        return;
    };
    let server = HubServer::start(LARGE.clone());
    let pull = || run(command(&home, &server.endpoint(), &["models", "pull", REFERENCE]));
    // 160 MiB and the reserve do not fit.
    let (code, _, stderr) = pull();
    assert_eq!(code, Some(5), "{stderr}");
    assert!(stderr.contains("not enough space") && stderr.contains("models rm"), "{stderr}");
    assert_eq!(server.sent_bytes(), 0, "that is seen before the download");
    drop(disk);

    let Some(_disk) = SmallDisk::mount(&home.path("home"), 300 * MIB) else { return };
    server.set_speed(8 * MIB);
    let child = command(&home, &server.endpoint(), &["models", "pull", REFERENCE]).spawn().expect("it runs");
    let part = part(&home, &LARGE);
    wait_for(|| kept_bytes(&part) > 16 * MIB);
    let filler = home.path("home/filler");
    // As much as there is, and a little that is left is taken by what runs.
    let _ = fs::write(&filler, vec![0; 300 * MIB]);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("not enough space"), "{stderr}");
    assert!(part.exists() && kept_bytes(&part) > 16 * MIB);
    assert!(!blobs(&home).join(format!("sha256-{}", sha256(&LARGE))).exists());

    fs::remove_file(&filler).expect("removed");
    assert_nothing_is_visible(&home);
    server.set_speed(1000 * MIB);
    let (code, _, stderr) = pull();
    assert_eq!(code, Some(0), "{stderr}");
    assert_is_installed(&home, &LARGE);
}

/// Prints how long the program and curl take for the same file, and the most memory that the program takes.
#[test]
#[ignore = "prints figures; TUICHAT_TEST_MODEL names a model"]
fn figures_for_a_comparison_with_curl() {
    let model = std::env::var_os("TUICHAT_TEST_MODEL").expect("a model");
    let small = HubServer::start(TinyModel::default().bytes());
    let began = Instant::now();
    run(command(&Home::new(), &small.endpoint(), &["models", "pull", REFERENCE]));
    println!("tuichat for next to nothing {:?}", began.elapsed());
    let server = HubServer::start(fs::read(model).expect("readable"));
    let url = format!("{}/{REPOSITORY}/resolve/main/model.gguf", server.endpoint());
    for _ in 0..5 {
        let home = Home::new();
        let out = home.path("curl.gguf");
        let began = Instant::now();
        let status = Command::new("curl").args(["-s", "-o"]).arg(&out).arg(&url).status().expect("curl is there");
        let curl = began.elapsed();
        Command::new("sha256sum").arg(&out).output().expect("sha256sum is there");
        Command::new("sync").arg(&out).status().expect("sync is there");
        let curl_and_more = began.elapsed();
        assert!(status.success());
        fs::remove_file(out).expect("removed");
        let pinned = format!("hf:{REPOSITORY}@{COMMIT}/{FILE}");
        let mut command = command(&home, &server.endpoint(), &["models", "pull", &pinned]);
        let began = Instant::now();
        let mut child = command.spawn().expect("it runs");
        let status_file = format!("/proc/{}/status", child.id());
        let mut peak = String::new();
        while child.try_wait().expect("its state").is_none() {
            let status = fs::read_to_string(&status_file).unwrap_or_default();
            peak = status.lines().find(|line| line.starts_with("VmHWM")).map_or(peak, str::to_owned);
            std::thread::sleep(Duration::from_millis(1));
        }
        let ours = began.elapsed();
        println!("curl {curl:?}, with sha256sum and sync {curl_and_more:?}, tuichat {ours:?}, {peak}");
    }
}
