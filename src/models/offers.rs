//! What a person can choose among: a model that is on this machine, or one that can be downloaded, with what is known
//! of it. Plain data; it is put together by `commands::offers`.

use super::Found;
use super::fit::Verdict;

/// A model to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// What it is called; a download is named as in the catalogue.
    pub name: String,
    pub place: Place,
    /// How it would do on this machine, where that can be told.
    pub verdict: Option<Verdict>,
    /// Tokens of an answer in a second, predicted or measured here.
    pub tokens_per_second: Option<f64>,
    /// What it is good for, in a few words.
    pub note: String,
    /// It is the one to begin with on this machine.
    pub is_recommended: bool,
}

impl Offer {
    pub fn is_here(&self) -> bool {
        matches!(self.place, Place::Here { .. })
    }
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here {
        /// The other program whose it is, such as `Ollama`; `None` for a model of our own library.
        owner: Option<String>,
        /// The file.
        found: Found,
    },
    /// On a server that answers itself.
    Server {
        /// Which one, as it is typed.
        engine: String,
        /// What the model is called there; empty where the server does not tell what it has.
        model: String,
        /// The machine that text goes to, if that is another one.
        host: Option<String>,
    },
    /// On the hub.
    Download {
        /// Its size, where it is known beforehand.
        bytes: Option<u64>,
        /// Its address there, without the beginning that all have.
        from: String,
        /// What is free on the disk that would hold it, where that is known.
        free_bytes: Option<u64>,
    },
}

/// In the order to be shown: what is here, what servers have, what is recommended, the rest, and servers that do not
/// answer, each as it came.
pub fn arranged(offers: impl IntoIterator<Item = Offer>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = offers.into_iter().collect();
    let rank = |place: &Place| match place {
        Place::Here { .. } => 0,
        Place::Server { model, .. } if model.is_empty() => 3,
        Place::Server { .. } => 1,
        Place::Download { .. } => 2,
    };
    offers.sort_by_key(|offer| (rank(&offer.place), !offer.is_recommended));
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str, is_here: bool, is_recommended: bool) -> Offer {
        let found = Found { name: name.into(), path: name.into(), sha256: None };
        let download = Place::Download { bytes: None, from: String::new(), free_bytes: None };
        let place = if is_here { Place::Here { owner: None, found } } else { download };
        let (verdict, tokens_per_second, note) = (None, None, String::new());
        Offer { name: name.into(), place, verdict, tokens_per_second, note, is_recommended }
    }

    #[test]
    fn what_is_here_comes_first_then_what_is_recommended() {
        let offers = [
            offer("large", false, false),
            offer("fitting", false, true),
            offer("here", true, false),
            offer("small", false, false),
            offer("here too", true, false),
        ];
        let names: Vec<String> = arranged(offers).into_iter().map(|offer| offer.name).collect();
        assert_eq!(names, ["here", "here too", "fitting", "large", "small"]);
    }
}
