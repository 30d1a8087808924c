//! What a person says of the chat on the screen beside its title: its tags, and that it is put away.

use super::App;
use super::elsewhere::NOT_HERE;
use crate::store::read_tag;
use crate::ui::msg::Effect;

impl App {
    /// Gives the chat tags, or takes those away that are written with a `-`; without any, tells which it has.
    pub(super) fn tag(&mut self, words: Option<&str>) -> Vec<Effect> {
        if !self.can_be_arranged() {
            return Vec::new();
        }
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for word in words.unwrap_or_default().split_whitespace() {
            let (list, word) = match word.strip_prefix('-') {
                Some(word) => (&mut remove, word),
                None => (&mut add, word),
            };
            match read_tag(word) {
                Ok(tag) => list.push(tag),
                Err(sentence) => {
                    self.notice(sentence);
                    return Vec::new();
                }
            }
        }
        vec![Effect::TagChat { chat: self.chat.clone(), add, remove }]
    }

    pub(super) fn tell_tags(&mut self, tags: &[String]) {
        let tags: Vec<String> = tags.iter().map(|tag| format!("#{tag}")).collect();
        self.notice(match tags.is_empty() {
            true => "this chat has no tags; `/tag recipes` gives it one".into(),
            false => format!("this chat has the tags {}", tags.join(" ")),
        });
    }

    /// Puts the chat away, or takes it back.
    pub(super) fn archive(&mut self, is_archived: bool) -> Vec<Effect> {
        if !self.can_be_arranged() {
            return Vec::new();
        }
        self.notice(match is_archived {
            true => "this chat is put away: Ctrl-T in the list shows it, and it comes back when you write here",
            false => "this chat is among the others again",
        });
        vec![Effect::ArchiveChat { chat: self.chat.clone(), is_archived }]
    }

    /// Whether the chat is one of the list, and ours to change; says why not.
    fn can_be_arranged(&mut self) -> bool {
        let reason = if !self.saves {
            "this chat is not saved, so it is in no list"
        } else if self.elsewhere.is_some() {
            NOT_HERE
        } else if self.chat.get().is_none() && self.last_saved().is_none() {
            "this chat is in no list yet; write a message first"
        } else {
            return true;
        };
        self.notice(reason);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ChatId;
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::Msg;

    fn begun() -> Tester {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("first", 1);
        tester.finish(crate::chat::Ended::Stop);
        tester
    }

    #[test]
    fn tags_are_given_and_taken_away_in_one_line() {
        let mut tester = begun();
        let effects = tester.send("/tag #Food -work home");
        let [Effect::TagChat { chat, add, remove }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(
            (chat.get(), &add[..], &remove[..]),
            (Some(&ChatId(1)), &["food".into(), "home".into()][..], &["work".into()][..])
        );
        tester.update(Msg::Tagged(vec!["food".into(), "home".into()]));
        assert_eq!(tester.app.notices(), ["this chat has the tags #food #home"]);
        assert!(tester.send("/tag a,b").is_empty());
        assert!(tester.app.notices()[0].contains("is no tag"), "{:?}", tester.app.notices());
        assert!(
            matches!(&tester.send("/tag")[..], [Effect::TagChat { add, remove, .. }] if add.is_empty() && remove.is_empty())
        );
        tester.update(Msg::Tagged(Vec::new()));
        assert!(tester.app.notices()[0].contains("no tags"));
    }

    #[test]
    fn a_chat_is_put_away_and_taken_back() {
        let mut tester = begun();
        assert!(matches!(tester.send("/archive")[..], [Effect::ArchiveChat { is_archived: true, .. }]));
        assert!(matches!(tester.send("/archive undo")[..], [Effect::ArchiveChat { is_archived: false, .. }]));
        for mut tester in [Tester::ready(), Tester::saving()] {
            for command in ["/archive", "/tag x"] {
                assert!(tester.send(command).is_empty());
                assert!(tester.app.notices()[0].contains("in no list"), "{:?}", tester.app.notices());
            }
        }
    }
}
