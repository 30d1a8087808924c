//! Tests of writing: keys, pastes and tokens.

use super::*;

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;

pub(super) fn key(composer: &mut Composer, code: KeyCode, modifiers: KeyModifiers) -> Edited {
    composer.edit(KeyEvent::new(code, modifiers))
}

pub(super) fn with(text: &str) -> Composer {
    let mut composer = Composer::default();
    composer.set(&[Part::Text(text.into())]);
    composer
}

/// What is on the rows in view.
fn drawn(composer: &mut Composer, width: u16, most: u16) -> Vec<String> {
    let height = composer.fit(width, most);
    let area = Rect::new(0, 0, width, height);
    let mut screen = Screen::empty(area);
    composer.draw(area, &mut screen, Style::default());
    let row = |y| (0..width).map(|x| screen[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect()
}

#[test]
fn a_paste_keeps_its_lines_and_its_control_characters() {
    let mut composer = Composer::default();
    composer.paste("one\rtwo\r\nthree\nfour\x03\x1b").unwrap();
    assert_eq!(composer.text(), "one\ntwo\nthree\nfour\x03\x1b");
    assert_eq!(drawn(&mut composer, 30, 5)[3], "four<U+0003><U+001B>");
}

#[test]
fn the_composer_grows_with_folded_lines_up_to_its_most() {
    let mut composer = Composer::default();
    assert_eq!(composer.fit(10, 5), 1);
    composer.paste("one two three four").unwrap();
    assert_eq!(composer.fit(10, 5), 2);
    composer.paste("\n\n\n\n\n\n").unwrap();
    assert_eq!(composer.fit(10, 5), 5);
}

#[test]
fn text_that_fits_again_after_shrinking_is_shown_from_its_first_row() {
    let mut composer = with("1\n2\n3\n4\n5\n6\n7\n8");
    assert_eq!(drawn(&mut composer, 10, 4), ["5", "6", "7", "8"]);
    for _ in 0..12 {
        key(&mut composer, KeyCode::Backspace, NONE);
    }
    assert_eq!(drawn(&mut composer, 10, 4), ["1", "2"]);
}

#[test]
fn the_cursor_is_where_the_next_character_comes_also_behind_wide_ones() {
    let mut composer = with("東京");
    composer.fit(20, 4);
    assert_eq!(composer.cursor(), (4, 0));
    key(&mut composer, KeyCode::Left, NONE);
    assert_eq!(composer.cursor(), (2, 0));
    let mut composer = with("one two three");
    composer.fit(8, 4);
    assert_eq!(composer.cursor(), (5, 1));
}

#[test]
fn text_given_back_comes_before_what_was_written_since() {
    let mut composer = with("later");
    composer.give_back(&[Part::Text("earlier".into())]);
    assert_eq!(composer.text(), "earlier\nlater");
}

#[test]
fn a_command_typed_behind_what_was_given_back_takes_its_place() {
    let given = |keys: &str| {
        let mut composer = Composer::default();
        composer.give_back(&[Part::Text("a question".into())]);
        for key in keys.chars() {
            composer.edit(KeyEvent::from(KeyCode::Char(key)));
        }
        composer
    };
    assert_eq!(given("/undo").text(), "/undo");
    assert_eq!(given("s/n").text(), "a questions/n", "somebody goes on writing it");
    let mut composer = given("/");
    composer.undo();
    composer.undo();
    assert_eq!(composer.text(), "a question");
    let mut composer = with("later");
    composer.give_back(&[Part::Text("earlier".into())]);
    composer.edit(KeyEvent::from(KeyCode::Char('/')));
    assert_eq!(composer.text(), "earlier\nlater/", "what was written since is nobody's to clear");
}

#[test]
fn clearing_can_be_undone() {
    let mut composer = with("a draft");
    composer.clear();
    assert!(composer.is_empty());
    composer.undo();
    assert_eq!(composer.text(), "a draft");
}

#[test]
fn the_keys_of_shells_move_and_delete_by_words() {
    let mut composer = with("one two-three four");
    for (code, modifiers, expected) in [
        (KeyCode::Char('w'), CTRL, "one two-three |"),
        (KeyCode::Backspace, ALT, "one two-|"),
        (KeyCode::Char('y'), CTRL, "one two-three four|"),
        (KeyCode::Left, CTRL, "one two-three |four"),
        (KeyCode::Char('b'), ALT, "one two-|three four"),
        (KeyCode::Char('d'), ALT, "one two-| four"),
        (KeyCode::Char('f'), ALT, "one two- four|"),
        (KeyCode::Char('a'), CTRL, "|one two- four"),
        (KeyCode::Right, ALT, "one| two- four"),
        (KeyCode::Delete, CTRL, "one|- four"),
        (KeyCode::Char('k'), CTRL, "one|"),
        (KeyCode::Char('e'), CTRL, "one|"),
        (KeyCode::Char('h'), CTRL, "on|"),
        (KeyCode::Backspace, CTRL, "|"),
        (KeyCode::Char('ß'), NONE, "ß|"),
    ] {
        key(&mut composer, code, modifiers);
        let (head, tail) = composer.buffer.text().split_at(composer.buffer.cursor());
        assert_eq!(format!("{head}|{tail}"), expected, "after {modifiers:?} {code:?}");
    }
}

#[test]
fn leaving_the_first_or_the_last_row_is_told() {
    let mut composer = with("one two three");
    composer.fit(8, 4);
    assert_eq!(key(&mut composer, KeyCode::Down, NONE), Edited::BelowLast);
    assert_eq!(key(&mut composer, KeyCode::Up, NONE), Edited::Done);
    assert_eq!(key(&mut composer, KeyCode::Up, NONE), Edited::AboveFirst);
}

#[test]
fn a_large_paste_is_one_token_that_stands_for_all_of_it() {
    let pasted = "a line\n".repeat(412);
    let mut composer = with("see: ");
    composer.paste(&pasted).unwrap();
    assert_eq!(drawn(&mut composer, 40, 9), ["see: [paste 1: 412 lines]"]);
    assert_eq!(composer.text(), format!("see: {pasted}"));
    key(&mut composer, KeyCode::Left, NONE);
    composer.fit(40, 9);
    assert_eq!(composer.cursor(), (5, 0), "the cursor passes it as one");
    key(&mut composer, KeyCode::Delete, NONE);
    assert_eq!(composer.text(), "see: ");
    composer.undo();
    assert_eq!(composer.text(), format!("see: {pasted}"));
    key(&mut composer, KeyCode::Right, NONE);
    key(&mut composer, KeyCode::Backspace, NONE);
    assert_eq!(composer.text(), "see: ");
    composer.undo();
    composer.paste(&"x".repeat(1000)).unwrap();
    assert_eq!(drawn(&mut composer, 60, 9), ["see: [paste 1: 412 lines][paste 2: 1000 characters]"]);
}

#[test]
fn a_small_paste_stays_text() {
    let mut composer = Composer::default();
    composer.paste(&"line\n".repeat(7)).unwrap();
    composer.paste(&"x".repeat(900)).unwrap();
    assert!(composer.token_at_cursor().is_none());
}

#[test]
fn a_token_is_opened_in_place_and_undo_closes_it() {
    let pasted = "a line\n".repeat(9);
    let mut composer = with("see: ");
    composer.paste(&pasted).unwrap();
    assert_eq!(composer.token_at_cursor(), Some("[paste 1: 9 lines]"));
    composer.open_token().unwrap();
    assert_eq!(drawn(&mut composer, 40, 20).len(), 10);
    assert_eq!(composer.text(), format!("see: {pasted}"));
    assert!(composer.open_token().is_err());
    composer.undo();
    assert_eq!(composer.token_at_cursor(), Some("[paste 1: 9 lines]"));
}

#[test]
fn a_huge_paste_is_taken_as_a_token_but_not_opened_and_beyond_all_limits_refused() {
    let mut composer = with("before ");
    composer.paste(&"x".repeat(MOST_BYTES)).unwrap();
    assert!(composer.open_token().unwrap_err().contains("too long to be edited"));
    let sentence = composer.paste(&"x".repeat(MOST_BYTES_IN_ALL)).unwrap_err();
    assert!(sentence.starts_with("the paste was not inserted: it has 16384 KiB"), "{sentence}");
    assert_eq!(composer.text().len(), "before ".len() + MOST_BYTES);
}

fn file(name: &str, text: &str) -> Part {
    Part::File { name: name.into(), text: text.into() }
}

#[test]
fn files_come_before_what_is_written_and_can_be_taken_out() {
    let mut composer = with("Sum up");
    composer.attach(&file("notes/a.txt", "milk")).unwrap();
    composer.attach(&file("b.txt", "eggs")).unwrap();
    assert_eq!(drawn(&mut composer, 60, 9), ["[a.txt, 4 bytes] [b.txt, 4 bytes] Sum up"]);
    let block = |name: &str, text: &str| crate::text_file::under_its_name(name, text);
    assert_eq!(composer.text(), format!("{}\n\n{}\n\nSum up", block("notes/a.txt", "milk"), block("b.txt", "eggs")));
    assert_eq!(composer.detach(Some("a.txt")).as_deref(), Some("notes/a.txt"));
    assert_eq!(composer.detach(Some("c.txt")), None);
    assert_eq!(composer.detach(None).as_deref(), Some("b.txt"));
    assert_eq!(composer.text(), "Sum up");
    composer.undo();
    assert_eq!(drawn(&mut composer, 60, 9), ["[b.txt, 4 bytes] Sum up"]);
}

#[test]
fn a_command_can_be_written_beside_what_is_attached() {
    let mut composer = with("/attach b.txt");
    assert_eq!(composer.command_line(), Some("/attach b.txt"));
    composer.attach(&file("a.txt", "milk")).unwrap();
    composer.attach(&Part::Image("/x/y.png".into())).unwrap();
    assert_eq!(composer.command_line(), Some("/attach b.txt"));
    composer.take_command();
    assert_eq!(drawn(&mut composer, 60, 9), ["[a.txt, 4 bytes] [y.png, image]"]);
    assert_eq!(composer.command_line(), None);
}

#[test]
fn what_was_written_comes_back_from_its_parts() {
    let mut composer = with("see ");
    composer.paste(&"a line\n".repeat(20)).unwrap();
    composer.attach(&file("a.txt", "milk")).unwrap();
    let parts = composer.take();
    assert!(composer.is_empty());
    composer.set(&parts);
    assert_eq!(composer.parts(), parts);
    assert_eq!(drawn(&mut composer, 60, 9), ["[a.txt, 4 bytes] see [paste 1: 20 lines]"]);
}

#[test]
fn typing_into_a_long_text_stays_fast() {
    let mut composer = with(&"some words of a line that is folded twice or so\n".repeat(10_000));
    composer.fit(30, 10);
    let start = std::time::Instant::now();
    for _ in 0..20 {
        key(&mut composer, KeyCode::Char('x'), NONE);
        composer.fit(30, 10);
    }
    // Without optimisation; with it a key takes well below a millisecond.
    assert!(start.elapsed() < std::time::Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn the_keys_of_vi_write_first_and_are_commands_after_escape() {
    let mut composer = Composer::for_keys(true);
    assert_eq!(composer.is_in_normal_mode(), Some(false));
    for character in "dw".chars() {
        key(&mut composer, KeyCode::Char(character), NONE);
    }
    assert_eq!(composer.text(), "dw");
    assert!(composer.wants_first((KeyCode::Esc, NONE)) && !composer.wants_first((KeyCode::Char('?'), NONE)));
    key(&mut composer, KeyCode::Esc, NONE);
    assert!(composer.wants_first((KeyCode::Char('?'), NONE)) && !composer.wants_first((KeyCode::Esc, NONE)));
    assert!(!composer.wants_first((KeyCode::Enter, NONE)) && !composer.wants_first((KeyCode::Char('o'), CTRL)));
    for character in "0dw".chars() {
        key(&mut composer, KeyCode::Char(character), NONE);
    }
    assert!(composer.is_empty());
    composer.take();
    assert_eq!(composer.is_in_normal_mode(), Some(false), "the next message is written");
}
