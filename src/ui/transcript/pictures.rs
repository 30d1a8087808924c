//! The pictures of the questions in view. They have rows once they are read; what is in view then stays where it is.

use std::sync::Arc;

use super::entry::{Entry, Look};
use super::{Anchor, Transcript};
use crate::ui::pictures::{Outcome, Picture, Protocol, Room, Wanted};
use crate::ui::theme::Theme;

impl Transcript {
    /// Says how pictures are shown, and in how many rows at most.
    pub fn show_pictures(&mut self, pictures: Option<(Protocol, u16)>) {
        self.picture_room = pictures;
    }

    /// The room for a picture; none in a theme without colour or with ASCII characters only.
    pub(super) fn room(&self, look: Look) -> Option<Room> {
        let (protocol, rows) = self.picture_room?;
        let is_plain = look.theme.ascii || look.theme.accent.fg.is_none();
        (!is_plain).then(|| Room { protocol, columns: look.text_width() as u16, rows })
    }

    /// The pictures in view.
    pub fn pictures(&self) -> Vec<Arc<Picture>> {
        self.pictures.clone()
    }

    /// The pictures that came into view and are to be read.
    pub fn wanted_pictures(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.wanted)
    }

    /// A picture came, or did not. Where the view begins below it, it begins there still.
    pub fn picture_came(&mut self, wanted: &Wanted, outcome: &Outcome, theme: &Theme) {
        let look = self.look(self.width, theme);
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if !matches!(entry, Entry::Question(_)) {
                continue;
            }
            let before = entry.height(look);
            let Entry::Question(question) = entry else { continue };
            question.pictures.came(wanted, outcome);
            let text = question.text.lines(look.text_width()).len().max(1);
            let after = entry.height(look);
            if let Anchor::At(place) = &mut self.anchor
                && place.entry == index
                && place.line >= text
            {
                place.line = (place.line + after).saturating_sub(before).max(text);
            }
        }
    }
}

/// Adds the pictures of an entry in view, and those that it lacks.
pub(super) fn collect(entry: &mut Entry, look: Look, pictures: &mut Vec<Arc<Picture>>, wanted: &mut Vec<Wanted>) {
    let (Entry::Question(question), Some(room)) = (entry, look.pictures) else { return };
    wanted.extend(question.pictures.ask(question.text.text(), room));
    pictures.extend(question.pictures.pictures(room).cloned());
}

#[cfg(test)]
mod tests {
    use super::super::{Question, WrappedText};
    use super::*;
    use crate::ui::msg::Scroll;
    use crate::ui::pictures::read;

    const SHOWN: Option<(Protocol, u16)> = Some((Protocol::Kitty, 5));

    fn question(text: &str) -> Entry {
        Entry::Question(Question { text: WrappedText::new(text), ..Question::default() })
    }

    /// Questions of which the first has a picture of 64 dots square.
    fn conversation(folder: &std::path::Path) -> Transcript {
        let path = folder.join("a.png");
        image::RgbaImage::new(64, 64).save(&path).unwrap();
        let mut transcript = Transcript::default();
        transcript.push(question(&format!("[image: {}]", path.display())));
        (0..4).for_each(|number| transcript.push(question(&format!("question {number}"))));
        transcript
    }

    fn lay_out(transcript: &mut Transcript, theme: &Theme) -> Vec<String> {
        transcript.show_pictures(SHOWN);
        transcript.lay_out(200, 5, theme);
        transcript.visible().iter().map(|line| line.to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_picture_is_wanted_once_it_is_in_view_and_its_rows_move_nothing_that_is() {
        let (folder, theme) = (tempfile::tempdir().unwrap(), Theme::dark());
        let mut transcript = conversation(folder.path());
        lay_out(&mut transcript, &theme);
        assert!(transcript.wanted_pictures().is_empty());
        // The empty line below the first question comes into view.
        transcript.scroll(Scroll::Lines(-4), &theme);
        let before = lay_out(&mut transcript, &theme);
        assert_eq!(before[..2], ["", "› question 0"]);
        let wanted = transcript.wanted_pictures();
        assert_eq!(wanted.len(), 1);
        transcript.picture_came(&wanted[0], &read(&wanted[0]), &theme);
        assert_eq!(lay_out(&mut transcript, &theme), before);
        assert!(transcript.wanted_pictures().is_empty());
        transcript.scroll(Scroll::Lines(-2), &theme);
        let lines = lay_out(&mut transcript, &theme);
        assert!(lines[0].starts_with("  \u{10EEEE}") && lines[1].starts_with("  \u{10EEEE}"), "{lines:?}");
        assert_eq!(transcript.pictures().len(), 1);
        assert_eq!(lines[2..4], ["", "› question 0"]);
    }

    #[test]
    fn without_colour_in_ascii_or_in_another_terminal_a_picture_is_only_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut transcript = conversation(folder.path());
        transcript.scroll(Scroll::Top, &Theme::dark());
        for theme in [Theme::plain(), Theme { ascii: true, ..Theme::dark() }] {
            lay_out(&mut transcript, &theme);
            assert!(transcript.wanted_pictures().is_empty());
        }
        transcript.show_pictures(None);
        transcript.lay_out(200, 5, &Theme::dark());
        assert!(transcript.wanted_pictures().is_empty() && transcript.pictures().is_empty());
        assert!(transcript.visible()[0].to_string().contains("a.png]"));
    }

    #[test]
    fn what_cannot_be_shown_is_told_below_its_name() {
        let (folder, theme) = (tempfile::tempdir().unwrap(), Theme::dark());
        let mut transcript = conversation(folder.path());
        std::fs::remove_file(folder.path().join("a.png")).unwrap();
        transcript.scroll(Scroll::Top, &theme);
        lay_out(&mut transcript, &theme);
        for wanted in transcript.wanted_pictures() {
            transcript.picture_came(&wanted, &read(&wanted), &theme);
        }
        assert_eq!(lay_out(&mut transcript, &theme)[1], "  a.png is not shown: it is not there any more");
    }

    #[test]
    fn what_an_answer_names_is_never_wanted() {
        let mut transcript = Transcript::default();
        let answer = super::super::Answer::saved(
            "[image: /etc/hostname]\n\n![x](/etc/hostname)",
            String::new(),
            super::super::End::Ended(crate::chat::Ended::Stop),
            Default::default(),
        );
        transcript.push(Entry::Answer(Box::new(answer)));
        lay_out(&mut transcript, &Theme::dark());
        assert!(transcript.wanted_pictures().is_empty());
    }
}
