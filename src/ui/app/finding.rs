//! Chats and models that are named in a written command: what there is has to be asked for first, and then the
//! one that was meant is found, or the list opens with those it may be.

use super::{App, ChatList, Picker, Popup};
use crate::models::offers::{Offer, Place};
use crate::store::ChatId;
use crate::text::escape_line;
use crate::ui::msg::{ChatRow, Effect};

/// What was named and is being looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    chat: Option<String>,
    model: Option<String>,
    /// It is looked for outside the list.
    seeks_model: bool,
    pub(super) prompt: Option<String>,
}

impl App {
    /// Something was named in a command and is being looked for.
    pub(super) fn is_finding(&self) -> bool {
        let Wanted { chat, model, prompt, .. } = &self.wanted;
        chat.is_some() || model.is_some() || prompt.is_some()
    }

    /// Another model was named, and it is not known yet which one is meant.
    pub(super) fn is_finding_model(&self) -> bool {
        self.wanted.model.is_some() || self.wanted.seeks_model
    }

    /// Goes to the chat of this number, or of these words in its title.
    pub(super) fn resume(&mut self, words: String) -> Vec<Effect> {
        if !self.has_store {
            return self.list_chats();
        }
        self.wanted.chat = Some(words);
        vec![Effect::ListChats]
    }

    /// The chats are there, in which one may be looked for.
    pub(super) fn find_chat(&mut self, rows: &[ChatRow]) -> Vec<Effect> {
        let Some(words) = self.wanted.chat.take() else { return Vec::new() };
        let number = words.trim_start_matches('#').parse().map(ChatId).ok();
        if let Some(id) = number.filter(|id| rows.iter().any(|row| row.id == *id)) {
            return self.open_chat(id);
        }
        let list = ChatList::holding(rows.to_vec(), &words);
        match list.matching()[..] {
            [] if number.is_some() => {
                self.notice(format!(
                    "there is no chat {}, and none with that in its title; Ctrl-O lists them",
                    escape_line(&words)
                ));
            }
            [] => self.notice(format!("no chat has `{}` in its title; Ctrl-O lists them", escape_line(&words))),
            [row] => return self.open_chat(row.id),
            _ => self.popup = Popup::Chats(list),
        }
        Vec::new()
    }

    /// Goes on with the model of this name, or its beginning.
    pub(super) fn use_model(&mut self, name: String) -> Vec<Effect> {
        self.wanted.model = Some(name);
        vec![Effect::ListModels]
    }

    /// The models are there, in which one may be looked for.
    pub(super) fn find_model(&mut self) -> Vec<Effect> {
        let Some(wanted) = self.wanted.model.take() else { return Vec::new() };
        let picker = Picker::filtered(&wanted);
        let found: Vec<Offer> = called(&wanted, self.offers.as_deref().unwrap_or_default(), &picker);
        match &found[..] {
            // What is no name may be a file, a place on the hub, or a model of a server that has not told yet.
            [] if wanted.starts_with("hf:") || wanted.contains(['/', '.', '~', '@']) => {
                self.notice(format!("looking for `{}`", escape_line(&wanted)));
                self.wanted.seeks_model = true;
                return vec![Effect::FindModel(wanted)];
            }
            [] => {
                let wanted = escape_line(&wanted);
                self.notice(format!("no model is called `{wanted}`; F4 lists those there are"));
            }
            [offer] => return self.choose_named(offer.clone()),
            _ => self.popup = Popup::Models(picker),
        }
        Vec::new()
    }

    /// The model was found that was typed as a path or a place on the hub.
    pub(super) fn model_found(&mut self, found: Result<Offer, String>) -> Vec<Effect> {
        self.notices.retain(|notice| !notice.starts_with("looking for `"));
        self.wanted.seeks_model = false;
        match found {
            Ok(offer) => {
                let unlisted = self.unlisted_file(&offer);
                let effects = self.choose_named(offer);
                if let Some(file) = unlisted {
                    self.notice(format!(
                        "this file is not in the list, so the next start does not know it; \
                         `tuichat models import --link {file}` puts it there"
                    ));
                }
                effects
            }
            Err(sentence) => {
                self.notice(escape_line(&sentence));
                Vec::new()
            }
        }
    }

    /// The file of a model that is on this machine and in no list.
    fn unlisted_file(&self, offer: &Offer) -> Option<String> {
        let file = |offer: &Offer| match &offer.place {
            Place::Here { found, .. } => Some(found.path.clone()),
            Place::Server { .. } | Place::Download { .. } => None,
        };
        let path = file(offer)?;
        let is_listed = self.offers.iter().flatten().any(|listed| file(listed).as_ref() == Some(&path));
        (!is_listed).then(|| escape_line(&path.display().to_string()))
    }
}

impl App {
    /// Goes on with the model that was looked for. Keys that are pressed meanwhile are no answer to a question that was
    /// not there yet.
    fn choose_named(&mut self, offer: Offer) -> Vec<Effect> {
        let is_busy = !self.composer.is_empty() || !matches!(self.popup, Popup::Closed);
        if is_busy && self.is_to_be_asked(&offer) {
            let name = escape_line(&offer.name);
            self.notice(format!("`{name}` has to be downloaded: send or clear what is written, then `/model {name}`"));
            return Vec::new();
        }
        self.choose_offer(offer)
    }
}

/// The models of this name, else those whose names begin so, else those that the list would show.
fn called(wanted: &str, offers: &[Offer], picker: &Picker) -> Vec<Offer> {
    let wanted = wanted.to_lowercase();
    let names = || offers.iter().map(|offer| (offer.name.to_lowercase(), offer));
    let exact: Vec<&Offer> = names().filter(|(name, _)| *name == wanted).map(|(_, offer)| offer).collect();
    let beginning = names().filter(|(name, _)| name.starts_with(&wanted)).map(|(_, offer)| offer).collect();
    let found = [exact, beginning, picker.matching(offers)].into_iter().find(|offers| !offers.is_empty());
    found.unwrap_or_default().into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::app::tester::{Tester, chat_row as row, download, here};
    use crate::ui::msg::{Command, Msg};

    fn rows() -> Vec<ChatRow> {
        vec![row(1, "Bread and butter"), row(2, "Rust borrow"), row(3, "Rusty nails")]
    }

    #[test]
    fn a_chat_is_resumed_by_its_number_or_by_words_of_its_title() {
        for (named, id) in [("3", 3), ("#2", 2), ("bread", 1), ("nails rust", 3)] {
            let mut tester = Tester::saving();
            assert!(matches!(tester.send(&format!("/resume {named}"))[..], [Effect::ListChats]));
            let effects = tester.update(Msg::Chats(rows()));
            assert!(matches!(effects[..], [Effect::OpenChat(ChatId(found))] if found == id), "{named}: {effects:?}");
        }
    }

    #[test]
    fn a_chat_that_is_not_told_by_its_words_is_to_be_chosen() {
        let mut tester = Tester::saving();
        tester.send("/resume rust");
        assert!(tester.update(Msg::Chats(rows())).is_empty());
        assert!(matches!(tester.app.popup(), Popup::Chats(list) if list.matching().len() == 2));
        let mut tester = Tester::saving();
        tester.send("/resume cheese");
        tester.update(Msg::Chats(rows()));
        assert!(tester.app.notices()[0].contains("no chat has `cheese`"), "{:?}", tester.app.notices());
        assert!(tester.update(Msg::Chats(rows())).is_empty(), "it is looked for once");
    }

    #[test]
    fn a_model_is_chosen_by_its_name_or_what_tells_it_from_others() {
        let offers = || vec![here("qwen", None), here("qwen-large", None), download("smol")];
        for (named, found) in [("qwen", "qwen"), ("QWEN-", "qwen-large"), ("good smol", "smol")] {
            let mut tester = Tester::ready();
            assert!(matches!(tester.send(&format!("/model {named}"))[..], [Effect::ListModels]));
            let mut effects = tester.update(Msg::Offers(offers()));
            if found == "smol" {
                assert!(effects.is_empty(), "it is asked first");
                effects = tester.command(Command::Confirm);
            }
            assert!(matches!(&effects[..], [Effect::Get { offer, .. }] if offer.name == found), "{named}: {effects:?}");
        }
        let mut tester = Tester::ready();
        tester.send("/model qw");
        tester.update(Msg::Offers(offers()));
        assert!(matches!(tester.app.popup(), Popup::Models(picker) if picker.filter.text() == "qw"));
        let mut tester = Tester::ready();
        tester.send("/model llama");
        tester.update(Msg::Offers(offers()));
        assert!(tester.app.notices()[0].contains("no model is called `llama`"));
        let mut tester = Tester::ready();
        tester.be_offline();
        tester.send("/model smol");
        assert!(tester.update(Msg::Offers(offers())).is_empty());
        assert!(tester.app.notices()[0].contains("offline"), "{:?}", tester.app.notices());
    }

    #[test]
    fn a_path_and_a_place_on_the_hub_are_looked_for_and_chosen() {
        for typed in ["~/models/a b.gguf", "./x.gguf", "hf:owner/repo:Q4_K_M"] {
            let mut tester = Tester::ready();
            tester.send(&format!("/model {typed}"));
            let is_listed = typed.starts_with("hf:");
            let effects = tester.update(Msg::Offers(is_listed.then(|| here("x", None)).into_iter().collect()));
            assert!(matches!(&effects[..], [Effect::FindModel(found)] if found == typed), "{effects:?}");
            let effects = tester.update(Msg::ModelFound(Ok(Box::new(here("x", None)))));
            assert!(matches!(effects[..], [Effect::Get { .. }]), "{effects:?}");
            let notices = tester.app.notices().join(" ");
            assert_eq!(notices.contains("`tuichat models import --link "), !is_listed, "{typed}: {notices}");
        }
        let mut tester = Tester::ready();
        tester.send("/model hf:owner/repo");
        tester.update(Msg::Offers(Vec::new()));
        tester.update(Msg::ModelFound(Ok(Box::new(download("hf:owner/repo")))));
        assert!(matches!(tester.app.popup(), Popup::Confirm(_)));
        tester.send("/model ./no.gguf");
        tester.command(Command::Refuse);
        tester.update(Msg::ModelFound(Err("`./no.gguf` is not there".into())));
        assert_eq!(tester.app.notices(), ["`./no.gguf` is not there"]);
    }
}
