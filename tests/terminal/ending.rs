//! What ends or interrupts the program from outside, and what is there afterwards.

use super::*;

#[test]
fn suspending_gives_the_terminal_back_and_coming_back_shows_the_same_screen() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut command = CommandBuilder::new("sh");
    let quoted: Vec<String> = arguments(home.path()).iter().map(|argument| format!("'{argument}'")).collect();
    let program = env!("CARGO_BIN_EXE_tuichat");
    command.args(["-mc", &format!("'{program}' {}; echo in-the-shell; read line; fg; echo left", quoted.join(" "))]);
    command.env("TUICHAT_HOME", home.path());
    command.cwd(home.path());
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("Hi\r");
    chat.wait_for("the reply");
    let before = chat.wait_for("idle");
    chat.send(CTRL_Z);
    chat.wait_for("in-the-shell");
    assert_eq!(chat.line_settings(), chat.settings_before());
    chat.send("\n");
    chat.wait_until("the screen before", |screen| screen == before);
    chat.send("still here");
    chat.wait_for("› still here");
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    chat.wait_for("left");
    chat.assert_given_back();
}

#[test]
fn a_stop_from_outside_ends_in_a_usable_screen() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.signal(Signal::STOP);
    chat.signal(Signal::CONT);
    chat.send("Hi\r");
    chat.wait_for("the reply");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn a_storm_of_resizes_while_streaming_ends_in_the_right_screen() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word2");
    for step in 0u16..300 {
        chat.resize(1 + step * 37 % 200, 1 + step * 17 % 60);
    }
    chat.resize(100, 30);
    chat.wait_until("a whole screen of the last size", |screen| {
        let lines: Vec<&str> = screen.lines().collect();
        lines.len() == 30 && lines[29].contains("answering") && lines[27].starts_with("─ Esc stops the answer")
    });
    chat.send(ESCAPE);
    chat.wait_for("stopped");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn a_killed_program_loses_at_most_the_last_second_of_an_answer() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    // Some 2 seconds of words: those of the first second are on disk.
    chat.wait_for("word100");
    chat.signal(Signal::KILL);
    chat.wait_for_end();

    let mut again = chat_with(home.path(), &["--resume", "last"]);
    again.wait_for("interrupted");
    let screen = again.wait_for("idle");
    assert!(screen.contains("› Count") && screen.contains("word1 word2") && screen.contains("word30"), "{screen}");
    leave(&mut again);
    again.assert_given_back();
}

#[test]
fn an_answer_that_a_crash_interrupted_goes_on_in_its_place() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word80");
    chat.signal(Signal::KILL);
    chat.wait_for_end();

    let script = "[[answer]]\ntext = \" and the rest\"\nended = \"loop\"\n[[answer]]\ntext = \"\"\n";
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    let mut again = chat_with(home.path(), &["--resume", "last"]);
    again.wait_for("interrupted");
    again.wait_for("idle");
    again.send(CTRL_G);
    let screen = again.wait_for("· stopped because it repeats itself");
    assert!(screen.contains("and the rest") && !screen.contains("interrupted"), "{screen}");
    leave(&mut again);

    let mut third = chat_with(home.path(), &["--resume", "last"]);
    let screen = third.wait_for("· stopped because it repeats itself");
    assert!(screen.contains("word1 word2") && screen.contains("and the rest"), "{screen}");
    third.wait_for("idle");
    third.send(CTRL_G);
    third.wait_until("the answer once more", |screen| screen.matches("and the rest").count() == 2);
    third.send(CTRL_G);
    third.wait_for("the model adds nothing to its answer");
    leave(&mut third);
}

#[test]
fn a_program_told_to_end_saves_the_part_and_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let home = home(&slow_script());
        let mut chat = chat(home.path());
        chat.wait_for("idle");
        chat.send("Count\r");
        chat.wait_for("word12");
        let told = Instant::now();
        chat.signal(signal);
        chat.wait_for_end();
        assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
        chat.assert_given_back();

        let mut again = chat_with(home.path(), &["--resume", "last"]);
        let screen = again.wait_for("interrupted");
        assert!(screen.contains("› Count") && screen.contains("word12"), "{screen}");
        leave(&mut again);
    }
}

#[test]
fn a_program_whose_terminal_hangs_up_ends() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word5");
    chat.hang_up();
    chat.wait_for_end();

    let mut again = chat_with(home.path(), &["--resume", "last"]);
    let screen = again.wait_for("interrupted");
    assert!(screen.contains("word5"), "{screen}");
    leave(&mut again);
}
