use crossterm::event::{KeyCode, KeyModifiers};

use super::*;
use crate::prompts::PromptText;
use crate::store::ChatId;
use crate::ui::app::tester::{Tester, chat_row as row, here};
use crate::ui::msg::{Command, Msg};

fn menu(tester: &Tester) -> Vec<&str> {
    let items = tester.app.completion().map(|completion| &completion.items[..]).unwrap_or_default();
    items.iter().map(|item| item.shown.as_str()).collect()
}

fn chosen(tester: &Tester) -> Option<&str> {
    tester.app.completion()?.item().map(|item| item.shown.as_str())
}

fn press(tester: &mut Tester, key: KeyCode) -> Vec<Effect> {
    tester.key(key, KeyModifiers::NONE)
}

#[test]
fn a_slash_opens_a_menu_that_narrows_as_one_types() {
    let mut tester = Tester::ready();
    tester.type_text("/");
    assert_eq!(menu(&tester).len(), COMMANDS.len());
    tester.type_text("re");
    assert_eq!(menu(&tester)[..4], ["/resume [CHAT]", "/rename TITLE", "/retry [HOW]", "/redo"]);
    assert_eq!(chosen(&tester), Some("/resume [CHAT]"));
    press(&mut tester, KeyCode::Down);
    assert_eq!(chosen(&tester), Some("/rename TITLE"));
    press(&mut tester, KeyCode::Tab);
    assert_eq!(tester.app.composer.text(), "/rename ");
    assert!(menu(&tester).is_empty(), "a title is free");
}

#[test]
fn of_commands_that_begin_so_the_most_used_goes_first_and_another_name_for_one_last() {
    for (typed, first) in [
        ("/co", "/continue"),
        ("/st", "/stop"),
        ("/e", "/edit [N]"),
        ("/un", "/undo"),
        ("/red", "/redo"),
        ("/a", "/attach PATH|!COMMAND"),
    ] {
        let mut tester = Tester::ready();
        tester.type_text(typed);
        assert_eq!(chosen(&tester), Some(first), "{typed}");
    }
}

#[test]
fn what_only_has_the_letters_in_it_is_offered_and_not_done_by_enter() {
    let mut tester = Tester::ready();
    tester.type_text("/del");
    assert_eq!((menu(&tester), chosen(&tester)), (vec!["/model [NAME]"], None));
    press(&mut tester, KeyCode::Enter);
    assert!(tester.app.notices()[0].starts_with("`/del` is no command"), "{:?}", tester.app.notices());
    tester.app.composer.take();
    // Letters of a name that nobody sees.
    tester.type_text("/load");
    assert_eq!(menu(&tester), [""; 0]);
}

#[test]
fn enter_runs_what_is_chosen_unless_something_has_to_follow() {
    let mut tester = Tester::ready();
    tester.type_text("/conte");
    press(&mut tester, KeyCode::Enter);
    assert!(matches!(tester.app.popup(), Popup::Context { .. }));
    assert!(tester.app.composer.is_empty());
    tester.command(Command::ClosePopup);
    tester.type_text("/renam");
    press(&mut tester, KeyCode::Enter);
    assert_eq!(tester.app.composer.text(), "/rename ");
    assert!(tester.app.notices().is_empty());
    press(&mut tester, KeyCode::Enter);
    assert!(tester.app.notices()[0].contains("`/rename TITLE`"), "{:?}", tester.app.notices());
}

#[test]
fn escape_closes_the_menu_and_nothing_else() {
    let mut tester = Tester::ready();
    tester.send("Hi");
    tester.token("Hello", 1);
    tester.type_text("/co");
    assert!(tester.app.is_completing());
    assert!(press(&mut tester, KeyCode::Esc).is_empty(), "the answer goes on");
    assert!(!tester.app.is_completing());
    tester.type_text("n");
    assert!(!tester.app.is_completing(), "until something else is written");
    assert_eq!(tester.app.composer.text(), "/con");
    tester.type_text("text ");
    assert!(!tester.app.is_completing());
    assert!(matches!(press(&mut tester, KeyCode::Esc)[..], [Effect::CancelAnswer]));
    tester.app.composer.take();
    tester.type_text("/");
    assert!(tester.app.is_completing());
}

#[test]
fn up_and_down_go_round() {
    let mut tester = Tester::ready();
    tester.type_text("/");
    press(&mut tester, KeyCode::Up);
    assert_eq!(chosen(&tester), COMMANDS.last().map(SlashCommand::shown).as_deref());
    press(&mut tester, KeyCode::Down);
    assert_eq!(chosen(&tester), COMMANDS.first().map(SlashCommand::shown).as_deref());
}

#[test]
fn messages_and_escaped_commands_have_no_menu() {
    for text in ["hello /re", "//re", "/usr/bin", "/Re", "/re\n", "/etc is"] {
        let mut tester = Tester::ready();
        tester.update(Msg::Paste(text.into()));
        assert!(!tester.app.is_completing(), "{text:?}");
    }
}

#[test]
fn words_of_a_known_set_are_completed_but_nothing_is_forced() {
    let mut tester = Tester::ready();
    tester.type_text("/theme ");
    assert_eq!(menu(&tester)[..3], ["auto", "mono", "catppuccin-latte"]);
    assert_eq!(chosen(&tester), None, "alone it is a command, too");
    tester.type_text("mo");
    press(&mut tester, KeyCode::Enter);
    assert!(tester.app.composer.is_empty());
    assert_eq!(tester.app.notices(), [""; 0]);
    tester.type_text("/think 5");
    assert!(!tester.app.is_completing());
    tester.app.composer.take();
    tester.type_text("/set se");
    press(&mut tester, KeyCode::Enter);
    assert_eq!(tester.app.composer.text(), "/set seed ", "a value is missing");
    assert_eq!(menu(&tester), ["auto"]);
    tester.type_text("a");
    press(&mut tester, KeyCode::Enter);
    assert!(tester.app.notices()[0].contains("`seed`: it must be"), "what was typed is what is meant");
}

#[test]
fn chats_models_and_texts_are_asked_for_once_and_completed() {
    let mut tester = Tester::saving();
    tester.type_text("/resume");
    let effects = tester.key(KeyCode::Char(' '), KeyModifiers::NONE);
    assert!(matches!(effects[..], [Effect::ListChats]), "{effects:?}");
    tester.update(Msg::Chats(vec![row(4, "Bread and butter"), row(9, "Rusty nails")]));
    assert_eq!(menu(&tester), ["4 Bread and butter", "9 Rusty nails"]);
    assert!(tester.key(KeyCode::Char('r'), KeyModifiers::NONE).is_empty());
    tester.type_text("ust");
    assert_eq!(menu(&tester), ["9 Rusty nails"]);
    press(&mut tester, KeyCode::Enter);
    let effects = tester.update(Msg::Chats(vec![row(9, "Rusty nails")]));
    assert!(matches!(effects[..], [Effect::OpenChat(ChatId(9))]), "{effects:?}");

    let mut tester = Tester::ready();
    tester.type_text("/model sm");
    tester.update(Msg::Offers(vec![here("qwen", None), here("smol", None)]));
    assert_eq!(menu(&tester), ["smol"]);
    press(&mut tester, KeyCode::Tab);
    assert_eq!(tester.app.composer.text(), "/model smol");

    let mut tester = Tester::ready();
    tester.type_text("/prompt re");
    let texts = vec![PromptText { name: "review".into(), text: "Review\n".into(), ..PromptText::default() }];
    tester.update(Msg::Prompts { texts, problems: Vec::new() });
    assert_eq!(menu(&tester), ["review"]);
}

fn with_files(tester: &mut Tester, typed: &str, paths: &[&str]) {
    tester.type_text(typed);
    let folder = tester.app.files_asked.clone().unwrap();
    tester.update(Msg::Files { folder, paths: paths.iter().map(|path| (*path).to_owned()).collect() });
}

#[test]
fn a_path_behind_the_sign_is_completed_folder_by_folder_and_attached() {
    let mut tester = Tester::ready();
    with_files(&mut tester, "@", &["src/", "notes.txt", "src/main.rs"]);
    assert_eq!(menu(&tester), ["src/", "notes.txt"], "what lies deeper comes with letters");
    tester.type_text("s");
    assert_eq!(chosen(&tester), Some("src/"));
    let effects = press(&mut tester, KeyCode::Tab);
    assert!(matches!(&effects[..], [Effect::ListFiles(folder)] if folder.path == "src/"), "{effects:?}");
    assert_eq!(tester.app.composer.text(), "@src/");
    tester.type_text("main");
    let effects = press(&mut tester, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::Attach(path)] if path == "src/main.rs"), "{effects:?}");
    assert!(tester.app.composer.is_empty());
}

#[test]
fn a_slash_alone_is_no_message_yet() {
    let mut tester = Tester::ready();
    tester.type_text("/");
    assert_eq!(tester.app.draft(), "");
}

#[test]
fn within_a_sentence_the_name_of_an_attached_file_stays() {
    let mut tester = Tester::ready();
    with_files(&mut tester, "explain @no", &["notes.txt"]);
    press(&mut tester, KeyCode::Tab);
    assert_eq!(tester.app.composer.text(), "explain notes.txt ");
}

#[test]
fn commands_that_take_a_path_complete_it() {
    let mut tester = Tester::ready();
    with_files(&mut tester, "/attach no", &["notes.txt"]);
    let effects = press(&mut tester, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::Attach(path)] if path == "notes.txt"), "{effects:?}");
    let mut tester = Tester::ready();
    with_files(&mut tester, "/attach nts", &["notes.txt"]);
    let effects = press(&mut tester, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::Attach(path)] if path == "nts"), "what was typed is meant: {effects:?}");
    let mut tester = Tester::ready();
    with_files(&mut tester, "/system @no", &["notes.txt"]);
    let effects = press(&mut tester, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::ReadSystem(path)] if path.ends_with("notes.txt")), "{effects:?}");
}

#[test]
fn enter_attaches_a_folder_that_is_written_and_none_of_those_in_it() {
    let mut tester = Tester::ready();
    with_files(&mut tester, "/attach src/", &["src/deep/", "src/main.rs"]);
    assert_eq!(menu(&tester), ["src/deep/", "src/main.rs"]);
    let effects = press(&mut tester, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::Attach(path)] if path == "src/"), "{effects:?}");
}

#[test]
fn what_is_attached_is_offered_to_be_dropped() {
    let mut tester = Tester::ready();
    for name in ["a.txt", "b.txt"] {
        let file = crate::ui::composer::Part::File { name: name.into(), text: "milk".into() };
        tester.update(Msg::Attached(Ok(file)));
    }
    tester.type_text("/drop ");
    assert_eq!(menu(&tester), ["a.txt", "b.txt"]);
    tester.type_text("a");
    press(&mut tester, KeyCode::Enter);
    assert_eq!(tester.app.composer().attached_names(), ["b.txt"]);
}

#[test]
fn a_listing_of_another_folder_comes_too_late() {
    let mut tester = Tester::ready();
    tester.type_text("@a/");
    let folder = Folder::of("b/");
    tester.update(Msg::Files { folder, paths: vec!["b/c".into()] });
    assert!(!tester.app.is_completing());
}
