//! The single line that is written in while a list or a search is open: what narrows it, what is looked for, a title.

use crossterm::event::KeyEvent;

use super::{App, Popup};
use crate::ui::composer::Field;
use crate::ui::msg::Effect;

impl App {
    /// The line that keys edit now, if there is one.
    fn field_mut(&mut self) -> Option<&mut Field> {
        match &mut self.popup {
            Popup::Closed => self.history.words_mut(),
            Popup::Chats(list) => Some(list.field_mut()),
            Popup::Help { filter, .. } => Some(filter),
            Popup::Palette(palette) => Some(&mut palette.filter),
            Popup::Search(search) => Some(&mut search.words),
            Popup::Models(picker) => Some(&mut picker.filter),
            Popup::Settings(panel) => Some(panel.field_mut()),
            Popup::Confirm(_) | Popup::Ask(_) | Popup::Context { .. } | Popup::Words(_) => None,
        }
    }

    /// Whether nothing is written where keys edit. What was deleted in the list of chats a moment ago can be brought
    /// back whatever narrows that.
    pub fn has_nothing_written(&self) -> bool {
        match &self.popup {
            Popup::Chats(list) => list.filter.is_empty() || list.told.is_some(),
            _ => self.composer.is_empty(),
        }
    }

    /// A key that edits the line.
    pub(super) fn edit_field(&mut self, key: KeyEvent) -> Vec<Effect> {
        let is_changed = self.field_mut().is_some_and(|field| field.edit(key));
        if is_changed { self.field_changed() } else { Vec::new() }
    }

    /// Writes this into the line.
    pub(super) fn paste_in_field(&mut self, text: &str) -> Vec<Effect> {
        let Some(field) = self.field_mut() else { return Vec::new() };
        field.insert(text);
        self.field_changed()
    }

    /// Writes this in the place of what the line holds.
    pub(super) fn fill_field(&mut self, text: &str) -> Vec<Effect> {
        let Some(field) = self.field_mut() else { return Vec::new() };
        *field = Field::holding(text);
        self.field_changed()
    }

    /// What is shown is chosen anew.
    fn field_changed(&mut self) -> Vec<Effect> {
        match &mut self.popup {
            Popup::Closed => self.history_search_changed(),
            Popup::Chats(list) => list.narrow(),
            Popup::Help { top, .. } => *top = 0,
            Popup::Palette(palette) => palette.chosen = 0,
            Popup::Search(search) => return search.ask().into_iter().collect(),
            Popup::Models(picker) => picker.narrow(),
            Popup::Settings(panel) => panel.narrow(),
            Popup::Confirm(_) | Popup::Ask(_) | Popup::Context { .. } | Popup::Words(_) => {}
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::ui::app::tester::{Tester, chat_row as row, here};
    use crate::ui::msg::{Command, Msg};

    const CTRL: KeyModifiers = KeyModifiers::CONTROL;

    /// Everything in which a line is written, and its key.
    fn opened() -> Vec<(&'static str, Tester)> {
        let open = |name, code, modifiers| {
            let mut tester = Tester::saving();
            tester.key(code, modifiers);
            tester.update(Msg::Chats(vec![row(1, "Bread"), row(2, "Rust")]));
            tester.update(Msg::Offers(vec![here("tiny", None)]));
            (name, tester)
        };
        vec![
            ("messages sent before", open("", KeyCode::Char('r'), CTRL).1),
            open("chats", KeyCode::F(2), KeyModifiers::NONE),
            open("help", KeyCode::F(1), KeyModifiers::NONE),
            open("palette", KeyCode::Char('k'), CTRL),
            open("search", KeyCode::F(5), KeyModifiers::NONE),
            open("models", KeyCode::F(4), KeyModifiers::NONE),
        ]
    }

    #[test]
    fn words_are_deleted_and_the_cursor_moves_in_every_filter() {
        for (name, mut tester) in opened() {
            let field = |tester: &mut Tester| tester.app.field_mut().map(|field| field.text().to_owned());
            tester.type_text("bread and rust");
            tester.key(KeyCode::Char('w'), CTRL);
            assert_eq!(field(&mut tester).as_deref(), Some("bread and "), "{name}");
            tester.key(KeyCode::Left, CTRL);
            tester.type_text("x ");
            assert_eq!(field(&mut tester).as_deref(), Some("bread x and "), "{name}");
            tester.key(KeyCode::Home, KeyModifiers::NONE);
            tester.type_text("old ");
            assert_eq!(field(&mut tester).as_deref(), Some("old bread x and "), "{name}");
            tester.update(Msg::Paste("dry\n".into()));
            assert_eq!(field(&mut tester).as_deref(), Some("old drybread x and "), "{name}");
            tester.key(KeyCode::End, KeyModifiers::NONE);
            tester.key(KeyCode::Char('u'), CTRL);
            assert_eq!(field(&mut tester).as_deref(), Some(""), "{name}");
        }
    }

    #[test]
    fn the_key_of_another_list_goes_there_and_its_own_closes_it() {
        for (name, mut tester) in opened() {
            if name == "messages sent before" {
                continue;
            }
            tester.key(KeyCode::F(1), KeyModifiers::NONE);
            let is_help = matches!(tester.app.popup(), Popup::Help { .. });
            assert_eq!(is_help, name != "help", "{name}");
            tester.key(KeyCode::F(6), KeyModifiers::NONE);
            assert!(matches!(tester.app.popup(), Popup::Settings(_)), "{name}");
            tester.key(KeyCode::F(6), KeyModifiers::NONE);
            assert!(matches!(tester.app.popup(), Popup::Closed), "{name}");
        }
    }

    #[test]
    fn ctrl_c_closes_a_list_and_does_not_ask_to_leave() {
        for (name, mut tester) in opened() {
            tester.key(KeyCode::Char('c'), CTRL);
            assert!(matches!(tester.app.popup(), Popup::Closed) && tester.app.search().is_none(), "{name}");
            let effects = tester.key(KeyCode::Char('c'), CTRL);
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Leave)), "{name}: {effects:?}");
        }
    }

    #[test]
    fn what_narrows_the_chats_is_deleted_before_one_is_brought_back() {
        let mut tester = Tester::saving();
        tester.command(Command::Chats);
        tester.update(Msg::Chats(vec![row(1, "Bread"), row(2, "Rust")]));
        tester.type_text("ru");
        assert!(tester.key(KeyCode::Char('u'), CTRL).is_empty());
        assert!(matches!(tester.key(KeyCode::Char('u'), CTRL)[..], [Effect::RestoreChat]));
        tester.type_text("ru");
        tester.key(KeyCode::Delete, KeyModifiers::NONE);
        tester.update(Msg::ChatDeleted(crate::store::ChatId(2)));
        assert!(matches!(tester.key(KeyCode::Char('u'), CTRL)[..], [Effect::RestoreChat]), "as it was just told");
    }

    #[test]
    fn a_title_is_edited_with_all_keys() {
        let mut tester = Tester::saving();
        tester.command(Command::Chats);
        tester.update(Msg::Chats(vec![row(1, "Bread and butter")]));
        tester.key(KeyCode::Char('r'), CTRL);
        tester.key(KeyCode::Char('w'), CTRL);
        tester.key(KeyCode::Char('a'), CTRL);
        tester.type_text("Old ");
        tester.key(KeyCode::Delete, KeyModifiers::NONE);
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        let [Effect::Rename { title, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(title, "Old read and");
    }
}
