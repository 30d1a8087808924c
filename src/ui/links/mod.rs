//! Links on the screen that lead somewhere: terminals that can (OSC 8) open the address of a cell that is clicked.
//!
//! Cells have no place for an address. A style that belongs to a link bears a tag instead, as the colour of its
//! underline, which nothing else here uses; wrapping, tables and the buffer carry it along like any style. When a frame
//! is written, [`Hyperlinks`] puts the address in its place.

mod address;
mod backend;

use std::collections::HashMap;
use std::sync::Arc;

pub use address::addresses;
pub use backend::{Hyperlinks, Targets, are_understood};

use ratatui::style::{Color, Style};

/// What the tags of a text stand for.
#[derive(Clone, Debug, Default)]
pub struct Links {
    addresses: HashMap<Tag, Arc<str>>,
}

/// What stands for an address: the first 24 bits of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

impl Tag {
    fn of(address: &str) -> Self {
        Tag((xxhash_rust::xxh3::xxh3_64(address.as_bytes()) >> 40) as u32)
    }

    fn style(self) -> Style {
        let [_, red, green, blue] = self.0.to_be_bytes();
        Style::new().underline_color(Color::Rgb(red, green, blue))
    }

    /// The tag that the underline's colour is.
    pub fn from_colour(colour: Color) -> Option<Self> {
        match colour {
            Color::Rgb(red, green, blue) => Some(Tag(u32::from_be_bytes([0, red, green, blue]))),
            _ => None,
        }
    }
}

impl Links {
    /// What marks the cells that lead to `address`; nothing if that is not an address to open, or one with the same
    /// hash leads elsewhere.
    pub fn tag(&mut self, address: &str) -> Style {
        let Some(address) = address::safe(address) else { return Style::new() };
        let tag = Tag::of(&address);
        let known = self.addresses.entry(tag).or_insert_with(|| Arc::from(address.as_str()));
        if **known == *address { tag.style() } else { Style::new() }
    }

    /// Where cells with this tag lead.
    pub fn address(&self, tag: Tag) -> Option<&Arc<str>> {
        self.addresses.get(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_for_its_address() {
        let mut links = Links::default();
        let style = links.tag("https://e.org/a");
        let tag = style.underline_color.and_then(Tag::from_colour).expect("a tag");
        assert_eq!(links.address(tag).map(AsRef::as_ref), Some("https://e.org/a"));
        assert_ne!(links.tag("https://e.org/b"), style);
    }

    #[test]
    fn what_is_not_safe_to_open_has_no_tag() {
        assert_eq!(Links::default().tag("javascript:alert(1)"), Style::new());
    }
}
