//! What is asked before a model is downloaded, over the chat.

use super::{App, Ask, Popup, Question};
use crate::models::offers::{Offer, Place};
use crate::ui::msg::Effect;

/// The question, and the model that it is about.
#[derive(Debug)]
pub struct Confirm {
    pub offer: Box<Offer>,
    /// The smallest model that can be downloaded, if that is another one.
    pub smallest: Option<Box<Offer>>,
    pub top: u16,
    /// The list was open before.
    comes_from_list: bool,
}

impl App {
    /// Asks whether to download a model.
    pub(super) fn ask_before_download(&mut self, offer: Offer) {
        let comes_from_list =
            matches!(self.popup, Popup::Models(_) | Popup::Confirm(Confirm { comes_from_list: true, .. }));
        let smallest = smallest(self.offers.as_deref().unwrap_or_default()).filter(|other| other.name != offer.name);
        let smallest = smallest.cloned().map(Box::new);
        self.popup = Popup::Confirm(Confirm { smallest, offer: Box::new(offer), top: 0, comes_from_list });
    }

    /// It was asked about this one before: a download that was stopped, or is under way.
    pub(super) fn was_confirmed(&self, offer: &Offer) -> bool {
        let began = |progress: &Option<_>| progress.is_some();
        let stopped =
            self.stopped_download().is_some_and(|stopped| stopped.name == offer.name && began(&stopped.progress));
        stopped || self.download().is_some_and(|download| download.name == offer.name)
    }

    /// Yes: the model is downloaded, or done what else was asked.
    pub(super) fn confirm(&mut self) -> Vec<Effect> {
        match std::mem::take(&mut self.popup) {
            Popup::Confirm(Confirm { offer, .. }) => self.get(*offer),
            Popup::Ask(Ask { question, .. }) => self.do_what_was_asked(question),
            other => {
                self.popup = other;
                Vec::new()
            }
        }
    }

    /// Rather the smallest one: the question is about that now.
    pub(super) fn take_smallest(&mut self) {
        if let Popup::Confirm(Confirm { smallest, .. }) = &mut self.popup
            && let Some(offer) = smallest.take()
        {
            self.ask_before_download(*offer);
        }
    }

    /// No: back to where one came from.
    pub(super) fn refuse_download(&mut self) -> Vec<Effect> {
        match std::mem::take(&mut self.popup) {
            Popup::Confirm(Confirm { offer, comes_from_list: true, .. }) => self.list_models_at(Some(offer.name)),
            Popup::Ask(Ask { question: question @ Question::SendTo(_), .. }) => {
                self.leave_what_was_asked(&question);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn smallest(offers: &[Offer]) -> Option<&Offer> {
    let sized = offers.iter().filter_map(|offer| match offer.place {
        Place::Download { bytes: Some(bytes), .. } => Some((bytes, offer)),
        _ => None,
    });
    sized.min_by_key(|(bytes, _)| *bytes).map(|(_, offer)| offer)
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::models::Progress;
    use crate::ui::app::tester::{Tester, download, here};
    use crate::ui::msg::{Command, Msg};

    fn sized(name: &str, bytes: u64) -> Offer {
        let Place::Download { from, free_bytes, .. } = download(name).place else { panic!() };
        Offer { place: Place::Download { bytes: Some(bytes), from, free_bytes }, ..download(name) }
    }

    fn choosing() -> Tester {
        let mut tester = Tester::choosing(None).0;
        tester.update(Msg::Offers(vec![sized("large", 1_120_000_000), sized("tiny", 98_000_000), here("old", None)]));
        tester
    }

    fn asked(tester: &Tester) -> Option<&str> {
        match tester.app.popup() {
            Popup::Confirm(confirm) => Some(&confirm.offer.name),
            _ => None,
        }
    }

    fn press(tester: &mut Tester, code: KeyCode) -> Vec<Effect> {
        tester.key(code, KeyModifiers::NONE)
    }

    #[test]
    fn nothing_is_downloaded_before_it_was_asked_about() {
        let mut tester = choosing();
        assert!(press(&mut tester, KeyCode::Enter).is_empty());
        assert_eq!(asked(&tester), Some("large"));
        let effects = press(&mut tester, KeyCode::Enter);
        assert!(matches!(&effects[..], [Effect::Get { offer, .. }] if offer.name == "large"), "{effects:?}");
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }

    #[test]
    fn who_writes_instead_of_answering_downloads_nothing_and_loses_nothing() {
        let mut tester = choosing();
        press(&mut tester, KeyCode::Enter);
        tester.type_text("so what");
        assert_eq!((asked(&tester), tester.app.composer.text().as_str()), (None, "so what"));
        assert!(tester.app.notices()[0].starts_with("nothing is downloaded"), "{:?}", tester.app.notices());
        let effects = press(&mut tester, KeyCode::Enter);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Get { .. })), "{effects:?}");
        assert!(matches!(tester.app.popup(), Popup::Models(_)), "who sends without a model needs one");
        tester.update(Msg::Offers(vec![sized("tiny", 98_000_000)]));
        press(&mut tester, KeyCode::Enter);
        tester.update(Msg::Paste("? ".into()));
        assert_eq!((asked(&tester), tester.app.composer.text().as_str()), (None, "so what? "));
    }

    #[test]
    fn a_question_that_comes_later_takes_no_key_of_a_message() {
        let mut tester = Tester::ready();
        tester.send("/model tiny");
        tester.type_text("and n");
        assert!(tester.update(Msg::Offers(vec![sized("tiny", 98_000_000)])).is_empty());
        assert_eq!(asked(&tester), None);
        assert!(tester.app.notices()[0].contains("`/model tiny`"), "{:?}", tester.app.notices());
        tester.type_text("ow");
        assert_eq!(tester.app.composer.text(), "and now");
    }

    #[test]
    fn the_smallest_is_one_key_away() {
        let mut tester = choosing();
        press(&mut tester, KeyCode::Enter);
        assert!(press(&mut tester, KeyCode::Tab).is_empty());
        assert_eq!(asked(&tester), Some("tiny"));
        press(&mut tester, KeyCode::Tab);
        assert_eq!(asked(&tester), Some("tiny"), "there is no smaller one");
        assert!(matches!(&press(&mut tester, KeyCode::Enter)[..], [Effect::Get { offer, .. }] if offer.name == "tiny"));
    }

    #[test]
    fn escape_goes_back_to_the_list_and_what_is_here_needs_no_question() {
        let mut tester = choosing();
        press(&mut tester, KeyCode::Enter);
        press(&mut tester, KeyCode::Esc);
        assert!(matches!(tester.app.popup(), Popup::Models(_)));
        tester.type_text("old");
        assert!(matches!(press(&mut tester, KeyCode::Enter)[..], [Effect::Get { .. }]));

        let mut tester = Tester::ready();
        tester.send("/model tiny");
        tester.update(Msg::Offers(vec![sized("tiny", 98_000_000)]));
        assert_eq!(asked(&tester), Some("tiny"));
        press(&mut tester, KeyCode::Esc);
        assert!(matches!(tester.app.popup(), Popup::Closed), "no list was open");
    }

    #[test]
    fn a_download_that_was_stopped_goes_on_without_another_question() {
        let mut tester = choosing();
        let again = |tester: &mut Tester| {
            tester.command(Command::StopDownload);
            tester.command(Command::Models);
            tester.type_text("large");
            press(tester, KeyCode::Enter)
        };
        press(&mut tester, KeyCode::Enter);
        press(&mut tester, KeyCode::Enter);
        assert!(again(&mut tester).is_empty(), "nothing came of it yet, so it is asked again");
        let effects = press(&mut tester, KeyCode::Enter);
        let &[Effect::Get { choice, .. }] = &effects[..] else { panic!("{effects:?}") };
        let step = crate::models::Step::Downloading;
        let progress = Progress { step, done_bytes: 450, total_bytes: 1000, bytes_per_second: None };
        tester.update(Msg::Downloading { choice, progress });
        assert!(matches!(&again(&mut tester)[..], [Effect::Get { .. }]));
    }
}
