//! One family of URLs: what its pages brought, and when it is given up.
//!
//! Owns the budgets. A page is *barren* when its text was seen before and it leads to URLs that were not: only what goes
//! on and brings nothing can be endless. Every fresh page pays back barren ones, so that a large site with thin pages among
//! its good ones goes on. Start at [`Family::fold`].

/// Barren pages, net of what fresh ones paid back, until a family is given up.
const SAME_MAX: u32 = 300;
/// Likewise where a part of the path comes again and again, or a date is far from today.
const ODD_MAX: u32 = 20;
/// Likewise where texts differ and all their phrases were seen before.
const RECOMBINED_MAX: u32 = 1_000;
/// A fresh page pays for so many barren ones.
const PAYS_BACK: u32 = 8;
/// Pages after which a family's growth is looked at.
const GROWTH_PAGES: u32 = 256;
/// Windows of [`GROWTH_PAGES`] without an end in sight until a family of names or hashes, that branches, is given up …
const GROWTH_NAMES: u32 = 4;
/// … and one of numbers, or one where page leads to page in a single line.
const GROWTH_NUMBERS: u32 = 20;
/// Texts remembered to compare the next ones with.
const NEAR_TEXTS: usize = 64;
/// Bits by which simhashes of like texts differ at most.
const NEAR_BITS: u32 = 3;
/// Examples kept, and bytes of each.
const EXAMPLES: usize = 3;
const EXAMPLE_BYTES: usize = 512;

/// Why a family was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its texts were seen before.
    NothingNew,
    /// The same, and parts of its paths repeat.
    RepeatedSegments,
    /// The same, at dates far from today.
    FarDates,
    /// Its texts are put together of phrases that were seen before.
    Recombined,
    /// Each of its pages leads to more of them and to nothing else, and none is ever led to twice.
    Boundless,
}

impl Why {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingNew => "its texts were seen before",
            Self::RepeatedSegments => "parts of its paths repeat, and its texts were seen before",
            Self::FarDates => "its dates are far from today, and its texts were seen before",
            Self::Recombined => "its texts are put together of phrases that were seen before",
            Self::Boundless => {
                "each page leads to more of its kind, to nothing else, and never to one that was known"
            }
        }
    }
}

/// A family that was given up, and the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUpFamily {
    pub why: Why,
    /// Pages of it that were read, and those that were fresh.
    pub pages: u32,
    pub fresh: u32,
    /// Barren pages, net of what was paid back; for [`Why::Boundless`] pages in a row that only grew it.
    pub barren: u32,
    /// The first URLs of it and the last.
    pub examples: Vec<String>,
}

/// What a page's text is like beside those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Fresh,
    /// All its phrases were seen before.
    Recombined,
    /// Seen before, or like one of the family's last.
    Same,
}

/// A page as its family sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brought<'a> {
    pub(super) url: &'a str,
    pub(super) text: Text,
    /// Links to URLs of the family that were new, and that were known.
    pub(super) own_new: u32,
    pub(super) own_known: u32,
    /// It leads to new URLs of families that bring something.
    pub(super) elsewhere: bool,
    /// It was found on a page of its family.
    pub(super) from_own: bool,
    pub(super) repeats: bool,
    pub(super) far: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    pub(super) pages: u32,
    fresh: u32,
    same: u32,
    recombined: u32,
    odd: u32,
    window: Window,
    /// Windows in a row that only grew.
    boundless: u32,
    texts: Vec<u64>,
    examples: Vec<String>,
    pub(super) given_up: Option<GivenUpFamily>,
    /// When it was last heard of, in pages of the host.
    pub(super) last: u64,
}

/// How a family grew lately.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    pages: u32,
    new: u32,
    known: u32,
    elsewhere: u32,
    from_own: u32,
}

impl Window {
    /// Nothing but more of the same: links lead forward only, nothing else is found, nothing else leads here.
    fn only_grows(&self) -> bool {
        let most = |part: u32, of: u32| u64::from(part) * 100 >= u64::from(of) * 97;
        most(self.new, self.new + self.known)
            && most(self.from_own, self.pages)
            && most(self.pages - self.elsewhere, self.pages)
            && most(self.new, self.pages)
    }

    fn branches(&self) -> bool {
        self.new * 2 >= self.pages * 3
    }
}

impl Family {
    /// True where the family has shown that it brings something, or has not shown much yet.
    pub(super) fn is_worth(&self) -> bool {
        self.given_up.is_none() && (self.pages < 20 || self.fresh * 5 >= self.pages)
    }

    /// What a text is like, and remembers it. `seen`: the same words came before on the host; `phrases_new`: not all of its
    /// phrases did.
    pub(super) fn compare(&mut self, simhash: Option<u64>, seen: bool, phrases_new: bool) -> Text {
        let Some(simhash) = simhash else {
            return Text::Same;
        };
        let near = |other: &u64| (simhash ^ other).count_ones() <= NEAR_BITS;
        if seen || self.texts.iter().any(near) {
            return Text::Same;
        }
        if self.texts.len() == NEAR_TEXTS {
            self.texts.remove(0);
        }
        self.texts.push(simhash);
        if phrases_new {
            Text::Fresh
        } else {
            Text::Recombined
        }
    }

    /// Takes a page in; `words`: the family's URLs vary in names or hashes. True when the family is given up by it.
    pub(super) fn fold(&mut self, page: &Brought<'_>, words: bool) -> bool {
        self.pages = self.pages.saturating_add(1);
        self.example(page.url);
        let is_barren = page.own_new > 0 && !page.elsewhere;
        match page.text {
            Text::Fresh => {
                self.fresh = self.fresh.saturating_add(1);
                self.same = self.same.saturating_sub(PAYS_BACK);
                self.odd = self.odd.saturating_sub(PAYS_BACK);
                self.recombined = self.recombined.saturating_sub(PAYS_BACK);
            }
            Text::Recombined if is_barren => {
                self.recombined += 1;
                self.odd += u32::from(page.repeats || page.far);
            }
            Text::Same if is_barren => {
                self.same += 1;
                self.recombined += 1;
                self.odd += u32::from(page.repeats || page.far);
            }
            Text::Recombined | Text::Same => {}
        }
        self.grow(page);
        let odd = if page.repeats {
            Why::RepeatedSegments
        } else {
            Why::FarDates
        };
        let boundless = match words && self.window_branched() {
            true => GROWTH_NAMES,
            false => GROWTH_NUMBERS,
        };
        let reasons = [
            (self.odd, ODD_MAX, odd),
            (self.same, SAME_MAX, Why::NothingNew),
            (self.recombined, RECOMBINED_MAX, Why::Recombined),
            (self.boundless, boundless, Why::Boundless),
        ];
        let over = reasons.into_iter().find(|(count, most, _)| count >= most);
        let Some((count, _, why)) = over.filter(|_| self.given_up.is_none()) else {
            return false;
        };
        self.given_up = Some(GivenUpFamily {
            why,
            pages: self.pages,
            fresh: self.fresh,
            barren: match why {
                Why::Boundless => count * GROWTH_PAGES,
                _ => count,
            },
            examples: self.examples.clone(),
        });
        true
    }

    fn grow(&mut self, page: &Brought<'_>) {
        // A full window stands until the next page, so that what it showed can be asked.
        if self.window.pages == GROWTH_PAGES {
            self.window = Window::default();
        }
        let window = &mut self.window;
        window.pages += 1;
        window.new += page.own_new;
        window.known += page.own_known;
        window.elsewhere += u32::from(page.elsewhere);
        window.from_own += u32::from(page.from_own);
        if window.pages == GROWTH_PAGES {
            self.boundless = match window.only_grows() {
                true => self.boundless + 1,
                false => 0,
            };
        }
    }

    fn window_branched(&self) -> bool {
        self.window.pages == GROWTH_PAGES && self.window.branches()
    }

    /// The first, and then the last.
    fn example(&mut self, url: &str) {
        let url = url[..url.floor_char_boundary(EXAMPLE_BYTES)].to_owned();
        if self.examples.len() == EXAMPLES {
            self.examples.pop();
        }
        self.examples.push(url);
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        self.texts.capacity() * 8
            + self
                .examples
                .iter()
                .map(|one| one.len() + 24)
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: Text) -> Brought<'static> {
        Brought {
            url: "http://a.test/x",
            text,
            own_new: 1,
            own_known: 1,
            elsewhere: false,
            from_own: true,
            repeats: false,
            far: false,
        }
    }

    /// Folds pages alike until the family is given up, at most so many.
    fn pages_until(most: u32, page: impl Fn(u32) -> Brought<'static>) -> Option<(u32, Why)> {
        let mut family = Family::default();
        let given_up = (1..=most).find(|n| family.fold(&page(*n), true))?;
        family.given_up.map(|family| (given_up, family.why))
    }

    #[test]
    fn each_kind_has_its_budget() {
        let same = page(Text::Same);
        assert_eq!(pages_until(9_999, |_| same), Some((300, Why::NothingNew)));
        let far = Brought { far: true, ..same };
        assert_eq!(pages_until(9_999, |_| far), Some((20, Why::FarDates)));
        let repeats = Brought {
            repeats: true,
            ..same
        };
        assert_eq!(
            pages_until(9_999, |_| repeats),
            Some((20, Why::RepeatedSegments))
        );
        let recombined = page(Text::Recombined);
        assert_eq!(
            pages_until(9_999, |_| recombined),
            Some((1_000, Why::Recombined))
        );
        let grows = Brought {
            own_new: 3,
            own_known: 0,
            ..page(Text::Fresh)
        };
        assert_eq!(pages_until(9_999, |_| grows), Some((1_024, Why::Boundless)));
        let line = Brought {
            own_known: 0,
            ..page(Text::Fresh)
        };
        assert_eq!(pages_until(9_999, |_| line), Some((5_120, Why::Boundless)));
    }

    #[test]
    fn what_ends_or_brings_something_is_never_given_up() {
        let same = page(Text::Same);
        let leaf = Brought { own_new: 0, ..same };
        assert_eq!(pages_until(20_000, |_| leaf), None);
        let leads = Brought {
            elsewhere: true,
            ..same
        };
        assert_eq!(pages_until(20_000, |_| leads), None);
        let fresh = page(Text::Fresh);
        assert_eq!(pages_until(20_000, |_| fresh), None, "links lead back, too");
        let thin = |n| if n % 8 == 0 { fresh } else { same };
        assert_eq!(pages_until(20_000, thin), None);
        let listed = Brought {
            from_own: false,
            own_new: 4,
            own_known: 0,
            ..fresh
        };
        assert_eq!(pages_until(20_000, |_| listed), None);
    }
}
