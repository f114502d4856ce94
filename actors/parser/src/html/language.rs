//! The language of a text, by its small words (Ingle 1976; Grefenstette 1995: "Comparing two language identification schemes").
//!
//! Owns the lists of words (`language/words.txt`, 43 languages). It is fed the hashes of words that the main text makes anyway, so that a
//! page costs a look into a table a word; a library that reads trigrams costs more than all the rest of the reader. It does not
//! know the text. Invariant: in doubt it says nothing: for too few words, and where two languages are close. Start at [`Language::add`].

use std::sync::LazyLock;

use super::text::MainText;

/// The lists: a code, then its words.
const WORDS: &str = include_str!("language/words.txt");
/// Languages at most: each is a bit.
const LANGUAGES_MAX: usize = 64;
/// Places of the table; a power of two, four times the words.
const PLACES: usize = 1 << 12;
/// What a word counts that only one language has; else it counts one.
const OWN: u32 = 3;
/// What the words must count in all: for fewer nobody can tell.
const LEAST: u32 = 8;

/// Hash of a word → the languages that have it.
struct Table {
    codes: Vec<&'static str>,
    places: Box<[(u64, u64)]>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut table = Self {
            codes: Vec::new(),
            places: vec![(0, 0); PLACES].into(),
        };
        let lines = WORDS.lines().filter(|line| !line.starts_with('#'));
        for (line, language) in lines.zip(0..LANGUAGES_MAX) {
            let mut words = line.split(' ');
            table.codes.extend(words.next());
            for word in words {
                let hash = MainText::hash_of(word);
                let place = table.place(hash);
                table.places[place].0 = hash;
                table.places[place].1 |= 1 << language;
            }
        }
        table
    }

    /// Where the word is, or would be.
    fn place(&self, hash: u64) -> usize {
        let mut place = hash as usize % PLACES;
        while self.places[place].0 != hash && self.places[place].1 != 0 {
            place = (place + 1) % PLACES;
        }
        place
    }
}

/// What the words of a text say of its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Language {
    words: u32,
    counts: [u16; LANGUAGES_MAX],
}

impl Default for Language {
    fn default() -> Self {
        Self {
            words: 0,
            counts: [0; LANGUAGES_MAX],
        }
    }
}

impl Language {
    /// Takes in the next word, by the hash that [`MainText`] makes of it.
    #[inline]
    pub(super) fn add(&mut self, word: u64) {
        self.words += 1;
        let mut languages = TABLE.places[TABLE.place(word)].1;
        let count = if languages.is_power_of_two() { OWN } else { 1 };
        while languages != 0 {
            let language = languages.trailing_zeros() as usize;
            languages &= languages - 1;
            self.counts[language] = self.counts[language].saturating_add(count as u16);
        }
    }

    /// The language's code by BCP 47, if the words tell: they count [`LEAST`] and an eighth of all words at least, and a quarter more
    /// than any other language's.
    pub(super) fn end(&self) -> Option<&'static str> {
        let counts = self.counts.iter().map(|count| u32::from(*count));
        let (most, language) = counts
            .clone()
            .zip(0..)
            .max_by_key(|&(count, language)| (count, std::cmp::Reverse(language)))?;
        let others = counts.enumerate().filter(|(other, _)| *other != language);
        let second = others.map(|(_, count)| count).max().unwrap_or(0);
        let is_clear = most >= LEAST.max(self.words / 8) && most * 4 >= second * 5;
        is_clear.then(|| TABLE.codes[language])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        let mut main = MainText::default();
        main.add(text);
        main.language()
    }

    #[test]
    fn the_table_holds_every_list_and_is_three_quarters_empty() {
        let lists = WORDS.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(TABLE.codes.len(), lists.count());
        assert!(TABLE.codes.len() <= LANGUAGES_MAX);
        let used = TABLE.places.iter().filter(|place| place.1 != 0).count();
        assert!(used * 4 <= PLACES, "{used} words");
    }

    /// Articles 1 and 2 of the Universal Declaration of Human Rights, in part, as the United Nations publish it.
    #[test]
    fn a_few_sentences_tell_their_language() {
        #[rustfmt::skip]
        let rows = [
            ("en", "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood. Everyone is entitled to all the rights and freedoms set forth in this Declaration, without distinction of any kind."),
            ("de", "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen. Jeder hat Anspruch auf die in dieser Erklärung verkündeten Rechte und Freiheiten ohne irgendeinen Unterschied."),
            ("fr", "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité. Chacun peut se prévaloir de tous les droits et de toutes les libertés proclamés dans la présente Déclaration."),
            ("es", "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros. Toda persona tiene todos los derechos y libertades proclamados en esta Declaración, sin distinción alguna de raza, color, sexo."),
            ("pt", "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade. Todos os seres humanos podem invocar os direitos e as liberdades proclamados na presente Declaração, sem distinção alguma."),
            ("it", "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza. Ad ogni individuo spettano tutti i diritti e tutte le libertà enunciate nella presente Dichiarazione, senza distinzione alcuna, per ragioni di razza."),
            ("nl", "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen. Een ieder heeft aanspraak op alle rechten en vrijheden, in deze Verklaring opgesomd, zonder enig onderscheid van welke aard ook."),
            ("sv", "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och bör handla gentemot varandra i en anda av broderskap. Var och en är berättigad till alla de rättigheter och friheter som uttalas i denna förklaring utan åtskillnad av något slag."),
            ("pl", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa. Każdy człowiek posiada wszystkie prawa i wolności zawarte w niniejszej Deklaracji bez względu na różnice rasy, koloru, płci, języka, wyznania, poglądów politycznych i innych, jest to prawo, które nie może być odebrane."),
            ("cs", "Všichni lidé se rodí svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství. Každý má všechna práva a všechny svobody, stanovené touto deklarací, bez jakéhokoli rozlišování, zejména podle rasy, barvy, pohlaví, jazyka, náboženství, které je nebo není jeho."),
            ("fi", "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä. Jokainen on oikeutettu kaikkiin tässä julistuksessa esitettyihin oikeuksiin ja vapauksiin ilman minkäänlaista rotuun, väriin, sukupuoleen, kieleen tai muuhun perustuvaa erotusta, joka ei ole sallittu."),
            ("hu", "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek. Mindenki, bármely megkülönböztetésre tekintet nélkül, hivatkozhat a jelen Nyilatkozatban kinyilvánított összes jogokra és szabadságokra, ez nem csak egy szó."),
            ("tr", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler. Herkes, ırk, renk, cinsiyet, dil, din, siyasi veya diğer herhangi bir akide, milli veya içtimai menşe, servet, doğuş veya herhangi diğer bir fark gözetilmeksizin bu hakları için ve daha çok."),
            ("ru", "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства. Каждый человек должен обладать всеми правами и всеми свободами, провозглашенными настоящей Декларацией, без какого бы то ни было различия, как то в отношении расы, что не так."),
            ("uk", "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства. Кожна людина повинна мати всі права і всі свободи, проголошені цією Декларацією, незалежно від раси, що є або не є, від мови, за яку не може бути."),
            ("el", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης. Κάθε άνθρωπος δικαιούται να επικαλείται όλα τα δικαιώματα και όλες τις ελευθερίες που προκηρύσσει η παρούσα Διακήρυξη."),
            ("ar", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء. لكل إنسان حق التمتع بكافة الحقوق والحريات الواردة في هذا الإعلان، دون أي تمييز، من غير أن يكون ذلك على أساس اللون أو ما كان من بين كل هذه التي لا تكون إلى أن"),
            ("he", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחוה. כל אדם זכאי לזכויות ולחרויות שנקבעו בהכרזה זו ללא הפליה כלשהיא מטעמי גזע, לא רק של זה, אבל גם על כל מה שיש או אין"),
            ("ja", "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。"),
            ("zh", "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。人人有资格享有本宣言所载的一切权利和自由,不分种族、肤色、性别、语言、宗教的不同。"),
            ("ko", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다."),
            ("vi", "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hóa ban cho lý trí và lương tâm và cần phải đối xử với nhau trong tình anh em. Ai cũng được hưởng những quyền tự do ghi trong bản Tuyên ngôn này và không phân biệt đối xử."),
        ];
        for (language, text) in rows {
            assert_eq!(of(text), Some(language), "{text}");
        }
    }

    #[test]
    fn in_doubt_it_says_nothing() {
        for text in [
            "",
            "the",
            "404 Not Found",
            "fn main() { let x = vec![1, 2, 3]; println!(\"{x:?}\"); }",
            // Danish and Norwegian alike.
            "i en by på en ø var det og der var en by og en ø i en by på en ø",
            // Two languages, half and half.
            "the house and the garden of the king and of the queen und das Haus und der Garten ist nicht der Stadt",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
