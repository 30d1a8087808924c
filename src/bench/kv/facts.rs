//! The facts that are hidden in a text: sentences about things that are not in it, with a question about each.

use crate::bench::draw::Draw;
use crate::bench::texts::Style;

/// A sentence that tells something, and the question about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub sentence: String,
    pub question: String,
    pub answer: String,
}

const PLACES: [&str; 24] = [
    "Ambleforth",
    "Birkhollow",
    "Carrowdale",
    "Dunmeath",
    "Eastlorne",
    "Fernworthy",
    "Garsby",
    "Hexwick",
    "Inverlath",
    "Jarnholt",
    "Kelmarsh",
    "Larkhope",
    "Marrowby",
    "Nethercombe",
    "Oxlade",
    "Pendrift",
    "Quernham",
    "Ravensby",
    "Stavely",
    "Thornmere",
    "Ulverdon",
    "Vellacott",
    "Wexcombe",
    "Yarrowgate",
];
const FIRST_NAMES: [&str; 20] = [
    "Orla", "Tobias", "Imogen", "Casper", "Delphine", "Edwin", "Felicity", "Gideon", "Harriet", "Ivor", "Jocasta",
    "Kester", "Lavinia", "Matthias", "Nerissa", "Osbert", "Petra", "Quentin", "Rosalind", "Silas",
];
const LAST_NAMES: [&str; 20] = [
    "Penhallow",
    "Ashdown",
    "Brackenbury",
    "Crowhurst",
    "Dunwoody",
    "Ellingham",
    "Fairbrass",
    "Gathercole",
    "Hollowell",
    "Inglethorpe",
    "Jessamy",
    "Kirkbride",
    "Lovelace",
    "Merrydew",
    "Netherby",
    "Oldershaw",
    "Pettigrew",
    "Quillfeather",
    "Ravenscroft",
    "Stonebridge",
];
/// Things that have a number.
const LOCKED: [&str; 16] = [
    "north gate",
    "wine cellar",
    "archive room",
    "boathouse",
    "clock tower",
    "greenhouse",
    "observatory",
    "powder store",
    "map room",
    "servants' hall",
    "ice house",
    "chapel vault",
    "coach house",
    "signal hut",
    "dye works",
    "seed bank",
];
/// Work that somebody does somewhere.
const POSTS: [&str; 12] = [
    "lighthouse keeper",
    "ferryman",
    "bell founder",
    "beekeeper",
    "postmaster",
    "harbour pilot",
    "miller",
    "glazier",
    "organist",
    "apothecary",
    "schoolteacher",
    "stonemason",
];
const QUALITIES: [&str; 14] = [
    "brass",
    "ivory",
    "copper",
    "velvet",
    "walnut",
    "pewter",
    "crimson",
    "enamel",
    "marble",
    "leather",
    "silver",
    "turquoise",
    "porcelain",
    "cedar",
];
const OBJECTS: [&str; 14] = [
    "compass",
    "thimble",
    "sextant",
    "lantern",
    "flute",
    "inkwell",
    "barometer",
    "chess set",
    "hourglass",
    "bookend",
    "medallion",
    "sundial",
    "whistle",
    "kaleidoscope",
];
const HIDING_PLACES: [&str; 10] = [
    "under the loose floorboard",
    "behind the linen press",
    "inside the old churn",
    "beneath the mulberry tree",
    "in the hollow banister",
    "above the stable door",
    "below the third step",
    "among the seed trays",
    "inside the broken organ pipe",
    "behind the fire screen",
];
const COMPONENTS: [&str; 12] = [
    "retry scheduler",
    "spool writer",
    "lease tracker",
    "glyph atlas",
    "mirror daemon",
    "journal compactor",
    "token broker",
    "heartbeat monitor",
    "shard balancer",
    "quota ledger",
    "replay buffer",
    "beacon resolver",
];

/// A code of seven digits.
pub fn number(draw: &mut Draw) -> Fact {
    let (thing, place) = (draw.one_of(&LOCKED), draw.one_of(&PLACES));
    number_of(draw, &format!("{thing} in {place}"))
}

fn number_of(draw: &mut Draw, thing: &str) -> Fact {
    let code = 1_000_000 + draw.below(9_000_000);
    Fact {
        sentence: format!("The access code of the {thing} is {code}."),
        question: format!("What is the access code of the {thing}? Answer with the code only."),
        answer: code.to_string(),
    }
}

/// The name of a person, or of a place.
pub fn name(draw: &mut Draw) -> Fact {
    let person = person(draw);
    let (post, place) = (draw.one_of(&POSTS), draw.one_of(&PLACES));
    if draw.below(2) == 0 {
        return post_of(post, place, &person);
    }
    Fact {
        sentence: format!("The famous {post} {person} was born in {place}."),
        question: format!("Where was the famous {post} {person} born? Answer with the name of the place only."),
        answer: (*place).to_owned(),
    }
}

fn post_of(post: &str, place: &str, person: &str) -> Fact {
    Fact {
        sentence: format!("The {post} of {place} is called {person}."),
        question: format!("What is the {post} of {place} called? Answer with the full name only."),
        answer: person.to_owned(),
    }
}

fn person(draw: &mut Draw) -> String {
    format!("{} {}", draw.one_of(&FIRST_NAMES), draw.one_of(&LAST_NAMES))
}

/// Something that could stand in a text of this style anyway.
pub fn in_place(style: Style, draw: &mut Draw) -> Fact {
    let object = format!("{} {}", draw.one_of(&QUALITIES), draw.one_of(&OBJECTS));
    let (person, place) = (draw.one_of(&LAST_NAMES), draw.one_of(&HIDING_PLACES));
    let component = draw.one_of(&COMPONENTS);
    // Not a round number, which a manual is full of.
    let limit = 1000 + draw.below(900) * 10 + 1 + draw.below(9);
    match style {
        Style::Novel => Fact {
            sentence: format!("All this while old {person} had kept a {object} {place}, and told nobody of it."),
            question: format!("What had old {person} kept {place}? Answer with the thing only."),
            answer: object,
        },
        Style::Play => Fact {
            sentence: format!("If you please, Colonel {person} has left his {object} {place}."),
            question: format!("What has Colonel {person} left {place}? Answer with the thing only."),
            answer: object,
        },
        Style::Manual => Fact {
            sentence: format!("By default, the {component} waits {limit} milliseconds before it gives up."),
            question: format!(
                "How many milliseconds does the {component} wait by default before it gives up? Answer with the number only."
            ),
            answer: limit.to_string(),
        },
        Style::Code => Fact {
            sentence: format!("The {component} must never hold more than {limit} entries."),
            question: format!("How many entries may the {component} hold at most? Answer with the number only."),
            answer: limit.to_string(),
        },
    }
}

/// A fact and so many others of the same form about other things, none with a word of the answer.
pub fn look_alikes(others: usize, draw: &mut Draw) -> (Fact, Vec<Fact>) {
    let is_number = draw.below(2) == 0;
    let (thing, post) = (draw.one_of(&LOCKED), draw.one_of(&POSTS));
    // The same thing or work in another place: the question tells them apart by one word.
    let another = |draw: &mut Draw| {
        let place = draw.one_of(&PLACES);
        if is_number { number_of(draw, &format!("{thing} in {place}")) } else { post_of(post, place, &person(draw)) }
    };
    let asked = another(draw);
    let mut alike: Vec<Fact> = Vec::new();
    while alike.len() < others {
        let fact = another(draw);
        let differs = |other: &Fact| other.question != fact.question && !shares_a_word(other, &fact);
        if differs(&asked) && alike.iter().all(differs) {
            alike.push(fact);
        }
    }
    (asked, alike)
}

fn shares_a_word(one: &Fact, other: &Fact) -> bool {
    one.answer.split(' ').any(|word| other.answer.split(' ').any(|other| word == other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::exact;

    fn all(seed: u64) -> Vec<Fact> {
        let mut draw = Draw::new(seed, 0);
        let styles = [Style::Novel, Style::Play, Style::Manual, Style::Code];
        let mut facts = vec![number(&mut draw), name(&mut draw)];
        facts.extend(styles.map(|style| in_place(style, &mut draw)));
        facts
    }

    #[test]
    fn a_fact_tells_its_answer_once_and_its_question_does_not() {
        for fact in (0..200).flat_map(all) {
            assert_eq!(exact::occurrences(&fact.sentence, &fact.answer), 1, "{fact:?}");
            assert!(!exact::holds(&fact.question, &fact.answer), "{fact:?}");
        }
    }

    #[test]
    fn look_alikes_have_one_form_and_never_the_answer() {
        for seed in 0..200 {
            let (asked, others) = look_alikes(4, &mut Draw::new(seed, 0));
            assert_eq!(others.len(), 4);
            for other in &others {
                assert!(!exact::holds(&other.sentence, &asked.answer), "{asked:?} {other:?}");
                assert!(!shares_a_word(other, &asked), "{asked:?} {other:?}");
                assert_eq!(other.sentence.split(' ').count(), asked.sentence.split(' ').count());
                assert_ne!(other.question, asked.question);
            }
        }
    }
}
