//! Little memory, for real: the program in a control group that limits it. Where none can be made (that takes the right
//! to) these tests are skipped.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::program::{Home, Ran};
use common::real_models::{eval_model, say_skipped, test_model};

const MIB: u64 = 1 << 20;

/// A control group that is removed in the end.
struct Group(PathBuf);

impl Group {
    /// One below our own, or below one of those above it; `None`, and a sentence that says so, where none can be made.
    fn of(limit: u64) -> Option<Self> {
        let made = Self::places().into_iter().find_map(|(above, limit_file)| {
            let group = Self(above.join(format!("tuichat-test-{}-{limit}", std::process::id())));
            fs::create_dir(&group.0).ok()?;
            let is_limited = fs::write(group.0.join(limit_file), limit.to_string()).is_ok();
            // Where there is swap, it would do instead of memory.
            let _ = fs::write(group.0.join("memory.swap.max"), "0");
            let enters = group.command(Path::new("true"), &[]).status().is_ok_and(|status| status.success());
            (is_limited && enters).then_some(group)
        });
        if made.is_none() {
            say_skipped("no control group can be made here to limit the memory");
        }
        made
    }

    /// Where one may be made, with the file of its limit.
    fn places() -> Vec<(PathBuf, &'static str)> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let first = groups.lines().find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
        let second = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let (mounted, path, file) = match (first, second) {
            (Some(path), _) => (Path::new("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes"),
            (None, Some(path)) => (Path::new("/sys/fs/cgroup"), path, "memory.max"),
            (None, None) => return Vec::new(),
        };
        let own = mounted.join(path.trim_start_matches('/'));
        own.ancestors().take_while(|above| above.starts_with(mounted)).map(|above| (above.into(), file)).collect()
    }

    /// A command that runs in it.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        command.args(["-c", enter]).arg(&self.0).arg(program).args(arguments);
        command
    }

    /// Runs the program in it.
    fn run(&self, home: &Home, arguments: &[&str]) -> Ran {
        let plain = home.command(arguments);
        let mut command = self.command(Path::new(plain.get_program()), arguments);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.current_dir(home.folder.path()).stdin(std::process::Stdio::null()).output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// A copy of the model that nobody has in memory: what others hold counts as theirs.
fn cold_copy(model: &Path) -> tempfile::TempPath {
    let copy = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap().into_temp_path();
    fs::copy(model, &copy).unwrap();
    let file = fs::File::open(&copy).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(file.as_fd(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    copy
}

#[test]
fn a_model_without_room_is_refused_with_one_that_has() {
    let Some(model) = test_model() else { return };
    let Some(group) = Group::of(100 * MIB) else { return };
    let home = Home::new();
    let ran = group.run(&home, &["-m", model.to_str().unwrap(), "-p", "hi", "-o", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let error = &ran.json()["error"];
    assert_eq!((error["kind"].as_str(), error["exit_code"].as_u64()), (Some("not_enough_memory"), Some(3)));
    let sentence = error["message"].as_str().unwrap();
    assert!(sentence.contains("MiB of memory with a context of 2048 tokens"), "{sentence}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--memory-check off"), "{hint}");
    assert!(!home.path("home/cache/passed.json").exists(), "it was not even tried");
}

#[test]
fn a_context_without_room_is_refused_with_one_that_has() {
    let Some(model) = test_model() else { return };
    let Some(group) = Group::of(320 * MIB) else { return };
    let home = Home::new();
    let ask = |context: &str| {
        group.run(
            &home,
            &["-m", model.to_str().unwrap(), "-p", "hi", "--ctx", context, "--kv", "f16", "--max-tokens", "2"],
        )
    };
    let refused = ask("8192");
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let (_, rest) = refused.stderr.split_once("type `--ctx ").unwrap_or_else(|| panic!("{}", refused.stderr));
    let fitting = rest.split('`').next().unwrap();
    let ran = ask(fitting);
    assert_eq!(ran.code, Some(0), "--ctx {fitting}: {}", ran.stderr);
}

#[test]
fn in_600_mb_a_model_of_1_5_billion_is_refused_and_smaller_ones_answer() {
    let Some(group) = Group::of(600 * MIB) else { return };
    let home = Home::new();
    let ask = |model: &Path| {
        group.run(&home, &["-m", model.to_str().unwrap(), "-p", "hi", "--max-tokens", "3", "--kv", "f16"])
    };
    if let Some(large) = eval_model("Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf") {
        let ran = ask(&large);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
        assert!(
            ran.stderr.starts_with("error: the model needs") && ran.stderr.contains("hint: `-m "),
            "{}",
            ran.stderr
        );
    }
    for small in [test_model(), eval_model("Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf")].into_iter().flatten() {
        let ran = ask(&cold_copy(&small));
        assert_eq!(ran.code, Some(0), "{}: {}", small.display(), ran.stderr);
        assert!(!ran.stdout.is_empty() && !ran.stderr.contains("read from the disk"), "{}", ran.stderr);
    }
}

#[test]
fn a_model_that_is_read_from_the_disk_for_every_token_is_told_and_its_speed_is_forgotten() {
    let Some(model) = test_model() else { return };
    let Some(group) = Group::of(120 * MIB) else { return };
    let home = Home::new();
    let copy = cold_copy(&model);
    let arguments = ["-m", copy.to_str().unwrap(), "--memory-check", "off", "--ctx", "1024", "--temp", "0"];
    let question = ["-p", "Tell a story.", "--max-tokens", "6", "-o", "json"];
    let ran = group.run(&home, &[&arguments[..], &question].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("are read from the disk for every token"), "{}\n{}", ran.stderr, ran.stdout);
    assert_eq!(ran.stderr.matches("from the disk").count(), 1, "{}", ran.stderr);
    assert!(ran.json()["timings"]["major_faults"].as_u64().is_some_and(|faults| faults > 0), "{}", ran.stdout);
    assert!(!home.path("home/cache/speeds.json").exists() && !home.path("home/cache/step-times.json").exists());
}
