//! The encodings that the detector takes for a neighbour: it knows those that browsers have to guess, and leaves out what
//! was seldom sent undeclared.
//!
//! Each is told by bytes that make words in it and none in the neighbour. Invariant: one pass over the text; a guess
//! changes only where the other reading has more on its side.

use encoding_rs::{
    Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_4, ISO_8859_7, ISO_8859_15, KOI8_R, KOI8_U,
    MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1257,
    X_MAC_CYRILLIC,
};

/// The guess, or what it was taken for.
pub(super) fn refine(guess: &'static Encoding, text: &[u8]) -> &'static Encoding {
    // Encodings in which western words come out as words with odd letters.
    let latin = [
        WINDOWS_1250,
        WINDOWS_1252,
        WINDOWS_1254,
        WINDOWS_1257,
        ISO_8859_2,
        ISO_8859_4,
    ];
    let has = |bytes: &[u8]| text.iter().any(|b| bytes.contains(b));
    let has_c1 = || text.iter().any(|b| matches!(b, 0x80..=0x9F));
    if (guess == KOI8_U && is_mostly_low(text) || guess == WINDOWS_1251) && is_mac_cyrillic(text) {
        X_MAC_CYRILLIC
    } else if guess == KOI8_U && !has(&UKRAINIAN) {
        KOI8_R
    } else if guess == GBK && has_four_bytes(text) {
        GB18030
    } else if latin.contains(&guess) && is_macintosh(text, guess) {
        MACINTOSH
    } else if guess == WINDOWS_1252 && has_latin_9(text) {
        ISO_8859_15
    } else if guess == ISO_8859_2 && (has_c1() || is_windows_polish(text)) {
        WINDOWS_1250
    } else if guess == ISO_8859_7 && (has_c1() || has_windows_greek(text)) {
        WINDOWS_1253
    } else {
        guess
    }
}

/// Letters of KOI8-U where KOI8-R has parts of boxes.
const UKRAINIAN: [u8; 8] = [0xA4, 0xA6, 0xA7, 0xAD, 0xB4, 0xB6, 0xB7, 0xBD];

/// True if most letters are where KOI8 has its capitals.
fn is_mostly_low(text: &[u8]) -> bool {
    let among = |low, high| text.iter().filter(|b| (low..=high).contains(*b)).count();
    among(0xE0, 0xFF) > 2 * among(0xC0, 0xDF)
}

/// True if letters that only Polish has are there, and its a with ogonek where windows-1250 has it (a Czech letter in
/// ISO-8859-2) but not where ISO-8859-2 has it and others.
fn is_windows_polish(text: &[u8]) -> bool {
    let has = |bytes: &[u8]| text.iter().any(|b| bytes.contains(b));
    has(&[0xB9]) && has(&[0xB3, 0xBF, 0xEA]) && !has(&[0xB1, 0xB6, 0xBC])
}

/// True if a word starts with the accented capital alpha of windows-1253, an apostrophe in ISO-8859-7.
fn has_windows_greek(text: &[u8]) -> bool {
    text.windows(3)
        .any(|three| matches!(three, [b' ' | b'\n' | b'>', 0xA2, 0xE1..=0xFE]))
}

/// True if there is a character of four bytes, which GB18030 has and GBK has not.
fn has_four_bytes(text: &[u8]) -> bool {
    text.windows(4)
        .any(|four| matches!(four, [0x81..=0xFE, 0x30..=0x39, 0x81..=0xFE, 0x30..=0x39]))
}

/// In words, the last letter of Russian, Ukrainian and Bulgarian is where windows-1251 has its capital, and nothing is where
/// windows-1251 has it.
fn is_mac_cyrillic(text: &[u8]) -> bool {
    let after_small = |last: u8| {
        let pairs = text.windows(2);
        pairs
            .filter(|pair| matches!(pair[0], 0xE0..=0xFE) && pair[1] == last)
            .count()
    };
    after_small(0xDF) > after_small(0xFF)
}

/// True if most bytes beyond ASCII are, within words, small letters of western European languages in Macintosh, where
/// windows-1252 and its neighbours have signs, capitals or nothing.
fn is_macintosh(text: &[u8], guess: &'static Encoding) -> bool {
    let (mut letters, mut umlauts, mut others) = (0_usize, 0_usize, 0_usize);
    for (at, byte) in text.iter().enumerate().filter(|(_, byte)| !byte.is_ascii()) {
        let before = at.checked_sub(1).map_or(b' ', |at| text[at]);
        let after = text.get(at + 1).copied().unwrap_or(b' ');
        let letter = |b: u8| b.is_ascii_alphabetic() || !b.is_ascii();
        let inside = letter(before) && letter(after);
        let ends = letter(before) && matches!(after, b' ' | b',' | b'.' | b'<');
        match byte {
            // No signs end a word there: accents and undefined bytes.
            0x87..=0x8A | 0x8D..=0x91 | 0x98 | 0x9D if inside || ends => letters += 1,
            0x8B | 0x8C | 0x94..=0x97 | 0x99 | 0x9B | 0x9F if inside => letters += 1,
            // Small letters in both readings; the first is far more frequent in Macintosh.
            0x9A if inside => umlauts += 1,
            0x92 | 0x9C | 0x9E if inside => {}
            // At a word's start capitals are as likely.
            0x87..=0x8F if letter(after) => {}
            // Quotes, dashes, the hard space, sharp s and capitals: their places are capitals and signs there.
            0x80..=0x86 | 0xA7 | 0xC7..=0xCA | 0xD0..=0xD5 | 0xE2 | 0xE3
                if !inside || *byte == 0xA7 => {}
            0xD5 if inside => {}
            _ => others += 1,
        }
    }
    let letters = letters + if guess == WINDOWS_1252 { umlauts } else { 0 };
    letters > 2 * others
}

/// The letter oe of ISO-8859-15, where windows-1252 has fractions: before small letters and not behind a digit.
fn has_latin_9(text: &[u8]) -> bool {
    text.windows(3).any(|three| {
        matches!(three, [before, 0xBC | 0xBD, after] if !before.is_ascii_digit() && after.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::super::guess;
    use super::*;

    #[test]
    fn neighbours_are_told_apart() {
        #[track_caller]
        fn check(encoding: &'static Encoding, text: &str) {
            let (bytes, _, unmappable) = encoding.encode(text);
            assert!(!unmappable, "{text}");
            assert_eq!(guess(&bytes, None).0, encoding, "{text}");
        }
        check(
            WINDOWS_1251,
            "Наш њушкало и љубав: џеп, ћуприја, неђа и њихов ћошак у кући.",
        );
        check(
            MACINTOSH,
            "Größere Maße schöner Häuser: „übrige“ Möbel und Öfen.",
        );
        let russian = "Яблоко и яблоня: простая история о том, как Я и Она пришли сюда однажды.";
        check(KOI8_R, russian);
        check(X_MAC_CYRILLIC, russian);
        check(WINDOWS_1251, russian);
        check(KOI8_U, "Її історія: ґанок, їжак і Європа, що є на світі.");
        check(
            MACINTOSH,
            "Une soirée très animée, où l'été à la française fut célébré.",
        );
        check(
            WINDOWS_1252,
            "Une soirée très animée, où l’été – à la française – fut célébré…",
        );
        check(
            MACINTOSH,
            "Año nuevo: mañana será también otro día, según España.",
        );
        check(
            WINDOWS_1250,
            "Příliš žluťoučký kůň úpěl ďábelské ódy, šťastně.",
        );
        check(ISO_8859_15, "Le cœur et la sœur : un été à l'œuvre, déjà.");
        check(ISO_8859_15, "Une œuvre.");
        check(
            WINDOWS_1252,
            "Il faut 1½tasse, ½ ou ¼ de thé très sucré, à volonté.",
        );
        check(
            WINDOWS_1250,
            "Książki są na półce, a żółte jabłka leżą – tam.",
        );
        check(ISO_8859_2, "Książki są na półce, a żółte jabłka leżą tam.");
        check(
            WINDOWS_1253,
            "Το βιβλίο είναι στο ράφι. Άλλο ένα είναι εδώ.",
        );
        check(GBK, "这是一个普通的中文句子，用来测试编码。");
        check(GB18030, "这是一个普通的中文句子，用来测试编码㐀㐁。");
    }
}
