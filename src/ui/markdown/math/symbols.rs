//! What LaTeX's commands and letters are in Unicode.

/// How a symbol stands among others, which decides the spaces round it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A letter, a number, and whatever behaves like one.
    Ordinary,
    /// A function's name.
    Function,
    /// A function's name with limits below it.
    Limit,
    /// A large operator with limits above and below.
    Large,
    /// An integral sign: limits stand beside it.
    Integral,
    Binary,
    Relation,
    Open,
    Close,
    Punctuation,
}

use Class::{Binary, Close, Function, Integral, Large, Limit, Open, Ordinary, Punctuation, Relation};

const SYMBOLS: &[(Class, &[(&str, &str)])] = &[
    (
        Ordinary,
        &[
            ("alpha", "α"),
            ("beta", "β"),
            ("gamma", "γ"),
            ("delta", "δ"),
            ("epsilon", "ε"),
            ("varepsilon", "ε"),
            ("zeta", "ζ"),
            ("eta", "η"),
            ("theta", "θ"),
            ("vartheta", "ϑ"),
            ("iota", "ι"),
            ("kappa", "κ"),
            ("lambda", "λ"),
            ("mu", "μ"),
            ("nu", "ν"),
            ("xi", "ξ"),
            ("omicron", "ο"),
            ("pi", "π"),
            ("varpi", "ϖ"),
            ("rho", "ρ"),
            ("varrho", "ϱ"),
            ("sigma", "σ"),
            ("varsigma", "ς"),
            ("tau", "τ"),
            ("upsilon", "υ"),
            ("phi", "φ"),
            ("varphi", "φ"),
            ("chi", "χ"),
            ("psi", "ψ"),
            ("omega", "ω"),
            ("Gamma", "Γ"),
            ("Delta", "Δ"),
            ("Theta", "Θ"),
            ("Lambda", "Λ"),
            ("Xi", "Ξ"),
            ("Pi", "Π"),
            ("Sigma", "Σ"),
            ("Upsilon", "Υ"),
            ("Phi", "Φ"),
            ("Psi", "Ψ"),
            ("Omega", "Ω"),
            ("infty", "∞"),
            ("partial", "∂"),
            ("nabla", "∇"),
            ("hbar", "ℏ"),
            ("ell", "ℓ"),
            ("Re", "ℜ"),
            ("Im", "ℑ"),
            ("aleph", "ℵ"),
            ("beth", "ℶ"),
            ("emptyset", "∅"),
            ("varnothing", "∅"),
            ("forall", "∀"),
            ("exists", "∃"),
            ("nexists", "∄"),
            ("neg", "¬"),
            ("lnot", "¬"),
            ("top", "⊤"),
            ("bot", "⊥"),
            ("angle", "∠"),
            ("triangle", "△"),
            ("square", "□"),
            ("Box", "□"),
            ("blacksquare", "■"),
            ("degree", "°"),
            ("prime", "′"),
            ("dots", "…"),
            ("ldots", "…"),
            ("cdots", "⋯"),
            ("vdots", "⋮"),
            ("ddots", "⋱"),
            ("dotsc", "…"),
            ("dotsb", "⋯"),
            ("checkmark", "✓"),
            ("dagger", "†"),
            ("ddagger", "‡"),
            ("S", "§"),
            ("P", "¶"),
            ("pounds", "£"),
            ("euro", "€"),
            ("wp", "℘"),
            ("imath", "ı"),
            ("jmath", "ȷ"),
            ("clubsuit", "♣"),
            ("diamondsuit", "♦"),
            ("heartsuit", "♥"),
            ("spadesuit", "♠"),
            ("therefore", "∴"),
            ("because", "∵"),
            ("vert", "|"),
            ("Vert", "‖"),
            ("backslash", "\\"),
            ("QED", "∎"),
            ("qed", "∎"),
            ("copyright", "©"),
            ("complement", "∁"),
            ("star", "⋆"),
            ("bigstar", "★"),
            ("flat", "♭"),
            ("sharp", "♯"),
        ],
    ),
    (
        Binary,
        &[
            ("pm", "±"),
            ("mp", "∓"),
            ("times", "×"),
            ("div", "÷"),
            ("cdot", "·"),
            ("ast", "∗"),
            ("circ", "∘"),
            ("bullet", "•"),
            ("cap", "∩"),
            ("cup", "∪"),
            ("sqcap", "⊓"),
            ("sqcup", "⊔"),
            ("vee", "∨"),
            ("lor", "∨"),
            ("wedge", "∧"),
            ("land", "∧"),
            ("setminus", "∖"),
            ("smallsetminus", "∖"),
            ("oplus", "⊕"),
            ("ominus", "⊖"),
            ("otimes", "⊗"),
            ("oslash", "⊘"),
            ("odot", "⊙"),
            ("wr", "≀"),
            ("uplus", "⊎"),
            ("amalg", "⨿"),
            ("bmod", "mod"),
            ("diamond", "⋄"),
            ("ltimes", "⋉"),
            ("rtimes", "⋊"),
        ],
    ),
    (
        Relation,
        &[
            ("leq", "≤"),
            ("le", "≤"),
            ("leqslant", "≤"),
            ("geq", "≥"),
            ("ge", "≥"),
            ("geqslant", "≥"),
            ("neq", "≠"),
            ("ne", "≠"),
            ("ll", "≪"),
            ("gg", "≫"),
            ("lt", "<"),
            ("gt", ">"),
            ("approx", "≈"),
            ("sim", "∼"),
            ("simeq", "≃"),
            ("cong", "≅"),
            ("equiv", "≡"),
            ("propto", "∝"),
            ("prec", "≺"),
            ("succ", "≻"),
            ("preceq", "⪯"),
            ("succeq", "⪰"),
            ("in", "∈"),
            ("notin", "∉"),
            ("ni", "∋"),
            ("subset", "⊂"),
            ("supset", "⊃"),
            ("subseteq", "⊆"),
            ("supseteq", "⊇"),
            ("subsetneq", "⊊"),
            ("supsetneq", "⊋"),
            ("nsubseteq", "⊈"),
            ("mid", "∣"),
            ("nmid", "∤"),
            ("parallel", "∥"),
            ("perp", "⊥"),
            ("vdash", "⊢"),
            ("dashv", "⊣"),
            ("models", "⊨"),
            ("vDash", "⊨"),
            ("asymp", "≍"),
            ("doteq", "≐"),
            ("coloneqq", "≔"),
            ("triangleq", "≜"),
            ("to", "→"),
            ("rightarrow", "→"),
            ("longrightarrow", "⟶"),
            ("leftarrow", "←"),
            ("gets", "←"),
            ("longleftarrow", "⟵"),
            ("leftrightarrow", "↔"),
            ("longleftrightarrow", "⟷"),
            ("Rightarrow", "⇒"),
            ("implies", "⟹"),
            ("Longrightarrow", "⟹"),
            ("Leftarrow", "⇐"),
            ("impliedby", "⟸"),
            ("Leftrightarrow", "⇔"),
            ("iff", "⟺"),
            ("Longleftrightarrow", "⟺"),
            ("mapsto", "↦"),
            ("longmapsto", "⟼"),
            ("hookrightarrow", "↪"),
            ("hookleftarrow", "↩"),
            ("uparrow", "↑"),
            ("downarrow", "↓"),
            ("updownarrow", "↕"),
            ("Uparrow", "⇑"),
            ("Downarrow", "⇓"),
            ("nearrow", "↗"),
            ("searrow", "↘"),
            ("rightharpoonup", "⇀"),
            ("rightleftharpoons", "⇌"),
            ("leadsto", "⇝"),
            ("rightsquigarrow", "⇝"),
            ("twoheadrightarrow", "↠"),
            ("lesssim", "≲"),
            ("gtrsim", "≳"),
            ("colon", ":"),
            ("trianglelefteq", "⊴"),
            ("vartriangleleft", "⊲"),
            ("sqsubseteq", "⊑"),
        ],
    ),
    (
        Large,
        &[
            ("sum", "∑"),
            ("prod", "∏"),
            ("coprod", "∐"),
            ("bigcup", "⋃"),
            ("bigcap", "⋂"),
            ("bigvee", "⋁"),
            ("bigwedge", "⋀"),
            ("bigoplus", "⨁"),
            ("bigotimes", "⨂"),
            ("bigsqcup", "⨆"),
        ],
    ),
    (Integral, &[("int", "∫"), ("iint", "∬"), ("iiint", "∭"), ("oint", "∮"), ("oiint", "∯")]),
    (
        Function,
        &[
            ("sin", "sin"),
            ("cos", "cos"),
            ("tan", "tan"),
            ("cot", "cot"),
            ("sec", "sec"),
            ("csc", "csc"),
            ("arcsin", "arcsin"),
            ("arccos", "arccos"),
            ("arctan", "arctan"),
            ("sinh", "sinh"),
            ("cosh", "cosh"),
            ("tanh", "tanh"),
            ("coth", "coth"),
            ("ln", "ln"),
            ("log", "log"),
            ("lg", "lg"),
            ("exp", "exp"),
            ("det", "det"),
            ("dim", "dim"),
            ("ker", "ker"),
            ("deg", "deg"),
            ("gcd", "gcd"),
            ("lcm", "lcm"),
            ("hom", "hom"),
            ("arg", "arg"),
            ("Pr", "Pr"),
            ("mod", "mod"),
            ("sgn", "sgn"),
            ("tr", "tr"),
            ("rank", "rank"),
        ],
    ),
    (
        Limit,
        &[
            ("lim", "lim"),
            ("limsup", "lim sup"),
            ("liminf", "lim inf"),
            ("max", "max"),
            ("min", "min"),
            ("sup", "sup"),
            ("inf", "inf"),
            ("argmax", "arg max"),
            ("argmin", "arg min"),
        ],
    ),
    (
        Open,
        &[
            ("langle", "⟨"),
            ("lfloor", "⌊"),
            ("lceil", "⌈"),
            ("lbrace", "{"),
            ("lbrack", "["),
            ("lvert", "|"),
            ("lVert", "‖"),
            ("{", "{"),
        ],
    ),
    (
        Close,
        &[
            ("rangle", "⟩"),
            ("rfloor", "⌋"),
            ("rceil", "⌉"),
            ("rbrace", "}"),
            ("rbrack", "]"),
            ("rvert", "|"),
            ("rVert", "‖"),
            ("}", "}"),
        ],
    ),
    (Ordinary, &[("|", "‖"), ("$", "$"), ("%", "%"), ("&", "&"), ("#", "#"), ("_", "_")]),
];

/// The symbol that a command stands for.
pub fn symbol(command: &str) -> Option<(&'static str, Class)> {
    SYMBOLS.iter().find_map(|(class, symbols)| {
        symbols.iter().find(|(name, _)| *name == command).map(|(_, symbol)| (*symbol, *class))
    })
}

/// What a character of a formula is shown as.
pub fn character(character: char) -> (char, Class) {
    match character {
        '+' | '±' | '×' | '÷' | '·' => (character, Binary),
        '*' => ('∗', Binary),
        '-' => ('−', Binary),
        '=' | '<' | '>' | ':' | '≤' | '≥' | '≠' | '≈' | '→' | '∈' => (character, Relation),
        ',' | ';' => (character, Punctuation),
        '(' | '[' => (character, Open),
        ')' | ']' | '!' | '?' => (character, Close),
        '\'' => ('′', Ordinary),
        other => (other, Ordinary),
    }
}

/// The mark that stands over or under what an accent is put on.
pub fn accent(command: &str) -> Option<char> {
    Some(match command {
        "hat" | "widehat" => '\u{302}',
        "bar" => '\u{304}',
        "overline" => '\u{305}',
        "underline" => '\u{332}',
        "vec" | "overrightarrow" => '\u{20d7}',
        "tilde" | "widetilde" => '\u{303}',
        "dot" => '\u{307}',
        "ddot" => '\u{308}',
        "check" => '\u{30c}',
        "acute" => '\u{301}',
        "grave" => '\u{300}',
        "breve" => '\u{306}',
        "mathring" => '\u{30a}',
        "not" => '\u{338}',
        _ => return None,
    })
}

/// A letter in one of the alphabets of mathematics; as it is where the alphabet has no such letter.
pub fn in_alphabet(alphabet: &str, letter: char) -> char {
    let exception = match (alphabet, letter) {
        ("mathbb", 'C') => 'ℂ',
        ("mathbb", 'H') => 'ℍ',
        ("mathbb", 'N') => 'ℕ',
        ("mathbb", 'P') => 'ℙ',
        ("mathbb", 'Q') => 'ℚ',
        ("mathbb", 'R') => 'ℝ',
        ("mathbb", 'Z') => 'ℤ',
        ("mathcal" | "mathscr", 'B') => 'ℬ',
        ("mathcal" | "mathscr", 'E') => 'ℰ',
        ("mathcal" | "mathscr", 'F') => 'ℱ',
        ("mathcal" | "mathscr", 'H') => 'ℋ',
        ("mathcal" | "mathscr", 'I') => 'ℐ',
        ("mathcal" | "mathscr", 'L') => 'ℒ',
        ("mathcal" | "mathscr", 'M') => 'ℳ',
        ("mathcal" | "mathscr", 'R') => 'ℛ',
        ("mathfrak", 'C') => 'ℭ',
        ("mathfrak", 'H') => 'ℌ',
        ("mathfrak", 'I') => 'ℑ',
        ("mathfrak", 'R') => 'ℜ',
        ("mathfrak", 'Z') => 'ℨ',
        _ => letter,
    };
    if exception != letter {
        return exception;
    }
    let (capital, small, digit) = match alphabet {
        "mathbb" => ('𝔸', Some('𝕒'), Some('𝟘')),
        "mathcal" | "mathscr" => ('𝒜', None, None),
        "mathfrak" => ('𝔄', Some('𝔞'), None),
        _ => return letter,
    };
    let at = |first: char, from: char| {
        char::from_u32(u32::from(first) + u32::from(letter) - u32::from(from)).unwrap_or(letter)
    };
    match (letter, small, digit) {
        ('A'..='Z', ..) => at(capital, 'A'),
        ('a'..='z', Some(small), _) => at(small, 'a'),
        ('0'..='9', _, Some(digit)) => at(digit, '0'),
        _ => letter,
    }
}

const SUPERSCRIPTS: (&str, &str) = (
    "0123456789+−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ′∗†∘",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ′*†°",
);
const SUBSCRIPTS: (&str, &str) = ("0123456789+−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ");

fn raised_or_lowered((from, to): (&str, &str), text: &str) -> Option<String> {
    let one = |character: char| from.chars().zip(to.chars()).find(|(from, _)| *from == character).map(|(_, to)| to);
    text.chars().filter(|character| *character != ' ').map(one).collect()
}

/// `text` as a superscript, if all of it can be one.
pub fn superscript(text: &str) -> Option<String> {
    raised_or_lowered(SUPERSCRIPTS, text)
}

/// `text` as a subscript, if all of it can be one.
pub fn subscript(text: &str) -> Option<String> {
    raised_or_lowered(SUBSCRIPTS, text)
}

/// The fractions that are one character.
pub fn fraction(above: &str, below: &str) -> Option<&'static str> {
    Some(match (above, below) {
        ("1", "2") => "½",
        ("1", "3") => "⅓",
        ("2", "3") => "⅔",
        ("1", "4") => "¼",
        ("3", "4") => "¾",
        ("1", "5") => "⅕",
        ("1", "6") => "⅙",
        ("1", "8") => "⅛",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_a_form_for_each_character() {
        for (from, to) in [SUPERSCRIPTS, SUBSCRIPTS] {
            assert_eq!(from.chars().count(), to.chars().count());
        }
    }

    #[test]
    fn no_command_stands_for_two_symbols() {
        let mut names: Vec<&str> =
            SYMBOLS.iter().flat_map(|(_, symbols)| symbols.iter().map(|(name, _)| *name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn letters_are_found_in_their_alphabets() {
        assert_eq!(['R', 'A', 'x', '1', '+'].map(|letter| in_alphabet("mathbb", letter)), ['ℝ', '𝔸', '𝕩', '𝟙', '+']);
        assert_eq!(['L', 'D', 'd'].map(|letter| in_alphabet("mathcal", letter)), ['ℒ', '𝒟', 'd']);
    }
}
