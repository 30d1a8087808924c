//! Writing a message: lines, pastes, files, drafts, messages of earlier runs, the editor, completion.

use super::*;

#[test]
fn one_can_write_and_send_while_the_model_loads() {
    let home = home("load_ms = 900\n[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("loading");
    chat.send("Early\r");
    chat.wait_for("waiting for the model");
    chat.wait_for("the reply");
    leave(&mut chat);
}

#[test]
fn ctrl_j_begins_a_line_and_enter_sends() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("first\nsecond");
    chat.wait_for("› first\n  second\n idle");
    chat.send("\r");
    chat.wait_for("› first\n  second\n\n  the reply");
    leave(&mut chat);
}

#[test]
fn messages_sent_during_an_answer_follow_in_their_order() {
    let home = home(&format!("{}[[answer]]\ntext = \"the second\"\n[[answer]]\ntext = \"the third\"\n", slow_script()));
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word2");
    chat.send("two\r");
    chat.send("three\r");
    chat.wait_for("  waits 1: two\n  waits 2: three\n");
    chat.send(CTRL_C);
    chat.wait_for("2 messages wait: Enter sends them");
    chat.send("\r");
    let screen = chat.wait_for("the third");
    assert!(screen.contains("› two\n\n  the second") && screen.contains("› three\n"), "{screen}");
    leave(&mut chat);
}

#[test]
fn a_large_paste_is_a_token_and_is_sent_whole() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    let pasted: Vec<String> = (1..=12).map(|number| format!("line {number}")).collect();
    chat.send(&format!("See \x1b[200~{}\x1b[201~ there", pasted.join("\r")));
    chat.wait_for("› See [paste 1: 12 lines] there");
    chat.send("\r");
    let screen = chat.wait_for("the reply");
    assert!(screen.contains("› See [pasted 12 lines, Ctrl-T] there\n\n  the reply"), "{screen}");
    chat.send(CTRL_T);
    chat.wait_for("› See line 1\n  line 2");
    chat.send(CTRL_T);
    chat.wait_for("› See [pasted 12 lines, Ctrl-T] there");
    leave(&mut chat);
    let store = Store::open(&home.path().join("data/chats.db")).unwrap();
    let branch = store.branch(store.last_chat().unwrap().unwrap()).unwrap();
    assert_eq!(branch[0].text, format!("See {} there", pasted.join("\n")), "the model is told the whole");

    let mut again = chat_with(home.path(), &["--resume"]);
    again.wait_for("› See [pasted 12 lines, Ctrl-T] there");
    again.send("/edit\r");
    again.wait_for("› See [paste 1: 12 lines] there");
    again.send(ESCAPE);
    again.wait_until("the text before", |screen| !screen.contains("paste 1"));
    leave(&mut again);
}

#[test]
fn a_file_is_attached_shown_and_sent() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    std::fs::write(home.path().join("my notes.txt"), "milk\n").unwrap();
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("/attach nothing.txt\r");
    chat.wait_for("cannot read `nothing.txt`");
    chat.send("/attach 'my notes.txt'\r");
    chat.wait_for("› [my notes.txt, 4 bytes]");
    chat.send("Sum up\r");
    chat.wait_for("› [my notes.txt, 4 bytes, Ctrl-T]\n  Sum up");
    chat.send(CTRL_T);
    chat.wait_for("› --- file: my notes.txt ---\n  milk\n  --- end of file: my notes.txt ---\n\n  Sum up");
    chat.wait_for("the reply");
    leave(&mut chat);
}

#[test]
fn what_was_being_written_and_what_waited_is_there_after_the_program_was_told_to_end() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word2");
    chat.send("then this\r");
    chat.wait_for("  waits 1: then this");
    chat.send("and a thought");
    chat.wait_for("› and a thought");
    chat.signal(Signal::TERM);
    chat.wait_for_end();

    let mut again = chat_with(home.path(), &["--resume", "last"]);
    again.wait_for("› then this\n\n  and a thought");
    again.signal(Signal::KILL);
    again.wait_for_end();
    let mut third = chat_with(home.path(), &["--resume", "last"]);
    third.wait_for("› then this\n\n  and a thought");
    third.send("\x0e");
    third.wait_until("a new chat", |screen| !screen.contains("a thought"));
    third.send("for a new chat");
    third.wait_for("› for a new chat");
    leave_writing(&mut third);

    let mut new = chat_with(home.path(), &[]);
    new.wait_for("› for a new chat");
    leave_writing(&mut new);
}

/// Leaves while something is written, which is kept: Ctrl-C would clear it.
fn leave_writing(chat: &mut Pty) {
    chat.signal(Signal::TERM);
    chat.wait_for_end();
}

#[test]
fn a_draft_is_on_disk_some_seconds_after_the_last_key() {
    let home = home("");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("an idea");
    chat.wait_for("› an idea");
    // Three seconds, and a slow machine.
    std::thread::sleep(Duration::from_secs(6));
    chat.signal(Signal::KILL);
    chat.wait_for_end();
    let mut again = chat_with(home.path(), &[]);
    again.wait_for("› an idea");
    leave(&mut again);
}

#[test]
fn messages_of_earlier_runs_are_walked_through_and_searched() {
    let home = home("[[answer]]\ntext = \"the reply\"\n[[answer]]\ntext = \"another reply\"\n");
    let mut first = chat(home.path());
    first.wait_for("idle");
    first.send("Bake some bread\r");
    first.wait_for("the reply");
    first.send("Sing a song\r");
    first.wait_for("another reply");
    leave(&mut first);

    let mut again = chat(home.path());
    again.wait_for("idle");
    again.send("a draft\x1b[A");
    again.wait_for("› Sing a song");
    again.send("\x1b[A");
    again.wait_for("› Bake some bread");
    again.send("\x1b[B\x1b[B");
    again.wait_for("› a draft");
    again.send("\x12bread");
    let screen = again.wait_for("› Bake some bread");
    assert!(screen.contains("─ search: bread · 1 of 1 · Enter takes it"), "{screen}");
    again.send("\x1b");
    again.wait_for("› a draft");
    leave(&mut again);
}

#[test]
fn the_persons_editor_gets_the_terminal_and_the_text() {
    let home = home(&slow_script());
    let editor = home.path().join("editor");
    let script = "#!/bin/sh\nstty size\necho in-the-editor\nread line\necho \"$line\" >> \"$1\"\n";
    std::fs::write(&editor, script).unwrap();
    let mut command = program(home.path());
    command.args(arguments(home.path()));
    command.env("VISUAL", format!("sh '{}'", editor.display()));
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word2");
    chat.send("first\x18\x05");
    chat.wait_for("in-the-editor");
    assert_eq!(chat.line_settings(), chat.settings_before());
    chat.send("from the editor\n");
    let screen = chat.wait_for("› first\n  from the editor");
    assert!(screen.contains("answering"), "the answer goes on meanwhile: {screen}");
    chat.send("!");
    chat.wait_for("from the editor!");
    chat.send("\x1f\x1f");
    chat.wait_until("the text before", |screen| screen.contains("› first\n") && !screen.contains("from the editor"));
    leave_writing(&mut chat);
    chat.assert_given_back();
}

#[test]
fn an_editor_that_is_not_there_loses_nothing() {
    let home = home("");
    let mut command = program(home.path());
    command.args(arguments(home.path()));
    command.env("VISUAL", "no-such-editor");
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("a draft\x18e");
    let screen = chat.wait_for("`no-such-editor` is not there");
    assert!(screen.contains("› a draft"), "{screen}");
    leave_writing(&mut chat);
    chat.assert_given_back();
}

#[test]
fn the_keys_of_vi_are_there_for_those_who_ask_for_them() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat_with(home.path(), &["--vi-keys"]);
    chat.wait_for("─ insert · Enter sends");
    chat.send("one two three");
    chat.wait_for("› one two three");
    chat.send(ESCAPE);
    chat.wait_for("─ normal · ");
    chat.send("0wdw");
    chat.wait_for("› one three");
    chat.send("\r");
    chat.wait_for("the reply");
    chat.wait_for("─ insert · ");
    leave(&mut chat);
}

#[test]
fn commands_and_paths_are_completed_and_everything_is_found_in_the_palette() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    std::fs::create_dir_all(home.path().join("config/prompts")).unwrap();
    std::fs::write(home.path().join("config/prompts/poem.md"), "Write a poem about\n").unwrap();
    std::fs::write(home.path().join("notes.txt"), "milk\n").unwrap();
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("see @not");
    chat.wait_for("> notes.txt");
    chat.send("\t");
    chat.wait_for("› [notes.txt, 4 bytes] see notes.txt");
    chat.send("\r");
    chat.wait_for("the reply");
    chat.wait_for("idle");
    chat.send("/sa");
    chat.wait_for("> /save [PATH|FORM]");
    chat.send("\t");
    chat.wait_for("› /save\n");
    chat.send("chat.json\r");
    chat.wait_for("this chat is written to `chat.json`");
    let saved = std::fs::read_to_string(home.path().join("chat.json")).unwrap();
    assert!(saved.contains("\"content\": \"the reply\""), "{saved}");
    chat.send("\x0b");
    chat.wait_for("Palette");
    chat.send("poem");
    chat.wait_for("> poem");
    chat.send("\r");
    chat.wait_for("› Write a poem about");
    leave(&mut chat);
}

#[test]
fn a_paste_is_text_and_never_keys() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("\x1b[200~first line\rsecond line\x03\x03\x1b[201~");
    let screen = chat.wait_for("second line");
    assert!(screen.contains("first line") && screen.contains("idle"), "{screen}");
    chat.send(CTRL_C);
    chat.wait_until("an empty composer", |screen| !screen.contains("second line"));
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
}

/// The most memory that a process has had, in MiB.
#[cfg(target_os = "linux")]
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[cfg(target_os = "linux")]
#[test]
fn a_paste_of_50_megabytes_with_control_characters_is_refused_in_a_sentence_and_the_chat_goes_on() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    let before = most_memory(chat.process());
    // Keys that would send, cancel, leave, suspend; commands for the terminal; the end of a paste, cut short.
    let piece = "words\r\x03\x03\x04\x1a\x1b\x1b[6n\x1b]52;c;aGk=\x07\x1b[201\x00\x7f\u{9b}31m";
    let paste = piece.repeat((50 << 20) / piece.len());
    chat.send("\x1b[200~");
    chat.send(&paste);
    chat.send("\x1b[201~");
    let screen = chat.wait_for("the paste was not inserted: it has 51200 KiB, and a message holds at most 16");
    assert!(screen.contains("idle"), "{screen}");
    let grown = most_memory(chat.process()).saturating_sub(before);
    assert!(grown < 400, "{grown} MiB for a paste of 50");
    chat.send("Hi\r");
    chat.wait_for("the reply");
    chat.wait_for("idle");
    leave(&mut chat);
    chat.assert_given_back();
}
