//! Tests of the keys of vi: a text with its cursor, keys, and what becomes of it.

use proptest::prelude::*;

use super::*;

/// What a text with the cursor at `|` becomes when these keys are pressed, in the mode for commands; `<` is Esc.
fn after(text: &str, keys: &str) -> String {
    let mut buffer = Buffer::default();
    let tokens = Tokens::default();
    let cursor = text.find('|').unwrap();
    buffer.insert(&text.replace('|', ""), How::Whole);
    buffer.go(cursor);
    let mut vi = Vi { is_normal: true, ..Vi::default() };
    for key in keys.chars() {
        let event = match key {
            '<' => KeyEvent::from(KeyCode::Esc),
            '®' => KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL),
            other => KeyEvent::from(KeyCode::Char(other)),
        };
        if vi.press(event, &mut buffer, &tokens).is_none() {
            buffer.insert(&key.to_string(), How::Typed);
        }
    }
    let (head, tail) = buffer.text().split_at(buffer.cursor());
    format!("{head}|{tail}")
}

#[test]
fn a_search_for_a_character_that_is_not_known_here_takes_the_character_with_it() {
    for keys in ["fo", "Fo", "to", "To", "dfo", "2to"] {
        assert_eq!(after("|one two", keys), "|one two", "{keys}");
    }
}

#[test]
fn motions_go_where_vi_goes() {
    for (text, keys, expected) in [
        ("|one two", "w", "one |two"),
        ("one |two", "b", "|one two"),
        ("|one two", "e", "on|e two"),
        ("on|e two", "e", "one tw|o"),
        ("|foo.bar", "w", "foo|.bar"),
        ("|one two three", "2w", "one two |three"),
        ("on|e", "l", "on|e"),
        ("|one", "$", "on|e"),
        ("one tw|o", "0", "|one two"),
        ("  one|", "^", "  |one"),
        ("one\n|two\nthree", "gg", "|one\ntwo\nthree"),
        ("|one\ntwo", "G", "one\ntw|o"),
        ("o|ne\ntwo", "j", "one\nt|wo"),
        ("one\nt|wo", "k", "o|ne\ntwo"),
        ("|東京 👨‍👩‍👧x", "w", "東京 |👨‍👩‍👧x"),
    ] {
        assert_eq!(after(text, keys), expected, "{keys} on {text}");
    }
}

#[test]
fn operators_take_what_the_motion_passes() {
    for (text, keys, expected) in [
        ("|one two", "dw", "|two"),
        ("one |two\nthree", "dw", "one| \nthree"),
        ("|one two three", "d2w", "|three"),
        ("|one two", "de", "| two"),
        ("one tw|o", "db", "one |o"),
        ("one |two three", "D", "one| "),
        ("one |two three", "d0", "|two three"),
        ("one\nt|wo\nthree", "dd", "one\n|three"),
        ("one\nt|wo", "dd", "|one"),
        ("o|ne\ntwo\nthree", "2dd", "|three"),
        ("one\nt|wo\nthree", "dj", "|one"),
        ("o|ne two", "x", "o|e two"),
        ("|👨‍👩‍👧x", "x", "|x"),
        ("on|e", "x", "o|n"),
        ("|one two", "cwsix<", "si|x two"),
        ("one |two", "Cthree<", "one thre|e"),
        ("one\nt|wo\nthree", "ccfour<", "one\nfou|r\nthree"),
        ("o|ne", "rx", "o|xe"),
    ] {
        assert_eq!(after(text, keys), expected, "{keys} on {text}");
    }
}

#[test]
fn text_is_written_where_it_was_asked_for() {
    for (text, keys, expected) in [
        ("o|ne", "ix<", "o|xne"),
        ("o|ne", "ax<", "on|xe"),
        ("  o|ne", "Ix<", "  |xone"),
        ("o|ne\ntwo", "Ax<", "one|x\ntwo"),
        ("o|ne\ntwo", "ox<", "one\n|x\ntwo"),
        ("one\nt|wo", "Ox<", "one\n|x\ntwo"),
        ("|", "ia<", "|a"),
    ] {
        assert_eq!(after(text, keys), expected, "{keys} on {text}");
    }
}

#[test]
fn what_was_deleted_or_yanked_is_put_elsewhere() {
    for (text, keys, expected) in [
        ("|one two", "dwp", "tone| wo"),
        ("o|ne\ntwo", "yyp", "one\n|one\ntwo"),
        ("one\nt|wo", "ddP", "|two\none"),
        ("|ab", "xp", "b|a"),
        ("|one two", "yw$p", "one twoone| "),
    ] {
        assert_eq!(after(text, keys), expected, "{keys} on {text}");
    }
}

#[test]
fn what_was_written_until_escape_is_one_step_for_undo() {
    assert_eq!(after("|one", "ithe only one <u"), "|one");
    assert_eq!(after("|one two", "cwthree<u"), "|one two");
    assert_eq!(after("|one two", "dwu®"), "|two");
}

#[test]
fn a_command_that_was_begun_is_taken_back_by_escape() {
    assert_eq!(after("|one two", "d<w"), "one |two");
    assert_eq!(after("|one two", "3<w"), "one |two");
    assert_eq!(after("|one two", "dqw"), "one |two", "and by a key that belongs to none");
}

proptest! {
    #[test]
    fn no_keys_break_the_text(keys in "[hjklwbe0$^gGiaIAoOxXdcyDCSspPur<®1-3]{0,30}", text in "[a 東\n👍🏽.]{0,8}") {
        let result = after(&format!("|{text}"), &keys);
        prop_assert!(result.contains('|'));
    }
}
