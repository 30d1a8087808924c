//! Ends in mid-air: whatever ends the program, the terminal is sane afterwards and the person is told.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::Signal;
use tempfile::TempDir;

/// A folder that is the program's home, with an answer of a thousand numbered words for its engine, one every 20 ms.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let words: Vec<String> = (1..=1000).map(|number| format!("word{number}")).collect();
    let script = format!("token_ms = 20\n[[answer]]\ntext = \"{}\"\n", words.join(" "));
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

fn arguments(home: &TempDir) -> Vec<String> {
    let script = home.path().join("script.toml");
    vec!["--engine".into(), format!("scripted:{}", script.display()), "-m".into(), "x.gguf".into()]
}

fn chat(home: &TempDir, more: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path());
    command.cwd(home.path());
    command.args(arguments(home));
    command.args(more);
    Pty::run(command, 80, 24)
}

/// Runs one of the ignored tests of this file, which end badly with the terminal taken, in a terminal.
fn end_badly(test: &str) -> Pty {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env("RUST_BACKTRACE", "0");
    let mut pty = Pty::run(command, 80, 24);
    assert!(!pty.wait_for_end().success());
    pty
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let pty = end_badly("panics_with_the_terminal_taken");
    pty.wait_for("on purpose");
    pty.assert_given_back();
    let output = String::from_utf8_lossy(&pty.bytes()).into_owned();
    assert!(output.find("\x1b[?1049l").unwrap() < output.find("on purpose").unwrap());
}

#[test]
#[ignore = "run in a pseudo-terminal by the test above"]
fn panics_with_the_terminal_taken() {
    let _terminal = tuichat::ui::terminal::Terminal::enter(Default::default()).unwrap();
    panic!("on purpose");
}

#[test]
fn an_abort_gives_the_terminal_back() {
    end_badly("aborts_with_the_terminal_taken").assert_given_back();
}

#[test]
#[ignore = "run in a pseudo-terminal by the test above"]
fn aborts_with_the_terminal_taken() {
    let _terminal = tuichat::ui::terminal::Terminal::enter(Default::default()).unwrap();
    // What the engine's abort callback does.
    tuichat::ui::terminal::restore_after_crash();
    std::process::abort();
}

#[test]
fn what_the_processor_refuses_gives_the_terminal_back_says_so_and_loses_nothing_that_was_said() {
    for (signal, words) in [
        (Signal::SEGV, "the program crashed"),
        (Signal::BUS, "a file in use became shorter"),
        (Signal::ILL, "lacks an instruction"),
        (Signal::FPE, "a calculation was refused"),
        (Signal::ABORT, "the program gave itself up"),
    ] {
        let home = home();
        let mut chat = chat(&home, &[]);
        chat.wait_for("idle");
        chat.send("Count\r");
        // What an answer has is saved every second.
        chat.wait_for("word99");
        chat.signal(signal);
        assert!(!chat.wait_for_end().success());
        let screen = chat.wait_for(words);
        assert!(screen.contains("tuichat --resume"), "{screen}");
        chat.assert_given_back();

        let again = self::chat(&home, &["--resume", "last"]);
        let screen = again.wait_for("interrupted");
        assert!(screen.contains("› Count") && screen.contains("word1 "), "{screen}");
    }
}

#[test]
fn an_engine_that_panics_leaves_the_chat_and_answers_again_when_a_model_is_chosen() {
    let home = home();
    let script = "[[answer]]\ntext = \"Half of it\"\npanics = true\n";
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    std::fs::write(home.path().join("x.gguf"), "").unwrap();
    let mut chat = chat(&home, &[]);
    chat.wait_for("idle");
    chat.send("Tell me\r");
    let screen = chat.wait_for("the engine stopped unexpectedly");
    assert!(screen.contains("Half of it") && screen.contains("`/model` loads the model again"), "{screen}");
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    chat.send("/model ./x.gguf\r");
    chat.wait_for("idle");
    chat.send("And now\r");
    chat.wait_until("a second answer", |screen| screen.matches("Half of it").count() == 2);
    // Alive, and what was written is kept.
    chat.send("still here");
    chat.wait_for("› still here");
}

#[test]
fn a_program_that_crashes_ends_by_the_signal() {
    let home = home();
    let mut asked = Command::new(env!("CARGO_BIN_EXE_tuichat"));
    asked.args(arguments(&home)).args(["-p", "Count"]).env("TUICHAT_HOME", home.path());
    let mut running = asked.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 5];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut first).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&running), Signal::SEGV).unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(Signal::SEGV.as_raw()));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("error: the program crashed"), "{said}");
}

#[test]
fn a_file_that_is_cut_while_it_is_read_gives_the_terminal_back_and_is_named_as_the_reason() {
    let pty = end_badly("reads_a_file_that_was_cut_with_the_terminal_taken");
    pty.wait_for("a file in use became shorter");
    pty.assert_given_back();
}

#[test]
#[ignore = "run in a pseudo-terminal by the test above"]
#[allow(unsafe_code)]
fn reads_a_file_that_was_cut_with_the_terminal_taken() {
    tuichat::crash::watch();
    let _terminal = tuichat::ui::terminal::Terminal::enter(Default::default()).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; 1 << 16]).unwrap();
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    // SAFETY: the mapping is new; that reading it fails is what is tested.
    let mapped = unsafe { mmap(std::ptr::null_mut(), 1 << 16, ProtFlags::READ, MapFlags::SHARED, &file, 0) }.unwrap();
    file.set_len(0).unwrap();
    // SAFETY: as above.
    println!("{}", unsafe { mapped.cast::<u8>().read_volatile() });
}

#[test]
fn an_overflow_of_the_stack_gives_the_terminal_back_and_is_told_as_one() {
    let pty = end_badly("overflows_the_stack_with_the_terminal_taken");
    pty.wait_for("overflowed its stack");
    pty.assert_given_back();
}

#[test]
#[ignore = "run in a pseudo-terminal by the test above"]
fn overflows_the_stack_with_the_terminal_taken() {
    #[allow(unconditional_recursion)]
    fn deeper(bytes: &[u8]) -> usize {
        let more = [bytes.len() as u8; 4096];
        std::hint::black_box(&more);
        deeper(&more) + 1
    }
    tuichat::crash::watch();
    let _terminal = tuichat::ui::terminal::Terminal::enter(Default::default()).unwrap();
    println!("{}", deeper(&[]));
}
