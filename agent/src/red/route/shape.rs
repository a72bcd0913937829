//! What one segment of a path looks like: a known word, a possible word, or a value of some kind.
//!
//! A pure function of the segment and of whether a name is expected there, so every agent says the
//! same at any time. When in doubt a segment is a value: a value never leaves.

use super::lexicon::{self, Class};

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Proved static: stands as itself.
    Static,
    /// Looks like a word; static as long as few others stand in its place.
    Word,
    /// A value.
    Value(Kind),
    /// A file with the type it is named by; its name is a value.
    File(&'static str),
}

/// Kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Numbers and what has a number or a random part behind a prefix.
    Id,
    /// A UUID.
    Uuid,
    /// Hexadecimal digits.
    Hash,
    /// A date or a time.
    Date,
    /// An e-mail address.
    Email,
    /// Long and random.
    Token,
    /// A version with more than a number.
    Version,
    /// Many words.
    Slug,
    /// Anything else.
    Name,
    /// Of many kinds, or many words: the position has proved variable.
    Any,
    /// Everything behind the deepest segment that is looked at.
    Rest,
}

impl Kind {
    /// Whether values of this kind have parts that can look like a word by chance.
    pub(super) fn is_opaque(self) -> bool {
        matches!(self, Self::Hash | Self::Email | Self::Token | Self::Slug | Self::Name)
    }

    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Id => "{id}",
            Self::Uuid => "{uuid}",
            Self::Hash => "{hash}",
            Self::Date => "{date}",
            Self::Email => "{email}",
            Self::Token => "{token}",
            Self::Version => "{version}",
            Self::Slug => "{slug}",
            Self::Name => "{name}",
            Self::Any => "{*}",
            Self::Rest => "{**}",
        }
    }
}

/// Types of files that are served as they lie: their names are values.
const ASSETS: &[&str] = &[
    "7z",
    "apk",
    "avi",
    "avif",
    "bin",
    "bmp",
    "br",
    "bz2",
    "css",
    "csv",
    "deb",
    "dmg",
    "doc",
    "docx",
    "eot",
    "epub",
    "exe",
    "gif",
    "gz",
    "ico",
    "ics",
    "iso",
    "jar",
    "jpeg",
    "jpg",
    "js",
    "m3u8",
    "m4a",
    "map",
    "md",
    "mjs",
    "mov",
    "mp3",
    "mp4",
    "mpd",
    "ogg",
    "otf",
    "pdf",
    "png",
    "ppt",
    "pptx",
    "rar",
    "rpm",
    "svg",
    "tar",
    "tgz",
    "tif",
    "tiff",
    "ts",
    "ttf",
    "txt",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "whl",
    "woff",
    "woff2",
    "xls",
    "xlsx",
    "xz",
    "zip",
];
/// Types that name pages and formats of answers: their names may be words.
const PAGES: &[&str] = &[
    "action", "ashx", "asmx", "asp", "aspx", "atom", "cgi", "do", "git", "htm", "html", "json",
    "jsf", "jsp", "php", "rss", "svc", "xhtml", "xml", "yaml", "yml",
];
/// Files that are the same everywhere.
const FILES: &[&str] = &[
    "apple-touch-icon.png",
    "browserconfig.xml",
    "favicon.ico",
    "index.html",
    "index.php",
    "manifest.json",
    "openapi.json",
    "robots.txt",
    "security.txt",
    "service-worker.js",
    "sitemap.xml",
    "sw.js",
    "swagger.json",
    "wp-login.php",
    "wp-cron.php",
    "xmlrpc.php",
    "admin-ajax.php",
];

const MAX_WORD: usize = 32;

/// What `segment` is, where the segment before it makes a name likely or not.
pub(super) fn shape(segment: &str, expected: Expected) -> Shape {
    let bytes = segment.as_bytes();
    if api_version(bytes) {
        return Shape::Static;
    }
    match (lexicon::class(segment), expected) {
        (Some(_), Expected::Nothing)
        | (Some(Class::Action | Class::Collection | Class::Pairs), Expected::Name) => {
            return Shape::Static;
        }
        _ => {}
    }
    if FILES.contains(&segment) || segment == ".well-known" {
        return Shape::Static;
    }
    if let Some(kind) = value(segment) {
        return Shape::Value(kind);
    }
    if let Some((stem, end)) = segment.rsplit_once('.')
        && !stem.is_empty()
    {
        let lower = end.to_ascii_lowercase();
        if let Some(found) = ASSETS.iter().find(|e| **e == lower) {
            return Shape::File(found);
        }
        if let Some(found) = PAGES.iter().find(|e| **e == lower) {
            let plain =
                expected == Expected::Nothing && (word(stem) || lexicon::class(stem).is_some());
            return if plain { Shape::Word } else { Shape::File(found) };
        }
    }
    if expected != Expected::Nothing {
        return Shape::Value(Kind::Name);
    }
    if word(segment) { Shape::Word } else { Shape::Value(Kind::Name) }
}

/// What the segments before make of the one that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing in particular.
    Nothing,
    /// The name of one of a collection.
    Name,
    /// The same, and another one behind it.
    FirstOfPair,
    /// The second of two: nothing but a name.
    SecondOfPair,
}

impl Expected {
    /// What follows a segment of this `shape`.
    pub(super) fn behind(self, segment: &str, shape: Shape) -> Self {
        match (self, shape) {
            (Self::FirstOfPair, Shape::Value(_) | Shape::Word) => Self::SecondOfPair,
            (_, Shape::Static) => match lexicon::class(segment) {
                Some(Class::Collection) => Self::Name,
                Some(Class::Pairs) => Self::FirstOfPair,
                _ => Self::Nothing,
            },
            // `payment_intents`, `price-lists`: what the last word names, the whole does.
            (_, Shape::Word) => match segment.rsplit(['-', '_']).next().map(lexicon::class) {
                Some(Some(Class::Collection)) if segment.ends_with('s') => Self::Name,
                _ => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }
}

/// `v1`, `v2.1`, `v1beta1`, `v1p3beta1`: at most seven bytes, few of them.
fn api_version(bytes: &[u8]) -> bool {
    let [b'v' | b'V', rest @ ..] = bytes else { return false };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, more) = rest.split_at_checked(digits).unwrap_or((rest, &[]));
    if number.is_empty() || number.len() > 2 {
        return false;
    }
    match more {
        [] => true,
        [b'.', minor @ ..] => matches!(minor, [m] if m.is_ascii_digit()),
        _ => {
            let more = match more {
                [b'p', d, rest @ ..] if d.is_ascii_digit() => rest,
                _ => more,
            };
            ["alpha", "beta", "rc"].iter().any(|stage| {
                more.strip_prefix(stage.as_bytes())
                    .is_some_and(|n| n.len() <= 1 && n.iter().all(u8::is_ascii_digit))
            })
        }
    }
}

/// The kind of value that can be told from the segment alone.
fn value(segment: &str) -> Option<Kind> {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    if segment.contains('@') {
        let mail = segment.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.'));
        return Some(if mail { Kind::Email } else { Kind::Name });
    }
    if !segment.is_ascii()
        || bytes.iter().any(|b| !(b.is_ascii_alphanumeric() || b"-_.".contains(b)))
    {
        return Some(if date(bytes) { Kind::Date } else { Kind::Name });
    }
    if digits == bytes.len() {
        return Some(Kind::Id);
    }
    if uuid(bytes) {
        return Some(Kind::Uuid);
    }
    let hex = bytes.iter().all(u8::is_ascii_hexdigit);
    if hex && (bytes.len() >= 6 && digits > 0 || bytes.len() >= 16) {
        return Some(Kind::Hash);
    }
    if digits > 0 {
        if date(bytes) {
            return Some(Kind::Date);
        }
        if release(bytes) {
            return Some(Kind::Version);
        }
        if let Some((_, behind)) = segment.rsplit_once('.')
            && behind.bytes().all(|b| b.is_ascii_alphabetic())
        {
            // A file is told by its type, whatever its name.
            let lower = behind.to_ascii_lowercase();
            if ASSETS.contains(&lower.as_str()) || PAGES.contains(&lower.as_str()) {
                return None;
            }
        }
        let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
        let mixed =
            bytes.iter().any(u8::is_ascii_uppercase) && bytes.iter().any(u8::is_ascii_lowercase);
        if bytes.len() >= 16 && letters > 0 && (mixed || !segment.contains(['-', '.'])) {
            return Some(if segment.contains('_') { Kind::Id } else { Kind::Token });
        }
        if segment.matches('-').count() >= 3 && letters > digits {
            return Some(Kind::Slug);
        }
        let number = segment.rsplit(['-', '_']).next().unwrap_or(segment);
        let numbered = number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty();
        return Some(if numbered { Kind::Id } else { Kind::Name });
    }
    // Letters alone can be as random as letters and digits.
    let upper = bytes.iter().any(u8::is_ascii_uppercase);
    if upper && bytes.iter().any(u8::is_ascii_lowercase) && !word(segment) {
        if segment.rsplit_once('_').is_some_and(|(_, random)| random.len() >= 8) {
            return Some(Kind::Id);
        }
        if bytes.len() >= 16 && !segment.contains('.') {
            return Some(Kind::Token);
        }
    }
    if segment.matches(['-', '_']).count() >= 3 {
        return Some(Kind::Slug);
    }
    if bytes.len() > MAX_WORD && !segment.contains('.') {
        return Some(if segment.contains('-') { Kind::Slug } else { Kind::Token });
    }
    None
}

fn uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `2024-05-01`, `2024-05`, `2024_05_01`, `01-05-2024`, and with a time behind.
fn date(bytes: &[u8]) -> bool {
    let runs = |text: &[u8], lengths: &[usize]| {
        let mut parts = text.split(|b| b"-_.".contains(b));
        let all = lengths.iter().all(|n| {
            parts.next().is_some_and(|p| p.len() == *n && p.iter().all(u8::is_ascii_digit))
        });
        all && parts.next().is_none()
    };
    let day = bytes.split(|b| matches!(b, b'T' | b't' | b' ')).next().unwrap_or(bytes);
    runs(day, &[4, 2, 2]) || runs(day, &[2, 2, 4]) || runs(day, &[4, 2])
}

/// `1.2`, `1.2.3`, `v1.2.3`, `1.2.3-rc1`.
fn release(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"v").unwrap_or(bytes);
    let core = bytes.split(|b| b"-_".contains(b)).next().unwrap_or(bytes);
    core.contains(&b'.')
        && core.split(|b| *b == b'.').all(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

/// Whether this looks like a word or a few that people chose for a program: letters alone, joined by
/// `-`, `_`, `.` or capitals, each part one that can be spoken.
fn word(segment: &str) -> bool {
    if segment.len() < 2 || segment.len() > MAX_WORD {
        return false;
    }
    // People write `snake_case` or `camelCase`; both at once are a prefix and something random.
    if segment.contains('_') && segment.bytes().any(|b| b.is_ascii_uppercase()) {
        return false;
    }
    let parts: Vec<&str> = segment.split(['-', '_', '.']).collect();
    parts.len() <= 3 && parts.iter().all(|part| spoken(part.as_bytes()))
}

fn spoken(part: &[u8]) -> bool {
    if part.is_empty() || !part.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    if part.len() > 3 && part.iter().all(u8::is_ascii_uppercase) {
        return false;
    }
    // The words of `listAllUsers`.
    let mut humps = 0;
    let mut rest = part;
    while let [_, tail @ ..] = rest {
        let end = tail.iter().position(u8::is_ascii_uppercase).map_or(rest.len(), |at| at + 1);
        let (hump, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        humps += 1;
        let alone = hump.len() == part.len();
        if humps > 5 || !syllables(hump) || !(alone || joined(hump)) {
            return false;
        }
        rest = behind;
    }
    true
}

/// Short words that stand between others; any other word of a few has three letters and a vowel.
const SHORT: &[&str] = &[
    "all", "and", "as", "at", "by", "do", "for", "get", "id", "ids", "in", "io", "ip", "is", "me",
    "my", "no", "of", "on", "or", "to", "ui", "up", "url",
];

/// Whether a word is one that others are joined with.
fn joined(hump: &[u8]) -> bool {
    if SHORT.iter().any(|short| hump.eq_ignore_ascii_case(short.as_bytes())) {
        return true;
    }
    hump.len() >= 3 && hump.iter().copied().any(is_vowel)
}

fn is_vowel(letter: u8) -> bool {
    b"aeiouyAEIOUY".contains(&letter)
}

/// Vowels and consonants change as often as they do in words.
fn syllables(hump: &[u8]) -> bool {
    if hump.len() > 15 {
        return false;
    }
    if hump.len() <= 3 {
        return true;
    }
    let vowels = hump.iter().filter(|b| is_vowel(**b)).count();
    let longest = |of_vowels: bool| {
        hump.split(|b| is_vowel(*b) != of_vowels).map(<[u8]>::len).max().unwrap_or(0)
    };
    vowels * 6 >= hump.len() && longest(false) <= 4 && longest(true) <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_values_from_words() {
        use Kind::{Date, Email, Hash, Id, Name, Slug, Token, Uuid, Version};
        let cases = [
            ("users", Shape::Static),
            ("v1", Shape::Static),
            ("v1beta1", Shape::Static),
            ("v2.1", Shape::Static),
            ("Users", Shape::Static),
            ("favicon.ico", Shape::Static),
            (".well-known", Shape::Static),
            ("frobnicate", Shape::Word),
            ("shipping-address", Shape::Word),
            ("listAllThings", Shape::Word),
            ("chat.postMessage", Shape::Word),
            ("getUserById", Shape::Word),
            ("team_invites_pending", Shape::Word),
            ("pi_LasYcKdieshFrs", Shape::Value(Id)),
            ("LasYcKdieshFrs", Shape::Value(Name)),
            ("checkout-now.php", Shape::Word),
            ("42", Shape::Value(Id)),
            ("order-1042", Shape::Value(Id)),
            ("cus_NffrFeUfNV2Hib", Shape::Value(Id)),
            ("de305d54-75b4-431b-adb2-eb6b9e546014", Shape::Value(Uuid)),
            ("3f2a9c", Shape::Value(Hash)),
            ("d41d8cd98f00b204e9800998ecf8427e", Shape::Value(Hash)),
            ("deadbeefdeadbeefdeadbeefdeadbeef", Shape::Value(Hash)),
            ("2024-05-01", Shape::Value(Date)),
            ("2024-05-01T10:00:00Z", Shape::Value(Date)),
            ("a.b@example.org", Shape::Value(Email)),
            ("@alice", Shape::Value(Name)),
            ("1.2.3", Shape::Value(Version)),
            ("v1.29.4", Shape::Value(Version)),
            ("how-to-bake-bread", Shape::Value(Slug)),
            ("iphone-15-pro-max", Shape::Value(Slug)),
            ("eyJhbGciOiJIUzI1NiIsInR5cCI6", Shape::Value(Token)),
            ("nginx-7d8b49557c-abcde", Shape::Value(Name)),
            ("NffrFeUfNVHib", Shape::Value(Name)),
            ("xkcdqwrtz", Shape::Value(Name)),
            ("AAPL", Shape::Value(Name)),
            ("caf\u{e9}", Shape::Value(Name)),
            ("a b", Shape::Value(Name)),
            ("app.3f2a9c.js", Shape::File("js")),
            ("photo.JPG", Shape::File("jpg")),
            ("a", Shape::Value(Name)),
        ];
        for (segment, expect) in cases {
            assert_eq!(shape(segment, Expected::Nothing), expect, "{segment}");
        }
    }

    #[test]
    fn a_collection_makes_a_name_of_what_follows() {
        assert_eq!(shape("frobnicate", Expected::Name), Shape::Value(Kind::Name));
        assert_eq!(shape("me", Expected::Name), Shape::Static);
        assert_eq!(shape("search", Expected::Name), Shape::Static);
        assert_eq!(shape("home", Expected::Name), Shape::Value(Kind::Name));
        assert_eq!(shape("issues", Expected::SecondOfPair), Shape::Value(Kind::Name));
    }
}
