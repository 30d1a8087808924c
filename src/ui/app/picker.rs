//! The list of models to choose among, over the chat.

use super::{App, Opening, Popup, getting};
use crate::models::offers::{Offer, Place, arranged};
use crate::text::escape_line;
use crate::ui::composer::Field;
use crate::ui::msg::Effect;

/// The list of models while it is open.
#[derive(Debug, Default)]
pub struct Picker {
    pub filter: Field,
    pub chosen: usize,
    /// The choice is to be on this model once the list is there.
    wanted: Option<String>,
}

impl Picker {
    pub(super) fn new(wanted: Option<String>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// With what was typed already.
    pub(super) fn filtered(filter: &str) -> Self {
        Self { filter: Field::holding(filter), ..Self::default() }
    }

    /// The offers in which all of the words stand that were typed.
    pub fn matching<'o>(&self, offers: &'o [Offer]) -> Vec<&'o Offer> {
        let filter = self.filter.text().to_lowercase();
        let matches = |offer: &&Offer| {
            let text = format!("{} {} {}", offer.name, offer.note, owner(offer).unwrap_or_default()).to_lowercase();
            filter.split_whitespace().all(|word| text.contains(word))
        };
        offers.iter().filter(matches).collect()
    }

    fn chosen_offer<'o>(&self, offers: &'o [Offer]) -> Option<&'o Offer> {
        self.matching(offers).get(self.chosen).copied()
    }

    fn choose(&mut self, name: &str, offers: &[Offer]) {
        let place = self.matching(offers).iter().position(|offer| offer.name == name);
        self.chosen = place.unwrap_or(self.chosen);
        self.move_by(0, offers);
    }

    fn move_by(&mut self, by: i16, offers: &[Offer]) {
        let last = self.matching(offers).len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by.into()).min(last);
    }

    /// The person has taken the choice in hand.
    pub(super) fn narrow(&mut self) {
        self.chosen = 0;
        self.wanted = None;
    }
}

/// The program whose model it is.
fn owner(offer: &Offer) -> Option<&str> {
    match &offer.place {
        Place::Here { owner, .. } => owner.as_deref(),
        Place::Server { engine, .. } => Some(engine),
        Place::Download { .. } => None,
    }
}

impl App {
    /// Opens on the list, if that is wanted.
    pub(super) fn open_on(&mut self, opening: Opening) -> Option<Effect> {
        match opening {
            Opening::Chat => None,
            Opening::Models { chosen } => {
                self.popup = Popup::Models(Picker::new(chosen));
                Some(Effect::ListModels)
            }
        }
    }

    /// Opens the list, with the choice on what is being downloaded, was stopped, or is in use. What it held the last time
    /// is shown until it was looked anew.
    pub(super) fn list_models(&mut self) -> Vec<Effect> {
        let in_use = || self.model.as_ref().filter(|model| model.server.is_some()).map(|model| model.name.clone());
        let in_use = || in_use().or_else(|| self.getting.loaded().map(getting::name));
        let coming = self.download().map(|download| download.name.clone());
        let stopped = || self.stopped_download().map(|stopped| stopped.name.clone());
        let current = coming.or_else(stopped).or_else(in_use);
        self.list_models_at(current)
    }

    /// Opens the list, with the choice on the model of this name.
    pub(super) fn list_models_at(&mut self, current: Option<String>) -> Vec<Effect> {
        let mut picker = Picker::new(current.clone());
        if let (Some(name), Some(offers)) = (&current, &self.offers) {
            picker.choose(name, offers);
        }
        self.popup = Popup::Models(picker);
        vec![Effect::ListModels]
    }

    pub(super) fn models_listed(&mut self, offers: Vec<Offer>) -> Vec<Effect> {
        let offers = match self.of_servers.is_empty() {
            true => offers,
            false => arranged(offers.into_iter().chain(self.of_servers.clone())),
        };
        self.take_offers(offers);
        self.find_model()
    }

    /// Servers have told what they have, which takes longer than looking on the disk.
    pub(super) fn servers_listed(&mut self, offers: Vec<Offer>) {
        if offers == self.of_servers {
            return;
        }
        self.of_servers = offers;
        if let Some(offers) = self.offers.clone() {
            let others = offers.into_iter().filter(|offer| !matches!(offer.place, Place::Server { .. }));
            self.take_offers(arranged(others.chain(self.of_servers.clone())));
        }
    }

    fn take_offers(&mut self, offers: Vec<Offer>) {
        if let Popup::Models(picker) = &mut self.popup {
            let before = self.offers.as_deref().and_then(|offers| picker.chosen_offer(offers));
            // It may be among those that are told later.
            let is_there = |name: &mut String| offers.iter().any(|offer| offer.name == *name);
            let wanted = picker.wanted.take_if(is_there);
            let chosen = wanted.or_else(|| before.map(|offer| offer.name.clone()));
            picker.choose(&chosen.unwrap_or_default(), &offers);
        }
        self.offers = Some(offers);
    }

    /// What there is to choose among; `None` until it was looked for.
    pub fn offers(&self) -> Option<&[Offer]> {
        self.offers.as_deref()
    }

    pub(super) fn move_in_models(&mut self, by: i16) {
        if let (Popup::Models(picker), Some(offers)) = (&mut self.popup, &self.offers) {
            picker.wanted = None;
            picker.move_by(by, offers);
        }
    }

    pub(super) fn choose_model(&mut self) -> Vec<Effect> {
        let Popup::Models(picker) = &self.popup else { return Vec::new() };
        let Some(offer) = self.offers.as_deref().and_then(|offers| picker.chosen_offer(offers)) else {
            return Vec::new();
        };
        // The list itself says why it cannot be had.
        if self.is_unavailable(offer) {
            return Vec::new();
        }
        let offer = offer.clone();
        self.choose_offer(offer)
    }

    /// Gets a model, unless it is there or cannot be had; before a download it is asked.
    pub(super) fn choose_offer(&mut self, offer: Offer) -> Vec<Effect> {
        if self.is_to_be_asked(&offer) {
            self.ask_before_download(offer);
            return Vec::new();
        }
        self.popup = Popup::Closed;
        if self.is_unavailable(&offer) {
            self.notice(format!(
                "`{}` is not here, and `offline` is set: `tuichat models import FILE` brings a file",
                escape_line(&offer.name)
            ));
            return Vec::new();
        }
        if self.is_in_use(&offer) { Vec::new() } else { self.get(offer) }
    }

    /// It would be downloaded, and the person has not said so yet.
    pub(super) fn is_to_be_asked(&self, offer: &Offer) -> bool {
        let is_download = matches!(offer.place, Place::Download { .. });
        is_download && !self.is_offline && !self.was_confirmed(offer)
    }

    /// It would have to be downloaded, and nothing may be.
    pub fn is_unavailable(&self, offer: &Offer) -> bool {
        self.is_offline && matches!(offer.place, Place::Download { .. })
    }

    /// It is the model that is loaded.
    pub fn is_in_use(&self, offer: &Offer) -> bool {
        let Some(loaded) = self.getting.loaded() else { return false };
        match (&offer.place, &loaded.server) {
            (Place::Here { found, .. }, None) => found.path == loaded.path,
            (Place::Server { engine, model, .. }, Some(server)) => {
                let asked = self.model.as_ref().map_or(&loaded.path, |model| &model.path);
                engine == server.typed() && asked.as_os_str() == model.as_str()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::engine::protocol::{EngineError, Step};
    use crate::ui::app::tester::{Tester, download, here, settings};
    use crate::ui::msg::{Command, Msg};

    fn offers() -> Vec<Offer> {
        vec![here("tiny", Some("Ollama")), download("medium"), download("large"), download("small")]
    }

    fn chosen(tester: &Tester) -> Option<String> {
        let Popup::Models(picker) = tester.app.popup() else { return None };
        picker.chosen_offer(tester.app.offers()?).map(|offer| offer.name.clone())
    }

    #[test]
    fn without_a_model_the_list_is_what_is_seen_first() {
        let (mut tester, effects) = Tester::choosing(None);
        assert!(matches!(effects[..], [Effect::ReadDraft(None), Effect::ListModels]), "{effects:?}");
        assert_eq!(chosen(&tester), None);
        tester.update(Msg::Offers(offers()));
        assert_eq!(chosen(&tester).as_deref(), Some("tiny"));
        assert_eq!(tester.notes(), ["no model is here yet"], "the sentence is below it");
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(tester.app.popup(), Popup::Closed));
        assert!(matches!(tester.key(KeyCode::F(4), KeyModifiers::NONE)[..], [Effect::ListModels]));
        assert_eq!(chosen(&tester).as_deref(), Some("tiny"), "what was found is shown until it was looked anew");
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(tester.send("/models")[..], [Effect::ListModels]));
    }

    #[test]
    fn a_model_that_was_named_is_the_one_chosen() {
        let (mut tester, _) = Tester::choosing(Some("large"));
        tester.update(Msg::Offers(offers()));
        assert_eq!(chosen(&tester).as_deref(), Some("large"));
    }

    #[test]
    fn typing_filters_by_name_purpose_and_owner() {
        let (mut tester, _) = Tester::choosing(None);
        tester.update(Msg::Offers(offers()));
        for (typed, expected) in [("ollama", Some("tiny")), ("MED", Some("medium")), ("good lar", Some("large"))] {
            tester.type_text(typed);
            assert_eq!(chosen(&tester).as_deref(), expected, "{typed}");
            for _ in 0..typed.len() {
                tester.key(KeyCode::Backspace, KeyModifiers::NONE);
            }
        }
        tester.type_text("nothing");
        assert_eq!(chosen(&tester), None);
        assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty());
        assert!(matches!(tester.app.popup(), Popup::Models(_)));
    }

    #[test]
    fn the_choice_stays_on_its_model_when_the_list_changes() {
        let (mut tester, _) = Tester::choosing(None);
        tester.update(Msg::Offers(offers()));
        tester.key(KeyCode::PageDown, KeyModifiers::NONE);
        assert_eq!(chosen(&tester).as_deref(), Some("small"));
        tester.key(KeyCode::Up, KeyModifiers::NONE);
        tester.update(Msg::Offers([vec![here("another", None)], offers()].concat()));
        assert_eq!(chosen(&tester).as_deref(), Some("large"));
        tester.update(Msg::Offers(Vec::new()));
        assert_eq!(chosen(&tester), None);
    }

    #[test]
    fn a_model_in_use_is_not_loaded_again() {
        let mut tester = Tester::saving();
        tester.command(Command::Models);
        let mut offer = here("tiny", None);
        if let Place::Here { found, .. } = &mut offer.place {
            found.path = settings().path;
        }
        tester.update(Msg::Offers(vec![offer.clone()]));
        assert!(tester.app.is_in_use(&offer));
        assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty());
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }

    #[test]
    fn a_model_that_lost_its_server_is_loaded_again() {
        let mut tester = Tester::ready();
        let mut offer = here("tiny", None);
        if let Place::Here { found, .. } = &mut offer.place {
            found.path = settings().path;
        }
        tester.send("Hi");
        assert!(tester.app.is_in_use(&offer));
        tester.answer(Step::Failed(EngineError::ServerLost("the server is gone".into())));
        assert!(!tester.app.is_in_use(&offer));
    }

    #[test]
    fn the_list_opens_on_the_model_in_use() {
        let mut tester = Tester::saving();
        tester.command(Command::Models);
        tester.update(Msg::Offers(vec![here("another", None), here("tiny.gguf", None)]));
        assert_eq!(chosen(&tester).as_deref(), Some("tiny.gguf"));
    }

    #[test]
    fn without_the_network_only_what_is_here_can_be_chosen() {
        let (mut tester, _) = Tester::choosing(None);
        tester.be_offline();
        tester.update(Msg::Offers(offers()));
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty());
        assert!(matches!(tester.app.popup(), Popup::Models(_)));
        tester.key(KeyCode::Up, KeyModifiers::NONE);
        assert!(matches!(tester.key(KeyCode::Enter, KeyModifiers::NONE)[..], [Effect::Get { .. }]));
    }
}
