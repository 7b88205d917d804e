//! Redaction: what looks like a secret is masked before an event is written anywhere.
//!
//! Masked is by rules, never by knowledge: the value of a name that says so (`password`, `api_key`, `Authorization`, …), as
//! an attribute and in the middle of a text; user and password of a URL; what follows `Bearer` and `Basic`; JSON web
//! tokens; keys and tokens that are known by how they begin (clouds, GitHub, Slack, …); private keys. A secret that has
//! neither a name nor a form of its own is not found: 40 letters and digits may as well be a digest.
//!
//! Keys of runs and tasks are not looked at: ids are derived from them.

mod assigned;
mod name;
mod sieve;
mod token;

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};

use self::name::Secrecy;
use self::sieve::{Builder, Sieve};
use crate::limits;
use crate::value::{SmolStr, Value};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// A text that is shorter holds nothing that is found.
const SHORTEST: usize = 5;
/// Names of secrets in the middle of a text, by a part of them; then the whole name is judged.
const NAMES: [&str; 20] = [
    "passw",
    "passp",
    "passc",
    "_pass",
    "--pass",
    "pwd",
    "secret",
    "credential",
    "creds",
    "api key",
    "key",
    "sharedaccess",
    "amz-signature",
    "conn",
    "token",
    "auth",
    "cookie",
    "dsn",
    "sig",
    "jwt",
];
/// Addresses of web hooks: whoever knows the path may post.
const HOOKS: [&str; 5] = [
    "hooks.slack.com/services/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "webhook.office.com/webhookb2/",
    "api.telegram.org/bot",
];

/// What to look for, all in one pass.
static NEEDLES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let prefixes = token::PREFIXES.iter().map(|prefix| prefix.begins);
    let needles = NAMES.into_iter().chain(prefixes).chain(HOOKS).chain(MARKS);
    let builder =
        AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(needles);
    // Literals as few as these always can be built; a test holds it.
    builder.ok()
});
/// What else opens a secret, by its place in this list.
const MARKS: [&str; 4] = ["bearer ", "basic ", "eyJ", "-----BEGIN"];
/// And what stands before the user of a URL: so many texts have one that it is looked for by itself.
static URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("://"));
/// All of these, for a first look at a text. Of a URL with a user it is the `@`, which few have.
static SIEVE: Sieve = Builder::new()
    .byte(b'@')
    .prefixes(&token::PREFIXES)
    .any_case(&NAMES)
    .any_case(&HOOKS)
    .any_case(&MARKS)
    .build();

/// The rules by which secrets are found: those that are built in, and the deployment's own.
#[derive(Clone, Debug, Default)]
pub struct Rules(Option<Arc<Own>>);

#[derive(Debug)]
struct Own {
    names: Vec<String>,
    patterns: Vec<Regex>,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} cannot be used: {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it, on one line.
    pub reason: String,
}

impl Rules {
    /// The built-in rules, and besides: names of attributes whose values are secrets, as they are written, whatever their
    /// case; and patterns, in the syntax of the crate `regex`, of what is masked wherever it stands. Of a pattern with groups,
    /// the first one that matched is masked.
    ///
    /// # Errors
    /// The first pattern that is none, or is too large.
    pub fn with_own(names: &[String], patterns: &[String]) -> Result<Self, PatternError> {
        if names.is_empty() && patterns.is_empty() {
            return Ok(Self::default());
        }
        let build = |pattern: &String| {
            let built = RegexBuilder::new(pattern).size_limit(limits::PATTERN_BYTES).build();
            built.map_err(|error| {
                let reason = error.to_string();
                let last = reason.lines().last().unwrap_or_default().trim();
                PatternError {
                    pattern: pattern.clone(),
                    reason: last.trim_start_matches("error: ").to_owned(),
                }
            })
        };
        let patterns = patterns.iter().map(build).collect::<Result<_, _>>()?;
        Ok(Self(Some(Arc::new(Own { names: names.to_vec(), patterns }))))
    }

    /// The text with its secrets masked, and how many they were. `None` when there are none.
    ///
    /// ```
    /// use dagtel_core::redact::Rules;
    ///
    /// let (masked, secrets) = Rules::default().redact("GET https://me:hunter2@db/?token=x1y2").unwrap();
    /// assert_eq!((masked.as_str(), secrets), ("GET https://***@db/?token=***", 2));
    /// ```
    pub fn redact(&self, text: &str) -> Option<(String, u32)> {
        let mut found = Vec::new();
        if text.len() >= SHORTEST && SIEVE.passes(text) {
            built_in(text, &mut found);
        }
        for pattern in self.0.iter().flat_map(|own| &own.patterns) {
            let captures = pattern.captures_iter(text);
            let groups = captures.filter_map(|found| found.iter().skip(1).flatten().next().or(found.get(0)));
            found.extend(groups.map(|group| group.range()).filter(|range| !range.is_empty()));
        }
        if found.is_empty() { None } else { Some(masked(text, found)) }
    }

    /// Whether the name of an attribute says that its value is a secret.
    fn secrecy(&self, name: &str) -> Option<Secrecy> {
        let own = || self.0.iter().flat_map(|own| &own.names).any(|own| own.eq_ignore_ascii_case(name));
        name::secrecy(name).or_else(|| own().then_some(Secrecy::Secret))
    }

    /// Masks the secrets in an attribute. Returns how many they were.
    pub(crate) fn attribute(&self, name: &str, value: &mut Value) -> u32 {
        match self.secrecy(name) {
            Some(secrecy) if hides(value, secrecy) => {
                *value = Value::from(MASK);
                return 1;
            }
            _ => {}
        }
        match value {
            Value::Str(text) => match self.redact(text) {
                Some((masked, secrets)) => {
                    *text = masked.into();
                    secrets
                }
                None => 0,
            },
            Value::List(texts) => self.list(texts),
            _ => 0,
        }
    }

    /// Items by themselves, and those behind a flag that names a secret (`--password`, `hunter2`).
    fn list(&self, texts: &mut [SmolStr]) -> u32 {
        let mut secrets = 0;
        let mut flag = None;
        for text in texts {
            if flag.take().is_some_and(|secrecy| assigned::is_told(text, secrecy)) {
                *text = SmolStr::new_static(MASK);
                secrets += 1;
                continue;
            }
            flag = if text.starts_with('-') { name::secrecy(text) } else { None };
            if let Some((masked, found)) = self.redact(text) {
                *text = masked.into();
                secrets += found;
                flag = None;
            }
        }
        secrets
    }
}

/// Whether the lines of a stream are inside a private key: of one that is told line by line, no line by itself is known for
/// a secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrivateKeyLines(bool);

impl PrivateKeyLines {
    /// Whether the next line is of a private key.
    pub fn hide(&mut self, line: &str) -> bool {
        let before = self.0;
        if line.contains("-----BEGIN")
            && token::private_key(line, line.find("-----BEGIN").unwrap_or(0)).is_some()
        {
            self.0 = true;
        }
        let hidden = self.0;
        if hidden && line.contains("-----END") {
            self.0 = false;
        }
        before || hidden
    }
}

/// Whether a value is the secret that its name speaks of.
fn hides(value: &Value, secrecy: Secrecy) -> bool {
    match value {
        Value::Str(text) => assigned::is_told(text, secrecy),
        Value::List(texts) => texts.iter().any(|text| assigned::is_told(text, secrecy)),
        Value::Int(_) | Value::Float(_) => secrecy == Secrecy::Secret,
        Value::Bool(_) => false,
    }
}

/// What the built-in rules find.
fn built_in(text: &str, found: &mut Vec<Range<usize>>) {
    for scheme in URL.find_iter(text.as_bytes()) {
        found.extend(assigned::user(text, scheme + 3));
    }
    let Some(needles) = &*NEEDLES else { return };
    if needles.find(text).is_none() {
        return;
    }
    let mut judged = 0;
    for needle in needles.find_overlapping_iter(text) {
        let (start, end) = (needle.start(), needle.end());
        let number = needle.pattern().as_usize();
        if number < NAMES.len() {
            if start < judged {
                continue;
            }
            let (name_end, value) = assigned::value(text, start..end);
            judged = name_end;
            found.extend(value);
            continue;
        }
        let number = number - NAMES.len();
        if let Some(prefix) = token::PREFIXES.get(number) {
            found.extend(prefix.at(text, start));
            continue;
        }
        let number = number - token::PREFIXES.len();
        if number < HOOKS.len() {
            found.extend(token::path(text, end));
            continue;
        }
        found.extend(match number - HOOKS.len() {
            0 | 1 => token::after_scheme(text, end),
            2 => token::json_token(text, start),
            _ => token::private_key(text, start),
        });
    }
}

/// The text with a mask in place of each range; ranges that touch are one secret.
fn masked(text: &str, mut found: Vec<Range<usize>>) -> (String, u32) {
    found.sort_unstable_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let (mut done, mut secrets) = (0, 0);
    for range in found {
        if range.start < done {
            if range.end > done {
                done = range.end;
            }
            continue;
        }
        out.push_str(&text[done..range.start]);
        out.push_str(MASK);
        done = range.end;
        secrets += 1;
    }
    out.push_str(&text[done..]);
    (out, secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        Rules::default().redact(text).map_or_else(|| text.to_owned(), |(masked, _)| masked)
    }

    #[test]
    fn the_needles_can_be_built() {
        assert!(NEEDLES.is_some());
    }

    #[test]
    fn what_a_text_names_a_secret() {
        for (text, wanted) in [
            ("password=hunter2", "password=***"),
            ("password: hunter2, user: me", "password: ***, user: me"),
            ("--password hunter2 --verbose", "--password *** --verbose"),
            ("--api-key=x1 run", "--api-key=*** run"),
            (r#"{"db_password": "hun\"ter2", "n": 1}"#, r#"{"db_password": "***", "n": 1}"#),
            (r#"{\"token\":\"x1y2\",\"n\":1}"#, r#"{\"token\":\"***\",\"n\":1}"#),
            ("{'secret': b'x y', 'n': 1}", "{'secret': b'***', 'n': 1}"),
            ("export AWS_SECRET_ACCESS_KEY=abc/def+g; ls", "export AWS_SECRET_ACCESS_KEY=***; ls"),
            ("Authorization: Digest username=\"me\"\nHost: x", "Authorization: ***\nHost: x"),
            ("curl -H 'Authorization: Token x1' http://h", "curl -H 'Authorization: ***' http://h"),
            ("{'Cookie': 'a=b; c=d', 'n': 1}", "{'Cookie': '***', 'n': 1}"),
            ("GET /q?user=1&access_token=x1y2&n=3", "GET /q?user=1&access_token=***&n=3"),
            ("/blob?sv=2&sig=Ab%2Fc&se=4", "/blob?sv=2&sig=***&se=4"),
            ("ALTER USER me PASSWORD 'x y'", "ALTER USER me PASSWORD '***'"),
            ("api_key=SecretStr('x y')", "api_key=SecretStr('***')"),
            ("Server=db;User Id=me;Password=x1;Encrypt=1", "Server=db;User Id=me;Password=***;Encrypt=1"),
            (
                "DefaultEndpointsProtocol=https;AccountKey=abc==;X=1",
                "DefaultEndpointsProtocol=https;AccountKey=***;X=1",
            ),
            ("secret => \"x\"", "secret => \"***\""),
        ] {
            assert_eq!(masked(text), wanted);
            assert_eq!(masked(&masked(text)), wanted, "the second time");
        }
    }

    #[test]
    fn what_has_a_form_of_its_own() {
        for (text, wanted) in [
            ("postgres://me:hunter2@db:5432/x", "postgres://***@db:5432/x"),
            ("redis://:hunter2@cache", "redis://***@cache"),
            ("https://ghx@github.com/a/b.git", "https://***@github.com/a/b.git"),
            ("mysql://me:p/w@db/x", "mysql://***@db/x"),
            ("got Bearer abcdef123456.x-y_z back", "got Bearer *** back"),
            ("Basic dXNlcjpwYXNz", "Basic ***"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key *** used"),
            ("(ghp_0123456789abcdefghijABCDEFGHIJ012345)", "(***)"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a *** b"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "***"),
            ("https://hooks.slack.com/services/T0/B0/abcdef", "https://hooks.slack.com/services/***"),
            ("t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln ok", "t=*** ok"),
        ] {
            assert_eq!(masked(text), wanted);
            assert_eq!(masked(&masked(text)), wanted, "the second time");
        }
    }

    /// Texts below 16 bytes without a blank or an assignment were passed over.
    #[test]
    fn short_texts_were_not_looked_at() {
        assert_eq!(masked("xoxb-0123456789"), "***");
        assert_eq!(masked("--pass\thunter2"), "--pass\t***");
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        for text in [
            "abfss://container@account.dfs.core.windows.net/path",
            "https://logs.example.com/dags/17/1?page=2",
            "s3://bucket/key=2026/part-0",
            "http://[::1]:8080/a@b",
            "the password is wrong",
            "token expired: 401",
            "bearer of bad news",
            "basic understanding",
            "tokens: 512, max_tokens=100",
            "password=None",
            "secret: null",
            "primary_key=id",
            "key=value",
            "task-runner-with-a-long-name-of-it",
            "sk-learn-pipeline-for-orders",
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            "scheduled__2026-11-20T00:00:00+00:00",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "region=asia-southeast1",
            "def authorize(user)",
            "a ::token:: b",
            "PWD=/home/me",
            "",
            "ünïcode — ✓ token",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn rules_of_the_deployments_own() {
        let own = |text: &str| vec![text.to_owned()];
        let rules = Rules::with_own(&own("ssn"), &own(r"EMP-\d{6}|card (\d+)")).unwrap();
        assert_eq!(rules.redact("of EMP-123456").unwrap(), ("of ***".to_owned(), 1));
        assert_eq!(rules.redact("card 4111").unwrap(), ("card ***".to_owned(), 1));
        let mut value = Value::from("123-45");
        assert_eq!(rules.attribute("SSN", &mut value), 1);
        assert_eq!(value, Value::from(MASK));
        let error = Rules::with_own(&[], &own("(")).unwrap_err().to_string();
        assert!(error.contains("\"(\"") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn a_private_key_in_lines_is_hidden_to_its_end() {
        let mut lines = PrivateKeyLines::default();
        let text = ["a", "-----BEGIN EC PRIVATE KEY-----", "MHcC", "-----END EC PRIVATE KEY-----", "b"];
        assert_eq!(text.map(|line| lines.hide(line)), [false, true, true, true, false]);
    }

    #[test]
    fn a_flag_hides_the_item_behind_it() {
        let mut words =
            Value::List(["psql", "--password", "hunter2", "-h", "db"].map(SmolStr::from).to_vec());
        assert_eq!(Rules::default().attribute("process.command_args", &mut words), 1);
        let wanted = ["psql", "--password", "***", "-h", "db"].map(SmolStr::from).to_vec();
        assert_eq!(words, Value::List(wanted));
    }
}
