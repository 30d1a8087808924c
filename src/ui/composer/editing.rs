//! The keys that edit: those of shells, and the ones that people know from elsewhere for the same.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::buffer::Motion;

/// What a key does to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Insert(char),
    Move(Motion),
    Erase(Motion),
    Cut(Motion),
    PasteCut,
}

/// Whether a key edits.
pub fn edits(key: KeyEvent) -> bool {
    action(key).is_some()
}

/// What a key does, if it edits.
pub fn action(key: KeyEvent) -> Option<Action> {
    use Action::{Cut, Erase, Insert, Move, PasteCut};
    use KeyCode::{Backspace, Char, Delete, Down, End, Home, Left, Right, Tab, Up};
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let is_word = ctrl || alt;
    let action = match key.code {
        // AltGr, which some systems report as both.
        Char(character) if ctrl && alt && !character.is_ascii_alphanumeric() => Insert(character),
        Char(character) if ctrl && !alt => match character.to_ascii_lowercase() {
            'a' => Move(Motion::LineStart),
            'e' => Move(Motion::LineEnd),
            'b' => Move(Motion::Left),
            'f' => Move(Motion::Right),
            'p' => Move(Motion::Up),
            'n' => Move(Motion::Down),
            'h' => Erase(Motion::Left),
            'd' => Erase(Motion::Right),
            'w' => Cut(Motion::SpaceLeft),
            'k' => Cut(Motion::LineEnd),
            'u' => Cut(Motion::LineStart),
            'y' => PasteCut,
            _ => return None,
        },
        Char(character) if alt && !ctrl => match character.to_ascii_lowercase() {
            'b' => Move(Motion::WordLeft),
            'f' => Move(Motion::WordRight),
            'd' => Cut(Motion::WordRight),
            // Ctrl-K is another key in the chat.
            'k' => Cut(Motion::LineEnd),
            '<' => Move(Motion::Top),
            '>' => Move(Motion::Bottom),
            _ => return None,
        },
        Char(character) if !is_word => Insert(character),
        Tab if !is_word => Insert('\t'),
        Backspace if is_word => Cut(Motion::WordLeft),
        Backspace => Erase(Motion::Left),
        Delete if is_word => Cut(Motion::WordRight),
        Delete => Erase(Motion::Right),
        Left if is_word => Move(Motion::WordLeft),
        Right if is_word => Move(Motion::WordRight),
        Left => Move(Motion::Left),
        Right => Move(Motion::Right),
        Up => Move(Motion::Up),
        Down => Move(Motion::Down),
        Home => Move(Motion::LineStart),
        End => Move(Motion::LineEnd),
        _ => return None,
    };
    Some(action)
}
